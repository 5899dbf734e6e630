"""What nobody waits for, done beside serving: deliveries, upkeep, publishing, sealing of the audit trail.

It has a process of its own, so that those that serve have their interpreter to themselves (ADR 0046). Several may run
at once, on one machine or on several: locks in the database see to it that each thing is done by one of them.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from region.bootstrap import Service

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
_END_SECONDS: Final = 30.0


def start(service: Service) -> None:
    """Do it from now on, in threads of this process."""
    service.dispatcher.start()
    service.housekeeping.start()
    service.audit.start()
    service.publisher.start()


def stop(service: Service) -> None:
    """Finish what is in hand and stop."""
    service.publisher.stop()
    service.dispatcher.stop()
    service.housekeeping.stop()
    service.audit.stop()


@contextmanager
def kept_running(work: Callable[[], None]) -> Iterator[None]:
    """A process that does it while the block runs; another one is started when it dies.

    Args:
        work: picklable; ends when its process is told to terminate.
    """
    context = multiprocessing.get_context("spawn")
    is_over = threading.Event()
    process = context.Process(target=work, name="beside")
    process.start()

    def watch() -> None:
        nonlocal process
        while not is_over.wait(_LOOK_SECONDS):
            if not process.is_alive():
                log.error("what nobody waits for has stopped, and is started again")
                another = context.Process(target=work, name="beside")
                try:
                    another.start()
                except OSError:
                    continue  # no room for a process now; the next look tries again
                process = another

    watching = threading.Thread(target=watch, name="beside watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()
        process.terminate()
        process.join(_END_SECONDS)
        if process.is_alive():
            process.kill()
