"""ITI-51 Multi-Patient Stored Query: documents or folders of several patients, or of all, in one question.

Source: ITI TF-2: 3.51.
"""

from __future__ import annotations

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from xds.application import XdsApplication
from xds.domain.answers import QueryAnswer
from xds.domain.stored_query import MULTI_PATIENT_QUERIES, StoredQuery
from xds.services.multi_patient_query import answer
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import query_response
from xds.translate.ebxml_soap import note_query, refused_query, soap_query_reply
from xds.translate.ebxml_vocabulary import QUERY

TRANSACTION = Transaction(
    number="ITI-51",
    name="Multi-Patient Stored Query",
    actor="Document Registry",
    profile="MPQ",
    bindings=(
        SoapBinding(
            path="/ihe/registry",
            action="urn:ihe:iti:2009:MultiPatientStoredQuery",
            response_action="urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
            request_element=f"{{{QUERY}}}AdhocQueryRequest",
            response_element=f"{{{QUERY}}}AdhocQueryResponse",
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("FindDocumentsByReferenceIdForMultiplePatients",),
    source="ITI TF-2: 3.51",
)


def decode(request: SoapRequest) -> StoredQuery:
    """The query with its parameters checked."""
    return read_query(request.body_element, MULTI_PATIENT_QUERIES)


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
