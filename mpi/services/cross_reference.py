"""The identifiers of one patient in other domains (PIX query)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.record import Record, regional_id
from mpi.services.identifiers import find_one_person, ins_ids, patient_id_of, regional_patient_id
from mpi.store import records


@dataclass(frozen=True, slots=True)
class CrossReference:
    """A patient in the index, as seen from one of its identifiers.

    Attributes:
        person_id: founder of the person.
        identifiers: the corresponding identifiers, without the one asked with, ordered by domain and value;
            only active records, only links of the grades the asking domain is answered with.
        records: active records behind those identifiers.
    """

    person_id: int
    identifiers: tuple[PatientId, ...]
    records: tuple[Record, ...]

    @property
    def regional_id(self) -> str:
        """The person's regional identifier."""
        return regional_id(self.person_id)


def cross_reference(
    uow: UnitOfWork,
    app: MpiApplication,
    source: PatientId,
    target_domains: Sequence[str] = (),
    location: str | None = None,
) -> CrossReference:
    """Corresponding identifiers of a patient.

    Args:
        target_domains: codes of the domains asked for; empty asks for all.

    Raises:
        UnknownAuthority: the source's authority is no domain of the region.
        UnknownPatient: nothing active carries the source identifier.
    """
    asked = find_one_person(uow, app, source, location)
    source_domain = app.domains.by_authority(source.authority)
    source_code = source_domain.code if source_domain else None
    grades = app.grades_for(source_code)
    members = [
        r
        for r in records.by_persons(uow.connection, [asked.person_id])
        if r.is_active and (r.id == asked.id or _answered(asked, r, grades))
    ]
    wanted = set(target_domains)

    def is_wanted(code: str) -> bool:
        return not wanted or code in wanted

    answered = [r for r in members if is_wanted(r.key.domain) and not _is_source(r, source_code, source)]
    identifiers = [patient_id_of(app, r.key) for r in sorted(answered, key=lambda r: r.key)]
    if is_wanted(app.regional_domain) and source_code != app.regional_domain:
        identifiers.append(regional_patient_id(app, asked.person_id))
    for ins in ins_ids(app, members):
        domain = app.domains.by_authority(ins.authority)
        if domain is not None and is_wanted(domain.code) and ins.value[:13] != source.value[:13]:
            identifiers.append(ins)
    return CrossReference(asked.person_id, tuple(identifiers), tuple(answered))


def _answered(asked: Record, other: Record, grades: frozenset[str]) -> bool:
    """Whether the link between two records of one person is of a grade that may be answered.

    The link between them is as good as the weaker of their links to the person; a founder's link has no grade.
    """
    return all(r.grade is None or r.grade in grades for r in (asked, other))


def _is_source(record: Record, source_code: str | None, source: PatientId) -> bool:
    return record.key.domain == source_code and record.key.local_id == source.value
