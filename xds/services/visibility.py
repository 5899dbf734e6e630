"""Leaves out of an answer what the caller may not read, so that nothing tells it is there.

Source: ITI TF-2: 3.18.4.1.3 (an answer holds what local policy allows); IHE BPPC for the codes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from ihe.unit_of_work import UnitOfWork
from xds.domain.model import AssociationType
from xds.domain.registered import Described, Registered, RegisteredAssociation, RegisteredEntry
from xds.services.access import DocumentFacts, all_may_read
from xds.services.registry import Registry
from xds.store import objects

Found = TypeVar("Found", bound=Registered)
Item = TypeVar("Item", bound=Described)


def readable(uow: UnitOfWork, registry: Registry, found: Sequence[Item]) -> list[Item]:
    """The entries, sets or folders that the caller may read."""
    if registry.may_read is all_may_read:
        return list(found)
    kept = [each for each in found if registry.may_read(uow, facts_of(each))]
    emptied = _emptied(uow, registry, [each.id for each in found if not isinstance(each, RegisteredEntry)])
    return [each for each in kept if each.id not in emptied]


def visible(uow: UnitOfWork, registry: Registry, found: Sequence[Found]) -> list[Found]:
    """The objects without those that the caller may not read and without associations that name such entries."""
    if registry.may_read is all_may_read:
        return list(found)
    hidden = _hidden(uow, registry, found)
    return [
        each
        for each in found
        if each.id not in hidden and not (isinstance(each, RegisteredAssociation) and _ends(each) & hidden)
    ]


def readable_ids(uow: UnitOfWork, registry: Registry, ids: Collection[str]) -> list[str]:
    """The ids without those of objects that the caller may not read: asking around them must tell nothing."""
    if registry.may_read is all_may_read:
        return list(ids)
    hidden = _hidden(uow, registry, list(objects.objects_by_id(uow.connection, list(ids)).values()))
    return [each for each in ids if each not in hidden]


def facts_of(found: Described) -> DocumentFacts:
    """What access to a document, set or folder is decided by."""
    codes = tuple(found.confidentiality_codes) if isinstance(found, RegisteredEntry) else ()
    return DocumentFacts(found.unique_id, found.anchor, found.patient_id, codes)


def _hidden(uow: UnitOfWork, registry: Registry, found: Iterable[Registered]) -> set[str]:
    """Ids of objects that may not be read, among the objects and what associations among them lead to."""
    present: dict[str, Described] = {}
    links: dict[str, RegisteredAssociation] = {}
    fresh = {each.id: each for each in found}
    while fresh:  # an association may lead to another one, which is a member of a submission set
        present |= {each.id: each for each in fresh.values() if not isinstance(each, RegisteredAssociation)}
        links |= {each.id: each for each in fresh.values() if isinstance(each, RegisteredAssociation)}
        ends = {end for each in fresh.values() if isinstance(each, RegisteredAssociation) for end in _ends(each)}
        fresh = objects.objects_by_id(uow.connection, sorted(ends - present.keys() - links.keys()))
    collections = [each.id for each in present.values() if not isinstance(each, RegisteredEntry)]
    hidden = {each.id for each in present.values() if not registry.may_read(uow, facts_of(each))}
    hidden |= _emptied(uow, registry, collections)
    return hidden | {each.id for each in links.values() if _ends(each) & hidden}


def _ends(link: RegisteredAssociation) -> set[str]:
    return {link.source, link.target}


def _emptied(uow: UnitOfWork, registry: Registry, collections: Collection[str]) -> set[str]:
    """Ids of submission sets and folders with documents of which none may be read: their titles would tell of them."""
    if not collections:
        return set()
    members = objects.associations_from(uow.connection, collections, [AssociationType.HAS_MEMBER])
    entries = objects.entries_by_id(uow.connection, {each.target for each in members})
    may_read = {each.id: registry.may_read(uow, facts_of(each)) for each in entries}
    with_documents = {each.source for each in members if each.target in may_read}
    return with_documents - {each.source for each in members if may_read.get(each.target)}
