"""How far two records agree, field by field: a level for each field, nothing weighed yet.

One definition serves the online scorer, the bulk linker and the trainer. Fields that depend on each other
are judged together here: crossed family and given names, the used names, and the contact details, which say
"same household" rather than "same person" once the given names differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA, JaroWinkler

from mpi.domain.cleaning import Cleaned
from mpi.domain.facts import given_name_bits, is_epicene, name_sex, surname_surprisal
from mpi.domain.levels import FAMILY_SAME, GIVEN_DIFFERS, Birth, Contact, Family, Given, Ins, Origin, Place, SexLevel
from mpi.domain.names_fr import core, joined, parts, same_person_name
from mpi.domain.phonetics_fr import sound, spelling
from mpi.domain.places import department, is_country, is_native, is_renamed

KNOWN_SURNAME_BITS = 16.5
"""A surname commoner than this is taken as a name of its own, not as a misspelling of another."""
KNOWN_GIVEN_BITS = 13.0


class Agreement(NamedTuple):
    """The level of each field, and the names that agreed (empty: none did)."""

    family: int
    given: int
    birth: int
    sex: int
    place: int
    ins: int
    contact: int
    mother: int
    rank: int
    death: int
    family_name: str
    given_name: str

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels alone, in the order of :data:`FIELDS`."""
        return self[:10]


def compare(a: Cleaned, b: Cleaned) -> Agreement:
    """Compare two records; symmetric."""
    family, family_name = compare_family(a.family, a.used_family, b.family, b.used_family)
    given, given_name = compare_given(a.first, a.given, a.used_given, b.first, b.given, b.used_given)
    if family not in FAMILY_SAME and given >= Given.INITIAL and is_crossed(a.family, a.first, b.family, b.first):
        family, family_name, given, given_name = Family.CROSSED, "", Given.CROSSED, ""
    return Agreement(
        family,
        given,
        compare_birth(a, b),
        compare_sex(a.sex, b.sex, a.first, b.first),
        compare_place(a.place, b.place, max(a.year, b.year)),
        compare_ins(a, b),
        compare_contact(a, b, given in GIVEN_DIFFERS),
        compare_mother(a.mother, b.mother),
        compare_equal(a.birth_rank, b.birth_rank),
        compare_equal(a.death, b.death),
        family_name,
        given_name,
    )


@lru_cache(maxsize=1 << 18)
def compare_family(family_a: str, used_a: str, family_b: str, used_b: str) -> tuple[int, str]:
    """Level of the family names, and the name they share."""
    if family_a and family_a == family_b:
        return (Family.SAME_AND_USED if used_a and used_a == used_b else Family.SAME), family_a
    if not (family_a or used_a) or not (family_b or used_b):
        return Family.MISSING, ""
    if not family_a and not family_b:
        level = relate_families(used_a, used_b)
        return (Family.USED if level == Family.SAME else level), _commoner(used_a, used_b)
    found: list[tuple[int, float, str]] = []
    for one, other in ((family_a, family_b), (family_a, used_b), (used_a, family_b), (used_a, used_b)):
        if one and other:
            level = relate_families(one, other)
            if level == Family.SAME and not (one is family_a and other is family_b):
                level = Family.USED
            shared = _commoner(one, other)
            found.append((level, surname_surprisal().get(shared, 99.0), shared))
    best, _, shared = min(found)
    if best == Family.DIFFERENT:
        return (best if used_a and used_b else Family.DIFFERENT_USED_POSSIBLE), ""
    return best, shared


