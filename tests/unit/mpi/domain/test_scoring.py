"""Weights, vetoes, keys and explanations of pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.values import PartialDate
from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.comparison import compare
from mpi.domain.default_models import default_french, generic
from mpi.domain.explanation import explain
from mpi.domain.facts import is_cut_short
from mpi.domain.grades import Grade, LinkPolicy, grade_of
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.domain.levels import Birth, Contact, Family, Given, Ins
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score, score_many
from mpi.domain.vetoes import Hint, Veto, find_vetoes

MODEL = default_french()
NIR_OID = "1.2.250.1.213.1.4.8"
ONE, OTHER = "248034221800010", "1550342218000"


def person(
    family: str, given_names: str, born: str, sex: str = "F", place: str | None = "42218", **more: object
) -> Cleaned:
    return clean(
        Traits(
            birth_family_name=family or None,
            birth_given_names=tuple(given_names.split()),
            sex=Sex(sex) if sex else None,
            birth_date=PartialDate.parse(born) if born else None,
            birth_place_code=place,
            **more,  # type: ignore[arg-type]
        )
    )


BASE = person("MARCHAND", "SOLENE MARIE", "1978-05-17")


@pytest.mark.parametrize(
    ("family", "used", "level"),
    [
        ("Marchand", None, Family.SAME),
        ("LE MARCHAND", None, Family.SAME),
        ("DUBOIS", "MARCHAND", Family.USED),
        ("MARCHAND-DUBOIS", None, Family.PART),
        ("MORCHAMD", None, Family.NEAR),
        ("MARCHAMD", None, Family.MISSPELT),
        ("MARCHANT", None, Family.CLOSE),
        ("DUBOIS", None, Family.DIFFERENT_USED_POSSIBLE),
        ("SOLENE", None, Family.DIFFERENT_USED_POSSIBLE),
        ("X", None, Family.MISSING),
    ],
)
def test_family_levels(family: str, used: str | None, level: Family) -> None:
    assert compare(BASE, person(family, "SOLENE", "1978-05-17", used_family_name=used)).family == level


def test_two_slips_in_a_short_unknown_family_name_are_near() -> None:
    assert (
        compare(person("BEZIAU", "SOLENE", "1978-05-17"), person("BZZI", "SOLENE", "1978-05-17")).family >= Family.NEAR
    )
    assert (
        compare(person("THOMAS", "SOLENE", "1978-05-17"), person("TOAS", "SOLENE", "1978-05-17")).family == Family.NEAR
    )
    assert compare(person("ROUX", "SOLENE", "1978-05-17"), person("LEROUX", "SOLENE", "1978-05-17")).family not in (
        Family.NEAR,
        Family.SAME,
    )


HOME = {"address": "3 rue des Lilas", "postal_code": "42000", "city": "SAINT-ETIENNE"}
AWAY = {"address": "12 place du Marche", "postal_code": "42600", "city": "MONTBRISON"}


@pytest.mark.parametrize(
    ("one", "other", "veto", "holds"),
    [
        (person("DIARRA", "PATRICK", "1963-05-28", "M", "99330", **HOME), ("42095", HOME), Veto.PLACE, False),
        (person("DIARRA", "PATRICK", "1963-05-28", "M", "99330", **HOME), ("42095", AWAY), Veto.PLACE, True),
    ],
)
def test_a_birthplace_differs_for_namesakes_unless_they_share_a_home(
    one: Cleaned, other: tuple[str, dict[str, str]], veto: Veto, holds: bool
) -> None:
    place, home = other
    b = person("DIARRA", "PATRICK", "1963-05-28", "M", place, **home)
    assert (veto in find_vetoes(one, b, compare(one, b))) is holds


@pytest.mark.parametrize(("home", "holds"), [(HOME, False), (AWAY, True)])
def test_a_name_further_back_in_the_list_counts_at_home_only(home: dict[str, str], holds: bool) -> None:
    a = person("MARCHAND", "GASTON EDMOND", "1966-05-17", "M", **HOME)
    b = person("MARCHAND", "EDMOND", "1966-05-17", "M", **home)
    assert (Veto.TWIN_LIKE in find_vetoes(a, b, compare(a, b))) is holds


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("SOW", "SW", Family.NEAR),
        ("RIO", "RROI", Family.NEAR),
        ("ROY", "REY", Family.CLOSE),
        ("LE", "LY", Family.DIFFERENT_USED_POSSIBLE),
        ("SW", "SX", Family.NEAR),
        ("SOW", "SWX", Family.NEAR),
        ("W", "SW", Family.DIFFERENT_USED_POSSIBLE),
        ("SAINT-PAUL", "PAUL-SAINT", Family.PART),
        ("BRAS LE", "LE BRAS", Family.SAME),
    ],
)
def test_short_family_names_and_words_in_another_order(one: str, other: str, level: Family) -> None:
    a, b = (person(name, "SOLENE", "1978-05-17") for name in (one, other))
    assert compare(a, b).family == compare(b, a).family == level
    columns = Columns([a, b])
    weighed = score_pairs(columns, np.array([0]), np.array([1]), default_french())
    assert weighed.levels[0, 0] == level


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("CATHERINE", "CATHY", True),
        ("FRED", "FREDERIC", True),
        ("DANIELLE", "DANY", True),
        ("KADER", "ABDELKADER", True),
        ("CHRIS", "CHRISTOPHE", False),  # or CHRISTIAN
        ("MAX", "MAXIME", False),
        ("ELISABETH", "LISE", False),
        ("ELISE", "ELISABETH", False),
        ("FRANCK", "FRANCOIS", False),
        ("FATIMA", "FATIHA", False),
        ("YVES", "YVON", False),
        ("MARIE", "MARIETTE", False),
        ("CATH", "CATHY", False),  # two short forms
        ("DANIEL", "DAN MARIE", False),
    ],
)
def test_a_name_cut_short_is_no_twins(one: str, other: str, expected: bool) -> None:
    assert is_cut_short(one, other) is is_cut_short(other, one) is expected


def test_a_default_date_is_outweighed_by_rare_names_alone() -> None:
    model = default_french()
    a, b = (person("OZYILDIRIM", "GULBEYAZ", "1962-01-01", "F", "99208", **at) for at in (HOME, AWAY))
    pair = score(a, b, model)
    assert pair.vetoes == (Veto.DEFAULT_DATE,)
    just = replace(model, thresholds=replace(model.thresholds, outweighing=pair.weight_bits))
    more = replace(model, thresholds=replace(model.thresholds, outweighing=pair.weight_bits + 0.1))
    assert (grade_of(pair, a, b, just), grade_of(pair, a, b, more)) == (Grade.PROBABLE, Grade.POSSIBLE)
    assert explain(pair, a, b, just)["what_would_change"] == [
        "Rare names outweigh this: the birth date is a default or partial and nothing else supports it.",
        "The link holds until it loses more than 0.0 bits or meets a veto.",
    ]
    forbidden, missing, *_ = explain(pair, a, b, more)["what_would_change"]
    assert forbidden.startswith("It cannot be linked by itself because: ")
    assert missing == "0.1 bits are missing for an automatic link."


@pytest.mark.parametrize(("used", "holds"), [("VERNAISON", False), (None, True)])
def test_an_equal_used_name_supports_a_default_date(used: str | None, holds: bool) -> None:
    a, b = (person("HADDAD", "NAWEL", "1980-12-31", "F", "99350", used_family_name=used, **at) for at in (HOME, AWAY))
    assert (Veto.DEFAULT_DATE in find_vetoes(a, b, compare(a, b))) is holds


@pytest.mark.parametrize(("names", "holds"), [("CAMILLE ANNICK", False), ("CAMILLE", True)])
def test_a_list_shows_a_sex_as_a_slip_where_the_first_name_does_not(names: str, holds: bool) -> None:
    a, b = (person("MARCHAND", names, "1990-10-12", sex) for sex in "FM")
    assert (Veto.SEX in find_vetoes(a, b, compare(a, b))) is holds


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("JEAN PIERRE PAUL", "JEAN PIERRE PAUL", Given.LIST),
        ("JEAN-PIERRE PAUL", "JEAN PIERRE PAUL", Given.PREFIX),
        ("JEAN-PIERRE", "JEAN", Given.PREFIX),
        ("JEAN-PIERRE", "JEANPIERRE", Given.FIRST),
        ("JEAN-PIERRE", "JEAN-PAUL", Given.COMPOUND_CONFLICT),
        ("JEAN-PIERRE PAUL", "JEAN-PAUL PIERRE", Given.COMPOUND_CONFLICT),
        ("JEAN", "JEAN MARIE LUC", Given.FIRST),
        ("JEAN PAUL", "JEAN LUC", Given.LISTS_CONFLICT),
        ("MARIE JEANNE LOUISE", "LOUISE", Given.LISTED),
        ("CATHERINE", "KATIA", Given.DIMINUTIVE),
        ("CATHERINE ODILE", "KATIA ODILE", Given.MISSPELT),
        ("CATHERINE ODILE", "KATIA ROSE", Given.COMPOUND_CONFLICT),
        ("MICHAEL MAURICE", "MICKAEL MARIE", Given.COMPOUND_CONFLICT),
        ("STEPHANIE", "STEPAHNIE", Given.MISSPELT),
        ("CATHERINE", "KATHERINE", Given.SPELLING),
        ("LOUIS", "LOUISE", Given.SIMILAR),
        ("LEA", "LENA", Given.SIMILAR),
        ("JULIEN", "JULIAN", Given.SIMILAR),
        ("MATHIEU", "MATTHIEU", Given.SPELLING),
        ("SARA", "ZARA", Given.SIMILAR),
        ("ERIC", "ERICK", Given.SPELLING),
        ("CHLOE", "CLOE", Given.SPELLING),
        ("AHMED", "AHMET", Given.SPELLING),
        ("MARIE ODILE ROSE", "MARIO ODILE ROSE", Given.MISSPELT),
        ("JEAN-PIERRE", "JENA-PIERRE", Given.MISSPELT),
        ("JEAN-CHRISTOPHE HENRI", "JEAN HENRI", Given.PREFIX),
        ("ARNAUD JEAN", "JEAN-BAPTISTE", Given.DIFFERENT),
        ("PAUL", "P", Given.INITIAL),
        ("JEAN-PIERRE", "JP", Given.INITIAL),
        ("MARIE-THERESE", "M-THERESE", Given.INITIAL),
        ("PIERRE PAUL", "PAUL PIERRE", Given.COMPOUND_CONFLICT),
        ("CHANTAL GHISLAINE JEANNE", "GHISLAINE ANDREE", Given.COMPOUND_CONFLICT),
        ("PAUL", "SIMON", Given.DIFFERENT),
        ("PAUL", "X", Given.MISSING),
    ],
)
def test_given_name_levels(one: str, other: str, level: Given) -> None:
    a, b = person("MARCHAND", one, "1978-05-17", "M"), person("MARCHAND", other, "1978-05-17", "M")
    assert compare(a, b).given == level
    assert compare(b, a).given == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1978-05-17", "1978-05-17", Birth.SAME),
        ("1950-12-31", "1950-12-31", Birth.SAME_DEFAULT),
        ("1950-12-31", "1950-01-01", Birth.DEFAULT_YEAR),
        ("1950-12-31", "1950-06-11", Birth.DEFAULT_YEAR),
        ("1950-03", "1950-03-12", Birth.SAME_MONTH),
        ("1950-03", "1950-04-12", Birth.DIFFERENT),
        ("1900-01-01", "1950-04-12", Birth.MISSING),
        ("1950", "1950-03-12", Birth.SAME_YEAR),
        ("1978-05-07", "1978-07-05", Birth.SWAPPED),
        ("1978-05-17", "1987-05-17", Birth.ONE_DIGIT),
        ("1978-05-17", "1978-05-18", Birth.ONE_DIGIT),
        ("1917-05-17", "2017-05-17", Birth.CENTURY),
        ("1978-05-17", "1978-05-02", Birth.TWO_PARTS),
        ("1978-05-17", "1952-11-03", Birth.DIFFERENT),
        ("", "1952-11-03", Birth.MISSING),
    ],
)
def test_birth_levels(one: str, other: str, level: Birth) -> None:
    abroad = (person("A", "B", born, place="99352") for born in (one, other))
    assert compare(*abroad).birth == level


def test_the_first_of_january_is_a_birthday_for_those_born_in_france() -> None:
    native, unknown = (person("A", "B", "1950-01-01", place=place) for place in ("42218", None))
    made_up = person("A", "B", "1950-01-01", birth_date_interpreted=True)
    assert compare(native, unknown).birth == compare(unknown, native).birth == Birth.SAME
    assert compare(unknown, unknown).birth == Birth.SAME_DEFAULT
    assert compare(native, made_up).birth == Birth.SAME_DEFAULT


def test_names_common_abroad_are_rare_only_among_those_born_in_france() -> None:
    def rarity(family: str, place: str | None) -> float:
        twice = person(family, "ANTONIO", "1950-06-11", "M", place)
        return sum(score(twice, twice, default_french()).rarity_units[:2]) / 256

    assert rarity("FERREIRA", "42218") > rarity("FERREIRA", None) == rarity("FERREIRA", "99139")
    # A name that no table holds may be anybody's there: it counts as an average one.
    assert rarity("SZYMKOWIAK", None) > rarity("SZYMKOWIAK", "99122") > rarity("FERREIRA", "99122")


@pytest.mark.parametrize(
    ("one", "other", "linked"),
    [
        ("GERARD", "GEGE", True),
        ("JEAN", "JEANNOT", False),
        ("ELISABETH", "LISE", False),
        ("VALERIE", "VAL", True),
        ("ANTOINE", "TONY", False),
    ],
)
def test_a_short_form_is_a_twins_name_only_if_children_are_registered_under_it(
    one: str, other: str, linked: bool
) -> None:
    a, b = person("MARCHAND", one, "1978-05-17"), person("MARCHAND", other, "1978-05-17")
    assert (Veto.TWIN_LIKE not in find_vetoes(a, b, compare(a, b))) is linked


def test_exchanged_digits_of_the_year_are_a_slip_only_in_one_home() -> None:
    home = {"address": "14 rue du Moulin", "postal_code": "42600"}
    son, father = (person("MARCHAND", "PAUL", born, "M", **home) for born in ("1974-06-04", "1947-06-04"))
    mover = person("MARCHAND", "PAUL", "1947-06-04", "M", address="2 rue du Lavoir", postal_code="42300")
    assert Veto.DECADES not in find_vetoes(son, father, compare(son, father))
    assert Veto.DECADES in find_vetoes(son, mover, compare(son, mover))


def test_different_matricules_keep_apart_whatever_their_status() -> None:
    numbers = {"ins_oid": "1.2.250.1.213.1.4.8"}
    a = person("MARCHAND", "SOLENE", "1978-05-17", ins="2780542218999", **numbers)
    b = person("MARCHAND", "SOLENE", "1978-05-17", ins="2780542218998", **numbers)
    c = person("MARCHAND", "SOLENE", "1978-05-17", ins="2780542218312", **numbers)
    d = person("MARCHAND", "LENE", "1978-05-17", ins="2780542218998", **numbers)
    assert Veto.INS_DIGIT in find_vetoes(a, b, compare(a, b))
    assert Veto.OTHER_INS in find_vetoes(a, c, compare(a, c))
    assert Veto.OTHER_INS in find_vetoes(a, d, compare(a, d))


def test_a_used_name_that_agrees_besides_the_birth_name_is_evidence_of_its_own() -> None:
    a, b, plain = (person("MARCHAND", "LEA", "1978-05-17", used_family_name=used) for used in ("ROUX", "ROUX", None))
    assert compare(a, b).family == Family.SAME_AND_USED
    assert score(a, b, default_french()).weight_units > score(a, plain, default_french()).weight_units


def test_crossed_names_are_seen() -> None:
    pair = compare(BASE, person("SOLENE", "MARCHAND", "1978-05-17"))
    assert (pair.family, pair.given) == (Family.CROSSED, Given.CROSSED)


def test_same_household_counts_against_identity() -> None:
    home = {"address": "3 rue des Lilas", "postal_code": "42000", "phone": "0477123456"}
    sister = person("MARCHAND", "JUSTINE", "1981-02-03", **home)
    pair = score(person("MARCHAND", "SOLENE", "1978-05-17", **home), sister, MODEL)
    assert pair.levels[6] == Contact.HOUSEHOLD
    assert Hint.HOUSEHOLD in pair.hints
    assert grade_of(pair, BASE, sister, MODEL) is None


def test_equal_traits_are_no_proof_without_a_birthplace() -> None:
    a, b = (person("MARTIN", "JEAN", "1948-05-17", "M", place=None) for _ in "ab")
    pair = score(a, b, MODEL)
    assert pair.vetoes == (Veto.UNSUPPORTED,)
    assert grade_of(pair, a, b, MODEL) is Grade.POSSIBLE
    a, b = (person("RARISSIMEAU", "SOLENE", "1978-05-17") for _ in "ab")
    assert grade_of(score(a, b, MODEL), a, b, MODEL) is Grade.PROBABLE


def test_rare_names_support_themselves() -> None:
    a, b = (person("RARISSIMEAU", "SOLENE", "1978-05-17", place=None) for _ in "ab")
    pair = score(a, b, MODEL)
    assert pair.vetoes == (Veto.UNSUPPORTED,)
    assert grade_of(pair, a, b, MODEL) is Grade.PROBABLE


def test_strict_traits_checked_on_both_sides_are_certain() -> None:
    a, b = (person("MARTIN", "MARIE", "1978-05-17", identity_status=IdentityStatus.VALI) for _ in "ab")
    assert grade_of(score(a, b, MODEL), a, b, MODEL) is Grade.CERTAIN


def test_qualified_numbers_decide() -> None:
    qualified = {"ins_oid": NIR_OID, "identity_status": IdentityStatus.QUAL}
    a = person("MARCHAND", "SOLENE", "1948-03-17", ins=ONE, **qualified)
    same = person("MARCHAND", "SOLENE", "1948-03-17", place=None, ins=ONE[:13], **qualified)
    different = person("MARCHAND", "SOLENE", "1948-03-17", ins=OTHER, **qualified)
    stranger = person("PETIT", "LUCIEN", "1955-03-01", "M", ins=ONE, **qualified)
    assert grade_of(score(a, same, MODEL), a, same, MODEL) is Grade.CERTAIN
    assert score(a, different, MODEL).vetoes[0] is Veto.DIFFERENT_INS
    assert grade_of(score(a, different, MODEL), a, different, MODEL) is None
    conflict = score(a, stranger, MODEL)
    assert conflict.levels[5] == Ins.SAME_QUALIFIED
    assert Veto.INS_CONTRADICTED in conflict.vetoes
    assert grade_of(conflict, a, stranger, MODEL) is Grade.POSSIBLE


def test_numbers_of_two_authorities_are_not_compared() -> None:
    qualified = {"identity_status": IdentityStatus.QUAL, "ins": ONE}
    a = person("MARCHAND", "SOLENE", "1948-03-17", ins_oid=NIR_OID, **qualified)
    b = person("MARCHAND", "SOLENE", "1948-03-17", ins_oid="1.2.250.1.213.1.4.9", **qualified)
    assert compare(a, b).ins == Ins.MISSING


@pytest.mark.parametrize("attribute", ["DOUT", "FICT", "ANOM", "CACH"])
def test_attributes_forbid_automatic_links(attribute: str) -> None:
    a = person("MARCHAND", "SOLENE MARIE", "1978-05-17", identity_attributes=frozenset({attribute}))
    assert score(a, BASE, MODEL).vetoes == (Veto.ATTRIBUTE,)


def test_twins_and_parents() -> None:
    twin = person("MARCHAND", "JUSTINE", "1978-05-17")
    assert Veto.TWINS in score(BASE, twin, MODEL).vetoes
    father, son = person("MARCHAND", "JEAN", "1950-02-03", "M"), person("MARCHAND", "JEAN", "1978-06-12", "M")
    assert Veto.PARENT in score(father, son, MODEL).vetoes


family_names = st.sampled_from(
    ["MARTIN", "MARTEN", "DE LA TOUR", "TOUR", "LE GALL", "LEGALL", "DUBOIS-PETIT", "PETIT", "SIMON", "X", ""]
)
given_names = st.sampled_from(
    ["SIMON", "JEAN-PIERRE", "JEAN PIERRE", "JEAN-PAUL", "MARIE", "CAMILLE", "KATIA", "CATHERINE", "P", "BEBE", ""]
)
dates = st.sampled_from(
    ["1950-12-31", "1950-01-01", "1950-03-04", "1950-04-03", "1950", "1950-03", "1978-03-04", "", "2050-03-04"]
)
records = st.builds(
    person,
    family_names,
    given_names,
    dates,
    st.sampled_from(["M", "F", ""]),
    st.sampled_from(["42218", "42187", "99352", "92351", None]),
    used_family_name=st.none() | family_names,
    used_given_name=st.none() | given_names,
    ins=st.sampled_from([None, ONE, OTHER]),
    ins_oid=st.sampled_from([None, NIR_OID]),
    identity_status=st.sampled_from(IdentityStatus),
    phone=st.sampled_from([None, "0477123456", "0477123457"]),
    address=st.sampled_from([None, "3 rue des Lilas", "3 r des lilas", "4 rue des Lilas"]),
    postal_code=st.sampled_from([None, "42000", "42100"]),
    multiple_birth=st.booleans(),
    birth_order=st.sampled_from([None, 1, 2]),
)


@given(records, records)
def test_a_weight_is_symmetric(a: Cleaned, b: Cleaned) -> None:
    assert score(a, b, MODEL) == score(b, a, MODEL)


@given(records, st.lists(records, max_size=5))
def test_many_at_once_weigh_the_same(a: Cleaned, others: list[Cleaned]) -> None:
    assert score_many(a, others, MODEL) == [score(a, other, MODEL) for other in others]


@given(records, records)
def test_a_weight_is_the_sum_of_what_is_explained(a: Cleaned, b: Cleaned) -> None:
    pair = score(a, b, MODEL)
    told = explain(pair, a, b, MODEL)
    assert sum(row["bits"] + row["rarity_bits"] for row in told["fields"]) == pair.weight_bits
    assert json.loads(json.dumps(told)) == told


@given(records)
def test_placeholders_and_unknown_values_make_no_key(a: Cleaned) -> None:
    texts = blocking.key_texts(a)
    if not a.family and not a.used_family and not a.first and not a.used_given:
        assert not any(text.startswith(("df", "dg", "n", "f")) for text in texts)
    assert len(blocking.keys(a)) == len(texts)


def test_an_empty_record_has_no_key() -> None:
    assert blocking.keys(person("INCONNU", "X", "", "", None, phone="0000000000")) == ()


def test_keys_are_the_same_in_another_process() -> None:
    code = (
        "from mpi.domain.cleaning import Cleaned\n"
        "from mpi.domain.blocking import keys\n"
        "print(keys(Cleaned(family='LE GALL', first='ANNE', given='ANNE', year=1950, month=2, day=3)))"
    )
    here = blocking.keys(Cleaned(family="LE GALL", first="ANNE", given="ANNE", year=1950, month=2, day=3))
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(here)
    assert all(-(2**63) <= key < 2**63 for key in here)


@pytest.mark.parametrize(
    "other",
    [
        person("MARCHAND", "SOLENE", "1978-05-17"),
        person("MARCHANT", "SOLENE", "1978-05-17"),
        person("DUBOIS", "SOLENE", "1978-05-17"),
        person("MARCHAND", "SOLENE", "1978-06-17"),
        person("MARCHAND", "SOLENE", "1987-05-17"),
        person("MARCHAND", "BEBE", "1978-05-17"),
        person("SOLENE", "MARCHAND", "1978-05-17"),
        person("SOLENE", "MARCHAND", "1987-05-17"),
        person("DUBOIS", "SOLANGE", "1978-05-17", used_family_name="MARCHAND"),
    ],
)
def test_variants_share_a_key(other: Cleaned) -> None:
    assert set(blocking.keys(BASE)) & set(blocking.keys(other))


@pytest.mark.parametrize("model", [default_french(), generic()])
def test_a_model_is_a_value(model: MatchModel) -> None:
    again = MatchModel.from_json(json.loads(json.dumps(model.to_json())))
    assert again == model
    assert again.version == model.version
    assert hash(again) == hash(model)


def test_a_model_with_a_missing_level_is_refused() -> None:
    content = default_french().to_json()
    del content["levels"]["family"]
    with pytest.raises(ValueError, match="family"):
        MatchModel.from_json(content)


def test_policies() -> None:
    assert LinkPolicy.strict().allows(Grade.CERTAIN, "A", "B")
    assert not LinkPolicy.strict().allows(Grade.PROBABLE, "A", "B")
    mixed = LinkPolicy(by_domain={"A": frozenset({Grade.CERTAIN})})
    assert not mixed.allows(Grade.PROBABLE, "A", "B")
    assert mixed.allows(Grade.PROBABLE, "C", "B")
