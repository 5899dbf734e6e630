"""What stewards said of pairs of records, for learning: decisions in force, and reviews of automatic links."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mpi.store.pairs import Pair

_LABELS = text(
    """
    WITH said AS (
        SELECT record_a, record_b, verdict, decided_at AS at, 0 AS rank FROM decision
        WHERE revoked_at IS NULL AND how = 'steward'
        UNION ALL
        SELECT record_a, record_b, answer, answered_at, 1 FROM link_review WHERE answer IN ('same', 'different')
    )
    SELECT DISTINCT ON (s.record_a, s.record_b) s.record_a, s.record_b, s.verdict = 'same' AS same
    FROM said s
    JOIN record a ON a.id = s.record_a AND a.state = 'active'
    JOIN record b ON b.id = s.record_b AND b.state = 'active'
    WHERE NOT EXISTS (
        SELECT 1 FROM record_version v WHERE v.record_id IN (s.record_a, s.record_b) AND v.valid_from > s.at
    )
    ORDER BY s.record_a, s.record_b, s.rank
    """
)


def said_of_pairs(connection: Connection) -> dict[Pair, bool]:
    """Whether each pair is one person, of active records that say the same as when a steward saw them.

    A decision goes before a review of the same pair.
    """
    return {(row.record_a, row.record_b): row.same for row in connection.execute(_LABELS)}
