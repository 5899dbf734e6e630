"""A model in the database: kept, put in force, weighed against what is decided, and everybody linked anew under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, text

from bench.population import generate
from ihe.caller import Caller
from ihe.errors import IheError
from ihe.unit_of_work import Database, UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.model import MatchModel
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.services.change_model import Change, activate_model, find_model, relink_everybody, shadow_run
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import feed_record
from mpi.services.train_model import changes, train_model
from mpi.services.undo_event import undo_event
from mpi.store import invariants, models, records
from mpi.translate.bulk_row import COLUMNS, read_row


@pytest.fixture(scope="module")
def rows() -> list[BulkRow]:
    found = []
    for made in generate(900, seed=23, profile="hard"):
        row = made[0] if isinstance(made, tuple) else made
        found.append(BulkRow(*read_row({name: row.get(name) for name in COLUMNS})))
    return found


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    yield made
    made.dispose()


@contextmanager
def opened(engine: Engine) -> Iterator[UnitOfWork]:
    with Database(engine).unit(Caller("test")) as uow:
        yield uow


def loaded(engine: Engine, app: MpiApplication, rows: list[BulkRow]) -> None:
    with opened(engine) as uow:
        bulk_load(uow, app, rows)


def doubting(model: MatchModel) -> MatchModel:
    """A model that wants more before it links, and asks sooner."""
    higher = replace(model.thresholds, automatic=45.0, unsupported=45.0, possible=14.0, cohesion=20.0)
    return replace(model, name="doubting", thresholds=higher)


def state(engine: Engine) -> tuple[object, ...]:
    """Everything decided: persons, grades, open tasks, scored pairs; ids as names."""
    with engine.connect() as connection:
        assert invariants.violations(connection) == []
        name = {
            row.id: (row.domain, row.local_id)
            for row in connection.execute(text("SELECT id, domain, local_id FROM record"))
        }
        people: dict[int, set[tuple[str, str]]] = {}
        grades = set()
        for row in connection.execute(text("SELECT id, person_id, grade FROM record")):
            people.setdefault(row.person_id, set()).add(name[row.id])
            grades.add((name[row.id], row.grade))
        tasks = {
            (row.kind, frozenset((name[row.record_a], name[row.record_b])))
            for row in connection.execute(text("SELECT kind, record_a, record_b FROM task WHERE state = 'open'"))
        }
        pairs = {
            (frozenset((name[row.record_a], name[row.record_b])), row.weight_bits, row.model)
            for row in connection.execute(text("SELECT record_a, record_b, weight_bits, model FROM scored_pair"))
        }
    return {frozenset(members) for members in people.values()}, grades, tasks, pairs


def test_a_model_is_kept_put_in_force_and_read_back_the_same(engine: Engine, index: MpiApplication) -> None:
    second = doubting(index.model)
    with opened(engine) as uow:
        assert models.active(uow.connection) is None
        activate_model(uow, index.model, "the first")
        activate_model(uow, second, "the second")
        assert models.active(uow.connection) == second
        assert models.active(uow.connection).version == second.version  # type: ignore[union-attr]
        activate_model(uow, find_model(uow, index.model.version))
        assert models.active(uow.connection) == index.model
        listed = {row.version: row for row in models.listed(uow.connection)}
    assert {row.note for row in listed.values()} == {"the first", "the second"}
    assert [row.active for row in listed.values()].count(True) == 1
    assert all(row.activated_at and row.activated_by for row in listed.values())


def test_an_activation_is_taken_back_only_when_none_followed_not_even_of_the_same_model(
    engine: Engine, index: MpiApplication
) -> None:
    with opened(engine) as uow:
        activate_model(uow, index.model)
        activate_model(uow, index.model)
        first, second = (
            row[0]
            for row in uow.connection.execute(
                text("SELECT id FROM identity_event WHERE kind = 'model.activated' ORDER BY id")
            )
        )
    with pytest.raises(IheError, match="since"), opened(engine) as uow:
        undo_event(uow, index, first, reason="test")
    with opened(engine) as uow:
        undo_event(uow, index, second, reason="test")
        assert models.active(uow.connection) == index.model
        undo_event(uow, index, first, reason="test")
        assert models.active(uow.connection) is None


def test_a_model_that_is_not_kept_is_refused(engine: Engine) -> None:
    with opened(engine) as uow, pytest.raises(IheError, match="no model 00"):
        find_model(uow, "00")


def test_the_present_model_would_decide_nothing_differently(
    engine: Engine, index: MpiApplication, rows: list[BulkRow]
) -> None:
    loaded(engine, index, rows)
    with opened(engine) as uow:
        found = shadow_run(uow, index, index.model)
    assert found.records > 800
    assert found.decisions == ()
    assert {
        name: getattr(found, name) for name in found.__dataclass_fields__ if name not in ("records", "decisions")
    } == {
        "records_moved": 0,
        "links_gained": 0,
        "links_lost": 0,
        "grades_changed": 0,
        "tasks_opened": 0,
        "tasks_closed": 0,
    }
    with opened(engine) as uow:
        assert relink_everybody(uow, index) == 0


def test_linking_anew_ends_where_loading_under_the_model_does(
    engine: Engine, index: MpiApplication, rows: list[BulkRow], embedded_server, template_database, clone
) -> None:
    changed = replace(index, model=doubting(index.model))
    with clone(embedded_server, template_database) as url:
        fresh = create_engine(url)
        loaded(fresh, changed, rows)
        wanted = state(fresh)
        fresh.dispose()
    loaded(engine, index, rows)
    before = state(engine)
    with opened(engine) as uow:
        expected = shadow_run(uow, index, changed.model)
    assert state(engine) == before
    assert expected.links_lost > 10
    with opened(engine) as uow:
        assert relink_everybody(uow, changed) > 0
    assert state(engine) == wanted
    with opened(engine) as uow:
        assert relink_everybody(uow, changed) == 0
    lost, gained = _pairs(before) - _pairs(wanted), _pairs(wanted) - _pairs(before)
    assert (expected.links_lost, expected.links_gained) == (len(lost), len(gained))
    told = {
        change: {frozenset(((e.first.domain, e.first.local_id), (e.second.domain, e.second.local_id))) for e in group}
        for change in Change
        if (group := [each for each in expected.decisions if each.change is change]) is not None
    }
    assert (told[Change.LINK_LOST], told[Change.LINK_GAINED]) == (lost, gained)
    assert len(told[Change.TASK_OPENED]) == len({pair for _, pair in wanted[2] - before[2]})  # type: ignore[operator]
    assert expected.tasks_opened == len(wanted[2] - before[2])  # type: ignore[operator]
    assert expected.tasks_closed == len(before[2] - wanted[2])  # type: ignore[operator]


def _pairs(found: tuple[object, ...]) -> set[frozenset[tuple[str, str]]]:
    people: set[frozenset[tuple[str, str]]] = found[0]  # type: ignore[assignment]
    return {frozenset((a, b)) for person in people for a in person for b in person if a != b}


def test_a_model_is_learned_from_what_is_loaded(engine: Engine, index: MpiApplication, rows: list[BulkRow]) -> None:
    with opened(engine) as uow, pytest.raises(IheError, match="loaded population"):
        train_model(uow, None, index.model)
    loaded(engine, index, rows)
    with opened(engine) as uow:
        learned = train_model(uow, None, index.model, random_pairs=20_000).learned
    assert learned.model.version != index.model.version
    report = list(changes(index.model, learned.model))
    assert {row.field for row in report} == set(index.model.levels)
    assert any(row.before_bits != row.after_bits for row in report)


def test_stewards_teach_once_they_said_enough_of_either_kind(
    engine: Engine, index: MpiApplication, rows: list[BulkRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(engine, index, rows)
    with opened(engine) as uow:
        pairs = uow.connection.execute(
            text("SELECT record_a, record_b, weight_bits FROM scored_pair ORDER BY weight_bits DESC")
        ).all()
        known = {row.id: row for row in records.by_ids(uow.connection, {i for p in pairs for i in p[:2]})}
        judged = [*pairs[:30], *pairs[-6:]]
        for n, (a, b, _) in enumerate(judged):
            decide_pair(uow, index, known[a].key, known[b].key, "same" if n < 30 else "different", reason="test")
        # What a record says now is not what the steward saw: its pairs teach nothing.
        changed = known[judged[0].record_a]
        feed_record(uow, index, changed.key, replace(changed.traits, city="AILLEURS"))
    with opened(engine) as uow:
        uow.connection.execute(
            text("UPDATE record_version SET valid_from = now() + interval '1 hour' WHERE version > 1")
        )
        few = train_model(uow, None, index.model, random_pairs=20_000)
        stale = sum(changed.id in pair[:2] for pair in judged)
        assert (few.before.same + few.before.different, few.learned.labels) == (36 - stale, 0)
        monkeypatch.setattr("mpi.services.train_model.ENOUGH_LABELS", 30)
        monkeypatch.setattr("mpi.services.train_model.ENOUGH_OF_EACH", 5)
        taught = train_model(uow, None, index.model, random_pairs=20_000)
        unheard = train_model(uow, None, index.model, random_pairs=20_000, use_labels=False)
    assert taught.learned.labels == 36 - stale
    assert taught.learned.model.version != unheard.learned.model.version == few.learned.model.version
    assert taught.after.same_kept_apart <= taught.before.same_kept_apart
