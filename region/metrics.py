"""Prometheus metrics: messages by transaction and outcome, how long they took, and what waits.

Labels name transactions, outcomes, subscribers and kinds of task; never a patient.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ihe.database_copy import DatabaseCopy
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
        copy: the replica of the database, where there is one.
        watched: what is looked at beside the database.
    """

    def __init__(
        self,
        engine: Engine,
        subscribers: Callable[[], Iterable[str]] = tuple,
        copy: DatabaseCopy | None = None,
        watched: Watched | None = None,
    ) -> None:
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
        self._found: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._last = Gauge(
            "traitdunion_last_success_timestamp_seconds",
            "When a site's last message of a transaction was accepted.",
            ["transaction", "site"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
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
        self._surroundings = _Surroundings(copy, watched or Watched())

    def observe(self, transaction: str, outcome: str, seconds: float, site: str | None = None) -> None:
        """Count one served transaction of a site."""
        count, took = self._of(transaction, outcome)
        count.inc()
        took.observe(seconds)
        if outcome == "success" and site is not None:
            self._last.labels(transaction, site).set_to_current_time()

    def _of(self, transaction: str, outcome: str) -> tuple[Counter, Histogram]:
        """The counters of a transaction, looked up once: finding them by their labels costs as much as counting."""
        key = transaction, outcome
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._messages.labels(*key), self._seconds.labels(transaction)
        return found

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
        waiting.register(self._surroundings)
        return generate_latest(registry) + generate_latest(waiting)


@contextmanager
def counted_together() -> Iterator[None]:
    """What is made while the block runs, here and in the processes started in it, counts together.

    The library decides at its import whether it does; here that depends on the command.
    """
    alone = values.ValueClass
    with TemporaryDirectory(prefix="traitdunion-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            values.ValueClass = alone
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at beside the database.

    Attributes:
        expiries: when files of certificates cease to be valid, by what they are.
        folders: of whose disks the free room is told, by name.
    """

    expiries: Callable[[], Mapping[str, datetime]] = dict
    folders: Mapping[str, Path] = field(default_factory=dict)


class _Surroundings(Collector):
    """Certificates, disks and the replica, looked at when asked."""

    def __init__(self, copy: DatabaseCopy | None, watched: Watched) -> None:
        self._copy = copy
        self._watched = watched

    def collect(self) -> Iterable[Metric]:
        ends = GaugeMetricFamily(
            "traitdunion_certificate_expiry_timestamp_seconds",
            "When the first of a file's certificates, or its revocation list, ceases to be valid.",
            labels=["file"],
        )
        for name, moment in self._watched.expiries().items():
            ends.add_metric([name], moment.timestamp())
        yield ends
        room = GaugeMetricFamily("traitdunion_disk_free_bytes", "Free room of a folder's disk.", labels=["folder"])
        whole = GaugeMetricFamily("traitdunion_disk_bytes", "Size of a folder's disk.", labels=["folder"])
        for name, folder in self._watched.folders.items():
            if folder.is_dir():
                usage = shutil.disk_usage(folder)
                room.add_metric([name], usage.free)
                whole.add_metric([name], usage.total)
        yield room
        yield whole
        if self._copy is not None:
            yield GaugeMetricFamily(
                "traitdunion_replica_behind_seconds",
                "How far the replica is behind at most.",
                self._copy.behind_seconds,
            )


class _Waiting(Collector):
    """What waits, asked of the database at each scrape."""

    def __init__(self, engine: Engine, subscribers: Callable[[], Iterable[str]]) -> None:
        self._engine = engine
        self._subscribers = subscribers

    def collect(self) -> Iterable[Metric]:
        answers = GaugeMetricFamily("traitdunion_database_answers", "Whether the database answers.")
        try:
            with self._engine.connect() as connection:
                open_tasks = tasks.count_open(connection)
                backlogs = outbox.backlogs(connection)
                oldest = outbox.oldest_undistributed(connection)
                archives = published.states(connection)
            subscribers = set(self._subscribers())
        except (SQLAlchemyError, psycopg.Error):
            answers.add_metric([], 0)
            yield answers
            return
        answers.add_metric([], 1)
        yield answers
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
        for name in sorted(subscribers - {backlog.subscriber for backlog in backlogs}):
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
