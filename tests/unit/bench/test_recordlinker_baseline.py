"""The rewritten RecordLinker algorithm: blocking, missing fields, grades, medians over a person's records."""

from __future__ import annotations

from bench.baselines.recordlinker import DEFAULT_PASSES, EXPERT_PASSES, RecordLinker, blocking_value, features

ROW = {
    "first_birth_given_name": "Étienne",
    "birth_family_name": "Faverjon",
    "birth_date": "1967-08-23",
    "sex": "M",
    "postal_code": "42600",
    "city": "Montbrison",
    "address": "14 rue du Moulin",
    "ins": "",
}


def link(*changes: dict[str, str], expert: bool = False) -> RecordLinker:
    linker = RecordLinker(EXPERT_PASSES if expert else DEFAULT_PASSES)
    for at, change in enumerate(changes):
        linker.add(str(at), {**ROW, **change})
    return linker


def test_values_are_normalised_and_cut_for_blocking() -> None:
    values = features({**ROW, "sex": "U", "birth_date": "1967", "ins": "167084214799942"})
    assert (values["first_name"], values["sex"], values["birthdate"]) == ("etienne", "", "")
    assert blocking_value("last_name", values) == "fave"
    assert blocking_value("identifier", values) == "9942"


def test_equal_records_are_certain() -> None:
    assert len(set(link({}, {}).clusters.values())) == 1


def test_another_birth_date_and_address_is_another_person() -> None:
    linker = link({}, {"birth_date": "1990-01-02", "address": "3 place de la Mairie", "postal_code": "69001"})
    assert len(set(linker.clusters.values())) == 2
    assert linker.tasks == []


def test_twins_with_compound_names_are_called_certain() -> None:
    linker = link({"first_birth_given_name": "Jean-Pierre"}, {"first_birth_given_name": "Jean-Paul"}, expert=True)
    assert len(set(linker.clusters.values())) == 1


def test_a_pair_with_half_of_its_points_missing_can_only_be_possible() -> None:
    linker = link({}, {"address": "", "birth_date": ""})
    assert len(set(linker.clusters.values())) == 2


def test_a_person_is_weighed_by_the_median_of_its_records() -> None:
    linker = link({}, {}, {"birth_family_name": "Faverjou"}, {"birth_family_name": "Faverjou"})
    assert len(set(linker.clusters.values())) == 1
