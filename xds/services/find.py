"""Find what a person has: documents, submission sets, folders.

The question names a patient by any identifier (regional, local of any site, INS); the answer holds the objects of the
person whom it designates at this moment, under the identifier of the question. An unknown identifier has no objects:
that is an empty answer, not an error.

Source: ITI TF-2: 3.18.4.1.2.3.7.1 to 3.18.4.1.2.3.7.3 and 3.18.4.1.2.3.7.14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
Kept = TypeVar("Kept")


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
    anchors = anchors_of(person)
    entries = readable_within_limit(
        lambda most: searches.find_entries(uow.connection, anchors, criteria, most),
        lambda found: readable(uow, registry, found),
        registry.max_results,
    )
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
    anchors, limit = anchors_of(person), 10 * registry.max_results
    if registry.may_read is all_may_read:
        found = searches.find_entry_ids(uow.connection, anchors, criteria, limit + 1)
        return [Reference(*each) for each in within_limit(found, limit)]
    seen = readable_within_limit(
        lambda most: searches.find_entry_facts(uow.connection, anchors, criteria, most),
        lambda found: [
            (entry_id, home)
            for entry_id, home, unique_id, anchor, submitted, codes in found
            if registry.may_read(uow, DocumentFacts(unique_id, anchor, submitted, tuple(codes)))
        ],
        limit,
    )
    return [Reference(*each) for each in seen]


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
    anchors = anchors_of(person)
    entries = readable_within_limit(
        lambda most: searches.find_entries_on(uow.connection, anchors, criteria, moment, most),
        lambda found: readable(uow, registry, found),
        registry.max_results,
    )
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
    anchors = anchors_of(person)
    found = readable_within_limit(
        lambda most: searches.find_sets(uow.connection, anchors, criteria, most),
        lambda found: readable(uow, registry, found),
        registry.max_results,
    )
    return [Returned(each, patient_id) for each in found]


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
    anchors = anchors_of(person)
    found = readable_within_limit(
        lambda most: searches.find_folders(uow.connection, anchors, criteria, most),
        lambda found: readable(uow, registry, found),
        registry.max_results,
    )
    return [Returned(each, patient_id) for each in found]


def designated(uow: UnitOfWork, registry: Registry, patient_id: PatientId) -> Person | None:
    """The person whom an identifier of a query designates now."""
    if patient_id.authority.oid is None or not registry.directory.knows_authority(patient_id):
        return None
    return registry.directory.answered(uow, patient_id)


def anchors_of(person: Person) -> list[str]:
    """Every identifier that objects of the person may follow, as CX."""
    return [each.xds_cx for each in person.identifiers if each.authority.oid is not None]


def readable_within_limit(
    search: Callable[[int], Sequence[Found]], keep: Callable[[Sequence[Found]], Sequence[Kept]], limit: int
) -> Sequence[Kept]:
    """What a search finds and the caller may read.

    What may not be read does not count: a refusal for too many results must not tell that it is there.

    Args:
        search: finds at most so many.
        keep: leaves out what may not be read, and what is not needed of the others.

    Raises:
        TooMany: more than ``limit`` may be read, or so many are withheld that finding out costs too much.
    """
    most = limit + 1
    while True:
        found = search(most)
        kept = within_limit(keep(found), limit)
        if len(found) < most:
            return kept
        if most > _COSTLIEST * limit:
            raise TooMany("too many objects match; narrow the query")
        most *= 2


_COSTLIEST = 32
"""A search is repeated for up to so many times the limit."""


def within_limit(found: Sequence[Found], limit: int) -> Sequence[Found]:
    """``found``, unless it holds more than the limit.

    Raises:
        TooMany: it does.
    """
    if len(found) > limit:
        raise TooMany(f"more than {limit} objects match; narrow the query or ask for references")
    return found
