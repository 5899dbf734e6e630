"""HL7 v3 answers to interactions.

An answer goes to the question's sender, from its receiver. A query's answer repeats the query it answers, but for
one that was refused as unreadable: every answer is valid against the published schemas.

Source: ITI TF-2: Appendix O; 3.44.4.1.3, 3.45.4.2, 3.47.4.2; HL7 v3 MCCI, MFMI, QUQI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from ihe.errors import IheError, UnknownTargetAuthority
from ihe.hl7v3_codes import ACKNOWLEDGEMENT_DETAILS, Hl7v3Code, error_code
from ihe.names import fresh_uuid
from ihe.soap.envelope import SoapReply
from ihe.soap.error_codes import fault_for
from ihe.values import present_dtm
from ihe.xml import NS, Element, escaped, quoted
from mpi.translate.hl7v3_elements import attribute, content, every, first, hl7, location
from mpi.translate.hl7v3_interaction import QUERY, QUERY_ID, Device, Interaction, Parts, read_interaction
from mpi.translate.hl7v3_text import NAMESPACES, element, repeated, repeated_id

INTERACTIONS: Final = "2.16.840.1.113883.1.6"
"""Root of interaction ids, and code system of trigger events."""

ACKNOWLEDGEMENT: Final = "MCCI_IN000002UV01"

_PARAMETERS: Final = {
    hl7(name): (position, name)
    for position, name in enumerate(
        (
            "dataSource",
            "livingSubjectAdministrativeGender",
            "livingSubjectBirthPlaceAddress",
            "livingSubjectBirthTime",
            "livingSubjectId",
            "livingSubjectName",
            "mothersMaidenName",
            "otherIDsScopingOrganization",
            "patientAddress",
            "patientIdentifier",
            "patientTelecom",
        )
    )
}
"""The parameters that are read, by qualified name: position in the schemas, and local name."""

_CODES: Final = tuple(hl7(name) for name in ("responseModalityCode", "responsePriorityCode", "initialQuantity"))
"""What is repeated of a query beside its id and its parameters, in the order of the schemas."""

_CRITERIA: Final = hl7("matchCriterionList")
_VALUE: Final = hl7("value")
_SEMANTICS: Final = hl7("semanticsText")

_EVENT: Final = "controlActProcess/subject/registrationEvent"
_PLACES: Final = {
    "PID-3": f"{_EVENT}/subject1/patient/id",
    "MRG-1": f"{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole/id",
    "QPD-3": f"{QUERY}/parameterList",
    "RCP-2": f"{QUERY}/initialQuantity",
}
"""Where in our messages is what services, which serve every wire, name as HL7 v2 does."""


def action(name: str) -> str:
    """``wsa:Action`` of an interaction."""
    return f"urn:hl7-org:v3:{name}"


def element_name(name: str) -> str:
    """Qualified name of an interaction's element."""
    return f"{{{NS.HL7V3}}}{name}"


@dataclass(frozen=True, slots=True)
class Quantities:
    """How much of an answer is delivered, as ``queryAck`` says it: patients in all, in this answer, still to come."""

    total: int
    current: int
    remaining: int


def acknowledge(message: Element, error: IheError | None = None) -> bytes:
    """``MCCI_IN000002UV01``: the message was taken in, or why it was not."""
    return f"{_wrapper(read_interaction(message), ACKNOWLEDGEMENT, error)}</{ACKNOWLEDGEMENT}>".encode()


