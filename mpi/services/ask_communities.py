"""Ask other communities whether they know a patient (XCPD, Initiating Gateway), and remember by which identifiers.

Source: ITI TF-2: 3.55.4.1, 3.55.4.2.3; 3.56.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ihe.errors import Conflict
from ihe.unit_of_work import UnitOfWork
from ihe.values import Oid, PatientId
from mpi.application import MpiApplication
from mpi.domain.community import CommunityAnswer, Correlation, Inquiry, PatientLocation
from mpi.domain.identity import Traits
from mpi.services.discover_patient import named_records
from mpi.services.identifiers import ins_ids, regional_patient_id
from mpi.services.read_person import read_person
from mpi.store import correlations


def inquire(uow: UnitOfWork, app: MpiApplication, described: Traits, identifiers: Sequence[PatientId]) -> Inquiry:
    """Whom to ask about: one whom an identifier of the region names is described as the index knows the person; any
    other as the asker does.

    Raises:
        Conflict: the identifiers name several persons.
    """
    named = named_records(uow, app, identifiers)
    if len(named) > 1:
        raise Conflict("the identifiers name several patients")
    person = read_person(uow, app, named[0].person_id) if named else None
    if person is None:
        return Inquiry(described, tuple(identifiers))
    known_as = (regional_patient_id(app, person.current_id), *ins_ids(app, person.records))
    shown = person.displayed.traits
    if not shown.has_qualified_ins:
        shown = replace(shown, ins=None, ins_oid=None)
    return Inquiry(shown, known_as, named[0].id)


def remember_answers(uow: UnitOfWork, inquiry: Inquiry, answers: Sequence[CommunityAnswer]) -> None:
    """Write down by which identifier each community knows the patient.

    What a community says of itself counts before what another tells of it, and replaces what it said before. One that
    had no answer leaves what is remembered; where several patients would do, none is.
    """
    if inquiry.record_id is None:
        return
    given = [answer for answer in answers if answer.failure is None]
    found: dict[Oid, tuple[set[PatientId], timedelta | None]] = {}
    for answer in given:
        told = [(each.home, each.patient_id) for each in answer.patients]
        told += [(each.home, each.patient_id) for each in answer.locations]
        for home, patient_id in told:
            found.setdefault(home, (set(), answer.lifetime))[0].add(patient_id)
    for answer in given:
        home = answer.community.home_community_id
        found[home] = ({each.patient_id for each in answer.patients if each.home == home}, answer.lifetime)
    for home, (patient_ids, lifetime) in found.items():
        if len(patient_ids) == 1 and lifetime is not None:
            location = PatientLocation(home, patient_ids.pop())
            correlation = Correlation(inquiry.record_id, location, uow.now, uow.now + lifetime)
            correlations.keep(uow.connection, correlation)
        else:
            correlations.forget(uow.connection, inquiry.record_id, home)


def locations(uow: UnitOfWork, person_id: int) -> list[PatientLocation]:
    """In which other communities a person is known, as far as is remembered."""
    return [each.location for each in correlations.of_person(uow.connection, person_id, uow.now)]
