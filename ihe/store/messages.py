"""Messages already answered: the same message twice changes nothing and gets the same answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from ihe.store.tables import received_message


@dataclass(frozen=True, slots=True)
class MessageKey:
    """What makes two receptions the same message: sender, control id, and content.

    Senders reuse control ids after a restart, so the content belongs to the key.
    """

    sender: str
    control_id: str
    content_hash: bytes

    @classmethod
    def of(cls, sender: str, control_id: str, content: bytes) -> MessageKey:
        """The key of a message's bytes."""
        return cls(sender, control_id, hashlib.sha256(content).digest())


def stored_answer(connection: Connection, key: MessageKey) -> bytes | None:
    """The answer given before, or ``None`` when the message is new."""
    found: bytes | None = connection.execute(
        select(received_message.c.answer).where(
            received_message.c.sender == key.sender,
            received_message.c.control_id == key.control_id,
            received_message.c.content_hash == key.content_hash,
        )
    ).scalar()
    return found


def remember(connection: Connection, key: MessageKey, answer: bytes, now: datetime) -> None:
    """Keep the answer, in the same commit as what the message changed.

    Of two receptions at once, the later one fails here with a unique violation; its unit is rolled back and run
    again, and then finds the answer.
    """
    connection.execute(
        insert(received_message).inline(),
        {
            "sender": key.sender,
            "control_id": key.control_id,
            "content_hash": key.content_hash,
            "received_at": now,
            "answer": answer,
        },
    )


def forget_before(connection: Connection, moment: datetime) -> int:
    """Delete the answers given before ``moment``; returns how many."""
    return connection.execute(delete(received_message).where(received_message.c.received_at < moment)).rowcount
