"""A patient's visit as its site tells it, and what is asked of visits.

Source: HL7 v2.5: 3.4.3 (PV1); ITI TF-2: 3.22.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ihe.values import AssigningAuthority
from mpi.domain.search import NameCriterion, fold


@dataclass(frozen=True, slots=True)
class VisitId:
    """A visit or account number.

    Attributes:
        authority: who assigned it, or ``None`` when the site does not say.
        type_code: ``VN``, ``AN``, or ``None``.
    """

    value: str
    authority: AssigningAuthority | None = None
    type_code: str | None = None

    @property
    def authority_key(self) -> str:
        """What tells authorities apart: the OID where there is one, else the namespace, else empty."""
        if self.authority is None:
            return ""
        return str(self.authority.oid or self.authority.namespace)


@dataclass(frozen=True, slots=True)
class Practitioner:
    """Who is responsible, as far as told; empty is ``None``."""

    id: str | None = None
    family: str | None = None
    given: str | None = None


ROLES = ("attending", "referring", "consulting", "admitting")
"""Roles of practitioners in a visit (PV1-7, 8, 9, 17)."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit. Empty is ``None``.

    Attributes:
        number: PV1-19; where a site sends none, its account number stands for it.
        account: PID-18.
        patient_class: PV1-2.
        point_of_care, room, bed, facility: PV1-3.
        practitioners: by role, see :data:`ROLES`.
        hospital_service: PV1-10.
        admitted_at, discharged_at: PV1-44 and PV1-45, HL7 times as sent.
    """

    number: VisitId
    account: VisitId | None = None
    patient_class: str | None = None
    point_of_care: str | None = None
    room: str | None = None
    bed: str | None = None
    facility: str | None = None
    practitioners: tuple[tuple[str, Practitioner], ...] = ()
    hospital_service: str | None = None
    admitted_at: str | None = None
    discharged_at: str | None = None

    def practitioner(self, role: str) -> Practitioner | None:
        """The first practitioner in a role, or ``None``."""
        return next((each for known, each in self.practitioners if known == role), None)


@dataclass(frozen=True, slots=True)
class VisitNews:
    """What a message says of a visit.

    Attributes:
        is_cancelled: the visit did not take place.
        at: when it happened, or ``None``.
    """

    visit: Visit
    is_cancelled: bool = False
    at: datetime | None = None


_PLAIN = ("patient_class", "point_of_care", "room", "bed", "facility", "hospital_service")

SEARCHABLE = (*_PLAIN, *(f"{role}.{part}" for role in ROLES for part in ("id", "family", "given")))
"""What a visit can be found by beside its numbers."""


def visit_keys(visit: Visit) -> list[str]:
    """The folded facts by which a visit is found, ``name=VALUE``, sorted."""
    stated = {name: getattr(visit, name) for name in _PLAIN}
    for role, who in visit.practitioners:
        stated |= {f"{role}.{part}": getattr(who, part) for part in ("id", "family", "given")}
    return sorted(f"{name}={fold(value)}" for name, value in stated.items() if value and fold(value))


@dataclass(frozen=True, slots=True)
class VisitSearch:
    """Criteria about visits; all that are given must hold (of several numbers, any).

    Attributes:
        numbers, accounts: visit and account numbers; one without authority is looked for under any.
        facts: each a name of :data:`SEARCHABLE` with its value or its first letters.
    """

    numbers: tuple[VisitId, ...] = ()
    accounts: tuple[VisitId, ...] = ()
    facts: tuple[tuple[str, NameCriterion], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.numbers or self.accounts or self.facts)

    @property
    def is_bounded(self) -> bool:
        """Whether the criteria alone select visits at a bounded cost."""
        return bool(self.numbers or self.accounts or any(criterion.exact for _, criterion in self.facts))
