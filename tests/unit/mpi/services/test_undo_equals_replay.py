"""Undo, for real: after any sequence of feeds, merges, decisions, votes and undos, the index is as if the undone steps
had never been."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from ihe.caller import Caller
from ihe.errors import IheError
from ihe.unit_of_work import Database
from ihe.values import PartialDate
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.answer_task import answer_task
from mpi.services.change_identifier import change_identifier
from mpi.services.change_model import activate_model
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import feed_record
from mpi.services.merge_records import merge_records
from mpi.services.undo_event import undo_event
from mpi.store import invariants

_ALIKE = Traits(
    birth_family_name="EXEMPLE",
    birth_given_names=("MARIE", "LOUISE"),
    first_birth_given_name="MARIE",
    sex=Sex.FEMALE,
    birth_date=PartialDate(1948, 3, 17),
    birth_place_code="42218",
    identity_status=IdentityStatus.VALI,
)
_VARIANTS = (
    _ALIKE,
    replace(_ALIKE, identity_status=IdentityStatus.PROV, birth_place_code=None, phone="0477000001"),
    replace(_ALIKE, birth_date=PartialDate(1948, 3, 19), birth_place_code=None, phone="0477000001"),
    replace(_ALIKE, first_birth_given_name="ANNE", birth_given_names=("ANNE",)),
    replace(
        _ALIKE, birth_family_name="MODELE", first_birth_given_name="PAUL", birth_given_names=("PAUL",), sex=Sex.MALE
    ),
    replace(_ALIKE, identity_attributes=frozenset({"DOUT"})),
)
_NEW = RecordKey("ICL", "I9")
_MODELS = (default_french(), replace(default_french(), name="other"), replace(default_french(), name="third"))
_KEYS = tuple(RecordKey(domain, f"{domain[0]}{n}") for domain in ("CHUSE", "ROANNE", "ICL") for n in (1, 2))
_REGION = Caller("test", None, "regine", frozenset({"regional-steward"}))
_STEWARD = frozenset({"site-steward"})
_DESKS = (_REGION, *(Caller("test", site, f"steward of {site}", _STEWARD) for site in ("CHUSE", "ROANNE", "ICL")))


@dataclass(frozen=True)
class Step:
    """One thing done: ``feed``, ``merge``, ``rename``, ``decide``, ``answer`` or ``activate``, with what it needs."""

    act: str
    keys: tuple[RecordKey, ...]
    what: Any = None


def some_step(chance: random.Random) -> Step:
    act = chance.choices(("feed", "merge", "rename", "decide", "answer", "activate"), (6, 1, 1, 4, 4, 1))[0]
    if act == "feed":
        return Step(act, (chance.choice(_KEYS),), chance.randrange(len(_VARIANTS)))
    if act == "merge":
        domain = chance.choice(("CHUSE", "ROANNE", "ICL"))
        return Step(act, tuple(chance.sample([key for key in _KEYS if key.domain == domain], 2)))
    if act == "rename":
        return Step(act, (chance.choice([key for key in _KEYS if key.domain == "ICL"]), _NEW))
    if act == "activate":
        return Step(act, (), chance.randrange(len(_MODELS)))
    if act == "answer":
        about = tuple(sorted(chance.sample(_KEYS, 2))) if chance.random() < 0.8 else (chance.choice(_KEYS),) * 2
        return Step(act, about, (chance.choice(("same", "different", "unknown")), chance.choice(_DESKS)))
    return Step(act, tuple(sorted(chance.sample(_KEYS, 2))), chance.choice(("same", "different")))


_WRITTEN = (
    "task_vote",
    "task_desk",
    "task",
    "link",
    "decision",
    "scored_pair",
    "blocking_key",
    "record_name",
    "record_sound",
    "record_version",
    "record",
    "identity_event",
    "outbox_event",
    "match_model",
)


class World:
    """An index in which steps are done and undone."""

    def __init__(self, database: Database, index: MpiApplication) -> None:
        self.database, self.index = database, index

    def empty(self) -> None:
        with self.database.engine.begin() as connection:
            # Deleting few rows is much faster than truncating many tables.
            connection.execute(text("; ".join(f"DELETE FROM {name}" for name in _WRITTEN)))
        with self.database.unit(_REGION) as uow:
            for number, key in enumerate(_KEYS):
                feed_record(uow, self.index, key, _VARIANTS[number % len(_VARIANTS)])

    def do(self, step: Step) -> int | None:
        """Do a step; returns the event by which it can be undone, ``None`` when it came to nothing."""
        try:
            with self.database.unit(step.what[1] if step.act == "answer" else _REGION) as uow:
                if step.act == "activate":
                    activate_model(uow, _MODELS[step.what], "test")
                    return _last_event(uow.connection, "model.activated")
                if step.act == "rename":
                    return change_identifier(uow, self.index, *step.keys, None)
                if step.act == "feed":
                    found = feed_record(uow, self.index, step.keys[0], _VARIANTS[step.what])
                    if str(found.outcome) != "updated":
                        return None
                    return _last_event(uow.connection, "record.updated")
                if step.act == "merge":
                    return merge_records(uow, self.index, step.keys[0], step.keys[1], None)
                if step.act == "decide":
                    return decide_pair(uow, self.index, *step.keys, step.what, reason="test")
                task = _open_task(uow.connection, step.keys)
                if task is None:
                    return None
                return answer_task(uow, self.index, task, step.what[0], reason="test").event_id
        except IheError:
            return None

    def undo(self, event_id: int) -> bool:
        try:
            with self.database.unit(_REGION) as uow:
                undo_event(uow, self.index, event_id, reason="test")
        except IheError:
            return False
        return True

    def seen(self) -> dict[str, object]:
        """Everything that answers, in names that do not depend on what happened in between."""
        with self.database.unit(_REGION) as uow:
            connection = uow.connection
            assert invariants.violations(connection) == []
            return {name: sorted(map(repr, connection.execute(text(query)))) for name, query in _SEEN.items()}


_NAMED = "a.domain || a.local_id AS a, b.domain || b.local_id AS b"
_SEEN = {
    "records": (
        "SELECT r.domain, r.local_id, r.state, r.traits, r.grade, m.domain || m.local_id AS into, f.domain ||"
        " f.local_id AS founder FROM record r LEFT JOIN record m ON m.id = r.merged_into"
        " JOIN record f ON f.id = r.person_id WHERE r.state <> 'withdrawn'"
    ),
    "tasks": (
        f"SELECT t.kind, t.stage, {_NAMED} FROM task t JOIN record a ON a.id = t.record_a"
        " JOIN record b ON b.id = t.record_b WHERE t.state = 'open'"
    ),
    "decisions": (
        f"SELECT d.verdict, {_NAMED} FROM decision d JOIN record a ON a.id = d.record_a"
        " JOIN record b ON b.id = d.record_b WHERE d.revoked_at IS NULL"
    ),
    "pairs": (
        f"SELECT p.weight_bits, {_NAMED} FROM scored_pair p JOIN record a ON a.id = p.record_a"
        " JOIN record b ON b.id = p.record_b"
    ),
    "votes": (
        f"SELECT t.kind, v.site, v.by, v.answer, {_NAMED} FROM task_vote v JOIN task t ON t.id = v.task_id"
        " JOIN record a ON a.id = t.record_a JOIN record b ON b.id = t.record_b"
        " WHERE v.withdrawn_event_id IS NULL AND t.state = 'open'"
    ),
    "model": "SELECT version FROM match_model WHERE active",
    "keys": "SELECT r.domain, r.local_id, k.key FROM blocking_key k JOIN record r ON r.id = k.record_id",
}


def _last_event(connection: Connection, kind: str) -> int:
    return int(connection.execute(text("SELECT max(id) FROM identity_event WHERE kind = :k"), {"k": kind}).scalar_one())


def _open_task(connection: Connection, keys: tuple[RecordKey, ...]) -> int | None:
    found: int | None = connection.execute(
        text(
            "SELECT t.id FROM task t JOIN record a ON a.id = t.record_a JOIN record b ON b.id = t.record_b"
            " WHERE t.state = 'open' AND a.domain || a.local_id IN (:one, :other)"
            " AND b.domain || b.local_id IN (:one, :other) AND (a.id <> b.id) = (:one <> :other)"
            " ORDER BY t.kind LIMIT 1"
        ),
        {"one": keys[0].domain + keys[0].local_id, "other": keys[1].domain + keys[1].local_id},
    ).scalar()
    return found


def play(world: World, seed: int) -> bool:
    """One random sequence, compared with a replay of the steps that stand at its end; whether there is one."""
    chance = random.Random(seed)
    world.empty()
    done: list[tuple[Step, int]] = []
    standing: list[Step] = []
    for _ in range(chance.randrange(3, 9)):
        if done and chance.random() < 0.4:
            position = len(done) - 1 - min(int(chance.expovariate(1.2)), len(done) - 1)
            if world.undo(done[position][1]):
                done.pop(position)
                standing.pop(position)
        else:
            step = some_step(chance)
            event_id = world.do(step)
            if event_id is not None:
                done.append((step, event_id))
                standing.append(step)
    seen = world.seen()
    world.empty()
    outcomes = [world.do(step) is not None for step in standing]
    if not all(outcomes):
        return False  # a step that stands was possible only beside one that was undone
    assert world.seen() == seen, f"seed {seed}: {standing}"
    return True


@pytest.fixture(scope="module")
def world(module_database_url: str, index: MpiApplication) -> Iterator[World]:
    engine = create_engine(module_database_url)
    yield World(Database(engine), index)
    engine.dispose()


@pytest.mark.parametrize("block", range(2))
def test_what_was_undone_has_never_been(world: World, block: int) -> None:
    compared = [play(world, seed) for seed in range(block * 40, block * 40 + 40)]
    assert sum(compared) >= 0.8 * len(compared)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(50))
def test_what_was_undone_has_never_been_in_5000_sequences(world: World, block: int) -> None:
    compared = [play(world, seed) for seed in range(10_000 + block * 100, 10_000 + block * 100 + 100)]
    assert sum(compared) >= 0.8 * len(compared)
