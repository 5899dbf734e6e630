"""Short questions served in the event loop's own thread, as long as they wait for the database alone.

A question that has a thread of its own wakes some nine threads on its way, most of them for the interpreter's lock, and
each waits for a processor: on a busy machine that is most of what a short question takes. So it runs here as a fiber
(a greenlet): while the database is at work on it, the loop serves others, and goes on with it when the answer is here.

Nothing else may be waited for in the loop, and nothing may take long, for everybody would wait. What does either is
done in a thread (:func:`in_thread`), or refuses to be done here (:func:`keep_out`): then the question is served anew,
in a thread, from its beginning. Outside the loop all of this changes nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from typing import Any, Final, Protocol, TypeVar, cast

from greenlet import GreenletExit, getcurrent, greenlet
from psycopg.waiting import Ready, Wait

Result = TypeVar("Result")

LONGEST = 64 * 1024
"""Bytes of a request up to which it may be served in the loop."""


class Elsewhere(BaseException):
    """This is not for the loop: it blocks, or takes long. Not an ``Exception``: no handler of errors may take it."""


class _Fiber(greenlet):  # type: ignore[misc]
    """One request at work in a loop's thread: it is the loop that switches to it, never another fiber.

    When it is done, it waits for another request: to make a fiber takes memory from the system, and to end it gives it
    back, some 7% of the processor time of a short question.
    """

    loop: asyncio.AbstractEventLoop
    executor: Executor | None

    def __init__(self) -> None:
        super().__init__(self._live)
        self._run: Callable[[], None] = _nothing

    def begin(self, run: Callable[[], None], loop: asyncio.AbstractEventLoop, executor: Executor | None) -> None:
        """Run a function as far as it comes, in a context of its own."""
        self._run, self.loop, self.executor = run, loop, executor
        self.gr_context = None
        self.switch()

    def _live(self) -> None:
        here = _here
        while True:
            here.at_work += 1
            try:
                self._run()
            finally:
                here.at_work -= 1
            self._run = _nothing
            if len(here.resting) == _MOST_RESTING:
                return
            here.resting.append(self)
            self.sleep()

    def sleep(self) -> None:
        """Let the loop do other things until somebody wakes this fiber."""
        self.parent.switch()


class _Here(threading.local):
    """The fibers of a thread.

    Attributes:
        resting: that are done.
        at_work: how many are not.
    """

    def __init__(self) -> None:
        self.resting: list[_Fiber] = []
        self.at_work = 0


_here: Final = _Here()
_MOST_RESTING: Final = 64


def _nothing() -> None:
    """What a fiber does that is done."""


def _present() -> _Fiber | None:
    found = getcurrent()
    return found if type(found) is _Fiber else None


def present_loop() -> asyncio.AbstractEventLoop | None:
    """The loop in which this is done; ``None`` in a thread."""
    fiber = _present()
    return None if fiber is None else fiber.loop


def serve(executor: Executor | None, function: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
    """Begin to run a function as a fiber of the running loop, at once.

    Args:
        executor: threads for what the function does in one; ``None`` takes those of the loop.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def run() -> None:
        try:
            result = function(*arguments)
        except GreenletExit:
            raise  # the loop is gone, and nobody waits
        except BaseException as error:
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)

    resting = _here.resting
    (resting.pop() if resting else _Fiber()).begin(run, loop, executor)
    return future


def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run what may block: a fiber waits while a thread does it; outside the loop it is simply done.

    Raises:
        Exception: what the function raises.
    """
    fiber = _present()
    if fiber is None:
        return function(*arguments)
    future = fiber.loop.run_in_executor(fiber.executor, function, *arguments)
    future.add_done_callback(lambda _: fiber.switch())
    fiber.sleep()
    return future.result()


def is_alone() -> bool:
    """Whether no other fiber is at work in this loop; asked by one."""
    return _here.at_work == 1


def let_loop_go_round() -> None:
    """Let the loop do what it has ready, once; called by a fiber."""
    fiber = _present()
    assert fiber is not None, "a fiber's loop goes round"
    fiber.loop.call_soon(fiber.switch)
    fiber.sleep()


def keep_out() -> None:
    """Said by what blocks or takes long.

    Raises:
        Elsewhere: this is a fiber.
    """
    if _present() is not None:
        raise Elsewhere


def brief_or_in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a function that may be run twice: here, or, as soon as it turns out not to be for the loop, in a thread."""
    try:
        return function(*arguments)
    except Elsewhere:
        return in_thread(function, *arguments)


class Turn(Protocol):
    """What a thread waits for and another gives, once; or a fiber, and another of its loop."""

    def wait(self) -> None:
        """Wait until it is given."""

    def give(self) -> None:
        """Give it."""


class _ThreadTurn:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self) -> None:
        self._lock.acquire()

    def give(self) -> None:
        self._lock.release()


class _FiberTurn:
    def __init__(self, fiber: _Fiber) -> None:
        self._fiber = fiber
        self._is_awaited = self._is_given = False

    def wait(self) -> None:
        if not self._is_given:
            self._is_awaited = True
            self._fiber.sleep()

    def give(self) -> None:
        self._fiber.loop.call_soon(self._given)  # it is the loop that wakes fibers, not one of them another

    def _given(self) -> None:
        self._is_given = True
        if self._is_awaited:
            self._fiber.switch()


def turn() -> Turn:
    """A turn for whoever runs now."""
    fiber = _present()
    return _ThreadTurn() if fiber is None else _FiberTurn(fiber)


class Readiness:
    """Tells fibers of a loop when a socket can be read or written; one of them at a time waits for it.

    Args:
        descriptor: the socket's; it is closed after :meth:`forget`.
    """

    def __init__(self, descriptor: int) -> None:
        fiber = _present()
        assert fiber is not None, "the loop is that of a fiber"
        self.loop = fiber.loop
        self._descriptor = descriptor
        self._waiting: _Fiber | None = None
        self._is_watched = False

    def drive(self, steps: Generator[Wait, Ready, Result]) -> Result:
        """Do what psycopg wants done with a connection, and wait in between; called by a fiber."""
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self._wait(wanted))
        except StopIteration as end:
            return cast(Result, end.value)

    def forget(self) -> None:
        """Watch the socket no more; called in the loop's thread, or when the loop is closed."""
        if self._is_watched and not self.loop.is_closed():
            self.loop.remove_reader(self._descriptor)
        self._is_watched = False

    def _wait(self, wanted: Wait) -> Ready:
        self._waiting = _present()
        assert self._waiting is not None
        if not self._is_watched:  # and from then on: to begin and end it each time costs more than a short statement
            self.loop.add_reader(self._descriptor, self._readable)
            self._is_watched = True
        if not wanted & Wait.W:
            self._waiting.sleep()
            return Ready.R
        self._can_write = False
        self.loop.add_writer(self._descriptor, self._writable)
        try:
            self._waiting.sleep()
        finally:
            self.loop.remove_writer(self._descriptor)
        return Ready.W if self._can_write else Ready.R

    def _readable(self) -> None:
        fiber, self._waiting = self._waiting, None
        if fiber is None:
            self.forget()  # the other side hung up on a connection at rest: who uses it next will see
        else:
            fiber.switch()

    def _writable(self) -> None:
        fiber, self._waiting = self._waiting, None
        if fiber is not None:
            self._can_write = True
            fiber.switch()
