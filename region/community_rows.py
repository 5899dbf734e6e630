"""What a ``[[community]]`` of the region's table may say.

Everything is checked as it stands in the file; :mod:`region.region_table` makes communities of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ihe.values import Oid

_COMMUNITY_ADDRESSES = ("xcpd", "xca_query", "xca_retrieve", "xcai_retrieve")


def community_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with a community, or ``None``."""
    unknown = row.keys() - {"name", "home_community_id", "timeout_seconds", "remember_days", *_COMMUNITY_ADDRESSES}
    if unknown:
        return f"{min(unknown)} is not a known key"
    if not isinstance(row.get("home_community_id"), str) or not is_oid(row["home_community_id"]):
        return "home_community_id must be a dotted OID"
    for key in _COMMUNITY_ADDRESSES:
        if key in row and not str(row[key]).startswith(("http://", "https://")):
            return f"{key} must be an http or https address"
    seconds = row.get("timeout_seconds", 1)
    if type(seconds) not in (int, float) or not 0 < seconds <= 300:
        return "timeout_seconds must be a number of at most 300"
    days = row.get("remember_days", 0)
    if type(days) is not int or not 0 <= days <= 3650:
        return "remember_days must be a whole number of at most 3650"
    return None


def is_oid(text: str) -> bool:
    """Whether a text is a dotted OID of at most 64 characters."""
    try:
        Oid(text)
    except ValueError:
        return False
    return True
