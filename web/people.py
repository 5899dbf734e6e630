"""The people who may work here: whom an identity provider names, what they do, and for which establishments."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web.roles import EVERYBODY, SITE_STEWARD


class PeopleFault(ValueError):
    """The table of people cannot be used; one sentence with the entry."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may work here.

    Attributes:
        subject: as the identity provider names them (Pro Santé Connect: ``SubjectNameID``, for example 8 and the RPPS).
        roles: of :mod:`web.roles`.
        sites: codes of the domains they may act for; empty for regional roles.
    """

    subject: str
    name: str
    roles: frozenset[str]
    sites: tuple[str, ...] = ()


class People:
    """Everybody who may work here, by subject."""

    def __init__(self, colleagues: Iterable[Colleague] = ()) -> None:
        self._by_subject = {colleague.subject: colleague for colleague in colleagues}

    def __iter__(self) -> Any:
        return iter(self._by_subject.values())

    def by_subject(self, subject: str) -> Colleague | None:
        """The colleague of that subject, or ``None``."""
        return self._by_subject.get(subject)

    def name_of(self, subject: str) -> str:
        """Name to show of whoever did something; systems and people who left are shown as they were written."""
        found = self._by_subject.get(subject)
        return found.name if found else subject


def load_people(path: Path, domains: Iterable[str]) -> People:
    """Read the table: ``[[person]]`` with ``subject``, ``name``, ``roles`` and ``sites``.

    Args:
        domains: codes that ``sites`` may name.

    Raises:
        PeopleFault: it is not such a table.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("person", [])
    except (OSError, ValueError) as error:
        raise PeopleFault(f"{path}: {error}") from error
    known = frozenset(domains)
    return People(_colleague(row, known, f"{path}, person {number}") for number, row in enumerate(rows, 1))


def _colleague(row: Mapping[str, Any], domains: frozenset[str], where: str) -> Colleague:
    try:
        found = Colleague(str(row["subject"]), str(row["name"]), frozenset(row["roles"]), tuple(row.get("sites", ())))
    except (KeyError, TypeError) as error:
        raise PeopleFault(f"{where} needs subject, name and roles") from error
    if not found.roles or not found.roles <= EVERYBODY:
        raise PeopleFault(f"{where}: roles are {', '.join(sorted(EVERYBODY))}")
    if not set(found.sites) <= domains:
        raise PeopleFault(f"{where}: sites are codes of the table of domains")
    if SITE_STEWARD in found.roles and not found.sites:
        raise PeopleFault(f"{where}: a site steward needs at least one site")
    return found
