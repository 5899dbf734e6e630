"""ADT messages → what a feed tells the index.

Source: ITI TF-2: 3.8, 3.30, 3.31; PAM France 2.11.
"""

from __future__ import annotations

from ihe.errors import MissingElement
from ihe.hl7v2.acknowledgement import acknowledge
from ihe.hl7v2.er7 import Message
from ihe.values import PatientId
from mpi.domain.feed import Feed, FeedKind
from mpi.translate.hl7v2_consent import statements
from mpi.translate.hl7v2_patient import patient_ids, required_pid, source_updated_at, traits
from mpi.translate.hl7v2_visit import moved_account, visit_news

_KINDS = {
    "A24": FeedKind.LINK,
    "A28": FeedKind.IDENTITY,
    "A29": FeedKind.WITHDRAW,
    "A31": FeedKind.IDENTITY,
    "A37": FeedKind.UNLINK,
    "A40": FeedKind.MERGE,
    "A44": FeedKind.MOVE_ACCOUNT,
    "A47": FeedKind.CHANGE_IDENTIFIER,
}


def decode_feed(message: Message) -> Feed:
    """Read one ADT message; an event that is none of identity management is an encounter's.

    Raises:
        MissingElement: PID, PID-3, MRG-1, the second PID of a link or the number of a moved account is missing.
        InvalidElement: a field is malformed.
    """
    kind = _KINDS.get(message.trigger_event, FeedKind.ENCOUNTER)
    pid = required_pid(message)
    identifiers = _identifiers(patient_ids(pid.field(3), "PID-3"), "PID-3")
    former: list[PatientId] = []
    account = None
    if kind in (FeedKind.MERGE, FeedKind.CHANGE_IDENTIFIER, FeedKind.MOVE_ACCOUNT):
        mrg = message.segment("MRG")
        if mrg is None:
            raise MissingElement("the message has no MRG segment", "MRG")
        former = _identifiers(patient_ids(mrg.field(1), "MRG-1"), "MRG-1")
        account = moved_account(mrg, pid) if kind is FeedKind.MOVE_ACCOUNT else None
    elif kind in (FeedKind.LINK, FeedKind.UNLINK):
        others = message.segments("PID")[1:]
        if not others:
            raise MissingElement("a link names both patients: the second PID is missing", "PID")
        former = _identifiers(patient_ids(others[0].field(3), "PID[2]-3"), "PID[2]-3")
    return Feed(
        kind=kind,
        identifiers=tuple(identifiers),
        others=tuple(former),
        traits=traits(message, pid),
        source_updated_at=source_updated_at(message, pid),
        visit=visit_news(message, pid) if kind is FeedKind.ENCOUNTER else None,
        account=account,
        statements=statements(message) if kind in (FeedKind.IDENTITY, FeedKind.ENCOUNTER) else (),
    )


def _identifiers(found: list[PatientId], location: str) -> list[PatientId]:
    if not found:
        raise MissingElement(f"{location} holds no identifier with an assigning authority", location)
    return found


def encode_accept(_result: object, message: Message) -> Message:
    """The positive acknowledgement."""
    return acknowledge(message)
