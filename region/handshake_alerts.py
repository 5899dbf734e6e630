"""Handshakes that fail become security alerts in the audit trail, bounded however often somebody tries.

The first failure of an address is told at once, what it tries within the next minute as one event with a count. Above
some number of addresses all further ones are counted together.

Source: DICOM PS3.15 A.5.3.11 (Security Alert); ITI TF-2: 3.19.6.1.4.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import NODE_AUTHENTICATION

log = logging.getLogger(__name__)

TOGETHER_SECONDS: Final = 60.0
"""For how long failures of one address are counted before they are told."""
MOST_ADDRESSES: Final = 1000
OTHERS: Final = "other addresses"
"""Stands for all addresses above :data:`MOST_ADDRESSES`."""


class HandshakeAlerts:
    """Hears of handshakes that failed, in the event loop.

    Args:
        write: writes an event durably; called in a thread.
    """

    def __init__(self, write: Callable[[AuditEvent], None], together_seconds: float = TOGETHER_SECONDS) -> None:
        self._write = write
        self._together_seconds = together_seconds
        self._untold: dict[str, int] = {}
        """Failures not yet told of each address that failed lately."""

    def __call__(self, address: str, error: ssl.SSLError) -> None:
        """A handshake failed."""
        if address not in self._untold and len(self._untold) >= MOST_ADDRESSES:
            address = OTHERS
        if address in self._untold:
            self._untold[address] += 1
            return
        self._untold[address] = 0
        found = (getattr(error, name, None) for name in ("verify_message", "reason"))
        self._tell(address, next(filter(None, found), "handshake failure"), 1)
        self._look_again(address)

    def _look_again(self, address: str) -> None:
        asyncio.get_running_loop().call_later(self._together_seconds, self._sum_up, address)

    def _sum_up(self, address: str) -> None:
        count = self._untold.pop(address)
        if count:
            self._untold[address] = 0
            self._tell(address, "further failures", count)
            self._look_again(address)

    def _tell(self, address: str, why: str, count: int) -> None:
        event = AuditEvent(
            at=datetime.now(UTC),
            transaction=NODE_AUTHENTICATION,
            event_code="110113",
            event_action="E",
            outcome=Outcome.MINOR_FAILURE,
            node=address,
            site=None,
            user=None,
            purpose="normal",
            correlation_id=uuid.uuid4().hex,
            objects=({"kind": "node", "id": address, "Alert Description": why, "Failures": count},),
            reason="NodeAuthenticationFailure",
        )
        asyncio.get_running_loop().run_in_executor(None, self._keep, event)

    def _keep(self, event: AuditEvent) -> None:
        try:
            self._write(event)
        except (DBAPIError, PoolTimeout, psycopg.Error):
            log.exception("a failed handshake could not be audited", extra={"peer": event.node})
