"""HL7 v3 interactions: the wrapper of a question, and the answers to it.

An answer goes to the question's sender, from its receiver. A query's answer repeats the query it answers, but for
one that was refused as unreadable: every answer is valid against the published schemas.

Source: ITI TF-2: Appendix O; 3.44.4.1.3, 3.45.4.2, 3.47.4.2; HL7 v3 MCCI, MFMI, QUQI.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ihe.errors import IheError, InvalidElement, MissingElement, UnknownTargetAuthority
from ihe.hl7v3_codes import ACKNOWLEDGEMENT_DETAILS, error_code
from ihe.soap.envelope import SoapReply
from ihe.soap.error_codes import fault_for
from ihe.values import format_dtm
from ihe.xml import NS, Element, local_name
from mpi.translate.hl7v3_elements import (
    add,
    add_copied_id,
    attribute,
    content,
    copy_into,
    every,
    first,
    location,
    new_root,
)

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


def acknowledge(message: Element, error: IheError | None = None) -> Element:
    """``MCCI_IN000002UV01``: the message was taken in, or why it was not."""
    return _wrapped(message, ACKNOWLEDGEMENT, error)


def query_answer(
    message: Element,
    name: str,
    status: str,
    *,
    add_subjects: Callable[[Element], None] | None = None,
    add_reasons: Callable[[Element], None] | None = None,
    error: IheError | None = None,
    quantities: Quantities | None = None,
    query: Element | None = None,
    unreached: Sequence[str] = (),
) -> Element:
    """The answer to a query.

    Args:
        name: of the answering interaction, for example ``PRPA_IN201310UV02``.
        status: ``queryResponseCode``: ``OK``, ``NF``, ``AE``, ``QE``.
        add_subjects: appends ``subject`` elements to the control act.
        add_reasons: appends ``reasonOf`` elements to it.
        query: the query to repeat, when it does not stand in ``message`` (a continuation).
        unreached: sentences, each about a system that was to be asked too and had no answer.
    """
    answer = _wrapped(message, name, error)
    for acknowledgement in every(answer, "acknowledgement"):
        for sentence in unreached:
            detail = add(acknowledgement, "acknowledgementDetail", typeCode="W")
            named = {"codeSystem": ACKNOWLEDGEMENT_DETAILS, "displayName": "Destination unreachable"}
            add(detail, "code", code="RTWDEST", **named)
            add(detail, "text", sentence)
    act = add(answer, "controlActProcess", classCode="CACT", moodCode="EVN")
    add(act, "code", code=name.replace("_IN", "_TE"), codeSystem=INTERACTIONS)
    if add_subjects is not None:
        add_subjects(act)
    if add_reasons is not None:
        add_reasons(act)
    control_act = first(message, "controlActProcess")
    asked = query if query is not None else first(control_act, "queryByParameter")
    query_id = first(asked, "queryId")
    if query_id is None:
        query_id = first(control_act, "queryContinuation/queryId")
    ack = add(act, "queryAck")
    add_copied_id(ack, query_id, "queryId")
    add(ack, "statusCode", code="aborted" if error is not None else _delivered(quantities))
    add(ack, "queryResponseCode", code=status)
    if quantities is not None:
        add(ack, "resultTotalQuantity", value=str(quantities.total))
        add(ack, "resultCurrentQuantity", value=str(quantities.current))
        add(ack, "resultRemainingQuantity", value=str(quantities.remaining))
    if asked is not None and _is_readable(error):
        _repeat(act, asked)
    return answer


def _delivered(quantities: Quantities | None) -> str:
    return "waitContinuedQueryResponse" if quantities is not None and quantities.remaining else "deliveredResponse"


def refused_message(message: Element, error: IheError) -> SoapReply:
    """The reply that refuses a message that is no query."""
    if error_code(error) is None:
        return SoapReply(fault=fault_for(error))
    return SoapReply(acknowledge(message, error))


def refused_query(
    message: Element, name: str, error: IheError, add_reasons: Callable[[Element], None] | None = None
) -> SoapReply:
    """The reply that refuses a query.

    Args:
        name: of the answering interaction.
        add_reasons: appends ``reasonOf`` elements to its control act.
    """
    code = error_code(error)
    if code is None:
        return SoapReply(fault=fault_for(error))
    return SoapReply(query_answer(message, name, code.query_response, error=error, add_reasons=add_reasons))


def _is_readable(error: IheError | None) -> bool:
    """Whether the query itself was in order, and can be repeated in the answer as it is."""
    code = error_code(error) if error is not None else None
    return code is None or code.query_response != "QE"


def _wrapped(message: Element, name: str, error: IheError | None) -> Element:
    answer = new_root(name)
    answer.set("ITSVersion", "XML_1.0")
    add(answer, "id", root=str(uuid.uuid4()))
    add(answer, "creationTime", value=f"{format_dtm(datetime.now(UTC))}+0000")
    add(answer, "interactionId", root=INTERACTIONS, extension=name)
    processing = attribute(message, "processingCode", "code")
    add(answer, "processingCode", code=processing if processing in ("D", "P", "T") else "P")
    add(answer, "processingModeCode", code="T")
    add(answer, "acceptAckCode", code="NE")
    for role, type_code, of in (("receiver", "RCV", "sender"), ("sender", "SND", "receiver")):
        _add_device(add(answer, role, typeCode=type_code), first(message, f"{of}/device"))
    _add_acknowledgement(answer, message, error)
    return answer


def _add_device(parent: Element, source: Element | None) -> None:
    device = add(parent, "device", classCode="DEV", determinerCode="INSTANCE")
    add_copied_id(device, first(source, "id"))
    organization = first(source, "asAgent/representedOrganization/id")
    if organization is not None:
        agent = add(device, "asAgent", classCode="AGNT")
        represented = add(agent, "representedOrganization", classCode="ORG", determinerCode="INSTANCE")
        add_copied_id(represented, organization)


def _add_acknowledgement(answer: Element, message: Element, error: IheError | None) -> None:
    code = error_code(error) if error is not None else None
    acknowledgement = add(answer, "acknowledgement")
    add(acknowledgement, "typeCode", code=code.acknowledgement if code is not None else "AA")
    add_copied_id(add(acknowledgement, "targetMessage"), first(message, "id"))
    if error is None or code is None:
        return
    positions: Sequence[str | None] = (error.location,)
    if isinstance(error, UnknownTargetAuthority) and error.positions:
        positions = error.positions
    for position in positions:
        detail = add(acknowledgement, "acknowledgementDetail", typeCode="E")
        add(detail, "code", code=code.condition, codeSystem=code.system, displayName=code.text)
        add(detail, "text", error.message)
        if position is not None:
            place = _PLACES.get(position)
            add(detail, "location", position if place is None else location(local_name(message), place))


def _repeat(act: Element, asked: Element) -> None:
    """Append the query in the order of the schemas, with what clients like to leave out and the schemas demand."""
    repeated = add(act, "queryByParameter")
    add_copied_id(repeated, first(asked, "queryId"), "queryId")
    add(repeated, "statusCode", code="new")
    for name in ("responseModalityCode", "responsePriorityCode", "initialQuantity"):
        part = first(asked, name)
        if part is not None:
            copy_into(repeated, part)
    _repeat_match_criteria(repeated, asked)
    parameters = add(repeated, "parameterList")
    stated: dict[str, list[Element]] = {}
    for parameter in every(asked, "parameterList/*"):
        stated.setdefault(local_name(parameter), []).append(parameter)
    for name in _PARAMETERS:
        for parameter in stated.get(name, ()):
            values = list(every(parameter, "value"))
            if values:
                copied = add(parameters, name)
                for value in values:
                    copy_into(copied, value)
                add(copied, "semanticsText", content(first(parameter, "semanticsText")) or name)


def _repeat_match_criteria(repeated: Element, asked: Element) -> None:
    degree = attribute(asked, "matchCriterionList/minimumDegreeMatch/value") or ""
    algorithm = content(first(asked, "matchCriterionList/matchAlgorithm/value"))
    is_degree = degree.isascii() and degree.isdigit()
    if not (is_degree or algorithm):
        return
    criteria = add(repeated, "matchCriterionList")
    if algorithm:
        wanted = add(criteria, "matchAlgorithm")
        add(wanted, "value", algorithm, xsi_type="ST")
        add(wanted, "semanticsText", "MatchAlgorithm")
    if is_degree:
        minimum = add(criteria, "minimumDegreeMatch")
        add(minimum, "value", xsi_type="INT", value=degree)
        add(minimum, "semanticsText", content(first(asked, "matchCriterionList/minimumDegreeMatch/semanticsText")))
