"""Splink as the trainer: it learns what the pairs were made with, and weighs pairs as our scorer does."""

from __future__ import annotations

import numpy as np
import pytest

from bench.population import generate
from ihe.errors import IheError
from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.default_models import default_french
from mpi.domain.edges import candidate_pairs
from mpi.domain.learning import Learned, learn
from mpi.domain.levels import FIELDS, Birth, Family
from mpi.domain.model import UNITS_PER_BIT, MatchModel
from mpi.domain.scoring import score
from mpi.translate.bulk_row import COLUMNS, read_row
from region import training
from region.pair_tables import on_duckdb, on_spark
from region.training import Engine, bits_by_splink, maximiser, missing


@pytest.fixture(scope="module")
def forms() -> list[Cleaned]:
    return [
        clean(read_row({name: row.get(name) for name in COLUMNS})[1])
        for row, *_ in (
            made if isinstance(made, tuple) else (made,) for made in generate(2500, seed=17, profile="realistic")
        )
    ]


@pytest.fixture(scope="module")
def by_splink(forms: list[Cleaned]) -> Learned:
    return learn(forms, default_french(), random_pairs=50_000, maximiser=maximiser(Engine.DUCKDB))


def m_of(model: MatchModel) -> dict[tuple[str, int], float]:
    return {(name, level): model.levels[name][level].m for name in FIELDS for level in range(len(FIELDS[name]))}


def test_splink_and_our_own_engine_agree_on_what_is_common(forms: list[Cleaned], by_splink: Learned) -> None:
    own = learn(forms, default_french(), random_pairs=50_000, maximiser=maximiser(Engine.OWN))
    assert by_splink.matches == pytest.approx(own.matches, rel=0.05)
    assert by_splink.rounds > 1
    for name, level in (("family", Family.SAME), ("birth", Birth.SAME), ("sex", 1), ("place", 1)):
        assert m_of(by_splink.model)[name, level] == pytest.approx(m_of(own.model)[name, level], abs=0.05)
    assert [level.u for level in by_splink.model.levels["birth"]] == [level.u for level in own.model.levels["birth"]]


def test_on_spark_splink_learns_and_weighs_as_on_duckdb(forms: list[Cleaned], monkeypatch: pytest.MonkeyPatch) -> None:
    if absent := missing(Engine.SPARK):
        pytest.skip(f"{' and '.join(absent)} missing: make spark")
    monkeypatch.setattr(training, "_ROUNDS", 2)
    few = forms[:300]
    here = learn(few, default_french(), random_pairs=2_000, maximiser=maximiser(Engine.DUCKDB))
    there = learn(few, default_french(), random_pairs=2_000, maximiser=maximiser(Engine.SPARK, "local[1]"))
    assert there.matches == pytest.approx(here.matches, rel=1e-3)
    assert there.rounds > 1
    for name, level in m_of(here.model):
        assert m_of(there.model)[name, level] == pytest.approx(m_of(here.model)[name, level], abs=1e-3)
    levels = np.array([[1] * len(FIELDS), [2] * len(FIELDS)], dtype=np.int8)
    of_duckdb, of_spark = (
        bits_by_splink(here.model, levels, tables)[1] for tables in (on_duckdb, on_spark("local[1]"))
    )
    assert of_spark == pytest.approx(of_duckdb, abs=1e-9)


@pytest.mark.parametrize("learned", [False, True])
def test_splink_weighs_pairs_as_our_scorer_does(forms: list[Cleaned], by_splink: Learned, learned: bool) -> None:
    model = by_splink.model if learned else default_french()
    codes = candidate_pairs([blocking.keys(form) for form in forms])
    left, right = np.divmod(codes[:: max(1, len(codes) // 1500)], len(forms))
    levels = score_pairs(Columns(forms), left, right, model).levels
    by_field, total = bits_by_splink(model, levels)
    ours = np.array(
        [score(forms[i], forms[j], model).field_units for i, j in zip(left.tolist(), right.tolist(), strict=True)]
    )
    # Ours are whole units: each field may differ by half a unit, and so ten fields by five.
    assert np.abs(by_field * UNITS_PER_BIT - ours).max() <= 0.5 + 1e-6
    assert np.abs(total * UNITS_PER_BIT - ours.sum(axis=1)).max() <= 0.5 * len(FIELDS) + 1e-6
    assert len(np.unique(levels, axis=0)) > 100


def test_splink_and_our_scorer_differ_once_a_share_is_changed(forms: list[Cleaned]) -> None:
    levels = np.ones((1, len(FIELDS)), dtype=np.int8)
    before, _ = bits_by_splink(default_french(), levels)
    content = default_french().to_json()
    content["levels"]["birth"][Birth.SAME]["m"] /= 2
    after, _ = bits_by_splink(MatchModel.from_json(content), levels)
    assert before[0] - after[0] == pytest.approx([float(name == "birth") for name in FIELDS])


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "splink" else object())
    with pytest.raises(IheError, match=r"needs splink: pip install 'traitdunion\[train\]'"):
        maximiser(Engine.DUCKDB)
    assert training.best_engine() is Engine.OWN


def test_spark_without_java_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: object())
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(IheError, match="needs Java 17 or later"):
        maximiser(Engine.SPARK)
