"""Shares learned without labels come near those the pairs were made with."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mpi.domain.cleaning import Cleaned
from mpi.domain.default_models import default_french
from mpi.domain.learning import Label, learn
from mpi.domain.levels import FIELDS, Birth, Family, SexLevel
from region import training
from region.training import Engine, maximiser, missing

SURNAMES = [f"{a}{b}{c}" for a in ("BAR", "COL", "DUM", "FER", "GUI") for b in ("BO", "LI", "NA") for c in ("RT", "N")]
GIVEN = ["MARIE", "PAUL", "SOLENE", "JACQUES", "LUCIE", "ETIENNE", "CLAIRE", "HUGO", "NADINE", "GILLES"]


def population(people: int, seed: int) -> list[Cleaned]:
    """Two records of each person; one birth date in ten is a day off, one surname in five a letter short."""
    rng = random.Random(seed)
    found: list[Cleaned] = []
    for _ in range(people):
        family, first = rng.choice(SURNAMES) + rng.choice("AEIOU"), rng.choice(GIVEN)
        year, month, day = rng.randint(1930, 2010), rng.randint(2, 11), rng.randint(2, 26)
        sex = rng.choice("MF")
        for copy in range(2):
            slip = copy and rng.random() < 0.1
            short = copy and rng.random() < 0.2
            found.append(
                Cleaned(
                    family=family[:-1] if short else family,
                    first=first,
                    given=first,
                    sex=sex,
                    year=year,
                    month=month,
                    day=day + (1 if slip and day % 10 != 9 else 0),
                )
            )
    return found


@pytest.fixture(scope="module")
def learned_levels() -> dict[str, list[float]]:
    learned = learn(population(1500, 5), default_french(), random_pairs=60_000)
    assert learned.candidates > 1500
    assert 1400 < learned.matches < 1600
    return {name: [level.m for level in learned.model.levels[name]] for name in FIELDS}


def test_the_share_of_slips_is_found(learned_levels: dict[str, list[float]]) -> None:
    assert learned_levels["birth"][Birth.SAME] == pytest.approx(0.91, abs=0.04)
    assert learned_levels["birth"][Birth.ONE_DIGIT] == pytest.approx(0.09, abs=0.04)
    assert learned_levels["family"][Family.SAME] == pytest.approx(0.8, abs=0.08)


def test_what_the_population_never_shows_stays_with_the_start(learned_levels: dict[str, list[float]]) -> None:
    start = default_french().levels["mother"]
    assert learned_levels["mother"][1] == pytest.approx(start[1].m)
    assert learned_levels["sex"][SexLevel.SAME] > 0.98


def test_chance_is_learned_from_two_persons_only() -> None:
    """Of 60,000 pairs drawn among 400 records some 150 are one person: not chance makes them share birth dates."""
    learned = learn(population(200, 5), default_french(), random_pairs=60_000)
    assert learned.model.levels["birth"][Birth.SAME].u < 1.5 * default_french().levels["birth"][Birth.SAME].u


def test_the_same_population_teaches_the_same_model() -> None:
    records = population(200, 7)
    first, second = (learn(records, default_french(), random_pairs=5_000) for _ in range(2))
    assert first.model.version == second.model.version
    assert first.model.version != default_french().version


def test_one_record_teaches_nothing() -> None:
    with pytest.raises(ValueError, match="two records"):
        learn(population(1, 1)[:1], default_french())


@pytest.mark.parametrize("engine", [Engine.OWN, Engine.DUCKDB])
def test_what_stewards_know_of_pairs_is_not_guessed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if absent := missing(engine):
        pytest.skip(f"{' and '.join(absent)} missing")
    monkeypatch.setattr(training, "_ROUNDS", 5)
    records = population(300, 9)
    # Of forty people the second record names another sex: nobody would guess that this happens so often.
    for n in range(1, 80, 2):
        records[n] = replace(records[n], sex="F" if records[n].sex == "M" else "M")
    pairs = [Label(2 * n, 2 * n + 1, same=True) for n in range(40)]
    strangers = [Label(2 * n, 2 * n + 2, same=False) for n in range(40)]

    def odd_sex(labels: list[Label]) -> float:
        found = learn(records, default_french(), random_pairs=5_000, maximiser=maximiser(engine), labels=labels)
        assert found.labels == len(labels)
        return found.model.levels["sex"][SexLevel.DIFFERENT].m

    others = [replace(pair, same=False) for pair in pairs]
    told_same, told_different = (odd_sex(labels + strangers) for labels in (pairs, others))
    assert told_same > 3 * told_different
