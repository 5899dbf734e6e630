"""HL7 v3 interactions: the wrapper of a question, and the answers to it.

An answer goes to the question's sender, from its receiver. A query's answer repeats the query it answers, but for
one that was refused as unreadable: every answer is valid against the published schemas.

Source: ITI TF-2: Appendix O; 3.44.4.1.3, 3.45.4.2, 3.47.4.2; HL7 v3 MCCI, MFMI, QUQI.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ihe.errors import IheError, InvalidElement, MissingElement, UnknownTargetAuthority
from ihe.hl7v3_codes import ACKNOWLEDGEMENT_DETAILS, Hl7v3Code, error_code
from ihe.soap.envelope import SoapReply
from ihe.soap.error_codes import fault_for
from ihe.values import format_dtm
from ihe.xml import NS, Element, escaped, local_name, quoted
from mpi.translate.hl7v3_elements import attribute, content, every, first, location, named_children
from mpi.translate.hl7v3_text import NAMESPACES, element, repeated, repeated_id

INTERACTIONS: Final = "2.16.840.1.113883.1.6"
"""Root of interaction ids, and code system of trigger events."""

ACKNOWLEDGEMENT: Final = "MCCI_IN000002UV01"

_PARAMETERS: Final = (
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
"""The parameters that are read, in the order of the schemas."""

_CODES: Final = ("responseModalityCode", "responsePriorityCode", "initialQuantity")
"""What is repeated of a query beside its id and its parameters, in the order of the schemas."""

_EVENT: Final = "controlActProcess/subject/registrationEvent"
_PLACES: Final = {
    "PID-3": f"{_EVENT}/subject1/patient/id",
    "MRG-1": f"{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole/id",
    "QPD-3": "controlActProcess/queryByParameter/parameterList",
    "RCP-2": "controlActProcess/queryByParameter/initialQuantity",
}
"""Where in our messages is what services, which serve every wire, name as HL7 v2 does."""


def action(name: str) -> str:
    """``wsa:Action`` of an interaction."""
    return f"urn:hl7-org:v3:{name}"


def element_name(name: str) -> str:
    """Qualified name of an interaction's element."""
    return f"{{{NS.HL7V3}}}{name}"


def read_control_act(message: Element) -> Element:
    """The control act of an interaction whose wrapper is complete.

    Raises:
        MissingElement: the wrapper lacks its id, sender, receiver or control act.
        InvalidElement: the interaction id names another interaction, or there is more than one control act.
    """
    name = local_name(message)
    for path in ("id", "sender/device/id", "receiver/device/id"):
        if attribute(message, path, "root") is None:
            raise MissingElement("the wrapper of the message is not complete", location(name, *path.split("/")))
    named = attribute(message, "interactionId", "extension")
    if named is not None and named != name.removesuffix("_Cancel"):
        raise InvalidElement("the interaction id names another interaction", location(name, "interactionId"))
    acts = list(every(message, "controlActProcess"))
    if not acts:
        raise MissingElement("the message has no control act", location(name, "controlActProcess"))
    if len(acts) > 1:
        raise InvalidElement("the message has more than one control act", location(name, "controlActProcess[2]"))
    return acts[0]


def read_query(message: Element) -> tuple[Element, Element]:
    """A query and its list of parameters.

    Raises:
        MissingElement: there is none, or it has no id or no list of parameters.
        InvalidElement: the wrapper is wrong.
    """
    place = (local_name(message), "controlActProcess", "queryByParameter")
    query = first(read_control_act(message), "queryByParameter")
    if query is None:
        raise MissingElement("the message has no query", location(*place))
    if attribute(query, "queryId", "root") is None:
        raise MissingElement("the query has no id", location(*place, "queryId"))
    parameters = first(query, "parameterList")
    if parameters is None:
        raise MissingElement("the query has no parameters", location(*place, "parameterList"))
    return query, parameters


def parameter_location(message: Element, parameter: str, position: int = 1, rest: str = "value") -> str:
    """The XPath of a query parameter, as the profiles have it in refusals (Source: ITI TF-2: 3.45.4.2.3)."""
    query = ("controlActProcess", "queryByParameter", "parameterList")
    return location(local_name(message), *query, f"{parameter}[{position}]", rest)


@dataclass(frozen=True, slots=True)
class Quantities:
    """How much of an answer is delivered, as ``queryAck`` says it: patients in all, in this answer, still to come."""

    total: int
    current: int
    remaining: int


def acknowledge(message: Element, error: IheError | None = None) -> bytes:
    """``MCCI_IN000002UV01``: the message was taken in, or why it was not."""
    return f"{_wrapper(message, ACKNOWLEDGEMENT, error)}</{ACKNOWLEDGEMENT}>".encode()


