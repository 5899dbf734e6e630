"""The search names of a record as its own row holds them: each a line, begun by its part (``F``, ``G``).

In ``\\nFEXEMPLE\\nGANNE\\nGANNE MARIE\\n`` a name is, or begins with, what is asked for where a text stands that begins
at the line's end before it. No name holds one: :func:`mpi.domain.search.fold` leaves letters, digits and single spaces.
"""

from __future__ import annotations

from collections.abc import Iterable

OF_RECORD = r"""coalesce(r.search_names,
    (SELECT E'\n' || string_agg(n.part || n.name || E'\n', '') FROM record_name n WHERE n.record_id = r.id))"""
"""The names of record ``r``; where the version before wrote them, they stand in ``record_name`` alone."""


def lines(names: Iterable[tuple[str, str]]) -> str:
    """Names in the order given, each with its part before it."""
    return "\n" + "".join([f"{part}{name}\n" for part, name in names])
