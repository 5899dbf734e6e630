"""ITI-53 Document Metadata Notify: tells a subscriber over SOAP of a document or submission set it wanted.

One-way: a success has no content.

Source: ITI TF-2: 3.53 (DSUB).
"""

from __future__ import annotations

from typing import Final

from ihe.transaction import OutboundBinding, Transaction
from ihe.xml import Element
from xds.domain.document_subscription import DocumentNews, Topic
from xds.translate.dsub import notification

ACTION: Final = "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify"

TRANSACTION = Transaction(
    number="ITI-53",
    name="Document Metadata Notify",
    actor="Document Metadata Notification Broker",
    profile="DSUB",
    bindings=(OutboundBinding("SOAP", "to the consumer of each subscription of ITI-52"),),
    writes=False,
    event_code="110106",
    event_action="R",
    options=("full and minimal document entries, submission sets", "from the outbox: at least once, with back-off"),
    source="ITI TF-2: 3.53",
)


def encode(topic: Topic, manager: str, news: DocumentNews) -> Element:
    """``wsnt:Notify``."""
    return notification(topic, manager, news)


def decode(_answer: None) -> None:
    """Nothing: there is no answer to read."""