@lru_cache(maxsize=1 << 18)
def relate_families(one: str, other: str) -> int:
    """Level of two family names alone: SAME, PART, MISSPELT, CLOSE, NEAR or DIFFERENT."""
    whole_one, whole_other = joined(one), joined(other)
    if whole_one == whole_other or (core(one) == core(other) and len(core(one)) > 2):
        return Family.SAME
    if " " in one or " " in other:
        parts_one, parts_other = set(parts(one)), set(parts(other))
        if parts_one & parts_other or sorted(one.split(" ")) == sorted(other.split(" ")):
            return Family.PART
    shorter = min(len(whole_one), len(whole_other))
    edits = OSA.distance(whole_one, whole_other, score_cutoff=2)
    alike = sound(one) == sound(other)
    if (edits == 1 and shorter >= 3) or (alike and shorter >= 4 and edits <= 2):
        return Family.CLOSE if _known_surname(one) and _known_surname(other) else Family.MISSPELT
    if alike and shorter >= 4:
        return Family.CLOSE
    # A short name that is two letters off, or a letter of two, is most often another one: not where one is no name.
    if edits <= 2 and shorter > edits and (shorter >= 6 or not (_known_surname(one) and _known_surname(other))):
        return Family.NEAR
    if shorter >= 5 and (whole_one.startswith(whole_other) or whole_other.startswith(whole_one)):
        return Family.NEAR
    if shorter >= 5 and JaroWinkler.similarity(whole_one, whole_other) >= 0.92:
        return Family.NEAR
    return Family.DIFFERENT


_WRITTEN_OTHERWISE = frozenset({Given.MISSPELT, Given.SPELLING, Given.DIMINUTIVE})


@lru_cache(maxsize=1 << 18)
def compare_given(first_a: str, given_a: str, used_a: str, first_b: str, given_b: str, used_b: str) -> tuple[int, str]:
    """Level of the given names, and the name they share."""
    if not (first_a or used_a) or not (first_b or used_b):
        return Given.MISSING, ""
    words_a, words_b = given_a.split(" "), given_b.split(" ")
    if first_a == first_b or joined(first_a) == joined(first_b):
        return _compare_lists(words_a, first_a, words_b, first_b), max(first_a, first_b)
    if used := {used_a, first_a} & {used_b, first_b} - {""}:
        others = _is_anothers_list(first_a, words_b, first_b) or _is_anothers_list(first_b, words_a, first_a)
        if others and used_a != used_b:
            return Given.COMPOUND_CONFLICT, ""
        return Given.USED, min(used)
    if first_a and first_b:
        level = _compare_words(words_a, first_a, words_b, first_b)
        if level:
            return level, (_shorter(first_a, first_b) if level < Given.INITIAL else "")
    best = min(relate_given(one, other) for one in (first_a, used_a) if one for other in (first_b, used_b) if other)
    if first_a and first_b and _is_borne_out(best, words_a, first_a, words_b, first_b):
        best = Given.MISSPELT
    if best in _WRITTEN_OTHERWISE and _compare_lists(words_a, first_a, words_b, first_b) == Given.LISTS_CONFLICT:
        # MICHAEL MAURICE and MICKAEL MARIE are twins rather than two spellings.
        return Given.COMPOUND_CONFLICT, ""
    return best, (_commoner_given(first_a or used_a, first_b or used_b) if best < Given.INITIAL else "")


def _is_anothers_list(first: str, words: list[str], head: str) -> bool:
    """Whether a list goes on beyond its own first name without the first name of the other record."""
    further = words[head.count(" ") + 1 :]
    return bool(first and head and further) and not any(word in words for word in first.split(" "))


def _compare_lists(words_a: list[str], first_a: str, words_b: list[str], first_b: str) -> Given:
    """Level of two lists that begin with the same first name."""
    rest_a, rest_b = words_a[first_a.count(" ") + 1 :], words_b[first_b.count(" ") + 1 :]
    if not rest_a or not rest_b:
        return Given.FIRST
    if all(x == y or _misspelt(x, y) for x, y in zip(rest_a, rest_b, strict=False)):
        return Given.LIST
    if any(_is_listed(x, rest_b) for x in rest_a[:1]) or any(_is_listed(y, rest_a) for y in rest_b[:1]):
        return Given.FIRST
    return Given.LISTS_CONFLICT


def _is_listed(name: str, words: list[str]) -> bool:
    return any(name == word or _misspelt(name, word) for word in words)


def _compare_words(words_a: list[str], first_a: str, words_b: list[str], first_b: str) -> int:
    """Level of two different first names, by the words they are made of and the lists they stand in; 0: no relation."""
    head_a, head_b = first_a.split(" "), first_b.split(" ")
    if _are_initials(head_a, head_b):
        return Given.INITIAL
    if len(head_a) > 1 or len(head_b) > 1:
        return _compare_compounds(words_a, head_a, words_b, head_b)
    if first_a in words_b and first_b in words_a:
        # Each bears the other's name further back in the list: so do twins.
        return Given.COMPOUND_CONFLICT
    if first_a in words_b or first_b in words_a:
        longer, shorter = (words_b, words_a) if first_a in words_b else (words_a, words_b)
        # A list of its own that goes on differently is another person's.
        return Given.LISTED if all(word in longer for word in shorter) else Given.COMPOUND_CONFLICT
    return 0


