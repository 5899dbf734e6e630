"""Stops asking an archive that does not answer, and notices by itself when it does again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Open after several failures in a row; after a pause one trial is let through.

    Args:
        failures: in a row until it opens.
        pause_seconds: between opening, or a failed trial, and the next trial.
        clock: monotonic seconds.
    """

    def __init__(
        self, failures: int = 3, pause_seconds: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures = failures
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._next_trial: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last that is known is that it does not answer."""
        return self._next_trial is not None

    def allows(self) -> bool:
        """Whether it may be asked now; while open, only by one trial after each pause."""
        with self._lock:
            if self._next_trial is None:
                return True
            now = self._clock()
            if now < self._next_trial:
                return False
            self._next_trial = now + self._pause_seconds
            return True

    def succeeded(self) -> None:
        """It answered."""
        with self._lock:
            self._in_a_row = 0
            self._next_trial = None

    def failed(self, *, surely: bool = False) -> None:
        """It did not answer.

        Args:
            surely: open at once.
        """
        with self._lock:
            self._in_a_row += 1
            if surely or self._in_a_row >= self._failures:
                self._next_trial = self._clock() + self._pause_seconds
