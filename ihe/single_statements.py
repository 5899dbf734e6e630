"""Statements that need no transaction of several: each is committed by itself.

Taking a connection from the pool, telling it to commit each statement, telling it not to and giving it back costs more
than a short statement. So some connections rest here as they were used last, with the statements that were prepared on
them. They do not count among the pool's, and end with it.

:meth:`SingleStatements.ask` goes to libpq itself (``psycopg.pq``), for the same reason: of a short statement, psycopg's
cursor takes longer than the database, and the longer the more threads there are.

What is asked in an event loop (:mod:`ihe.fibers`) is asked over connections of its own, whose answers block nobody.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import NoneType
from typing import Any, Final, cast

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Engine, PoolProxiedConnection, event

from ihe import fibers

Cursor = psycopg.Cursor[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Parameters = Sequence[Any] | Mapping[str, Any]

_RESTING: Final = 16
"""Most connections kept so; a statement beside them borrows one of the pool, or waits for one in an event loop."""
_TYPES: Final = {str: 0, NoneType: 0, bool: 16, int: 20}
"""Types of Python whose values libpq is given as text, with PostgreSQL's; 0 lets the statement decide."""
_PARAMETER: Final = re.compile(r"%%|%(?:\((\w+)\))?s")
_PREPARED: Final = 100
"""Most statements kept prepared so on one connection; psycopg keeps as many beside them."""


class _Single:
    """A connection on which each statement is committed by itself, while nobody else uses it."""

    __slots__ = ("_codec", "_connection", "_prepared", "_reader", "_readiness", "cursor")

    def __init__(self, connection: psycopg.Connection, prepared: dict[tuple[str, tuple[int, ...]], bytes]) -> None:
        self.cursor = connection.cursor()
        self._connection = connection
        self._codec = connection.info.encoding
        self._prepared = prepared
        self._reader = Transformer(connection)
        self._readiness: fibers.Readiness | None = None

    def answers_to_loop(self) -> None:
        """From now on a fiber asks, and its loop waits for the answers."""
        self._readiness = fibers.Readiness(self._connection.fileno())

    @property
    def is_usable(self) -> bool:
        """Whether another statement may be asked: the connection is open, and no answer is still to come."""
        return not self._connection.closed and self._connection.pgconn.transaction_status != TransactionStatus.ACTIVE

    def close(self) -> None:
        """End the connection; of one that answers to a loop, in the loop's thread or when it is closed."""
        if self._readiness is not None:
            self._readiness.forget()
        self._connection.close()

    def ask(self, statement: str, values: Sequence[Any], types: tuple[int, ...]) -> Rows | None:
        """The rows of a statement with numbered parameters, which stays prepared; ``None`` when too many others are."""
        libpq = self._connection.pgconn
        key = (statement, types)
        name = self._prepared.get(key)
        if name is None:
            if len(self._prepared) == _PREPARED:
                return None
            name = b"single_%d" % len(self._prepared)
            self._prepare(name, statement.encode(self._codec), types)
            self._prepared[key] = name
        written = [None if value is None else str(value).encode(self._codec) for value in values]
        if self._readiness is None:
            result = libpq.exec_prepared(name, cast(list[bytes], written))
        else:
            libpq.send_query_prepared(name, cast(list[bytes], written))
            result = self._readiness.drive(execute(libpq))[-1]
        self._check(result)
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple) if result.ntuples else []

    def _prepare(self, name: bytes, statement: bytes, types: tuple[int, ...]) -> None:
        libpq = self._connection.pgconn
        if self._readiness is None:
            self._check(libpq.prepare(name, statement, types))
        else:
            libpq.send_prepare(name, statement, types)
            self._check(self._readiness.drive(execute(libpq))[-1])

    def _check(self, result: psycopg.pq.abc.PGresult) -> None:
        if result.status not in _DONE:
            if self._connection.closed:
                raise psycopg.OperationalError("the connection is lost", info=result)
            raise error_from_result(result, self._codec)


_DONE: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


@lru_cache(maxsize=256)
def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """A statement of psycopg as libpq wants it, and the names of its parameters in order; none where it names none."""
    places: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or str(len(places))
        return f"${places.setdefault(name, len(places) + 1)}"

    text = _PARAMETER.sub(numbered, statement)
    return text, tuple(places) if "%(" in statement else ()


class _Place:
    """That of a fiber in the queue for a connection.

    Attributes:
        turn: given when it may go on.
        single: the connection it is handed; ``None`` when it is to make one.
    """

    __slots__ = ("single", "turn")

    def __init__(self) -> None:
        self.turn = fibers.turn()
        self.single: _Single | None = None