def _is_borne_out(level: int, words_a: list[str], first_a: str, words_b: list[str], first_b: str) -> bool:
    """Whether the same names follow: one after a diminutive, two after a slip, of which twins share one at most."""
    rest_a, rest_b = _further(words_a, first_a.split(" ")), _further(words_b, first_b.split(" "))
    if level == Given.DIMINUTIVE:
        return rest_a == rest_b != []
    if level != Given.SIMILAR or len(rest_a) < 2 or rest_a != rest_b:
        return False
    one, other = joined(first_a), joined(first_b)
    return sound(one) == sound(other) or OSA.distance(one, other, score_cutoff=1) <= 1


def _compare_compounds(words_a: list[str], head_a: list[str], words_b: list[str], head_b: list[str]) -> int:
    shortest, longest = min(len(head_a), len(head_b)), max(len(head_a), len(head_b))
    if words_a[:shortest] == words_b[:shortest]:
        rest = list(zip(words_a[shortest:longest], words_b[shortest:longest], strict=False))
        if shortest < longest and all(x == y or _misspelt(x, y) for x, y in rest):
            return Given.PREFIX
        if shortest < longest and _further(words_a, head_a) == _further(words_b, head_b) != []:
            # The compound was cut, the list after it kept.
            return Given.PREFIX
        longer, listed = (words_a, words_b) if len(head_a) > len(head_b) else (words_b, words_a)
        if shortest == 1 and set(longer[:longest]) <= set(listed):
            return Given.LISTED
        return Given.COMPOUND_CONFLICT
    if set(head_a) & set(head_b):
        if head_a[::-1] == head_b:
            return Given.LISTED
        if shortest == 1:
            part, whole = (words_a, words_b) if len(head_a) == 1 else (words_b, words_a)
            return Given.LISTED if set(part) <= set(whole) else Given.COMPOUND_CONFLICT
        if not all(x == y or _misspelt(x, y) for x, y in zip(head_a, head_b, strict=False)):
            return Given.MISSPELT if _is_slip(" ".join(head_a), " ".join(head_b)) else Given.COMPOUND_CONFLICT
        return Given.MISSPELT
    single, compound = (head_a, head_b) if len(head_a) == 1 else (head_b, head_a)
    listed, others = (words_b, words_a) if single is head_a else (words_a, words_b)
    if shortest == 1 and single[0] in listed:
        return Given.LISTED if set(others) <= set(listed) else Given.COMPOUND_CONFLICT
    if shortest == 1 and set(compound) <= set(others):
        return Given.LISTED
    return 0


def _further(words: list[str], head: list[str]) -> list[str]:
    return words[len(head) :]


def _is_slip(one: str, other: str) -> bool:
    """Whether one of two compounds is no name at all and a single slip away from the other."""
    return OSA.distance(one, other, score_cutoff=1) <= 1 and not (_known_given(one) and _known_given(other))


def _are_initials(head_a: list[str], head_b: list[str]) -> bool:
    """Whether one first name abbreviates the other: ``J PIERRE``, ``JP``, ``P``."""
    if len(head_a) == len(head_b):
        short = [(x, y) for x, y in zip(head_a, head_b, strict=True) if x != y]
        return all(min(len(x), len(y)) == 1 and x[0] == y[0] for x, y in short)
    for one, other in ((head_a, head_b), (head_b, head_a)):
        if len(one) == 1 and len(other) > 1 and one[0] == "".join(word[0] for word in other):
            return True
    return False


