"""Search parameters of AuditEvent → a search of the trail.

Source: ITI TF-2: 3.81.4.1.2; HL7 FHIR R4 AuditEvent search parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ihe.errors import InvalidElement, MissingElement
from ihe.fhir.audit_event import DCM, EVENT_TYPE
from ihe.store.audit_search import AuditSearch
from mpi.translate.fhir_patient import parse_token

PARAMETERS: Final = (
    ("date", "date"),
    ("patient.identifier", "token"),
    ("entity", "token"),
    ("agent", "token"),
    ("address", "string"),
    ("type", "token"),
    ("subtype", "token"),
    ("action", "token"),
    ("outcome", "token"),
)
RESULT_PARAMETERS: Final = (("_count", "number"), ("_before", "number"), ("_format", "string"))
_DEFAULT_COUNT: Final = 100
_MAX_COUNT: Final = 1000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A search, and how many events one answer holds."""

    search: AuditSearch
    count: int


def read_audit_query(parameters: Iterable[tuple[str, str]]) -> AuditQuery:
    """Read the parameters.

    Raises:
        InvalidElement: one is unknown, given twice where that means nothing, or malformed.
        MissingElement: no date bounds the search.
    """
    found: dict[str, Any] = {}
    count = _DEFAULT_COUNT
    for name, value in parameters:
        values = [each for each in value.split(",") if each]
        match name:
            case "_format":
                continue
            case "_count":
                count = min(max(_natural(value, name), 1), _MAX_COUNT)
                continue
            case "_before":
                found["before"] = _natural(value, name)
                continue
            case "date":
                _bound(found, value)
                continue
            case "patient.identifier" | "entity":
                key, read = (
                    ("patients" if name == "patient.identifier" else "objects"),
                    [_named(v, name) for v in values],
                )
            case "agent":
                key, read = "users", [each.rpartition("|")[2] for each in values]
            case "address":
                key, read = "systems", values
            case "type":
                key, read = "event_codes", [_code(each, DCM, name) for each in values]
            case "subtype":
                key, read = "transactions", [_code(each, EVENT_TYPE, name) for each in values]
            case "action":
                key, read = "actions", [each.rpartition("|")[2] for each in values]
            case "outcome":
                found["outcomes"] = tuple(_natural(each.rpartition("|")[2], name) for each in values)
                continue
            case _:
                raise InvalidElement("the parameter is not supported", name[:60])
        if key in found:
            raise InvalidElement(f"{name} is given once, with alternatives behind commas", name)
        found[key] = tuple(read)
    if "since" not in found and "until" not in found:
        raise MissingElement("a search of the trail is bounded by date (date=ge…, date=lt…)", "date")
    return AuditQuery(AuditSearch(**found), count)


def _bound(found: dict[str, Any], value: str) -> None:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    start, end = _period(text)
    since = {"ge": start, "gt": end, "sa": end, "eq": start}.get(prefix)
    until = {"le": end, "lt": start, "eb": start, "eq": end}.get(prefix)
    if since is None and until is None:
        raise InvalidElement("a date is compared by eq, ge, gt, le, lt, sa or eb", "date")
    if since is not None:
        found["since"] = max(since, found.get("since", since))
    if until is not None:
        found["until"] = min(until, found.get("until", until))


def _period(text: str) -> tuple[datetime, datetime]:
    """The first moment of a date or time as precise as it is written, and the first one after it."""
    try:
        if len(text) == 4:
            start = datetime(int(text), 1, 1, tzinfo=UTC)
            return start, start.replace(year=start.year + 1)
        if len(text) == 7:
            start = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
            return start, (start + timedelta(days=32)).replace(day=1)
        read = datetime.fromisoformat(text)
        start = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
        step = (
            timedelta(days=1) if len(text) == 10 else timedelta(milliseconds=1) if "." in text else timedelta(seconds=1)
        )
        return start, start + step
    except (ValueError, OverflowError) as error:
        raise InvalidElement("a date is written YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz", "date") from error


def _named(text: str, name: str) -> str:
    """An identifier as the trail has it: CX where the system is an OID, else as it stands."""
    system, bar, value = text.rpartition("|")
    if not bar or system == "urn:ietf:rfc:3986":
        return value.removeprefix("urn:oid:")
    try:
        return parse_token(text).xds_cx
    except (LookupError, ValueError) as error:
        raise InvalidElement("an identifier is written system|value, the system an OID", name) from error


def _code(text: str, system: str, name: str) -> str:
    stated, bar, code = text.rpartition("|")
    if bar and stated != system:
        raise InvalidElement(f"codes are of {system}", name)
    return code


def _natural(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidElement("a number is needed", name)
    return int(text)
