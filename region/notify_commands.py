"""``traitdunion notify``: what waits for each subscriber, what was given up, and sending again."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from ihe.caller import REGION
from ihe.errors import NotFound
from ihe.store import outbox
from mpi.store import notified
from region import running
from region.settings import Settings


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    notify = typer.Typer(help="Notifications of other systems.", no_args_is_help=True)

    @notify.command("status")
    def status(
        dead: Annotated[bool, typer.Option("--dead", help="List what was given up instead.")] = False,
    ) -> None:
        """How far each subscriber is behind: subscriber,waiting,lag_seconds,dead."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            if dead:
                write(["subscriber", "event_id", "at", "kind", "attempts", "error"])
                for letter in outbox.dead_letters(uow.connection):
                    row = (letter.event_id, letter.at.isoformat(), letter.kind, letter.attempts, letter.error)
                    write([letter.subscriber, *row])
                return
            backlogs = {b.subscriber: b for b in outbox.backlogs(uow.connection)}
            write(["subscriber", "waiting", "lag_seconds", "dead"])
            for name in sorted({*backlogs, *(s.name for s in service.subscribers())}):
                known = backlogs.get(name, outbox.Backlog(name, 0, 0, None))
                lag = (datetime.now(UTC) - known.oldest).total_seconds() if known.oldest else 0.0
                write([name, known.waiting, round(lag), known.dead])

    @notify.command("replay")
    def replay(
        since: Annotated[str, typer.Option(help="Moment, ISO 8601; local time when it names no zone.")],
        subscriber: Annotated[str | None, typer.Option(help="Only this one, as status names it.")] = None,
    ) -> None:
        """Send again what happened since a moment: what was sent, given up, or before the subscriber was there."""
        try:
            moment = datetime.fromisoformat(since).astimezone()
        except ValueError:
            raise typer.BadParameter("it is no ISO 8601 moment", param_hint="--since") from None
        with running.service(settings()) as service:
            chosen = [s for s in service.subscribers() if subscriber in (None, s.name)]
            if not chosen:
                raise NotFound("there is no such subscriber; notify status names them")
            for each in chosen:
                with service.database.unit(REGION) as uow:
                    notified.forget(uow.connection, each.name)
                    opened = outbox.replay(uow.connection, each.name, each.takes, moment)
                typer.echo(f"{each.name}: {opened}")

    return notify
