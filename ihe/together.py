"""What many want done at one moment is done for all of them together: one commit, or one statement.

One at a time does it, a thread or a fiber of an event loop (:mod:`ihe.fibers`): the first that finds nobody at it,
afterwards always one of those that wait. So who is alone waits for nobody, and many at once cost one statement
together. Nothing is answered by what had begun before it was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar, cast

import psycopg
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ihe import fibers

Item = TypeVar("Item")
Result = TypeVar("Result")

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
        self._by_loop: dict[object, _Queue[Item, Result]] = {}

    def do(self, item: Item) -> Result:
        """Do it for an item, and perhaps for others at once.

        Raises:
            Exception: what went wrong, with this item or with all.
        """
        loop = fibers.present_loop()
        return (self._by_loop.get(loop) or self._by_loop.setdefault(loop, _Queue(self._do))).do(item)


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
        self.results: tuple[Result] | None = None
        self.error: Exception | None = None


class _Queue(Generic[Item, Result]):
    def __init__(self, do: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._do = do
        self._guard = threading.Lock()
        self._waiting: list[_Wish[Item, Result]] = []
        self._is_busy = False

    def do(self, item: Item) -> Result:
        mine: _Wish[Item, Result] = _Wish(item)
        with self._guard:
            if self._is_busy:
                mine.turn = fibers.turn()
                self._waiting.append(mine)
            self._is_busy = True
        if mine.turn is not None:
            mine.turn.wait()
        if mine.results is None and mine.error is None:
            self._do_for_all(mine)
        if mine.error is not None:
            raise mine.error
        return cast(tuple[Result], mine.results)[0]

    def _do_for_all(self, mine: _Wish[Item, Result]) -> None:
        with self._guard:
            wishes, self._waiting = [mine, *self._waiting], []
        try:
            self._settle(wishes)
        finally:
            with self._guard:
                successor = self._waiting.pop(0) if self._waiting else None
                self._is_busy = successor is not None
            if successor is not None and successor.turn is not None:
                successor.turn.give()
            for wish in wishes:
                if wish.results is None and wish.error is None:
                    wish.error = InterruptedError("who did it was stopped")
                if wish is not mine and wish.turn is not None:
                    wish.turn.give()

    def _settle(self, wishes: Sequence[_Wish[Item, Result]]) -> None:
        try:
            for wish, result in zip(wishes, self._do([wish.item for wish in wishes]), strict=True):
                wish.results = (result,)
        except Exception as error:
            if len(wishes) > 1 and not isinstance(error, _CONCERNS_ALL):
                for wish in wishes:  # what is wrong with one must not refuse the others
                    wish.results = None
                    self._settle([wish])
                return
            for wish in wishes:
                wish.error = error
