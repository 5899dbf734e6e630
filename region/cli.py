"""The command ``traitdunion``.

Exit status: 0 done, 1 the work failed, 2 the command was wrong. Messages on stderr, results on stdout.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from ihe.caller import REGION
from ihe.errors import IheError
from mpi.domain.identity import RecordKey
from mpi.domain.record import regional_id
from mpi.services.explain_link import explain_pair, explain_record
from mpi.store import records, tasks
from region import (
    audit_commands,
    backup_commands,
    community_commands,
    domain_commands,
    model_commands,
    notify_commands,
    pki_commands,
    publishing_commands,
    running,
    viewer_commands,
    xds_commands,
)
from region.access_settings import AccessFault, is_demonstration
from region.backup import BackupFault
from region.demo import StoryFault
from region.embedded_postgres import EmbeddedPostgresError
from region.evaluation import command as evaluation_command
from region.loading import LoadFault, LoadReport, load_file
from region.log_output import set_up_logging
from region.pacs.commands import commands as pacs_commands
from region.pacs.orthanc import OrthancFault
from region.pki import PkiFault
from region.settings import Settings, SettingsError, describe, load_settings
from region.viewer_commands import ViewerFault
from web.catalogue import DEFAULT_LANGUAGE
from web.rendering import standing_waterfall

app = typer.Typer(
    name="traitdunion",
    help="Regional master patient index and imaging document registry.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
export = typer.Typer(help="Write what the index holds as CSV.", no_args_is_help=True)
db = typer.Typer(help="The database schema.", no_args_is_help=True)
app.add_typer(export, name="export")
app.add_typer(db, name="db")

messages = Console(stderr=True)
Output = Annotated[Path | None, typer.Option("-o", "--output", help="File to write; standard output when absent.")]


class FileFormat(StrEnum):
    """Formats of bulk files."""

    CSV = "csv"
    PARQUET = "parquet"
    HL7 = "hl7"
    NDJSON = "ndjson"


_FAULTS = (
    running.StartFault,
    AccessFault,
    BackupFault,
    EmbeddedPostgresError,
    PkiFault,
    StoryFault,
    LoadFault,
    OrthancFault,
    ViewerFault,
)


def main() -> None:
    """Run the command line; a failure of the work ends with status 1 and one sentence."""
    try:
        app()
    except (*_FAULTS, IheError) as error:
        _fail(str(error))


def _fail(sentence: str, status: int = 1) -> NoReturn:
    messages.print(f"traitdunion: {sentence}", style="red", highlight=False, markup=False)
    sys.exit(status)


def _settings(**overrides: Any) -> Settings:
    try:
        settings = load_settings(**overrides)
    except SettingsError as error:
        _fail(str(error), 2)
    set_up_logging(settings.log_level, settings.log_format)
    return settings


app.add_typer(domain_commands.commands(_settings), name="domain")
app.add_typer(community_commands.commands(_settings), name="communities")
app.add_typer(notify_commands.commands(_settings), name="notify")
app.add_typer(xds_commands.commands(_settings), name="xds")
app.add_typer(pacs_commands(_settings), name="pacs")
app.add_typer(viewer_commands.commands(_settings), name="viewer")
app.add_typer(audit_commands.commands(_settings), name="audit")
app.add_typer(pki_commands.commands(_settings), name="pki")
model_commands.register(app, _settings)
publishing_commands.register(app, _settings)
evaluation_command.register(app, _settings)
backup_commands.register(app, _settings)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port.")] = None,
    mllp_port: Annotated[int | None, typer.Option(help="MLLP port.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
) -> None:
    """Serve HL7 v2 over MLLP and everything else over HTTP, until Ctrl-C or SIGTERM."""
    chosen = _settings(http_host=host, http_port=port, mllp_port=mllp_port, workers=workers)

    def announce() -> None:
        if is_demonstration(chosen):
            messages.print(
                "DEMONSTRATION: no TLS, nobody is authenticated, everything is allowed; loopback only",
                style="bold red",
                highlight=False,
            )
        messages.print(
            f"serving: HTTP {chosen.http_host}:{chosen.http_port}, MLLP {chosen.http_host}:{chosen.mllp_port}",
            highlight=False,
        )

    running.serve(chosen, announce)


@app.command()
def demo(
    exit_after: Annotated[bool, typer.Option("--exit", help="Stop after the worked example.")] = False,
    port: Annotated[int | None, typer.Option(help="HTTP port.")] = None,
    mllp_port: Annotated[int | None, typer.Option(help="MLLP port.")] = None,
) -> None:
    """Load ten synthetic sites, print the worked example, and serve until Ctrl-C."""
    chosen = _settings(http_port=port, mllp_port=mllp_port)
    running.demo(chosen, Console(), exit_after=exit_after)


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE…")],
    file_format: Annotated[FileFormat | None, typer.Option("--format", help="Goes by the ending when absent.")] = None,
) -> None:
    """Load identities in bulk. Rejected rows go to FILE.rejected.csv with the reason; the others load."""
    totals, began = LoadReport(), time.monotonic()
    with running.service(_settings()) as service, _progress() as progress:
        for path in files:
            bar = progress.add_task(path.name, total=None)
            report = load_file(
                service,
                path,
                file_format.value if file_format else None,
                lambda count, bar=bar: progress.advance(bar, count),  # type: ignore[misc]
            )
            progress.update(bar, total=report.read, completed=report.read)
            for name in LoadReport.__dataclass_fields__:
                setattr(totals, name, getattr(totals, name) + getattr(report, name))
    for name in LoadReport.__dataclass_fields__:
        typer.echo(f"{name}: {getattr(totals, name)}")
    seconds = time.monotonic() - began
    messages.print(f"{totals.read} rows in {seconds:.1f} s, {totals.read / seconds:.0f} a second", highlight=False)


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """Of a file."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        console=messages,
    )


