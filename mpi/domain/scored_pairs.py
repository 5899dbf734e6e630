"""The weights of many pairs, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mpi.domain.gates import Bools, Ints
from mpi.domain.grades import Grade
from mpi.domain.levels import FIELDS
from mpi.domain.model import MatchModel
from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import Veto, hints_of

VETO_BIT = {veto: 1 << index for index, veto in enumerate(Veto)}
GRADES = (Grade.CERTAIN, Grade.PROBABLE, Grade.POSSIBLE)
NO_GRADE = 9
RARITY_FIELDS = tuple(tuple(FIELDS).index(name) for name in ("family", "given", "place"))
"""The fields whose values are rarer or commoner, in the order of :attr:`ScoredPairs.rarity_units`."""


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Weights of many pairs, in their order.

    Attributes:
        weight_units: total weights in 1/256 bit.
        levels: one row for each pair, one column for each field.
        rarity_units: what rarity added to family name, given name and birthplace, in 1/256 bit; one row for each pair.
        vetoes: bits of :data:`VETO_BIT`.
        default_dates: whether a birth date of either record is a default.
        grades: index in :data:`GRADES`, or :data:`NO_GRADE` when the pair is not worth keeping.
    """

    weight_units: Ints
    levels: NDArray[np.int8]
    rarity_units: NDArray[np.int32]
    vetoes: Ints
    default_dates: Bools
    grades: Ints

    def chosen(self, which: Bools | Ints) -> ScoredPairs:
        """Some of the pairs."""
        return ScoredPairs(*(getattr(self, name)[which] for name in self.__slots__))

    @classmethod
    def joined(cls, parts: Sequence[ScoredPairs]) -> ScoredPairs:
        """All pairs of several."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def one(self, index: int, model: MatchModel) -> PairScore:
        """A pair as :func:`mpi.domain.scoring.score` would have weighed it under the same model."""
        levels = tuple(self.levels[index].tolist())
        rarity = [0] * len(levels)
        for field, added in zip(RARITY_FIELDS, self.rarity_units[index].tolist(), strict=True):
            rarity[field] = added
        return PairScore(
            int(self.weight_units[index]),
            levels,
            tuple([table[level] for table, level in zip(model.unit_table, levels, strict=True)]),
            tuple(rarity),
            vetoes_in(int(self.vetoes[index])),
            hints_of(levels, bool(self.default_dates[index])) if model.french else (),
            model.version,
        )


@lru_cache(maxsize=1 << 12)
def vetoes_in(bits: int) -> tuple[Veto, ...]:
    """The vetoes of bits of :data:`VETO_BIT`, in the order of :class:`Veto`."""
    return tuple(veto for veto, bit in VETO_BIT.items() if bits & bit)
