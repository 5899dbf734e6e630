"""Demographic search: what is asked, and the form of names it is asked in.

Search is accent-, case- and hyphen-insensitive, by birth or used name, as RNIV asks: birth date first, then the first
letters of a name.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits

_LIGATURES = str.maketrans(
    {"Æ": "AE", "æ": "AE", "Œ": "OE", "œ": "OE", "ß": "SS", "Ø": "O", "ø": "O", "Ł": "L", "ł": "L"}
)


def fold(text: str) -> str:
    """Upper case without accents or ligatures; hyphens, apostrophes and other separators become one space."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LIGATURES).upper())
    letters = (c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join("".join(letters).split())


def phone_key(number: str) -> str:
    """The digits that tell a telephone number from others, however it is written: the last nine."""
    return "".join(c for c in number if c.isascii() and c.isdigit())[-9:]


def search_names(traits: Traits) -> frozenset[tuple[str, str]]:
    """The folded names under which a record is found: ``("F", family)`` and ``("G", given)``.

    A compound name is found whole and by each of its parts.
    """
    families = [traits.birth_family_name, traits.used_family_name]
    givens = [traits.first_birth_given_name, traits.used_given_name, *traits.birth_given_names]
    found: set[tuple[str, str]] = set()
    for part, names in (("F", families), ("G", givens)):
        for name in names:
            whole = fold(name or "")
            if whole:
                found.add((part, whole))
                found.update((part, word) for word in whole.split() if len(word) > 1)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class NameCriterion:
    """A name asked for.

    Attributes:
        text: folded, not empty.
        exact: the whole name, instead of its first letters.
    """

    text: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PatientSearch:
    """Demographic criteria; all that are given must hold (of several values for one, any).

    Attributes:
        keys: records by local id; of several, any.
        record_ids: records by internal id; of several, any.
        families: birth or used family name.
        givens: any given name; every one must be found.
        birth_dates: as precise as given (a year finds all its days).
        postal_codes: whole codes.
        cities: names, or their first letters.
        streets: street lines, or their first letters.
        mothers: the mother's name at birth.
        phones: as :func:`phone_key` makes them.
        domains: answer only with patients known in these domains; empty means all. The regional domain knows all, a
            national one those with a qualified INS of its own.
        limit: at most so many records; the search refuses rather than cut silently.
        offset: how many to leave out, in the stable order (birth date, domain, local id).
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
    domains: tuple[str, ...] = ()
    limit: int = 50
    offset: int = 0

    @property
    def is_bounded(self) -> bool:
        """Whether the criteria select enough to be answered at a bounded cost."""
        return bool(self.keys or self.record_ids or self.families or self.givens or self.birth_dates or self.phones)
