"""Short questions in the event loop's own thread: nothing blocks it, nothing is lost, and what is long leaves it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text

from ihe import fibers
from ihe.audit import AuditEvent, Outcome
from ihe.caller import Caller
from ihe.single_statements import SingleStatements
from ihe.unit_of_work import Database

CALLER = Caller("node")
EVENT = AuditEvent(
    at=datetime(2026, 1, 2, tzinfo=UTC),
    transaction="ITI-9",
    event_code="110112",
    event_action="E",
    outcome=Outcome.SUCCESS,
    node="node",
    site=None,
    user=None,
    purpose="normal",
    correlation_id="1",
    objects=(),
)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Runs functions as fibers of one loop, all begun at once; their results or exceptions."""
    with ThreadPoolExecutor(4, thread_name_prefix="other") as threads:

        async def serve(functions):
            return await asyncio.gather(*(fibers.serve(threads, each) for each in functions), return_exceptions=True)

        with asyncio.Runner(loop_factory=request.param) as runner:
            yield lambda *functions: runner.run(serve(functions))


@pytest.fixture
def database(database_url):
    engine = create_engine(database_url, pool_size=20)
    yield Database(engine)
    engine.dispose()


def test_a_fiber_runs_in_the_thread_of_the_loop_and_what_blocks_in_another(run):
    found = run(lambda: (threading.get_ident(), fibers.in_thread(lambda: threading.current_thread().name)))
    assert found[0][0] == threading.get_ident()
    assert found[0][1].startswith("other")


def test_while_a_thread_works_for_one_fiber_the_others_go_on(run):
    released = threading.Event()

    def slow():
        return fibers.in_thread(released.wait, 10)

    def quick():
        released.set()
        return "quick"

    assert run(slow, quick) == [True, "quick"]


def test_outside_the_loop_nothing_is_handed_on():
    fibers.keep_out()
    assert fibers.in_thread(threading.current_thread) is threading.current_thread()
    assert fibers.present_loop() is None


def test_what_is_not_for_the_loop_is_done_anew_in_a_thread(run):
    seen = []

    def long():
        seen.append(threading.current_thread().name)
        fibers.keep_out()
        return "done"

    assert run(lambda: fibers.brief_or_in_thread(long)) == ["done"]
    assert len(seen) == 2
    assert seen[1].startswith("other")


def test_what_a_fiber_or_its_thread_raises_reaches_who_waits(run):
    def fail():
        raise KeyError("x")

    first, second = run(fail, lambda: fibers.in_thread(fail))
    assert isinstance(first, KeyError)
    assert isinstance(second, KeyError)


