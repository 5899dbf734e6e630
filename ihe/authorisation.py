"""Who may do what: a matrix of role, transaction, purpose and reach. What no cell allows is denied.

The table is a file that a security officer reads (CSV): a row for each transaction and purpose, a column for each role.
A cell says how far a role reaches: ``region``, or ``own`` for its own site only; empty is no. Being bound to a site, a
caller writes identities and documents of that site's domain alone, which the services see to.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ihe.caller import Caller
from ihe.errors import AccessDenied, InsufficientScope

PURPOSES: Final = ("normal", "bris_de_glace", "centre_15")
"""Purposes of use that a caller may declare."""
ANYONE: Final = "anyone"
"""Column of what everybody may do whose system is known."""
_ANY_PURPOSE: Final = "any"


class Reach(StrEnum):
    """How far a role reaches."""

    OWN = "own"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Cell:
    """One decision of the table."""

    transaction: str
    purpose: str
    role: str
    reach: Reach


class MatrixFault(ValueError):
    """The table cannot be used; one sentence with the row."""


class Matrix:
    """Decides by the cells of a table.

    Args:
        cells: what is allowed.
        roles: the columns of the table, allowed anything or not.
    """

    def __init__(self, cells: Iterable[Cell], roles: Iterable[str] = ()) -> None:
        self._reach: dict[tuple[str, str, str], Reach] = {
            (cell.transaction, cell.purpose, cell.role): cell.reach for cell in cells
        }
        self.roles = tuple(roles)

    def __iter__(self) -> Iterator[Cell]:
        return (Cell(*key, reach) for key, reach in self._reach.items())

    @property
    def transactions(self) -> frozenset[str]:
        """Those that anybody may do."""
        return frozenset(transaction for transaction, _, _ in self._reach)

    def reach(self, caller: Caller, transaction: str) -> Reach | None:
        """How far the caller's roles reach together; ``None`` is not at all."""
        found = {self._reach.get((transaction, caller.purpose, role)) for role in (*caller.roles, ANYONE)}
        return Reach.REGION if Reach.REGION in found else Reach.OWN if Reach.OWN in found else None

    def authorise(self, caller: Caller, transaction: str) -> None:
        """Let a caller do a transaction.

        Raises:
            AccessDenied: no cell allows it, the caller is of no site where it needs one, or its token is for other
                transactions (:class:`~ihe.errors.InsufficientScope`).
        """
        reach = self.reach(caller, transaction)
        if reach is None:
            raise AccessDenied("this is not allowed to the roles of the caller for the purpose stated")
        if reach is Reach.OWN and caller.site is None:
            raise AccessDenied("this is allowed to systems and users of a site only")
        is_open = (transaction, caller.purpose, ANYONE) in self._reach
        if caller.scopes is not None and transaction not in caller.scopes and not is_open:
            raise InsufficientScope("the scopes of the token do not name this transaction")


def read_matrix(path: Path) -> Matrix:
    """Read a table.

    Raises:
        MatrixFault: a row or a cell is not what it must be.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        roles = [name for name in rows.fieldnames or () if name not in ("transaction", "purpose")]
        cells = [cell for number, row in enumerate(rows, 2) for cell in _cells(row, roles, f"{path.name}:{number}")]
    keys = [(cell.transaction, cell.purpose, cell.role) for cell in cells]
    if len(set(keys)) < len(keys):
        raise MatrixFault(f"{path.name}: {next(key for key in keys if keys.count(key) > 1)} is decided twice")
    return Matrix(cells, roles)


def _cells(row: Mapping[str, str | None], roles: Iterable[str], where: str) -> Iterator[Cell]:
    transaction, purpose = row.get("transaction"), row.get("purpose")
    if not transaction or purpose not in (*PURPOSES, _ANY_PURPOSE):
        raise MatrixFault(f"{where}: needs a transaction, and a purpose of {', '.join((*PURPOSES, _ANY_PURPOSE))}")
    for role in roles:
        if value := row[role]:
            if value not in list(Reach):
                raise MatrixFault(f"{where}: {role} is {', '.join(Reach)} or empty")
            for each in PURPOSES if purpose == _ANY_PURPOSE else (purpose,):
                yield Cell(transaction, each, role, Reach(value))
