"""Many pairs at once: the levels, weights and vetoes of :mod:`mpi.domain.scoring` over columns.

Same definition, same bits: names are compared once for each distinct pair of spellings, by the same functions;
cheap tests only leave out pairs of spellings that those functions would call different. A test compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from mpi.domain import places
from mpi.domain.births import birth_levels, years_exchanged
from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import compare_family, compare_given, compare_mother, compare_place, is_crossed, same_street
from mpi.domain.facts import is_civil_name, is_cut_short, is_epicene, name_sex
from mpi.domain.gates import Bools, Gate, Ints
from mpi.domain.grades import grade_from, grade_of
from mpi.domain.levels import (
    FAMILY_SAME,
    FIELDS,
    GIVEN_DIFFERS,
    Contact,
    Family,
    Given,
    Ins,
    Origin,
    Place,
    SexLevel,
)
from mpi.domain.model import MatchModel, NameOrigin, units
from mpi.domain.names_fr import core, formal_names, joined, parts
from mpi.domain.phonetics_fr import sound, spelling
from mpi.domain.scored_pairs import NO_GRADE, VETO_BIT, ScoredPairs
from mpi.domain.scoring import score
from mpi.domain.vetoes import Circumstance, vetoes_of

_FAMILY, _GIVEN, _PLACE = (tuple(FIELDS).index(name) for name in ("family", "given", "place"))


class _Vocabulary:
    """Numbers for distinct values, 0 for the empty one."""

    def __init__(self, empty: Hashable = "") -> None:
        self.number: dict[Any, int] = {empty: 0}

    def column(self, values: Iterable[Hashable]) -> Ints:
        number = self.number
        return np.array([number.setdefault(value, len(number)) for value in values], dtype=np.int64)

    @property
    def values(self) -> list[Any]:
        return list(self.number)


_VALUES: dict[str, tuple[Callable[[Cleaned], Hashable], Hashable]] = {
    "family": (lambda r: (r.family, r.used_family), ("", "")),
    "given": (lambda r: (r.first, r.given, r.used_given), ("", "", "")),
    "sex": (lambda r: r.sex, ""),
    "place": (lambda r: r.place, ""),
    "ins": (lambda r: (r.ins, r.ins_oid) if r.ins else ("", ""), ("", "")),
    "phone": (lambda r: r.phone, ""),
    "email": (lambda r: r.email, ""),
    "postal": (lambda r: r.postal, ""),
    "city": (lambda r: r.city, ""),
    "street": (lambda r: r.street, ""),
    "mother": (lambda r: r.mother, ""),
}
"""Columns of values that are numbered: what a record says, and what counts as nothing said."""
_NUMBERS = ("year", "month", "day", "birth_rank", "death")
_FLAGS = ("is_default_date", "interpreted", "qualified", "validated", "ins_own", "unnamed", "held")
_CHUNK_RECORDS = 20_000


class Columns:
    """Cleaned records as columns of numbers, with the distinct values they stand for.

    Args:
        records: read once, some at a time; none of them is kept.
    """

    def __init__(self, records: Iterable[Cleaned]) -> None:
        vocabularies = {name: _Vocabulary(empty) for name, (_, empty) in _VALUES.items()}
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*_VALUES, *_NUMBERS, *_FLAGS)}
        remaining = iter(records)
        chunk: list[Cleaned] | None = None
        while chunk or chunk is None:
            chunk = list(islice(remaining, _CHUNK_RECORDS))
            for name, (value_of, _) in _VALUES.items():
                parts[name].append(vocabularies[name].column(map(value_of, chunk)))
            for name in _NUMBERS:
                parts[name].append(np.array([getattr(r, name) for r in chunk], dtype=np.int64))
            for name in _FLAGS:
                parts[name].append(np.array([bool(getattr(r, name)) for r in chunk], dtype=bool))
        whole = {name: np.concatenate(found) for name, found in parts.items()}
        self.count = len(whole["year"])
        self._take(whole, {name: vocabulary.values for name, vocabulary in vocabularies.items()})

    def _take(self, column: dict[str, NDArray[Any]], values: dict[str, list[Any]]) -> None:
        self.families: list[tuple[str, str]] = values["family"]
        self.givens: list[tuple[str, str, str]] = values["given"]
        self.places: list[str] = values["place"]
        self.streets: list[str] = values["street"]
        self.mothers: list[str] = values["mother"]
        self.numbers: list[str] = [number for number, _ in values["ins"]]
        self.authorities: list[str] = [oid for _, oid in values["ins"]]
        self.postals: list[str] = values["postal"]
        self.cities: list[str] = values["city"]
        self.family, self.given = column["family"], column["given"]
        whole = _Vocabulary()
        self.family_whole = whole.column(joined(family) for family, _ in self.families)[self.family]
        self.first_whole = whole.column(joined(first) for first, _, _ in self.givens)[self.given]
        self.tells_sex = np.array([bool(name_sex(first)) for first, _, _ in self.givens])[self.given]
        self.civil = np.array([is_civil_name(first) for first, _, _ in self.givens])[self.given]
        self.epicene = np.array([is_epicene(first) for first, _, _ in self.givens])[self.given]
        self.sex = np.array([" MF".index(sex or " ") for sex in values["sex"]], dtype=np.int64)[column["sex"]]
        self.year, self.month, self.day = column["year"], column["month"], column["day"]
        self.default = column["is_default_date"]
        self.place = column["place"]
        self.department = _Vocabulary().column(map(places.department, self.places))[self.place]
        self.country = np.array([places.is_country(code) for code in self.places])[self.place]
        self.native = (self.place > 0) & ~self.country
        self.interpreted = column["interpreted"]
        self.ins = column["ins"]
        self.ins_oid = _Vocabulary().column(self.authorities)[self.ins]
        self.qualified, self.validated = column["qualified"], column["validated"]
        self.ins_own, self.unnamed, self.held = column["ins_own"], column["unnamed"], column["held"]
        self.phone, self.email, self.postal, self.city = (column[n] for n in ("phone", "email", "postal", "city"))
        self.street, self.mother = column["street"], column["mother"]
        self.house = _Vocabulary().column(text.split(" ")[0] for text in self.streets)[self.street]
        self.rank, self.death = column["birth_rank"], column["death"]

    def record(self, index: int) -> Cleaned:
        """A record as comparing sees it: phone and e-mail are stand-ins that are equal where they are."""
        family, used_family = self.families[self.family[index]]
        first, given, used_given = self.givens[self.given[index]]
        return Cleaned(
            family=family,
            used_family=used_family,
            first=first,
            given=given,
            used_given=used_given,
            sex=" MF"[self.sex[index]].strip(),
            year=int(self.year[index]),
            month=int(self.month[index]),
            day=int(self.day[index]),
            interpreted=bool(self.interpreted[index]),
            place=self.places[self.place[index]],
            ins=self.numbers[self.ins[index]],
            ins_oid=self.authorities[self.ins[index]],
            qualified=bool(self.qualified[index]),
            validated=bool(self.validated[index]),
            ins_own=bool(self.ins_own[index]),
            phone=str(self.phone[index] or ""),
            email=str(self.email[index] or ""),
            street=self.streets[self.street[index]],
            postal=self.postals[self.postal[index]],
            city=self.cities[self.city[index]],
            mother=self.mothers[self.mother[index]],
            birth_rank=int(self.rank[index]),
            death=int(self.death[index]),
            held=("held",) if self.held[index] else (),
            unnamed=bool(self.unnamed[index]),
        )

    @cached_property
    def family_gate(self) -> Gate:
        """Finds the pairs of spellings of family names that are worth comparing."""

        def traces(name: str) -> set[str]:
            whole = joined(name)
            ordered = "%" + " ".join(sorted(name.split(" ")))
            return {whole, core(name), *parts(name), ordered, "~" + sound(name), "^" + whole[:5]}

        return Gate([tuple(name for name in names if name) for names in self.families], traces, jaro_winkler=True)

    @cached_property
    def given_gate(self) -> Gate:
        """Finds the pairs of spellings of given names that are worth comparing."""

        def traces(name: str) -> set[str]:
            whole = joined(name)
            initials = "".join(word[0] for word in name.split(" ")) if " " in name else whole
            return {*name.split(" "), *formal_names(name), whole, initials} | {
                "~" + sound(name),
                "=" + spelling(whole),
                "^" + whole[:3],
            }

        gate = Gate(
            [tuple(name for name in (first, used) if name) for first, _, used in self.givens],
            traces,
            [given.split(" ") for _, given, _ in self.givens],
            jaro_winkler=False,
        )
        gate.always |= np.array(
            [any(len(word) == 1 for word in f"{first} {used}".split()) for first, _, used in self.givens], dtype=bool
        )
        return gate


def score_pairs(columns: Columns, left: Ints, right: Ints, model: MatchModel) -> ScoredPairs:
    """Weigh the pairs ``(left[i], right[i])`` of positions in ``columns``."""
    if not model.french:
        return _score_one_by_one(columns, left, right, model)
    levels = np.zeros((len(left), len(FIELDS)), dtype=np.int8)
    place = _places(columns, left, right)
    origin = np.array([NameOrigin.of(level) for level in Place], dtype=np.int64)[place]
    family, family_units = _families(columns, left, right, origin, model)
    given, given_name = _givens(columns, left, right)
    crossed = _crossed(columns, left, right, ~np.isin(family, list(FAMILY_SAME)) & (given >= Given.INITIAL))
    family[crossed], family_units[crossed] = Family.CROSSED, 0
    given[crossed], given_name[crossed] = Given.CROSSED, 0
    differs = np.isin(given, list(GIVEN_DIFFERS))
    for index, column in enumerate(
        (
            family,
            given,
            birth_levels(columns, left, right),
            _sexes(columns, left, right),
            place,
            _ins(columns, left, right),
            _contacts(columns, left, right, differs),
            _mothers(columns, left, right),
            _equals(columns.rank[left], columns.rank[right]),
            _equals(columns.death[left], columns.death[right]),
        )
    ):
        levels[:, index] = column
    given_units = _given_rarity(columns, left, right, given, given_name, origin, model)
    rarity = np.stack([family_units, given_units, _place_rarity(columns, left, place, model)], axis=1)
    weight = rarity.sum(axis=1)
    for index, table in enumerate(model.unit_table):
        weight += np.array(table, dtype=np.int64)[levels[:, index]]
    cut_short = _cut_short(columns, left, right, given == Given.DIMINUTIVE)
    vetoes, grades = _judge(levels, _circumstances(columns, left, right, cut_short), weight, model)
    default_dates = columns.default[left] | columns.default[right]
    return ScoredPairs(weight, levels, rarity.astype(np.int32), vetoes, default_dates, grades)


def _score_one_by_one(columns: Columns, left: Ints, right: Ints, model: MatchModel) -> ScoredPairs:
    """The same for the generic comparison, which asks no tables of a country and takes little time."""
    levels = np.zeros((len(left), len(model.fields)), dtype=np.int8)
    weight, vetoes, grades = (np.zeros(len(left), dtype=np.int64) for _ in range(3))
    rarity = np.zeros((len(left), 3), dtype=np.int32)
    record = lru_cache(maxsize=1 << 16)(columns.record)
    for index, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        a, b = record(one), record(other)
        pair = score(a, b, model)
        grade = grade_of(pair, a, b, model)
        levels[index], weight[index] = pair.levels, pair.weight_units
        rarity[index] = [pair.rarity_units[field] for field in (_FAMILY, _GIVEN, _PLACE)]
        vetoes[index] = sum(VETO_BIT[veto] for veto in pair.vetoes)
        grades[index] = NO_GRADE if grade is None else grade.rank
    return ScoredPairs(weight, levels, rarity, vetoes, columns.default[left] | columns.default[right], grades)


def _distinct(one: Ints, other: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Distinct unordered pairs of numbers, and for each pair given its place among them."""
    codes, inverse = np.unique(np.minimum(one, other) * size + np.maximum(one, other), return_inverse=True)
    return codes // size, codes % size, inverse.astype(np.int64)