def test_nobody_sees_that_something_was_kept_out_as_an_error(run):
    def handled():
        try:
            fibers.keep_out()
        except Exception:
            return "taken for an error"
        return "kept"

    assert run(lambda: fibers.brief_or_in_thread(handled)) == ["kept"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_turns_come_in_whatever_order_they_are_given(order):
    """Each fiber waits for a turn that another gives, before or after it waits."""
    turns = {}

    def wait(number):
        turns[number] = fibers.turn()
        for _ in range(order[number]):
            fibers.in_thread(time.sleep, 0)
        turns[number].wait()
        return number

    def give():
        for number in sorted(turns, key=lambda each: (order[each] % 2, -each)):
            turns[number].give()

    async def both():
        waiting = [fibers.serve(None, wait, number) for number in range(len(order))]
        fibers.serve(None, give)
        return await asyncio.wait_for(asyncio.gather(*waiting), 10)

    assert asyncio.run(both()) == list(range(len(order)))


def test_statements_of_many_fibers_are_at_work_together_and_the_loop_is_free_meanwhile(run, database):
    began = time.monotonic()
    free = []

    def slow():
        return database.ask("SELECT 'x' || pg_sleep(0.5)", ())

    found = run(*[slow] * 10, lambda: free.append(time.monotonic() - began))
    assert found[:10] == [[("x",)]] * 10
    assert time.monotonic() - began < 4  # one after the other they take five seconds
    assert free[0] < 0.5


def test_more_fibers_than_connections_share_those_there_are(run, database):
    found = run(*[lambda: database.ask("SELECT pg_backend_pid()", ())[0][0]] * 200)
    assert 1 < len(set(found)) <= 16
    assert database.engine.pool.checkedout() == 0


def test_who_wants_a_connection_first_gets_one_first(run, database, monkeypatch):
    monkeypatch.setattr("ihe.single_statements._RESTING", 1)
    order = []

    def one(number):
        pid = database.ask("SELECT pg_backend_pid()", ())[0][0]
        order.append(number)
        return pid

    found = run(*[lambda number=number: one(number) for number in range(200)])
    assert len(set(found)) == 1
    assert order == list(range(200))


@pytest.mark.parametrize("parameters", [([1, 2],), ("NUL\0",), (1.5,)], ids=["list", "nul", "float"])
def test_values_that_libpq_is_not_given_as_text_are_asked_in_a_thread(run, database, parameters):
    (found,) = run(lambda: database.ask("SELECT pg_typeof(%s)::text", parameters))
    (in_thread,) = run(lambda: fibers.in_thread(database.ask, "SELECT pg_typeof(%s)::text", parameters))
    assert type(found) is type(in_thread)
    if isinstance(found, list):
        assert found == in_thread


def test_a_large_value_leaves_in_pieces(run, database):
    value = "é" * 5_000_000
    found = run(*[lambda: database.ask("SELECT length(%s::text)", (value,))] * 3)
    assert found == [[(5_000_000,)]] * 3


def test_a_statement_that_is_refused_leaves_its_connection_in_order(run, database):
    refused, after = run(
        lambda: database.ask("SELECT 1 / %s::int", ("0",)), lambda: database.ask("SELECT 1 / %s::int", ("1",))
    )
    assert isinstance(refused, psycopg.errors.DivisionByZero)
    assert after == [(1,)]
    assert run(lambda: database.ask("SELECT 1 / %s::int", ("1",))) == [[(1,)]]


def test_a_connection_lost_at_work_is_an_error_and_the_next_question_is_answered(run, database):
    (lost,) = run(lambda: database.ask("SELECT pg_terminate_backend(pg_backend_pid())", ()))
    assert isinstance(lost, psycopg.OperationalError)
    assert run(lambda: database.ask("SELECT 1", ())) == [[(1,)]]


def test_a_connection_whose_answer_nobody_waited_for_is_not_used_again(run, database, monkeypatch):
    run(lambda: database.ask("SELECT 1", ()))
    with monkeypatch.context() as failing:
        failing.setattr(fibers.Readiness, "_wait", lambda *_: 1 / 0)
        assert isinstance(run(lambda: database.ask("SELECT 'first'", ()))[0], ZeroDivisionError)
    assert run(*[lambda: database.ask("SELECT 'second'", ())] * 3) == [[("second",)]] * 3


def test_connections_lost_at_rest_do_not_keep_the_loop_busy_and_are_replaced(run, database):
    def pid():
        return database.ask("SELECT pg_backend_pid()", ())[0][0]

    pids = run(*[pid] * 3)
    with psycopg.connect(database.engine.url.render_as_string(False).replace("+psycopg", "")) as other:
        for each in set(pids):
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (each,))
    began = time.process_time()
    run(lambda: fibers.in_thread(time.sleep, 0.5))
    assert time.process_time() - began < 0.4
    for _ in range(3):  # who meets a lost one is told so; it was the last
        found = run(pid)[0]
        if not isinstance(found, psycopg.OperationalError):
            break
    assert run(*[pid] * 20)[0] not in pids


def test_a_database_that_cannot_be_reached_is_an_error_for_each_who_waits(run):
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    found = run(*[lambda: SingleStatements(engine).ask("SELECT 1", ())] * 2)
    waiting = SingleStatements(engine)
    found += run(*[lambda: waiting.ask("SELECT 1", ())] * 40)
    assert {type(each).__name__ for each in found} == {"OperationalError"}


def test_a_transaction_is_not_for_the_loop(run, database):
    def ask():
        with database.question(CALLER) as question:
            assert question.ask("SELECT 1", ()) == [(1,)]
            return question.connection.execute(text("SELECT 2")).scalar()

    assert run(lambda: fibers.brief_or_in_thread(ask)) == [2]
    assert isinstance(run(ask)[0], fibers.Elsewhere)


def test_events_share_commits_and_each_is_there_before_its_fiber_goes_on(run, database):
    def write(number):
        for each in range(10):
            database.audit.write(EVENT._replace(correlation_id=f"{number}.{each}"))
            query = "SELECT count(*) FROM audit_event WHERE correlation_id = %s"
            assert database.ask(query, (f"{number}.{each}",)) == [(1,)]
        return number

    writers = [lambda number=number: write(number) for number in range(20)]
    aside = [lambda number=number: fibers.in_thread(write, number) for number in range(20, 23)]
    assert run(*writers, *aside) == list(range(23))
    with database.transaction() as connection:
        counted = connection.execute(text("SELECT count(*), count(DISTINCT xmin::text) FROM audit_event")).one()
    assert counted[0] == 230
    assert counted[1] < 200


def test_an_event_that_cannot_be_written_refuses_no_other(run, database):
    events = [EVENT._replace(correlation_id=str(number)) for number in range(9)]
    events[4] = EVENT._replace(node="NUL\0")
    found = run(*[lambda each=each: database.audit.write(each) for each in events])
    assert [isinstance(each, psycopg.DataError) for each in found] == [number == 4 for number in range(9)]


def test_when_the_engine_gives_its_connections_back_those_of_loops_are_closed_too(run, database):
    def pid():
        return database.ask("SELECT pg_backend_pid()", ())[0][0]

    (before,) = run(pid)
    database.engine.dispose()
    assert run(pid)[0] != before
    made = []
    event.listen(database.engine, "connect", lambda *_: made.append(1))
    run(pid)
    assert not made
