"""What an answer of whole resources says about objects beside their own metadata: relations and members.

An answer of ebRIM objects has associations beside the objects; a resource-based answer has them inside.

Source: MHD 4.2 (ITI TF-3: 4.5.1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from xds.domain.answers import Returned
from xds.domain.model import AssociationType
from xds.domain.registered import Described, RegisteredAssociation, RegisteredEntry, RegisteredFolder
from xds.services import get
from xds.services.get import Named
from xds.services.registry import Registry
from xds.services.visibility import visible

_APPROVED = ("Approved",)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around objects, as far as the caller may see it.

    Attributes:
        relations: by entryUUID, association type and entryUUID of the target, of relations that start there.
        members: by id of a set or folder, its entries and folders in the order of registration.
    """

    relations: Mapping[str, Sequence[tuple[str, str]]]
    members: Mapping[str, Sequence[Described]]


def surroundings(uow: UnitOfWork, registry: Registry, found: Sequence[Returned]) -> Surroundings:
    """Relations and members of the objects."""
    relations: dict[str, list[tuple[str, str]]] = defaultdict(list)
    memberships: dict[str, list[str]] = defaultdict(list)
    ids = {each.object.id for each in found}
    for link in _links(uow, registry, ids):
        if link.source not in ids:
            continue
        if link.type == AssociationType.HAS_MEMBER:
            memberships[link.source].append(link.target)
        else:
            relations[link.source].append((link.type, link.target))
    targets = {target for each in memberships.values() for target in each}
    known = _members(uow, registry, targets)
    members = {
        owner: [known[target] for target in targets_of if target in known] for owner, targets_of in memberships.items()
    }
    return Surroundings(relations, members)


def _links(uow: UnitOfWork, registry: Registry, ids: set[str]) -> list[RegisteredAssociation]:
    return visible(uow, registry, get.associations(uow, ids, _APPROVED)) if ids else []


def _members(uow: UnitOfWork, registry: Registry, ids: set[str]) -> dict[str, Described]:
    if not ids:
        return {}
    entries: list[RegisteredEntry] = visible(uow, registry, get.entries(uow, Named(ids=ids)))
    folders: list[RegisteredFolder] = visible(uow, registry, get.folders(uow, Named(ids=ids)))
    found: list[Described] = [*entries, *folders]
    return {each.id: each for each in found}
