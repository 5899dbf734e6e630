"""Learn a match model from the records of the index, and from what stewards said of pairs when they said enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from mpi.domain.cleaning import Cleaned
from mpi.domain.grades import Grade, grade_of
from mpi.domain.learning import Label, Learned, Maximiser, learn
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score
from mpi.store import bulk, labels

ENOUGH_LABELS, ENOUGH_OF_EACH = 100, 20
"""How many pairs stewards must have judged, and at least so many of either answer, before they teach a model."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How a model stands to what stewards said of pairs.

    Attributes:
        same: pairs that they called one person.
        different: pairs that they called two.
        same_kept_apart: of ``same`` those about which the model would not even ask.
        different_linked: of ``different`` those that it would link by itself.
    """

    same: int
    different: int
    same_kept_apart: int
    different_linked: int

    @property
    def is_enough(self) -> bool:
        """Whether they said enough to learn from."""
        return self.same + self.different >= ENOUGH_LABELS and min(self.same, self.different) >= ENOUGH_OF_EACH


@dataclass(frozen=True, slots=True)
class Trained:
    """A learned model beside the one it began with.

    Attributes:
        before, after: how both stand to what stewards said; it was learned from only if it is enough and wanted.
    """

    learned: Learned
    before: Judged
    after: Judged


def train_model(
    uow: UnitOfWork,
    maximiser: Maximiser | None,
    start: MatchModel,
    *,
    wanted_false_links: float | None = None,
    random_pairs: int | None = None,
    use_labels: bool = True,
) -> Trained:
    """Learn from the active records.

    Args:
        maximiser: who learns; ``None`` for our own.
        start: where to begin.
        wanted_false_links: see :func:`mpi.domain.learning.learn`.
        random_pairs: see :func:`mpi.domain.learning.learn`.
        use_labels: learn from what stewards said too, when it is enough.

    Raises:
        IheError: fewer than two records.
    """
    forms: list[Cleaned] = []
    position: dict[int, int] = {}
    for record_id, _, form in bulk.active_forms(uow.connection):
        position[record_id] = len(forms)
        forms.append(form)
    if len(forms) < 2:
        raise IheError("learning needs a loaded population; there are fewer than two records")
    said = [Label(position[a], position[b], same) for (a, b), same in labels.said_of_pairs(uow.connection).items()]
    before = judged(forms, said, start)
    learned = learn(
        forms,
        start,
        wanted_false_links=wanted_false_links,
        random_pairs=random_pairs,
        maximiser=maximiser,
        labels=said if use_labels and before.is_enough else (),
    )
    return Trained(learned, before, judged(forms, said, learned.model))


def judged(forms: Sequence[Cleaned], said: Sequence[Label], model: MatchModel) -> Judged:
    """How a model stands to what is known of pairs of records."""
    counts = {True: 0, False: 0}
    apart = linked = 0
    for each in said:
        a, b = forms[each.left], forms[each.right]
        grade = grade_of(score(a, b, model), a, b, model)
        counts[each.same] += 1
        apart += each.same and grade is None
        linked += not each.same and grade in (Grade.CERTAIN, Grade.PROBABLE)
    return Judged(counts[True], counts[False], apart, linked)


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
