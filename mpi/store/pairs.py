"""Scored pairs (the graph from which persons are made) and stewards' decisions about pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from mpi.store.traits_json import json_text

Pair = tuple[int, int]


def ordered(first: int, second: int) -> Pair:
    """The pair with the smaller id first."""
    return (first, second) if first < second else (second, first)


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """What was found when two records were compared.

    Attributes:
        evidence: the score as JSON, enough to explain it later.
        model: version of the model that scored.
    """

    pair: Pair
    weight_bits: float
    evidence: Mapping[str, Any]
    model: str


_INSERT = text(
    """
    INSERT INTO scored_pair (record_a, record_b, weight_bits, evidence, model, scored_at)
    VALUES (:a, :b, :weight_bits, CAST(:evidence AS jsonb), :model, :now)
    """
)


def remove(connection: Connection, record_id: int) -> None:
    """Forget the scored pairs of a record."""
    connection.execute(text("DELETE FROM scored_pair WHERE record_a = :id OR record_b = :id"), {"id": record_id})


def remove_all(connection: Connection) -> None:
    """Forget every scored pair."""
    connection.execute(text("DELETE FROM scored_pair"))


def add(connection: Connection, pairs: Iterable[ScoredPair], now: datetime) -> None:
    """Keep scored pairs."""
    rows = [
        {
            "a": found.pair[0],
            "b": found.pair[1],
            "weight_bits": found.weight_bits,
            "evidence": json_text(found.evidence),
            "model": found.model,
            "now": now,
        }
        for found in pairs
    ]
    if rows:
        connection.execute(_INSERT, rows)


def among(connection: Connection, ids: Iterable[int]) -> list[ScoredPair]:
    """Scored pairs with both ends in a set of records."""
    rows = connection.execute(
        text(
            "SELECT record_a, record_b, weight_bits, evidence, model FROM scored_pair"
            " WHERE record_a = ANY(:ids) AND record_b = ANY(:ids)"
        ),
        {"ids": list(ids)},
    )
    return [ScoredPair((r.record_a, r.record_b), r.weight_bits, r.evidence, r.model) for r in rows]


def with_record(connection: Connection, record_id: int) -> list[ScoredPair]:
    """Scored pairs with one end in a record."""
    rows = connection.execute(
        text(
            "SELECT record_a, record_b, weight_bits, evidence, model FROM scored_pair WHERE record_a = :id"
            " UNION ALL SELECT record_a, record_b, weight_bits, evidence, model FROM scored_pair WHERE record_b = :id"
        ),
        {"id": record_id},
    )
    return [ScoredPair((r.record_a, r.record_b), r.weight_bits, r.evidence, r.model) for r in rows]


def get(connection: Connection, pair: Pair) -> ScoredPair | None:
    """The stored score of two records, or ``None`` when they never met or scored too low to keep."""
    return next(iter(among(connection, pair)), None)


def neighbours(connection: Connection, record_id: int) -> set[int]:
    """Records that have a scored pair with a record."""
    rows = connection.execute(
        text(
            "SELECT record_b AS id FROM scored_pair WHERE record_a = :id"
            " UNION ALL SELECT record_a FROM scored_pair WHERE record_b = :id"
        ),
        {"id": record_id},
    )
    return {row.id for row in rows}


@dataclass(frozen=True, slots=True)
class Decision:
    """Somebody's word about two records; it outlives re-matching.

    Attributes:
        verdict: ``same`` or ``different``.
        how: ``steward`` or ``message``.
    """

    id: int
    pair: Pair
    verdict: str
    reason: str
    how: str
    decided_by: str
    decided_at: datetime


def decisions_among(connection: Connection, ids: Iterable[int]) -> list[Decision]:
    """Decisions in force with both ends in a set of records."""
    rows = connection.execute(
        text(
            "SELECT id, record_a, record_b, verdict, reason, how, decided_by, decided_at FROM decision"
            " WHERE record_a = ANY(:ids) AND record_b = ANY(:ids) AND revoked_at IS NULL"
        ),
        {"ids": list(ids)},
    )
    return [
        Decision(r.id, (r.record_a, r.record_b), r.verdict, r.reason, r.how, r.decided_by, r.decided_at) for r in rows
    ]


def decide(
    connection: Connection,
    pair: Pair,
    verdict: str,
    *,
    reason: str,
    how: str,
    by: str,
    event_id: int,
    now: datetime,
) -> int:
    """Write a decision; the pair must have none in force. Returns its id."""
    decision_id: int = connection.execute(
        text(
            "INSERT INTO decision (record_a, record_b, verdict, reason, how, event_id, decided_by, decided_at)"
            " VALUES (:a, :b, :verdict, :reason, :how, :event_id, :by, :now) RETURNING id"
        ),
        {
            "a": pair[0],
            "b": pair[1],
            "verdict": verdict,
            "reason": reason,
            "how": how,
            "event_id": event_id,
            "by": by,
            "now": now,
        },
    ).scalar_one()
    return decision_id


def revoke(connection: Connection, decision_id: int, *, by: str, event_id: int, now: datetime) -> None:
    """Take a decision out of force; it stays in the history."""
    connection.execute(
        text(
            "UPDATE decision SET revoked_at = :now, revoked_by = :by, revoked_event_id = :event_id"
            " WHERE id = :id AND revoked_at IS NULL"
        ),
        {"id": decision_id, "by": by, "event_id": event_id, "now": now},
    )


def reinstate(connection: Connection, decision_id: int) -> None:
    """Put a revoked decision back in force."""
    connection.execute(
        text("UPDATE decision SET revoked_at = NULL, revoked_by = NULL, revoked_event_id = NULL WHERE id = :id"),
        {"id": decision_id},
    )


def decision_of_event(connection: Connection, event_id: int) -> int:
    """The decision that an event wrote; ``KeyError`` when it wrote none."""
    found: int | None = connection.execute(
        text("SELECT id FROM decision WHERE event_id = :event_id"), {"event_id": event_id}
    ).scalar()
    if found is None:
        raise KeyError(event_id)
    return found
