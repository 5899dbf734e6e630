"""The reading policy of a region: one point through which every answer with documents passes.

What is denied is absent from the answer, noted in the audit trail of the transaction, and counted; the caller can't
tell it from what isn't there. Oppositions follow identity as documents do.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ihe.errors import UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.reading import ReadingRules
from xds.ports import PatientDirectory
from xds.services.access import DocumentFacts
from xds.services.find import anchors_of
from xds.services.ownership import Ownership
from xds.store import oppositions


class RegionPolicy:
    """Decides by rules and oppositions; a :data:`xds.services.access.ReadPolicy`.

    Args:
        count: told of each denial, with its reason.
    """

    def __init__(
        self, rules: ReadingRules, directory: PatientDirectory, count: Callable[[str], None] = lambda _: None
    ) -> None:
        self._rules = rules
        self._directory = directory
        self._count = count
        self._units: WeakKeyDictionary[UnitOfWork, _Unit] = WeakKeyDictionary()

    def __call__(self, uow: UnitOfWork, document: DocumentFacts) -> bool:
        """Whether the unit's caller may read the document."""
        unit = self._units.get(uow)
        if unit is None:
            unit = self._units[uow] = _Unit(uow, self._directory)
        reason = self._rules.reason_against(uow.caller, document.confidentiality_codes)
        if reason is None and self._rules.heeds_opposition(uow.caller) and unit.is_opposed(document.anchor):
            reason = "the patient opposes"
        if reason is not None and document.unique_id not in unit.denied:
            unit.denied.add(document.unique_id)
            uow.trail.document(document.unique_id, withheld=reason)
            self._count(reason)
        return reason is None


class _Unit:
    """What was found out in one unit of work: each person is looked up once, each denial noted once."""

    def __init__(self, uow: UnitOfWork, directory: PatientDirectory) -> None:
        self._connection = uow.connection
        self._ownership = Ownership(uow, directory)
        self._opposed: dict[str, bool] = {}
        self.denied: set[str] = set()

    def is_opposed(self, anchor: str) -> bool:
        """Whether the person whom an identifier designates opposes."""
        if anchor not in self._opposed:
            person = self._ownership.person(PatientId.from_xds_cx(anchor))
            identifiers = anchors_of(person) if person else [anchor]
            opposed = oppositions.is_opposed(self._connection, identifiers)
            self._opposed |= dict.fromkeys([anchor, *identifiers], opposed)
        return self._opposed[anchor]


def oppose(uow: UnitOfWork, directory: PatientDirectory, patient_id: PatientId) -> None:
    """Write down that a patient opposes the sharing of documents.

    Raises:
        UnknownPatient: the identifier designates nobody.
    """
    if Ownership(uow, directory).person(patient_id) is None:
        raise UnknownPatient("the identifier designates no active patient")
    oppositions.state(uow.connection, patient_id.xds_cx, uow.now, uow.caller.label)


def withdraw_opposition(uow: UnitOfWork, directory: PatientDirectory, patient_id: PatientId) -> int:
    """Write down that a patient doesn't oppose any more; returns how many oppositions ended.

    Raises:
        UnknownPatient: the identifier designates nobody.
    """
    person = Ownership(uow, directory).person(patient_id)
    if person is None:
        raise UnknownPatient("the identifier designates no active patient")
    return oppositions.withdraw(uow.connection, anchors_of(person), uow.now, uow.caller.label)
