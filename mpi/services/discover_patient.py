"""Discover a patient whom another community describes (XCPD): who of the region it is, or what else must be said.

A person is named only when the rules that link records would link what is described: certainly or probably. Where
several would do, or some come near, more is asked for, and nobody is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.grades import Grade
from mpi.domain.identity import Traits
from mpi.domain.record import Record
from mpi.services.find_patients import read_patients
from mpi.services.identifiers import find, ins_ids, regional_patient_id
from mpi.services.match_patient import match_patient

_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class DiscoveredPatient:
    """A person of the region.

    Attributes:
        identifiers: the regional one first, then the INS where it is qualified.
        traits: of the record that fits best.
        quality: 0 to 100: the probability that it is the one described.
    """

    identifiers: tuple[PatientId, ...]
    traits: Traits
    quality: int


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is known of a described patient.

    Attributes:
        patients: persons found, the likeliest first; empty when none is near enough.
        wants_more: whether some are near, and more about the patient might tell.
    """

    patients: tuple[DiscoveredPatient, ...]
    wants_more: bool


def discover_patient(
    uow: UnitOfWork,
    app: MpiApplication,
    described: Traits,
    identifiers: Sequence[PatientId],
    *,
    can_say_more: bool,
) -> Discovery:
    """Find the person.

    Args:
        described: what the other community says of the patient.
        identifiers: by which it names the patient; those of domains of the region name a person by themselves.
        can_say_more: whether there is anything that was not said.
    """
    named = named_records(uow, app, identifiers)
    if named:
        return Discovery(tuple(_patient(app, [r], 100) for r in named), wants_more=False)
    matches = match_patient(uow, app, described, only_certain=False, limit=_CANDIDATES)
    persons: dict[int, tuple[list[Record], int]] = {}
    for match in matches:
        if match.grade is not Grade.POSSIBLE:
            quality = min(100, max(0, int(100 * match.probability)))
            persons.setdefault(match.record.person_id, ([], quality))[0].append(match.record)
    if can_say_more and (len(persons) > 1 or (not persons and matches)):
        return Discovery((), wants_more=True)
    return Discovery(tuple(_patient(app, held, quality) for held, quality in persons.values()), wants_more=False)


def named_records(uow: UnitOfWork, app: MpiApplication, identifiers: Sequence[PatientId]) -> list[Record]:
    """One record of each person that an identifier of the region names, as far as the caller may see it."""
    known = [i for i in identifiers if app.domains.by_authority(i.authority) is not None]
    found = {r.id: r for identifier in known for r in find(uow, app, identifier)}
    persons: dict[int, Record] = {}
    for record in read_patients(uow, sorted(found)):
        persons.setdefault(record.person_id, record)
    return list(persons.values())


def _patient(app: MpiApplication, held: Sequence[Record], quality: int) -> DiscoveredPatient:
    identifiers = (regional_patient_id(app, held[0].person_id), *ins_ids(app, held))
    return DiscoveredPatient(identifiers, held[0].traits, quality)
