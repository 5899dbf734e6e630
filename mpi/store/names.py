"""The search names of a record as its own row holds them: each a line, begun by its part (``F``, ``G``).

In ``\\nFEXEMPLE\\nGANNE\\nGANNE MARIE\\n`` a name is, or begins with, what is asked for where a text stands that begins
at the line's end before it. No name holds one: :func:`mpi.domain.search.fold` leaves letters, digits and single spaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

OF_RECORD = r"""coalesce(r.search_names,
    (SELECT E'\n' || string_agg(n.part || n.name || E'\n', '') FROM record_name n WHERE n.record_id = r.id))"""
"""The names of record ``r``; where the version before wrote them, they stand in ``record_name`` alone."""
_UNFILLED = text("SELECT id FROM record WHERE search_names IS NULL ORDER BY id LIMIT 2000 FOR UPDATE SKIP LOCKED")
_FILL = text(
    r"""
    UPDATE record r SET search_names = coalesce(
        (SELECT E'\n' || string_agg(n.part || n.name || E'\n', '' ORDER BY n.part, n.name)
            FROM record_name n WHERE n.record_id = r.id), E'\n')
    WHERE r.id = ANY(:ids)
    """
)


def lines(names: Iterable[tuple[str, str]]) -> str:
    """Names in the order given, each with its part before it."""
    return "\n" + "".join([f"{part}{name}\n" for part, name in names])


def fill(connection: Connection, _now: datetime) -> int:
    """Write the names of some records into their rows, where the version before left them in ``record_name`` alone.

    The rows are locked first, so that what is read of them afterwards is what stands there when this ends.

    Returns:
        How many; 0 when none is left.
    """
    ids = connection.execute(_UNFILLED).scalars().all()
    if ids:
        connection.execute(_FILL, {"ids": list(ids)})
    return len(ids)
