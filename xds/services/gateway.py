"""Answer another community's gateway, and ask the gateways of other communities.

While others are asked, no connection to the database is held.

As responding gateway this community answers for itself, with its homeCommunityId wherever one can stand. As initiating
gateway it answers a consumer of its own with what every community has, and names those that had no answer.

Source: ITI TF-2: 3.38, 3.39; ITI TF-2: 3.18.4.1.3, 3.43.4.1.3 (Initiating Gateway); RAD TF-2: 4.75.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from ihe.communities import Community, PendingAnswers
from ihe.errors import Finding, Refused
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import QueryAnswer, Returned
from xds.domain.communities import Communities, CommunityAnswer, located, missing_home, unknown_community
from xds.domain.document_set import DocumentRequest, ImagingRequest, Retrieval, RetrievedDocument
from xds.domain.registered import RegisteredAssociation
from xds.domain.stored_query import StoredQuery
from xds.ports import PICTURES_AT_ONCE, CommunityPatients, Gateways
from xds.services import stored_query
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.retrieve import retrieve
from xds.services.retrieve_imaging import Planned, bounded, fetch, plan
from xds.services.studies import Studies


@dataclass(frozen=True, slots=True)
class Gateway:
    """The wired parts of both gateways.

    Attributes:
        communities: this one and the others.
        others: asks the others.
        patients: tells by which identifier another community knows a patient.
    """

    communities: Communities
    others: Gateways
    patients: CommunityPatients


def respond(uow: UnitOfWork, registry: Registry, communities: Communities, query: StoredQuery) -> QueryAnswer:
    """Answer another community's gateway (ITI-38).

    Raises:
        Refused: the query is for another community, or must name one and doesn't; or as a stored query of our own.
        TooMany: the answer would exceed the bound on results.
    """
    if query.home is not None and not communities.is_own(query.home):
        raise Refused([unknown_community(query.home)])
    if query.home is None and not query.patients:
        raise Refused([missing_home("a query that names no patient")])
    return with_home(stored_query.answer(uow, registry, query), communities.own.urn)


def respond_with_documents(
    uow: UnitOfWork, requests: Sequence[DocumentRequest], repository: Repository, communities: Communities
) -> Retrieval:
    """Retrieve documents for another community's gateway (ITI-39).

    Raises:
        TooMany: more than one request may name.
    """
    misdirected = [finding for each in requests if (finding := _misdirected(each, communities)) is not None]
    asked = [each for each in requests if communities.is_own(each.home)]
    found = retrieve(uow, asked, repository)
    return Retrieval(found.documents, located((*misdirected, *found.findings), communities.own.urn))


def with_home(found: QueryAnswer, home: str) -> QueryAnswer:
    """The answer with a homeCommunityId in each object that can have one."""
    return QueryAnswer(
        found.leaf_class,
        tuple(
            each
            if isinstance(each.object, RegisteredAssociation)
            else Returned(replace(each.object, home=home), each.patient_id)
            for each in found.objects
        ),
        tuple(replace(each, home=home) for each in found.references),
    )


def query_communities(
    uow: UnitOfWork,
    gateway: Gateway,
    query: StoredQuery,
    ask_here: Callable[[], CommunityAnswer],
    request_for: Callable[[str, PatientId | None], bytes],
) -> CommunityAnswer:
    """Answer a consumer of our own with what the communities have (ITI-18 at the Initiating Gateway).

    A query that names a community goes there alone; one that names a patient and no community goes to all. Nobody waits
    longer than a community's time limit.

    Args:
        ask_here: asks our own registry.
        request_for: the request to the community of a homeCommunityId, with the identifier by which it knows the
            patient; ``None`` when the query names no patient.

    Raises:
        Refused: the community named is unknown, or one must be named and isn't.
    """
    communities = gateway.communities
    if query.home is None and not query.patients:
        raise Refused([missing_home("a query that names no patient")])
    if communities.is_own(query.home):
        return ask_here()
    named = communities.other(query.home)
    if query.home is not None and named is None:
        raise Refused([unknown_community(query.home)])
    chosen = communities.others if named is None else (named,)
    asks: dict[Community, Callable[[], CommunityAnswer]] = {}
    for each in chosen:
        patient_id = None
        if query.patients:
            patient_id = gateway.patients.identifier_in(uow, each, PatientId.from_xds_cx(query.patients[0]))
            if patient_id is None:
                continue
        asks[each] = partial(gateway.others.query, each, request_for(each.home_community_id.urn, patient_id))
    pending = PendingAnswers(asks)
    answers = [] if named is not None else [ask_here()]
    uow.release()
    return _merged([*answers, *pending.answers(lambda late: CommunityAnswer(True, (unavailable(late),)))])


def retrieve_from_communities(
    uow: UnitOfWork, gateway: Gateway, repository: Repository, requests: Sequence[DocumentRequest]
) -> Retrieval:
    """Retrieve documents for a consumer of our own, each from the community it names (ITI-43).

    Without a community the repository decides: one of ours is asked here.

    Raises:
        TooMany: more than one request may name.
    """
    communities = gateway.communities
    own: list[DocumentRequest] = []
    by_community: dict[Community, list[DocumentRequest]] = defaultdict(list)
    findings: list[Finding] = []
    for request in requests:
        other = communities.other(request.home)
        if request.home is None or communities.is_own(request.home):
            own.append(request)
        elif other is not None:
            by_community[other].append(request)
        else:
            findings.append(unknown_community(request.home))
    asks = {each: partial(gateway.others.retrieve, each, wanted) for each, wanted in by_community.items()}
    pending = PendingAnswers(asks)
    answers = [retrieve(uow, own, repository)]
    uow.release()
    answers += pending.answers(lambda late: Retrieval((), (unavailable(late),)), _let_go)
    return Retrieval(
        tuple(document for each in answers for document in each.documents),
        (*findings, *(finding for each in answers for finding in each.findings)),
    )


@dataclass(frozen=True, slots=True)
class PlannedPictures:
    """Which pictures each community is asked for.

    Attributes:
        own: what this one gives.
        elsewhere: what others are asked for.
        unknown: homeCommunityIds that are nobody's.
    """

    own: Planned
    elsewhere: Mapping[Community, tuple[ImagingRequest, ...]]
    unknown: tuple[Finding, ...]


def plan_pictures(
    uow: UnitOfWork,
    gateway: Gateway,
    studies: Studies,
    requests: Sequence[ImagingRequest],
    syntaxes: tuple[str, ...],
) -> PlannedPictures:
    """Decide whom to ask for pictures on behalf of a consumer of our own; without a community, ourselves.

    Raises:
        TooMany: more than one request may name.
    """
    bounded(requests)
    communities = gateway.communities
    own: list[ImagingRequest] = []
    elsewhere: dict[Community, list[ImagingRequest]] = defaultdict(list)
    unknown: list[Finding] = []
    for request in requests:
        home = request.document.home
        if home is None or communities.is_own(home):
            own.append(request)
        elif (other := communities.other(home)) is not None:
            elsewhere[other].append(request)
        else:
            unknown.append(unknown_community(home))
    named = {community: tuple(wanted) for community, wanted in elsewhere.items()}
    return PlannedPictures(plan(uow, own, syntaxes, studies), named, tuple(unknown))


def fetch_pictures(planned: PlannedPictures, gateway: Gateway) -> Retrieval:
    """Fetch what was planned, from all at once; outside a unit of work."""
    syntaxes = planned.own.syntaxes
    asks = {each: partial(_in_slices, gateway, each, wanted, syntaxes) for each, wanted in planned.elsewhere.items()}
    pending = PendingAnswers(asks)
    answers = [fetch(planned.own)]
    answers += pending.answers(
        lambda late: Retrieval((), (unavailable(late),)),
        _let_go,
        lambda each: -(-len(planned.elsewhere[each]) // PICTURES_AT_ONCE),
    )
    return Retrieval(
        tuple(document for each in answers for document in each.documents),
        (*planned.unknown, *(finding for each in answers for finding in each.findings)),
    )


def _in_slices(
    gateway: Gateway, community: Community, requests: Sequence[ImagingRequest], syntaxes: Sequence[str]
) -> Retrieval:
    documents: list[RetrievedDocument] = []
    findings: list[Finding] = []
    for start in range(0, len(requests), PICTURES_AT_ONCE):
        found = gateway.others.retrieve_pictures(community, requests[start : start + PICTURES_AT_ONCE], syntaxes)
        documents += found.documents
        findings += found.findings
        if any(each.code == "XDSUnavailableCommunity" for each in found.findings):
            break
    return Retrieval(tuple(documents), tuple(findings))


def unavailable(community: Community, reason: str = "it did not answer in time") -> Finding:
    """The finding about a community that had no answer."""
    context = f"community {community.name} ({community.home_community_id.urn}): {reason}"
    return Finding("XDSUnavailableCommunity", context, community.home_community_id.urn)


def _misdirected(request: DocumentRequest, communities: Communities) -> Finding | None:
    if request.home is None:
        return missing_home(f"the request for {request.unique_id}")
    return None if communities.is_own(request.home) else unknown_community(request.home)


def _let_go(late: Future[Retrieval]) -> None:
    """Close the documents of an answer that nobody waits for any more."""
    if not late.cancelled() and late.exception() is None:
        for document in late.result().documents:
            document.blocks.close()


def _merged(answers: Iterable[CommunityAnswer]) -> CommunityAnswer:
    """One answer from all: a failure only if each is one."""
    found = list(answers)
    return CommunityAnswer(
        all(each.is_failure for each in found),
        tuple(finding for each in found for finding in each.findings),
        [piece for each in found for piece in each.objects],
    )
