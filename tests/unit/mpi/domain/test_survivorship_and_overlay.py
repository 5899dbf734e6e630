"""Displayed traits, and updates that replace a patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.overlay import suspect
from mpi.domain.survivorship import Statement, derive

BASE = Traits(
    birth_family_name="MARCHAND",
    birth_given_names=("SOLENE", "MARIE"),
    sex=Sex.FEMALE,
    birth_date=PartialDate(1978, 5, 17),
    birth_place_code="42218",
    phone="0477123456",
)


def statement(domain: str, day: int, **changes: object) -> Statement:
    traits = replace(BASE, **changes)  # type: ignore[arg-type]
    return Statement(RecordKey(domain, "1"), traits, datetime(2025, 1, day, tzinfo=UTC))


def test_a_qualified_identity_speaks_before_newer_ones() -> None:
    qualified = statement(
        "CHUSE", 1, ins="2480342218000", ins_oid="1.2.250.1.213.1.4.8", identity_status=IdentityStatus.QUAL, phone=None
    )
    newer = statement(
        "ROANNE", 9, birth_family_name="MARCHANT", identity_status=IdentityStatus.VALI, phone="0611223344"
    )
    shown = derive([newer, qualified])
    assert shown.traits.birth_family_name == "MARCHAND"
    assert shown.traits.phone == "0611223344"
    assert shown.traits.has_qualified_ins
    assert shown.provenance["birth_family_name"].domain == "CHUSE"
    assert shown.provenance["phone"].domain == "ROANNE"


def test_missing_strict_traits_are_filled_but_never_a_number() -> None:
    lead = statement("CHUSE", 1, identity_status=IdentityStatus.VALI, birth_place_code=None)
    other = statement("ROANNE", 2, ins="2480342218000", ins_oid="1.2.250.1.213.1.4.8")
    shown = derive([lead, other])
    assert shown.traits.birth_place_code == "42218"
    assert shown.provenance["birth_place_code"].domain == "ROANNE"
    assert shown.traits.ins is None
    assert "ins" not in shown.provenance


def test_an_address_is_taken_whole() -> None:
    old = statement("CHUSE", 1, address="3 rue des Lilas", postal_code="42000", city="SAINT-ETIENNE")
    new = statement("ROANNE", 5, city="ROANNE")
    shown = derive([old, new])
    assert (shown.traits.address, shown.traits.postal_code, shown.traits.city) == (None, None, "ROANNE")


def test_doubtful_identities_speak_last() -> None:
    doubtful = statement("CHUSE", 9, birth_family_name="PETIT", identity_attributes=frozenset({"DOUT"}))
    assert derive([doubtful, statement("ROANNE", 1)]).traits.birth_family_name == "MARCHAND"


def test_order_plays_no_part_and_nobody_is_no_person() -> None:
    said = [statement("A", 3), statement("B", 3, phone="0611223344"), statement("C", 1)]
    assert derive(said) == derive(said[::-1])
    with pytest.raises(ValueError, match="at least one"):
        derive([])


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_family_name": "DUBOIS"},
        {"birth_family_name": "MARCHANT", "birth_date": PartialDate(1978, 5, 18)},
        {"birth_given_names": ("MARIE",)},
        {"birth_date": PartialDate(1952, 1, 3)},
        {"phone": None, "birth_place_code": "69123"},
        {"sex": Sex.MALE},
        {"birth_family_name": "SOLENE", "birth_given_names": ("MARCHAND",)},
    ],
)
def test_corrections_are_no_overlays(changes: dict[str, object]) -> None:
    assert not suspect(BASE, replace(BASE, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_family_name": "DUBOIS", "birth_given_names": ("LUCIENNE",)},
        {"birth_given_names": ("JUSTINE",), "birth_date": PartialDate(1981, 2, 3)},
        {"birth_given_names": ("LUCIEN",), "sex": Sex.MALE},
        {"birth_family_name": "DUBOIS", "birth_date": PartialDate(1951, 2, 3)},
    ],
)
def test_another_person_is_an_overlay(changes: dict[str, object]) -> None:
    assert suspect(BASE, replace(BASE, **changes))  # type: ignore[arg-type]


def test_a_newborn_that_gets_its_name_is_no_overlay() -> None:
    newborn = replace(BASE, birth_given_names=("BEBE",), birth_date=PartialDate(2025, 1, 2))
    assert not suspect(newborn, replace(newborn, birth_given_names=("LOU",)))
