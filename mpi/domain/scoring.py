"""The weight of a pair: levels to bits, with the rarity of the names that agreed.

Whole numbers of 1/256 bit are summed, so a weight is the same to the bit wherever and however it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import Agreement, compare
from mpi.domain.generic import GenericAgreement, compare_generic, find_generic_vetoes
from mpi.domain.levels import FIELDS, Place
from mpi.domain.model import UNITS_PER_BIT, MatchModel, NameOrigin, units
from mpi.domain.vetoes import Hint, Veto, find_hints, find_vetoes

_FIELD_NAMES = tuple(FIELDS)
_FAMILY, _GIVEN, _PLACE = (_FIELD_NAMES.index(name) for name in ("family", "given", "place"))


@dataclass(frozen=True, slots=True)
class PairScore:
    """How much two records speak for one person.

    Attributes:
        weight_units: total in 1/256 bit.
        levels: level reached by each field, in the order of :attr:`mpi.domain.model.MatchModel.fields`.
        field_units: weight of each field without the rarity of its value.
        rarity_units: what the rarity of the agreeing value added or took, by field.
        vetoes: what forbids an automatic link.
        model_version: of the model that weighed.
    """

    weight_units: int
    levels: tuple[int, ...]
    field_units: tuple[int, ...]
    rarity_units: tuple[int, ...]
    vetoes: tuple[Veto, ...]
    hints: tuple[Hint, ...]
    model_version: str

    @property
    def weight_bits(self) -> float:
        """Total weight in bits; exact, being a multiple of 1/256."""
        return self.weight_units / UNITS_PER_BIT


def score(a: Cleaned, b: Cleaned, model: MatchModel) -> PairScore:
    """Weigh one pair; symmetric."""
    return weigh(a, b, compare(a, b) if model.french else compare_generic(a, b), model)


def score_many(a: Cleaned, others: Sequence[Cleaned], model: MatchModel) -> list[PairScore]:
    """Weigh one record against its candidates, in their order."""
    agree = compare if model.french else compare_generic
    return [weigh(a, other, agree(a, other), model) for other in others]


def weigh(a: Cleaned, b: Cleaned, pair: Agreement | GenericAgreement, model: MatchModel) -> PairScore:
    """Turn levels into a weight."""
    table = model.unit_table
    levels = pair.levels
    field_units = tuple([table[index][level] for index, level in enumerate(levels)])
    rarity = rarity_units(a, b, pair, model)
    return PairScore(
        sum(field_units) + sum(rarity),
        levels,
        field_units,
        rarity,
        find_vetoes(a, b, pair) if isinstance(pair, Agreement) else find_generic_vetoes(a, b, pair),
        find_hints(a, b, pair) if isinstance(pair, Agreement) else (),
        model.version,
    )


def rarity_units(a: Cleaned, b: Cleaned, pair: Agreement | GenericAgreement, model: MatchModel) -> tuple[int, ...]:
    """What the rarity of the agreeing names and birthplace adds to each field, in 1/256 bit."""
    frequency = model.frequency_table
    family = given = place = 0
    origin = NameOrigin.of(pair.place)
    if pair.family_name and frequency[_FAMILY][pair.family]:
        family = _family_units(model, pair.family_name, origin, frequency[_FAMILY][pair.family])
    if pair.given_name and frequency[_GIVEN][pair.given]:
        sex = a.sex if a.sex == b.sex else ""
        year = a.year if a.year == b.year else 0
        given = _given_units(model, pair.given_name, sex, year // 10 * 10, origin, frequency[_GIVEN][pair.given])
    if (pair.place in (Place.SAME, Place.COUNTRY)) and frequency[_PLACE][pair.place]:
        place = _place_units(model, a.place, frequency[_PLACE][pair.place])
    if not (family or given or place):
        return (0,) * len(frequency)
    found = [0] * len(frequency)
    found[_FAMILY], found[_GIVEN], found[_PLACE] = family, given, place
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def _family_units(model: MatchModel, name: str, origin: NameOrigin, share: float) -> int:
    return units(share * (model.family_bits(name, origin) - model.average_bits["family"]))


@lru_cache(maxsize=1 << 16)
def _given_units(model: MatchModel, name: str, sex: str, decade: int, origin: NameOrigin, share: float) -> int:
    return units(share * (model.given_bits(name, sex, decade, origin) - model.average_bits["given"]))


@lru_cache(maxsize=1 << 16)
def _place_units(model: MatchModel, code: str, share: float) -> int:
    return units(share * (model.place_bits(code) - model.average_bits["place"]))
