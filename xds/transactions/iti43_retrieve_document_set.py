"""ITI-43 Retrieve Document Set: documents as they were provided, verified, streamed.

Source: ITI TF-2: 3.43.
"""

from __future__ import annotations

from dataclasses import replace

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.error_codes import fault_for
from ihe.soap.multipart import OutgoingPart
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_set import DocumentAnswer, DocumentRequest
from xds.services.retrieve import Retrieval, retrieve
from xds.translate.ebxml_document_set import XDSB, read_document_requests, retrieve_response
from xds.translate.ebxml_soap import findings_of, soap_reply

TRANSACTION = Transaction(
    number="ITI-43",
    name="Retrieve Document Set",
    actor="Document Repository",
    profile="XDS.b",
    bindings=(
        SoapBinding(
            path="/ihe/repository",
            action="urn:ihe:iti:2007:RetrieveDocumentSet",
            response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
            request_element=f"{{{XDSB}}}RetrieveDocumentSetRequest",
            response_element=f"{{{XDSB}}}RetrieveDocumentSetResponse",
            mtom=True,
        ),
    ),
    writes=False,
    event_code="110106",
    event_action="R",
    options=(
        "partial success: what is found is sent, what is not is named",
        "bytes are verified against their hash while they are sent; damaged ones are never sent whole",
        "a document that the caller may not read is answered as one that isn't there",
    ),
    source="ITI TF-2: 3.43",
)


def decode(request: SoapRequest) -> tuple[DocumentRequest, ...]:
    """The documents asked for."""
    return read_document_requests(request.body_element)


def serve(requests: tuple[DocumentRequest, ...], context: Context[XdsApplication]) -> Retrieval:
    """Find them and open their bytes."""
    found = retrieve(context.uow, requests, context.application.repository)
    for patient_id in sorted({each for document in found.documents for each in document.patient_ids}):
        context.trail.patient(patient_id)
    for document in found.documents:
        context.trail.document(document.request.unique_id, repository=document.request.repository_unique_id)
    return found


def encode(found: Retrieval, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with a MIME part for each document."""
    answers = [
        DocumentAnswer(document.request, document.mime_type, f"document-{number}@traitdunion")
        for number, document in enumerate(found.documents, 1)
    ]
    parts = tuple(
        OutgoingPart(answer.content_id, document.mime_type, document.blocks, document.size)
        for answer, document in zip(answers, found.documents, strict=True)
    )
    return replace(soap_reply(retrieve_response(answers, found.findings)), attachments=parts)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    findings = findings_of(error, "Repository")
    return SoapReply(fault=fault_for(error)) if findings is None else soap_reply(retrieve_response((), findings))
