"""ITI-8 Patient Identity Feed: plain IHE messages before version 2.5 that create, update and merge patients.

Source: ITI TF-2: 3.8.
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

_VERSIONS = ("2.1", "2.2", "2.3", "2.4")

TRANSACTION = Transaction(
    number="ITI-8",
    name="Patient Identity Feed",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIX",
    bindings=tuple(Hl7v2Binding("ADT", event, _VERSIONS) for event in ["A01", "A04", "A05", "A08", "A40"]),
    writes=True,
    event_code="110110",
    event_action="U",
    options=("A08 updates the identity; the registry's own feed ignores it",),
    source="ITI TF-2: 3.8",
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
