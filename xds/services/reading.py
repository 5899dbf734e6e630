"""The reading policy of a region: one point through which every answer with documents passes.

What is denied is absent from the answer, noted in the audit trail of the transaction, and counted; the caller can't
tell it from what isn't there. What patients want follows identity as documents do.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ihe.confidentiality import ReadingRules, Wishes
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.ports import PatientDirectory
from xds.services.access import DocumentFacts

_UNDECIDED = "undecided"


class RegionPolicy:
    """Decides by rules and wishes; a :data:`xds.services.access.ReadPolicy`.

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
            unit = self._units[uow] = _Unit()
        key = document.anchor, document.confidentiality_codes
        reason = unit.reasons.get(key, _UNDECIDED)
        if reason is _UNDECIDED:
            reason = unit.reasons[key] = self._reason_against(uow, unit, document)
        if reason is not None and document.unique_id not in unit.denied:
            unit.denied.add(document.unique_id)
            uow.trail.document(document.unique_id, withheld=reason)
            self._count(reason)
        return reason is None

    def _reason_against(self, uow: UnitOfWork, unit: _Unit, document: DocumentFacts) -> str | None:
        if document.anchor not in unit.wishes:
            unit.wishes |= self._directory.wishes(uow, PatientId.from_xds_cx(document.anchor))
        return self._rules.reason_against(uow.caller, document.confidentiality_codes, unit.wishes[document.anchor])


class _Unit:
    """What was found out in one unit of work.

    Each person is looked up once, documents of one patient with the same codes are decided about once, and each denial
    is noted once.
    """

    def __init__(self) -> None:
        self.wishes: dict[str, Wishes] = {}
        self.reasons: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self.denied: set[str] = set()
