"""``traitdunion communities``: other communities, and which of them know a patient."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ihe.caller import REGION
from ihe.errors import UnknownAuthority, UnknownPatient
from ihe.values import PatientId
from mpi.domain.identity import Traits
from mpi.services.ask_communities import inquire, locations
from mpi.services.identifiers import find_one_person
from region import running
from region.bootstrap import Service
from region.settings import Settings

DomainCode = Annotated[str, typer.Argument(help="Domain code of the patient's record.")]
LocalId = Annotated[str, typer.Argument(help="Its local id.")]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    communities = typer.Typer(help="Other communities (XCPD, XCA).", no_args_is_help=True)

    @communities.command("list")
    def list_communities() -> None:
        """Every community of the table: name,home_community_id,xcpd,xca_query,xca_retrieve,xcai_retrieve."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        write(["name", "home_community_id", "xcpd", "xca_query", "xca_retrieve", "xcai_retrieve"])
        with running.service(settings()) as service:
            for each in service.table.communities:
                addresses = (each.xcpd, each.xca_query, each.xca_retrieve, each.xcai_retrieve)
                write([each.name, each.home_community_id, *(address or "" for address in addresses)])

    @communities.command("find")
    def find(domain: DomainCode, local_id: LocalId) -> None:
        """Ask every community whether it knows a patient (ITI-55), and remember the answers as long as they allow.

        Writes community,home_community_id,patient_id,quality,problem.
        """
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        with running.service(settings()) as service:
            patient_id = _patient_id(service, domain, local_id)
            with service.database.unit(REGION) as uow:
                inquiry = inquire(uow, service.mpi, Traits(), [patient_id])
            if inquiry.record_id is None:
                raise UnknownPatient("no patient is known under that identifier")
            write(["community", "home_community_id", "patient_id", "quality", "problem"])
            for answer in service.mpi.communities.ask(inquiry):
                name = answer.community.name
                for each in answer.patients:
                    write([name, each.home, each.patient_id.xds_cx, each.quality, ""])
                if not answer.patients:
                    problem = answer.failure or " ".join(answer.requested)
                    write([name, answer.community.home_community_id, "", "", problem])

    @communities.command("known")
    def known(domain: DomainCode, local_id: LocalId) -> None:
        """In which other communities a patient is known, as far as is remembered: home_community_id,patient_id."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            record = find_one_person(uow, service.mpi, _patient_id(service, domain, local_id))
            write(["home_community_id", "patient_id"])
            for each in locations(uow, record.person_id):
                write([each.home, each.patient_id.xds_cx])

    return communities


def _patient_id(service: Service, domain: str, local_id: str) -> PatientId:
    try:
        return PatientId(local_id, service.table.by_code(domain).authority)
    except KeyError:
        raise UnknownAuthority("there is no such domain") from None