def _families(columns: Columns, left: Ints, right: Ints, origin: Ints, model: MatchModel) -> tuple[Ints, Ints]:
    """Level and rarity of the family names."""
    one, other, inverse = _distinct(columns.family[left], columns.family[right], len(columns.families))
    level = np.full(len(one), int(Family.DIFFERENT), dtype=np.int64)
    rarity = np.zeros((len(one), len(NameOrigin)), dtype=np.int64)
    has_used = np.array([bool(used) for _, used in columns.families])
    level[~(has_used[one] & has_used[other])] = Family.DIFFERENT_USED_POSSIBLE
    level[(one == 0) | (other == 0)] = Family.MISSING
    only_used = np.array([bool(used) and not family for family, used in columns.families])
    level[only_used[one] & only_used[other]] = Family.DIFFERENT
    frequency = model.frequency_table[_FAMILY]
    average = model.average_bits["family"]
    for index in np.flatnonzero((one > 0) & (other > 0) & columns.family_gate.passes(one, other)):
        found, name = compare_family(*columns.families[one[index]], *columns.families[other[index]])
        level[index] = found
        if name and frequency[found]:
            rarity[index] = [units(frequency[found] * (model.family_bits(name, of) - average)) for of in NameOrigin]
    return level[inverse], rarity[inverse, origin]


