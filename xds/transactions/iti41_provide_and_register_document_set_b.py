"""ITI-41 Provide and Register Document Set-b: documents and their metadata, kept and registered together or not at all.

RAD-68 Provide and Register Imaging Document Set is the same message with a key object manifest among its documents:
manifests are read on arrival, and the studies they list are answered as priors.

Source: ITI TF-2: 3.41; RAD TF-3: 4.68.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ihe.errors import Finding, IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.model import Submission
from xds.services.provide import provide
from xds.store.content import StagedContent, as_staged
from xds.translate.ebxml_document_set import XDSB, document_elements, submission_in
from xds.translate.ebxml_reader import read_submission
from xds.translate.ebxml_response import registry_response
from xds.translate.ebxml_soap import note_submission, refused_submission, soap_reply
from xds.translate.ebxml_vocabulary import RS

TRANSACTION = Transaction(
    number="ITI-41",
    name="Provide and Register Document Set-b",
    actor="Document Repository",
    profile="XDS.b",
    bindings=(
        SoapBinding(
            path="/ihe/repository",
            action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
            response_action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
            request_element=f"{{{XDSB}}}ProvideAndRegisterDocumentSetRequest",
            response_element=f"{{{RS}}}RegistryResponse",
            mtom=True,
        ),
    ),
    writes=True,
    event_code="110107",
    event_action="C",
    options=(
        "documents as MTOM/XOP parts or inline base64, streamed, of any size",
        "registered in the same transaction: both are kept, or neither",
        "RAD-68: key object manifests are read on arrival; what differs from the metadata is a warning",
    ),
    source="ITI TF-2: 3.41; RAD TF-3: 4.68",
)


@dataclass(frozen=True, slots=True)
class Provided:
    """A submission with its documents, staged, by the ``id`` of their entry."""

    submission: Submission
    documents: Mapping[str, StagedContent]


def decode(request: SoapRequest) -> Provided:
    """The submission as read, and its documents."""
    documents = {
        entry_id: as_staged(request.attachment(element).sink)
        for entry_id, element in document_elements(request.body_element).items()
    }
    return Provided(read_submission(submission_in(request.body_element)), documents)


def serve(provided: Provided, context: Context[XdsApplication]) -> list[Finding]:
    """Keep and register; returns the warnings."""
    note_submission(provided.submission, context.trail)
    return provide(context.uow, provided.submission, provided.documents, context.application.repository)


def encode(warnings: list[Finding], request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a success."""
    return soap_reply(registry_response(warnings))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a failure."""
    return refused_submission(error, "Repository")
