"""Learn a match model from the records of the index, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from mpi.domain.learning import Learned, Maximiser, learn
from mpi.domain.model import MatchModel
from mpi.store import bulk


def train_model(
    uow: UnitOfWork,
    maximiser: Maximiser | None,
    start: MatchModel,
    *,
    wanted_false_links: float | None = None,
    random_pairs: int | None = None,
) -> Learned:
    """Learn from the active records.

    Args:
        maximiser: who learns; ``None`` for our own.
        start: where to begin.
        wanted_false_links: see :func:`mpi.domain.learning.learn`.
        random_pairs: see :func:`mpi.domain.learning.learn`.

    Raises:
        IheError: fewer than two records.
    """
    forms = [form for _, _, form in bulk.active_forms(uow.connection)]
    if len(forms) < 2:
        raise IheError("learning needs a loaded population; there are fewer than two records")
    return learn(forms, start, wanted_false_links=wanted_false_links, random_pairs=random_pairs, maximiser=maximiser)


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What learning did to one level.

    Attributes:
        before_bits: weight of the level in the former model.
        after_bits: in the new one.
    """

    field: str
    level: str
    m: float
    u: float
    before_bits: float
    after_bits: float


def changes(before: MatchModel, after: MatchModel) -> Iterator[LevelChange]:
    """Each level of each field but "missing", in order."""
    for name, kinds in before.fields.items():
        for kind, old, new in zip(kinds, before.levels[name], after.levels[name], strict=True):
            if kind:
                yield LevelChange(name, kind.name, new.m, new.u, old.bits, new.bits)