@export.command("links")
def export_links(output: Output = None) -> None:
    """Every active record with its person: domain,local_id,person_id, from one snapshot."""
    with (
        running.service(_settings()) as service,
        service.database.unit(REGION, isolation="REPEATABLE READ") as uow,
        _writer(output) as write,
    ):
        write(["domain", "local_id", "person_id"])
        for domain, local_id, person_id in records.all_links(uow.connection):
            write([domain, local_id, regional_id(person_id)])


@export.command("tasks")
def export_tasks(output: Output = None) -> None:
    """Every task: task_id,kind,state,domain_a,local_id_a,domain_b,local_id_b,weight_bits."""
    with (
        running.service(_settings()) as service,
        service.database.unit(REGION, isolation="REPEATABLE READ") as uow,
        _writer(output) as write,
    ):
        names = list(tasks.TaskRow.__dataclass_fields__)
        write(names)
        for row in tasks.all_tasks(uow.connection):
            write([getattr(row, name) for name in names])


@contextmanager
def _writer(output: Path | None) -> Iterator[Any]:
    stream: TextIO
    if output is None:
        yield csv.writer(sys.stdout, lineterminator="\n").writerow
    else:
        with output.open("w", newline="", encoding="utf-8") as stream:
            yield csv.writer(stream, lineterminator="\n").writerow


@app.command()
def explain(
    domain: Annotated[str, typer.Argument(help="Domain code of the record.")],
    local_id: Annotated[str, typer.Argument(help="Its local id.")],
    other_domain: Annotated[str | None, typer.Argument(help="Domain code of a second record.")] = None,
    other_local_id: Annotated[str | None, typer.Argument(help="Its local id.")] = None,
    event: Annotated[
        int | None, typer.Option(help="Explain the link that this event made, not the present one.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also draw how the weight adds up, field by field.")
    ] = None,
) -> None:
    """Why a record is linked as it is, or what two records score, field by field (JSON)."""
    if (other_domain is None) != (other_local_id is None):
        _fail("a second record needs both domain and local id", 2)
    if event is not None and other_domain is not None:
        _fail("an event made the link of one record", 2)
    with running.service(_settings()) as service, service.database.unit(REGION) as uow:
        key = RecordKey(domain, local_id)
        if other_domain is not None and other_local_id is not None:
            found = pair = explain_pair(uow, service.mpi, key, RecordKey(other_domain, other_local_id))
        else:
            found = explain_record(uow, service.mpi, key, event)
            pair = found["because"]
    if svg is not None:
        if pair is None:
            _fail("the link rests on no pair; there is nothing to draw")
        svg.write_text(standing_waterfall(pair, DEFAULT_LANGUAGE), encoding="utf-8")
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to this version."""
    with running.database(_settings()):
        messages.print("the database schema is up to date", highlight=False)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Really delete everything.")] = False) -> None:
    """Delete all data: records, links, documents, audit trail."""
    if not yes:
        _fail("reset deletes everything; confirm with --yes", 2)
    running.reset(_settings())
    messages.print("everything was deleted", highlight=False)


@app.command()
def check() -> None:
    """Check the invariants of what is stored; status 1 when one does not hold."""
    with running.service(_settings()) as service:
        findings = running.check(service)
    for finding in findings:
        typer.echo(finding)
    if findings:
        _fail(f"{len(findings)} findings")
    messages.print("all invariants hold", highlight=False)


@app.command("settings")
def show_settings() -> None:
    """Every setting with its meaning and current value; secrets are hidden."""
    for row in describe(_settings()):
        typer.echo(f"{row.name} = {row.value}\n    {row.help}")
