"""``traitdunion audit``: whether the trail is as it was written, and its anchors."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ihe.caller import REGION
from ihe.errors import MalformedRequest
from ihe.store import audit_chain
from region import running
from region.settings import Settings


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    audit = typer.Typer(help="The audit trail.", no_args_is_help=True)

    @audit.command("verify")
    def verify(
        kept: Annotated[
            Path | None,
            typer.Option("--anchors", exists=True, dir_okay=False, help="Anchors that were kept elsewhere."),
        ] = None,
    ) -> None:
        """Walk the chain of events and say what was changed, inserted or removed; status 1 if anything was."""
        elsewhere = _read_anchors(kept) if kept else {}
        found = 0
        with running.service(settings()) as service:
            with service.database.unit(REGION) as uow:
                while audit_chain.seal(uow.connection, uow.now):
                    pass
            with service.database.unit(REGION, isolation="REPEATABLE READ") as uow:
                for finding in audit_chain.verify(uow.connection, uow.now, elsewhere):
                    found += 1
                    typer.echo(finding)
                length = audit_chain.length(uow.connection)
        typer.echo(f"{length} events, {found} findings")
        if found:
            raise typer.Exit(1)

    @audit.command("anchors")
    def anchors() -> None:
        """The head of the chain at the end of each day: day,position,digest. To be kept where nobody here can write."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            write = csv.writer(sys.stdout, lineterminator="\n").writerow
            write(["day", "position", "digest"])
            for anchor in audit_chain.anchors(uow.connection):
                write([anchor.day.isoformat(), anchor.position, anchor.digest.hex()])

    return audit


def _read_anchors(path: Path) -> dict[int, bytes]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return {int(row["position"]): bytes.fromhex(row["digest"]) for row in csv.DictReader(lines)}
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedRequest(f"{path.name} holds no anchors (day,position,digest)") from error
