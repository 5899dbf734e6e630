"""Sends the sealed audit trail to a collector; the trail itself is the spool.

At least once, in the order of the chain. After a collector could not be reached, the batch it had confirmed last is
sent again too: it may have read and not yet kept it.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from sqlalchemy import Engine

from ihe.audit_message import AuditSource, audit_message
from ihe.store import audit_chain, audit_collectors
from ihe.syslog import Collector, Origin, send_batch, syslog_message

log = logging.getLogger(__name__)

_BATCH = 500
_SEALED_AT_ONCE = 200
"""Few: while a batch is sealed, the database has less for requests, and the slowest are slower."""
_BREATH_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 60.0


class AuditTrailKeeper:
    """Seals the trail and serves its collector, in a background thread; every process may run one.

    Args:
        collector: where events go; ``None`` only seals.
        every_seconds: pause when nothing waits.
    """

    def __init__(
        self, engine: Engine, source: AuditSource, collector: Collector | None = None, *, every_seconds: float = 1.0
    ) -> None:
        self._engine = engine
        self._source = source
        self._collector = collector
        self._origin = Origin()
        self._every_seconds = every_seconds
        self._was_out_of_reach = True  # not known: what was confirmed last may not have been kept
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit trail", daemon=True)

    def start(self) -> None:
        """Start in the background."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish the batch in hand and stop; safe to call when it was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def seal(self) -> int:
        """Seal what waits, in batches with a breath between them; returns how many events.

        A batch that is not full is the last: a busy service always has some more, and would do nothing else.
        """
        total = 0
        while not self._stopping.wait(_BREATH_SECONDS if total else 0):
            with self._engine.begin() as connection:
                sealed = audit_chain.seal(connection, datetime.now(UTC), _SEALED_AT_ONCE)
            total += sealed
            if sealed < _SEALED_AT_ONCE:
                break
        return total

    def send(self) -> int:
        """Send the next batch; returns how many events, 0 when none waits or another process is sending.

        Raises:
            OSError: the collector did not take them.
        """
        if self._collector is None:
            return 0
        name = self._collector.name
        with self._engine.begin() as connection:
            if not audit_collectors.lock(connection, name):
                return 0
            position, previous_position = audit_collectors.confirmed(connection, name)
            after = previous_position if self._was_out_of_reach else position
            waiting = audit_chain.sealed_after(connection, after, _BATCH)
            if not waiting:
                return 0
            messages = (syslog_message(e.event.at, audit_message(e.event, self._source), self._origin) for e in waiting)
            try:
                send_batch(self._collector, messages)
            except OSError:
                self._was_out_of_reach = True
                raise
            self._was_out_of_reach = False
            audit_collectors.confirm(connection, name, after, waiting[-1].position)
        return len(waiting)

    def _run(self) -> None:
        pause = self._every_seconds
        while not self._stopping.wait(pause):
            try:
                self.seal()
                while self.send() and not self._stopping.is_set():
                    pass
                pause = self._every_seconds
            except Exception as error:
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                log.warning("the audit trail is not served", extra={"error_type": type(error).__name__})
