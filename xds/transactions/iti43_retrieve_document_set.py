"""ITI-43 Retrieve Document Set: documents as they were provided, verified, streamed.

Source: ITI TF-2: 3.43.
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_set import DocumentRequest, Retrieval
from xds.services.retrieve import retrieve
from xds.translate.ebxml_document_set import XDSB, read_document_requests
from xds.translate.ebxml_soap import note_retrieval, refused_retrieval, retrieval_reply

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
        "On-Demand Documents: made at each retrieval; snapshots by setting (Persistence of Retrieved Documents)",
        "Delayed Document Assembly: made at the first retrieval, the entry updated with hash and size",
    ),
    source="ITI TF-2: 3.43",
)


def decode(request: SoapRequest) -> tuple[DocumentRequest, ...]:
    """The documents asked for."""
    return read_document_requests(request.body_element)


def serve(requests: tuple[DocumentRequest, ...], context: Context[XdsApplication]) -> Retrieval:
    """Find them and open their bytes; make those that are made on demand."""
    found = retrieve(context.uow, requests, context.application.repository)
    note_retrieval(found, context.trail)
    return found


def encode(found: Retrieval, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with a MIME part for each document."""
    return retrieval_reply(found)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
