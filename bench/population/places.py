"""Where people live, are born and are cared for: the Loire and its neighbours, and the ten establishments."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from bench.population.tables import Commune, Weighted, communes, streets

RESIDENCE_SHARE = {
    "42": 1.0,
    "07": 0.28,
    "43": 0.35,
    "69": 0.08,
    "38": 0.02,
    "63": 0.01,
    "71": 0.02,
    "01": 0.01,
}
"""Share of a department's people who are seen by the ten establishments."""

MATERNITIES = {"42": ("42275", "42275", "42218", "42095", "42147", "42187", "42207"), "07": ("07010",)}

STREET_KINDS = (
    "RUE",
    "RUE",
    "RUE",
    "RUE",
    "RUE",
    "AVENUE",
    "BOULEVARD",
    "CHEMIN",
    "IMPASSE",
    "PLACE",
    "ALLEE",
    "ROUTE",
)


@dataclass(frozen=True, slots=True)
class Address:
    """A dwelling: street line, postal code, town, and the household's telephone."""

    street: str
    postal_code: str
    city: str
    phone: str


@dataclass(frozen=True, slots=True)
class Site:
    """An establishment and its habits.

    Attributes:
        code: domain code.
        size: relative number of records.
        style: ``stic`` (capitals, no hyphens, one first name), ``rniv`` (capitals with hyphens, list of
            first names) or ``free`` (as typed, with accents).
        noise: typing errors relative to the region's mean.
        no_place, no_address, no_phone, no_used_name, no_list: shares of empty fields.
        qualified: share of identities qualified, among those written since 2021.
        number: format of local identifiers, with the running number as ``{n}``.
    """

    code: str
    size: float
    style: str
    noise: float
    no_place: float
    no_address: float
    no_phone: float
    no_used_name: float
    no_list: float
    qualified: float
    number: str


SITES = (
    Site("CHUSE", 0.34, "rniv", 0.8, 0.03, 0.02, 0.12, 0.05, 0.15, 0.5, "8{n:09d}"),
    Site("GIER", 0.08, "stic", 1.0, 0.15, 0.04, 0.25, 0.15, 0.6, 0.35, "{n:07d}"),
    Site("MONTBRISON", 0.07, "rniv", 1.0, 0.10, 0.03, 0.2, 0.1, 0.25, 0.4, "M{n:07d}"),
    Site("FIRMINY", 0.08, "stic", 1.1, 0.12, 0.05, 0.25, 0.2, 0.7, 0.35, "{n:06d}F"),
    Site("FEURS", 0.03, "free", 1.3, 0.25, 0.06, 0.3, 0.25, 0.5, 0.25, "{n:06d}"),
    Site("ROANNE", 0.13, "rniv", 0.9, 0.06, 0.03, 0.18, 0.1, 0.3, 0.45, "R{n:08d}"),
    Site("ANNONAY", 0.06, "free", 1.2, 0.20, 0.06, 0.25, 0.15, 0.5, 0.3, "A{n:06d}"),
    Site("MFL", 0.10, "free", 1.4, 0.35, 0.03, 0.1, 0.3, 0.6, 0.2, "MFL{n:07d}"),
    Site("IRMAS", 0.06, "free", 1.6, 0.55, 0.10, 0.2, 0.4, 0.75, 0.1, "{n:08d}"),
    Site("ICL", 0.05, "rniv", 0.7, 0.04, 0.02, 0.08, 0.05, 0.15, 0.5, "ICL{n:06d}"),
)

_NEAREST = {
    "427": "FIRMINY", "428": "GIER", "4240": "GIER", "4232": "GIER", "4260": "MONTBRISON",
    "4261": "MONTBRISON",
    "4213": "MONTBRISON", "4211": "FEURS", "4212": "ROANNE", "4230": "ROANNE", "4231": "ROANNE",
    "4237": "ROANNE",
    "4267": "ROANNE", "4272": "ROANNE", "07": "ANNONAY", "43": "FIRMINY", "71": "ROANNE", "69": "GIER",
    "4215": "FIRMINY", "4214": "FEURS", "4216": "MONTBRISON", "4217": "MONTBRISON", "4264": "ROANNE",
    "38": "GIER",
}  # fmt: skip


