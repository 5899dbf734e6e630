"""The matching form of a record: what blocking, comparison and explanation work on, and nothing else.

Made once when a record arrives and stored with it; the traits themselves are kept verbatim elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from ihe.values import PartialDate
from mpi.domain import ins as matricules
from mpi.domain.identity import NEVER_AUTOMATIC, Sex, Traits
from mpi.domain.names_fr import fold, fold_family, is_placeholder, is_surname_after_all
from mpi.domain.places import canonical

_NOT_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")
_NOT_DIGIT = re.compile(r"\D+")
_STREET_WORDS = {
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CH": "CHEMIN",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "IMP": "IMPASSE",
    "PL": "PLACE",
    "R": "RUE",
    "RTE": "ROUTE",
    "SQ": "SQUARE",
    "ALL": "ALLEE",
    "LOT": "LOTISSEMENT",
    "RES": "RESIDENCE",
    "ST": "SAINT",
    "STE": "SAINTE",
}
_STREET_NOISE = frozenset({"DE", "DU", "DES", "LA", "LE", "LES", "L", "D", "ET"})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A record in matching form. Empty text and 0 mean "not known"; placeholders are already empty.

    Attributes:
        family: birth family name, words A–Z joined by blanks.
        used_family: used family name; empty when it equals ``family``.
        first: first given name of birth.
        given: all given names of birth in order, compound names split in words; starts with ``first``.
        used_given: used given name; empty when it equals ``first``.
        sex: ``M``, ``F`` or empty.
        year, month, day: of birth; each 0 when not known.
        interpreted: the sender says that parts of the birth date are made up.
        place: canonical code of the birthplace.
        ins: the 13 characters of the matricule.
        ins_oid: its authority; matricules of different authorities are never compared.
        qualified: the identity is qualified, so that the matricule proves it.
        validated: the strict traits were checked on a document.
        ins_own: the matricule agrees with sex and birth month of the record, so it is not a parent's.
        phone: last nine digits.
        email: lower case.
        street: number and words of the street, sorted out of abbreviations and articles.
        postal: postal code.
        city: matching form.
        mother: mother's birth family name.
        multiple: the sender says twin or more.
        birth_rank: rank in a multiple birth, from 1.
        death: date of death as ``YYYYMMDD`` number.
        held: identity attributes that forbid automatic links, sorted.
        unnamed: a name was a placeholder (newborn, unknown person).
    """

    family: str = ""
    used_family: str = ""
    first: str = ""
    given: str = ""
    used_given: str = ""
    sex: str = ""
    year: int = 0
    month: int = 0
    day: int = 0
    interpreted: bool = False
    place: str = ""
    ins: str = ""
    ins_oid: str = ""
    qualified: bool = False
    validated: bool = False
    ins_own: bool = False
    phone: str = ""
    email: str = ""
    street: str = ""
    postal: str = ""
    city: str = ""
    mother: str = ""
    multiple: bool = False
    birth_rank: int = 0
    death: int = 0
    held: tuple[str, ...] = ()
    unnamed: bool = False

    @property
    def is_default_date(self) -> bool:
        """Whether day and month are those written when they are not known (1 January, 31 December)."""
        return self.interpreted or (self.month, self.day) in ((1, 1), (12, 31))

    def to_json(self) -> dict[str, Any]:
        """What is known, as JSON values; the empty parts are left out."""
        known: dict[str, Any] = {}
        for name in _NAMES:
            value = getattr(self, name)
            if value:
                known[name] = list(value) if name == "held" else value
        return known

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Cleaned:
        """Undo :meth:`to_json`; names that this version does not know are ignored."""
        values = {name: known[name] for name in _NAMES if name in known}
        if "held" in values:
            values["held"] = tuple(values["held"])
        return cls(**values)


_NAMES = tuple(field.name for field in fields(Cleaned))


