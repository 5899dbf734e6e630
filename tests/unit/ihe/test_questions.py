"""Units that only read: no transaction for one statement, one state for several, each audit event before its answer."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import create_engine, event, text

from ihe.audit import AuditEvent, Outcome
from ihe.caller import Caller
from ihe.store.audit import SharedCommits
from ihe.unit_of_work import Database, LookUp

CALLER = Caller("node")
EVENT = AuditEvent(
    at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    transaction="ITI-9",
    event_code="110112",
    event_action="E",
    outcome=Outcome.SUCCESS,
    node="node",
    site=None,
    user="user",
    purpose="normal",
    correlation_id="1",
    objects=({"kind": "patient", "id": 'É"1^^^&1.2&ISO', "more": 1},),
)


@pytest.fixture
def database(database_url):
    engine = create_engine(database_url, pool_size=20)
    yield Database(engine)
    engine.dispose()


def numbered(number):
    return EVENT._replace(correlation_id=str(number))


def stored(database):
    with database.transaction() as connection:
        return connection.execute(text("SELECT * FROM audit_event ORDER BY id")).mappings().all()


def transaction_number(unit):
    return unit.ask("SELECT pg_current_xact_id()::text", ())[0][0]


def test_one_statement_is_asked_without_a_transaction(database):
    begun = []
    event.listen(database.engine, "begin", begun.append)
    with database.question(CALLER) as question:
        assert transaction_number(question) != transaction_number(question)
        question.keep(EVENT)
    assert not begun


def test_several_statements_see_one_state(database):
    with database.question(CALLER) as question:
        question.connection.execute(text("SELECT 1 FROM audit_event"))
        database.audit.write(EVENT)
        assert question.connection.execute(text("SELECT count(*) FROM audit_event")).scalar() == 0
        assert question.ask("SELECT count(*) FROM audit_event WHERE node = %s", ("node",)) == [(0,)]
        question.keep(numbered(2))
    assert [row["correlation_id"] for row in stored(database)] == ["1", "2"]


def test_an_event_is_there_when_it_was_written_and_as_the_other_way_writes_it(database):
    database.audit.write(EVENT)
    with database.unit(CALLER) as uow:
        uow.keep(EVENT)
    alone, within = (dict(row) for row in stored(database))
    assert alone.pop("id") < within.pop("id")
    assert alone == within
    assert alone["at"] == EVENT.at


def test_events_that_come_together_share_commits_and_each_is_there_before_its_writer_goes_on(database):
    together = threading.Barrier(12)

    def write(number):
        together.wait()
        for each in range(20):
            database.audit.write(numbered(f"{number}.{each}"))
            with database.alone() as cursor:
                query = "SELECT count(*) FROM audit_event WHERE correlation_id = %s"
                assert cursor.execute(query, (f"{number}.{each}",)).fetchone() == (1,)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(write, range(12)))
    with database.transaction() as connection:
        counted = connection.execute(text("SELECT count(*), count(DISTINCT xmin::text) FROM audit_event")).one()
    assert counted[0] == 240
    assert counted[1] < 240


def test_an_event_that_cannot_be_written_refuses_no_other(database):
    entered, leave = threading.Event(), threading.Event()

    def ask(statement, parameters):
        if not entered.is_set():
            entered.set()
            leave.wait(10)
        return database.ask(statement, parameters)

    shared = SharedCommits(ask)
    wrong = EVENT._replace(node="NUL\0")
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(shared.write, numbered(1))
        entered.wait(10)
        others = [threads.submit(shared.write, each) for each in (numbered(2), wrong, numbered(3))]
        leave.set()
        first.result(10)
        assert others[0].result(10) is None
        assert others[2].result(10) is None
        with pytest.raises(psycopg.DataError):
            others[1].result(10)
    assert sorted(row["correlation_id"] for row in stored(database)) == ["1", "2", "3"]
    shared.write(numbered(4))


NUMBERS = LookUp(
    "SELECT place, number * 2 FROM json_to_recordset(%s) AS asked (place int, number int)",
    lambda numbers: (json.dumps([{"place": place, "number": each} for place, each in enumerate(numbers)]),),
    lambda rows, count: [doubled for place, doubled in sorted(rows)],
)


def test_what_is_looked_up_together_is_everybodys_own(database):
    def ask(number):
        with database.question(CALLER) as question:
            return question.look_up(NUMBERS, number)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(ask, range(600))) == [2 * number for number in range(600)]


def test_in_a_transaction_it_is_looked_up_there(database):
    what = LookUp(
        "SELECT count(*) FROM audit_event WHERE node = %s", lambda nodes: nodes, lambda rows, count: [rows[0][0]]
    )
    with database.question(CALLER) as question:
        question.connection.execute(text("SELECT 1 FROM audit_event"))
        database.audit.write(EVENT)
        assert question.look_up(what, "node") == 0
    with database.question(CALLER) as question:
        assert question.look_up(what, "node") == 1
    with database.unit(CALLER) as uow:
        assert uow.look_up(what, "node") == 1


def test_a_lost_connection_is_given_up_and_the_next_question_is_answered(database):
    with pytest.raises(psycopg.OperationalError), database.question(CALLER) as question:
        question.ask("SELECT pg_terminate_backend(pg_backend_pid())", ())
    with database.question(CALLER) as question:
        assert question.ask("SELECT 1", ()) == [(1,)]
        question.keep(EVENT)
    assert len(stored(database)) == 1


def backend(cursor):
    return cursor.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_single_statements_follow_each_other_on_one_connection_which_is_none_of_the_pool(database):
    begun = []
    event.listen(database.engine, "checkout", lambda *_: begun.append(1))
    with database.alone() as cursor:
        first = backend(cursor)
    with database.question(CALLER) as question:
        assert question.ask("SELECT pg_backend_pid()", ()) == [(first,)]
        question.keep(EVENT)
    assert len(begun) == 1
    assert database.engine.pool.checkedout() == 0
    with database.transaction() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() != first


def test_a_statement_that_was_refused_leaves_its_connection_in_order(database):
    with pytest.raises(psycopg.errors.DivisionByZero), database.question(CALLER) as question:
        question.ask("SELECT 1 / 0", ())
    with database.question(CALLER) as question:
        assert question.ask("SELECT 1", ()) == [(1,)]


def test_more_statements_at_once_than_connections_are_kept_borrow_some_of_the_pool(database_url):
    database = Database(create_engine(database_url, pool_size=30))
    with ExitStack() as at_once:
        backends = {backend(at_once.enter_context(database.alone())) for _ in range(20)}
    assert len(backends) == 20
    assert database.engine.pool.checkedout() == 0
    with database.transaction() as connection:  # one that was borrowed: here a statement is not committed by itself
        connection.execute(text("CREATE TABLE undone ()"))
        connection.rollback()
    with database.alone() as cursor:
        assert cursor.execute("SELECT to_regclass('undone')").fetchone() == (None,)
    database.engine.dispose()


def test_kept_connections_end_with_the_pool(database, database_url):
    with database.alone() as cursor:
        kept = backend(cursor)
    database.engine.dispose()
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    # Within a transaction the connections are seen as they were at first.
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
        for _ in range(100):
            if other.execute(alive, (kept,)).fetchone() == (0,):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the connection is still open")
    with database.alone() as cursor:
        assert backend(cursor) != kept


def test_a_question_that_waits_for_others_holds_no_connection(database):
    with database.question(CALLER) as question:
        assert question.connection.execute(text("SELECT 1")).scalar() == 1
        assert database.engine.pool.checkedout() == 1
        question.release()
        assert database.engine.pool.checkedout() == 0
        assert question.connection.execute(text("SELECT 2")).scalar() == 2
        question.keep(EVENT)
        assert database.engine.pool.checkedout() == 0
    assert len(stored(database)) == 1


def test_what_a_question_announces_stands_in_the_commit_of_its_audit_event(database):
    with database.question(CALLER) as question:
        question.publish("document.registered", "someone", {})
        question.release()
        question.keep(EVENT)
        assert stored(database) == []
    assert len(stored(database)) == 1
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM outbox_event")).scalar() == 1


def test_values_go_and_come_as_they_are(database):
    statement = """SELECT %(text)s::text, %(text)s || '%%', %(number)s + 1, NOT %(yes)s, %(nothing)s::text,
        '2026-01-02T03:04:05.678901Z'::timestamptz, ARRAY['a', NULL], '{"a": 1}'::jsonb"""
    asked = {"text": "É'\"\\ $1 %s", "number": 2**40, "yes": True, "nothing": None}
    for _ in range(2):
        ((text_, more, number, no, nothing, *others),) = database.ask(statement, asked)
        assert (text_, more, number, no, nothing) == (asked["text"], asked["text"] + "%", 2**40 + 1, False, None)
        assert others == [EVENT.at, ["a", None], {"a": 1}]
    assert database.ask("SELECT %s || %s", ("a", "b")) == [("ab",)]
    assert database.ask("SELECT 1 WHERE %s", (False,)) == []
    assert database.ask("SELECT %s = ANY(%s)", ("a", ["a", "b"])) == [(True,)]


@pytest.mark.parametrize("value", ["a\0b", "\0"])
def test_a_nul_is_refused_and_cuts_no_value_short(database, value):
    with pytest.raises(psycopg.DataError):
        database.ask("SELECT %s::text", (value,))
    assert database.ask("SELECT %s::text", ("ab",)) == [("ab",)]


def test_one_statement_takes_values_of_several_types(database):
    statement = "SELECT coalesce(to_jsonb(%s), '0')::text"
    assert [database.ask(statement, (value,)) for value in (1, True, 2)] == [[("1",)], [("true",)], [("2",)]]


def test_statements_beyond_those_that_stay_prepared_are_answered_too(database):
    asked = [f"SELECT {number}, %s::text" for number in range(130)]
    for _ in range(2):
        assert [database.ask(statement, ("x",)) for statement in asked] == [[(number, "x")] for number in range(130)]
    with database.alone() as cursor:
        prepared = cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'single%'").fetchone()
    assert prepared == (100,)


def test_a_connection_that_is_borrowed_again_knows_what_was_prepared_on_it(database_url):
    database = Database(create_engine(database_url, pool_size=30))
    together = threading.Barrier(20)

    def ask(_number):
        together.wait()
        return [database.ask("SELECT pg_sleep(0.1), %s::text", ("x",))[0][1] for _ in range(3)]

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(ask, range(20))) == [["x"] * 3] * 20
    database.engine.dispose()


def test_a_question_that_fails_rolls_back_what_it_began(database):
    def fail(question):
        question.connection.execute(text("SELECT 1"))
        question.publish("document.registered", "someone", {})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.question(CALLER) as question:
        fail(question)
    assert database.engine.pool.checkedout() == 0
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM outbox_event")).scalar() == 0
