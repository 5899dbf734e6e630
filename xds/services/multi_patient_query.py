"""Answer a query over several patients, or over all of them.

Each object is returned under the identifier by which its owner was asked for; when nobody was named, as in
:mod:`xds.services.get`.

Source: ITI TF-2: 3.51.4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import QueryAnswer, Reference, Returned
from xds.domain.registered import RegisteredEntry, RegisteredFolder
from xds.domain.stored_query import StoredQuery
from xds.services import get
from xds.services.find import anchors_of, designated, readable_within_limit
from xds.services.registry import Registry
from xds.services.stored_query import document_criteria, folder_criteria
from xds.services.visibility import visible
from xds.store import searches


def answer(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    """Answer one of the queries of ITI-51.

    Raises:
        TooMany: the answer would exceed the bound on results.
    """
    asked = _asked(uow, registry, query)
    anchors = None if asked is None else list(asked)

    def search(most: int) -> Sequence[RegisteredEntry | RegisteredFolder]:
        if query.definition.name == "FindFoldersForMultiplePatients":
            return searches.find_folders(uow.connection, anchors, folder_criteria(query), most)
        return searches.find_entries(uow.connection, anchors, document_criteria(query), most)

    found = readable_within_limit(search, lambda each: visible(uow, registry, each), registry.max_results)
    if not query.leaf_class:
        return QueryAnswer(False, references=tuple(Reference(each.id, each.home) for each in found))
    if asked is None:
        return QueryAnswer(True, tuple(get.returned(uow, registry, found, leaf_class=False)))
    return QueryAnswer(True, tuple(Returned(each, asked[each.anchor]) for each in found))


def _asked(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> dict[str, PatientId] | None:
    """Anchor → the identifier by which its owner was asked for; ``None`` when no patient was named."""
    if not query.patients:
        return None
    asked: dict[str, PatientId] = {}
    for text in query.patients:
        patient_id = PatientId.from_xds_cx(text)
        person = designated(uow, registry, patient_id)
        for anchor in anchors_of(person) if person else ():
            asked.setdefault(anchor, patient_id)
    return asked
