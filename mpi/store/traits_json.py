"""Traits as JSON, the form in which the store keeps them: empty traits are left out."""

from __future__ import annotations

from typing import Any

import orjson

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, Sex, Traits

_TEXTS = (
    "birth_family_name",
    "first_birth_given_name",
    "used_family_name",
    "used_given_name",
    "birth_place_code",
    "address",
    "postal_code",
    "city",
    "phone",
    "email",
    "ins",
    "ins_oid",
    "mother_family_name",
)


def to_json(traits: Traits) -> dict[str, Any]:
    """The traits that are present, JSON-serialisable."""
    found: dict[str, Any] = {name: value for name in _TEXTS if (value := getattr(traits, name))}
    if traits.birth_given_names:
        found["birth_given_names"] = list(traits.birth_given_names)
    if traits.sex is not None:
        found["sex"] = str(traits.sex)
    for name in ("birth_date", "death_date"):
        if (moment := getattr(traits, name)) is not None:
            found[name] = moment.iso
    if traits.birth_date_interpreted:
        found["birth_date_interpreted"] = True
    if traits.identity_status is not IdentityStatus.VIDE:
        found["identity_status"] = str(traits.identity_status)
    if traits.identity_attributes:
        found["identity_attributes"] = sorted(traits.identity_attributes)
    for name in ("multiple_birth", "birth_order"):
        if (value := getattr(traits, name)) is not None:
            found[name] = value
    return found


def from_json(found: dict[str, Any]) -> Traits:
    """Read back what :func:`to_json` wrote.

    Raises:
        ValueError: a value is not of its kind.
    """
    stated = found.get
    return Traits(
        birth_family_name=stated("birth_family_name"),
        birth_given_names=tuple(stated("birth_given_names", ())),
        first_birth_given_name=stated("first_birth_given_name"),
        used_family_name=stated("used_family_name"),
        used_given_name=stated("used_given_name"),
        sex=Sex(found["sex"]) if "sex" in found else None,
        birth_date=PartialDate.parse(found["birth_date"]) if "birth_date" in found else None,
        birth_date_interpreted=bool(stated("birth_date_interpreted", False)),
        birth_place_code=stated("birth_place_code"),
        address=stated("address"),
        postal_code=stated("postal_code"),
        city=stated("city"),
        phone=stated("phone"),
        email=stated("email"),
        ins=stated("ins"),
        ins_oid=stated("ins_oid"),
        identity_status=IdentityStatus(found["identity_status"]) if "identity_status" in found else IdentityStatus.VIDE,
        identity_attributes=frozenset(stated("identity_attributes", ())),
        mother_family_name=stated("mother_family_name"),
        multiple_birth=stated("multiple_birth"),
        birth_order=stated("birth_order"),
        death_date=PartialDate.parse(found["death_date"]) if "death_date" in found else None,
    )


def loads(found: str) -> Traits:
    """Read back the text that :func:`dumps` wrote.

    Raises:
        ValueError: it is no JSON, or a value is not of its kind.
    """
    return from_json(orjson.loads(found))


def json_text(value: Any) -> str:
    """JSON text for a ``jsonb`` parameter."""
    return orjson.dumps(value).decode()


def dumps(traits: Traits) -> str:
    """The traits as JSON text."""
    return json_text(to_json(traits))
