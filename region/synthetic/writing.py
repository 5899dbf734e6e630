"""How each site writes: spelling of names, charset, local numbers; and what it writes down of a person.

Three generations of French writing rules live side by side: capitals without any sign (STIC, 2013 instruction),
capitals with hyphens and apostrophes (RNIV), and free text with accents.
"""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, Traits
from region.synthetic.civil_status import INS_NIR, Person
from region.synthetic.vocabulary import STREETS


class Spelling(Enum):
    """A generation of writing rules for names."""

    BARE_CAPITALS = "bare capitals"
    RNIV_CAPITALS = "capitals, hyphens, apostrophes"
    FREE = "free text"

    def write(self, name: str) -> str:
        """The name under these rules."""
        if self is Spelling.FREE:
            return name
        capitals = plain(name).upper()
        if self is Spelling.BARE_CAPITALS:
            return " ".join(capitals.replace("-", " ").replace("'", " ").split())
        return capitals


def without_ligatures(text: str) -> str:
    """With œ and æ written as two letters."""
    for ligature, letters in (("œ", "oe"), ("Œ", "Oe"), ("æ", "ae"), ("Æ", "Ae")):
        text = text.replace(ligature, letters)
    return text


def plain(text: str) -> str:
    """Without accents and ligatures."""
    return "".join(c for c in unicodedata.normalize("NFD", without_ligatures(text)) if not unicodedata.combining(c))


@dataclass(frozen=True, slots=True)
class Hand:
    """How one site writes its messages.

    Attributes:
        spelling: of names, except in qualified identities, which INSi spells.
        charset: MSH-18.
        codec: the Python codec of that charset.
        local_id: format of its local numbers, taking an integer.
        first_number: first local number it gives.
        zoned: whether its times carry a zone.
        version: MSH-12.3 of PAM France.
    """

    spelling: Spelling
    charset: str
    codec: str
    local_id: str
    first_number: int
    zoned: bool
    version: str = "2.11"

    def write(self, name: str) -> str:
        """A name as this site writes it; ligatures go where its charset has none."""
        written = self.spelling.write(name)
        try:
            written.encode(self.codec)
        except UnicodeEncodeError:
            return without_ligatures(written)
        return written


_UTF_8 = ("UNICODE UTF-8", "utf-8")
_LATIN_1 = ("8859/1", "iso8859-1")
_LATIN_9 = ("8859/15", "iso8859-15")

HANDS = {
    "CHUSE": Hand(Spelling.RNIV_CAPITALS, *_UTF_8, "80{:08d}", 1204511, True),
    "GIER": Hand(Spelling.BARE_CAPITALS, *_LATIN_9, "{:06d}", 4021, False, "2.10"),
    "MONTBRISON": Hand(Spelling.FREE, *_LATIN_1, "M{:07d}", 31207, False, "2.10"),
    "FIRMINY": Hand(Spelling.RNIV_CAPITALS, *_UTF_8, "{:08d}", 5530118, True),
    "FEURS": Hand(Spelling.BARE_CAPITALS, *_LATIN_1, "{:06d}", 4007, False, "2.10"),
    "ROANNE": Hand(Spelling.RNIV_CAPITALS, *_LATIN_9, "R{:07d}", 220415, True),
    "ANNONAY": Hand(Spelling.FREE, *_UTF_8, "{:07d}", 1100203, True, "2.11.1"),
    "MFL": Hand(Spelling.FREE, *_LATIN_9, "MFL{:06d}", 70011, False),
    "IRMAS": Hand(Spelling.BARE_CAPITALS, *_LATIN_1, "I{:06d}", 9015, False, "2.10"),
    "ICL": Hand(Spelling.RNIV_CAPITALS, *_UTF_8, "ICL-{:06d}", 15020, True, "2.11.2"),
}
"""By domain code. GIER and FEURS number alike, so that one number means different people at each."""


def write_down(person: Person, site: str, status: IdentityStatus, rng: random.Random) -> Traits:
    """What a site records of a person at a visit.

    Qualified identities have INSi's traits; validated ones are right but may be incomplete; provisional ones may
    hold one mistake.

    Raises:
        ValueError: status ``QUAL`` for a person without INS.
    """
    if status is IdentityStatus.QUAL:
        return _qualified(person, site, rng)
    hand = HANDS[site]
    checked = status is IdentityStatus.VALI
    born = _stated_birth_date(person, rng)
    twin = person.birth_rank is not None and rng.random() < 0.8
    complete = rng.random() < (0.85 if checked else 0.45)
    traits = replace(
        _used_names(_contact(person, rng), person, hand, 0.85 if checked else 0.6, rng),
        birth_family_name=hand.write(person.family_name),
        birth_given_names=tuple(map(hand.write, person.given_names)) if complete else (),
        first_birth_given_name=hand.write(person.given_names[0]),
        sex=person.sex,
        birth_date=born,
        birth_date_interpreted=not person.date_known and born.is_full and rng.random() < 0.7,
        birth_place_code=person.birth_place if rng.random() < (0.9 if checked else 0.55) else None,
        identity_status=status,
        mother_family_name=hand.write(person.mother_family_name) if person.mother_family_name else None,
        multiple_birth=True if twin else None,
        birth_order=person.birth_rank if twin else None,
    )
    return traits if checked else _with_one_mistake(traits, person, hand, rng)


