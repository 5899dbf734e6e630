"""Which records are hidden, as SQL: the same that :class:`mpi.domain.record.Record` tells, where no record is read."""

from __future__ import annotations

from typing import Any, Final

from ihe.confidentiality import HIDDEN, Sight

_ATTRIBUTES: Final = ", ".join(f"'{each}'" for each in sorted(HIDDEN))


def is_hidden(alias: str) -> str:
    """That a record is hidden: by its identity's attributes, or because its patient opposes to indexing."""
    has_any = f"{alias}.traits ? 'identity_attributes'"  # few have, so that the rest costs only those
    attributes = f"{alias}.traits->'identity_attributes' ?| ARRAY[{_ATTRIBUTES}]"
    return f"({alias}.opposes_indexing OR ({has_any} AND {attributes}))"


def is_shown(alias: str, sees_hidden: str = "%(sees_hidden)s", site: str = "%(site)s") -> str:
    """That a record is shown to whom :func:`sight` describes, or what is given in its place."""
    return f"({sees_hidden} OR {alias}.domain = {site} OR NOT {is_hidden(alias)})"


def sight(seen: Sight) -> dict[str, Any]:
    """The parameters of :func:`is_shown`."""
    return {"sees_hidden": seen.sees_hidden, "site": seen.site or ""}
