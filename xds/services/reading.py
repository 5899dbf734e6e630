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
            unit = self._units[uow] = _Unit(uow, self._rules, self._directory)
        reason = unit.reason_against(document.anchor, document.confidentiality_codes)
        if reason is not None and document.unique_id not in unit.denied:
            unit.denied.add(document.unique_id)
            uow.trail.document(document.unique_id, withheld=reason)
            self._count(reason)
        return reason is None


class _Unit:
    """What was found out in one unit of work.

    Each person is looked up once, documents of one patient with the same codes are decided about once, and each denial
    is noted once.
    """

    def __init__(self, uow: UnitOfWork, rules: ReadingRules, directory: PatientDirectory) -> None:
        self._connection = uow.connection
        self._caller = uow.caller
        self._rules = rules
        self._ownership = Ownership(uow, directory)
        self._opposed: dict[str, bool] = {}
        self._reasons: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self.denied: set[str] = set()

    def reason_against(self, anchor: str, codes: tuple[str, ...]) -> str | None:
        """Why the unit's caller may not read documents of a patient with these codes; ``None`` when it may."""
        key = anchor, codes
        if key not in self._reasons:
            reason = self._rules.reason_against(self._caller, codes)
            if reason is None and self._rules.heeds_opposition(self._caller) and self._is_opposed(anchor):
                reason = "the patient opposes"
            self._reasons[key] = reason
        return self._reasons[key]

    def _is_opposed(self, anchor: str) -> bool:
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
