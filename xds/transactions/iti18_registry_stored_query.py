"""ITI-18 Registry Stored Query: the fourteen queries over one patient's documents, sets and folders.

A query may name a patient by any identifier that the index knows (regional, local of any site, INS); the answer is what
belongs to that person at this moment. An unknown identifier has an empty answer (Source: ITI TF-2: 3.18).
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.answers import QueryAnswer
from xds.domain.stored_query import STORED_QUERIES, StoredQuery
from xds.services.stored_query import answer
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import query_response
from xds.translate.ebxml_soap import note_query, refused_query, soap_query_reply
from xds.translate.ebxml_vocabulary import QUERY

TRANSACTION = Transaction(
    number="ITI-18",
    name="Registry Stored Query",
    actor="Document Registry",
    profile="XDS.b",
    bindings=(
        SoapBinding(
            path="/ihe/registry",
            action="urn:ihe:iti:2007:RegistryStoredQuery",
            response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
            request_element=f"{{{QUERY}}}AdhocQueryRequest",
            response_element=f"{{{QUERY}}}AdhocQueryResponse",
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("Reference ID (FindDocumentsByReferenceId)", "On-Demand Documents", "ObjectRef and LeafClass"),
    source="ITI TF-2: 3.18",
)


def decode(request: SoapRequest) -> StoredQuery:
    """The query with its parameters checked."""
    return read_query(request.body_element, STORED_QUERIES)


def serve(query: StoredQuery, context: Context[XdsApplication]) -> QueryAnswer:
    """Answer it."""
    note_query(query, context.trail)
    return answer(context.uow, context.application.registry, query)


def encode(found: QueryAnswer, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of a success."""
    return soap_query_reply(query_response(found))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """``query:AdhocQueryResponse`` of a failure."""
    return refused_query(error)
