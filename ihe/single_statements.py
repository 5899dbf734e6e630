"""Statements that need no transaction of several: each is committed by itself.

Taking a connection from the pool, telling it to commit each statement, telling it not to and giving it back costs more
than a short statement. So some connections rest here as they were used last, with the cursor that knows how to write
parameters and read rows of the statements it has run. They do not count among the pool's, and end with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Engine, PoolProxiedConnection, event

Cursor = psycopg.Cursor[tuple[Any, ...]]

_RESTING: Final = 16
"""Most connections kept so; a statement beside them borrows one of the pool."""


class SingleStatements:
    """Connections of an engine on which each statement is committed by itself.

    Args:
        engine: makes the connections; when it gives its own back (``dispose``), those that rest here are closed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resting: list[Cursor] = []
        self._guard = threading.Lock()
        self._kept = 0
        event.listen(engine, "engine_disposed", self._close)

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor that nobody else uses while the block runs; its rows are fetched within."""
        pooled = None
        try:
            cursor = self._resting.pop()
        except IndexError:
            pooled = self._engine.raw_connection()
            connection = cast(psycopg.Connection, pooled.driver_connection)
            connection.autocommit = True
            cursor = connection.cursor()
        try:
            yield cursor
        finally:
            self._take_back(cursor, pooled)

    def _take_back(self, cursor: Cursor, pooled: PoolProxiedConnection | None) -> None:
        connection = cursor.connection
        if connection.closed:
            if pooled is not None:
                pooled.invalidate()
            self._engine.dispose()  # what broke one connection has most often broken all
        elif pooled is None or self._keeps(pooled):
            self._resting.append(cursor)
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
        for cursor in closed:
            cursor.connection.close()
