"""What belongs to a person in the registry, for the pages that say what a decision would move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ihe.errors import TooMany, UnknownPatient
from mpi.services.identifiers import regional_patient_id
from web.page import Visit
from xds.domain.criteria import DocumentCriteria
from xds.domain.model import DocumentEntry
from xds.domain.priors import PriorStudy
from xds.domain.registered import RegisteredEntry
from xds.services.find import find_documents
from xds.services.studies import priors
from xds.translate.ebxml_stored import entry_of


@dataclass(frozen=True, slots=True)
class Belongings:
    """Studies, latest first, and documents that are no manifests of theirs, latest first.

    Attributes:
        more: whether there are more documents than are read.
    """

    studies: Sequence[PriorStudy]
    documents: Sequence[DocumentEntry]
    more: bool = False


def belongings(visit: Visit, person_id: int) -> Belongings:
    """What the person has now, as far as the visitor may see it."""
    app = visit.app
    patient_id = regional_patient_id(app.mpi, person_id)
    try:
        studies = priors(visit.uow, patient_id, app.xds.studies)
    except UnknownPatient:
        return Belongings((), ())
    manifests = {copy.manifest.document_unique_id for study in studies for copy in study.copies}
    try:
        found = find_documents(visit.uow, app.xds.registry, patient_id, DocumentCriteria())
    except TooMany:
        return Belongings(studies, (), more=True)
    documents = [
        entry_of(each.object)
        for each in found
        if isinstance(each.object, RegisteredEntry) and each.object.unique_id not in manifests
    ]
    documents.sort(key=lambda each: each.creation_time or "", reverse=True)
    return Belongings(studies, documents)
