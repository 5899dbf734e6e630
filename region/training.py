"""Splink as the trainer: its expectation and maximisation over the levels of our own comparison.

Splink sees a table of pairs, each pair as two rows that share a number, with the level of every field already found
by :mod:`mpi.domain.columns`; its settings are made from the fields of the model. So there is one
definition of what a level is, and Splink, on DuckDB or Spark, decides which pairs are one person.

Source: R. Linacre et al., "Splink: Free software for probabilistic record linkage at scale" (2022).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihe.errors import IheError
from mpi.domain.learning import (
    Candidates,
    Maximised,
    Maximiser,
    contexts,
    expect,
    first_guess,
    maximise,
    settle,
)
from mpi.domain.model import MatchModel
from region.pair_tables import LOCAL, PairTables, has_java, on_duckdb, on_spark

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SMALLEST_SHARE = 1e-12
SURE = 1e-12
"""How unlikely it is that a pair of which one knows better is not what one knows."""
PAIR_RULE = "l.pair = r.pair"
_ROUNDS = 60


class Engine(StrEnum):
    """Who learns."""

    DUCKDB = "duckdb"
    SPARK = "spark"
    OWN = "own"


_NEEDS = {Engine.DUCKDB: ("splink", "duckdb"), Engine.SPARK: ("splink", "pyspark"), Engine.OWN: ()}
_EXTRAS = {Engine.DUCKDB: "train", Engine.SPARK: "train,spark"}


def missing(engine: Engine) -> list[str]:
    """What an engine needs and this machine has not."""
    absent = [name for name in _NEEDS[engine] if find_spec(name) is None]
    return [*absent, "Java 17 or later"] if engine is Engine.SPARK and not has_java() else absent


def best_engine() -> Engine:
    """Splink on DuckDB where it is installed, else our own."""
    return Engine.OWN if missing(Engine.DUCKDB) else Engine.DUCKDB


def maximiser(engine: Engine, spark_master: str = LOCAL) -> Maximiser:
    """Who learns ``m`` from the candidates.

    Args:
        spark_master: URL of the cluster, for Spark.

    Raises:
        IheError: what the engine needs is not installed.
    """
    if engine is Engine.OWN:
        return maximise
    if absent := missing(engine):
        raise IheError(
            f"the engine {engine} needs {' and '.join(absent)}: pip install 'traitdunion[{_EXTRAS[engine]}]',"
            f" or choose --engine {Engine.OWN}"
        )
    return partial(_learn_by_splink, on_duckdb if engine is Engine.DUCKDB else on_spark(spark_master))


def comparisons(model: MatchModel, m: list[Floats], u: list[Floats]) -> list[Any]:
    """Splink's comparisons: one for each group of competing levels of each field.

    A level outside the group counts as missing there, as do all levels in no group, which weigh nothing.

    Args:
        model: whose fields and levels.
        m: shares of the levels within one person, by field and level.
        u: shares of the levels between two persons.
    """
    found: list[Any] = []
    for field, (name, kinds) in enumerate(model.fields.items()):
        for group, levels in enumerate(contexts(model, name)):
            column = f"{name}_l"
            found.append(
                {
                    "output_column_name": _comparison_name(name, group),
                    "comparison_levels": [
                        {
                            "sql_condition": f"{column} NOT IN ({', '.join(map(str, levels))})",
                            "label_for_charts": "missing",
                            "is_null_level": True,
                        },
                        *(
                            {
                                "sql_condition": f"{column} = {level}",
                                "label_for_charts": kinds(level).name,
                                "m_probability": max(float(m[field][level]), SMALLEST_SHARE),
                                "u_probability": max(float(u[field][level]), SMALLEST_SHARE),
                            }
                            for level in levels
                        ),
                    ],
                }
            )
    return [*found, _KNOWN]


_KNOWN = {
    "output_column_name": "known",
    "comparison_levels": [
        {"sql_condition": "known_l = 0", "label_for_charts": "not known", "is_null_level": True},
        *(
            {
                "sql_condition": f"known_l = {level}",
                "label_for_charts": label,
                "m_probability": m,
                "u_probability": 1 - m,
                "fix_m_probability": True,
                "fix_u_probability": True,
            }
            for level, label, m in ((1, "one person", 1 - SURE), (2, "two persons", SURE))
        ),
    ],
}
"""What is known of a pair before it is compared."""


def _pairs_of(candidates: Candidates, model: MatchModel) -> Ints:
    """The candidates for Splink: columns as in :func:`_columns`, then how many pairs are so.

    For each level a known pair of one person and one of two, alike in nothing else, are added: no share falls to zero,
    with which Splink could not go on.
    """
    levels = [
        (field, level) for field, name in enumerate(model.fields) for group in contexts(model, name) for level in group
    ]
    known = np.zeros((2 * len(levels), len(_columns(model)) + 1), dtype=np.int64)
    for row, (field, level) in enumerate(levels):
        known[2 * row : 2 * row + 2, field] = level
    known[0::2, -2], known[1::2, -2] = 1, 2
    known[:, -1] = 1
    seen = np.column_stack([candidates.patterns, candidates.known, candidates.counts.astype(np.int64)])
    return np.vstack([seen, known])


def _columns(model: MatchModel) -> tuple[str, ...]:
    return (*model.fields, "known")


def _unknown(patterns: Ints, counts: Ints) -> Ints:
    return np.column_stack([patterns, np.zeros(len(patterns), dtype=np.int64), counts])


def _comparison_name(name: str, group: int) -> str:
    return f"{name}_{group}"


def _learn_by_splink(tables: PairTables, candidates: Candidates, start: MatchModel) -> Maximised:
    m, other = first_guess(start, candidates.u)
    if not len(candidates.counts):
        return Maximised(m, other, 0.0, 0)
    with tables(_pairs_of(candidates, start), _columns(start)) as ends:
        linker = make_linker(ends, comparisons(start, m, other), 0.5)
        session = linker.training.estimate_parameters_using_expectation_maximisation(
            PAIR_RULE,
            estimate_without_term_frequencies=True,
            fix_u_probabilities=False,
            populate_probability_two_random_records_match_from_trained_values=True,
        )
        content = linker.misc.save_model_to_json()
        rounds = len(session._core_model_settings_history) - 1
    share = min(max(float(content["probability_two_random_records_match"]), 1e-6), 1 - 1e-6)
    other = _read(content, start, "u_probability")
    same = expect(candidates, share, _read(content, start, "m_probability"), other)
    # Splink has said which pairs are one person; levels it saw too rarely lean on the start.
    return Maximised(settle(candidates, same, start), other, float(same.sum()), rounds)


def make_linker(ends: Any, of: list[Any], share: float) -> Any:
    """A Splink linker over a table of pairs.

    Args:
        ends: the registered table: each pair as two rows with one ``pair`` number and its levels.
        of: see :func:`comparisons`.
        share: of the pairs that are one person.
    """
    from splink import Linker, SettingsCreator  # noqa: PLC0415 - only training needs it

    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=of,
        blocking_rules_to_generate_predictions=[{"blocking_rule": PAIR_RULE}],
        probability_two_random_records_match=share,
        max_iterations=_ROUNDS,
        retain_intermediate_calculation_columns=True,
    )
    return Linker(ends, settings, log_level=logging.ERROR)


def _read(content: Mapping[str, Any], model: MatchModel, what: str) -> list[Floats]:
    """Shares of the levels from a saved Splink model, by field; 1 where a level is in no group."""
    by_name = {each["output_column_name"]: each["comparison_levels"][1:] for each in content["comparisons"]}
    found = []
    for name, kinds in model.fields.items():
        shares = np.ones(len(kinds))
        for group, levels in enumerate(contexts(model, name)):
            for level, entry in zip(levels, by_name[_comparison_name(name, group)], strict=True):
                value = entry.get(what)
                shares[level] = max(value, SMALLEST_SHARE) if isinstance(value, float) else SMALLEST_SHARE
        found.append(shares)
    return found


def bits_by_splink(
    model: MatchModel, levels: NDArray[np.int8], tables: PairTables = on_duckdb
) -> tuple[Floats, Floats]:
    """What Splink makes of pairs under a model, rarity apart: bits by pair and field, and the total by pair.

    Args:
        levels: one row for each pair, one column for each field.
        tables: where Splink works.
    """
    patterns, inverse = np.unique(levels, axis=0, return_inverse=True)
    u = [np.array([level.u for level in model.levels[name]]) for name in model.fields]
    m = [np.array([level.m for level in model.levels[name]]) for name in model.fields]
    with tables(_unknown(patterns.astype(np.int64), np.ones(len(patterns), dtype=np.int64)), _columns(model)) as ends:
        linker = make_linker(ends, comparisons(model, m, u), 0.5)
        rows = linker.inference.predict().as_record_list()
    place = {tuple(row): index for index, row in enumerate(patterns.tolist())}
    by_field, total = np.zeros(patterns.shape), np.zeros(len(patterns))
    for row in rows:
        index = place[tuple(row[f"{name}_l"] for name in model.fields)]
        total[index] = row["match_weight"]
        for field, name in enumerate(model.fields):
            by_field[index, field] = sum(
                row[f"mw_{_comparison_name(name, group)}"] for group in range(len(contexts(model, name)))
            )
    chosen = inverse.reshape(-1)
    return by_field[chosen], total[chosen]