def query_answer(
    interaction: Interaction,
    name: str,
    status: str,
    *,
    subjects: str = "",
    reasons: str = "",
    error: IheError | None = None,
    quantities: Quantities | None = None,
    asked: Interaction | None = None,
    unreached: Sequence[str] = (),
) -> bytes:
    """The answer to a query.

    Args:
        interaction: what asked.
        name: of the answering one, for example ``PRPA_IN201310UV02``.
        status: ``queryResponseCode``: ``OK``, ``NF``, ``AE``, ``QE``.
        subjects: ``subject`` elements of the control act.
        reasons: its ``reasonOf`` elements.
        asked: holds the query to repeat, when it does not stand in the interaction itself (a continuation).
        unreached: sentences, each about a system that was to be asked too and had no answer.
    """
    if asked is None:
        asked = interaction
    query_id = asked.parts.get(QUERY_ID)
    if query_id is None and interaction.control_acts:
        query_id = first(interaction.control_acts[0], "queryContinuation/queryId")
    text = (
        f"{_wrapper(interaction, name, error, unreached)}"
        '<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="{name.replace("_IN", "_TE")}" codeSystem="{INTERACTIONS}"/>{subjects}{reasons}'
        f"<queryAck>{repeated_id(query_id, 'queryId')}"
        f'<statusCode code="{"aborted" if error is not None else _delivered(quantities)}"/>'
        f'<queryResponseCode code="{status}"/>{_counted(quantities)}</queryAck>'
        f"{_repeated_query(asked.query, asked.parts) if asked.query is not None and _is_readable(error) else ''}"
        f"</controlActProcess></{name}>"
    )
    return text.encode()


def _delivered(quantities: Quantities | None) -> str:
    return "waitContinuedQueryResponse" if quantities is not None and quantities.remaining else "deliveredResponse"


def _counted(quantities: Quantities | None) -> str:
    if quantities is None:
        return ""
    return (
        f'<resultTotalQuantity value="{quantities.total}"/><resultCurrentQuantity value="{quantities.current}"/>'
        f'<resultRemainingQuantity value="{quantities.remaining}"/>'
    )


def refused_message(message: Element, error: IheError) -> SoapReply:
    """The reply that refuses a message that is no query."""
    if error_code(error) is None:
        return SoapReply(fault=fault_for(error))
    return SoapReply(body_text=acknowledge(message, error))


def refused_query(message: Element, name: str, error: IheError, reasons: str = "") -> SoapReply:
    """The reply that refuses a query.

    Args:
        name: of the answering interaction.
        reasons: ``reasonOf`` elements of its control act.
    """
    code = error_code(error)
    if code is None:
        return SoapReply(fault=fault_for(error))
    answer = query_answer(read_interaction(message), name, code.query_response, error=error, reasons=reasons)
    return SoapReply(body_text=answer)


def _is_readable(error: IheError | None) -> bool:
    """Whether the query itself was in order, and can be repeated in the answer as it is."""
    code = error_code(error) if error is not None else None
    return code is None or code.query_response != "QE"


def _wrapper(asked: Interaction, name: str, error: IheError | None, unreached: Sequence[str] = ()) -> str:
    """An answer from its beginning to its acknowledgement; its end tag is still to come."""
    return (
        f'<{name} {NAMESPACES} ITSVersion="XML_1.0"><id root="{fresh_uuid()}"/>'
        f'<creationTime value="{present_dtm()}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{name}"/>'
        f'<processingCode code="{asked.processing if asked.processing in ("D", "P", "T") else "P"}"/>'
        '<processingModeCode code="T"/><acceptAckCode code="NE"/>'
        f'<receiver typeCode="RCV">{_device(asked.sender)}</receiver>'
        f'<sender typeCode="SND">{_device(asked.receiver)}</sender>'
        f"{_acknowledgement(asked, error, unreached)}"
    )


def _device(source: Device) -> str:
    agent = "" if source.organization is None else agent_of(repeated_id(source.organization))
    return f'<device classCode="DEV" determinerCode="INSTANCE">{repeated_id(source.id)}{agent}</device>'


def agent_of(organization: str) -> str:
    """Whom a device acts for.

    Args:
        organization: id element.
    """
    return (
        '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        f"{organization}</representedOrganization></asAgent>"
    )


