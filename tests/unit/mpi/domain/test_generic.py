"""The comparison that knows no country: names by letters, addresses by parts, a number as it is."""

from __future__ import annotations

import pytest

from ihe.values import PartialDate
from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.default_models import generic
from mpi.domain.generic import compare_area, compare_generic, compare_home
from mpi.domain.grades import grade_of
from mpi.domain.identity import Traits
from mpi.domain.levels import GENERIC_FIELDS, Area, Family, Given, Home, Ins
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score

REGISTER = "2.25.1"


def person(family: str | None, given: str | None, **more: object) -> Cleaned:
    values: dict[str, object] = {
        "birth_date": PartialDate(1951, 7, 23),
        "address": "12 harbour view road",
        "postal_code": "2604",
        "city": "kingston",
        "ins": "4821957",
        "ins_oid": REGISTER,
    }
    return clean(
        Traits(
            birth_family_name=family,
            birth_given_names=(given,) if given else (),
            first_birth_given_name=given,
            **{**values, **more},  # type: ignore[arg-type]
        )
    )


BASE = person("whitlam", "margaret")


@pytest.mark.parametrize(
    ("family", "given", "levels"),
    [
        ("whitlam", "margaret", (Family.SAME, Given.FIRST)),
        ("whitlma", "margraet", (Family.MISSPELT, Given.MISSPELT)),
        ("margaret", "whitlam", (Family.CROSSED, Given.CROSSED)),
        ("margaret", "howe", (Family.DIFFERENT_USED_POSSIBLE, Given.CROSSED)),
        (None, "whitlam", (Family.MISSING, Given.CROSSED)),
        ("barton", "jane", (Family.DIFFERENT_USED_POSSIBLE, Given.DIFFERENT)),
    ],
)
def test_names_are_compared_by_their_letters_and_places(
    family: str | None, given: str | None, levels: tuple[int, int]
) -> None:
    for pair in (
        compare_generic(BASE, person(family, given)),
        compare_generic(person(family, given), BASE),
    ):
        assert (pair.family, pair.given) == levels


@pytest.mark.parametrize(
    ("other", "level"),
    [
        ("12 HARBOUR VIEW ROAD", Home.SAME),
        ("12 HARBOUR VEIW RAOD", Home.ALIKE),
        ("12 LAKESIDE VILLAGE HARBOUR VIEW ROAD", Home.PARTLY),
        ("21 HARBOUR VIEW ROAD", Home.STREET),
        ("HARBOUR VIEW ROAD", Home.STREET),
        ("12 MUGGA LANE", Home.HOUSE),
        ("7 MUGGA LANE", Home.DIFFERENT),
        ("", Home.MISSING),
    ],
)
def test_a_street_line_is_compared_by_its_parts(other: str, level: Home) -> None:
    assert compare_home("12 HARBOUR VIEW ROAD", other) == level
    assert compare_home(other, "12 HARBOUR VIEW ROAD") == level


@pytest.mark.parametrize(
    ("city", "postal", "level"),
    [
        ("KINGSTON", "2604", Area.SAME),
        ("KINGSTN", "2640", Area.ALIKE),
        ("KINGSTON", "", Area.ONE_ALONE),
        ("KINGSTON", "7050", Area.ONE_OF_TWO),
        ("HOBART", "7050", Area.DIFFERENT),
        ("", "7050", Area.DIFFERENT),
        ("", "", Area.MISSING),
    ],
)
def test_town_and_postal_code_are_one_field(city: str, postal: str, level: Area) -> None:
    assert compare_area("KINGSTON", "2604", city, postal) == level
    assert compare_area(city, postal, "KINGSTON", "2604") == level


@pytest.mark.parametrize(
    ("number", "level"), [("4821957", Ins.SAME), ("4821597", Ins.CLOSE), ("9907361", Ins.DIFFERENT)]
)
def test_a_number_of_another_register_is_compared_as_it_is(number: str, level: Ins) -> None:
    assert compare_generic(BASE, person("whitlam", "margaret", ins=number)).ins == level


def test_a_number_of_another_register_tells_no_birthplace() -> None:
    assert person("whitlam", "margaret", ins="1510742218004").place == ""


def test_a_record_that_forbids_links_is_never_linked_by_itself() -> None:
    held = person("whitlam", "margaret", identity_attributes=frozenset({"DOUT"}))
    assert score(BASE, held, generic()).vetoes
    assert grade_of(score(BASE, held, generic()), BASE, held, generic()) == "possible"
    assert grade_of(score(BASE, BASE, generic()), BASE, BASE, generic()) == "probable"


@pytest.mark.parametrize(
    "other",
    [
        person("mathieson", "kate", address="", postal_code="", city=""),
        person("whitlam", "jane", ins=None, birth_date=None),
        person("margaret", "howe", ins="1", address="", birth_date=PartialDate(1915, 7, 23)),
        person("x", "y", ins=None, birth_date=None, city="elsewhere"),
    ],
)
def test_records_that_agree_in_two_ways_meet(other: Cleaned) -> None:
    assert set(blocking.keys(BASE, french=False)) & set(blocking.keys(other, french=False))


def test_a_generic_model_has_fields_of_its_own_and_survives_json() -> None:
    model = generic()
    assert list(model.fields) == list(GENERIC_FIELDS)
    assert MatchModel.from_json(model.to_json()) == model
    assert len(score(BASE, BASE, model).levels) == len(GENERIC_FIELDS)
