"""ITI-105 Simplified Publish: one DocumentReference that carries its document.

The submission set that XDS needs is made here; absent attributes are kept absent, as limited metadata.

Source: ITI TF-2: 3.105 (MHD 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.services.described import surroundings
from xds.services.patient_resources import patient_references
from xds.services.publishing import Published, publish_document
from xds.translate.ebxml_soap import note_submission
from xds.translate.ebxml_stored import entry_of
from xds.translate.fhir_document import document_reference
from xds.translate.fhir_submission import LARGEST_MESSAGE_BYTES
from xds.translate.fhir_terms import Json

TRANSACTION = Transaction(
    number="ITI-105",
    name="Simplified Publish",
    actor="Document Recipient",
    profile="MHD",
    bindings=(
        HttpBinding(
            "POST",
            "/fhir/DocumentReference",
            interaction="create",
            body="DocumentReference",
            max_body_bytes=LARGEST_MESSAGE_BYTES,
        ),
    ),
    writes=True,
    event_code="110107",
    event_action="C",
    options=("the document is in attachment.data", "hash and size are computed, and held against those stated"),
    source="ITI TF-2: 3.105",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The document as registered, with what its resource says beside its metadata."""

    published: Published
    subject_reference: str | None
    relations: tuple[tuple[str, str], ...]


def decode(request: HttpRequest) -> Json:
    """The DocumentReference, valid by the R4 model."""
    answer_format(request)
    return read_resource(request, "DocumentReference")


def serve(resource: Json, context: Context[XdsApplication]) -> Answer:
    """Keep and register it.

    Raises:
        Refused: something is wrong; carries every finding. Nothing was kept.
    """
    uow, app = context.uow, context.application
    published = publish_document(uow, resource, app.repository, app.patients)
    note_submission(published.submission, context.trail)
    context.trail.document(published.entry.unique_id)
    references = patient_references(uow, app.patients, [published.returned])
    around = surroundings(uow, app.registry, [published.returned])
    return Answer(published, next(iter(references.values()), None), tuple(around.relations.get(published.entry.id, ())))


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """201 with the resource as it was registered, without the document."""
    media_type = answer_format(request)
    entry = answer.published.entry
    resource = document_reference(
        entry_of(entry, answer.published.returned.patient_id),
        subject_reference=answer.subject_reference,
        relations=answer.relations,
        registered_at=entry.registered_at,
        base_url=f"{request.base_url}/fhir",
    )
    headers = {
        "Location": f"{request.base_url}/fhir/DocumentReference/{resource['id']}",
        "ETag": f'W/"{resource["meta"]["versionId"]}"',
    }
    return HttpReply(201, media_type, render(resource, media_type), headers)
