"""ITI-30 Patient Identity Management: identity messages from version 2.5 on, French or plain.

Source: ITI TF-2: 3.30; PAM France 2.11.
"""

from __future__ import annotations

from ihe.hl7v2.er7 import Message
from ihe.serving import Context
from ihe.transaction import Hl7v2Binding, Transaction
from mpi.application import MpiApplication
from mpi.domain.feed import Feed
from mpi.services.identifiers import patient_id_of
from mpi.services.receive_feed import receive_feed
from mpi.translate.hl7v2_feed import decode_feed, encode_accept

_VERSIONS = ("2.5", "2.6", "2.7", "2.8", "2.9")

TRANSACTION = Transaction(
    number="ITI-30",
    name="Patient Identity Management",
    actor="Patient Demographics Consumer, Patient Identifier Cross-reference Manager",
    profile="PAM",
    bindings=tuple(
        Hl7v2Binding("ADT", event, _VERSIONS) for event in ["A24", "A28", "A29", "A31", "A37", "A40", "A47"]
    ),
    writes=True,
    event_code="110110",
    event_action="U",
    options=("Merge", "Link/Unlink", "PAM France 2.10 and 2.11"),
    source="ITI TF-2: 3.30; PAM France 2.11",
)


def decode(message: Message) -> Feed:
    """Read the ADT message."""
    return decode_feed(message)


def serve(feed: Feed, context: Context[MpiApplication]) -> None:
    """Take it in."""
    key = receive_feed(context.uow, context.application, feed)
    context.trail.patient(patient_id_of(context.application, key).xds_cx)


def encode(result: None, message: Message) -> Message:
    """Acknowledge it."""
    return encode_accept(result, message)
