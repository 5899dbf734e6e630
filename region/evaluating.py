"""``traitdunion evaluate``: how well a file with a truth column is linked, measured in a scratch database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from ihe.caller import REGION
from mpi.domain.identity import RecordKey
from mpi.domain.quality import Metrics, evaluate
from mpi.store import records, tasks
from region import running
from region.loading import LoadFault, LoadReport, load_file, read_truth
from region.migrations import upgrade
from region.settings import Settings


def evaluate_file(settings: Settings, path: Path, truth_column: str) -> tuple[LoadReport, Metrics]:
    """Load a file into a database that is dropped afterwards, and compare its persons with the truth.

    Args:
        truth_column: the column that names the human of each row.

    Raises:
        LoadFault: the file cannot be read, or has no such column.
    """
    truth = read_truth(path, truth_column)
    with _scratch(settings) as url, running.service_over(settings, url) as service:
        report = load_file(service, path, ignored_columns=(truth_column,))
        with service.database.unit(REGION) as uow:
            clusters = {RecordKey(d, i): person for d, i, person in records.all_links(uow.connection)}
            asked = [
                (RecordKey(t.domain_a, t.local_id_a), RecordKey(t.domain_b, t.local_id_b))
                for t in tasks.all_tasks(uow.connection)
                if t.state == "open" and (t.domain_a, t.local_id_a) != (t.domain_b, t.local_id_b)
            ]
    known = {key: human for key, human in truth.items() if key in clusters}
    if not known:
        raise LoadFault(f"{path.name}: no row was loaded")
    return report, evaluate(known, clusters, asked)


@contextmanager
def _scratch(settings: Settings) -> Iterator[str]:
    """A migrated, empty database beside the configured one, dropped when the block ends."""
    name = f"evaluation_{uuid.uuid4().hex}"
    with running.database(settings) as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        scratch = make_url(url).set(database=name).render_as_string(hide_password=False)
        try:
            upgrade(scratch)
            yield scratch
        finally:
            with engine.connect() as connection:
                connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            engine.dispose()


def lines(report: LoadReport, metrics: Metrics) -> list[str]:
    """The result as it is printed: one figure a line."""
    return [
        f"records: {metrics.records}",
        f"humans: {metrics.people}",
        f"persons: {metrics.clusters}",
        f"precision: {metrics.precision:.6f}",
        f"recall: {metrics.recall:.6f}",
        f"f1: {metrics.f1:.6f}",
        f"mixed clusters: {metrics.mixed_clusters}",
        f"linked or waiting: {metrics.linked_or_waiting:.6f}",
        f"tasks: {metrics.tasks}",
        f"right tasks: {metrics.right_tasks}",
        f"records with a task: {metrics.task_share:.6f}",
        f"rejected: {report.rejected}",
    ]