def _qualified(person: Person, site: str, rng: random.Random) -> Traits:
    """The identity as INSi returns it, checked on a document, with the INS."""
    if person.ins is None:
        raise ValueError("a person without INS cannot be qualified")
    insi = Spelling.RNIV_CAPITALS.write
    born = person.birth_date
    return replace(
        _used_names(_contact(person, rng), person, HANDS[site], 0.85, rng),
        birth_family_name=insi(person.family_name),
        birth_given_names=tuple(map(insi, person.given_names)),
        first_birth_given_name=insi(person.given_names[0]),
        sex=person.sex,
        birth_date=PartialDate(born.year, born.month, born.day),
        birth_date_interpreted=not person.date_known,
        birth_place_code=person.birth_place,
        ins=person.ins,
        ins_oid=INS_NIR,
        identity_status=IdentityStatus.QUAL,
        mother_family_name=insi(person.mother_family_name) if person.mother_family_name else None,
        multiple_birth=True if person.birth_rank else None,
        birth_order=person.birth_rank,
    )


def _with_one_mistake(traits: Traits, person: Person, hand: Hand, rng: random.Random) -> Traits:
    """Up to one time in five, the traits with one of the mistakes that admission desks make; else unchanged."""
    draw = rng.random()
    family, given, born = traits.birth_family_name, traits.first_birth_given_name, traits.birth_date
    if not family or not given or born is None:
        return traits
    if draw < 0.05:
        return replace(traits, birth_family_name=mistyped(family, rng))
    if draw < 0.08:
        return replace(traits, first_birth_given_name=mistyped(given, rng), birth_given_names=())
    if draw < 0.095:  # family and given name crossed
        return replace(traits, birth_family_name=given, first_birth_given_name=family, birth_given_names=())
    if draw < 0.125 and traits.used_family_name:  # the married name taken for the birth name
        return replace(traits, birth_family_name=traits.used_family_name, used_family_name=None, used_given_name=None)
    if draw < 0.14 and len(person.given_names) > 1:  # called by another of the given names
        return replace(traits, first_birth_given_name=hand.write(person.given_names[1]), birth_given_names=())
    if draw < 0.16 and "-" in person.given_names[0]:  # half of a compound given name
        half = hand.write(person.given_names[0].split("-")[0])
        return replace(traits, first_birth_given_name=half, birth_given_names=())
    if born.month is None or born.day is None:
        return traits
    if draw < 0.175 and born.day <= 12:  # day and month crossed
        return replace(traits, birth_date=PartialDate(born.year, born.day, born.month))
    if draw < 0.185 and born.day <= 28 and born.year < 2020:
        return replace(traits, birth_date=PartialDate(born.year + rng.choice((-1, 1)), born.month, born.day))
    if draw < 0.195:
        near = date(born.year, born.month, born.day) - timedelta(days=rng.choice((1, 10)))
        return replace(traits, birth_date=PartialDate(near.year, near.month, near.day))
    return traits


def mistyped(name: str, rng: random.Random) -> str:
    """The name with two letters crossed, one lost, one doubled or one replaced; never its first."""
    at = rng.randrange(1, max(2, len(name) - 1))
    kind = rng.randrange(4)
    if kind == 0 and at + 1 < len(name) and name[at] != name[at + 1]:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    if kind == 1 and len(name) > 4:
        return name[:at] + name[at + 1 :]
    if kind == 2:
        return name[: at + 1] + name[at:]
    letter = rng.choice("AEIOULNRST")
    return name[:at] + (letter if name[at].isupper() else letter.lower()) + name[at + 1 :]


def _contact(person: Person, rng: random.Random) -> Traits:
    """Address and phone as given at one visit: one person in five has moved, one in four gives another phone."""
    moved = rng.random() < 0.2
    draw = rng.random()
    street = f"{rng.randint(1, 99)} {rng.choice(STREETS)}" if moved else person.street
    phone = f"063998{rng.randint(0, 9999):04d}" if draw < 0.25 else person.phone if draw < 0.8 else None
    return Traits(address=street, postal_code=person.postal_code, city=person.city, phone=phone)


def _used_names(traits: Traits, person: Person, hand: Hand, chance: float, rng: random.Random) -> Traits:
    if rng.random() >= chance or not (person.used_family_name or person.used_given_name):
        return traits
    return replace(
        traits,
        used_family_name=hand.write(person.used_family_name or person.family_name),
        used_given_name=hand.write(person.used_given_name or person.given_names[0]),
    )


def _stated_birth_date(person: Person, rng: random.Random) -> PartialDate:
    """The birth date; where only the year is known, one of the ways to write that."""
    born = person.birth_date
    if person.date_known:
        return PartialDate(born.year, born.month, born.day)
    return rng.choices(
        (PartialDate(born.year, 12, 31), PartialDate(born.year, 1, 1), PartialDate(born.year)), (6, 3, 1)
    )[0]
