"""Leaves out of an answer what the caller may not read, so that nothing tells it is there.

Source: ITI TF-2: 3.18.4.1.3 (an answer holds what local policy allows); IHE BPPC for the codes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from ihe.unit_of_work import UnitOfWork
from xds.domain.registered import Registered, RegisteredAssociation, RegisteredEntry
from xds.services.access import DocumentFacts, all_may_read
from xds.services.registry import Registry
from xds.store import objects

Found = TypeVar("Found", bound=Registered)


def readable(uow: UnitOfWork, registry: Registry, entries: Sequence[RegisteredEntry]) -> list[RegisteredEntry]:
    """The entries that the caller may read."""
    if registry.may_read is all_may_read:
        return list(entries)
    return [each for each in entries if registry.may_read(uow, facts_of(each))]


def visible(uow: UnitOfWork, registry: Registry, found: Sequence[Found]) -> list[Found]:
    """The objects without entries that the caller may not read and without associations that name such entries."""
    if registry.may_read is all_may_read:
        return list(found)
    hidden = _hidden(uow, registry, found)
    return [
        each
        for each in found
        if each.id not in hidden
        and not (isinstance(each, RegisteredAssociation) and {each.source, each.target} & hidden)
    ]


def readable_ids(uow: UnitOfWork, registry: Registry, ids: Collection[str]) -> list[str]:
    """The ids without those of entries that the caller may not read: asking around them must tell nothing."""
    if registry.may_read is all_may_read:
        return list(ids)
    hidden = _hidden(uow, registry, objects.entries_by_id(uow.connection, ids))
    return [each for each in ids if each not in hidden]


def facts_of(entry: RegisteredEntry) -> DocumentFacts:
    """What access to a document is decided by."""
    return DocumentFacts(entry.unique_id, entry.anchor, entry.patient_id, tuple(entry.confidentiality_codes))


def _hidden(uow: UnitOfWork, registry: Registry, found: Iterable[Registered]) -> set[str]:
    """Ids of entries that may not be read, among the objects and the ends of associations among them."""
    entries = {each.id: each for each in found if isinstance(each, RegisteredEntry)}
    ends = {end for each in found if isinstance(each, RegisteredAssociation) for end in (each.source, each.target)}
    for each in objects.entries_by_id(uow.connection, ends.difference(entries)):
        entries[each.id] = each
    return {each.id for each in entries.values() if not registry.may_read(uow, facts_of(each))}
