"""Whose assertion or token is about one patient reads that patient's documents, and no other's.

Source: ITI TF-2: 3.40.4.1.2.3 (resource-id); IHE IUA: 3.71.4.2.2.1 (person_id).
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.ports import PatientDirectory
from xds.services.access import DocumentFacts, ReadPolicy
from xds.services.find import anchors_of

_REASON = "the token is about another patient"


class OnePatient:
    """A :data:`xds.services.access.ReadPolicy` before another.

    Args:
        policy: decides about the documents of that patient, and of everybody where no patient is named.
        directory: who is whom; documents follow identity here too.
        count: told of each denial, with its reason.
    """

    def __init__(
        self, policy: ReadPolicy, directory: PatientDirectory, count: Callable[[str], None] = lambda _: None
    ) -> None:
        self._policy = policy
        self._directory = directory
        self._count = count
        self._anchors: WeakKeyDictionary[UnitOfWork, frozenset[str]] = WeakKeyDictionary()

    def __call__(self, uow: UnitOfWork, document: DocumentFacts) -> bool:
        """Whether the unit's caller may read the document; what is withheld is noted as by the region's policy."""
        about = uow.caller.patient
        if about is None or document.anchor in self._of(uow, about):
            return self._policy(uow, document)
        noted = {each["id"] for each in uow.trail.objects if each.get("withheld") == _REASON}
        if document.unique_id not in noted:
            uow.trail.document(document.unique_id, withheld=_REASON)
            self._count(_REASON)
        return False

    def _of(self, uow: UnitOfWork, patient: str) -> frozenset[str]:
        if uow not in self._anchors:
            person = self._directory.resolve(uow, PatientId.from_xds_cx(patient))
            self._anchors[uow] = frozenset([patient] if person is None else anchors_of(person))
        return self._anchors[uow]
