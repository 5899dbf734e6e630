"""ITI-92 Restricted Update Document Set: new versions of entries, within limits.

Source: IHE ITI Restricted Metadata Update supplement, 3.92.
"""

from __future__ import annotations

from ihe.errors import Finding, IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.model import Submission
from xds.services.update import update
from xds.translate.ebxml_reader import read_submission
from xds.translate.ebxml_response import registry_response
from xds.translate.ebxml_soap import note_submission, refused_submission, soap_reply
from xds.translate.ebxml_vocabulary import LCM, RS

TRANSACTION = Transaction(
    number="ITI-92",
    name="Restricted Update Document Set",
    actor="Update Responder",
    profile="RMU",
    bindings=(
        SoapBinding(
            path="/ihe/registry",
            action="urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
            response_action="urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
            request_element=f"{{{LCM}}}SubmitObjectsRequest",
            response_element=f"{{{RS}}}RegistryResponse",
        ),
    ),
    writes=True,
    event_code="110107",
    event_action="U",
    options=("XDS Persistence",),
    source="ITI Restricted Metadata Update: 3.92",
)


def decode(request: SoapRequest) -> Submission:
    """The submission as read."""
    return read_submission(request.body_element)


def serve(submission: Submission, context: Context[XdsApplication]) -> list[Finding]:
    """Apply it; returns the warnings."""
    note_submission(submission, context.trail)
    return update(context.uow, submission, context.application.registry, restricted=True)


def encode(warnings: list[Finding], request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a success."""
    return soap_reply(registry_response(warnings))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a failure."""
    return refused_submission(error)