def _acknowledgement(asked: Interaction, error: IheError | None, unreached: Sequence[str]) -> str:
    code = error_code(error) if error is not None else None
    details = ""
    if error is not None and code is not None:
        positions: Sequence[str | None] = (error.location,)
        if isinstance(error, UnknownTargetAuthority) and error.positions:
            positions = error.positions
        details = "".join(_detail(asked.name, error, code, position) for position in positions)
    return (
        f'<acknowledgement><typeCode code="{code.acknowledgement if code is not None else "AA"}"/>'
        f"<targetMessage>{repeated_id(asked.id)}</targetMessage>"
        f"{details}{''.join(map(_warning, unreached))}</acknowledgement>"
    )


def _detail(asked: str, error: IheError, code: Hl7v3Code, position: str | None) -> str:
    where = ""
    if position is not None:
        place = _PLACES.get(position)
        named = position if place is None else location(asked, place)
        where = f"<location>{escaped(named)}</location>"
    return (
        '<acknowledgementDetail typeCode="E">'
        f'<code code="{code.condition}" codeSystem="{code.system}" displayName={quoted(code.text)}/>'
        f"<text>{escaped(error.message)}</text>{where}</acknowledgementDetail>"
    )


def _warning(sentence: str) -> str:
    return (
        '<acknowledgementDetail typeCode="W">'
        f'<code code="RTWDEST" codeSystem="{ACKNOWLEDGEMENT_DETAILS}" displayName="Destination unreachable"/>'
        f"<text>{escaped(sentence)}</text></acknowledgementDetail>"
    )


def _repeated_query(asked: Element, parts: Parts) -> str:
    """The query in the order of the schemas, with what clients like to leave out and the schemas demand."""
    codes = "".join([repeated(parts[name]) for name in _CODES if name in parts])
    criteria = _repeated_match_criteria(asked) if _CRITERIA in parts else ""
    parameters = [
        (*_PARAMETERS[tag], each)
        for parameters in every(asked, "parameterList")
        for each in parameters
        if (tag := each.tag) in _PARAMETERS and each.get("nullFlavor") is None
    ]
    parameters.sort(key=itemgetter(0))
    repetition = "".join([_repeated_parameter(name, parameter) for _, name, parameter in parameters])
    return (
        f'<queryByParameter>{repeated_id(parts.get(QUERY_ID), "queryId")}<statusCode code="new"/>'
        f"{codes}{criteria}{element('parameterList', repetition)}</queryByParameter>"
    )


def _repeated_parameter(name: str, parameter: Element) -> str:
    values, semantics = "", None
    for part in parameter:
        if part.get("nullFlavor") is not None:
            continue
        if part.tag == _VALUE:
            values += repeated(part)
        elif part.tag == _SEMANTICS and semantics is None:
            semantics = part
    words = content(semantics) or name
    return f"<{name}>{values}<semanticsText>{escaped(words)}</semanticsText></{name}>" if values else ""


def _repeated_match_criteria(asked: Element) -> str:
    degree = attribute(asked, "matchCriterionList/minimumDegreeMatch/value") or ""
    algorithm = content(first(asked, "matchCriterionList/matchAlgorithm/value"))
    wanted = minimum = ""
    if algorithm:
        wanted = (
            f'<matchAlgorithm><value xsi:type="ST">{escaped(algorithm)}</value>'
            "<semanticsText>MatchAlgorithm</semanticsText></matchAlgorithm>"
        )
    if degree.isascii() and degree.isdigit():
        semantics = content(first(asked, "matchCriterionList/minimumDegreeMatch/semanticsText"))
        minimum = (
            f'<minimumDegreeMatch><value value="{degree}" xsi:type="INT"/>'
            f"{element('semanticsText', escaped(semantics or ''))}</minimumDegreeMatch>"
        )
    return f"<matchCriterionList>{wanted}{minimum}</matchCriterionList>" if wanted or minimum else ""
