"""Statements that need no transaction of several: each is committed by itself.

Taking a connection from the pool, telling it to commit each statement, telling it not to and giving it back costs more
than a short statement. So some connections rest here as they were used last, with the statements that were prepared on
them. They do not count among the pool's, and end with it.

:meth:`SingleStatements.ask` goes to libpq itself (``psycopg.pq``), for the same reason: of a short statement, psycopg's
cursor takes longer than the database, and the longer the more threads there are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import NoneType
from typing import Any, Final, cast

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from sqlalchemy import Engine, PoolProxiedConnection, event

Cursor = psycopg.Cursor[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Parameters = Sequence[Any] | Mapping[str, Any]

_RESTING: Final = 16
"""Most connections kept so; a statement beside them borrows one of the pool."""
_TYPES: Final = {str: 0, NoneType: 0, bool: 16, int: 20}
"""Types of Python whose values libpq is given as text, with PostgreSQL's; 0 lets the statement decide."""
_PARAMETER: Final = re.compile(r"%%|%(?:\((\w+)\))?s")
_PREPARED: Final = 100
"""Most statements kept prepared so on one connection; psycopg keeps as many beside them."""


class _Single:
    """A connection on which each statement is committed by itself, while nobody else uses it."""

    __slots__ = ("_codec", "_connection", "_prepared", "_reader", "cursor")

    def __init__(self, connection: psycopg.Connection, prepared: dict[tuple[str, tuple[int, ...]], bytes]) -> None:
        self.cursor = connection.cursor()
        self._connection = connection
        self._codec = connection.info.encoding
        self._prepared = prepared
        self._reader = Transformer(connection)

    def ask(self, statement: str, values: Sequence[Any], types: tuple[int, ...]) -> Rows | None:
        """The rows of a statement with numbered parameters, which stays prepared; ``None`` when too many others are."""
        libpq = self._connection.pgconn
        key = (statement, types)
        name = self._prepared.get(key)
        if name is None:
            if len(self._prepared) == _PREPARED:
                return None
            name = b"single_%d" % len(self._prepared)
            self._check(libpq.prepare(name, statement.encode(self._codec), types))
            self._prepared[key] = name
        written = [None if value is None else str(value).encode(self._codec) for value in values]
        result = libpq.exec_prepared(name, cast(list[bytes], written))
        self._check(result)
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple) if result.ntuples else []

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


class SingleStatements:
    """Connections of an engine on which each statement is committed by itself.

    Args:
        engine: makes the connections; when it gives its own back (``dispose``), those that rest here are closed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resting: list[_Single] = []
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
        single, pooled = self._take()
        try:
            if prepare:
                numbered, names = _numbered(statement)
                values = [parameters[name] for name in names] if isinstance(parameters, Mapping) else parameters
                types = tuple([_TYPES.get(type(value), -1) for value in values])
                if -1 not in types and "\0" not in "".join([value for value in values if isinstance(value, str)]):
                    rows = single.ask(numbered, values, types)
                    if rows is not None:
                        return rows
            return single.cursor.execute(statement.encode(), parameters, prepare=prepare).fetchall()
        finally:
            self._take_back(single, pooled)

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
            pooled = self._engine.raw_connection()
            connection = cast(psycopg.Connection, pooled.driver_connection)
            connection.autocommit = True
            return _Single(connection, pooled.info.setdefault("prepared", {})), pooled

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
            single.cursor.connection.close()
