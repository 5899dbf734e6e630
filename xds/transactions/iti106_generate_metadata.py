"""ITI-106 Generate Metadata: a structured document is published; its metadata is read out of it.

What the document does not say is kept absent, as limited metadata; it may be completed by ITI-57.

Source: ITI TF-2: 3.106 (MHD 4.2).
"""

from __future__ import annotations

from ihe.errors import MissingElement
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.services.publishing import Published, publish_document
from xds.translate.ebxml_soap import note_submission
from xds.translate.fhir_document import resource_id
from xds.translate.fhir_generated import generated_reference
from xds.translate.fhir_submission import LARGEST_MESSAGE_BYTES
from xds.translate.fhir_terms import Json

TRANSACTION = Transaction(
    number="ITI-106",
    name="Generate Metadata",
    actor="Document Recipient",
    profile="MHD",
    bindings=(
        HttpBinding(
            "POST",
            "/fhir/DocumentReference/$generate-metadata",
            interaction="operation:generate-metadata",
            body="Parameters",
            max_body_bytes=LARGEST_MESSAGE_BYTES,
        ),
    ),
    writes=True,
    event_code="110107",
    event_action="C",
    options=("CDA, FHIR documents and DICOM key object manifests",),
    source="ITI TF-2: 3.106",
)


def decode(request: HttpRequest) -> Json:
    """The document as a Binary or a Bundle, valid by the R4 model.

    Raises:
        MissingElement: there is no parameter ``document``.
    """
    answer_format(request)
    parameters = read_resource(request, "Parameters")
    for each in parameters.get("parameter", ()):
        if each.get("name") == "document" and "resource" in each:
            document: Json = each["resource"]
            return document
    raise MissingElement("the parameter document, a Binary or a Bundle, is missing", "Parameters.parameter")


def serve(document: Json, context: Context[XdsApplication]) -> Published:
    """Read the metadata out of the document, keep and register both.

    Raises:
        UnsupportedRequest: a type of document from which no metadata is generated.
        MalformedRequest: the document can't be read.
        Refused: the registry refuses it; carries every finding. Nothing was kept.
    """
    app = context.application
    generated = generated_reference(document, app.repository.zone)
    published = publish_document(context.uow, generated, app.repository, app.patients)
    note_submission(published.submission, context.trail)
    context.trail.document(published.entry.unique_id)
    return published


def encode(published: Published, request: HttpRequest) -> HttpReply:
    """Where the DocumentReference is."""
    media_type = answer_format(request)
    address = f"{request.base_url}/fhir/DocumentReference/{resource_id(published.entry.id)}"
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "DocumentReference", "valueReference": {"reference": address}}],
    }
    return HttpReply(200, media_type, render(parameters, media_type), {"Location": address})