def _givens(columns: Columns, left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Level of the given names, and a number for the name they share (0: none), see :func:`_given_rarity`."""
    one, other, inverse = _distinct(columns.given[left], columns.given[right], len(columns.givens))
    level = np.full(len(one), int(Given.DIFFERENT), dtype=np.int64)
    name_number = np.zeros(len(one), dtype=np.int64)
    unknown = np.array([not (first or used) for first, _, used in columns.givens])
    level[unknown[one] | unknown[other]] = Given.MISSING
    shared = _shared_names(columns)
    for index in np.flatnonzero(~unknown[one] & ~unknown[other] & columns.given_gate.passes(one, other)):
        found, name = compare_given(*columns.givens[one[index]], *columns.givens[other[index]])
        level[index] = found
        if name:
            name_number[index] = shared.setdefault(name, len(shared))
    return level[inverse], name_number[inverse]


def _crossed(columns: Columns, left: Ints, right: Ints, perhaps: Bools) -> Bools:
    """Which of the pairs that may be crossed are."""
    found = np.zeros(len(left), dtype=bool)
    one = columns.family_whole[left] == columns.first_whole[right]
    other = columns.first_whole[left] == columns.family_whole[right]
    for index in np.flatnonzero(perhaps & (one | other)):
        i, j = left[index], right[index]
        family_a, family_b = columns.families[columns.family[i]][0], columns.families[columns.family[j]][0]
        first_a, first_b = columns.givens[columns.given[i]][0], columns.givens[columns.given[j]][0]
        found[index] = is_crossed(family_a, first_a, family_b, first_b)
    return found


def _shared_names(columns: Columns) -> dict[str, int]:
    names: dict[str, int] = columns.__dict__.setdefault("_shared_names", {"": 0})
    return names


def _given_rarity(
    columns: Columns, left: Ints, right: Ints, level: Ints, name: Ints, origin: Ints, model: MatchModel
) -> Ints:
    """What the rarity of the shared given name adds, by sex, decade of birth and origin."""
    frequency = np.array(model.frequency_table[_GIVEN])
    rarity = np.zeros(len(left), dtype=np.int64)
    named = np.flatnonzero((name > 0) & (frequency[level] != 0))
    if not named.size:
        return rarity
    names = list(_shared_names(columns))
    one, other = left[named], right[named]
    sex = np.where(columns.sex[one] == columns.sex[other], columns.sex[one], 0)
    decade = np.where(columns.year[one] == columns.year[other], columns.year[one], 0) // 10
    code = ((name[named] * 16 + level[named]) * 3 + origin[named]) * 3 + sex
    codes, inverse = np.unique(code * 1024 + decade, return_inverse=True)
    average = model.average_bits["given"]
    values = []
    for code in codes.tolist():
        rest, of_decade = divmod(code, 1024)
        rest, of_sex = divmod(rest, 3)
        rest, of_origin = divmod(rest, 3)
        of_name, of_level = divmod(rest, 16)
        sex_letter = ("", "M", "F")[of_sex]
        bits = model.given_bits(names[of_name], sex_letter, of_decade * 10, NameOrigin(of_origin))
        values.append(units(model.frequency_table[_GIVEN][of_level] * (bits - average)))
    rarity[named] = np.array(values, dtype=np.int64)[inverse]
    return rarity


def _place_rarity(columns: Columns, left: Ints, level: Ints, model: MatchModel) -> Ints:
    rarity = np.zeros(len(left), dtype=np.int64)
    for wanted in (Place.SAME, Place.COUNTRY):
        share = model.frequency_table[_PLACE][wanted]
        if share:
            table = np.array(
                [units(share * (model.place_bits(c) - model.average_bits["place"])) for c in columns.places]
            )
            reached = level == wanted
            rarity[reached] = table[columns.place[left[reached]]]
    return rarity


def _sexes(columns: Columns, left: Ints, right: Ints) -> Ints:
    one, other = columns.sex[left], columns.sex[right]
    epicene = columns.epicene[left] | columns.epicene[right]
    level = np.where(epicene, SexLevel.DIFFERENT_EPICENE, SexLevel.DIFFERENT)
    level = np.where(one == other, SexLevel.SAME, level)
    return np.where((one == 0) | (other == 0), SexLevel.MISSING, level).astype(np.int64)


def _places(columns: Columns, left: Ints, right: Ints) -> Ints:
    one, other = columns.place[left], columns.place[right]
    level = np.full(len(left), int(Place.DIFFERENT), dtype=np.int64)
    level[(columns.department[left] == columns.department[right]) & ~columns.country[left]] = Place.DEPARTMENT
    year = np.maximum(columns.year[left], columns.year[right])
    special = np.array([code[:2] in places.RENAMED_HEADS for code in columns.places])
    for index in np.flatnonzero(
        (one != other) & (year < 1976) & (special[one] | special[other]) & (one > 0) & (other > 0)
    ):
        level[index] = compare_place(columns.places[one[index]], columns.places[other[index]], int(year[index]))
    level[one == other] = np.where(columns.country[left], Place.COUNTRY, Place.SAME)[one == other]
    level[(one == 0) | (other == 0)] = Place.MISSING
    return level


def _ins(columns: Columns, left: Ints, right: Ints) -> Ints:
    one, other = columns.ins[left], columns.ins[right]
    both = columns.qualified[left] & columns.qualified[right]
    either = columns.qualified[left] | columns.qualified[right]
    own = columns.ins_own[left] & columns.ins_own[right]
    different = np.where(both, Ins.DIFFERENT_QUALIFIED, np.where(own, Ins.DIFFERENT, Ins.MISSING))
    half = np.where(own, np.where(either, Ins.SAME_HALF_QUALIFIED, Ins.SAME), Ins.SAME_BORROWED)
    level = np.where(one == other, np.where(both, Ins.SAME_QUALIFIED, half), different)
    comparable = (one > 0) & (other > 0) & (columns.ins_oid[left] == columns.ins_oid[right])
    for index in np.flatnonzero(comparable & (one != other) & ~both):
        a, b = columns.numbers[one[index]], columns.numbers[other[index]]
        if len(a) == len(b) and OSA.distance(a, b, score_cutoff=1) <= 1:
            level[index] = Ins.CLOSE
    return np.where(comparable, level, Ins.MISSING).astype(np.int64)


def _contacts(columns: Columns, left: Ints, right: Ints, differs: Bools) -> Ints:
    def same(column: Ints) -> Bools:
        equal: Bools = (column[left] == column[right]) & (column[left] > 0)
        return equal

    phone = same(columns.phone)
    personal = same(columns.email)
    street_a, street_b = columns.street[left], columns.street[right]
    streets_known = (street_a > 0) & (street_b > 0)
    same_area = columns.postal[left] == columns.postal[right]
    address = same_area & streets_known & (street_a == street_b)
    open_pairs = same_area & streets_known & ~address & (columns.house[left] == columns.house[right])
    for index in np.flatnonzero(open_pairs):
        address[index] = same_street(columns.streets[street_a[index]], columns.streets[street_b[index]])
    postal_known = (columns.postal[left] > 0) & (columns.postal[right] > 0)
    city_known = (columns.city[left] > 0) & (columns.city[right] > 0)
    area = np.where(postal_known, same_area, columns.city[left] == columns.city[right])
    level = np.where(area, Contact.AREA, Contact.DIFFERENT)
    level = np.where(postal_known | city_known, level, Contact.MISSING)
    level = np.where(address, Contact.ADDRESS, level)
    level = np.where(phone, np.where(address, Contact.PHONE_AND_ADDRESS, Contact.PHONE), level)
    level = np.where(personal, np.where(address, Contact.PERSONAL_AND_ADDRESS, Contact.PERSONAL), level)
    known = ((columns.phone[left] > 0) & (columns.phone[right] > 0)) | streets_known
    other = np.where(phone | address, Contact.HOUSEHOLD, np.where(known, Contact.NOT_HOUSEHOLD, Contact.MISSING))
    other = np.where(personal, Contact.HOUSEHOLD_PERSONAL, other)
    return np.where(differs, other, level).astype(np.int64)


def _mothers(columns: Columns, left: Ints, right: Ints) -> Ints:
    if not columns.mother.any():
        return np.zeros(len(left), dtype=np.int64)
    one, other, inverse = _distinct(columns.mother[left], columns.mother[right], len(columns.mothers))
    level = [compare_mother(columns.mothers[a], columns.mothers[b]) for a, b in zip(one, other, strict=True)]
    return np.array(level, dtype=np.int64)[inverse]


def _equals(one: Ints, other: Ints) -> Ints:
    level = np.where(one == other, Origin.SAME, Origin.DIFFERENT)
    return np.where((one == 0) | (other == 0), Origin.MISSING, level).astype(np.int64)


def _cut_short(columns: Columns, left: Ints, right: Ints, perhaps: Bools) -> Bools:
    """Which of the pairs with a short form of a name have its beginning."""
    found = np.zeros(len(left), dtype=bool)
    one, other, inverse = _distinct(columns.given[left[perhaps]], columns.given[right[perhaps]], len(columns.givens))
    firsts = [(columns.givens[a][0], columns.givens[b][0]) for a, b in zip(one, other, strict=True)]
    found[perhaps] = np.array([is_cut_short(a, b) for a, b in firsts], dtype=bool)[inverse]
    return found


def _circumstances(columns: Columns, left: Ints, right: Ints, cut_short: Bools) -> Ints:
    """The circumstances of :func:`mpi.domain.vetoes.circumstances` over columns."""
    apart = np.abs(columns.year[left] - columns.year[right])
    found = np.zeros(len(left), dtype=np.int64)
    for circumstance, holds in (
        (Circumstance.HELD, columns.held[left] | columns.held[right]),
        (Circumstance.UNNAMED, columns.unnamed[left] | columns.unnamed[right]),
        (Circumstance.GENERATION, apart >= 14),
        (Circumstance.DECADE, apart >= 10),
        (Circumstance.NAME_TELLS_SEX, columns.tells_sex[left] & columns.tells_sex[right]),
        (Circumstance.BOTH_VALIDATED, columns.validated[left] & columns.validated[right]),
        (Circumstance.NICKNAME, ~(columns.civil[left] & columns.civil[right]) | cut_short),
        (Circumstance.YEARS_EXCHANGED, years_exchanged(columns, left, right)),
    ):
        found[holds] |= circumstance
    return found


def _judge(levels: NDArray[np.int8], circumstances: Ints, weight: Ints, model: MatchModel) -> tuple[Ints, Ints]:
    """Vetoes and grades: the rules are asked once for each combination of levels, circumstances and weight band."""
    wanted = model.thresholds
    bands = np.array(
        sorted(units(bits) for bits in (wanted.possible, wanted.automatic, wanted.unsupported, wanted.outweighing))
    )
    band = np.searchsorted(bands, weight, side="right")
    code = circumstances * (len(bands) + 1) + band
    for index in range(levels.shape[1]):
        code = code * 16 + levels[:, index]
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    vetoes, grades = [], []
    for index in first.tolist():
        reached = tuple(levels[index].tolist())
        found = vetoes_of(reached, int(circumstances[index]))
        grade = grade_from(reached, int(circumstances[index]), found, int(weight[index]), model)
        vetoes.append(sum(VETO_BIT[veto] for veto in found))
        grades.append(NO_GRADE if grade is None else grade.rank)
    return np.array(vetoes, dtype=np.int64)[inverse], np.array(grades, dtype=np.int64)[inverse]
