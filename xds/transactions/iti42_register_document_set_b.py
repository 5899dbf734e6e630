"""ITI-42 Register Document Set-b: a submission set with its entries, folders and associations.

Source: ITI TF-2: 3.42.
"""

from __future__ import annotations

from ihe.errors import Finding, IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.model import Submission
from xds.services.register import register
from xds.translate.ebxml_reader import read_submission
from xds.translate.ebxml_response import registry_response
from xds.translate.ebxml_soap import note_submission, refused_submission, soap_reply
from xds.translate.ebxml_vocabulary import LCM, RS

TRANSACTION = Transaction(
    number="ITI-42",
    name="Register Document Set-b",
    actor="Document Registry",
    profile="XDS.b",
    bindings=(
        SoapBinding(
            path="/ihe/registry",
            action="urn:ihe:iti:2007:RegisterDocumentSet-b",
            response_action="urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
            request_element=f"{{{LCM}}}SubmitObjectsRequest",
            response_element=f"{{{RS}}}RegistryResponse",
        ),
    ),
    writes=True,
    event_code="110107",
    event_action="C",
    options=(
        "Reference ID",
        "Delayed Document Assembly",
        "extra metadata is kept and returned",
        "codes are checked against the configured value sets",
        "documents follow identity: an entry belongs to the person whom its source patient designates now",
    ),
    source="ITI TF-2: 3.42",
)


def decode(request: SoapRequest) -> Submission:
    """The submission as read."""
    return read_submission(request.body_element)


def serve(submission: Submission, context: Context[XdsApplication]) -> list[Finding]:
    """Register it; returns the warnings."""
    note_submission(submission, context.trail)
    return register(context.uow, submission, context.application.registry)


def encode(warnings: list[Finding], request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a success."""
    return soap_reply(registry_response(warnings))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a failure."""
    return refused_submission(error)
