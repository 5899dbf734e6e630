"""Persons out of pairs: consistency, decisions, tasks, and independence of order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe.values import PartialDate
from mpi.domain.blocking import keys
from mpi.domain.cleaning import clean
from mpi.domain.default_models import default_french
from mpi.domain.grades import Grade, LinkPolicy
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.partition import Pair, Partition, RecordView, TaskKind, is_edge, pair_of, partition
from mpi.domain.scoring import PairScore, score

MODEL = default_french()
CALIBRATED = LinkPolicy.calibrated()
NIR_OID = "1.2.250.1.213.1.4.8"


def record(
    domain: str, family: str, given_names: str, born: str, sex: str = "F", place: str | None = "42218", **more: object
) -> RecordView:
    traits = Traits(
        birth_family_name=family,
        birth_given_names=tuple(given_names.split()),
        sex=Sex(sex),
        birth_date=PartialDate.parse(born),
        birth_place_code=place,
        **more,  # type: ignore[arg-type]
    )
    return RecordView(RecordKey(domain, f"{family}-{given_names}-{born}-{len(more)}"), clean(traits))


def edges_of(records: Iterable[RecordView]) -> dict[Pair, PairScore]:
    found = {}
    for one, other in itertools.combinations(records, 2):
        if set(keys(one.cleaned)) & set(keys(other.cleaned)):
            pair = score(one.cleaned, other.cleaned, MODEL)
            if is_edge(pair, one.cleaned, other.cleaned, MODEL):
                found[pair_of(one.key, other.key)] = pair
    return found


def decide(
    *records: RecordView,
    same: Iterable[Pair] = (),
    different: Iterable[Pair] = (),
    policy: LinkPolicy = CALIBRATED,
) -> Partition:
    return partition(records, edges_of(records), same, different, MODEL, policy)


A = record("CHUSE", "MARCHAND", "SOLENE MARIE", "1978-05-17")
B = record("ROANNE", "MARCHAND", "SOLENE", "1978-05-17")
C = record("FEURS", "DUBOIS", "SOLENE", "1978-05-17", used_family_name="MARCHAND")
TWIN = record("GIER", "MARCHAND", "JUSTINE", "1978-05-17")


def test_records_of_one_person_join() -> None:
    result = decide(C, A, B)
    assert [len(person) for person in result.persons] == [3]
    assert all(member.evidence is not None for member in result.members.values())
    assert not result.tasks


def test_a_twin_stays_apart_without_a_task() -> None:
    result = decide(A, B, TWIN)
    assert sorted(len(person) for person in result.persons) == [1, 2]
    assert not result.tasks


def test_strict_policy_asks_instead() -> None:
    result = decide(A, B, policy=LinkPolicy.strict())
    assert [len(person) for person in result.persons] == [1, 1]
    assert [task.kind for task in result.tasks] == [TaskKind.POSSIBLE_DUPLICATE]


def test_a_steward_joins_and_parts() -> None:
    joined = decide(A, TWIN, same=[pair_of(A.key, TWIN.key)])
    assert len(joined.persons) == 1
    assert all(member.grade is Grade.CERTAIN and member.by_steward for member in joined.members.values())
    parted = decide(A, B, different=[pair_of(A.key, B.key)])
    assert len(parted.persons) == 2
    assert not parted.tasks, "what a steward has answered is not asked again"


def test_different_reaches_the_whole_person() -> None:
    d = record("FIRMINY", "MARCHAND", "SOLENE", "1978-05-17", phone="0477123456")
    result = decide(A, B, d, different=[pair_of(A.key, B.key)])
    assert not any({A.key, B.key} <= set(person) for person in result.persons)


def test_contradicting_decisions_are_asked() -> None:
    result = decide(A, B, C, same=[pair_of(A.key, B.key), pair_of(B.key, C.key)], different=[pair_of(A.key, C.key)])
    assert TaskKind.DECISION_CONFLICT in {task.kind for task in result.tasks}


def test_a_record_between_twins_is_asked_about() -> None:
    home = {"phone": "0477123456", "address": "3 rue des Lilas", "postal_code": "42000"}
    one = record("CHUSE", "MARCHAND", "LOU-ANNE", "2001-05-17", **home)
    other = record("ROANNE", "MARCHAND", "LOU-EVE", "2001-05-17", **home)
    between = record("FEURS", "MARCHAND", "LOU", "2001-05-17", **home)
    result = decide(one, other, between)
    assert [len(person) for person in result.persons] == [1, 1, 1]
    asked = {task.pair for task in result.tasks}
    assert {pair_of(between.key, one.key), pair_of(between.key, other.key)} <= asked


def test_a_record_that_bears_both_names_explains_their_difference() -> None:
    whole = record("CHUSE", "MARCHAND", "VICTORINE JEANNE", "1942-04-24", phone="0475192432")
    by_first = record("ROANNE", "MARCHAND", "VICTORINE", "1942-04-24", phone="0475192432")
    by_used = record("GIER", "MARCHAND", "JEANNE", "1942-04-24", used_given_name="VICTORINE", phone="0475192432")
    used_alone = record("FEURS", "MARCHAND", "JEANNE", "1942-04-24", phone="0475192432")
    assert len(decide(by_first, used_alone).persons) == 2
    assert len(decide(whole, by_first, by_used, used_alone).persons) == 1


def test_a_name_that_a_twin_bears_further_back_explains_nothing() -> None:
    home = {"phone": "0477123456", "address": "3 rue des Lilas", "postal_code": "42000"}
    away = {"phone": "0475192432", "address": "12 place du Marche", "postal_code": "42600"}
    one = record("CHUSE", "MARCHAND", "EDMOND LUCIEN", "1966-05-17", "M", **home)
    short = record("GIER", "MARCHAND", "EDMOND", "1966-05-17", "M", **home)
    twin = record("ROANNE", "MARCHAND", "GASTON EDMOND ALBERT", "1966-05-17", "M", **away)
    persons = {frozenset(person) for person in decide(one, short, twin).persons}
    assert persons == {frozenset({one.key, short.key}), frozenset({twin.key})}
    assert len(decide(short, twin).persons) == 2, "nor is it enough by itself, in another home"


def test_spellings_explain_nothing_when_the_lists_contradict() -> None:
    home = {"phone": "0477123456", "address": "3 rue des Lilas", "postal_code": "42000"}
    one = record("CHUSE", "MARCHAND", "MICHAEL MAURICE", "1984-03-09", "M", **home)
    twin = record("ROANNE", "MARCHAND", "MICKAEL MARIE", "1984-03-09", "M", **home)
    short = record("GIER", "MARCHAND", "MICKAEL", "1984-03-09", "M", **home)
    persons = decide(one, twin, short).persons
    assert not any({one.key, twin.key} <= set(person) for person in persons)


def test_a_record_with_compound_and_list_explains_a_cut_compound() -> None:
    whole = record("CHUSE", "BETOUR", "MARIE-ANGELIQUE ROSELYNE", "1974-06-06")
    cut = record("FEURS", "BETOUR", "MARIE ROSELYNE", "1974-06-06")
    bare = record("GIER", "BETOUR", "MARIE-ANGELIQUE", "1974-06-06")
    short = record("MFL", "BETOUR", "MARIE", "1974-06-06")
    assert [len(person) for person in decide(whole, cut, bare).persons] == [3]
    assert all(len(person) < 3 for person in decide(short, cut, bare).persons)


def test_a_slip_in_a_matricule_splits_no_person() -> None:
    number = {"ins_oid": NIR_OID}
    right = record("CHUSE", "CHABRIER", "ALINE", "1951-03-18", ins="2510342305999", **number)
    wrong = record("MFL", "CHABRIER", "ALINE", "1951-03-18", ins="2510342305099", **number)
    plain = record("FEURS", "CHABRIER", "ALINE", "1951-03-18")
    assert [len(person) for person in decide(right, wrong).persons] == [1, 1]
    assert [len(person) for person in decide(right, wrong, plain).persons] == [3]


def test_duplicates_of_one_site_are_linked_and_reported_to_it() -> None:
    again = RecordView(RecordKey("CHUSE", "zz"), B.cleaned)
    result = decide(A, B, again)
    assert len(result.persons) == 1
    assert [(task.kind, task.pair) for task in result.tasks] == [
        (TaskKind.SAME_DOMAIN_DUPLICATE, pair_of(A.key, again.key))
    ]


def test_a_wrong_number_is_a_conflict_not_a_link() -> None:
    number = {"ins": "2480342218000", "ins_oid": NIR_OID, "identity_status": IdentityStatus.QUAL}
    holder = record("CHUSE", "MARCHAND", "SOLENE", "1948-03-17", **number)
    stranger = record("ROANNE", "PETIT", "LUCIENNE", "1951-11-02", **number)
    result = decide(holder, stranger)
    assert len(result.persons) == 2
    assert [task.kind for task in result.tasks] == [TaskKind.INS_CONFLICT]


def test_two_qualified_numbers_part_what_a_third_record_joins() -> None:
    qualified = {"ins_oid": NIR_OID, "identity_status": IdentityStatus.QUAL}
    one = record("CHUSE", "MARCHAND", "SOLENE", "1948-03-17", ins="2480342218000", **qualified)
    other = record("ROANNE", "MARCHAND", "SOLENE", "1948-03-17", ins="2480342218005", **qualified)
    third = record("FEURS", "MARCHAND", "SOLENE", "1948-03-17")
    result = decide(one, other, third)
    assert not any({one.key, other.key} <= set(person) for person in result.persons)
    assert result.tasks


def test_certain_core_and_probable_guest() -> None:
    validated = {"identity_status": IdentityStatus.VALI}
    one = record("CHUSE", "MARCHAND", "SOLENE", "1978-05-17", **validated)
    other = record("ROANNE", "MARCHAND", "SOLENE", "1978-05-17", **validated)
    result = decide(one, other, C)
    grades = {key.domain: member.grade for key, member in result.members.items()}
    assert grades == {"CHUSE": Grade.CERTAIN, "ROANNE": Grade.CERTAIN, "FEURS": Grade.PROBABLE}


def family_of_records(seed: int) -> list[RecordView]:
    """A household with twins, a namesake, and several records each, with errors."""
    rng = random.Random(seed)
    found = []
    home: dict[str, object] = {"phone": "0477123456", "address": "3 rue des Lilas", "postal_code": "42000"}
    for given_names, born, sex in (
        ("LOU-ANNE MARIE", "2001-05-17", "F"),
        ("LOU-EVE ROSE", "2001-05-17", "F"),
        ("JEAN PAUL", "1970-01-01", "M"),
        ("JEAN LUC", "1998-06-02", "M"),
    ):
        for site in ("CHUSE", "ROANNE", "FEURS", "GIER"):
            if rng.random() < 0.2:
                continue
            stated = given_names.split()[: rng.choice([1, 2])]
            if rng.random() < 0.2:
                stated[0] = stated[0].split("-")[0]
            more = dict(home) if rng.random() < 0.5 else {}
            family = rng.choice(["MARCHAND", "MARCHAND", "MARCHANT", "MARCHAND-PETIT"])
            place = rng.choice(["42218", "42218", None])
            found.append(record(site, family, " ".join(stated), born, sex, place, **more))
    unique = {view.key: view for view in found}
    return list(unique.values())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_records_plays_no_part(seed: int, rng: random.Random) -> None:
    records = family_of_records(seed)
    expected = decide(*records)
    rng.shuffle(records)
    assert decide(*records) == expected


def components(records: list[RecordView]) -> list[list[RecordView]]:
    edges = edges_of(records)
    root = {view.key: view.key for view in records}

    def find(key: RecordKey) -> RecordKey:
        while root[key] != key:
            key = root[key]
        return key

    for one, other in edges:
        root[find(one)] = find(other)
    grouped: dict[RecordKey, list[RecordView]] = {}
    for view in records:
        grouped.setdefault(find(view.key), []).append(view)
    return list(grouped.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_arriving_one_by_one_ends_where_all_at_once_does(seed: int, rng: random.Random) -> None:
    """Online: each arrival re-decides only its component, found through the edges among what is there."""
    records = family_of_records(seed)
    rng.shuffle(records)
    persons: dict[RecordKey, tuple[RecordKey, ...]] = {}
    for count in range(1, len(records) + 1):
        arrived = records[:count]
        (component,) = [group for group in components(arrived) if arrived[-1] in group]
        result = decide(*component)
        for person in result.persons:
            persons.update(dict.fromkeys(person, person))
    at_once = {key: person for group in components(records) for person in decide(*group).persons for key in person}
    assert persons == at_once


@pytest.mark.parametrize("seed", range(30))
def test_twins_are_never_mixed(seed: int) -> None:
    for person in decide(*family_of_records(seed)).persons:
        names = {key.local_id.split("-")[1] + key.local_id.split("-")[2] for key in person}
        assert not ({"LOUANNE", "LOUANNE MARIE"} & names and {"LOUEVE", "LOUEVE ROSE"} & names)


def test_decisions_about_unknown_records_are_ignored() -> None:
    gone = RecordKey("CHUSE", "gone")
    assert decide(A, same=[pair_of(A.key, gone)], different=[pair_of(A.key, gone)]).persons == ((A.key,),)


def test_an_empty_component() -> None:
    assert decide().persons == ()
