"""ITI-112 Resource Notify: tells a FHIR subscriber of a document or submission set it wanted, by rest-hook.

Source: ITI TF-2: 3.112 (DSUBm); FHIR R4 Subscription.
"""

from __future__ import annotations

from ihe.transaction import OutboundBinding, Transaction
from xds.domain.document_subscription import DocumentNews
from xds.domain.registered import RegisteredEntry, RegisteredSet
from xds.translate.ebxml_stored import entry_of, set_of
from xds.translate.fhir_document import document_reference
from xds.translate.fhir_list import submission_set_list
from xds.translate.fhir_terms import Json

TRANSACTION = Transaction(
    number="ITI-112",
    name="Resource Notify",
    actor="Resource Notification Broker",
    profile="DSUBm",
    bindings=(OutboundBinding("HTTP", "to the endpoint of each subscription of ITI-110"),),
    writes=False,
    event_code="110106",
    event_action="R",
    options=("DocumentReference and List", "from the outbox: at least once, with back-off"),
    source="ITI TF-2: 3.112",
)


def encode(news: DocumentNews, subject_reference: str | None, manager: str) -> Json:
    """The resource.

    Args:
        subject_reference: ``Patient/<id>``, or ``None`` when there is none.
        manager: address of the subscription, below that of our FHIR service.
    """
    item, patient_id = news.returned.object, news.returned.patient_id
    if isinstance(item, RegisteredSet):
        return submission_set_list(
            set_of(item, patient_id),
            subject_reference=subject_reference,
            members=[],
            registered_at=item.registered_at,
        )
    assert isinstance(item, RegisteredEntry)
    return document_reference(
        entry_of(item, patient_id),
        subject_reference=subject_reference,
        relations=(),
        registered_at=item.registered_at,
        base_url=manager.partition("/Subscription/")[0],
    )


def decode(_answer: None) -> None:
    """Nothing: what is answered beside the status is not read."""
