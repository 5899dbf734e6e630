"""ITI-62 Remove Metadata: entries, sets, folders and associations, by id.

Source: IHE ITI Remove Metadata and Documents supplement, 3.62.
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.services.remove import remove
from xds.translate.ebxml_removal import read_removal
from xds.translate.ebxml_response import registry_response
from xds.translate.ebxml_soap import refused_submission, soap_reply
from xds.translate.ebxml_vocabulary import LCM, RS

TRANSACTION = Transaction(
    number="ITI-62",
    name="Remove Metadata",
    actor="Document Registry",
    profile="RMD",
    bindings=(
        SoapBinding(
            path="/ihe/registry",
            action="urn:ihe:iti:2010:DeleteDocumentSet",
            response_action="urn:ihe:iti:2010:DeleteDocumentSetResponse",
            request_element=f"{{{LCM}}}RemoveObjectsRequest",
            response_element=f"{{{RS}}}RegistryResponse",
        ),
    ),
    writes=True,
    event_code="110110",
    event_action="D",
    source="ITI RMD: 3.62",
)


def decode(request: SoapRequest) -> tuple[str, ...]:
    """The ids to remove."""
    return read_removal(request.body_element)


def serve(ids: tuple[str, ...], context: Context[XdsApplication]) -> None:
    """Remove the objects."""
    for each in ids:
        context.trail.document(each, role="removed")
    remove(context.uow, ids)


def encode(result: None, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a success."""
    return soap_reply(registry_response(()))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``rs:RegistryResponse`` of a failure."""
    return refused_submission(error)
