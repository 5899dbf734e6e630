"""Asks other communities whether they know a patient (``mpi.ports.OtherCommunities``), over SOAP.

Source: ITI TF-2: 3.55, 3.56 (Initiating Gateway).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import DESTINATION
from ihe.caller import REGION
from ihe.communities import Community, PendingAnswers
from ihe.errors import IheError
from ihe.soap.client import SoapClient
from ihe.store import audit
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import Oid
from ihe.xml import XmlLimits
from mpi.domain.community import CommunityAnswer, Inquiry
from mpi.services.ask_communities import remember_answers
from mpi.transactions import iti55_discover_in_communities as iti55
from mpi.transactions import iti56_patient_location_query as iti56
from mpi.translate.hl7v3_inquiry import (
    decode_answer,
    decode_locations,
    encode_inquiry,
    encode_location_query,
    is_locator,
)
from mpi.translate.hl7v3_sending import Interchange

_LIMITS: Final = XmlLimits(bytes=4 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class SoapCommunities:
    """One message for each community, all at once.

    Attributes:
        own: our homeCommunityId.
        others: those that are asked, as far as they have an address for it.
        database: where the answers are remembered.
    """

    own: Oid
    others: tuple[Community, ...]
    database: Database

    def ask(self, inquiry: Inquiry) -> Sequence[CommunityAnswer]:
        """Ask all; whatever goes wrong is part of the answer."""
        asked = [each for each in self.others if each.xcpd is not None]
        if not asked:
            return ()
        exchange = uuid.uuid4().hex
        pending = PendingAnswers({each: partial(self._ask_one, each, inquiry) for each in asked})
        answers = pending.answers(lambda late: CommunityAnswer(late, failure="it did not answer in time"))
        known = {self.own, *(each.home_community_id for each in self.others)}
        usable = [_of_communities(answer, known - {self.own}) for answer in answers]
        with self.database.unit(REGION) as uow:
            remember_answers(uow, inquiry, usable)
            for answer in usable:
                audit.append(uow.connection, _asked(uow, inquiry, answer, exchange))
        return usable

    def _ask_one(self, community: Community, inquiry: Inquiry) -> CommunityAnswer:
        message_id = uuid.uuid4().hex
        interchange = Interchange(self.own, community.home_community_id, message_id, datetime.now(UTC))
        try:
            with SoapClient(community.xcpd or "", community.timeout_seconds, _LIMITS) as client:
                envelope = client.exchange(iti55.ACTION, encode_inquiry(inquiry, interchange))
                answer = decode_answer(envelope, community)
                if not is_locator(envelope):
                    return answer
                return self._with_locations(answer, client)
        except IheError:
            return CommunityAnswer(community, failure="it could not be asked, or its answer could not be read")

    def _with_locations(self, answer: CommunityAnswer, client: SoapClient) -> CommunityAnswer:
        """The answer with the further communities that one tells of; without, where it does not tell."""
        if len(answer.patients) != 1:
            return answer
        try:
            found = decode_locations(client.send(iti56.ACTION, encode_location_query(answer.patients[0].patient_id)))
        except IheError:
            return answer
        home = answer.community.home_community_id
        return replace(answer, locations=tuple(each for each in found if each.home not in (home, self.own)))


def _of_communities(answer: CommunityAnswer, known: Iterable[Oid]) -> CommunityAnswer:
    """The answer without what it says of communities that are none of the table."""
    homes = set(known)
    return replace(
        answer,
        patients=tuple(each for each in answer.patients if each.home in homes),
        locations=tuple(each for each in answer.locations if each.home in homes),
    )


def _asked(uow: UnitOfWork, inquiry: Inquiry, answer: CommunityAnswer, exchange: str) -> AuditEvent:
    """The audit event of a question that went to a community."""
    transaction = iti55.TRANSACTION
    community = answer.community
    named = inquiry.identifiers[:1] if inquiry.record_id is not None else ()
    return AuditEvent(
        at=uow.now,
        transaction=transaction.number,
        event_code=transaction.event_code,
        event_action=transaction.event_action,
        outcome=Outcome.SUCCESS if answer.failure is None else Outcome.MINOR_FAILURE,
        node=uow.caller.node,
        site=uow.caller.site,
        user=uow.caller.named_user,
        purpose=uow.caller.purpose,
        correlation_id=exchange,
        objects=(
            {"kind": DESTINATION, "id": community.home_community_id.urn},
            {"kind": "query", "id": f"{transaction.name} to {community.home_community_id.urn}"},
            *({"kind": "patient", "id": each.xds_cx} for each in named),
        ),
        reason=None if answer.failure is None else "Unavailable",
    )
