"""Measures of identity quality, taken once a day for each domain and for the region (domain empty)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from mpi.domain.drift import drift
from mpi.domain.model import MatchModel


@dataclass(frozen=True, slots=True)
class Measured:
    """One value on one day; ``domain`` is empty for the region."""

    day: date
    domain: str
    measure: str
    value: float


COUNTED: Final = timedelta(days=30)
"""Opened and closed tasks, and the pairs that tell the drift, are those of so long."""
_BEFORE: Final = timedelta(days=3650)
_LATELY: Final = timedelta(days=7)
_DRAWN_A_DAY: Final = 40
_PAIRS_READ: Final = 20_000
_RECORDS = """
    WITH counted AS (
        SELECT domain, count(*) AS records, count(DISTINCT person_id) AS persons,
            count(*) FILTER (WHERE identity_status = 'QUAL') AS qualified,
            count(*) FILTER (WHERE birth_date IS NULL OR sex IS NULL OR NOT traits ? 'birth_family_name'
                OR NOT traits ? 'first_birth_given_name' OR NOT traits ? 'birth_place_code') AS incomplete,
            count(*) FILTER (WHERE NOT traits ? 'birth_family_name') AS no_family,
            count(*) FILTER (WHERE NOT traits ? 'first_birth_given_name') AS no_given,
            count(*) FILTER (WHERE birth_date IS NULL) AS no_birth, count(*) FILTER (WHERE sex IS NULL) AS no_sex,
            count(*) FILTER (WHERE NOT traits ? 'birth_place_code') AS no_place,
            extract(epoch FROM CAST(:now AS timestamptz) - max(updated_at)) / 3600 AS silent_hours
        FROM record WHERE state = 'active' GROUP BY GROUPING SETS ((domain), ())
    )
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT :day, coalesce(domain, ''), m.name, m.value FROM counted, LATERAL (VALUES
        ('records', records::float), ('persons', persons::float),
        ('qualified', qualified::float / records), ('incomplete', incomplete::float / records),
        ('silent_hours', silent_hours::float), ('missing.family', no_family::float / records),
        ('missing.given', no_given::float / records), ('missing.birth', no_birth::float / records),
        ('missing.sex', no_sex::float / records), ('missing.place', no_place::float / records)) AS m(name, value)
    WHERE m.value IS NOT NULL ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
"""
_DELAYS = """
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT :day, coalesce(r.domain, ''), 'feed_delay_minutes', percentile_cont(0.5) WITHIN GROUP (ORDER BY
        greatest(extract(epoch FROM v.valid_from - v.source_updated_at) / 60, 0))
    FROM record_version v JOIN record r ON r.id = v.record_id JOIN identity_event e ON e.id = v.event_id
    WHERE v.valid_from > :lately AND v.source_updated_at IS NOT NULL
        AND e.kind IN ('record.created', 'record.updated')
    GROUP BY GROUPING SETS ((r.domain), ()) HAVING count(*) > 0
    ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
"""
_TASKS = """
    WITH mine AS (
        SELECT t.*, s.domain FROM task t, LATERAL (
            SELECT DISTINCT d AS domain FROM unnest(ARRAY[t.domain_a, t.domain_b, '']) AS d) AS s
    ), counted AS (
        SELECT domain,
            count(*) FILTER (WHERE state = 'open') AS tasks_open,
            count(*) FILTER (WHERE state = 'open' AND kind = 'same-domain-duplicate') AS duplicates,
            count(*) FILTER (WHERE state = 'open' AND kind = 'suspected-overlay') AS overlays,
            count(*) FILTER (WHERE opened_at > :since) AS tasks_opened,
            count(*) FILTER (WHERE closed_at > :since) AS tasks_closed,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM :now - opened_at) / 86400)
                FILTER (WHERE state = 'open') AS task_age_days,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM closed_at - opened_at) / 86400)
                FILTER (WHERE closed_at > :since) AS days_to_correct
        FROM mine GROUP BY domain
    )
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT :day, domain, m.name, m.value FROM counted, LATERAL (VALUES
        ('tasks_open', tasks_open::float), ('duplicates', duplicates::float), ('overlays', overlays::float),
        ('tasks_opened', tasks_opened::float), ('tasks_closed', tasks_closed::float),
        ('task_age_days', task_age_days::float), ('days_to_correct', days_to_correct::float)) AS m(name, value)
    WHERE m.value IS NOT NULL ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
"""
_REVIEWS = """
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT :day, '', 'precision', avg((answer = 'same')::int::float) FROM link_review
    WHERE answer IN ('same', 'different') HAVING count(*) > 0
    ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
"""
_DUPLICATE_RATE = """
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT d.day, d.domain, 'duplicate_rate', d.value / r.value FROM quality_measure d
    JOIN quality_measure r ON (r.day, r.domain, r.measure) = (d.day, d.domain, 'records')
    WHERE d.day = :day AND d.measure = 'duplicates' AND r.value > 0
    ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