class _OfLoop:
    """The connections over which an event loop asks: at most so many; who wants one first gets one first.

    Args:
        connect: makes one more; may block.
        engine: told when a connection broke.
    """

    def __init__(self, connect: Callable[[], _Single], engine: Engine) -> None:
        self._connect = connect
        self._engine = engine
        self._resting: list[_Single] = []
        self._waiting: deque[_Place] = deque()
        self._count = 0

    def ask(self, statement: str, values: Sequence[Any], types: tuple[int, ...]) -> Rows | None:
        """As :meth:`_Single.ask`; called by a fiber of the loop."""
        single = self._take()
        try:
            return single.ask(statement, values, types)
        finally:
            self._take_back(single)

    def close(self) -> None:
        """Close those at rest; called in the loop's thread, or when the loop is closed."""
        while self._resting:
            self._count -= 1
            self._resting.pop().close()

    def _take(self) -> _Single:
        while True:
            if self._resting:
                return self._resting.pop()
            if self._count < _RESTING:
                return self._one_more()
            place = _Place()
            self._waiting.append(place)
            place.turn.wait()
            if place.single is not None:
                return place.single

    def _take_back(self, single: _Single) -> None:
        if not single.is_usable:
            self._one_less()
            single.close()
            self._engine.dispose()  # what broke one connection has most often broken all
        elif self._waiting:
            place = self._waiting.popleft()
            place.single = single
            place.turn.give()
        else:
            self._resting.append(single)

    def _one_more(self) -> _Single:
        self._count += 1
        try:
            single = fibers.in_thread(self._connect)
        except BaseException:
            self._one_less()
            raise
        single.answers_to_loop()
        return single

    def _one_less(self) -> None:
        """Whoever waits first may try to connect."""
        self._count -= 1
        if self._waiting:
            self._waiting.popleft().turn.give()


class SingleStatements:
    """Connections of an engine on which each statement is committed by itself.

    Args:
        engine: makes the connections; when it gives its own back (``dispose``), those that rest here are closed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resting: list[_Single] = []
        self._of_loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}
        self._guard = threading.Lock()
        self._kept = 0
        event.listen(engine, "engine_disposed", self._close)

    def ask(self, statement: str, parameters: Parameters, *, prepare: bool = True) -> Rows:
        """The rows of one statement.

        Args:
            statement: with parameters as psycopg has them.
            prepare: keep the statement's plan for any values; else plan it anew for these.

        Raises:
            psycopg.Error: what the database says against it.
        """
        if prepare:
            numbered, names = _numbered(statement)
            values = [parameters[name] for name in names] if isinstance(parameters, Mapping) else parameters
            types = tuple([_TYPES.get(type(value), -1) for value in values])
            if -1 not in types and "\0" not in "".join([value for value in values if isinstance(value, str)]):
                loop = fibers.present_loop()
                ask = self._ask if loop is None else self._of_loop(loop).ask
                rows = ask(numbered, values, types)
                if rows is not None:
                    return rows
        return fibers.in_thread(self._execute, statement, parameters, prepare)

    def _ask(self, statement: str, values: Sequence[Any], types: tuple[int, ...]) -> Rows | None:
        single, pooled = self._take()
        try:
            return single.ask(statement, values, types)
        finally:
            self._take_back(single, pooled)

    def _of_loop(self, loop: asyncio.AbstractEventLoop) -> _OfLoop:
        return self._of_loops.get(loop) or self._of_loops.setdefault(loop, _OfLoop(self._connected, self._engine))

    def _execute(self, statement: str, parameters: Parameters, prepare: bool) -> Rows:
        with self.cursor() as cursor:
            return cursor.execute(statement.encode(), parameters, prepare=prepare).fetchall()

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor that nobody else uses while the block runs; its rows are fetched within."""
        single, pooled = self._take()
        try:
            yield single.cursor
        finally:
            self._take_back(single, pooled)

    def _take(self) -> tuple[_Single, PoolProxiedConnection | None]:
        try:
            return self._resting.pop(), None
        except IndexError:
            return self._of_pool()

    def _of_pool(self) -> tuple[_Single, PoolProxiedConnection]:
        pooled = self._engine.raw_connection()
        connection = cast(psycopg.Connection, pooled.driver_connection)
        connection.autocommit = True
        return _Single(connection, pooled.info.setdefault("prepared", {})), pooled

    def _connected(self) -> _Single:
        """A connection that is none of the pool's."""
        single, pooled = self._of_pool()
        pooled.detach()
        return single

    def _take_back(self, single: _Single, pooled: PoolProxiedConnection | None) -> None:
        connection = single.cursor.connection
        if connection.closed:
            if pooled is not None:
                pooled.invalidate()
            self._engine.dispose()  # what broke one connection has most often broken all
        elif pooled is None or self._keeps(pooled):
            self._resting.append(single)
        else:
            connection.autocommit = False
            pooled.close()

    def _keeps(self, pooled: PoolProxiedConnection) -> bool:
        with self._guard:
            if self._kept == _RESTING:
                return False
            self._kept += 1
        pooled.detach()
        return True

    def _close(self, _engine: Engine) -> None:
        with self._guard:
            closed, self._resting = self._resting, []
            self._kept = 0
        for single in closed:
            single.close()
        for loop, connections in list(self._of_loops.items()):
            if loop.is_closed():
                del self._of_loops[loop]
                connections.close()
            else:
                loop.call_soon_threadsafe(connections.close)
