"""ITI-38 Cross Gateway Query: another community's gateway asks what this one has; and this one asks others.

Source: ITI TF-2: 3.38 (XCA).
"""

from __future__ import annotations

from typing import Final

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import OutboundBinding, SoapBinding, Transaction
from ihe.xml import Element
from xds.application import XdsApplication
from xds.domain.answers import QueryAnswer
from xds.domain.stored_query import STORED_QUERIES
from xds.services.gateway import respond
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import query_response
from xds.translate.ebxml_soap import note_query, refused_query, soap_query_reply
from xds.translate.ebxml_vocabulary import QUERY
from xds.translate.xca import refusal_of

ACTION: Final = "urn:ihe:iti:2007:CrossGatewayQuery"

TRANSACTION = Transaction(
    number="ITI-38",
    name="Cross Gateway Query",
    actor="Responding Gateway",
    profile="XCA",
    bindings=(
        SoapBinding(
            path="/ihe/xca",
            action=ACTION,
            response_action=f"{ACTION}Response",
            request_element=f"{{{QUERY}}}AdhocQueryRequest",
            response_element=f"{{{QUERY}}}AdhocQueryResponse",
        ),
        OutboundBinding("SOAP", "to the gateways of the communities in the region's table, as Initiating Gateway"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("the homeCommunityId stands in every object and is the location of every error",),
    source="ITI TF-2: 3.38",
)


def decode(request: SoapRequest) -> Element:
    """The request; it is read where our homeCommunityId is known, because every error carries it."""
    return request.body_element


def serve(body: Element, context: Context[XdsApplication]) -> QueryAnswer:
    """Answer it.

    Raises:
        IheError: it is refused, on behalf of this community.
    """
    app = context.application
    communities = app.gateway.communities
    try:
        query = read_query(body, STORED_QUERIES)
        note_query(query, context.trail)
        return respond(context.uow, app.registry, communities, query)
    except IheError as error:
        raise refusal_of(error, communities.own.urn, "Registry") from None


def encode(found: QueryAnswer, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of a success."""
    return soap_query_reply(query_response(found))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of a failure."""
    return refused_query(error)
