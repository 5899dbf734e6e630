"""Which records are worth comparing: records that share at least one of several independent keys.

Keys depend on the record alone, never on what arrived before it, so the set of compared pairs is the same in
every order. A key that would be shared by too many is made selective by static rarity: common names are
joined by more of the birth date. Placeholders and unknown values make no key.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from mpi.domain.cleaning import Cleaned
from mpi.domain.facts import given_name_bits, surname_surprisal
from mpi.domain.generic import house_and_street
from mpi.domain.names_fr import parts
from mpi.domain.phonetics_fr import sound
from mpi.domain.places import is_country

_COMMON_PAIR_BITS = 17.0
"""Family and given name together commoner than this are joined by a part of the birth date."""


def keys(cleaned: Cleaned, *, french: bool = True) -> tuple[int, ...]:
    """Blocking keys as signed 64-bit numbers, sorted, each once; stable across processes and versions of Python.

    Args:
        french: the keys of a French model, or those of a generic one.
    """
    return tuple(sorted({_hash(text) for text in key_texts(cleaned, french=french)}))


def key_texts(cleaned: Cleaned, *, french: bool = True) -> set[str]:
    """The keys in readable form, for explanation: what is compared, then the values."""
    return _french_texts(cleaned) if french else generic_texts(cleaned)


def _french_texts(cleaned: Cleaned) -> set[str]:
    found: set[str] = set()
    families = _family_words(cleaned.family, cleaned.used_family)
    givens = _given_words(cleaned.first, cleaned.used_given)
    year, month, day = cleaned.year, cleaned.month, cleaned.day
    home = ""
    if cleaned.street:
        street = cleaned.street.split(" ")
        home = f"{cleaned.postal}:{street[0]}:{sound(street[-1])}"
    if day:
        low, high = (month, day) if month <= day else (day, month)
        date = f"{year}-{low}-{high}"
        default = cleaned.is_default_date
        if cleaned.phone:
            found.add(f"dp:{date}:{cleaned.phone}")
        if cleaned.street:
            found.add(
                f"ds:{date}:{cleaned.postal}:{cleaned.street.split(' ')[0]}:{sound(cleaned.street.split(' ')[-1])}"
            )
        for family in families:
            found.add(f"df:{date}:{sound(family) if default else _head(sound(family))}")
        for given in givens:
            found.add(f"dg:{date}:{sound(given) if default else _head(sound(given))}")
    for family in families:
        family_sound = sound(family)
        for given in givens:
            given_sound = sound(given)
            names = f"{family_sound}+{given_sound}" if family_sound < given_sound else f"{given_sound}+{family_sound}"
            if _pair_bits(family, given) >= _COMMON_PAIR_BITS:
                found.add(f"n:{names}")
            else:
                if year:
                    found.add(f"ny:{names}:{year}")
                if day:
                    found.add(f"nd:{names}:{day}")
                    found.add(f"nm:{names}:{month}")
                if cleaned.postal:
                    found.add(f"np:{names}:{cleaned.postal}")
        if year:
            initials = sorted({given[0] for given in givens})
            for initial in initials:
                found.add(f"fy:{family[:4]}:{initial}:{year}" + _refinement(family, month))
    if home:
        found.update(f"a:{home}:{given[0]}" for given in givens)
    if len(cleaned.place) == 5 and not is_country(cleaned.place):
        for given in givens:
            found.update(
                f"l:{cleaned.place}:{sound(given)}:{_head(sound(family))}:{cleaned.day}" for family in families
            )
    if cleaned.ins:
        found.add(f"i:{cleaned.ins}")
    if cleaned.phone and givens:
        found.update(f"p:{cleaned.phone}:{given[:1]}" for given in givens)
    elif cleaned.phone:
        found.add(f"p:{cleaned.phone}:{year}")
    if cleaned.email:
        found.add(f"e:{cleaned.email}")
    return found


def generic_texts(cleaned: Cleaned) -> set[str]:
    """Keys that know no country: pairs of number, date, names, home and area, in forms that bear a slip."""
    found: set[str] = set()
    year, month, day = cleaned.year, cleaned.month, cleaned.day
    heads = {name.replace(" ", "")[:3] for name in (cleaned.family, cleaned.first) if name}
    house, street = house_and_street(cleaned.street)
    street = street.replace(" ", "")
    # Sorted, so that digits which changed places do not matter.
    postal = "".join(sorted(cleaned.postal))
    if cleaned.ins:
        half = len(cleaned.ins) // 2
        found |= {f"i:{cleaned.ins}", f"ih:{cleaned.ins[:half]}:{year}", f"it:{cleaned.ins[half:]}:{year}"}
    if day:
        found.add(f"d:{year}-{month}-{day}")
    for head in heads:
        # A name may stand in the place of the other, so both make the same keys.
        if day:
            found |= {f"ny:{head}:{year}:{month}", f"nd:{head}:{month}:{day}", f"nx:{head}:{year}:{day}"}
        if postal:
            found.add(f"np:{head}:{postal}")
        if cleaned.city:
            found.add(f"nc:{head}:{cleaned.city[:5]}")
        if house:
            found.add(f"nh:{head}:{house}:{street[:1]}")
        if street:
            found.add(f"ns:{head}:{street[:5]}")
    if len(heads) == 2:
        found.add("n:" + ":".join(sorted(heads)))
    if house:
        found |= {f"hp:{house}:{postal}", f"hs:{house}:{street[:4]}"}
    if street and postal:
        found.add(f"sp:{street[:4]}:{postal}")
    if cleaned.phone:
        found.add(f"p:{cleaned.phone}")
    if cleaned.email:
        found.add(f"e:{cleaned.email}")
    return found


def _refinement(family: str, month: int) -> str:
    """The month of birth for a family name borne by more than one in 4,000."""
    return f":{month}" if month and surname_surprisal().get(family, 99.0) < 12.0 else ""


def _head(code: str) -> str:
    return code[:2]


@lru_cache(maxsize=1 << 17)
def _family_words(family: str, used_family: str) -> tuple[str, ...]:
    words: set[str] = set()
    for name in (family, used_family):
        if name:
            found = parts(name)
            words.update(found)
            if len(found) > 1 and len(name) < 16:
                words.add(name.replace(" ", ""))
    return tuple(sorted(words))


@lru_cache(maxsize=1 << 17)
def _given_words(first: str, used_given: str) -> tuple[str, ...]:
    return tuple(sorted({name.split(" ")[0] for name in (first, used_given) if name}))


@lru_cache(maxsize=1 << 17)
def _pair_bits(family: str, given: str) -> float:
    return surname_surprisal().get(family, 18.0) + min(given_name_bits(given, "", 0) or 13.0, 13.0)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
