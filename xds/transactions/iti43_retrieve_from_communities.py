"""ITI-43 Retrieve Document Set at the Initiating Gateway: documents of this community and of others.

Source: ITI TF-2: 3.43 (XCA, XDS Affinity Domain option).
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_set import DocumentRequest, Retrieval
from xds.services.gateway import retrieve_from_communities
from xds.translate.ebxml_document_set import XDSB, read_document_requests
from xds.translate.ebxml_soap import note_retrieval, refused_retrieval, retrieval_reply

TRANSACTION = Transaction(
    number="ITI-43",
    name="Retrieve Document Set",
    actor="Initiating Gateway",
    profile="XCA",
    bindings=(
        SoapBinding(
            path="/ihe/gateway",
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
        "XDS Affinity Domain: the homeCommunityId of a document chooses the gateway (ITI-39); without one it is ours",
        "all are asked at once, each with a time limit",
        "a community without answer is named (XDSUnavailableCommunity) beside the documents of the others",
    ),
    source="ITI TF-2: 3.43",
    waits=True,
)


def decode(request: SoapRequest) -> tuple[DocumentRequest, ...]:
    """The documents asked for."""
    return read_document_requests(request.body_element)


def serve(requests: tuple[DocumentRequest, ...], context: Context[XdsApplication]) -> Retrieval:
    """Find them and open their bytes."""
    app = context.application
    found = retrieve_from_communities(context.uow, app.gateway, app.repository, requests)
    note_retrieval(found, context.trail)
    return found


def encode(found: Retrieval, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with a MIME part for each document."""
    return retrieval_reply(found)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