def query_answer(
    message: Element,
    name: str,
    status: str,
    *,
    subjects: str = "",
    reasons: str = "",
    error: IheError | None = None,
    quantities: Quantities | None = None,
    query: Element | None = None,
    unreached: Sequence[str] = (),
) -> bytes:
    """The answer to a query.

    Args:
        name: of the answering interaction, for example ``PRPA_IN201310UV02``.
        status: ``queryResponseCode``: ``OK``, ``NF``, ``AE``, ``QE``.
        subjects: ``subject`` elements of the control act.
        reasons: its ``reasonOf`` elements.
        query: the query to repeat, when it does not stand in ``message`` (a continuation).
        unreached: sentences, each about a system that was to be asked too and had no answer.
    """
    control_act = first(message, "controlActProcess")
    asked = query if query is not None else first(control_act, "queryByParameter")
    query_id = first(asked, "queryId")
    if query_id is None:
        query_id = first(control_act, "queryContinuation/queryId")
    text = (
        f"{_wrapper(message, name, error, unreached)}"
        '<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="{name.replace("_IN", "_TE")}" codeSystem="{INTERACTIONS}"/>{subjects}{reasons}'
        f"<queryAck>{repeated_id(query_id, 'queryId')}"
        f'<statusCode code="{"aborted" if error is not None else _delivered(quantities)}"/>'
        f'<queryResponseCode code="{status}"/>{_counted(quantities)}</queryAck>'
        f"{_repeated_query(asked) if asked is not None and _is_readable(error) else ''}"
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
    return SoapReply(body_text=query_answer(message, name, code.query_response, error=error, reasons=reasons))


def _is_readable(error: IheError | None) -> bool:
    """Whether the query itself was in order, and can be repeated in the answer as it is."""
    code = error_code(error) if error is not None else None
    return code is None or code.query_response != "QE"


def _wrapper(message: Element, name: str, error: IheError | None, unreached: Sequence[str] = ()) -> str:
    """An answer from its beginning to its acknowledgement; its end tag is still to come."""
    processing = attribute(message, "processingCode", "code")
    return (
        f'<{name} {NAMESPACES} ITSVersion="XML_1.0"><id root="{uuid.uuid4()}"/>'
        f'<creationTime value="{format_dtm(datetime.now(UTC))}+0000"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{name}"/>'
        f'<processingCode code="{processing if processing in ("D", "P", "T") else "P"}"/>'
        '<processingModeCode code="T"/><acceptAckCode code="NE"/>'
        f'<receiver typeCode="RCV">{_device(first(message, "sender/device"))}</receiver>'
        f'<sender typeCode="SND">{_device(first(message, "receiver/device"))}</sender>'
        f"{_acknowledgement(message, error, unreached)}"
    )


def _device(source: Element | None) -> str:
    organization = first(source, "asAgent/representedOrganization/id")
    agent = "" if organization is None else agent_of(repeated_id(organization))
    return f'<device classCode="DEV" determinerCode="INSTANCE">{repeated_id(first(source, "id"))}{agent}</device>'


def agent_of(organization: str) -> str:
    """Whom a device acts for.

    Args:
        organization: id element.
    """
    return (
        '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        f"{organization}</representedOrganization></asAgent>"
    )


def _acknowledgement(message: Element, error: IheError | None, unreached: Sequence[str]) -> str:
    code = error_code(error) if error is not None else None
    details = ""
    if error is not None and code is not None:
        positions: Sequence[str | None] = (error.location,)
        if isinstance(error, UnknownTargetAuthority) and error.positions:
            positions = error.positions
        details = "".join(_detail(message, error, code, position) for position in positions)
    return (
        f'<acknowledgement><typeCode code="{code.acknowledgement if code is not None else "AA"}"/>'
        f"<targetMessage>{repeated_id(first(message, 'id'))}</targetMessage>"
        f"{details}{''.join(map(_warning, unreached))}</acknowledgement>"
    )


def _detail(message: Element, error: IheError, code: Hl7v3Code, position: str | None) -> str:
    where = ""
    if position is not None:
        place = _PLACES.get(position)
        named = position if place is None else location(local_name(message), place)
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


def _repeated_query(asked: Element) -> str:
    """The query in the order of the schemas, with what clients like to leave out and the schemas demand."""
    parts = named_children(asked)
    codes = "".join(repeated(parts[name]) for name in _CODES if name in parts)
    criteria = _repeated_match_criteria(asked) if "matchCriterionList" in parts else ""
    stated = [each for each in every(asked, "parameterList/*") if local_name(each) in _PARAMETERS]
    stated.sort(key=lambda each: _PARAMETERS.index(local_name(each)))
    return (
        f'<queryByParameter>{repeated_id(parts.get("queryId"), "queryId")}<statusCode code="new"/>{codes}{criteria}'
        f"{element('parameterList', ''.join(map(_repeated_parameter, stated)))}</queryByParameter>"
    )


def _repeated_parameter(parameter: Element) -> str:
    name = local_name(parameter)
    values = "".join(map(repeated, every(parameter, "value")))
    semantics = content(first(parameter, "semanticsText")) or name
    return f"<{name}>{values}<semanticsText>{escaped(semantics)}</semanticsText></{name}>" if values else ""


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
