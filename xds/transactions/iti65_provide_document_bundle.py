"""ITI-65 Provide Document Bundle: documents and metadata of a transaction Bundle, all of it or nothing.

Reads the Bundle into the submission of ITI-41 and goes its way: the same checks, the same store, the same codes.

Source: ITI TF-2: 3.65 (MHD 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ihe.errors import Finding, MalformedRequest
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.services.provide_bytes import provide_bytes
from xds.services.publishing import server_for
from xds.translate.ebxml_soap import note_submission
from xds.translate.fhir_submission import LARGEST_MESSAGE_BYTES, read_bundle, response_bundle
from xds.translate.fhir_terms import Json

TRANSACTION = Transaction(
    number="ITI-65",
    name="Provide Document Bundle",
    actor="Document Recipient",
    profile="MHD",
    bindings=(
        HttpBinding("POST", "/fhir", interaction="transaction", body="Bundle", max_body_bytes=LARGEST_MESSAGE_BYTES),
    ),
    writes=True,
    event_code="110107",
    event_action="C",
    options=(
        "Comprehensive Metadata, UnContained References, Minimal Metadata (kept as limited metadata)",
        "a document may be a FHIR document Bundle instead of a Binary; it is kept as JSON",
        "folders, also additions to existing ones; relatesTo; the status of a replaced document may be patched along",
        "what the registry refuses is answered with each finding and its XDS code",
    ),
    source="ITI TF-2: 3.65",
)


@dataclass(frozen=True, slots=True)
class Provided:
    """What became of the entries of the Bundle, in order, and the warnings."""

    locations: tuple[str | None, ...]
    warnings: list[Finding]
    moment: datetime


def decode(request: HttpRequest) -> Json:
    """The Bundle, valid by the R4 model.

    Raises:
        MalformedRequest: it is no transaction.
    """
    answer_format(request)
    bundle = read_resource(request, "Bundle")
    if bundle.get("type") != "transaction":
        raise MalformedRequest("documents are provided in a Bundle of type transaction", "Bundle.type")
    return bundle


def serve(bundle: Json, context: Context[XdsApplication]) -> Provided:
    """Keep and register everything.

    Raises:
        Refused: something is wrong; carries every finding. Nothing was kept.
    """
    uow, app = context.uow, context.application
    received = read_bundle(bundle, server_for(uow, app.registry, app.patients))
    note_submission(received.submission, context.trail)
    warnings = provide_bytes(uow, received.submission, received.documents, app.repository)
    return Provided(received.locations, warnings, uow.now)


def encode(provided: Provided, request: HttpRequest) -> HttpReply:
    """A transaction-response with one entry for each of the request."""
    media_type = answer_format(request)
    bundle = response_bundle(provided.locations, provided.warnings, provided.moment, f"{request.base_url}/fhir")
    return HttpReply(200, media_type, render(bundle, media_type))
