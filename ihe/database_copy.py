"""A copy of the database that follows it, from which questions are answered while it is fresh.

A question may be answered from a state of a moment ago, never from an older one: a link that was undone must be gone.
So the copy counts only while it is known to have everything that the original held at most so many seconds before;
else the original answers. Both are asked for their place in the log, several times within that span.

Source: PostgreSQL: "Log-Shipping Standby Servers", ``pg_current_wal_lsn``, ``pg_last_wal_replay_lsn``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

_WRITTEN = text("SELECT pg_current_wal_lsn() - '0/0'")
_REPLAYED = text("SELECT pg_last_wal_replay_lsn() - '0/0' WHERE pg_is_in_recovery()")
_LOOKS = 5


class DatabaseCopy:
    """Watches a copy.

    Args:
        original: what everything is written to.
        copy: a server that replicates it.
        most_seconds: how far the copy may be behind when it is asked.
    """

    def __init__(self, original: Engine, copy: Engine, most_seconds: float) -> None:
        self._original = original
        self._copy = copy
        self._most_seconds = most_seconds
        self._marks: deque[tuple[float, int]] = deque()
        self._has_all_of = -float("inf")
        self._was_fresh = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def behind_seconds(self) -> float:
        """At most so far is it behind; infinite when nothing is known of it."""
        return time.monotonic() - self._has_all_of

    def engine(self) -> Engine | None:
        """The copy, or ``None`` when it is not fresh enough to be asked."""
        return self._copy if self.behind_seconds < self._most_seconds else None

    def look(self) -> None:
        """Find out up to which moment the copy has everything."""
        try:
            moment = time.monotonic()
            with self._original.connect() as connection:
                self._marks.append((moment, int(connection.execute(_WRITTEN).scalar_one())))
            with self._copy.connect() as connection:
                replayed = connection.execute(_REPLAYED).scalar()
        except SQLAlchemyError:
            replayed = None
        while replayed is not None and self._marks and self._marks[0][1] <= replayed:
            self._has_all_of, _ = self._marks.popleft()
        while self._marks and self._marks[0][0] < time.monotonic() - self._most_seconds:
            self._marks.popleft()
        if (fresh := self.engine() is not None) != self._was_fresh:
            self._was_fresh = fresh
            if fresh:
                log.info("the copy of the database is asked")
            else:
                log.info("the copy of the database is not fresh and not asked")

    def start(self) -> None:
        """Look again and again, in a thread."""
        self.look()
        self._thread = threading.Thread(target=self._run, name="database copy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the connections back."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(30)
        self._copy.dispose()

    def _run(self) -> None:
        while not self._stopped.wait(self._most_seconds / _LOOKS):
            self.look()
