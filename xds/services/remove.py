"""Remove metadata: all the objects named, or none.

Source: IHE ITI Metadata Update supplement, 3.62 (Remove Metadata).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from ihe.errors import Finding, Refused
from ihe.unit_of_work import UnitOfWork
from xds.domain.datatypes import is_uuid
from xds.domain.registered import Registered, RegisteredAssociation, RegisteredEntry, RegisteredObject
from xds.services.ownership import require_own
from xds.store import objects, removals


def remove(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Remove objects whose removal leaves nothing behind that refers to them or hangs loose.

    Args:
        ids: at least one, of entries, sets, folders and associations.

    Raises:
        Refused: an id is unknown, a removed object is still referred to, or an object that stays would have
            no association left; the first of these kinds that occurs, with every finding of it.
        AccessDenied: an entry is of another site's patient.
    """
    wanted = list(dict.fromkeys(ids))
    found = objects.objects_by_id(uow.connection, [each for each in wanted if is_uuid(each)], for_update=True)
    _refuse(
        [
            Finding("UnresolvedReferenceException", f"{each[:100]!r} is not registered", each[:100])
            for each in wanted
            if each not in found
        ]
    )
    require_own(uow, (each.source_patient_id for each in found.values() if isinstance(each, RegisteredEntry)))
    described = [each.id for each in found.values() if isinstance(each, RegisteredObject)]
    touching = _touching(uow, described)
    _refuse(
        [
            Finding("ReferencesExistException", f"{each} is referred to by association {other.id}", each)
            for each in described
            for other in touching[each]
            if other.id not in found
        ]
    )
    _refuse(_left_alone(uow, found))
    removals.remove(uow.connection, found.values(), uow.now, uow.caller.label)
    for item in found.values():
        if isinstance(item, RegisteredEntry):
            payload = {"entry_uuid": item.id, "unique_id": item.unique_id}
            uow.publish("document.removed", item.anchor, payload)


def _left_alone(uow: UnitOfWork, found: Mapping[str, Registered]) -> list[Finding]:
    """Entries, sets and folders that stay but would lose their last association."""
    links = [each for each in found.values() if isinstance(each, RegisteredAssociation)]
    ends = {end for each in links for end in (each.source, each.target)}.difference(found)
    staying = [
        each.id
        for each in objects.objects_by_id(uow.connection, sorted(ends), for_update=True).values()
        if isinstance(each, RegisteredObject)
    ]
    touching = _touching(uow, staying)
    return [
        Finding("XDSUnreferencedObjectException", f"{each} would be left without any association", each)
        for each in staying
        if all(other.id in found for other in touching[each])
    ]


def _touching(uow: UnitOfWork, ids: Collection[str]) -> dict[str, list[RegisteredAssociation]]:
    by_end: dict[str, list[RegisteredAssociation]] = defaultdict(list)
    for each in objects.associations_from(uow.connection, ids):
        by_end[each.source].append(each)
    for each in objects.associations_to(uow.connection, ids):
        by_end[each.target].append(each)
    return by_end


def _refuse(findings: list[Finding]) -> None:
    if findings:
        raise Refused(findings)