@lru_cache(maxsize=1 << 18)
def relate_given(one: str, other: str) -> int:
    """Level of two first names alone: FIRST, DIMINUTIVE, MISSPELT, SPELLING, INITIAL, SIMILAR or DIFFERENT."""
    whole_one, whole_other = joined(one), joined(other)
    if whole_one == whole_other:
        return Given.FIRST
    if same_person_name(one, other):
        return Given.DIMINUTIVE
    shorter = min(len(whole_one), len(whole_other))
    if shorter == 1:
        return Given.INITIAL if whole_one[0] == whole_other[0] else Given.DIFFERENT
    if spelling(whole_one) == spelling(whole_other):
        sexes = {name_sex(one), name_sex(other)}
        return Given.SIMILAR if sexes == {"M", "F"} else Given.SPELLING
    # In names of up to four letters a second edit leaves nothing in common.
    edits = OSA.distance(whole_one, whole_other, score_cutoff=2)
    near = edits <= (2 if shorter >= 5 else 1)
    alike = sound(one) == sound(other)
    if _known_given(one) and _known_given(other):
        return Given.SIMILAR if near or alike else Given.DIFFERENT
    if (edits == 1 and shorter >= 3) or (alike and edits <= 2 and shorter >= 3) or (edits == 2 and shorter >= 6):
        return Given.MISSPELT
    if alike or near:
        return Given.SIMILAR
    if shorter >= 3 and (whole_one.startswith(whole_other) or whole_other.startswith(whole_one)):
        return Given.SIMILAR
    return Given.DIFFERENT


def is_crossed(family_a: str, first_a: str, family_b: str, first_b: str) -> bool:
    """Whether family name and first given name changed places; one of both may be misspelt."""
    if not (family_a and first_a and family_b and first_b):
        return False
    one = (joined(family_a), joined(first_b))
    other = (joined(first_a), joined(family_b))
    if one[0] != one[1] and other[0] != other[1]:
        return False
    return all(x == y or (min(len(x), len(y)) >= 4 and OSA.distance(x, y) <= 1) for x, y in (one, other))


def compare_birth(a: Cleaned, b: Cleaned) -> int:
    """Level of the birth dates."""
    if not a.year or not b.year:
        return Birth.MISSING
    default_a, default_b = a.is_default_date, b.is_default_date
    if a.year == b.year:
        if a.month == b.month and a.day == b.day and a.day:
            # Those born in France are registered with their date: it is theirs, even on the 1st of January.
            native = (is_native(a.place) or is_native(b.place)) and not (a.interpreted or b.interpreted)
            return Birth.SAME_DEFAULT if default_a and default_b and not native else Birth.SAME
        if not a.month or not b.month:
            return Birth.SAME_YEAR
        if not a.day or not b.day:
            return Birth.SAME_MONTH if a.month == b.month else Birth.DIFFERENT
        if default_a or default_b:
            return Birth.DEFAULT_YEAR
        if a.day == b.month and a.month == b.day:
            return Birth.SWAPPED
    if not a.day or not b.day:
        return Birth.DIFFERENT
    if abs(a.year - b.year) == 100 and a.month == b.month and a.day == b.day:
        return Birth.CENTURY
    if _one_digit(a.year * 10000 + a.month * 100 + a.day, b.year * 10000 + b.month * 100 + b.day):
        return Birth.DIFFERENT if default_a and default_b else Birth.ONE_DIGIT
    agreeing = (a.year == b.year) + (a.month == b.month) + (a.day == b.day)
    if agreeing == 2 and not (default_a or default_b) and abs(a.year - b.year) <= 10:
        return Birth.TWO_PARTS
    return Birth.DIFFERENT


def _one_digit(one: int, other: int) -> bool:
    """Whether two dates of eight digits differ in one digit or in two neighbours that changed places."""
    text_one, text_other = f"{one:08d}", f"{other:08d}"
    differing = [i for i in range(8) if text_one[i] != text_other[i]]
    if len(differing) == 1:
        return True
    if len(differing) != 2 or differing[1] != differing[0] + 1:
        return False
    i, j = differing
    return text_one[i] == text_other[j] and text_one[j] == text_other[i]


def compare_sex(sex_a: str, sex_b: str, first_a: str, first_b: str) -> int:
    """Level of the sexes."""
    if not sex_a or not sex_b:
        return SexLevel.MISSING
    if sex_a == sex_b:
        return SexLevel.SAME
    return SexLevel.DIFFERENT_EPICENE if is_epicene(first_a) or is_epicene(first_b) else SexLevel.DIFFERENT


