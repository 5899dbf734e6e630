"""Splink on DuckDB as its documentation advises: cleaned columns, several blocking rules, u by random sampling,
m by expectation maximisation on two blockings, term frequencies, and the threshold that serves it best.

The threshold is chosen *with* the truth: the best that any user of Splink could hit.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

Key = tuple[str, str]

_CLEAN = """
CREATE TABLE records AS
WITH folded AS (
  SELECT domain || '/' || local_id AS unique_id,
    regexp_replace(upper(strip_accents(coalesce(birth_family_name, ''))), '[^A-Z]', '', 'g') AS family,
    regexp_replace(upper(strip_accents(coalesce(first_birth_given_name, ''))), '[^A-Z]', '', 'g') AS given,
    regexp_replace(upper(strip_accents(coalesce(used_family_name, ''))), '[^A-Z]', '', 'g') AS used,
    CASE WHEN length(birth_date) = 10 THEN birth_date END AS birth_date,
    nullif(CASE WHEN sex = 'U' THEN '' ELSE sex END, '') AS sex,
    nullif(birth_place_code, '') AS birth_place,
    nullif(postal_code, '') AS postal_code,
    regexp_replace(upper(strip_accents(coalesce(address, ''))), '[^A-Z0-9]', '', 'g') AS street,
    right(regexp_replace(coalesce(phone, ''), '[^0-9]', '', 'g'), 9) AS phone,
    nullif(lower(email), '') AS email,
    nullif(ins, '') AS ins
  FROM read_csv('{path}', all_varchar = true, header = true)
)
SELECT * EXCLUDE (family, given, used, street, phone),
  nullif(family, '') AS surname, nullif(given, '') AS first_name, nullif(used, '') AS used_name,
  nullif(street, '') AS street, nullif(phone, '') AS phone,
  CASE WHEN family <> '' AND given <> '' THEN given || ' ' || family END AS full_name
FROM folded
"""


@dataclass(frozen=True, slots=True)
class SplinkResult:
    """Scored pairs of one run.

    Attributes:
        pairs: match weight in bits and the two records.
        seconds: wall time of training and of predicting.
    """

    pairs: list[tuple[float, str, str]]
    training_seconds: float
    predicting_seconds: float


def settings() -> SettingsCreator:
    """Comparisons and blocking rules for French patient data, from Splink's own library."""
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            cl.ForenameSurnameComparison("first_name", "surname", forename_surname_concat_col_name="full_name"),
            cl.DateOfBirthComparison("birth_date", input_is_string=True),
            cl.ExactMatch("sex"),
            cl.ExactMatch("birth_place").configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("used_name", [0.92]).configure(term_frequency_adjustments=True),
            cl.ExactMatch("postal_code").configure(term_frequency_adjustments=True),
            cl.LevenshteinAtThresholds("street", [2]),
            cl.ExactMatch("phone").configure(term_frequency_adjustments=True),
            cl.ExactMatch("email"),
            cl.ExactMatch("ins"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("ins"),
            block_on("birth_date", "sex"),
            block_on("first_name", "surname"),
            block_on("surname", "substr(birth_date, 1, 4)"),
            block_on("first_name", "substr(birth_date, 1, 7)"),
            block_on("phone", "first_name"),
            block_on("email"),
        ],
        retain_matching_columns=False,
    )


def link(path: Path, lowest_weight: float = -5.0) -> SplinkResult:
    """Train on the file without labels and score its candidate pairs.

    Args:
        path: bulk CSV.
        lowest_weight: pairs below this match weight (bits) are dropped.
    """
    connection, api = _read(path)
    connection.execute("SET threads = 2")
    began = time.perf_counter()
    linker = Linker(api.register("records"), settings(), log_level=None)
    _train(linker)
    trained = time.perf_counter()
    predicted: Any = linker.inference.predict(threshold_match_weight=lowest_weight)
    rows = connection.sql(f"SELECT match_weight, unique_id_l, unique_id_r FROM {predicted.physical_name}").fetchall()
    return SplinkResult(rows, trained - began, time.perf_counter() - trained)


@dataclass(frozen=True, slots=True)
class SplinkTimes:
    """Wall time of each step."""

    training_seconds: float
    predicting_seconds: float
    clustering_seconds: float


def time_linking(path: Path, threshold_weight: float = 12.0) -> SplinkTimes:
    """Train, predict and cluster as a user would, with the default number of threads, and take nothing out.

    Args:
        path: bulk CSV.
        threshold_weight: match weight in bits from which pairs are kept and clustered.
    """
    _, api = _read(path)
    clock = [time.perf_counter()]
    linker = Linker(api.register("records"), settings(), log_level=None)
    _train(linker)
    clock.append(time.perf_counter())
    predicted: Any = linker.inference.predict(threshold_match_weight=threshold_weight)
    clock.append(time.perf_counter())
    linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_weight=threshold_weight)
    clock.append(time.perf_counter())
    return SplinkTimes(*(after - before for before, after in pairwise(clock)))


def _read(path: Path) -> tuple[duckdb.DuckDBPyConnection, DuckDBAPI]:
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect()
    connection.execute(_CLEAN.format(path=str(path).replace("'", "''")))
    return connection, DuckDBAPI(connection=connection)


def _train(linker: Any) -> None:
    linker.training.estimate_probability_two_random_records_match(
        [block_on("first_name", "surname", "birth_date"), block_on("ins")], recall=0.8
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (block_on("first_name", "surname"), block_on("birth_date")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
