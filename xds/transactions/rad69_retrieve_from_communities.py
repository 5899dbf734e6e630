"""RAD-69 Retrieve Imaging Document Set at the Initiating Imaging Gateway: pictures of this community and of others.

Source: RAD TF-2: 4.69, 4.75 (XCA-I).
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import AfterCommit, Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.services.gateway import Gateway, PlannedPictures, fetch_pictures, plan_pictures
from xds.transactions.rad69_retrieve_imaging_document_set import Question
from xds.translate.ebxml_document_set import XDSB
from xds.translate.ebxml_soap import refused_retrieval, retrieval_reply
from xds.translate.imaging_request import XDSI, read_imaging_request

TRANSACTION = Transaction(
    number="RAD-69",
    name="Retrieve Imaging Document Set",
    actor="Initiating Imaging Gateway",
    profile="XCA-I",
    bindings=(
        SoapBinding(
            path="/ihe/gateway",
            action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
            response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
            request_element=f"{{{XDSI}}}RetrieveImagingDocumentSetRequest",
            response_element=f"{{{XDSB}}}RetrieveDocumentSetResponse",
            mtom=True,
        ),
    ),
    writes=False,
    event_code="110106",
    event_action="R",
    options=(
        "the homeCommunityId of an instance chooses the gateway (RAD-75); without one it is ours",
        "all are asked at once, in slices of a hundred instances, each with a time limit",
        "a community without answer is named (XDSUnavailableCommunity) beside the pictures of the others",
    ),
    source="RAD TF-2: 4.69, 4.75",
    waits=True,
)

Answer = tuple[PlannedPictures, Gateway]


def decode(request: SoapRequest) -> Question:
    """The instances and transfer syntaxes asked for."""
    return read_imaging_request(request.body_element)


def serve(question: Question, context: Context[XdsApplication]) -> Answer:
    """Decide whom to ask."""
    requests, syntaxes = question
    app = context.application
    planned = plan_pictures(context.uow, app.gateway, app.studies, requests, syntaxes)
    for anchor in sorted({located.found.study.facts.anchor for _, located in planned.own.instances}):
        context.trail.patient(anchor)
    asked = [request for request, _ in planned.own.instances]
    for request in (*asked, *(each for wanted in planned.elsewhere.values() for each in wanted)):
        context.trail.document(request.document.unique_id, study=request.study)
    return planned, app.gateway


def encode(answer: Answer, request: SoapRequest) -> AfterCommit[SoapReply]:
    """``xdsb:RetrieveDocumentSetResponse``, fetched when this unit of work is over."""
    return AfterCommit(lambda: retrieval_reply(fetch_pictures(*answer)))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