def compare_place(place_a: str, place_b: str, year: int) -> int:
    """Level of the birthplaces, ``year`` being that of a birth (0 when not known)."""
    if not place_a or not place_b:
        return Place.MISSING
    if place_a == place_b:
        return Place.COUNTRY if is_country(place_a) else Place.SAME
    if is_renamed(place_a, place_b, year):
        return Place.RENAMED
    if department(place_a) == department(place_b) and not is_country(place_a):
        return Place.DEPARTMENT
    return Place.DIFFERENT


def compare_ins(a: Cleaned, b: Cleaned) -> int:
    """Level of the matricules; those of two authorities are not comparable."""
    if not a.ins or not b.ins or a.ins_oid != b.ins_oid:
        return Ins.MISSING
    if a.ins == b.ins:
        if a.qualified and b.qualified:
            return Ins.SAME_QUALIFIED
        if not (a.ins_own and b.ins_own):
            return Ins.SAME_BORROWED
        return Ins.SAME_HALF_QUALIFIED if a.qualified or b.qualified else Ins.SAME
    if a.qualified and b.qualified:
        return Ins.DIFFERENT_QUALIFIED
    if len(a.ins) == len(b.ins) and OSA.distance(a.ins, b.ins, score_cutoff=1) <= 1:
        return Ins.CLOSE
    return Ins.DIFFERENT if a.ins_own and b.ins_own else Ins.MISSING


def compare_contact(a: Cleaned, b: Cleaned, given_differs: bool) -> int:
    """Level of phone, e-mail and address together."""
    phone = bool(a.phone and a.phone == b.phone)
    personal = bool(a.email and a.email == b.email)
    address = bool(a.street and a.postal == b.postal and same_street(a.street, b.street))
    if given_differs:
        if personal:
            return Contact.HOUSEHOLD_PERSONAL
        if phone or address:
            return Contact.HOUSEHOLD
        known = (a.phone and b.phone) or (a.street and b.street)
        return Contact.NOT_HOUSEHOLD if known else Contact.MISSING
    if personal:
        return Contact.PERSONAL_AND_ADDRESS if address else Contact.PERSONAL
    if phone:
        return Contact.PHONE_AND_ADDRESS if address else Contact.PHONE
    if address:
        return Contact.ADDRESS
    if a.postal and b.postal:
        return Contact.AREA if a.postal == b.postal else Contact.DIFFERENT
    if a.city and b.city:
        return Contact.AREA if a.city == b.city else Contact.DIFFERENT
    return Contact.MISSING


@lru_cache(maxsize=1 << 17)
def same_street(one: str, other: str) -> bool:
    """Whether two street lines are one address, a misspelling allowed but not another number."""
    if one == other:
        return True
    if not one or not other or one.split(" ", maxsplit=1)[0] != other.split(" ", maxsplit=1)[0]:
        return False
    return OSA.distance(one, other, score_cutoff=2) <= 2


@lru_cache(maxsize=1 << 16)
def compare_mother(one: str, other: str) -> int:
    """Level of the mothers' birth names."""
    if not one or not other:
        return Origin.MISSING
    return Origin.SAME if one == other or relate_families(one, other) <= Family.MISSPELT else Origin.DIFFERENT


def compare_equal(one: int, other: int) -> int:
    """Level of two numbers, 0 meaning not known."""
    if not one or not other:
        return Origin.MISSING
    return Origin.SAME if one == other else Origin.DIFFERENT


@lru_cache(maxsize=1 << 17)
def _misspelt(one: str, other: str) -> bool:
    """Whether two given names are one name written differently."""
    return relate_given(one, other) in (Given.MISSPELT, Given.SPELLING, Given.FIRST)


def _known_surname(name: str) -> bool:
    return surname_surprisal().get(name, 99.0) <= KNOWN_SURNAME_BITS


def _known_given(name: str) -> bool:
    bits = given_name_bits(name, "", 0)
    return bits is not None and bits <= KNOWN_GIVEN_BITS


def _commoner(one: str, other: str) -> str:
    """The commoner of two surnames; at equal rarity the first in the alphabet, so that order does not matter."""
    bits = surname_surprisal()
    return min((one, other), key=lambda name: (bits.get(name, 99.0), name))


def _commoner_given(one: str, other: str) -> str:
    return min((one, other), key=lambda name: (given_name_bits(name, "", 0) or 99.0, name))


def _shorter(one: str, other: str) -> str:
    return min((one, other), key=lambda name: (len(name), name))
