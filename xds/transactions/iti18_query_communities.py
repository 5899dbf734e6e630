"""ITI-18 Registry Stored Query at the Initiating Gateway: what this community and others have.

Source: ITI TF-2: 3.18 (XCA, XDS Affinity Domain option).
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.xml import Element
from xds.application import XdsApplication
from xds.domain.communities import CommunityAnswer, located
from xds.domain.stored_query import STORED_QUERIES, StoredQuery
from xds.services.gateway import query_communities, with_home
from xds.services.stored_query import answer
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import communities_response
from xds.translate.ebxml_soap import findings_of, note_query, refused_query, soap_query_reply
from xds.translate.ebxml_vocabulary import QUERY
from xds.translate.xca import own_answer, request_to

TRANSACTION = Transaction(
    number="ITI-18",
    name="Registry Stored Query",
    actor="Initiating Gateway",
    profile="XCA",
    bindings=(
        SoapBinding(
            path="/ihe/gateway",
            action="urn:ihe:iti:2007:RegistryStoredQuery",
            response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
            request_element=f"{{{QUERY}}}AdhocQueryRequest",
            response_element=f"{{{QUERY}}}AdhocQueryResponse",
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "XDS Affinity Domain: a query of a patient goes to our registry and, by ITI-38, to every community",
        "one with a homeCommunityId goes there alone; all are asked at once, each with a time limit",
        "partial success: a community without answer is named (XDSUnavailableCommunity)",
    ),
    source="ITI TF-2: 3.18",
    waits=True,
)


@dataclass(frozen=True, slots=True)
class Question:
    """The query, read and as it was sent."""

    query: StoredQuery
    body: Element


def decode(request: SoapRequest) -> Question:
    """The query with its parameters checked."""
    return Question(read_query(request.body_element, STORED_QUERIES), request.body_element)


def serve(question: Question, context: Context[XdsApplication]) -> CommunityAnswer:
    """Ask everybody who may have something.

    Raises:
        Refused: the community named is unknown, or one must be named and isn't.
    """
    note_query(question.query, context.trail)
    uow, app = context.uow, context.application
    home = app.gateway.communities.own.urn

    def ask_here() -> CommunityAnswer:
        try:
            return own_answer(with_home(answer(uow, app.registry, question.query), home))
        except IheError as error:
            findings = findings_of(error, "Registry")
            if findings is None:
                raise
            return CommunityAnswer(True, located(findings, home))

    return query_communities(
        uow,
        app.gateway,
        question.query,
        ask_here,
        lambda asked, patient_id: request_to(question.body, asked, patient_id),
    )


def encode(found: CommunityAnswer, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of everything found."""
    return soap_query_reply(communities_response(found))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of a failure."""
    return refused_query(error)
