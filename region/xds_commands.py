"""``traitdunion xds``: check the registry and repository, ask for a past day, and write down oppositions."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ihe.caller import REGION
from ihe.errors import UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.domain.consent import Stance, Statement, Subject, Way
from mpi.services.consents import state_for
from region import running
from region.bootstrap import Service
from region.settings import Settings
from xds.domain.criteria import DocumentCriteria
from xds.domain.registered import RegisteredEntry
from xds.ports import Person
from xds.services import upkeep
from xds.services.find import find_documents_on
from xds.services.history_document import offer_history
from xds.store.content import ContentUnreachable

Patient = Annotated[str, typer.Argument(metavar="PATIENT", help="Identifier as CX: VALUE^^^&OID&ISO.")]
_STATUSES = ("Approved", "Deprecated")


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    xds = typer.Typer(help="The document registry and repository.", no_args_is_help=True)

    @xds.command("check")
    def check(
        repair: Annotated[bool, typer.Option("--repair", help="First remove what no document names.")] = False,
        grace_hours: Annotated[
            float,
            typer.Option(min=0, help="Leave alone what no document names while younger; 0 only while nobody submits."),
        ] = upkeep.GRACE / timedelta(hours=1),
    ) -> None:
        """Whether every entry has its bytes, every byte its entry, and the registry is whole; status 1 when not.

        Reads and hashes every document. Below what it finds stands what to do about each kind.
        """
        grace = timedelta(hours=grace_hours)
        try:
            with running.service(settings()) as service:
                if repair:
                    swept = upkeep.sweep(service.database, service.xds.repository, grace=grace)
                    typer.echo(f"removed: {swept.objects} objects that no document named, {swept.staged} staged files")
                findings = running.check_documents(service, grace)
        except ContentUnreachable:
            typer.echo("the storage of the documents doesn't answer; nothing is known of them now", err=True)
            raise typer.Exit(2) from None
        for finding in findings:
            typer.echo(finding)
        for kind, count in Counter(each.partition(": ")[0] for each in findings).items():
            typer.echo(f"{count} {kind}: {upkeep.REMEDIES.get(kind, 'no transaction leaves this; tell the makers')}")
        if findings:
            raise typer.Exit(1)

    @xds.command("documents-on")
    def documents_on(
        moment: Annotated[datetime, typer.Argument(help="Day or moment, UTC: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS.")],
        patient: Patient,
    ) -> None:
        """What FindDocuments answered on a past day: unique_id,status,entry_uuid,repository_unique_id."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            write(["unique_id", "status", "entry_uuid", "repository_unique_id"])
            for entry in answered_on(service, uow, _patient(patient), moment.replace(tzinfo=UTC)):
                status = entry.status.rpartition(":")[2]
                write([entry.unique_id, status, entry.id, entry.repository_unique_id])

    @xds.command("offer-history")
    def offer(patient: Patient) -> None:
        """Register a patient's imaging history, made anew at each retrieval; prints its uniqueId."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            xds = service.xds
            typer.echo(offer_history(uow, _patient(patient), xds.repository, xds.studies))

    @xds.command("oppose")
    def state_opposition(patient: Patient) -> None:
        """Write down that a patient opposes the sharing of documents."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            _state(service, uow, _patient(patient), Stance.OPPOSES)

    @xds.command("withdraw-opposition")
    def end_opposition(patient: Patient) -> None:
        """Write down that a patient does not oppose any more."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            _state(service, uow, _patient(patient), Stance.AGREES)

    return xds


def answered_on(service: Service, uow: UnitOfWork, patient_id: PatientId, moment: datetime) -> list[RegisteredEntry]:
    """The entries that a query for a patient found at a past moment, links and statuses being as they were then."""
    then = service.directory.resolve_on(uow, patient_id, moment)
    if then is None:
        return []
    person = Person(then.regional_id, then.identifiers)
    criteria = DocumentCriteria(statuses=_STATUSES, on_demand=None)
    found = find_documents_on(uow, service.xds.registry, person, criteria, moment)
    return [each.object for each in found if isinstance(each.object, RegisteredEntry)]


def _state(service: Service, uow: UnitOfWork, patient_id: PatientId, stance: Stance) -> None:
    """Write down what a patient says of whoever's index is the region's."""
    person = service.xds.registry.directory.resolve(uow, patient_id)
    if person is None:
        raise UnknownPatient("the identifier designates no active patient")
    identifiers = [each.xds_cx for each in person.identifiers if each.authority.oid is not None]
    state_for(uow, patient_id.xds_cx, identifiers, Statement(Subject.CONSULTATION, stance, uow.now), Way.COMMAND)


def _patient(text: str) -> PatientId:
    try:
        return PatientId.from_xds_cx(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
