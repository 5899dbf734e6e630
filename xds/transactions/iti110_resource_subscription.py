"""ITI-110 Resource Subscription: FHIR Subscription to DocumentReference or List, by rest-hook.

It shares its address with the Subscription to Patients (ITI-94): the criteria decide, or the id, which is a UUID here.

Source: ITI TF-2: 3.110 (DSUBm); FHIR R4 Subscription.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ihe.errors import IheError
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.domain.document_subscription import DocumentSubscription, StoredDocumentSubscription
from xds.services.subscriptions import change_subscription, read_subscription, subscribe, unsubscribe
from xds.translate.fhir_document_subscription import (
    document_subscription_resource,
    is_of_documents,
    read_subscription_resource,
)

TRANSACTION = Transaction(
    number="ITI-110",
    name="Resource Subscription",
    actor="Resource Notification Broker",
    profile="DSUBm",
    bindings=(
        HttpBinding("POST", "/fhir/Subscription", interaction="create", body="Subscription"),
        HttpBinding("GET", "/fhir/Subscription/{id}", interaction="read"),
        HttpBinding("PUT", "/fhir/Subscription/{id}", interaction="update", body="Subscription"),
        HttpBinding("DELETE", "/fhir/Subscription/{id}", interaction="delete"),
    ),
    writes=True,
    event_code="110112",
    event_action="E",
    options=(
        "channel rest-hook, with payload (the resource is put) or without (an empty POST)",
        "criteria: DocumentReference or List with the search parameters of ITI-67 and ITI-66",
        "header lines are used and never told again",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.110",
)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done with which subscription.

    Attributes:
        id: ``None`` for a new one.
        only_versions: as ``If-Match`` says; empty means any.
    """

    method: str
    id: str | None
    address: str
    wish: DocumentSubscription | None = None
    only_versions: tuple[str, ...] = ()


def claims(request: HttpRequest) -> bool:
    """Whether a request about subscriptions is about documents."""
    if "id" in request.path_parameters:
        return _UUID.fullmatch(request.path_parameters["id"]) is not None
    try:
        return is_of_documents(read_resource(request, "Subscription"))
    except IheError:
        return False


def decode(request: HttpRequest) -> Question:
    """Read the Subscription.

    Raises:
        Refused: what it wants is not offered.
        IheError: the resource is not readable or not valid.
    """
    answer_format(request)
    subscription_id = request.path_parameters.get("id")
    question = Question(request.method, subscription_id, f"{request.base_url}/fhir/Subscription/{{id}}")
    if request.method in ("GET", "DELETE"):
        return question
    wish = read_subscription_resource(read_resource(request, "Subscription"))
    return Question(request.method, subscription_id, question.address, wish, request.if_match)


def serve(question: Question, context: Context[XdsApplication]) -> StoredDocumentSubscription | None:
    """Do it; ``None`` after an end.

    Raises:
        NotFound: there is no such subscription of the caller.
        PreconditionFailed: it is in another version.
        AccessDenied: the endpoint is no address that may be written to.
    """
    uow = context.uow
    context.trail.query(TRANSACTION.name)
    if question.wish is None:
        if question.method == "DELETE":
            unsubscribe(uow, question.id or "")
            return None
        return read_subscription(uow, question.id or "")
    context.application.callbacks.check(question.wish.endpoint, "Subscription.channel.endpoint")
    if question.id is None:
        return subscribe(uow, question.wish, question.address)
    return change_subscription(uow, question.id, question.wish, question.only_versions)


def encode(stored: StoredDocumentSubscription | None, request: HttpRequest) -> HttpReply:
    """201 with its address for a new one, 200 for one that is there, 204 after its end."""
    media_type = answer_format(request)
    if stored is None:
        return HttpReply(204, media_type)
    headers = {"ETag": f'W/"{stored.version}"'}
    if request.method == "POST":
        headers["Location"] = stored.manager
    body = render(document_subscription_resource(stored), media_type)
    return HttpReply(201 if request.method == "POST" else 200, media_type, body, headers)
