"""RAD-75 Cross Gateway Retrieve Imaging Document Set: pictures for another community's gateway; and from others.

Source: RAD TF-2: 4.75 (XCA-I).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from ihe.errors import IheError
from ihe.serving import AfterCommit, Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import OutboundBinding, SoapBinding, Transaction
from ihe.xml import Element
from xds.application import XdsApplication
from xds.domain.communities import located, missing_home, unknown_community
from xds.services.retrieve_imaging import Planned, fetch, plan
from xds.translate.ebxml_document_set import XDSB
from xds.translate.ebxml_soap import refused_retrieval, retrieval_reply
from xds.translate.imaging_request import XDSI, read_imaging_request
from xds.translate.xca import refusal_of

ACTION: Final = "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"

TRANSACTION = Transaction(
    number="RAD-75",
    name="Cross Gateway Retrieve Imaging Document Set",
    actor="Responding Imaging Gateway",
    profile="XCA-I",
    bindings=(
        SoapBinding(
            path="/ihe/xcai",
            action=ACTION,
            response_action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse",
            request_element=f"{{{XDSI}}}RetrieveImagingDocumentSetRequest",
            response_element=f"{{{XDSB}}}RetrieveDocumentSetResponse",
            mtom=True,
        ),
        OutboundBinding(
            "SOAP", "to the gateways of the communities in the region's table, as Initiating Imaging Gateway"
        ),
    ),
    writes=False,
    event_code="110104",
    event_action="R",
    options=(
        "the homeCommunityId is required of each instance and is the location of every error",
        "answered as RAD-69 of this community",
    ),
    source="RAD TF-2: 4.75",
    waits=True,
)

Answer = tuple[Planned, str]


def decode(request: SoapRequest) -> Element:
    """The request; it is read where our homeCommunityId is known, because every error carries it."""
    return request.body_element


def serve(body: Element, context: Context[XdsApplication]) -> Answer:
    """Decide what the other community may have.

    Raises:
        IheError: it is refused, on behalf of this community.
    """
    communities = context.application.gateway.communities
    home = communities.own.urn
    try:
        requests, syntaxes = read_imaging_request(body)
        asked = [each for each in requests if communities.is_own(each.document.home)]
        planned = plan(context.uow, asked, syntaxes, context.application.studies)
    except IheError as error:
        raise refusal_of(error, home, "Repository") from None
    for anchor in sorted({found.found.study.facts.anchor for _, found in planned.instances}):
        context.trail.patient(anchor)
    for study, count in sorted(Counter(request.study for request, _ in planned.instances).items()):
        context.trail.study(study, instances=count)
    misdirected = tuple(
        missing_home(f"the request for {each.document.unique_id}")
        if each.document.home is None
        else unknown_community(each.document.home)
        for each in requests
        if not communities.is_own(each.document.home)
    )
    return replace(planned, findings=(*misdirected, *planned.findings)), home


def encode(answer: Answer, request: SoapRequest) -> AfterCommit[SoapReply]:
    """``xdsb:RetrieveDocumentSetResponse``, fetched when this unit of work is over."""
    planned, home = answer

    def reply() -> SoapReply:
        found = fetch(planned)
        return retrieval_reply(replace(found, findings=located(found.findings, home)))

    return AfterCommit(reply)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
