"""Patient identity feed messages (PMIR) ⇄ what happened to which patients.

Source: ITI TF-2: 3.93 (Mobile Patient Identity Feed); FHIR R4: 2.4 (messaging), 3.1.1.1.1 (history Bundle).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

from ihe.errors import IheError, InvalidElement, MalformedRequest, MissingElement, UnsupportedRequest
from ihe.fhir.error_codes import error_code
from ihe.fhir.outcome import operation_outcome, warnings_outcome
from ihe.values import PatientId
from mpi.domain.identity import Traits
from mpi.translate.fhir_patient import identifiers_of, parse_token, traits

FEED_EVENT: Final = "urn:ihe:iti:pmir:2019:patient-feed"
_RESPONSE_EVENT: Final = "urn:ihe:iti:pmir:2019:patient-feed-response"
_PROFILE: Final = "https://profiles.ihe.net/ITI/PMIR/StructureDefinition/IHE.PMIR"


class StepKind(StrEnum):
    """What an entry of a history says; ``relation`` is of a RelatedPerson, which the index does not keep."""

    IDENTITY = "identity"
    MERGE = "merge"
    WITHDRAW = "withdraw"
    RELATION = "relation"


@dataclass(frozen=True, slots=True)
class Designation:
    """How a message names a patient.

    Attributes:
        identifiers: with an authority each.
        logical_ids: of the Patient at its source, the last part of its address.
    """

    identifiers: tuple[PatientId, ...] = ()
    logical_ids: tuple[str, ...] = ()


NOBODY: Final = Designation()
NOTHING_SAID: Final = Traits()


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the history.

    Attributes:
        location: FHIRPath of the entry.
        request: its ``request``, for the answer.
        survivor: of a merge.
        said: identity traits, of an identity.
        at: when the source changed the patient, or ``None``.
    """

    kind: StepKind
    location: str
    request: Mapping[str, Any]
    patient: Designation = NOBODY
    survivor: Designation = NOBODY
    said: Traits = NOTHING_SAID
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageHead:
    """What an answer needs of a message.

    Attributes:
        id: of its MessageHeader.
        source: endpoint of who sent it.
    """

    id: str
    source: str


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """A message: one or more steps, in order."""

    head: MessageHead
    steps: tuple[Step, ...]


def read_head(bundle: Mapping[str, Any]) -> MessageHead:
    """The head of a message.

    Raises:
        MalformedRequest: it is no message, or has no MessageHeader with an id.
    """
    entries = bundle.get("entry") or [{}]
    header = entries[0].get("resource", {})
    if bundle.get("type") != "message" or header.get("resourceType") != "MessageHeader":
        raise MalformedRequest("the Bundle is no message that begins with a MessageHeader", "Bundle.entry[0]")
    if not header.get("id"):
        raise MissingElement("the MessageHeader has no id to answer to", "Bundle.entry[0].resource.id")
    return MessageHead(str(header["id"]), str(header["source"]["endpoint"]))


def read_message(bundle: Mapping[str, Any]) -> FeedMessage:
    """Read a valid Bundle as a feed message.

    Raises:
        UnsupportedRequest: another event.
        MalformedRequest: no message, or without history.
        MissingElement, InvalidElement: an entry lacks a part, or has a wrong one.
    """
    head = read_head(bundle)
    if bundle["entry"][0]["resource"].get("eventUri") != FEED_EVENT:
        raise UnsupportedRequest(f"the event offered is {FEED_EVENT}", "Bundle.entry[0].resource.event")
    history = bundle["entry"][1].get("resource", {}) if len(bundle["entry"]) > 1 else {}
    if history.get("resourceType") != "Bundle" or history.get("type") != "history" or not history.get("entry"):
        raise MalformedRequest("the message holds no history Bundle with entries", "Bundle.entry[1].resource")
    where = "Bundle.entry[1].resource.entry"
    sent = _moment(bundle.get("timestamp"))
    return FeedMessage(head, tuple(_step(e, f"{where}[{i}]", sent) for i, e in enumerate(history["entry"])))


def _step(entry: Mapping[str, Any], location: str, sent: datetime | None) -> Step:
    request = entry.get("request")
    if request is None:
        raise MissingElement("an entry of a history has a request", f"{location}.request")
    path, _, query = str(request["url"]).partition("?")
    parts = path.split("/")
    resource = entry.get("resource")
    if "RelatedPerson" in parts or (resource is not None and resource["resourceType"] == "RelatedPerson"):
        return Step(StepKind.RELATION, location, request)
    if "Patient" not in parts or (resource is not None and resource["resourceType"] != "Patient"):
        raise InvalidElement("a feed is about Patient and RelatedPerson", f"{location}.request.url")
    condition = _condition(query, f"{location}.request.url")
    logical_id = next(iter(parts[parts.index("Patient") + 1 :]), "")
    addresses = (logical_id, _last_part(entry.get("fullUrl")))
    if request["method"] == "DELETE":
        return Step(StepKind.WITHDRAW, location, request, _designation(condition, addresses))
    if request["method"] not in ("POST", "PUT"):
        raise InvalidElement("the methods of a feed are POST, PUT and DELETE", f"{location}.request.method")
    if resource is None:
        raise MissingElement("the entry has no Patient", f"{location}.resource")
    patient = _designation((*condition, *identifiers_of(resource)), (*addresses, str(resource.get("id", ""))))
    replaced = [link["other"] for link in resource.get("link", ()) if link.get("type") == "replaced-by"]
    if replaced:
        return Step(StepKind.MERGE, location, request, patient, _referred(replaced))
    if resource.get("active") is False:
        return Step(StepKind.WITHDRAW, location, request, patient)
    try:
        said = traits(resource)
    except ValueError as error:
        raise InvalidElement(f"a date or code is malformed: {error}", f"{location}.resource") from error
    at = _moment(resource.get("meta", {}).get("lastUpdated")) or sent
    return Step(StepKind.IDENTITY, location, request, patient, said=said, at=at)


