"""Other communities with which patients and documents are exchanged.

Source: ITI TF-1: 18 (XCA), 27 (XCPD).
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.values import Oid


@dataclass(frozen=True, slots=True)
class Community:
    """Another community, and where its responding gateway is reached; ``None`` where it does not offer a transaction.

    Attributes:
        name: for messages to people.
        xcpd: endpoint of Cross Gateway Patient Discovery (ITI-55).
        xca_query: endpoint of Cross Gateway Query (ITI-38).
        xca_retrieve: endpoint of Cross Gateway Retrieve (ITI-39).
        timeout_seconds: how long an answer of it is waited for.
    """

    name: str
    home_community_id: Oid
    xcpd: str | None = None
    xca_query: str | None = None
    xca_retrieve: str | None = None
    timeout_seconds: float = 15.0
