"""The identifiers of one patient in other domains (PIX query)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ihe.confidentiality import Sight, sight_of
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.services.identifiers import (
    domain_of,
    find_one_person,
    local_patient_id,
    qualified_ins_ids,
    regional_patient_id,
)
from mpi.store import members
from mpi.store.members import Member


class CrossReference(NamedTuple):
    """A patient in the index, as seen from one of its identifiers.

    Attributes:
        regional_id: the person's regional identifier.
        identifiers: the corresponding identifiers, without the one asked with, ordered by domain and value;
            only active records, only links of the grades the asking domain is answered with, and no hidden identity
            but to callers with the role.
        record_ids: active records behind those identifiers.
    """

    regional_id: PatientId
    identifiers: tuple[PatientId, ...]
    record_ids: tuple[int, ...]


def cross_reference(
    uow: UnitOfWork,
    app: MpiApplication,
    source: PatientId,
    target_domains: Sequence[str] = (),
    location: str | None = None,
    sight: Sight | None = None,
) -> CrossReference:
    """Corresponding identifiers of a patient.

    Args:
        target_domains: codes of the domains asked for; empty asks for all.
        sight: what is shown; by default what the caller may see.

    Raises:
        UnknownAuthority: the source's authority is no domain of the region.
        UnknownPatient: nothing active carries the source identifier.
    """
    source_code = domain_of(app, source.authority, location).code
    seen = sight or sight_of(uow.caller)
    asked, found = _members(uow, app, source, RecordKey(source_code, source.value), location, seen)
    shown = [m for m in found if m is asked or app.answers(source_code, asked.grade, m.grade)]
    wanted = set(target_domains) or None
    answered = [
        m
        for m in shown
        if (wanted is None or m.domain in wanted) and (m.domain, m.local_id) != (source_code, source.value)
    ]
    named = sorted([(m.domain, m.local_id) for m in answered])
    identifiers = [local_patient_id(app, domain, local_id) for domain, local_id in named]
    regional = regional_patient_id(app, asked.person_id)
    if source_code != app.regional_domain and (wanted is None or app.regional_domain in wanted):
        identifiers.append(regional)
    for code, ins in qualified_ins_ids(app, [(m.ins, m.ins_oid) for m in shown if m.ins is not None]):
        if ins.value[:13] != source.value[:13] and (wanted is None or code in wanted):
            identifiers.append(ins)
    return CrossReference(regional, tuple(identifiers), tuple([m.record_id for m in answered]))


def _members(
    uow: UnitOfWork, app: MpiApplication, source: PatientId, key: RecordKey, location: str | None, sight: Sight
) -> tuple[Member, list[Member]]:
    """The record asked with and all of its person: of a local id in one statement, of any other identifier in more."""
    found = members.of_key(uow, key, sight)
    if found:
        return next(m for m in found if (m.domain, m.local_id) == (key.domain, key.local_id)), found
    record = find_one_person(uow, app, source, location, sight)
    found = members.of_persons(uow, [record.person_id], sight)
    return next(m for m in found if m.record_id == record.id), found
