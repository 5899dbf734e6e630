"""``traitdunion backup`` and ``traitdunion restore``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from region import running
from region.backup import BackupFault, copy_documents, folder_of, follow, forget, keep_newest, take
from region.restore import choose, prepare, restore
from region.settings import Settings

messages = Console(stderr=True)


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands.

    Args:
        settings: reads the settings.
    """

    @app.command("backup")
    def backup(
        folder: Annotated[Path, typer.Argument(file_okay=False, help="Where backups are kept, on another disk.")],
        to_follow: Annotated[
            bool, typer.Option("--follow", help="Go on with every change until Ctrl-C: restores to any moment.")
        ] = False,
        keep: Annotated[int | None, typer.Option(min=1, help="Copies of the database to keep; older ones go.")] = None,
        to_forget: Annotated[
            bool, typer.Option("--forget", help="Only let the server keep no changes for --follow any more.")
        ] = False,
    ) -> None:
        """Copy database and documents while the service serves."""
        chosen = settings()
        documents = running.content_folder(chosen) if chosen.document_store is None else None
        with running.replication_url(chosen) as url:
            if to_forget:
                forget(url)
                return
            with folder_of(folder):
                if to_follow:
                    stop = threading.Event()
                    with _stopped_by_signals(stop):
                        follow(folder, url, documents, stop, partial(_base, folder, url, keep))
                    messages.print("stopped; the server keeps what changes until the next --follow", highlight=False)
                    return
                _base(folder, url, keep)
                if documents is not None:
                    copied = copy_documents(documents, folder / "documents")
                    messages.print(f"{copied} new documents copied", highlight=False)
        if documents is None:
            messages.print("documents are in an object store: its own versions protect them", highlight=False)

    @app.command("restore")
    def bring_back(
        folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the backups are.")],
        at: Annotated[
            str | None,
            typer.Option(help="Moment (ISO 8601; UTC unless it says otherwise); absent: as late as there is."),
        ] = None,
        into: Annotated[
            Path | None,
            typer.Option(
                help="Make a data folder for a PostgreSQL server of one's own, instead of the embedded one's."
            ),
        ] = None,
    ) -> None:
        """Bring a backup back into an empty data folder, and check what is there."""
        chosen = settings()
        moment = _moment(at)
        if into is not None:
            if into.exists():
                raise BackupFault(f"{into} exists already")
            base = choose(folder, moment)
            prepare(folder, base, into, moment)
            typer.echo(f"{into}: start a PostgreSQL {base.server.partition('.')[0]} over it, as its owner")
            return
        if chosen.database_url is not None:
            raise BackupFault(
                "TRAITDUNION_DATABASE_URL names a server of your own: use --into, and start that server over it"
            )
        with messages.status("restoring the database"):
            base = restore(folder, chosen.data_dir / "postgres", moment)
        with messages.status("copying documents"):
            copied = copy_documents(folder / "documents", running.content_folder(chosen))
        typer.echo(f"restored from the backup of {base.ended.isoformat()}; documents: {copied}")
        with messages.status("checking"), running.service(chosen) as service:
            findings = running.check(service)
        for finding in findings:
            typer.echo(finding)
        if findings:
            raise BackupFault(f"{len(findings)} findings in what was restored")
        messages.print("all invariants hold", highlight=False)


def _base(folder: Path, url: str, keep: int | None) -> None:
    with messages.status("copying the database"):
        base = take(folder, url)
    if keep is not None:
        keep_newest(folder, keep)
    typer.echo(f"{base.folder}: complete, {(base.ended - base.began).total_seconds():.1f} s")


def _moment(at: str | None) -> datetime | None:
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BackupFault("--at takes a moment in ISO 8601, for example 2026-11-29T14:30:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block in order."""
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
