"""Get objects by their identifiers, and what is connected to them.

Each function returns what the registry holds; :func:`returned` then decides under which patient identifier each object
is answered, and that whole objects of several persons are never answered together.

Source: ITI TF-2: 3.18.4.1.2.3.7.4 to 3.18.4.1.2.3.7.13.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ihe.errors import Finding, Refused
from ihe.unit_of_work import UnitOfWork
from xds.domain.answers import Returned
from xds.domain.criteria import DocumentCriteria
from xds.domain.model import AssociationType
from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredSet,
)
from xds.services.find import within_limit
from xds.services.ownership import Ownership
from xds.services.registry import Registry
from xds.services.visibility import visible
from xds.store import objects, searches

_HAS_MEMBER = (AssociationType.HAS_MEMBER,)


@dataclass(frozen=True, slots=True)
class Named:
    """Objects named by identifiers of one sort; the other sorts stay empty.

    Attributes:
        ids: entryUUIDs.
        unique_ids: uniqueIds.
        logical_ids: logicalIDs; every version is meant.
    """

    ids: Collection[str] = ()
    unique_ids: Collection[str] = ()
    logical_ids: Collection[str] = ()


def entries(uow: UnitOfWork, named: Named) -> list[RegisteredEntry]:
    """GetDocuments."""
    if named.ids:
        return objects.entries_by_id(uow.connection, named.ids)
    if named.unique_ids:
        return objects.entries_by_unique_id(uow.connection, named.unique_ids)
    return objects.entries_by_logical_id(uow.connection, named.logical_ids)


def folders(uow: UnitOfWork, named: Named) -> list[RegisteredFolder]:
    """GetFolders."""
    if named.ids:
        return objects.folders_by_id(uow.connection, named.ids)
    if named.unique_ids:
        return objects.folders_by_unique_id(uow.connection, named.unique_ids)
    return objects.folders_by_logical_id(uow.connection, named.logical_ids)


def lists(uow: UnitOfWork, named: Named) -> list[RegisteredSet | RegisteredFolder]:
    """Submission sets and folders that have one of the ids or one of the uniqueIds."""
    found: list[RegisteredSet | RegisteredFolder] = [
        *objects.sets_by_id(uow.connection, named.ids),
        *objects.sets_by_unique_id(uow.connection, named.unique_ids),
        *objects.folders_by_id(uow.connection, named.ids),
        *objects.folders_by_unique_id(uow.connection, named.unique_ids),
    ]
    return list({each.id: each for each in found}.values())


def associations(uow: UnitOfWork, ids: Collection[str], statuses: Collection[str]) -> list[RegisteredAssociation]:
    """GetAssociations: those that start from or point to one of the objects."""
    touching = [
        *objects.associations_from(uow.connection, ids),
        *objects.associations_to(uow.connection, ids),
    ]
    return _with_status({each.id: each for each in touching}.values(), statuses)


def entries_and_associations(uow: UnitOfWork, named: Named, statuses: Collection[str]) -> list[Registered]:
    """GetDocumentsAndAssociations."""
    found = entries(uow, named)
    return [*found, *associations(uow, _ids(found), statuses)]


def submission_sets(uow: UnitOfWork, ids: Collection[str]) -> list[Registered]:
    """GetSubmissionSets: the sets that have one of the objects as a member, and these memberships."""
    memberships = objects.associations_to(uow.connection, ids, _HAS_MEMBER)
    sets = objects.sets_by_id(uow.connection, {each.source for each in memberships})
    of_sets = {each.id for each in sets}
    return [*sets, *(each for each in memberships if each.source in of_sets)]


def submission_set_and_contents(
    uow: UnitOfWork, named: Named, criteria: DocumentCriteria, statuses: Collection[str]
) -> list[Registered]:
    """GetSubmissionSetAndContents: the set, its entries, folders and associations, and their memberships.

    An association that is a member is returned if both its ends are.
    """
    sets: list[RegisteredSet] = (
        objects.sets_by_id(uow.connection, named.ids)
        if named.ids
        else objects.sets_by_unique_id(uow.connection, named.unique_ids)
    )
    memberships = _with_status(objects.associations_from(uow.connection, _ids(sets), _HAS_MEMBER), statuses)
    members = [each.target for each in memberships]
    documents = searches.entries_among(uow.connection, members, criteria)
    held_folders = objects.folders_by_id(uow.connection, members)
    present = {*_ids(sets), *_ids(documents), *_ids(held_folders)}
    member_associations = [
        each
        for each in objects.associations_by_id(uow.connection, members)
        if each.source in present and each.target in present
    ]
    present |= set(_ids(member_associations))
    links = [each for each in memberships if each.target in present]
    return [*sets, *documents, *held_folders, *links, *member_associations]


def folder_and_contents(
    uow: UnitOfWork, named: Named, criteria: DocumentCriteria, statuses: Collection[str]
) -> list[Registered]:
    """GetFolderAndContents: the folder, its entries, and their memberships."""
    found = folders(uow, named)
    memberships = _with_status(objects.associations_from(uow.connection, _ids(found), _HAS_MEMBER), statuses)
    documents = searches.entries_among(uow.connection, [each.target for each in memberships], criteria)
    present = set(_ids(documents))
    return [*found, *documents, *(each for each in memberships if each.target in present)]


def folders_for_document(uow: UnitOfWork, ids: Collection[str], statuses: Collection[str]) -> list[RegisteredFolder]:
    """GetFoldersForDocument: of entries by entryUUID."""
    holders = _with_status(objects.associations_to(uow.connection, ids, _HAS_MEMBER), statuses)
    return objects.folders_by_id(uow.connection, {each.source for each in holders})


def related_documents(
    uow: UnitOfWork,
    named: Named,
    types: Collection[str],
    criteria: DocumentCriteria,
    statuses: Collection[str],
) -> list[Registered]:
    """GetRelatedDocuments: the entry, those it is related to, and the relations; nothing without a relation."""
    origin = entries(uow, named)
    ids = _ids(origin)
    touching = [
        *objects.associations_from(uow.connection, ids, types),
        *objects.associations_to(uow.connection, ids, types),
    ]
    relations = _with_status({each.id: each for each in touching}.values(), statuses)
    ends = {end for each in relations for end in (each.source, each.target)}
    others = searches.entries_among(uow.connection, ends.difference(ids), criteria)
    present = {*ids, *_ids(others)}
    kept = [each for each in relations if each.source in present and each.target in present]
    named_by_kept = {end for each in kept for end in (each.source, each.target)}
    return [*(each for each in (*origin, *others) if each.id in named_by_kept), *kept]


def returned(uow: UnitOfWork, registry: Registry, found: Sequence[Registered], *, leaf_class: bool) -> list[Returned]:
    """The objects with the patient identifiers under which they are answered.

    That is the submitted identifier while it still designates the owner, else the owner's regional identifier.

    Args:
        leaf_class: whole objects are wanted, so they must all belong to one person.

    Raises:
        Refused: XDSResultNotSinglePatient.
        TooMany: more than ``registry.max_results``.
    """
    found = within_limit(visible(uow, registry, found), registry.max_results)
    ownership = Ownership(uow, registry.directory)
    described = [each for each in found if not isinstance(each, RegisteredAssociation)]
    if leaf_class and len({ownership.owner(each.anchor) for each in described}) > 1:
        context = "the result holds objects of more than one patient; ask for references (ObjectRef)"
        raise Refused([Finding("XDSResultNotSinglePatient", context)])
    return [
        Returned(each)
        if isinstance(each, RegisteredAssociation)
        else Returned(each, ownership.returned_patient_id(each.patient_id, each.anchor))
        for each in found
    ]


def _ids(found: Sequence[Registered]) -> list[str]:
    return [each.id for each in found]


def _with_status(found: Collection[RegisteredAssociation], statuses: Collection[str]) -> list[RegisteredAssociation]:
    return [each for each in found if each.status.rpartition(":")[2] in statuses]
