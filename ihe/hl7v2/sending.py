"""HL7 v2 messages that this service sends by itself: their header, and what their acknowledgement says.

Source: HL7 v2.5: 2.9.2, 2.15.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ihe.errors import Conflict, MalformedRequest
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.er7 import Message
from ihe.values import format_dtm

_VERSION = "2.5"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around a message, whatever it says.

    Attributes:
        sender: MSH-3 (name, or name, OID and ``ISO``) and MSH-4.
        receiver: MSH-5 and MSH-6.
        control_id: MSH-10, at most 20 characters; the same when the message is sent again.
        at: MSH-7.
        processing_id: ``P``, ``T`` or ``D``.
    """

    sender: tuple[tuple[str, ...], str]
    receiver: tuple[str, str]
    control_id: str
    at: datetime
    processing_id: str = "P"

    @property
    def timestamp(self) -> str:
        """The moment as HL7 writes it."""
        return f"{format_dtm(self.at)}+0000"

    def header(self, code: str, event: str, structure: str) -> SegmentBuilder:
        """The MSH; original acknowledgement mode.

        Args:
            code: MSH-9.1; event: MSH-9.2; structure: MSH-9.3.
        """
        application, facility = self.sender
        return SegmentBuilder(
            "MSH",
            list(application),
            facility,
            *self.receiver,
            self.timestamp,
            None,
            [code, event, structure],
            self.control_id,
            self.processing_id,
            _VERSION,
        )


def require_accepted(answer: Message) -> None:
    """Read an acknowledgement.

    Raises:
        Conflict: the receiver refused the message (MSA-1 is neither AA nor CA).
        MalformedRequest: the answer has no MSA.
    """
    msa = answer.segment("MSA")
    if msa is None:
        raise MalformedRequest("the answer has no MSA segment", "MSA")
    if msa.text(1) not in ("AA", "CA"):
        raise Conflict("the receiver refused the message", "MSA-1")
