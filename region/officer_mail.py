"""Tells the regional officer by e-mail of each emergency that was declared; without a patient's data.

The event stands in the outbox: an absent mail server delays the message and loses none.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from ihe.caller import REGION
from ihe.errors import Unavailable
from ihe.store import emergencies
from ihe.store.emergencies import EmergencyAccess
from ihe.store.outbox import OutboxEvent
from ihe.unit_of_work import Database

_TIMEOUT_SECONDS = 20.0
_SUBJECTS = {"bris_de_glace": "Bris de glace", "centre_15": "Accès du centre 15"}


@dataclass(frozen=True, slots=True)
class Officer:
    """Who is told, and by which mail server.

    Attributes:
        address, sender: e-mail addresses.
        tls: whether STARTTLS is required.
        page: address of the review page.
    """

    address: str
    sender: str
    host: str
    port: int
    tls: bool
    page: str


class OfficerSubscriber:
    """Delivers to the officer's mailbox. For one thread at a time."""

    name = "emergency officer"

    def __init__(self, database: Database, officer: Officer) -> None:
        self._database = database
        self._officer = officer

    def takes(self, event: OutboxEvent) -> bool:
        """Whether an emergency was declared."""
        return event.kind == emergencies.EVENT_KIND

    def deliver(self, event: OutboxEvent) -> None:
        """Send the message.

        Raises:
            Unavailable: the mail server does not take it.
        """
        with self._database.unit(REGION) as uow:
            found = emergencies.by_id(uow.connection, int(event.payload["id"]))
        if found is not None:
            self._send(_message(found, self._officer))

    def _send(self, message: EmailMessage) -> None:
        officer = self._officer
        try:
            with smtplib.SMTP(officer.host, officer.port, timeout=_TIMEOUT_SECONDS) as server:
                if officer.tls:
                    server.starttls(context=ssl.create_default_context())
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable("the mail server does not take the message") from error

    def close(self) -> None:
        """Nothing is kept open."""


def _message(found: EmergencyAccess, officer: Officer) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = officer.sender, officer.address
    message["Subject"] = f"{_SUBJECTS.get(found.purpose, found.purpose)} : accès n° {found.id} à relire"
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain="traitdunion")
    message.set_content(
        f"Un accès d'urgence a été déclaré le {found.first_at:%d/%m/%Y à %H:%M} (UTC)"
        f" par {found.user_id} ({found.site or found.node}).\n\n"
        f"Motif, patient et relecture : {officer.page}/emergencies/{found.id}\n"
    )
    return message
