"""ITI-86 Remove Documents: the repository stops keeping documents; the registry's metadata stays.

Source: ITI TF-2: 3.86.
"""

from __future__ import annotations

from ihe.errors import Finding, IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_set import DocumentRequest
from xds.services.remove_documents import remove
from xds.translate.ebxml_document_set import RMD, read_document_requests
from xds.translate.ebxml_response import registry_response
from xds.translate.ebxml_soap import refused_submission, soap_reply
from xds.translate.ebxml_vocabulary import RS

TRANSACTION = Transaction(
    number="ITI-86",
    name="Remove Documents",
    actor="Document Repository",
    profile="RMD",
    bindings=(
        SoapBinding(
            path="/ihe/repository",
            action="urn:ihe:iti:2017:RemoveDocuments",
            response_action="urn:ihe:iti:2017:RemoveDocumentsResponse",
            request_element=f"{{{RMD}}}RemoveDocumentsRequest",
            response_element=f"{{{RS}}}RegistryResponse",
        ),
    ),
    writes=True,
    event_code="110110",
    event_action="D",
    options=("all documents of a request or none", "a site removes what it provided"),
    source="ITI TF-2: 3.86",
)


def decode(request: SoapRequest) -> tuple[DocumentRequest, ...]:
    """The documents to remove."""
    return read_document_requests(request.body_element)


def serve(requests: tuple[DocumentRequest, ...], context: Context[XdsApplication]) -> None:
    """Remove them."""
    for request in requests:
        context.trail.document(request.unique_id, repository=request.repository_unique_id)
    remove(context.uow, requests, context.application.repository)


def encode(nothing: None, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a success."""
    findings: tuple[Finding, ...] = ()
    return soap_reply(registry_response(findings))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a failure."""
    return refused_submission(error, "Repository")
