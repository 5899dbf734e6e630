"""The region's authorisation matrix: the table beside this module, and the pages of the workbench with their roles."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ihe.authorisation import ANYONE, PURPOSES, Cell, Matrix, Reach, read_matrix
from web.page import discover
from web.workbench import page_number

TABLE: Final = Path(__file__).with_name("authorisation.csv")


def load_matrix() -> Matrix:
    """The matrix.

    Raises:
        MatrixFault: the table cannot be used.
    """
    table = read_matrix(TABLE)
    pages = [
        Cell(page_number(page), purpose, role, Reach.REGION)
        for page in discover()
        for role in (page.roles or {ANYONE})
        for purpose in PURPOSES
    ]
    return Matrix([*table, *pages], table.roles)
