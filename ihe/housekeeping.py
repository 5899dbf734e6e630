"""Does what nobody waits for: deletes what has served its time (answers to repetitions, delivered events, old
snapshots), fills what a migration left empty.

Every process may run it; a lock keeps two from doing the same chore at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

log = logging.getLogger(__name__)

Chore = Callable[[Connection, datetime], int]
"""Does a part of what is due at a moment; returns how many rows it took, 0 when nothing is left."""

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:chore, 7503))")


class Housekeeping:
    """Runs chores in a background thread.

    Args:
        chores: by name.
        every_seconds: pause between two rounds.
    """

    def __init__(self, engine: Engine, chores: Mapping[str, Chore], *, every_seconds: float = 3600.0) -> None:
        self._engine = engine
        self._chores = dict(chores)
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start in the background; the first round comes after the first pause."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish the part in hand and stop; safe to call when it was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def run_once(self) -> dict[str, int]:
        """One round; returns how many rows each chore took."""
        return {name: self._do(name, chore) for name, chore in self._chores.items()}

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self.run_once()
            except Exception as error:
                log.warning("housekeeping stumbled", extra={"error_type": type(error).__name__})

    def _do(self, name: str, chore: Chore) -> int:
        """A chore, part after part, each in a transaction of its own."""
        total = 0
        while not self._stopping.is_set():
            with self._engine.begin() as connection:
                if not connection.execute(_LOCK, {"chore": name}).scalar():
                    break
                taken = chore(connection, datetime.now(UTC))
            total += taken
            if not taken:
                break
        return total
