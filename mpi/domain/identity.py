"""What one domain says of one patient: identity traits as received, and the record that holds them.

Traits are kept verbatim; the matching form is made from them by :mod:`mpi.domain.cleaning`.

Source: RNIV (référentiel national d'identitovigilance); PAM France 2.11, PID.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from ihe.values import PartialDate


class Sex(StrEnum):
    """Administrative sex (HL7 table 0001): male, female, unknown, other or undetermined."""

    MALE = "M"
    FEMALE = "F"
    UNKNOWN = "U"
    OTHER = "O"


class IdentityStatus(StrEnum):
    """Reliability of an identity (RNIV): retrieved from INSi or not, checked on a document or not.

    ``VIDE`` is "not stated"; it carries no more trust than ``PROV``.
    """

    VIDE = "VIDE"
    PROV = "PROV"
    RECUP = "RECUP"
    VALI = "VALI"
    QUAL = "QUAL"

    @property
    def is_validated(self) -> bool:
        """Whether the strict traits were checked on a high-trust document."""
        return self in (IdentityStatus.VALI, IdentityStatus.QUAL)


NEVER_AUTOMATIC = frozenset({"DOUT", "FICT", "ANOM", "CACH"})
"""Identity attributes (FR table 0445) that forbid any automatic link."""


HIDDEN = frozenset({"ANOM", "CACH"})
"""Identity attributes of whom only named roles are shown: a birth under secrecy, a protected person."""

_LONGEST_TRAIT = 1000


@dataclass(frozen=True, slots=True)
class Traits:
    """Identity traits of one patient as one domain states them. Empty is ``None`` or an empty tuple.

    Attributes:
        birth_family_name: family name at birth (PID-5 type L), strict trait.
        birth_given_names: all given names of the civil registry, in order (PID-5.3 of type L).
        first_birth_given_name: first given name (PID-5.2 of type L); may be compound ("JEAN-PIERRE").
        used_family_name: name used in life (PID-5 type D), never filled from the birth name.
        used_given_name: given name used in life (PID-5.2 of type D).
        sex: ``None`` when not stated.
        birth_date: may be partial.
        birth_date_interpreted: the sender marks the date as interpreted (ZFD-4 = Y).
        birth_place_code: INSEE COG code of the commune, or ``99xxx`` of the country (5 characters).
        address: street lines.
        phone: as received.
        ins: INS matricule without or with its key (13 or 15 characters).
        ins_oid: OID of the INS authority; never compare matricules across OIDs.
        identity_status: reliability; ``QUAL`` allows the INS to reference data.
        identity_attributes: HOMO, DOUT, FICT and the others of FR table 0445.
        mother_family_name: mother's birth name (PID-6 type M).
        multiple_birth: ``True`` when the sender says twin or more (PID-24 = Y).
        birth_order: rank in a multiple birth, from 1 (PID-25).
        death_date: may be partial.
    """

    birth_family_name: str | None = None
    birth_given_names: tuple[str, ...] = ()
    first_birth_given_name: str | None = None
    used_family_name: str | None = None
    used_given_name: str | None = None
    sex: Sex | None = None
    birth_date: PartialDate | None = None
    birth_date_interpreted: bool = False
    birth_place_code: str | None = None
    address: str | None = None
    postal_code: str | None = None
    city: str | None = None
    phone: str | None = None
    email: str | None = None
    ins: str | None = None
    ins_oid: str | None = None
    identity_status: IdentityStatus = IdentityStatus.VIDE
    identity_attributes: frozenset[str] = field(default_factory=frozenset)
    mother_family_name: str | None = None
    multiple_birth: bool | None = None
    birth_order: int | None = None
    death_date: PartialDate | None = None

    def completed_by(self, other: Traits) -> Traits:
        """These traits, with each one that ``other`` states taken from it; an unstated one stays as it is.

        The status and its attributes are one statement: they are taken together when ``other`` has a status.
        """
        status_stated = other.identity_status is not IdentityStatus.VIDE
        changes = {
            f.name: value
            for f in fields(self)
            if (value := getattr(other, f.name)) not in (None, (), frozenset(), False, IdentityStatus.VIDE)
        }
        if status_stated:
            changes["identity_attributes"] = other.identity_attributes
        return replace(self, **changes)

    def unstorable(self) -> str | None:
        """Name of a trait that no civil status holds and no store takes: longer than 1,000 characters or with a NUL
        character; ``None`` when there is none.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            parts = value if isinstance(value, (tuple, frozenset)) else (value,)
            if any(isinstance(part, str) and (len(part) > _LONGEST_TRAIT or "\0" in part) for part in parts):
                return each.name
        return None

    @property
    def has_qualified_ins(self) -> bool:
        """Whether the INS may prove identity (status QUAL and a matricule with its OID)."""
        return self.identity_status is IdentityStatus.QUAL and bool(self.ins and self.ins_oid)

    @property
    def is_doubtful(self) -> bool:
        """Whether the site itself doubts who this is (attribute DOUT)."""
        return "DOUT" in self.identity_attributes


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """Names a record: domain code and local identifier. Sorting by it is the region's tie-break order."""

    domain: str
    local_id: str
