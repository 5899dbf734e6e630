"""All that others may hold of the index: who a patient identifier designates.

Fits ``xds.ports.PatientDirectory`` without importing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ihe.confidentiality import EVERYTHING, Sight, Wishes, sight_of
from ihe.errors import UnknownAuthority
from ihe.unit_of_work import UnitOfWork
from ihe.values import Oid, PatientId
from mpi.application import ALL_GRADES, MpiApplication
from mpi.domain.consent import Subject
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record, RecordState, person_of_regional_id, shown
from mpi.services.ask_communities import locations
from mpi.services.identifiers import find, ins_ids, patient_id_of, regional_patient_id
from mpi.store import consents, links, records


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """One human at this moment.

    Attributes:
        regional_id: current regional identifier.
        identifiers: all identifiers whose documents belong to the person now: its own regional id and those of the
            records it took in, local ids active and subsumed, its qualified INS. Without type codes.
    """

    regional_id: PatientId
    identifiers: frozenset[PatientId]


class Directory:
    """Resolves identifiers of any domain.

    Args:
        app: the index.
    """

    def __init__(self, app: MpiApplication) -> None:
        self._app = app

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> DirectoryPerson | None:
        """The person that an identifier designates, as far as the caller may see; ``None`` when it sees nobody.

        Args:
            to_write: something is written for the person, which a caller bound to no site may do for hidden ones too.
        """
        return self._seen(uow, patient_id, EVERYTHING if to_write and uow.caller.site is None else sight_of(uow.caller))

    def _seen(self, uow: UnitOfWork, patient_id: PatientId, sight: Sight) -> DirectoryPerson | None:
        try:
            found = find(uow, self._app, patient_id, sight=sight)
        except UnknownAuthority:
            return None
        persons = {record.person_id for record in found}
        if len(persons) != 1:
            return None
        (person_id,) = persons
        return self._person(person_id, shown(records.by_persons(uow.connection, [person_id]), sight))

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> dict[str, Wishes]:
        """What the person wants whom an identifier designates, for each of the person's identifiers (CX)."""
        try:
            found = find(uow, self._app, patient_id, sight=EVERYTHING)
        except UnknownAuthority:
            found = []
        persons = {record.person_id for record in found}
        asked = _untyped(patient_id).xds_cx
        if len(persons) != 1:
            return {asked: wishes_for(uow, [asked])}
        (person_id,) = persons
        members = records.by_persons(uow.connection, [person_id])
        everything = {asked, *_anchors(self._person(person_id, members))}
        seen = shown(members, sight_of(uow.caller))
        visible = set(_anchors(self._person(person_id, seen))) if seen else set()
        wanted = wishes_for(uow, everything)
        hidden = replace(wanted, is_hidden=True)
        return {each: wanted if each in visible else hidden for each in everything}

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> DirectoryPerson | None:
        """As :meth:`resolve`, without the records whose links are of a grade that the asking domain is not answered
        with; the asking domain is that of the identifier.
        """
        app = self._app
        domain = app.domains.by_authority(patient_id.authority)
        person = self.resolve(uow, patient_id)
        if person is None or domain is None or app.grades_for(domain.code) >= ALL_GRADES:
            return person
        sight = sight_of(uow.caller)
        asked = find(uow, app, patient_id, sight=sight)
        person_id = asked[0].person_id
        grades: set[str | None] = {None} if domain.code == app.regional_domain else {record.grade for record in asked}
        own = {record.id for record in asked} if domain.code != app.regional_domain else set()
        members = [
            record
            for record in shown(records.by_persons(uow.connection, [person_id]), sight)
            if record.id in own or any(app.answers(domain.code, grade, record.grade) for grade in grades)
        ]
        return self._person(person_id, members)

    def _person(self, person_id: int, members: Sequence[Record]) -> DirectoryPerson:
        app = self._app
        held = [r for r in members if r.state is not RecordState.WITHDRAWN]
        identifiers = {patient_id_of(app, r.key, None) for r in held}
        identifiers.update(_untyped(regional_patient_id(app, i)) for i in (person_id, *(r.id for r in members)))
        identifiers.update(_untyped(i) for i in ins_ids(app, [r for r in held if r.is_active]))
        return DirectoryPerson(_untyped(regional_patient_id(app, person_id)), frozenset(identifiers))

    def resolve_on(self, uow: UnitOfWork, patient_id: PatientId, moment: datetime) -> DirectoryPerson | None:
        """As :meth:`resolve`, with the links as they were at a past moment; identifiers are those of today."""
        app = self._app
        try:
            found = find(uow, app, patient_id)
        except UnknownAuthority:
            return None
        persons = links.persons_on(uow.connection, [record.id for record in found], moment)
        if len(persons) != 1:
            return None
        (person_id,) = persons
        members = records.by_ids(uow.connection, links.members_on(uow.connection, person_id, moment))
        return self._person(person_id, members)

    def known_as(self, uow: UnitOfWork, patient_id: PatientId, home: Oid) -> PatientId | None:
        """The identifier by which another community said that it knows a person; ``None`` where none is remembered.

        Args:
            home: homeCommunityId of the other community.
        """
        person = self.resolve(uow, patient_id)
        founder = person_of_regional_id(person.regional_id.value) if person is not None else None
        known = locations(uow, founder) if founder is not None else []
        return next((each.patient_id for each in known if each.home == home), None)

    def knows_authority(self, patient_id: PatientId) -> bool:
        """Whether the identifier's authority is a domain of the region."""
        return self._app.domains.by_authority(patient_id.authority) is not None

    def owns_record(self, uow: UnitOfWork, patient_id: PatientId) -> bool:
        """Whether a local id is known as a record, active or subsumed."""
        domain = self._app.domains.by_authority(patient_id.authority)
        return domain is not None and (
            records.by_key(uow.connection, RecordKey(domain.code, patient_id.value)) is not None
        )


def _anchors(person: DirectoryPerson) -> list[str]:
    return [each.xds_cx for each in person.identifiers if each.authority.oid is not None]


def wishes_for(uow: UnitOfWork, identifiers: Iterable[str]) -> Wishes:
    """What a person wants who has these identifiers (CX)."""
    opposed = consents.wanted(uow, list(identifiers))
    subjects = {subject for subject, _ in opposed}
    return Wishes(
        opposes_consultation=Subject.CONSULTATION in subjects,
        opposes_feeding=Subject.FEEDING in subjects,
        blocked=frozenset(professional for _, professional in opposed if professional),
    )


def _untyped(patient_id: PatientId) -> PatientId:
    return PatientId(patient_id.value, patient_id.authority)
