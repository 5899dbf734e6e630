"""Measures of identity quality, taken once a day for each domain and for the region (domain empty)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Measured:
    """One value on one day; ``domain`` is empty for the region."""

    day: date
    domain: str
    measure: str
    value: float


_COUNTED: Final = timedelta(days=30)
_DRAWN_A_DAY: Final = 40
_RECORDS = """
    WITH counted AS (
        SELECT domain, count(*) AS records, count(DISTINCT person_id) AS persons,
            count(*) FILTER (WHERE identity_status = 'QUAL') AS qualified,
            count(*) FILTER (WHERE birth_date IS NULL OR sex IS NULL OR NOT traits ? 'birth_family_name'
                OR NOT traits ? 'first_birth_given_name' OR NOT traits ? 'birth_place_code') AS incomplete,
            extract(epoch FROM CAST(:now AS timestamptz) - max(updated_at)) / 3600 AS silent_hours
        FROM record WHERE state = 'active' GROUP BY GROUPING SETS ((domain), ())
    )
    INSERT INTO quality_measure (day, domain, measure, value)
    SELECT :day, coalesce(domain, ''), m.name, m.value FROM counted, LATERAL (VALUES
        ('records', records::float), ('persons', persons::float),
        ('qualified', qualified::float / records), ('incomplete', incomplete::float / records),
        ('silent_hours', silent_hours::float)) AS m(name, value)
    WHERE m.value IS NOT NULL ON CONFLICT (day, domain, measure) DO UPDATE SET value = excluded.value
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


def measure(connection: Connection, now: datetime, since: datetime) -> None:
    """Take the measures of today; a second time on a day replaces the first.

    Args:
        since: opened, closed and corrected tasks count from then on.
    """
    values = {"day": now.date(), "now": now, "since": since}
    for statement in (_RECORDS, _TASKS, _REVIEWS, _DUPLICATE_RATE):
        connection.execute(text(statement), values)


def measured_on(connection: Connection, day: date) -> bool:
    """Whether the measures of a day were taken."""
    found = text("SELECT EXISTS (SELECT 1 FROM quality_measure WHERE day = :day)")
    return bool(connection.execute(found, {"day": day}).scalar())


def measure_daily(connection: Connection, now: datetime) -> int:
    """Take today's measures and draw today's links for review, once a day; returns how many were drawn."""
    if measured_on(connection, now.date()):
        return 0
    measure(connection, now, now - _COUNTED)
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
    "precision",
)
"""In the order in which they are shown."""
