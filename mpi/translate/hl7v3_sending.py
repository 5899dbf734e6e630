"""HL7 v3 messages of our own: the wrapper, and what the acknowledgement says.

Source: ITI TF-2: Appendix O; HL7 v3 MCCI_MT000100UV01.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ihe.errors import Conflict
from ihe.values import Oid, format_dtm
from ihe.xml import Element
from mpi.translate.hl7v3_elements import add, attribute, new_root
from mpi.translate.hl7v3_message import INTERACTIONS


@dataclass(frozen=True, slots=True)
class Interchange:
    """Who sends to whom.

    Attributes:
        sender: the sending device; also the root of message ids.
        receiver: the receiving device.
        message_id: unique among the sender's messages.
    """

    sender: Oid
    receiver: Oid
    message_id: str
    at: datetime


def new_message(name: str, interchange: Interchange) -> tuple[Element, Element]:
    """An interaction with its wrapper, and its still empty control act."""
    message = new_root(name)
    message.set("ITSVersion", "XML_1.0")
    add(message, "id", root=str(interchange.sender), extension=interchange.message_id)
    add(message, "creationTime", value=f"{format_dtm(interchange.at)}+0000")
    add(message, "interactionId", root=INTERACTIONS, extension=name)
    add(message, "processingCode", code="P")
    add(message, "processingModeCode", code="T")
    add(message, "acceptAckCode", code="AL")
    for role, type_code, device_id in (
        ("receiver", "RCV", interchange.receiver),
        ("sender", "SND", interchange.sender),
    ):
        device = add(add(message, role, typeCode=type_code), "device", classCode="DEV", determinerCode="INSTANCE")
        add(device, "id", root=str(device_id))
    act = add(message, "controlActProcess", classCode="CACT", moodCode="EVN")
    add(act, "code", code=name.replace("_IN", "_TE"), codeSystem=INTERACTIONS)
    return message, act


def require_accepted(answer: Element) -> None:
    """Read an acknowledgement.

    Raises:
        Conflict: the message was not accepted.
    """
    code = attribute(answer, "acknowledgement/typeCode", "code")
    if code not in ("AA", "CA"):
        raise Conflict(f"the message was answered with {code or 'no acknowledgement'}")