def clean(traits: Traits) -> Cleaned:
    """Bring traits into matching form. Pure; never fails on odd content, which becomes "not known"."""
    family, no_family = _name(traits.birth_family_name, family=True)
    used_family, _ = _name(traits.used_family_name, family=True)
    given, no_given = _name(" ".join(traits.birth_given_names), family=False)
    stated_first = traits.first_birth_given_name or (traits.birth_given_names or ("",))[0]
    first, no_first = _name(stated_first, family=False)
    used_given, _ = _name(traits.used_given_name, family=False)
    if no_family and is_surname_after_all(form := fold_family(traits.birth_family_name or ""), first):
        family, no_family = form, False
    if not given or not (given == first or given.startswith(first + " ")):
        given = _with_first(first, given)
    date = traits.birth_date
    if date is None or (date.year <= _LAST_PLACEHOLDER_YEAR and (date.month, date.day) in _NEW_YEAR):
        date = _NO_DATE
    sex = traits.sex.value if traits.sex in (Sex.MALE, Sex.FEMALE) else ""
    nir = None
    is_national = bool(traits.ins_oid) and str(traits.ins_oid).startswith(matricules.NATIONAL)
    if traits.ins and is_national and traits.ins_oid not in matricules.NOBODYS:
        nir = matricules.parse(traits.ins)
    number = nir.number if nir else ""
    ins_own = nir is not None and _agrees(nir, sex, date)
    if traits.ins and traits.ins_oid and not is_national:
        # Another country's or register's number: compared as it is.
        number, ins_own = _NOT_ALPHANUMERIC.sub("", traits.ins.upper()), True
    place = canonical(traits.birth_place_code) if traits.birth_place_code else ""
    if not place and nir is not None and ins_own:
        place = canonical(nir.place)
    return Cleaned(
        family=family,
        used_family=used_family if used_family != family else "",
        first=first,
        given=given,
        used_given=used_given if used_given != first else "",
        sex=sex,
        year=date.year if date is not _NO_DATE else 0,
        month=date.month or 0,
        day=date.day or 0,
        interpreted=traits.birth_date_interpreted,
        place=place,
        ins=number,
        ins_oid=str(traits.ins_oid) if number else "",
        qualified=bool(number) and traits.has_qualified_ins,
        validated=traits.identity_status.is_validated,
        ins_own=ins_own,
        phone=_phone(traits.phone) if traits.phone else "",
        email=_email(traits.email) if traits.email else "",
        street=_street(traits.address) if traits.address else "",
        postal=_NOT_ALPHANUMERIC.sub("", traits.postal_code.upper()) if traits.postal_code else "",
        city=fold_family(traits.city) if traits.city else "",
        mother=_name(traits.mother_family_name, family=True)[0],
        multiple=bool(traits.multiple_birth),
        birth_rank=traits.birth_order or 0,
        death=_number(traits.death_date) if traits.death_date else 0,
        held=tuple(sorted(traits.identity_attributes & NEVER_AUTOMATIC)),
        unnamed=no_family or no_given or no_first,
    )


_NO_DATE = PartialDate(1)
_LAST_PLACEHOLDER_YEAR = 1901
_NEW_YEAR = ((1, 1), (None, None))
"""A first of January of 1900 or 1901 is what systems write for "no date"."""


def _agrees(nir: matricules.Nir, sex: str, date: PartialDate) -> bool:
    """Whether a matricule can be that of someone of this sex and birth date."""
    if sex and nir.sex not in (None, sex):
        return False
    if date is _NO_DATE:
        return True
    return nir.year == date.year % 100 and (nir.month is None or date.month in (None, nir.month))


def _name(text: str | None, *, family: bool) -> tuple[str, bool]:
    """Matching form, and whether it was a placeholder (then the form is empty)."""
    if not text:
        return "", False
    form = fold_family(text) if family else fold(text)
    if form and is_placeholder(form):
        return "", True
    return form, False


@lru_cache(maxsize=1 << 16)
def _with_first(first: str, given: str) -> str:
    """The list of given names with the stated first name in front, each word once."""
    words = first.split(" ") if first else []
    words += [word for word in given.split(" ") if word and word not in words]
    return " ".join(words)


def _phone(text: str) -> str:
    digits = _NOT_DIGIT.sub("", text)[-9:]
    return digits if len(digits) == 9 and len(set(digits)) > 3 and digits not in ("123456789", "612345678") else ""


def _email(text: str) -> str:
    address = text.strip().lower()
    return address if "@" in address else ""


@lru_cache(maxsize=1 << 16)
def _street(text: str) -> str:
    words = _NOT_ALPHANUMERIC.sub(" ", _ascii(text)).split()
    kept = [_STREET_WORDS.get(word, word) for word in words if word not in _STREET_NOISE]
    joined = " ".join(kept)
    return "" if joined in ("", "SDF", "INCONNUE", "INCONNU", "SANS ADRESSE") else joined


def _ascii(text: str) -> str:
    if text.isascii():
        return text.upper()
    return " ".join(fold(word) if not word.isascii() else word for word in text.upper().split())


def _number(date: PartialDate) -> int:
    return date.year * 10000 + (date.month or 0) * 100 + (date.day or 0)
