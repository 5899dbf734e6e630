"""Frequencies of names and places, read once from ``bench/data`` and sampled by cumulated weights."""

from __future__ import annotations

import csv
import itertools
import random
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Generic, TypeVar

DATA = Path(__file__).parent.parent / "data"
FIRST_DECADE, LAST_DECADE = 1900, 2020

T = TypeVar("T")


@lru_cache(maxsize=1 << 17)
def fold(text: str) -> str:
    """Upper case without accents or ligatures; hyphens and apostrophes stay."""
    if text.isascii():
        return text.upper()
    text = text.upper().replace("Œ", "OE").replace("Æ", "AE").replace("’", "'")
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def spoken(name: str) -> str:
    """A name reduced to its sound: no parents give twins MATHIS and MATHYS, LAETITIA and LAËTITIA."""
    letters = fold(name).replace("-", "").replace(" ", "").replace("H", "").replace("Y", "I")
    return "".join(c for c, _ in itertools.groupby(letters)).removesuffix("E")


class Weighted(Generic[T]):
    """Values with weights; ``pick`` draws one in proportion."""

    __slots__ = ("_cumulated", "_total", "values")

    def __init__(self, pairs: Iterable[tuple[T, float]]) -> None:
        kept = [(value, weight) for value, weight in pairs if weight > 0]
        self.values: Sequence[T] = [value for value, _ in kept]
        self._cumulated = list(itertools.accumulate(weight for _, weight in kept))
        self._total = self._cumulated[-1]

    def pick(self, rng: random.Random) -> T:
        """One value, drawn by weight."""
        return self.values[bisect_right(self._cumulated, rng.random() * self._total)]


@dataclass(frozen=True, slots=True)
class Commune:
    """A French commune: INSEE code, name, population, postal codes, codes of communes it absorbed."""

    code: str
    name: str
    population: int
    postal_codes: tuple[str, ...]
    former_codes: tuple[str, ...]
    parent: str


def _rows(name: str) -> Iterable[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def communes() -> dict[str, Commune]:
    """Every commune of the table by its code."""
    return {
        row["code"]: Commune(
            row["code"],
            row["name"],
            int(row["population"]),
            tuple(row["postal_codes"].split()),
            tuple(row["former_codes"].split()),
            row["parent"],
        )
        for row in _rows("communes.csv")
        if row["postal_codes"]
    }


@cache
def streets() -> list[str]:
    """Street names without their kind ("DE LA GARE")."""
    return [row["name"] for row in _rows("streets.csv")]


@cache
def surnames() -> Weighted[str]:
    """Surnames by births in France 1891 to 2000; ``*`` stands for the mass of rare names."""
    return Weighted((name, float(row["births"])) for row in _rows("surnames.csv") for name in row["names"].split("|"))


@cache
def surname_stems() -> tuple[list[str], list[str]]:
    """Heads and tails of known surnames, of which rare ones are made up."""
    plain = [name for name in surnames().values if name.isalpha() and 6 <= len(name) <= 9]
    return [name[: len(name) // 2 + 1] for name in plain], [name[len(name) // 2 :] for name in plain]


def rare_surname(rng: random.Random) -> str:
    """A made-up name of French build, as rare as the tail of the INSEE table."""
    heads, tails = surname_stems()
    head = heads[int(rng.random() * len(heads))]
    for _ in range(8):
        tail = tails[int(rng.random() * len(tails))]
        if tail[0] == head[-1]:
            return head + tail[1:]
    return head + "ET"


def surname(rng: random.Random) -> str:
    """One surname as frequent as in France."""
    name = surnames().pick(rng)
    return rare_surname(rng) if name == "*" else name


@cache
def _given_names() -> dict[tuple[str, int], Weighted[str]]:
    rows = list(_rows("given_names.csv"))
    return {
        (sex, decade): Weighted((row["name"], float(row[f"{decade}s"] or 0)) for row in rows if row["sex"] == sex)
        for sex in "MF"
        for decade in range(FIRST_DECADE, LAST_DECADE + 10, 10)
    }


def given_name(rng: random.Random, sex: str, year: int) -> str:
    """One given name as frequent among those of this sex born in the decade of ``year``."""
    decade = min(max(year // 10 * 10, FIRST_DECADE), LAST_DECADE)
    return _given_names()[sex, decade].pick(rng)


@cache
def close_given_names(sex: str, decade: int) -> dict[str, list[str]]:
    """Given names of a decade that resemble each other: one first part, or one first syllable and length."""
    weighted = _given_names()[sex, min(max(decade, FIRST_DECADE), LAST_DECADE)]
    groups: dict[str, list[str]] = {}
    for name in list(weighted.values)[:600]:
        if "-" in name:
            groups.setdefault(name.split("-")[0] + "-", []).append(name)
        else:
            groups.setdefault(fold(name)[:3], []).append(name)
            groups.setdefault("*" + fold(name)[-4:], []).append(name)
    return {key: names for key, names in groups.items() if len(names) > 1}
