"""ITI-68 Retrieve Document: the bytes of a document by the address in its DocumentReference.

Sent raw with the document's own type, streamed and verified; as a FHIR Binary to those who ask for FHIR.

Source: ITI TF-2: 3.68 (MHD 4.2); FHIR R4 2.42 (Binary).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from ihe.errors import Finding, IheError, NotAcceptable, NotFound, TooLarge, Unavailable
from ihe.fhir.formats import JSON, XML, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.domain.datatypes import is_uuid
from xds.domain.document_set import DocumentRequest, RetrievedDocument
from xds.domain.registered import RegisteredEntry
from xds.services import get
from xds.services.get import Named
from xds.services.retrieve import retrieve
from xds.services.visibility import visible
from xds.translate.fhir_terms import is_text

TRANSACTION = Transaction(
    number="ITI-68",
    name="Retrieve Document",
    actor="Document Responder",
    profile="MHD",
    bindings=(HttpBinding("GET", "/fhir/Binary/{id}", interaction="read"),),
    writes=False,
    event_code="110106",
    event_action="R",
    options=(
        "addressed by entryUUID or by uniqueId",
        "bytes are verified against their hash while they are sent; damaged ones are never sent whole",
        "as Binary resource when only FHIR is accepted, up to 16 MiB",
    ),
    source="ITI TF-2: 3.68",
)

LARGEST_RESOURCE_BYTES = 16 * 1024 * 1024
_FAILURES: dict[str, type[IheError]] = {"XDSRepositoryBusy": Unavailable, "XDSRepositoryError": IheError}
_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    # A document is somebody's file: opened in a browser it runs nothing and belongs to no origin.
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The document and the entry by which it was found."""

    entry_id: str
    document: RetrievedDocument


def decode(request: HttpRequest) -> str:
    """The logical id."""
    return request.path_parameters["id"]


def serve(resource_id: str, context: Context[XdsApplication]) -> Retrieved:
    """Find the document and open its bytes.

    Raises:
        NotFound: no such document that the caller may read.
        Unavailable: the storage does not answer now.
    """
    uow, app = context.uow, context.application
    entry = _entry(resource_id, context)
    asked = DocumentRequest(entry.repository_unique_id, entry.unique_id)
    found = retrieve(uow, [asked], app.repository)
    for finding in found.findings:
        raise _failure(finding)
    (document,) = found.documents
    for patient_id in sorted(document.patient_ids):
        context.trail.patient(patient_id)
    context.trail.document(entry.unique_id, repository=entry.repository_unique_id)
    return Retrieved(entry.id.removeprefix("urn:uuid:"), document)


def _entry(resource_id: str, context: Context[XdsApplication]) -> RegisteredEntry:
    urn = f"urn:uuid:{resource_id.lower()}"
    named = Named(ids=[urn]) if is_uuid(urn) else Named(unique_ids=[resource_id])
    if not is_text(resource_id):
        raise NotFound("there is no such document")
    entries = visible(context.uow, context.application.registry, get.entries(context.uow, named))
    if not entries:
        raise NotFound("there is no such document")
    return entries[0]


def _failure(finding: Finding) -> IheError:
    return _FAILURES.get(finding.code, NotFound)(finding.context)


def encode(found: Retrieved, request: HttpRequest) -> HttpReply:
    """The bytes as they are, or a Binary.

    Raises:
        NotAcceptable: the client takes another type only.
        TooLarge: a Binary of this size is not made; ask for the document's own type.
    """
    document = found.document
    try:
        wanted = _wanted(request, document.mime_type)
    except NotAcceptable:
        document.blocks.close()
        raise
    if wanted is None:
        headers = {"Content-Type": document.mime_type, "Content-Length": str(document.size), **_HEADERS}
        return HttpReply(200, document.mime_type, document.blocks, headers)
    if document.size > LARGEST_RESOURCE_BYTES:
        document.blocks.close()
        raise TooLarge(f"this document is sent as {document.mime_type} only")
    data = base64.b64encode(b"".join(document.blocks)).decode()
    resource = {"resourceType": "Binary", "id": found.entry_id, "contentType": document.mime_type, "data": data}
    return HttpReply(200, wanted, render(resource, wanted), _HEADERS)


def _wanted(request: HttpRequest, mime_type: str) -> str | None:
    """The FHIR format asked for, or ``None`` for the document's own type."""
    own = mime_type.partition(";")[0].strip().lower()
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    if request.one("_format"):
        accepted = [(request.one("_format") or "").partition(";")[0].strip().lower().replace(" ", "+")]
    kind = own.partition("/")[0] + "/*"
    if not any(accepted) or any(each in (own, kind, "*/*") for each in accepted):
        return None
    for each in accepted:
        if each in (JSON, "application/json", "json"):
            return JSON
        if each in (XML, "application/xml", "xml"):
            return XML
    raise NotAcceptable(f"this document is sent as {own}, application/fhir+json or application/fhir+xml", "Accept")
