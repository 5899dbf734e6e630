"""ITI-31 Patient Encounter Management: admissions and movements, which tell the identity in passing.

Source: ITI TF-2: 3.31; PAM France 2.11.
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

_EVENTS = (
    *("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13", "A14", "A15", "A16"),
    *("A21", "A22", "A25", "A26", "A27", "A32", "A33", "A38", "A44", "A52", "A53", "A54", "A55", "Z99"),
)

TRANSACTION = Transaction(
    number="ITI-31",
    name="Patient Encounter Management",
    actor="Patient Encounter Consumer",
    profile="PAM",
    bindings=tuple(Hl7v2Binding("ADT", event, _VERSIONS) for event in _EVENTS),
    writes=True,
    event_code="110110",
    event_action="U",
    options=(
        "Identity source: PID is taken in when it is newer",
        "Inpatient/Outpatient, Advanced Encounter, Pending Event and Temporary Patient Transfers Tracking events",
        "A44 moves an account with its visits to another patient",
        "A08 tolerated",
    ),
    source="ITI TF-2: 3.31; PAM France 2.11",
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
