"""How well a patient fits what was asked, when all criteria are met: by first letters only, or by whole names."""

from __future__ import annotations

from collections.abc import Sequence

from mpi.domain.identity import Traits
from mpi.domain.search import NameCriterion, PatientSearch, search_names


def match_quality(search: PatientSearch, traits: Traits) -> int:
    """100 when every name asked for is the patient's in full; less, the fewer of its letters were given.

    Names that were asked for as alternatives count once, by the best; a patient who does not carry a name asked for
    has no part in it.

    Returns:
        1 to 100.
    """
    names = search_names(traits)
    families = [text for part, text in names if part == "F"]
    givens = [text for part, text in names if part == "G"]
    parts = [_best(search.families, families)] if search.families else []
    parts += [_best([given], givens) for given in search.givens]
    return max(1, int(100 * sum(parts) / len(parts))) if parts else 100


def _best(asked: Sequence[NameCriterion], names: Sequence[str]) -> float:
    return max(
        (len(a.text) / len(name) for a in asked for name in names if name.startswith(a.text)),
        default=0.0,
    )
