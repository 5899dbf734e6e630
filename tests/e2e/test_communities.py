"""Two communities that ask each other: whole services, real sockets, zeep; one community more is dead, one is slow."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import zeep

from ihe.communities import Community
from ihe.values import Oid
from region.region_table import RegionTable, load_region
from tests.conftest import clone_database
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_documents_by_zeep import FAILURE, FIND_DOCUMENTS, GET_DOCUMENTS, INS, MARIE, SUCCESS, Site, slot
from tests.ports import free_port

PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
NORTH, DEAD, SLOW = Oid("2.25.901"), Oid("2.25.902"), Oid("2.25.903")
UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"


@dataclass
class Communities:
    """Our community, which knows the others, and the one in the north."""

    here: Site
    north: Site
    gateway: zeep.proxy.ServiceProxy
    responder: zeep.proxy.ServiceProxy

    @property
    def home(self) -> str:
        return self.here.running.table.home_community_id.urn


@pytest.fixture
def communities(embedded_server, template_database, tmp_path) -> Iterator[Communities]:
    plain = load_region(REGION)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        urls = [stack.enter_context(clone_database(embedded_server, template_database)) for _ in "ab"]
        north_table = RegionTable("North", NORTH, tuple(plain))
        north = stack.enter_context(serving(urls[0], north_table, tmp_path / "north"))
        dead = f"http://127.0.0.1:{free_port()}/"
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        xca = f"{north.base_url}/ihe/xca"
        known = (
            Community("North", NORTH, xca_query=xca, xca_retrieve=xca),
            Community("Dead", DEAD, xca_query=dead, xca_retrieve=dead),
            Community("Slow", SLOW, xca_query=slow, xca_retrieve=slow, timeout_seconds=0.7),
        )
        table = RegionTable(plain.name, plain.home_community_id, tuple(plain), (), known)
        here = stack.enter_context(serving(urls[1], table, tmp_path / "here"))
        found = Communities(
            Site(here),
            Site(north),
            zeep.Client(f"{here.base_url}/wsdl/gateway.wsdl").service,
            zeep.Client(f"{north.base_url}/wsdl/xca.wsdl").service,
        )
        for site in (found.here, found.north):
            site.feed("CHUSE", "C1" if site is found.here else "N9", MARIE, INS)
        yield found


def find(service: zeep.proxy.ServiceProxy, operation: str, cx: str, home: str | None = None, **kinds: str):
    query = {"id": kinds.get("query", FIND_DOCUMENTS), "Slot": []}
    if query["id"] == FIND_DOCUMENTS:
        status = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
        query["Slot"] = [slot("$XDSDocumentEntryPatientId", f"'{cx}'"), slot("$XDSDocumentEntryStatus", status)]
    else:
        query["Slot"] = [slot("$XDSDocumentEntryUniqueId", f"('{cx}')")]
    if home:
        query["home"] = home
    option = {"returnType": kinds.get("return_type", "LeafClass"), "returnComposedObjects": True}
    return service[operation](ResponseOption=option, AdhocQuery=query)


def errors_of(answer) -> set[tuple[str, str]]:
    listed = answer.RegistryErrorList.RegistryError if answer.RegistryErrorList else []
    return {(each.errorCode, each.location) for each in listed}


def entries_of(answer) -> dict[str, str]:
    """uniqueId → home of each entry."""
    objects = (answer.RegistryObjectList._value_1 if answer.RegistryObjectList else None) or []
    return {
        next(e.value for e in item["ExtrinsicObject"].ExternalIdentifier if e.identificationScheme == UNIQUE_ID): item[
            "ExtrinsicObject"
        ].home
        for item in objects
    }


def test_a_consumer_gets_what_every_community_has_and_hears_which_had_no_answer(communities):
    ours, _ = communities.here.provide("CHUSE", "C1", b"ours")
    theirs, _ = communities.north.provide("CHUSE", "N9", b"theirs")
    ask = "InitiatingGateway_RegistryStoredQuery"
    answer = find(communities.gateway, ask, communities.here.cx("CHUSE", "C1"))
    assert answer.status == PARTIAL
    assert entries_of(answer) == {ours: communities.home, theirs: NORTH.urn}
    assert errors_of(answer) == {("XDSUnavailableCommunity", DEAD.urn), ("XDSUnavailableCommunity", SLOW.urn)}

    answer = find(communities.gateway, ask, communities.here.cx("CHUSE", "C1"), NORTH.urn)
    assert (answer.status, entries_of(answer), errors_of(answer)) == (SUCCESS, {theirs: NORTH.urn}, set())
    answer = find(communities.gateway, ask, theirs, NORTH.urn, query=GET_DOCUMENTS)
    assert (answer.status, entries_of(answer)) == (SUCCESS, {theirs: NORTH.urn})
    answer = find(communities.gateway, ask, ours, communities.home, query=GET_DOCUMENTS)
    assert (answer.status, entries_of(answer)) == (SUCCESS, {ours: communities.home})
    answer = find(communities.gateway, ask, ours, "urn:oid:2.25.999", query=GET_DOCUMENTS)
    assert (answer.status, {code for code, _ in errors_of(answer)}) == (FAILURE, {"XDSUnknownCommunity"})
    answer = find(communities.gateway, ask, ours, query=GET_DOCUMENTS)
    assert (answer.status, {code for code, _ in errors_of(answer)}) == (FAILURE, {"XDSMissingHomeCommunityId"})
    answer = find(communities.gateway, ask, communities.here.cx("CHUSE", "C1"), DEAD.urn)
    assert (answer.status, errors_of(answer)) == (FAILURE, {("XDSUnavailableCommunity", DEAD.urn)})


def test_documents_come_from_the_community_that_has_them(communities):
    own = str(communities.here.running.table.by_code("REGION").repository_unique_id)
    ours, _ = communities.here.provide("CHUSE", "C1", b"ours")
    large = bytes(range(256)) * 4096
    theirs, _ = communities.north.provide("CHUSE", "N9", large)
    wanted = [
        {"HomeCommunityId": communities.home, "RepositoryUniqueId": own, "DocumentUniqueId": ours},
        {"HomeCommunityId": NORTH.urn, "RepositoryUniqueId": own, "DocumentUniqueId": theirs},
        {"HomeCommunityId": DEAD.urn, "RepositoryUniqueId": own, "DocumentUniqueId": "2.25.1"},
        {"HomeCommunityId": "urn:oid:2.25.999", "RepositoryUniqueId": own, "DocumentUniqueId": "2.25.1"},
    ]
    answer = communities.gateway.InitiatingGateway_RetrieveDocumentSet(DocumentRequest=wanted)
    assert answer.RegistryResponse.status == PARTIAL
    assert {each.DocumentUniqueId: each.Document for each in answer.DocumentResponse} == {ours: b"ours", theirs: large}
    assert [each.HomeCommunityId for each in answer.DocumentResponse] == [communities.home, NORTH.urn]
    codes = {each.errorCode for each in answer.RegistryResponse.RegistryErrorList.RegistryError}
    assert codes == {"XDSUnavailableCommunity", "XDSUnknownCommunity"}


def test_a_responding_gateway_names_its_community_everywhere(communities):
    theirs, _ = communities.north.provide("CHUSE", "N9", b"theirs")
    cx = communities.north.cx("CHUSE", "N9")
    ask = "RespondingGateway_CrossGatewayQuery"
    answer = find(communities.responder, ask, cx)
    assert (answer.status, entries_of(answer)) == (SUCCESS, {theirs: NORTH.urn})
    answer = find(communities.responder, ask, cx, NORTH.urn, return_type="ObjectRef")
    assert [each["ObjectRef"].home for each in answer.RegistryObjectList._value_1] == [NORTH.urn]
    unknown = communities.north.cx("CHUSE", "NOBODY")
    assert find(communities.responder, ask, unknown, NORTH.urn).status == SUCCESS
    for answer, code in (
        (find(communities.responder, ask, theirs, query=GET_DOCUMENTS), "XDSMissingHomeCommunityId"),
        (find(communities.responder, ask, theirs, DEAD.urn, query=GET_DOCUMENTS), "XDSUnknownCommunity"),
        (find(communities.responder, ask, cx, NORTH.urn, query="urn:uuid:" + "0" * 8), "XDSUnknownStoredQuery"),
        (find(communities.responder, ask, cx, NORTH.urn, return_type="Everything"), "XDSRegistryError"),
    ):
        assert (answer.status, errors_of(answer)) == (FAILURE, {(code, NORTH.urn)})
    retrieve = communities.responder.RespondingGateway_CrossGatewayRetrieve
    own = str(communities.north.running.table.by_code("REGION").repository_unique_id)
    named = {"RepositoryUniqueId": own, "DocumentUniqueId": theirs}
    found = retrieve(DocumentRequest=[{"HomeCommunityId": NORTH.urn, **named}, named])
    assert found.RegistryResponse.status == PARTIAL
    assert [(each.HomeCommunityId, each.Document) for each in found.DocumentResponse] == [(NORTH.urn, b"theirs")]
    (error,) = found.RegistryResponse.RegistryErrorList.RegistryError
    assert (error.errorCode, error.location) == ("XDSMissingHomeCommunityId", NORTH.urn)
