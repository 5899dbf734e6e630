"""The traits a person is shown with: chosen from the records, never entered, each with where it came from.

Qualified identities speak first, then validated ones, then the newest. Strict traits are taken together from
one record, so that no identity is shown that nobody ever stated.

Source: RNIV, order of trust of identities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from mpi.domain.identity import NEVER_AUTOMATIC, IdentityStatus, RecordKey, Traits

_TRUST = {
    IdentityStatus.QUAL: 0,
    IdentityStatus.VALI: 1,
    IdentityStatus.RECUP: 2,
    IdentityStatus.PROV: 3,
    IdentityStatus.VIDE: 3,
}
STRICT = (
    "birth_family_name",
    "birth_given_names",
    "first_birth_given_name",
    "sex",
    "birth_date",
    "birth_date_interpreted",
    "birth_place_code",
    "ins",
    "ins_oid",
    "identity_status",
    "multiple_birth",
    "birth_order",
)
_ADDRESS = ("address", "postal_code", "city")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a record says, and when.

    Attributes:
        at: when the source stated it (source time, else time of arrival); aware.
    """

    key: RecordKey
    traits: Traits
    at: datetime


@dataclass(frozen=True, slots=True)
class Displayed:
    """Traits to show, and the record each known trait was taken from."""

    traits: Traits
    provenance: Mapping[str, RecordKey]


def derive(statements: Sequence[Statement]) -> Displayed:
    """Choose the displayed traits of a person.

    Args:
        statements: at least one, in any order.

    Raises:
        ValueError: no statement.
    """
    if not statements:
        raise ValueError("a person needs at least one record")
    newest = sorted(statements, key=lambda s: s.key)
    newest.sort(key=lambda s: s.at, reverse=True)
    trusted = sorted(newest, key=lambda s: (bool(s.traits.identity_attributes & NEVER_AUTOMATIC), _trust(s.traits)))
    lead = trusted[0]
    traits = replace(lead.traits, identity_attributes=frozenset())
    provenance: dict[str, RecordKey] = {}
    for name in STRICT:
        _take(traits, name, [lead, *trusted[1:]], provenance)
    changes: dict[str, object] = {}
    for name in STRICT:
        source = provenance.get(name)
        if source is not None and source != lead.key and name not in ("ins", "ins_oid", "identity_status"):
            changes[name] = next(getattr(s.traits, name) for s in trusted if s.key == source)
        elif source is not None and source != lead.key:
            del provenance[name]
    address = next((s for s in newest if any(getattr(s.traits, name) for name in _ADDRESS)), None)
    for field in fields(Traits):
        name = field.name
        if name in STRICT or name == "identity_attributes":
            continue
        order = [address] if name in _ADDRESS and address else newest
        chosen = next((s for s in order if _known(getattr(s.traits, name))), None)
        changes[name] = getattr(chosen.traits, name) if chosen else None
        if chosen:
            provenance[name] = chosen.key
    return Displayed(replace(traits, **changes), provenance)  # type: ignore[arg-type]


def _trust(traits: Traits) -> int:
    if traits.identity_status is IdentityStatus.QUAL and not traits.has_qualified_ins:
        return _TRUST[IdentityStatus.VALI]
    return _TRUST[traits.identity_status]


def _take(traits: Traits, name: str, order: Sequence[Statement], provenance: dict[str, RecordKey]) -> None:
    """Note the first record that knows a trait; the lead's own value stands when it has one."""
    for statement in order:
        if _known(getattr(statement.traits, name)):
            provenance[name] = statement.key
            return


def _known(value: object) -> bool:
    return value is not None and value != () and value is not False and value is not IdentityStatus.VIDE
