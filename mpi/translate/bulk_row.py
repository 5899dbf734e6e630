"""A row of the bulk columns → record key and traits.

The columns are those of the public contract: ``domain`` and ``local_id`` required, the others may be empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from ihe.errors import InvalidElement, MissingElement
from ihe.values import Oid, PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits

COLUMNS: Final = (
    "domain",
    "local_id",
    "birth_family_name",
    "birth_given_names",
    "first_birth_given_name",
    "used_family_name",
    "used_given_name",
    "sex",
    "birth_date",
    "birth_place_code",
    "address",
    "postal_code",
    "city",
    "phone",
    "email",
    "ins",
    "ins_oid",
    "identity_status",
    "identity_attributes",
    "source_updated_at",
)
Kind = TypeVar("Kind", bound=StrEnum)
REQUIRED: Final = ("domain", "local_id")


def unknown_columns(header: Sequence[str]) -> list[str]:
    """Names in a header that are no columns."""
    return [name for name in header if name not in COLUMNS]


def read_row(row: Mapping[str, str | None]) -> tuple[RecordKey, Traits, datetime | None]:
    """Key, traits and time of the source's last change.

    Raises:
        MissingElement: ``domain`` or ``local_id`` is empty.
        InvalidElement: a value is not of its column's form; the location names the column.
    """
    domain, local_id = (_text(row, name) for name in REQUIRED)
    if domain is None or local_id is None:
        raise MissingElement("domain and local_id are required", "domain" if domain is None else "local_id")
    attributes = _text(row, "identity_attributes")
    traits = Traits(
        birth_family_name=_text(row, "birth_family_name"),
        birth_given_names=tuple((_text(row, "birth_given_names") or "").split()),
        first_birth_given_name=_text(row, "first_birth_given_name"),
        used_family_name=_text(row, "used_family_name"),
        used_given_name=_text(row, "used_given_name"),
        sex=_one_of(row, "sex", Sex),
        birth_date=_date(row, "birth_date"),
        birth_place_code=_text(row, "birth_place_code"),
        address=_text(row, "address"),
        postal_code=_text(row, "postal_code"),
        city=_text(row, "city"),
        phone=_text(row, "phone"),
        email=_text(row, "email"),
        ins=_text(row, "ins"),
        ins_oid=_oid(row, "ins_oid"),
        identity_status=_one_of(row, "identity_status", IdentityStatus) or IdentityStatus.VIDE,
        identity_attributes=frozenset(a.strip() for a in (attributes or "").split("|") if a.strip()),
    )
    if (name := traits.unstorable()) is not None:
        raise InvalidElement(f"{name} is no text of at most 1000 characters", name)
    return RecordKey(domain, local_id), traits, _moment(row, "source_updated_at")


def _text(row: Mapping[str, str | None], name: str) -> str | None:
    return (row.get(name) or "").strip() or None


def _one_of(row: Mapping[str, str | None], name: str, kind: type[Kind]) -> Kind | None:
    text = _text(row, name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidElement(f"{name} is one of {', '.join(kind)}", name) from error


def _date(row: Mapping[str, str | None], name: str) -> PartialDate | None:
    text = _text(row, name)
    if text is None:
        return None
    try:
        return PartialDate.parse(text)
    except ValueError as error:
        raise InvalidElement(f"{name} is written YYYY-MM-DD, YYYY-MM or YYYY: {error}", name) from error


def _oid(row: Mapping[str, str | None], name: str) -> str | None:
    text = _text(row, name)
    if text is None:
        return None
    try:
        return str(Oid(text))
    except ValueError as error:
        raise InvalidElement(f"{name} is {error}", name) from error


def _moment(row: Mapping[str, str | None], name: str) -> datetime | None:
    text = _text(row, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidElement(f"{name} is an ISO 8601 date and time", name) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
