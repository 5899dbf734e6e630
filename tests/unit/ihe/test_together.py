"""What is done together: everybody gets their own result, nobody waits in vain, and nothing old answers."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe import fibers
from ihe.together import MOST, Together


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


def in_loop(*functions):
    """What functions return that begin as fibers of one loop, one after the other."""

    async def serve():
        return await asyncio.gather(*(fibers.serve(None, function) for function in functions))

    return asyncio.run(asyncio.wait_for(serve(), 20))


class DoublingElsewhere(Doubling):
    """The same while the loop does other things.

    Attributes:
        most_at_once: rounds under way.
    """

    def __init__(self):
        super().__init__(lambda: fibers.in_thread(time.sleep, 0.001))
        self.at_once = self.most_at_once = 0

    def __call__(self, numbers):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return super().__call__(numbers)
        finally:
            self.at_once -= 1


@given(st.lists(st.tuples(st.integers(-3, 30), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_fibers_get_their_own_results_of_few_rounds_at_once(numbers):
    """Whenever they come: after some rounds of the loop."""
    doubling = DoublingElsewhere()
    together = Together(doubling)

    def late(number, rounds):
        for _ in range(rounds):
            fibers.let_loop_go_round()
        return outcome(together.do, number)

    found = in_loop(*(partial(late, *each) for each in numbers))
    assert found == [expected(number) for number, _ in numbers]
    assert doubling.most_at_once <= 2
    assert max(map(len, doubling.rounds)) <= MOST
    ours = together._by_loop.popitem()[1]
    assert (ours._under_way, ours._is_gathering, len(ours._waiting)) == (0, False, 0)


def test_fibers_that_come_one_by_one_share_a_round_as_long_as_they_come():
    doubling = DoublingElsewhere()
    together = Together(doubling)

    def late(number):
        for _ in range(number):
            fibers.let_loop_go_round()
        return together.do(number)

    comers = (1, 2, 3, 4, 8, 8, 9)
    assert in_loop(*(partial(late, number) for number in comers)) == [2 * number for number in comers]
    assert doubling.rounds == [[1, 2, 3, 4], [8, 8, 9]]


def test_more_than_one_round_takes_are_under_way_in_two():
    doubling = DoublingElsewhere()
    together = Together(doubling)

    def late(number):
        fibers.let_loop_go_round()
        return together.do(number)

    numbers = list(range(2 * MOST))
    assert in_loop(*(partial(late, number) for number in numbers)) == [2 * number for number in numbers]
    assert doubling.rounds == [numbers[:MOST], numbers[MOST:]]
    assert doubling.most_at_once == 2


def test_who_is_alone_in_a_loop_waits_for_nobody():
    doubling = DoublingElsewhere()
    together = Together(doubling)

    async def serve():
        alone = fibers.serve(None, together.do, 1)
        begun = list(doubling.rounds)
        return begun, await alone

    assert asyncio.run(serve()) == ([[1]], 2)


def test_in_a_loop_what_had_begun_before_answers_nobody_who_comes_later():
    state = ["old"]
    rounds = []

    def read(items):
        rounds.append(len(items))
        found = [state[0]] * len(items)
        fibers.in_thread(time.sleep, 0.002)
        return found

    together = Together(read)

    def writer():
        state[0] = "new"
        return together.do(2)

    assert in_loop(partial(together.do, 1), writer) == ["old", "new"]
    assert rounds == [1, 1]


def test_a_fiber_that_is_stopped_while_doing_it_leaves_nobody_waiting():
    rounds = []

    def stop(items):
        rounds.append(len(items))
        is_first = len(rounds) == 1
        fibers.in_thread(time.sleep, 0.001)
        if is_first:
            raise SystemExit
        return items

    together = Together(stop)

    def kind(number):
        fibers.let_loop_go_round()
        try:
            return together.do(number)
        except BaseException as error:
            return type(error)

    found = in_loop(*(partial(kind, number) for number in range(MOST + 1)))
    assert found == [SystemExit, *[InterruptedError] * (MOST - 1), MOST]
    assert in_loop(partial(kind, 4)) == [4]


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
    while len(together._of_threads._waiting) < 2:
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
