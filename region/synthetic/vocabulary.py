"""The words the invented region is made of, from ``vocabulary.toml``: names, places, streets."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, NamedTuple

from mpi.domain.identity import Sex


class Commune(NamedTuple):
    """A place of birth or residence.

    Attributes:
        code: INSEE code.
        weight: how often a person is born there.
    """

    code: str
    postal_code: str
    name: str
    weight: int


def _read() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8"))


_WORDS = _read()

FAMILY_NAMES: tuple[str, ...] = tuple(_WORDS["family_names"])
"""The frequent ones first."""

COMPOSED_FAMILY_NAMES: tuple[str, ...] = tuple(_WORDS["composed_family_names"])
"""With particles, apostrophes, ligatures, or of both parents."""

FOREIGN_FAMILY_NAMES: tuple[str, ...] = tuple(_WORDS["foreign_family_names"])
FOREIGN_GIVEN_NAMES = {Sex(sex): tuple(names) for sex, names in _WORDS["foreign_given_names"].items()}
STREETS: tuple[str, ...] = tuple(_WORDS["streets"])

COMMUNES = tuple(Commune(**row) for row in _WORDS["communes"])
MATERNITIES = COMMUNES[:8]
"""Where children are born."""

RESIDENCES = COMMUNES[:11]
"""Where patients of the region live."""

COUNTRIES: dict[str, int] = _WORDS["countries"]
"""Country codes of birth abroad (INSEE) with their weight."""


def given_names(sex: Sex, year: int) -> tuple[str, ...]:
    """Given names of that sex in fashion in that year, the frequent ones first."""
    return tuple(
        next(row["names"] for row in _WORDS["given_names"] if row["sex"] == sex.value and year < row["born_before"])
    )
