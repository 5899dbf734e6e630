"""The match model: for each field and level how likely it is within one person (m) and between two (u).

The weight of a level is log2(m/u) in bits. Weights are whole multiples of 1/256 bit, so that a sum is exact
and the same on every machine and in every order. A model is a value: the same content has the same version.

Source: I. Fellegi, A. Sunter, "A Theory for Record Linkage" (1969).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

from mpi.domain import facts
from mpi.domain.levels import FIELDS, GENERIC_FIELDS, Place

UNITS_PER_BIT = 256


RULES = 11
"""Counts the changes of cleaning, comparison and vetoes: what one edition of the rules weighed is not another's."""


def units(bits: float) -> int:
    """Bits as a whole number of 1/256 bit."""
    return round(bits * UNITS_PER_BIT)


class NameOrigin(IntEnum):
    """Among whom a name is rare: the tables count births in France and say little of those born elsewhere.

    ``FRANCE``: both were born in France, the tables hold. ``UNKNOWN``: names common abroad count as common.
    ``ABROAD``: besides, no name counts as rarer than the average.
    """

    FRANCE = 0
    UNKNOWN = 1
    ABROAD = 2

    @classmethod
    def of(cls, place: int) -> NameOrigin:
        """The origin that a level of :class:`Place` tells."""
        if place == Place.COUNTRY:
            return cls.ABROAD
        return cls.FRANCE if place in (Place.SAME, Place.DEPARTMENT) else cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Level:
    """One level of agreement of one field.

    Attributes:
        m: share of pairs of one person that reach it, above 0 to 1.
        u: share of pairs of two persons that reach it, above 0 to 1.
        frequency: how much of the value's own rarity counts, 0 (not at all) to 1 (it replaces the average).
    """

    m: float
    u: float
    frequency: float = 0.0

    @property
    def bits(self) -> float:
        """log2(m/u)."""
        return math.log2(self.m / self.u)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Weights in bits from which a pair is linked or shown to a person.

    Attributes:
        automatic: from here a pair without a veto is ``probable``.
        possible: from here it is a task.
        unsupported: from here a pair is ``probable`` although only name, given name, sex and birth date agree.
        outweighing: from here a slip in the birth date or another birthplace is outweighed.
        cohesion: the least average weight between all records of two groups that may be joined.
        margin: by how much the best person must be ahead of the second-best.
        prior: weight at which a pair is as likely one person as two.
    """

    automatic: float = 27.0
    possible: float = 18.0
    unsupported: float = 28.0
    outweighing: float = 32.0
    cohesion: float = 18.0
    margin: float = 4.0
    prior: float = 20.0


@dataclass(frozen=True, slots=True)
class FalseLinks:
    """What the thresholds were derived for.

    Attributes:
        wanted: share of automatic links that may be false; ``None`` when the thresholds stayed as they were.
        estimated: share expected by the learner at the automatic threshold.
    """

    wanted: float | None
    estimated: float


@dataclass(frozen=True, eq=False)
class MatchModel:
    """Everything that decides how a pair is weighed. Immutable; equal content has an equal :attr:`version`.

    Attributes:
        name: for people.
        levels: for each of :attr:`fields` its levels in order; level 0 is "missing".
        surnames: surprisal in bits by family name, or ``None`` for the French table.
        given_names: surprisal in bits by given name, or ``None`` for the French table by sex and decade.
        places: surprisal in bits by birthplace, or ``None`` for the table of the region.
        unlisted_bits: surprisal of a value that its table does not hold, by field.
        average_bits: surprisal of the average agreeing value, by field.
        french: whether the French comparison, keys, vetoes and support rules apply, or the generic ones.
        false_links: what was wanted and expected of the thresholds, or ``None`` for a model set by hand.
    """

    name: str
    levels: Mapping[str, tuple[Level, ...]]
    thresholds: Thresholds = field(default_factory=Thresholds)
    surnames: Mapping[str, float] | None = None
    given_names: Mapping[str, float] | None = None
    places: Mapping[str, float] | None = None
    unlisted_bits: Mapping[str, float] = field(default_factory=lambda: {"family": 18.0, "given": 14.0, "place": 14.0})
    average_bits: Mapping[str, float] = field(default_factory=lambda: {"family": 12.7, "given": 7.0, "place": 5.0})
    french: bool = True
    false_links: FalseLinks | None = None

    def __post_init__(self) -> None:
        for name, kinds in self.fields.items():
            if len(self.levels.get(name, ())) != len(kinds):
                raise ValueError(f"the model must give {len(kinds)} levels of {name}")

    @property
    def fields(self) -> Mapping[str, type[IntEnum]]:
        """The fields that are compared, in order, with their levels."""
        return FIELDS if self.french else GENERIC_FIELDS

    @cached_property
    def version(self) -> str:
        """Sixteen hexadecimal digits of the hash of the content and of the edition of the rules."""
        text = json.dumps([RULES, self.to_json()], sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MatchModel) and (self is other or self.version == other.version)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.version)

    @cached_property
    def unit_table(self) -> tuple[tuple[int, ...], ...]:
        """Weight of each level in 1/256 bit, by field in order; "missing" weighs nothing."""
        return tuple((0, *(units(level.bits) for level in self.levels[name][1:])) for name in self.fields)

    @cached_property
    def frequency_table(self) -> tuple[tuple[float, ...], ...]:
        """Share of the value's rarity that counts, by field and level."""
        return tuple(tuple(level.frequency for level in self.levels[name]) for name in self.fields)

    def family_bits(self, name: str, origin: NameOrigin = NameOrigin.FRANCE) -> float:
        """Surprisal of a family name in bits, among the births of an origin."""
        if self.surnames is not None:
            return self.surnames.get(name, self.unlisted_bits["family"])
        bits = facts.surname_surprisal().get(name, self.unlisted_bits["family"])
        return self._within(origin, bits, facts.surname_surprisal_abroad().get(name), self.average_bits["family"])

    def given_bits(self, name: str, sex: str, year: int, origin: NameOrigin = NameOrigin.FRANCE) -> float:
        """Surprisal of a given name in bits, among those of its sex, time and origin."""
        if self.given_names is not None:
            return self.given_names.get(name, self.unlisted_bits["given"])
        known = facts.given_name_bits(name, sex, year)
        bits = self.unlisted_bits["given"] if known is None else min(known, self.unlisted_bits["given"])
        return self._within(origin, bits, facts.given_name_surprisal_abroad().get(name), self.average_bits["given"])

    @staticmethod
    def _within(origin: NameOrigin, bits: float, abroad: float | None, average: float) -> float:
        """A name's surprisal in France corrected for those who may be born elsewhere."""
        if origin is NameOrigin.FRANCE:
            return bits
        if abroad is not None:
            return min(bits, abroad)
        return min(bits, average) if origin is NameOrigin.ABROAD else bits

    def place_bits(self, code: str) -> float:
        """Surprisal of a birthplace in bits."""
        table = facts.birthplace_surprisal() if self.places is None else self.places
        return table.get(code, self.unlisted_bits["place"])

    def probability(self, weight_bits: float) -> float:
        """Probability that a pair of this weight is one person, by the model's prior."""
        odds_bits = max(-1000.0, min(1000.0, weight_bits - self.thresholds.prior))
        return 1.0 / (1.0 + math.pow(2.0, -odds_bits))

    def to_json(self) -> dict[str, Any]:
        """The whole model as JSON values."""
        derived = {} if self.false_links is None else {"false_links": asdict(self.false_links)}
        thresholds = {name: getattr(self.thresholds, name) for name in Thresholds.__dataclass_fields__}
        return {
            "name": self.name,
            "levels": {
                name: [
                    {"level": kind.name, "m": level.m, "u": level.u, "frequency": level.frequency}
                    for kind, level in zip(self.fields[name], self.levels[name], strict=True)
                ]
                for name in self.fields
            },
            "thresholds": thresholds,
            "surnames": None if self.surnames is None else dict(self.surnames),
            "given_names": None if self.given_names is None else dict(self.given_names),
            "places": None if self.places is None else dict(self.places),
            "unlisted_bits": dict(self.unlisted_bits),
            "average_bits": dict(self.average_bits),
            "french": self.french,
            **derived,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> MatchModel:
        """Undo :meth:`to_json`.

        Raises:
            ValueError: a field or level is missing.
        """
        try:
            levels = {
                name: tuple(Level(entry["m"], entry["u"], entry["frequency"]) for entry in content["levels"][name])
                for name in (FIELDS if content["french"] else GENERIC_FIELDS)
            }
            return cls(
                name=content["name"],
                levels=levels,
                thresholds=Thresholds(**content["thresholds"]),
                surnames=content["surnames"],
                given_names=content["given_names"],
                places=content["places"],
                unlisted_bits=content["unlisted_bits"],
                average_bits=content["average_bits"],
                french=content["french"],
                false_links=FalseLinks(**content["false_links"]) if "false_links" in content else None,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a match model: {error}") from error
