"""Other communities with which patients and documents are exchanged, and how several are asked at once.

Source: ITI TF-1: 18 (XCA), 27 (XCPD).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from ihe.values import Oid

Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Community:
    """Another community, and where its responding gateway is reached; ``None`` where it does not offer a transaction.

    Attributes:
        name: for messages to people.
        xcpd: endpoint of Cross Gateway Patient Discovery (ITI-55) and Patient Location Query (ITI-56).
        xca_query: endpoint of Cross Gateway Query (ITI-38).
        xca_retrieve: endpoint of Cross Gateway Retrieve (ITI-39).
        xcai_retrieve: endpoint of Cross Gateway Retrieve Imaging Document Set (RAD-75).
        timeout_seconds: how long an answer of it is waited for.
        remember_days: how long the identifiers by which it knows patients are remembered where its answers do not say;
            0 for not at all.
    """

    name: str
    home_community_id: Oid
    xcpd: str | None = None
    xca_query: str | None = None
    xca_retrieve: str | None = None
    xcai_retrieve: str | None = None
    timeout_seconds: float = 15.0
    remember_days: int = 0


class PendingAnswers(Generic[Answered]):
    """Communities that are being asked, all at once, each for as long as its time limit.

    Args:
        asks: asks each community, in a thread of its own.
    """

    def __init__(self, asks: Mapping[Community, Callable[[], Answered]]) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(asks)), thread_name_prefix="gateway")
        self._started = time.monotonic()
        self._futures = {community: self._pool.submit(ask) for community, ask in asks.items()}

    def answers(
        self,
        late: Callable[[Community], Answered],
        let_go: Callable[[Future[Answered]], None] = lambda _: None,
        messages: Callable[[Community], int] = lambda _: 1,
    ) -> list[Answered]:
        """The answers in the order of the communities.

        Args:
            late: stands for the answer of one that is out of time.
            let_go: is given what arrives after all.
            messages: how many each is sent, one after the other; the time limit is of one.
        """
        found = []
        for community, future in self._futures.items():
            left = community.timeout_seconds * messages(community) - (time.monotonic() - self._started)
            try:
                found.append(future.result(max(0.0, left)))
            except TimeoutError:
                future.add_done_callback(let_go)
                found.append(late(community))
        self._pool.shutdown(wait=False, cancel_futures=True)
        return found
