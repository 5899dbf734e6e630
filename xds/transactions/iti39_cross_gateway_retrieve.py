"""ITI-39 Cross Gateway Retrieve: documents for another community's gateway; and from others.

Source: ITI TF-2: 3.39 (XCA).
"""

from __future__ import annotations

from typing import Final

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import OutboundBinding, SoapBinding, Transaction
from ihe.xml import Element
from xds.application import XdsApplication
from xds.domain.document_set import Retrieval
from xds.services.gateway import respond_with_documents
from xds.translate.ebxml_document_set import XDSB, read_document_requests
from xds.translate.ebxml_soap import note_retrieval, refused_retrieval, retrieval_reply
from xds.translate.xca import refusal_of

ACTION: Final = "urn:ihe:iti:2007:CrossGatewayRetrieve"

TRANSACTION = Transaction(
    number="ITI-39",
    name="Cross Gateway Retrieve",
    actor="Responding Gateway",
    profile="XCA",
    bindings=(
        SoapBinding(
            path="/ihe/xca",
            action=ACTION,
            response_action=f"{ACTION}Response",
            request_element=f"{{{XDSB}}}RetrieveDocumentSetRequest",
            response_element=f"{{{XDSB}}}RetrieveDocumentSetResponse",
            mtom=True,
        ),
        OutboundBinding("SOAP", "to the gateways of the communities in the region's table, as Initiating Gateway"),
    ),
    writes=False,
    event_code="110106",
    event_action="R",
    options=("the homeCommunityId is required of each document and is the location of every error",),
    source="ITI TF-2: 3.39",
)


def decode(request: SoapRequest) -> Element:
    """The request; it is read where our homeCommunityId is known, because every error carries it."""
    return request.body_element


def serve(body: Element, context: Context[XdsApplication]) -> Retrieval:
    """Find the documents and open their bytes.

    Raises:
        IheError: it is refused, on behalf of this community.
    """
    app = context.application
    communities = app.gateway.communities
    try:
        found = respond_with_documents(context.uow, read_document_requests(body), app.repository, communities)
    except IheError as error:
        raise refusal_of(error, communities.own.urn, "Repository") from None
    note_retrieval(found, context.trail)
    return found


def encode(found: Retrieval, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with a MIME part for each document."""
    return retrieval_reply(found)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
