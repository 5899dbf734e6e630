"""The population generator: seeded, complete, of the stated shape."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from bench.population import CSV_COLUMNS, TRUTH_COLUMNS, generate
from bench.population.people import nir_key
from bench.population.profiles import PROFILES
from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, Sex


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(generate(10_000, seed=7))


def test_equal_seeds_give_equal_rows_and_other_seeds_others() -> None:
    assert list(generate(500, seed=1)) == list(generate(500, seed=1))
    assert list(generate(500, seed=1)) != list(generate(500, seed=2))


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_each_profile_gives_the_wanted_number_of_rows(profile: str) -> None:
    assert sum(1 for _ in generate(1_000, 3, profile)) == 1_000


def test_rows_hold_the_contract_columns_and_the_truth(rows: list[dict[str, str]]) -> None:
    assert all(set(row) == {*CSV_COLUMNS, *TRUTH_COLUMNS} for row in rows)


def test_values_are_readable_and_keys_unique(rows: list[dict[str, str]]) -> None:
    assert len({(row["domain"], row["local_id"]) for row in rows}) == len(rows)
    for row in rows:
        PartialDate.parse(row["birth_date"])
        Sex(row["sex"])
        IdentityStatus(row["identity_status"])
        assert row["birth_place_code"] == "" or len(row["birth_place_code"]) == 5


def test_a_qualified_matricule_has_its_key_and_belongs_to_one_person(rows: list[dict[str, str]]) -> None:
    owners = defaultdict(set)
    for row in rows:
        if row["identity_status"] == "QUAL" and "ins" not in row["kinds"] and "overlay" not in row["kinds"]:
            assert row["ins"][13:] == nir_key(row["ins"][:13])
            owners[row["ins"]].add(row["person"])
    assert len(owners) > 500
    assert all(len(people) == 1 for people in owners.values())


def test_a_person_has_about_two_records_as_in_the_region(rows: list[dict[str, str]]) -> None:
    assert 0.40 < len({row["person"] for row in rows}) / len(rows) < 0.48


def test_lookalikes_and_errors_of_every_family_are_present() -> None:
    rows = list(generate(20_000, 1, "hard"))
    kinds = Counter(kind for row in rows for kind in row["kinds"].split("|"))
    wanted = [
        "newborn",
        "crossed",
        "married_as_birth",
        "overlay",
        "wrong_ins",
        "partial_date",
        "default_swap",
        "used_given",
        "particle",
    ]
    assert [kind for kind in wanted if not kinds[kind]] == []
    assert any(row["delivery"] for row in rows)
    assert any(row["homonym_of"] for row in rows)


def test_the_stream_starts_at_once_whatever_its_length() -> None:
    assert len(list(itertools.islice(generate(10_000_000, 1), 10))) == 10


def test_the_command_writes_the_bulk_columns_with_the_truth_column(tmp_path: Path) -> None:
    out, truth = tmp_path / "p.csv", tmp_path / "t.csv"
    command = [
        "-m",
        "bench.population",
        "--records",
        "50",
        "--seed",
        "4",
        "-o",
        str(out),
        "--truth",
        str(truth),
    ]
    subprocess.run([sys.executable, *command], check=True)
    assert out.read_text("utf-8").splitlines()[0] == ",".join((*CSV_COLUMNS, "person"))
    assert len(truth.read_text("utf-8").splitlines()) == 51