"""


def measure(connection: Connection, now: datetime) -> None:
    """Take the measures of today; a second time on a day replaces the first."""
    values = {"day": now.date(), "now": now, "since": now - COUNTED, "lately": now - _LATELY}
    for statement in (_RECORDS, _DELAYS, _TASKS, _REVIEWS, _DUPLICATE_RATE):
        connection.execute(text(statement), values)


def measured_on(connection: Connection, day: date) -> bool:
    """Whether the measures of a day were taken."""
    found = text("SELECT EXISTS (SELECT 1 FROM quality_measure WHERE day = :day)")
    return bool(connection.execute(found, {"day": day}).scalar())


def keep(connection: Connection, day: date, values: Mapping[str, float]) -> None:
    """Keep measures of the region that were taken elsewhere."""
    if values:
        connection.execute(
            text(
                "INSERT INTO quality_measure (day, domain, measure, value) VALUES (:day, '', :measure, :value)"
                " ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value"
            ),
            [{"day": day, "measure": name, "value": value} for name, value in values.items()],
        )


def levels_of_links(connection: Connection, model: str, since: datetime, until: datetime) -> dict[tuple[int, int], int]:
    """How often each level of each field was reached by pairs of one person that the model weighed.

    Args:
        since: pairs weighed from then on; of many, some.
        until: and before.

    Returns:
        Number of pairs by position of the field and level.
    """
    rows = connection.execute(
        text(
            "SELECT (l.n - 1)::int AS field, l.level::int, count(*) AS pairs FROM ("
            " SELECT p.evidence->'levels' AS levels FROM scored_pair p"
            " JOIN record a ON a.id = p.record_a JOIN record b ON b.id = p.record_b"
            " WHERE p.scored_at >= :since AND p.scored_at < :until AND p.model = :model AND a.person_id = b.person_id"
            " AND a.state = 'active' AND b.state = 'active' LIMIT :most) AS linked,"
            " jsonb_array_elements_text(linked.levels) WITH ORDINALITY AS l(level, n) GROUP BY 1, 2"
        ),
        {"since": since, "until": until, "model": model, "most": _PAIRS_READ},
    )
    return {(row.field, row.level): row.pairs for row in rows}


def measure_daily(model: MatchModel, connection: Connection, now: datetime) -> int:
    """Take today's measures and draw today's links for review, once a day; returns how many were drawn.

    Args:
        model: in force, whose drift is measured.
    """
    if measured_on(connection, now.date()):
        return 0
    measure(connection, now)
    lately = levels_of_links(connection, model.version, now - COUNTED, now)
    before = levels_of_links(connection, model.version, now - _BEFORE, now - COUNTED)
    by_field = drift(lately, before, model)
    told = {f"drift.{name}": value for name, value in by_field.items()}
    keep(connection, now.date(), told | ({"drift": max(told.values())} if told else {}))
    return draw_reviews(connection, _DRAWN_A_DAY, now)


def since(connection: Connection, day: date) -> list[Measured]:
    """All measures from a day on, oldest first."""
    rows = connection.execute(
        text("SELECT day, domain, measure, value FROM quality_measure WHERE day >= :day ORDER BY day, domain, measure"),
        {"day": day},
    )
    return [Measured(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Review:
    """An automatic link drawn for review."""

    id: int
    pair: tuple[int, int]
    grade: str
    weight_bits: float


def draw_reviews(connection: Connection, count: int, now: datetime) -> int:
    """Draw automatic links of two domains at random that were never reviewed; returns how many were drawn."""
    return connection.execute(
        text(
            "INSERT INTO link_review (record_a, record_b, grade, weight_bits, sampled_at, domain_a, domain_b)"
            " SELECT least(a.id, b.id), greatest(a.id, b.id), a.grade, (l.evidence->>'weight_bits')::float, :now,"
            " CASE WHEN a.id < b.id THEN a.domain ELSE b.domain END,"
            " CASE WHEN a.id < b.id THEN b.domain ELSE a.domain END"
            " FROM link l TABLESAMPLE SYSTEM (20) JOIN record a ON a.id = l.record_id"
            " JOIN record b ON b.id = CASE WHEN (l.evidence->'pair'->>0)::bigint = a.id"
            " THEN (l.evidence->'pair'->>1)::bigint ELSE (l.evidence->'pair'->>0)::bigint END"
            " WHERE l.valid_to IS NULL AND l.how = 'score' AND a.state = 'active' AND b.state = 'active'"
            " AND a.grade IS NOT NULL ORDER BY random() LIMIT :count ON CONFLICT (record_a, record_b) DO NOTHING"
        ),
        {"count": count, "now": now},
    ).rowcount


def reviews_waiting(connection: Connection, site: str | None, limit: int) -> list[Review]:
    """Links that wait for a review, of one domain or (``None``) of all, in the order in which they were drawn."""
    rows = connection.execute(
        text(
            "SELECT id, record_a, record_b, grade, weight_bits FROM link_review WHERE answer IS NULL"
            " AND (CAST(:site AS text) IS NULL OR :site IN (domain_a, domain_b)) ORDER BY sampled_at, id LIMIT :limit"
        ),
        {"site": site, "limit": limit},
    )
    return [Review(r.id, (r.record_a, r.record_b), r.grade, r.weight_bits) for r in rows]


def answer_review(
    connection: Connection, review_id: int, site: str | None, answer: str, *, by: str, now: datetime
) -> bool:
    """Keep what a steward says of a link; ``False`` when it waits no more or is another's."""
    return bool(
        connection.execute(
            text(
                "UPDATE link_review SET answer = :answer, answered_by = :by, answered_at = :now WHERE id = :id"
                " AND answer IS NULL AND (CAST(:site AS text) IS NULL OR :site IN (domain_a, domain_b))"
            ),
            {"id": review_id, "site": site, "answer": answer, "by": by, "now": now},
        ).rowcount
    )


MEASURES: Sequence[str] = (
    "records",
    "persons",
    "qualified",
    "incomplete",
    "duplicate_rate",
    "overlays",
    "tasks_open",
    "tasks_opened",
    "tasks_closed",
    "task_age_days",
    "days_to_correct",
    "silent_hours",
    "feed_delay_minutes",
    "precision",
    "drift",
)
"""In the order in which they are shown."""
