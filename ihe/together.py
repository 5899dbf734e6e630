"""What many want done at one moment is done for all of them together: one commit, or one statement.

Threads: one at a time does it, the first that finds nobody at it, afterwards always one of those that wait.

Fibers of an event loop (:mod:`ihe.fibers`): the first of some gathers others while each round of the loop brings one
more, up to :data:`MOST`. Two such groups are under way at a time, so that the loop has one to serve while the database
is at work for the other. Who is alone in a thread or in a loop waits for nobody.

Nothing is answered by what had begun before it was asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

import psycopg
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ihe import fibers

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST: Final = 8
"""Most of a loop that one statement is for: of more, it is the rows that take the time, and all wait for all."""
_AT_ONCE: Final = 2
_QUIET_ROUNDS: Final = 2
"""Of the loop, that bring nobody: then nobody is waited for any longer."""
_CONCERNS_ALL: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""The database is at fault: each alone would fare no better, and all would wait for it."""


class Together(Generic[Item, Result]):
    """Threads do it together with threads, and what is served in an event loop with what else is served there: neither
    waits for the other.

    Args:
        do: does it for some items; gives a result for each, in their order.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._do = do
        self._of_threads = _OfThreads(do)
        self._by_loop: dict[object, _OfLoop[Item, Result]] = {}

    def do(self, item: Item) -> Result:
        """Do it for an item, and perhaps for others at once.

        Raises:
            Exception: what went wrong, with this item or with all.
        """
        loop = fibers.present_loop()
        wish: _Wish[Item, Result] = _Wish(item)
        if loop is None:
            self._of_threads.do(wish)
        else:
            (self._by_loop.get(loop) or self._by_loop.setdefault(loop, _OfLoop(self._do))).do(wish)
        if wish.error is not None:
            raise wish.error
        (result,) = wish.results
        return result


class _Wish(Generic[Item, Result]):
    """An item, and the thread or fiber that waits for its result.

    Attributes:
        turn: given when the result is there, or when who waits for it is to do what waits; ``None`` for who need not
            wait.
        results: the one result, once it is there.
        error: why there is none.
    """

    __slots__ = ("error", "item", "results", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.turn: fibers.Turn | None = None
        self.results: tuple[Result, ...] = ()
        self.error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there is a result, or an error."""
        return bool(self.results) or self.error is not None

    def wait(self) -> None:
        """Wait for the turn."""
        if self.turn is not None:
            self.turn.wait()

    def give(self) -> None:
        """Give the turn to who waits."""
        if self.turn is not None:
            self.turn.give()


class _OfThreads(Generic[Item, Result]):
    def __init__(self, do: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._do = do
        self._guard = threading.Lock()
        self._waiting: list[_Wish[Item, Result]] = []
        self._is_busy = False

    def do(self, mine: _Wish[Item, Result]) -> None:
        with self._guard:
            if self._is_busy:
                mine.turn = fibers.turn()
                self._waiting.append(mine)
            self._is_busy = True
        mine.wait()
        if not mine.is_settled:
            self._do_for_all(mine)

    def _do_for_all(self, mine: _Wish[Item, Result]) -> None:
        with self._guard:
            wishes, self._waiting = [mine, *self._waiting], []
        try:
            _settle(self._do, wishes)
        finally:
            with self._guard:
                successor = self._waiting.pop(0) if self._waiting else None
                self._is_busy = successor is not None
            if successor is not None:
                successor.give()
            _tell(wishes, mine)


class _OfLoop(Generic[Item, Result]):
    """Of the fibers of one loop: none is interrupted by another, so nothing is guarded.

    Whoever waits has somebody who gathers or is under way, and who takes it along or hands on to it in the end.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._do = do
        self._waiting: deque[_Wish[Item, Result]] = deque()
        self._is_gathering = False
        self._under_way = 0

    def do(self, mine: _Wish[Item, Result]) -> None:
        if self._is_gathering or self._under_way == _AT_ONCE:
            mine.turn = fibers.turn()
            self._waiting.append(mine)
            mine.wait()
            if not mine.is_settled:
                self._do_for_some(mine)
        else:
            self._under_way += 1
            self._do_for_some(mine, gathers=not fibers.is_alone())

    def _do_for_some(self, mine: _Wish[Item, Result], *, gathers: bool = False) -> None:
        wishes = [mine]
        try:
            if gathers:
                self._gather()
            while self._waiting and len(wishes) < MOST:
                wishes.append(self._waiting.popleft())
            if self._under_way < _AT_ONCE and self._hands_on():
                self._under_way += 1
            _settle(self._do, wishes)
        finally:
            if not self._hands_on():
                self._under_way -= 1
            _tell(wishes, mine)

    def _gather(self) -> None:
        self._is_gathering = True
        try:
            quiet = 0
            while quiet < _QUIET_ROUNDS and len(self._waiting) < MOST - 1:
                before = len(self._waiting)
                fibers.let_loop_go_round()
                quiet = quiet + 1 if len(self._waiting) == before else 0
        finally:
            self._is_gathering = False

    def _hands_on(self) -> bool:
        """Whether somebody waits whom nobody gathers; the first of them is then under way."""
        if self._is_gathering or not self._waiting:
            return False
        self._waiting.popleft().give()
        return True


def _settle(do: Callable[[Sequence[Item]], Sequence[Result]], wishes: Sequence[_Wish[Item, Result]]) -> None:
    try:
        for wish, result in zip(wishes, do([wish.item for wish in wishes]), strict=True):
            wish.results = (result,)
    except Exception as error:
        if len(wishes) > 1 and not isinstance(error, _CONCERNS_ALL):
            for wish in wishes:  # what is wrong with one must not refuse the others
                wish.results = ()
                _settle(do, [wish])
            return
        for wish in wishes:
            wish.error = error


def _tell(wishes: Iterable[_Wish[Item, Result]], mine: _Wish[Item, Result]) -> None:
    for wish in wishes:
        if not wish.is_settled:
            wish.error = InterruptedError("who did it was stopped")
        if wish is not mine:
            wish.give()
