"""The outbox over a real database: at least once, in order per subject, back-off, dead letters, take-over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine, text

from ihe.caller import Caller
from ihe.errors import Conflict, Unavailable
from ihe.outbox import Dispatcher, Outcome, deliver_next, distribute_once
from ihe.store import outbox
from ihe.store.outbox import OutboxEvent
from ihe.unit_of_work import Database


class Recorder:
    """A subscriber that keeps what it gets and fails as told."""

    def __init__(self, name: str = "recorder", fail: Callable[[OutboxEvent], Exception | None] = lambda _e: None):
        self.name = name
        self.seen: list[tuple[str, int]] = []
        self.tried: list[tuple[str, int]] = []
        self._fail = fail
        self.is_closed = False

    def takes(self, event: OutboxEvent) -> bool:
        return event.kind == "test"

    def deliver(self, event: OutboxEvent) -> None:
        self.tried.append((event.subject, event.payload["n"]))
        error = self._fail(event)
        if error is not None:
            raise error
        self.seen.append((event.subject, event.payload["n"]))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def publish(engine: Engine) -> Callable[..., None]:
    def publish(*events: tuple[str, int], kind: str = "test") -> None:
        with Database(engine).unit(Caller("test")) as uow:
            for subject, number in events:
                uow.publish(kind, subject, {"n": number})

    return publish


@pytest.fixture
def dispatch(engine: Engine) -> Iterator[Callable[..., Dispatcher]]:
    running: list[Dispatcher] = []

    def dispatch(*subscribers: Recorder, **options: float) -> Dispatcher:
        dispatcher = Dispatcher(engine, lambda: list(subscribers), poll_seconds=0.02, **options)
        dispatcher.start()
        running.append(dispatcher)
        return dispatcher

    yield dispatch
    for dispatcher in running:
        dispatcher.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def states(engine: Engine, subscriber: str) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT state FROM outbox_delivery WHERE subscriber = :name ORDER BY event_id"), {"name": subscriber}
        )
        return [row.state for row in rows]


def distribute(engine: Engine, *subscribers: Recorder) -> None:
    with engine.connect() as connection:
        while distribute_once(connection, lambda: list(subscribers)):
            pass


def make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox_delivery SET next_attempt_at = now() - interval '1 second'"))


def test_each_subscriber_gets_what_it_takes_in_order(engine, publish, dispatch):
    first, second = Recorder("first"), Recorder("second")
    dispatch(first, second)
    publish(("a", 1), ("b", 1), ("a", 2))
    publish(("c", 1), kind="other")
    publish(("a", 3))
    wanted = [("a", 1), ("b", 1), ("a", 2), ("a", 3)]
    wait_for(lambda: first.seen == wanted and second.seen == wanted)
    wait_for(lambda: states(engine, "first") == states(engine, "second") == ["delivered"] * 4)


def test_nothing_of_a_rolled_back_unit_is_delivered(engine, publish):
    def fail() -> None:
        with Database(engine).unit(Caller("test")) as uow:
            uow.publish("test", "a", {"n": 1})
            uow.flush_events()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    subscriber = Recorder()
    distribute(engine, subscriber)
    assert deliver_next(engine, subscriber, 3) is Outcome.NOTHING_DUE


def test_a_dead_subscriber_delays_nobody(publish, dispatch):
    hung = threading.Event()

    def hang(_event: OutboxEvent) -> Exception:
        hung.wait(5)
        return Unavailable("the receiver cannot be reached")

    dead, alive = Recorder("dead", hang), Recorder("alive")
    dispatch(dead, alive)
    publish(*[("a", n) for n in range(50)])
    wait_for(lambda: len(alive.seen) == 50, 4)
    assert alive.seen == [("a", n) for n in range(50)]
    assert dead.seen == []
    hung.set()


def test_a_subscriber_that_is_not_reached_gets_everything_later_and_nothing_is_given_up(engine, publish):
    is_down = True
    subscriber = Recorder(fail=lambda _e: Unavailable("down") if is_down else None)
    publish(("a", 1), ("a", 2))
    distribute(engine, subscriber)
    for _ in range(10):
        assert deliver_next(engine, subscriber, max_attempts=2) is Outcome.UNREACHED
        assert deliver_next(engine, subscriber, max_attempts=2) is Outcome.NOTHING_DUE, "it rests after a failure"
        make_due(engine)
    is_down = False
    assert deliver_next(engine, subscriber, 2) is Outcome.DELIVERED
    assert deliver_next(engine, subscriber, 2) is Outcome.DELIVERED
    assert subscriber.seen == [("a", 1), ("a", 2)]


def test_a_refused_event_holds_its_subject_back_until_it_is_a_dead_letter(engine, publish):
    subscriber = Recorder(fail=lambda e: Conflict("no") if e.payload["n"] == 1 else None)
    publish(("a", 1), ("a", 2), ("b", 3))
    distribute(engine, subscriber)
    assert deliver_next(engine, subscriber, 2) is Outcome.REFUSED
    assert deliver_next(engine, subscriber, 2) is Outcome.DELIVERED
    assert subscriber.seen == [("b", 3)], "another subject passes, its own waits"
    assert deliver_next(engine, subscriber, 2) is Outcome.NOTHING_DUE
    make_due(engine)
    assert deliver_next(engine, subscriber, 2) is Outcome.REFUSED
    assert states(engine, "recorder") == ["dead", "waiting", "delivered"]
    assert deliver_next(engine, subscriber, 2) is Outcome.DELIVERED
    assert subscriber.seen == [("b", 3), ("a", 2)]
    with engine.connect() as connection:
        (letter,) = outbox.dead_letters(connection)
    assert (letter.subscriber, letter.attempts, letter.error) == ("recorder", 2, "Conflict")


def test_back_off_doubles_up_to_an_hour(engine, publish):
    subscriber = Recorder(fail=lambda _e: Conflict("no"))
    publish(("a", 1))
    distribute(engine, subscriber)
    delays = []
    for _ in range(14):
        before = datetime.now(UTC)
        assert deliver_next(engine, subscriber, 100) is Outcome.REFUSED
        with engine.connect() as connection:
            due = connection.execute(text("SELECT next_attempt_at FROM outbox_delivery")).scalar_one()
        delays.append(round((due - before).total_seconds()))
        make_due(engine)
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600]


def test_a_clock_that_was_ahead_puts_nothing_off(engine, publish):
    recorder = Recorder(fail=lambda _event: Conflict("no") if len(recorder.tried) == 1 else None)
    publish(("a", 1))
    distribute(engine, recorder)
    assert deliver_next(engine, recorder, 100) is Outcome.REFUSED
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox_event SET at = at + interval '1 day'"))
        connection.execute(text("UPDATE outbox_delivery SET next_attempt_at = next_attempt_at + interval '1 day'"))
    assert deliver_next(engine, recorder, 100) is Outcome.DELIVERED
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO outbox_event (at, kind, subject, payload) VALUES"
                                " (now() + interval '1 day', 'test', 'b', '{\"n\": 2}')"))  # fmt: skip
    distribute(engine, recorder)
    assert deliver_next(engine, recorder, 100) is Outcome.DELIVERED
    assert recorder.seen == [("a", 1), ("b", 2)]


def test_a_crash_between_delivery_and_record_delivers_again(engine, publish):
    class Crash(BaseException):
        pass

    class Crashing(Recorder):
        def deliver(self, event: OutboxEvent) -> None:
            super().deliver(event)
            if len(self.seen) == 1:
                raise Crash

    subscriber = Crashing()
    publish(("a", 1), ("a", 2))
    distribute(engine, subscriber)
    with pytest.raises(Crash):
        deliver_next(engine, subscriber, 3)
    while deliver_next(engine, subscriber, 3) is Outcome.DELIVERED:
        pass
    assert subscriber.seen == [("a", 1), ("a", 1), ("a", 2)]


def test_only_one_delivers_to_a_subscriber_at_a_time(engine, publish):
    entered, release = threading.Event(), threading.Event()

    class Slow(Recorder):
        def deliver(self, event: OutboxEvent) -> None:
            entered.set()
            release.wait(10)
            super().deliver(event)

    slow = Slow()
    publish(("a", 1), ("b", 2))
    distribute(engine, slow)
    at_work = threading.Thread(target=deliver_next, args=(engine, slow, 3))
    at_work.start()
    entered.wait(10)
    assert deliver_next(engine, Recorder(), 3) is Outcome.NOTHING_DUE
    release.set()
    at_work.join(10)
    assert deliver_next(engine, Recorder(), 3) is Outcome.DELIVERED


def test_another_takes_over_when_the_leaders_connection_dies(engine, database_url, publish, dispatch):
    other = create_engine(database_url)
    first, second = Recorder("same"), Recorder("same")
    leading = dispatch(first)
    publish(("a", 1))
    wait_for(lambda: first.seen == [("a", 1)])
    standby = Dispatcher(other, lambda: [second], poll_seconds=0.02)
    standby.start()
    publish(("a", 2))
    wait_for(lambda: first.seen == [("a", 1), ("a", 2)])
    assert second.seen == []
    leading._engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")  # it never comes back
    with other.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    publish(("a", 3))
    wait_for(lambda: second.seen == [("a", 3)])
    standby.stop()
    other.dispose()


def test_a_courier_that_stumbles_goes_on(engine, publish, dispatch):
    class Strange(Recorder):
        def takes(self, event: OutboxEvent) -> bool:
            if event.payload["n"] == 2:
                raise ZeroDivisionError
            return super().takes(event)

    strange, plain = Strange("strange"), Recorder("plain")
    dispatch(strange, plain)
    publish(("a", 1), ("a", 2), ("a", 3))
    wait_for(lambda: len(strange.seen) == 3 and len(plain.seen) == 3)


def test_subscribers_may_come_and_go(engine, publish):
    present: list[Recorder] = []
    dispatcher = Dispatcher(engine, lambda: list(present), poll_seconds=0.02)
    dispatcher.start()
    publish(("a", 1))
    with engine.connect() as connection:
        wait_for(lambda: connection.execute(text("SELECT bool_and(distributed) FROM outbox_event")).scalar())
    late = Recorder("late")
    present.append(late)
    publish(("a", 2))
    wait_for(lambda: late.seen == [("a", 2)])
    present.clear()
    publish(("a", 3))
    time.sleep(0.2)
    dispatcher.stop()
    assert late.seen == [("a", 2)]


def test_stopping_finishes_the_delivery_in_hand(engine, publish):
    entered = threading.Event()

    class Slow(Recorder):
        def deliver(self, event: OutboxEvent) -> None:
            entered.set()
            time.sleep(0.3)
            super().deliver(event)

    slow = Slow()
    dispatcher = Dispatcher(engine, lambda: [slow], poll_seconds=0.02)
    dispatcher.start()
    publish(("a", 1))
    entered.wait(10)
    dispatcher.stop()
    assert states(engine, "recorder") == ["delivered"]
    assert slow.is_closed
    started = time.monotonic()
    Dispatcher(engine, lambda: [slow]).stop()
    assert time.monotonic() - started < 1, "one that never started stops at once"


def test_replay_delivers_again_what_was_delivered_given_up_or_never_subscribed(engine, publish):
    subscriber = Recorder()
    before = datetime.now(UTC)
    publish(("a", 1), ("b", 2))
    distribute(engine)
    publish(("a", 3))
    publish(("x", 9), kind="other")
    distribute(engine, subscriber)
    assert deliver_next(engine, subscriber, 3) is Outcome.DELIVERED
    with engine.begin() as connection:
        assert outbox.replay(connection, "recorder", subscriber.takes, before) == 3
        later = before + timedelta(hours=1)
        assert outbox.replay(connection, "recorder", subscriber.takes, later) == 0
    while deliver_next(engine, subscriber, 3) is Outcome.DELIVERED:
        pass
    assert subscriber.seen == [("a", 3), ("a", 1), ("b", 2), ("a", 3)]


def test_old_events_are_deleted_but_for_those_that_wait_or_were_given_up(engine, publish):
    subscriber = Recorder(fail=lambda e: Conflict("no") if e.payload["n"] == 2 else None)
    publish(("a", 1), ("b", 2), ("c", 3))
    publish(("x", 9), kind="other")
    distribute(engine, subscriber)
    assert deliver_next(engine, subscriber, 1) is Outcome.DELIVERED
    assert deliver_next(engine, subscriber, 1) is Outcome.REFUSED
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with engine.begin() as connection:
        assert outbox.forget_before(connection, datetime.now(UTC) - timedelta(days=1)) == 0
        assert outbox.forget_before(connection, tomorrow) == 2
        left = connection.execute(text("SELECT payload->>'n' FROM outbox_event ORDER BY id")).scalars().all()
    assert left == ["2", "3"]
    assert states(engine, "recorder") == ["dead", "waiting"]


def test_backlogs_tell_lag_and_dead_letters(engine, publish):
    subscriber = Recorder(fail=lambda _e: Conflict("no"))
    publish(("a", 1), ("a", 2))
    distribute(engine, subscriber)
    deliver_next(engine, subscriber, 1)
    with engine.connect() as connection:
        (backlog,) = outbox.backlogs(connection)
    assert (backlog.subscriber, backlog.waiting, backlog.dead) == ("recorder", 1, 1)
    assert backlog.oldest is not None


@pytest.mark.parametrize("count", [3, 2500])
def test_few_events_and_many_are_written_alike(engine: Engine, publish: Callable[..., None], count: int) -> None:
    publish(*((f"s/é\t\\{n}", n) for n in range(count)))
    with engine.connect() as connection:
        found = outbox.waiting_for_distribution(connection, count + 1)
    assert [(e.kind, e.subject, e.payload) for e in found] == [("test", f"s/é\t\\{n}", {"n": n}) for n in range(count)]
    assert len({e.at for e in found}) == 1
