"""Prometheus metrics: messages by transaction and outcome, how long they took, and what waits.

Labels name transactions, outcomes, subscribers and kinds of task; never a patient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from ihe.store import outbox
from mpi.store import tasks
from xds.services.publish_archive import Round
from xds.store import published

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counts what the pipeline serves.

    Args:
        engine: asked at each scrape for what waits.
        subscribers: names of the subscribers of this moment, so that one without a backlog is seen to have none.
    """

    def __init__(self, engine: Engine, subscribers: Callable[[], Iterable[str]] = tuple) -> None:
        self.registry = CollectorRegistry()
        self._messages = Counter(
            "traitdunion_messages",
            "Messages by transaction and outcome (success, repeated, refused, failed).",
            ["transaction", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "traitdunion_message_seconds",
            "How long a transaction took, from decoded frame to encoded answer.",
            ["transaction"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._withheld = Counter(
            "traitdunion_documents_withheld",
            "Documents left out of answers because the caller may not read them, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._published = Counter(
            "traitdunion_published_studies",
            "Studies of archives by site and outcome (registered, replaced, deprecated).",
            ["site", "outcome"],
            registry=self.registry,
        )
        self._waiting = _Waiting(engine, subscribers)

    def observe(self, transaction: str, outcome: str, seconds: float) -> None:
        """Count one served transaction."""
        self._messages.labels(transaction, outcome).inc()
        self._seconds.labels(transaction).observe(seconds)

    def withheld(self, reason: str) -> None:
        """Count one document that a caller may not read."""
        self._withheld.labels(reason).inc()

    def published(self, site: str, looked: Round) -> None:
        """Count what one look at an archive led to."""
        for outcome in ("registered", "replaced", "deprecated"):
            self._published.labels(site, outcome).inc(getattr(looked, outcome))

    def render(self) -> bytes:
        """The text exposition, of all worker processes where there are several."""
        registry = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry = self.registry
        waiting = CollectorRegistry()
        waiting.register(self._waiting)
        return generate_latest(registry) + generate_latest(waiting)


class _Waiting(Collector):
    """What waits, asked of the database at each scrape."""

    def __init__(self, engine: Engine, subscribers: Callable[[], Iterable[str]]) -> None:
        self._engine = engine
        self._subscribers = subscribers

    def collect(self) -> Iterable[Metric]:
        with self._engine.connect() as connection:
            open_tasks = tasks.count_open(connection)
            backlogs = outbox.backlogs(connection)
            oldest = outbox.oldest_undistributed(connection)
            archives = published.states(connection)
        now = datetime.now(UTC)
        family = GaugeMetricFamily("traitdunion_open_tasks", "Tasks that wait for a person, by kind.", labels=["kind"])
        for kind, count in open_tasks.items():
            family.add_metric([kind], count)
        yield family
        age = (now - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily(
            "traitdunion_outbox_undistributed_age_seconds", "Age of the oldest event not yet distributed.", age
        )
        lag = GaugeMetricFamily(
            "traitdunion_subscriber_lag_seconds", "Age of a subscriber's oldest waiting event.", labels=["subscriber"]
        )
        dead = GaugeMetricFamily(
            "traitdunion_subscriber_dead_letters", "Deliveries given up, by subscriber.", labels=["subscriber"]
        )
        for name in sorted({*self._subscribers()} - {backlog.subscriber for backlog in backlogs}):
            lag.add_metric([name], 0.0)
            dead.add_metric([name], 0)
        for backlog in backlogs:
            lag.add_metric([backlog.subscriber], (now - backlog.oldest).total_seconds() if backlog.oldest else 0.0)
            dead.add_metric([backlog.subscriber], backlog.dead)
        yield lag
        yield dead
        waits = GaugeMetricFamily(
            "traitdunion_studies_waiting", "Studies of an archive that are not registered yet.", labels=["site"]
        )
        for archive in archives:
            waits.add_metric([archive.site], sum(archive.waiting.values()))
        yield waits
