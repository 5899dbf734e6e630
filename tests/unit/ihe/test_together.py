"""What is done together: everybody gets their own result, nobody waits in vain, and nothing old answers."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe import fibers
from ihe.together import Together


class Doubling:
    """Doubles numbers, slowly enough for others to come; refuses negative ones."""

    def __init__(self, pause=lambda: time.sleep(0.001)):
        self.rounds = []
        self._pause = pause

    def __call__(self, numbers):
        self.rounds.append(list(numbers))
        self._pause()
        if min(numbers) < 0:
            raise ValueError(min(numbers))
        return [2 * number for number in numbers]


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


def expected(number):
    return 2 * number if number >= 0 else str(number)


@given(st.lists(st.integers(-3, 30), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_threads_get_their_own_results(numbers):
    doubling = Doubling()
    together = Together(doubling)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: outcome(together.do, number), numbers))
    assert found == [expected(number) for number in numbers]


@given(st.lists(st.integers(-3, 30), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_fibers_get_their_own_results_and_share_what_is_done(numbers):
    doubling = Doubling(lambda: fibers.in_thread(time.sleep, 0.001))
    together = Together(doubling)

    async def serve():
        return await asyncio.gather(*(fibers.serve(None, outcome, together.do, number) for number in numbers))

    assert asyncio.run(serve()) == [expected(number) for number in numbers]
    assert doubling.rounds[:2] == [numbers[:1], *([numbers[1:]] if numbers[1:] else [])][: len(doubling.rounds)]


def test_who_is_alone_waits_for_nobody():
    doubling = Doubling()
    together = Together(doubling)
    assert [together.do(1), together.do(2)] == [2, 4]
    assert doubling.rounds == [[1], [2]]


class Slow:
    """Holds up the first round until it is let go."""

    def __init__(self, do):
        self.entered, self.leave = threading.Event(), threading.Event()
        self.rounds = []
        self._do = do

    def __call__(self, items):
        self.rounds.append(list(items))
        if len(self.rounds) == 1:
            self.entered.set()
            self.leave.wait(10)
        return self._do(items)


def three(slow, together):
    """One who does it, and two who come meanwhile."""
    threads = ThreadPoolExecutor(3)
    first = threads.submit(together.do, 1)
    assert slow.entered.wait(10)
    others = [threads.submit(together.do, number) for number in (2, 3)]
    deadline = time.monotonic() + 10
    while len(together._by_loop[None]._waiting) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    slow.leave.set()
    threads.shutdown()
    return first, *others


def test_what_had_begun_before_answers_nobody_who_comes_later():
    state = ["old"]
    slow = Slow(lambda items: [state[0]] * len(items))
    before = slow._do

    def read(items):
        found = before(items)
        state[0] = "new"
        return found

    slow._do = read
    first, *others = three(slow, Together(slow))
    assert first.result() == "old"
    assert [each.result() for each in others] == ["new", "new"]
    assert [len(each) for each in slow.rounds] == [1, 2]


def test_when_the_database_is_at_fault_all_hear_of_it_at_once():
    def gone(items):
        if len(slow.rounds) > 1:
            raise psycopg.OperationalError("gone")
        return items

    slow = Slow(gone)
    together = Together(slow)
    first, *others = three(slow, together)
    assert first.result() == 1
    for each in others:
        with pytest.raises(psycopg.OperationalError):
            each.result()
    assert len(slow.rounds) == 2


def test_who_is_stopped_while_doing_it_leaves_nobody_waiting():
    def stop(items):
        if len(slow.rounds) == 2:
            raise SystemExit
        return items

    slow = Slow(stop)
    together = Together(slow)
    first, *others = three(slow, together)
    assert first.result() == 1
    raised = {type(each.exception()) for each in others}
    assert raised == {SystemExit, InterruptedError}
    assert together.do(4) == 4
