"""RAD-69 Retrieve Imaging Document Set: pictures of any site of the region, over SOAP with MTOM.

Source: RAD TF-2: 4.69.
"""

from __future__ import annotations

from collections import Counter

from ihe.errors import IheError
from ihe.serving import AfterCommit, Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_set import ImagingRequest
from xds.services.retrieve_imaging import Planned, fetch, plan
from xds.translate.ebxml_document_set import XDSB
from xds.translate.ebxml_soap import refused_retrieval, retrieval_reply
from xds.translate.imaging_request import XDSI, read_imaging_request

TRANSACTION = Transaction(
    number="RAD-69",
    name="Retrieve Imaging Document Set",
    actor="Imaging Document Source",
    profile="XDS-I.b",
    bindings=(
        SoapBinding(
            path="/ihe/imaging",
            action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
            response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
            request_element=f"{{{XDSI}}}RetrieveImagingDocumentSetRequest",
            response_element=f"{{{XDSB}}}RetrieveDocumentSetResponse",
            mtom=True,
        ),
    ),
    writes=False,
    event_code="110104",
    event_action="R",
    options=(
        "partial success for each instance; one that the caller may not read is answered as one that isn't there",
        "transfer syntax: as stored when asked for, else the first asked for that the archive can make",
    ),
    source="RAD TF-2: 4.69",
    waits=True,
)

Question = tuple[tuple[ImagingRequest, ...], tuple[str, ...]]


def decode(request: SoapRequest) -> Question:
    """The instances and transfer syntaxes asked for."""
    return read_imaging_request(request.body_element)


def serve(question: Question, context: Context[XdsApplication]) -> Planned:
    """Decide what the caller may have."""
    requests, syntaxes = question
    planned = plan(context.uow, requests, syntaxes, context.application.studies)
    for anchor in sorted({located.found.study.facts.anchor for _, located in planned.instances}):
        context.trail.patient(anchor)
    for study, count in sorted(Counter(request.study for request, _ in planned.instances).items()):
        context.trail.study(study, instances=count)
    return planned


def encode(planned: Planned, request: SoapRequest) -> AfterCommit[SoapReply]:
    """``xdsb:RetrieveDocumentSetResponse``, fetched when this unit of work is over."""
    return AfterCommit(lambda: retrieval_reply(fetch(planned)))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` of a failure."""
    return refused_retrieval(error)
