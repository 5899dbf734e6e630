"""Records connected by scored pairs, decisions, merges or present persons, and what stands between them.

Deciding needs all of it; it is read in two round trips, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from mpi.domain.cleaning import Cleaned
from mpi.domain.record import Record
from mpi.store import records
from mpi.store.pairs import Pair, ScoredPair
from mpi.store.tasks import TaskKey

_REACHED = """
    WITH RECURSIVE reached(id) AS (
        SELECT unnest(CAST(:seeds AS bigint[]))
        UNION
        SELECT n.id FROM reached, LATERAL (
            SELECT p.record_b AS id FROM scored_pair p WHERE p.record_a = reached.id
            UNION ALL SELECT p.record_a FROM scored_pair p WHERE p.record_b = reached.id
            UNION ALL SELECT d.record_b FROM decision d WHERE d.record_a = reached.id AND d.revoked_at IS NULL
            UNION ALL SELECT d.record_a FROM decision d WHERE d.record_b = reached.id AND d.revoked_at IS NULL
            UNION ALL SELECT mate.id FROM record me JOIN record mate ON mate.person_id = me.person_id
                WHERE me.id = reached.id
            UNION ALL SELECT me.merged_into FROM record me
                WHERE me.id = reached.id AND me.merged_into IS NOT NULL
            UNION ALL SELECT taken.id FROM record taken WHERE taken.merged_into = reached.id
        ) AS n
    )"""
_LOCK = text(
    f"""{_REACHED}
    SELECT {records.COLUMNS}, r.cleaned FROM record r WHERE r.id = ANY(ARRAY(SELECT id FROM reached))
    ORDER BY r.id FOR NO KEY UPDATE OF r
    """
)
# Arrays, so that each table is asked by its indexes, however many rows are expected of the recursion.
_BETWEEN = text(
    f"""{_REACHED}, found AS MATERIALIZED (SELECT array_agg(id) AS ids FROM reached)
    SELECT found.ids,
        (SELECT json_agg(json_build_array(p.record_a, p.record_b, p.weight_bits, p.evidence, p.model))
            FROM scored_pair p WHERE p.record_a = ANY(found.ids) AND p.record_b = ANY(found.ids)) AS pairs,
        (SELECT json_agg(json_build_array(d.record_a, d.record_b, d.verdict))
            FROM decision d WHERE d.record_a = ANY(found.ids) AND d.record_b = ANY(found.ids)
            AND d.revoked_at IS NULL) AS decisions,
        (SELECT json_agg(json_build_array(t.id, t.kind, t.record_a, t.record_b))
            FROM task t WHERE t.state = 'open' AND (t.record_a = ANY(found.ids) OR t.record_b = ANY(found.ids))
            ) AS tasks
    FROM found
    """
)


def lock(connection: Connection, seeds: Iterable[int]) -> list[tuple[Record, Cleaned]]:
    """The connected records in any state with their matching forms, by id; nobody else changes them until the end."""
    rows = connection.execute(_LOCK, {"seeds": list(seeds)})
    return [(records.from_row(row), Cleaned.from_json(row.cleaned)) for row in rows]


@dataclass(frozen=True, slots=True)
class Between:
    """What stands between connected records.

    Attributes:
        ids: of all of them.
        pairs: scored pairs.
        decisions: pair and verdict of the decisions in force.
        open_tasks: ids of the open tasks that touch any of them.
    """

    ids: frozenset[int]
    pairs: list[ScoredPair]
    decisions: list[tuple[Pair, str]]
    open_tasks: dict[TaskKey, int]


def between(connection: Connection, seeds: Iterable[int]) -> Between:
    """Read what stands between the records that are connected now."""
    row = connection.execute(_BETWEEN, {"seeds": list(seeds)}).one()
    return Between(
        frozenset(row.ids or ()),
        [ScoredPair((a, b), bits, evidence, model) for a, b, bits, evidence, model in row.pairs or ()],
        [((a, b), verdict) for a, b, verdict in row.decisions or ()],
        {(kind, a, b): task_id for task_id, kind, a, b in row.tasks or ()},
    )
