"""The breaker opens after failures in a row and lets one trial through after each pause."""

from __future__ import annotations

from xds.archive.breaker import CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(failures=2, pause_seconds=5, clock=Clock())
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows()


def test_one_trial_after_each_pause() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, pause_seconds=5, clock=clock)
    breaker.failed()
    clock.now = 5
    assert breaker.allows()
    assert not breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    clock.now = 10
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert not breaker.is_open


def test_a_sure_failure_opens_at_once() -> None:
    breaker = CircuitBreaker(failures=9)
    breaker.failed(surely=True)
    assert breaker.is_open
