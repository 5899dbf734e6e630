"""HL7 v3 messages of our own: the wrapper, and what the acknowledgement says.

Source: ITI TF-2: Appendix O; HL7 v3 MCCI_MT000100UV01.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from ihe.errors import Conflict
from ihe.values import Oid, format_dtm
from ihe.xml import Element, quoted
from mpi.translate.hl7v3_elements import attribute
from mpi.translate.hl7v3_message import INTERACTIONS
from mpi.translate.hl7v3_text import NAMESPACES


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


def new_message(name: str, interchange: Interchange, content: str, agent: str = "") -> Element:
    """An interaction.

    Args:
        content: of its control act, behind the code.
        agent: whom the sending device acts for: an element.
    """
    return etree.fromstring(
        f'<{name} {NAMESPACES} ITSVersion="XML_1.0">'
        f'<id root="{interchange.sender}" extension={quoted(interchange.message_id)}/>'
        f'<creationTime value="{format_dtm(interchange.at)}+0000"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{name}"/><processingCode code="P"/>'
        '<processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f'<receiver typeCode="RCV">{_device(interchange.receiver)}</receiver>'
        f'<sender typeCode="SND">{_device(interchange.sender, agent)}</sender>'
        '<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="{name.replace("_IN", "_TE")}" codeSystem="{INTERACTIONS}"/>{content}</controlActProcess></{name}>'
    )


def _device(oid: Oid, agent: str = "") -> str:
    return f'<device classCode="DEV" determinerCode="INSTANCE"><id root="{oid}"/>{agent}</device>'


def require_accepted(answer: Element) -> None:
    """Read an acknowledgement.

    Raises:
        Conflict: the message was not accepted.
    """
    code = attribute(answer, "acknowledgement/typeCode", "code")
    if code not in ("AA", "CA"):
        raise Conflict(f"the message was answered with {code or 'no acknowledgement'}")