@cache
def nearest_site(postal_code: str) -> str:
    """Code of the establishment near a postal code; the university hospital where none is nearer."""
    for length in (4, 3, 2):
        if found := _NEAREST.get(postal_code[:length]):
            return found
    return "CHUSE"


@cache
def residences() -> Weighted[Commune]:
    """Communes weighted by the people whom the establishments see."""
    return Weighted(
        (commune, commune.population * RESIDENCE_SHARE.get(commune.code[:2], 0.0))
        for commune in communes().values()
        if not commune.parent
    )


@cache
def _towns() -> Weighted[Commune]:
    """French towns weighted by population, for those who were born elsewhere."""
    arrondissements = {commune.parent for commune in communes().values() if commune.parent}
    return Weighted(
        (commune, commune.population)
        for commune in communes().values()
        if commune.code not in arrondissements and not commune.code.startswith(("977", "978", "987", "988"))
    )


@cache
def _towns_of(department: str) -> Weighted[Commune]:
    towns = [commune for commune in communes().values() if commune.code[:2] == department]
    arrondissements = {commune.parent for commune in towns if commune.parent}
    return Weighted((commune, commune.population) for commune in towns if commune.code not in arrondissements)


def birth_place(rng: random.Random, residence: Commune, year: int) -> str:
    """INSEE code of the commune of birth: at home once, in a maternity today, or far away."""
    draw = rng.random()
    if draw < 0.17:
        place = _towns().pick(rng)
    elif year >= 1965 and (near := MATERNITIES.get(residence.code[:2])):
        return near[int(rng.random() * len(near))]
    elif draw < 0.55:
        place = _towns_of(residence.code[:2]).pick(rng)
    else:
        place = residence
    if place.former_codes and year < 1970 and rng.random() < 0.2:
        return place.former_codes[int(rng.random() * len(place.former_codes))]
    return place.code


def near(rng: random.Random, home: Commune) -> Commune:
    """A commune to move to: mostly one with a postal code like that of home."""
    if rng.random() < 0.8:
        return _neighbours(home.postal_codes[0][:3]).pick(rng)
    return residences().pick(rng)


@cache
def _neighbours(postal_head: str) -> Weighted[Commune]:
    return Weighted(
        (commune, commune.population)
        for commune in communes().values()
        if commune.postal_codes[0].startswith(postal_head) and not commune.parent
    )


def new_address(rng: random.Random, commune: Commune) -> Address:
    """A dwelling in a commune."""
    names = streets()
    street = names[int(rng.random() * len(names))]
    kind = STREET_KINDS[int(rng.random() * len(STREET_KINDS))]
    line = f"{1 + int(rng.random() ** 2 * 180)} {kind} {street}"
    postal = commune.postal_codes[int(rng.random() * len(commune.postal_codes))]
    return Address(line, postal, commune.name, f"04{77 if commune.code[:2] == '42' else 75}{_six(rng)}")


def mobile(rng: random.Random) -> str:
    """A mobile number from the ranges kept for fiction (0639 98 …), widened because those are few."""
    return f"0639{_six(rng)}"


def _six(rng: random.Random) -> str:
    return f"{int(rng.random() * 1_000_000):06d}"


@cache
def current_code(code: str) -> str:
    """The commune that has absorbed this one, or itself."""
    return _absorbed().get(code, code)


@cache
def _absorbed() -> dict[str, str]:
    return {former: c.code for c in communes().values() for former in c.former_codes}


@cache
def city_of(code: str) -> str:
    """The whole town of a city district (Paris, Lyon, Marseille), or the code itself."""
    commune = communes().get(code)
    return commune.parent if commune and commune.parent else code
