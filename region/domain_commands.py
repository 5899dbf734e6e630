"""``traitdunion domain``: the identification domains, and which of them was taken over by another."""

from __future__ import annotations

import csv
import sys
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from ihe.audit import AuditEvent, Outcome
from ihe.caller import REGION
from ihe.store import audit
from ihe.unit_of_work import UnitOfWork
from mpi.services.succeed_domain import succeed_domain, undo_succession
from mpi.store import successions
from region import running
from region.settings import Settings

Reason = Annotated[str, typer.Option(help="Why, for the history.")]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    domain = typer.Typer(help="Identification domains.", no_args_is_help=True)

    @domain.command("list")
    def list_domains() -> None:
        """Every domain: code,name,kind,oid,successor,from."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        write(["code", "name", "kind", "oid", "successor", "from"])
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            known = {each.domain: each for each in successions.current(uow.connection)}
            for each in service.table:
                taken = known.get(each.code)
                after = [taken.successor, taken.effective_at.isoformat()] if taken else ["", ""]
                write([each.code, each.name, each.kind, each.oid, *after])

    @domain.command("succeed")
    def succeed(
        old: Annotated[str, typer.Argument(help="Code of the domain that ends.")],
        new: Annotated[str, typer.Argument(help="Code of the domain that takes it over.")],
        since: Annotated[str, typer.Option("--from", help="Day or moment, ISO 8601; local time without zone.")],
        reason: Reason = "",
    ) -> None:
        """Let NEW answer for the patients of OLD from a day on.

        OLD's identifiers stay found, its feeds are refused, and NEW may renumber its patients (A40 across both).
        """
        try:
            moment = datetime.fromisoformat(since).astimezone()
        except ValueError:
            raise typer.BadParameter("it is no ISO 8601 day or moment", param_hint="--from") from None
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            event_id = succeed_domain(uow, service.mpi, old, new, moment, reason=reason)
            _audit(uow, old, new)
        typer.echo(f"{old} is succeeded by {new} from {moment.isoformat()}; event {event_id}")

    @domain.command("restore")
    def restore(
        old: Annotated[str, typer.Argument(help="Code of the domain that was taken over.")], reason: Reason = ""
    ) -> None:
        """Undo the succession of OLD."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            event_id = undo_succession(uow, service.mpi, old, reason=reason)
            _audit(uow, old)
        typer.echo(f"{old} answers for its patients again; event {event_id}")

    return domain


def _audit(uow: UnitOfWork, *codes: str) -> None:
    """A change of who may write whose identities is a security event (Source: DICOM PS3.15: A.5.3.11)."""
    audit.append(
        uow.connection,
        AuditEvent(
            at=uow.now,
            transaction="domain succession",
            event_code="110113",
            event_action="U",
            outcome=Outcome.SUCCESS,
            node=uow.caller.node,
            site=uow.caller.site,
            user=uow.caller.named_user,
            purpose=uow.caller.purpose,
            correlation_id=uuid.uuid4().hex,
            objects=tuple({"kind": "domain", "id": code} for code in codes),
        ),
    )
