"""``traitdunion evaluate``: how well a file with a truth column is linked, measured in a scratch database."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine, create_engine, make_url, text

from ihe.caller import REGION
from mpi.domain.identity import RecordKey
from mpi.domain.model import MatchModel
from mpi.domain.quality import Metrics, evaluate
from mpi.services.change_model import activate_model
from mpi.store import models, records, tasks
from region import running
from region.evaluation.linkage import Linked, linkage_page
from region.loading import LoadFault, LoadReport, load_file, read_truth
from region.migrations import upgrade
from region.model_commands import read_model
from region.settings import Settings


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the command.

    Args:
        settings: reads the settings.
    """

    @app.command()
    def evaluate(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
        truth: Annotated[str, typer.Option(help="Column that names the human of each row.")],
        named: Annotated[
            str | None,
            typer.Option("--model", metavar="FILE|VERSION|NAME", help="Model to link by; else the one in force."),
        ] = None,
        page: Annotated[
            Path | None,
            typer.Option(
                "--report",
                dir_okay=False,
                help="Also write a page (HTML): precision and recall, weights, calibration, errors with their traits.",
            ),
        ] = None,
    ) -> None:
        """Link a file in a scratch database and print precision, recall, F1, mixed clusters, tasks and calibration."""
        read = settings()
        model = None
        if named is not None:
            with running.service(read) as service, service.database.unit(REGION) as uow:
                model = read_model(uow, named)
        found = evaluate_file(read, file, truth, model, with_page=page is not None)
        for line in lines(found):
            typer.echo(line)
        if page is not None and found.page is not None:
            page.write_text(found.page, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a file.

    Attributes:
        model: it was linked by.
        page: as HTML, where it was asked for.
    """

    report: LoadReport
    metrics: Metrics
    model: MatchModel
    page: str | None = None


def evaluate_file(
    settings: Settings, path: Path, truth_column: str, model: MatchModel | None = None, *, with_page: bool = False
) -> Evaluation:
    """Load a file into a database that is dropped afterwards, and compare its persons with the truth.

    Args:
        truth_column: the column that names the human of each row.
        model: to link by; ``None`` for the one in force.
        with_page: also make a page; its gallery of errors shows traits of the file.

    Raises:
        LoadFault: the file cannot be read, or has no such column.
    """
    truth = read_truth(path, truth_column)
    with _scratch(settings, model) as url, running.service_over(settings, url) as service:
        began = time.perf_counter()
        report = load_file(service, path, ignored_columns=(truth_column,))
        seconds = time.perf_counter() - began
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
            metrics = evaluate(known, clusters, asked)
            linked = Linked(known, {key: clusters[key] for key in known}, metrics, seconds)
            made = linkage_page(uow, service.mpi, path, linked) if with_page else None
            return Evaluation(report, metrics, service.mpi.model, made)


@contextmanager
def _scratch(settings: Settings, model: MatchModel | None) -> Iterator[str]:
    """A migrated, empty database beside the configured one, dropped when the block ends."""
    name = f"evaluation_{uuid.uuid4().hex}"
    with running.database(settings) as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        scratch = make_url(url).set(database=name).render_as_string(hide_password=False)
        try:
            upgrade(scratch)
            chosen = model or _in_force(engine)
            if chosen is not None:
                with running.service_over(settings, scratch) as service, service.database.unit(REGION) as uow:
                    activate_model(uow, chosen)
            yield scratch
        finally:
            with engine.connect() as connection:
                connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            engine.dispose()


def _in_force(engine: Engine) -> MatchModel | None:
    with engine.connect() as connection:
        return models.active(connection)


def lines(found: Evaluation) -> list[str]:
    """The result as it is printed: one figure a line."""
    report, metrics, model = found.report, found.metrics, found.model
    stated = model.false_links
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
        f"model: {model.version}",
        f"linked from bits: {model.thresholds.automatic:g}",
        f"asked from bits: {model.thresholds.possible:g}",
        f"false links wanted: {_share(stated.wanted if stated else None)}",
        f"false links expected: {_share(stated.estimated if stated else None)}",
        f"false links measured: {_share(1 - metrics.precision)}",
    ]


def _share(value: float | None) -> str:
    return "not stated" if value is None else f"{value:.2g}"
