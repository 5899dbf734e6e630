"""Find what a person has: documents, submission sets, folders.

The question names a patient by any identifier (regional, local of any site, INS); the answer holds the objects of the
person whom it designates at this moment, under the identifier of the question. An unknown identifier has no objects:
that is an empty answer, not an error.

Source: ITI TF-2: 3.18.4.1.2.3.7.1 to 3.18.4.1.2.3.7.3 and 3.18.4.1.2.3.7.14.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from ihe.errors import TooMany
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import Reference, Returned
from xds.domain.criteria import DocumentCriteria, FolderCriteria, SetCriteria
from xds.ports import Person
from xds.services.access import DocumentFacts, all_may_read
from xds.services.registry import Registry
from xds.services.visibility import readable
from xds.store import searches

Found = TypeVar("Found")


def find_documents(
    uow: UnitOfWork, registry: Registry, patient_id: PatientId, criteria: DocumentCriteria
) -> list[Returned]:
    """The document entries of a person, in the order of registration.

    Raises:
        TooMany: more than ``registry.max_results``.
    """
    person = designated(uow, registry, patient_id)
    if person is None:
        return []
    found = searches.find_entries(uow.connection, anchors_of(person), criteria, registry.max_results + 1)
    entries = readable(uow, registry, within_limit(found, registry))
    return [Returned(entry, patient_id) for entry in entries]


def find_document_references(
    uow: UnitOfWork, registry: Registry, patient_id: PatientId, criteria: DocumentCriteria
) -> list[Reference]:
    """As :func:`find_documents`, references only.

    Raises:
        TooMany: more than ten times ``registry.max_results``.
    """
    person = designated(uow, registry, patient_id)
    if person is None:
        return []
    limit = 10 * registry.max_results
    if registry.may_read is not all_may_read:
        seen = searches.find_entry_facts(uow.connection, anchors_of(person), criteria, limit + 1)
        return [
            Reference(entry_id, home)
            for entry_id, home, facts in within_limit(seen, registry, limit)
            if registry.may_read(uow, DocumentFacts(*facts))
        ]
    found = searches.find_entry_ids(uow.connection, anchors_of(person), criteria, limit + 1)
    return [Reference(*each) for each in within_limit(found, registry, limit)]


def find_documents_on(
    uow: UnitOfWork,
    registry: Registry,
    person: Person,
    criteria: DocumentCriteria,
    moment: datetime,
) -> list[Returned]:
    """What :func:`find_documents` answered at a past moment, removed entries apart.

    Args:
        person: as the index saw the person at that moment.

    Raises:
        TooMany: more than ``registry.max_results``.
    """
    limit = registry.max_results + 1
    found = searches.find_entries_on(uow.connection, anchors_of(person), criteria, moment, limit)
    entries = readable(uow, registry, within_limit(found, registry))
    return [Returned(entry, person.regional_id) for entry in entries]


def find_submission_sets(
    uow: UnitOfWork, registry: Registry, patient_id: PatientId, criteria: SetCriteria
) -> list[Returned]:
    """The submission sets of a person.

    Raises:
        TooMany: more than ``registry.max_results``.
    """
    person = designated(uow, registry, patient_id)
    if person is None:
        return []
    found = searches.find_sets(uow.connection, anchors_of(person), criteria, registry.max_results + 1)
    return [Returned(each, patient_id) for each in readable(uow, registry, within_limit(found, registry))]


def find_folders(
    uow: UnitOfWork, registry: Registry, patient_id: PatientId, criteria: FolderCriteria
) -> list[Returned]:
    """The folders of a person.

    Raises:
        TooMany: more than ``registry.max_results``.
    """
    person = designated(uow, registry, patient_id)
    if person is None:
        return []
    found = searches.find_folders(uow.connection, anchors_of(person), criteria, registry.max_results + 1)
    return [Returned(each, patient_id) for each in readable(uow, registry, within_limit(found, registry))]


def designated(uow: UnitOfWork, registry: Registry, patient_id: PatientId) -> Person | None:
    """The person whom an identifier of a query designates now."""
    if patient_id.authority.oid is None or not registry.directory.knows_authority(patient_id):
        return None
    return registry.directory.resolve(uow, patient_id)


def anchors_of(person: Person) -> list[str]:
    """Every identifier that objects of the person may follow, as CX."""
    return [each.xds_cx for each in person.identifiers if each.authority.oid is not None]


def within_limit(found: Sequence[Found], registry: Registry, limit: int | None = None) -> Sequence[Found]:
    """``found``, unless it holds more than the limit.

    Raises:
        TooMany: it does.
    """
    limit = limit or registry.max_results
    if len(found) > limit:
        raise TooMany(f"more than {limit} objects match; narrow the query or ask for references")
    return found
