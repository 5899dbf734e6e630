"""ITI-44 Patient Identity Feed HL7 V3: patients added, revised and merged.

The registry files documents by the index's answers, so what reaches it here reaches the index.

Source: ITI TF-2: 3.44.
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from mpi.application import MpiApplication
from mpi.domain.feed import Feed
from mpi.services.identifiers import patient_id_of
from mpi.services.receive_feed import receive_feed
from mpi.translate.hl7v3_feed import ADD, MERGE, REVISE, decode_feed
from mpi.translate.hl7v3_message import ACKNOWLEDGEMENT, acknowledge, action, element_name, refused_message

TRANSACTION = Transaction(
    number="ITI-44",
    name="Patient Identity Feed HL7 V3",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXV3",
    bindings=tuple(
        SoapBinding(
            path=path,
            action=action(name),
            response_action=action(ACKNOWLEDGEMENT),
            request_element=element_name(name),
            response_element=element_name(ACKNOWLEDGEMENT),
        )
        for path in ("/ihe/pix", "/ihe/registry")
        for name in (ADD, REVISE, MERGE)
    ),
    writes=True,
    event_code="110110",
    event_action="U",
    options=("Also for the Document Registry", "Identity reliability as administrativeObservation (HL7 table 0445)"),
    source="ITI TF-2: 3.44",
)


def decode(request: SoapRequest) -> Feed:
    """Read the message."""
    return decode_feed(request.body_element)


def serve(feed: Feed, context: Context[MpiApplication]) -> None:
    """Take it in."""
    key = receive_feed(context.uow, context.application, feed)
    context.trail.patient(patient_id_of(context.application, key).xds_cx)


def encode(result: None, request: SoapRequest) -> SoapReply:
    """``MCCI_IN000002UV01`` with ``AA``."""
    return SoapReply(body_text=acknowledge(request.body_element))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``MCCI_IN000002UV01`` with ``AE`` and the reason."""
    return refused_message(request.body_element, error)
