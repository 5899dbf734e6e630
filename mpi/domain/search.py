"""Demographic search: what is asked, and the form of names it is asked in.

Search is accent-, case- and hyphen-insensitive, by birth or used name, as RNIV asks: birth date first, then the first
letters of a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.domain.phonetics_fr import sound

_LIGATURES = str.maketrans(
    {"Æ": "AE", "æ": "AE", "Œ": "OE", "œ": "OE", "ß": "SS", "Ø": "O", "ø": "O", "Ł": "L", "ł": "L"}
)
_SEPARATORS = re.compile("[^A-Z0-9]+")


def fold(text: str) -> str:
    """Upper case without accents or ligatures; hyphens, apostrophes and other separators become one space."""
    if text.isascii():
        upper = text.upper()
        return upper if upper.isalnum() else " ".join(_SEPARATORS.split(upper)).strip()
    decomposed = unicodedata.normalize("NFKD", text.translate(_LIGATURES).upper())
    letters = (c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join("".join(letters).split())


def phone_key(number: str) -> str:
    """The digits that tell a telephone number from others, however it is written: the last nine."""
    return "".join(c for c in number if c.isascii() and c.isdigit())[-9:]


def search_names(traits: Traits) -> frozenset[tuple[str, str]]:
    """The folded names under which a record is found: ``("F", family)`` and ``("G", given)``."""
    return frozenset((part, name) for part in "FG" for name in names_of(traits, part))


def names_of(traits: Traits, part: str) -> Iterator[str]:
    """The folded names of one part, some more than once. A compound name is found whole and by each of its words.

    Args:
        part: ``F`` for family names, ``G`` for given ones.
    """
    if part == "F":
        names: tuple[str | None, ...] = (traits.birth_family_name, traits.used_family_name)
    else:
        names = (traits.first_birth_given_name, traits.used_given_name, *traits.birth_given_names)
    for name in names:
        if name and (whole := fold(name)):
            yield whole
            if " " in whole:
                yield from (word for word in whole.split() if len(word) > 1)


def sounds_of(names: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """How :func:`search_names` sound: ``("f", sound)`` of family names, ``("g", sound)`` of given ones."""
    return frozenset((part.lower(), sound(name)) for part, name in names)


class Likeness(StrEnum):
    """How a name may differ from the one asked for."""

    PHONETIC = "phonetic"
    """It sounds the same."""
    FUZZY = "fuzzy"
    """It sounds the same or is written nearly so."""


@dataclass(frozen=True, slots=True)
class NameCriterion:
    """A name asked for.

    Attributes:
        text: folded, not empty.
        exact: the whole name, instead of its first letters.
        inside: anywhere in the name, instead of its first letters.
        verbatim: the name as stated must be this, letter for letter; ``None`` for any with the same folded form.
        like: names that are only like it will do, too; ``None`` for no such.
    """

    text: str
    exact: bool = False
    inside: bool = False
    verbatim: str | None = None
    like: Likeness | None = None


@dataclass(frozen=True, slots=True)
class NameGroup:
    """Names of which one must be found.

    Attributes:
        part: ``F`` for family names, ``G`` for given names, ``FG`` for either.
    """

    part: str
    any_of: tuple[NameCriterion, ...]


@dataclass(frozen=True, slots=True)
class TextGroup:
    """Texts of which one must be found in one of some traits.

    Attributes:
        fields: names of traits: ``address``, ``city``, ``postal_code``, ``mother_family_name``.
    """

    fields: tuple[str, ...]
    any_of: tuple[NameCriterion, ...]


@dataclass(frozen=True, slots=True)
class ContactGroup:
    """Means of contact of which one must be the patient's.

    Attributes:
        phones: as :func:`phone_key` makes them.
        emails: in lower case.
    """

    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BirthBound:
    """A comparison with the birth date; both may be partial and stand for all their days.

    Attributes:
        comparison: ``eq``, ``ne``, ``lt``, ``le``, ``gt``, ``ge``, ``sa`` (starts after) or ``eb`` (ends before).

    Source: FHIR R4: 3.1.1.4.6 (prefixes).
    """

    comparison: str
    date: PartialDate


@dataclass(frozen=True, slots=True)
class PatientSearch:
    """Demographic criteria; all that are given must hold (of several values for one, any).

    Attributes:
        keys: records by local id; of several, any.
        record_ids: records by internal id; of several, any.
        families: birth or used family name.
        givens: any given name; every one must be found.
        name_groups: further names; of each group one must be found.
        birth_dates: as precise as given (a year finds all its days).
        birth_bounds: comparisons with the birth date; of each group one must hold.
        postal_codes: whole codes.
        cities: names, or their first letters.
        streets: street lines, or their first letters.
        mothers: the mother's name at birth.
        phones: as :func:`phone_key` makes them.
        text_groups: further texts; of each group one must be found.
        contact_groups: telephone numbers and addresses of electronic mail; of each group one must be the patient's.
        domains: answer only with patients known in these domains; empty means all. The regional domain knows all, a
            national one those with a qualified INS of its own.
        least_quality: only patients of whom :func:`mpi.domain.match_quality.match_quality` says so much at least.
        limit: at most so many records; the search refuses rather than cut silently.
    """

    keys: tuple[RecordKey, ...] = ()
    record_ids: tuple[int, ...] = ()
    families: tuple[NameCriterion, ...] = ()
    givens: tuple[NameCriterion, ...] = ()
    birth_dates: tuple[PartialDate, ...] = ()
    sexes: tuple[Sex, ...] = ()
    postal_codes: tuple[str, ...] = ()
    cities: tuple[NameCriterion, ...] = ()
    streets: tuple[NameCriterion, ...] = ()
    mothers: tuple[NameCriterion, ...] = ()
    phones: tuple[str, ...] = ()
    name_groups: tuple[NameGroup, ...] = ()
    birth_bounds: tuple[tuple[BirthBound, ...], ...] = ()
    text_groups: tuple[TextGroup, ...] = ()
    contact_groups: tuple[ContactGroup, ...] = ()
    domains: tuple[str, ...] = ()
    least_quality: int = 0
    limit: int = 50

    @property
    def is_bounded(self) -> bool:
        """Whether the criteria select enough to be answered at a bounded cost."""
        names = [g for g in self.name_groups if not any(c.inside for c in g.any_of)]
        ranges = [g for g in self.birth_bounds if not any(b.comparison == "ne" for b in g)]
        phones = self.phones or [g for g in self.contact_groups if not g.emails]
        births = self.birth_dates or ranges
        return bool(self.keys or self.record_ids or self.families or self.givens or births or names or phones)

    @property
    def is_by_likeness(self) -> bool:
        """Whether names that are only like those asked for will do."""
        groups = (c for group in self.name_groups for c in group.any_of)
        return any(c.like is not None for c in (*self.families, *self.givens, *groups))

    @property
    def has_whole_birth_date(self) -> bool:
        """Whether it is restricted to patients born on certain days."""
        whole = [b for g in self.birth_bounds if len(g) == 1 for b in g if b.comparison == "eq" and b.date.is_full]
        return bool(whole) or (bool(self.birth_dates) and all(date.is_full for date in self.birth_dates))

    def by_likeness(self, like: Likeness) -> PatientSearch:
        """The same search for names that are like those which it asks for whole."""

        def loosen(names: tuple[NameCriterion, ...]) -> tuple[NameCriterion, ...]:
            return tuple(replace(n, exact=False, like=like) if n.exact else n for n in names)

        return replace(self, families=loosen(self.families), givens=loosen(self.givens))