def _condition(query: str, location: str) -> tuple[PatientId, ...]:
    try:
        return tuple(parse_token(value) for name, value in parse_qsl(query) if name == "identifier")
    except (LookupError, ValueError) as error:
        raise InvalidElement(f"identifier is malformed: {error}", location) from error


def _referred(references: Sequence[Mapping[str, Any]]) -> Designation:
    named = [r["identifier"] for r in references if "identifier" in r]
    addresses = [_last_part(r.get("reference")) for r in references]
    return _designation(
        identifiers_of({"identifier": named}), (*addresses, *(_last_part(i.get("value")) for i in named))
    )


def _designation(identifiers: Sequence[PatientId], logical_ids: Sequence[str]) -> Designation:
    return Designation(tuple(identifiers), tuple(dict.fromkeys(i for i in logical_ids if i)))


def _last_part(address: object) -> str:
    text = str(address or "").partition("/_history/")[0]
    return text.removeprefix("urn:uuid:").rstrip("/").rpartition("/")[2]


def _moment(text: object) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def acceptance(
    head: MessageHead, own_endpoint: str, answers: Sequence[tuple[Step, str, str | None]], now: datetime
) -> dict[str, Any]:
    """The answer to a message that was taken in.

    Args:
        answers: for each step the HTTP status, and where its Patient is now or ``None``.
    """
    entries = []
    for step, status, address in answers:
        response: dict[str, Any] = {"status": status}
        if address is not None:
            response["location"] = address
        if step.kind is StepKind.RELATION:
            response["outcome"] = warnings_outcome([("relations between patients are not kept", step.location)])
        entries.append({"request": dict(step.request), "response": response})
    history = {"resourceType": "Bundle", "type": "history", "entry": entries}
    response = {"identifier": head.id, "code": "ok"}
    return _message(_header(own_endpoint, head.source, _RESPONSE_EVENT, response), [history], now)


def refusal(
    head: MessageHead,
    own_endpoint: str,
    error: IheError,
    status: int,
    requests: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """The answer to a message that was refused: nothing of it was taken in.

    Args:
        status: HTTP status of the entry at fault.
        requests: the ``request`` of each entry of its history.
    """
    outcome = operation_outcome(error)
    transient = error_code(error).issue == "transient"
    at_fault = error.location or ""
    entries: list[dict[str, Any]] = []
    for number, request in enumerate(requests):
        is_at_fault = at_fault.startswith(f"Bundle.entry[1].resource.entry[{number}]")
        found = {"status": str(status), "outcome": outcome} if is_at_fault else {"status": "424"}
        entries.append({"request": dict(request), "response": found})
    details = {**outcome, "id": str(uuid.uuid4())}
    response: dict[str, Any] = {
        "identifier": head.id,
        "code": "transient-error" if transient else "fatal-error",
        "details": {"reference": f"urn:uuid:{details['id']}"},
    }
    resources: list[dict[str, Any]] = [details]
    if entries:
        resources.append({"resourceType": "Bundle", "type": "history", "entry": entries})
    return _message(_header(own_endpoint, head.source, _RESPONSE_EVENT, response), resources, now)


def feed_message(entries: Sequence[Mapping[str, Any]], source: str, destination: str, now: datetime) -> dict[str, Any]:
    """A message to somebody who is to be told.

    Args:
        entries: of the history, each with ``request``, ``response`` and, but for a deletion, ``resource``.
    """
    history = {
        "resourceType": "Bundle",
        "id": str(uuid.uuid4()),
        "meta": {"profile": [f"{_PROFILE}.Bundle.History"]},
        "type": "history",
        "entry": [dict(entry) for entry in entries],
    }
    header = _header(source, destination, FEED_EVENT, None)
    header["focus"] = [{"reference": f"urn:uuid:{history['id']}"}]
    header["definition"] = "IHE.PMIR.MessageDefinition"
    return {**_message(header, [history], now), "meta": {"profile": [f"{_PROFILE}.Bundle"]}}


def _header(source: str, destination: str, event: str, response: Mapping[str, Any] | None) -> dict[str, Any]:
    profile = f"{_PROFILE}.MessageHeader" + (".Response" if response else "")
    header: dict[str, Any] = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid4()),
        "meta": {"profile": [profile]},
        "eventUri": event,
        "destination": [{"endpoint": destination}],
        "source": {"endpoint": source},
    }
    if response is not None:
        header["response"] = dict(response)
    return header


def _message(header: Mapping[str, Any], resources: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    found = [{"fullUrl": f"urn:uuid:{header['id']}", "resource": dict(header)}]
    for resource in resources:
        resource_id = str(resource.get("id") or uuid.uuid4())
        with_id = {"resourceType": resource["resourceType"], "id": resource_id, **resource}
        found.append({"fullUrl": f"urn:uuid:{resource_id}", "resource": with_id})
    return {
        "resourceType": "Bundle",
        "id": str(uuid.uuid4()),
        "type": "message",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "entry": found,
    }


def is_accepted(answer: Mapping[str, Any]) -> bool:
    """Whether an answer to a message says that it was taken in; one that says nothing of it counts as such."""
    entries = answer.get("entry") or [{}]
    response = entries[0].get("resource", {}).get("response", {})
    return bool(response.get("code", "ok") == "ok")
