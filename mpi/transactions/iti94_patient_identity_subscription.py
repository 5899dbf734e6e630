"""ITI-94 Subscribe to Patient Updates: FHIR Subscription, made, read, changed and ended by its subscriber.

Source: ITI TF-2: 3.94 (PMIR).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ihe.errors import NotFound, UnknownAuthority
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import AssigningAuthority
from mpi.application import MpiApplication
from mpi.domain.subscription import StoredSubscription, Subscription
from mpi.services.subscriptions import change_subscription, read_subscription, subscribe, unsubscribe
from mpi.translate.fhir_subscription import read_channel, read_criteria, subscription_resource, without_secrets

TRANSACTION = Transaction(
    number="ITI-94",
    name="Subscribe to Patient Updates",
    actor="Patient Identity Registry",
    profile="PMIR",
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
        "channels message (ITI-93) and rest-hook, with payload or without",
        "criteria: Patient, all, of some domains, or one by its identifier",
        "header lines are used and never told again",
        "endpoints are held to a list of addresses (TRAITDUNION_CALLBACK_URLS); redirections are not followed",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.94",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done with which subscription.

    Attributes:
        authorities: of the domains that are wanted.
        only_versions: as ``If-Match`` says; empty means any.
    """

    method: str
    id: int | None
    wish: Subscription | None = None
    authorities: tuple[AssigningAuthority, ...] = ()
    only_versions: tuple[str, ...] = ()


def decode(request: HttpRequest) -> Question:
    """Read the Subscription.

    Raises:
        NotFound: the id is none of ours.
        Refused: what it wants is not offered.
        IheError: the resource is not readable or not valid.
    """
    answer_format(request)
    text = request.path_parameters.get("id")
    number = int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None
    if text is not None and number is None:
        raise NotFound("there is no such Subscription")
    if request.method in ("GET", "DELETE"):
        return Question(request.method, number)
    resource = read_resource(request, "Subscription")
    channel, endpoint, payload, headers = read_channel(resource)
    authorities, local_id = read_criteria(resource)
    wish = Subscription(
        channel=channel,
        endpoint=endpoint,
        payload=payload,
        headers=headers,
        local_id=local_id,
        is_active=resource.get("status") in ("requested", "active"),
        resource=without_secrets(resource),
    )
    return Question(request.method, number, wish, authorities, request.if_match)


def serve(question: Question, context: Context[MpiApplication]) -> StoredSubscription | None:
    """Do it; ``None`` after an end.

    Raises:
        NotFound: there is no such subscription of the caller.
        UnknownAuthority: the criteria name a domain that is none of the region.
        AccessDenied: the endpoint is no address that may be written to.
        PreconditionFailed: it is in another version.
    """
    uow = context.uow
    context.trail.query(TRANSACTION.name)
    if question.wish is None:
        if question.method == "DELETE":
            unsubscribe(uow, question.id or 0)
            return None
        return read_subscription(uow, question.id or 0)
    context.application.callbacks.check(question.wish.endpoint, "Subscription.channel.endpoint")
    codes = []
    for authority in question.authorities:
        domain = context.application.domains.by_authority(authority)
        if domain is None:
            raise UnknownAuthority("a domain asked for is no domain of the region", "Subscription.criteria")
        codes.append(domain.code)
    wish = replace(question.wish, domains=tuple(codes))
    if question.id is None:
        return subscribe(uow, wish)
    return change_subscription(uow, question.id, wish, question.only_versions)


def encode(stored: StoredSubscription | None, request: HttpRequest) -> HttpReply:
    """201 with its address for a new one, 200 for one that is there, 204 after its end."""
    media_type = answer_format(request)
    if stored is None:
        return HttpReply(204, media_type)
    headers = {"ETag": f'W/"{stored.version}"'}
    if request.method == "POST":
        headers["Location"] = f"{request.base_url}/fhir/Subscription/{stored.id}"
    body = render(subscription_resource(stored), media_type)
    return HttpReply(201 if request.method == "POST" else 200, media_type, body, headers)
