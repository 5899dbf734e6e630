"""zeep, from our WSDLs alone, drives every SOAP transaction with documents; every answer is valid by its schemas.

The schemas are the project's own and, where they are, the toolkit's. Parts that zeep cannot make (MTOM parts of large
documents) are made by hand in ``test_repository_process``; ITI-44 at the registry is driven in ``test_hl7v3_by_zeep``.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from uuid import uuid4

import pytest
import zeep
from lxml import etree

from ihe.soap.wsdl import SCHEMA_FILES
from ihe.transaction import SoapBinding, discover
from ihe.xml import NS, qname
from region.region_table import load_region
from tests.conformance.toolkit2_schemas import invalidity
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_document_subscriptions import OF_DOCUMENTS, Subscriber
from tests.e2e.test_documents_by_zeep import (
    APPROVED,
    FAILURE,
    FIND_DOCUMENTS,
    GET_DOCUMENTS,
    MARIE,
    SUCCESS,
    Site,
    slot,
    submission,
    uid,
)

ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
FIND_OF_SEVERAL = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
OF_THE_TOOLKIT = (NS.QUERY, NS.RS, NS.XDSB)


@dataclass
class Recorder(zeep.Plugin):
    """Keeps what zeep receives, by path and action of what it asked."""

    received: list[tuple[str, str, etree._Element]] = field(default_factory=list)

    def egress(self, envelope, http_headers, operation, binding_options):
        self.asked = (binding_options["address"], operation.soapaction)
        return envelope, http_headers

    def ingress(self, envelope, http_headers, operation):
        address, action = self.asked
        path = "/" + address.partition("//")[2].partition("/")[2].partition("?")[0]
        body = envelope.find(qname(NS.SOAP, "Body"))
        self.received.append((path, action, etree.fromstring(etree.tostring(deepcopy(body[0])))))
        return envelope, http_headers


class Partner(Site):
    """A system that knows our WSDLs and nothing else; every answer is recorded."""

    def __init__(self, running):
        super().__init__(running)
        self.recorder = Recorder()
        self.services = {}
        self.repository, self.registry = self.service("repository"), self.service("registry")

    def service(self, name):
        if name not in self.services:
            client = zeep.Client(f"{self.running.base_url}/wsdl/{name}.wsdl", plugins=[self.recorder])
            self.services[name] = client.service
        return self.services[name]

    def metadata(self, *extra, unique_id=None):
        """A submission as ITI-42 takes it, with ids of the client's own, and these ids."""
        cx = self.cx("CHUSE", "C1")
        stored = (slot("hash", "0" * 40), slot("size", "12"), slot("repositoryUniqueId", "2.25.50"))
        request = submission(cx, cx, unique_id or uid(), (*stored, *extra))
        ids = {name: uuid4().urn for name in ("doc", "set", "member")}
        return _renamed(request, ids), ids

    def status(self, answer):
        return getattr(answer, "RegistryResponse", answer).status


def _renamed(value, ids):
    """A message with symbolic ids replaced wherever they stand."""
    if isinstance(value, dict):
        return {name: _renamed(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, ids) for each in value]
    return ids.get(value, value) if isinstance(value, str) else value


def _objects(request):
    entry, package, member = (next(iter(each.values())) for each in request["RegistryObjectList"]["_value_1"])
    return entry, package, member


def _new_version(partner, ids, unique_id, previous):
    """A message of ITI-57 or ITI-92."""
    request, _ = partner.metadata(unique_id=unique_id)
    entry, _, member = _objects(request)
    entry["lid"] = ids["doc"]
    member["Slot"].append(slot("PreviousVersion", previous))
    return request


@pytest.fixture(scope="module")
def partner(module_database_url, tmp_path_factory):
    """A partner after it has driven everything, each call having come out as it must."""
    with serving(module_database_url, load_region(REGION), tmp_path_factory.mktemp("documents")) as running:
        found = Partner(running)
        found.feed("CHUSE", "C1", MARIE)
        _provide_find_and_retrieve(found)
        _register_update_and_remove(found)
        _ask_the_gateways(found)
        _subscribe(found)
        _ask_for_pictures(found)
        yield found


def _provide_find_and_retrieve(partner):
    content = b"%PDF-1.4 " + bytes(range(256))
    unique_id, answer = partner.provide("CHUSE", "C1", content)
    assert answer.status == SUCCESS
    assert partner.found_ids(partner.cx("CHUSE", "C1")) == {unique_id}
    named = {"RepositoryUniqueId": _repository_of(partner), "DocumentUniqueId": unique_id}
    retrieved = partner.repository.DocumentRepository_RetrieveDocumentSet(DocumentRequest=[named])
    assert retrieved.RegistryResponse.status == SUCCESS
    assert retrieved.DocumentResponse[0].Document == content
    partner.kept = named


def _repository_of(partner):
    return str(partner.running.table.by_code("REGION").repository_unique_id)


def _register_update_and_remove(partner):
    registry, unique_id = partner.registry, uid()
    request, ids = partner.metadata(unique_id=unique_id)
    assert registry["DocumentRegistry_RegisterDocumentSet-b"](**request).status == SUCCESS
    assert registry.DocumentRegistry_UpdateDocumentSet(**_new_version(partner, ids, unique_id, "1")).status == SUCCESS
    update = registry.UpdateResponder_RestrictedUpdateDocumentSet
    assert update(**_new_version(partner, ids, unique_id, "2")).status == SUCCESS
    assert update(**_new_version(partner, ids, unique_id, "2")).status == FAILURE

    request, _ = partner.metadata()
    entry, _, _ = _objects(request)
    entry["objectType"] = ON_DEMAND
    entry["Slot"] = [each for each in entry["Slot"] if each["name"] not in ("creationTime", "hash", "size")]
    assert registry.DocumentRegistry_RegisterOnDemandDocumentEntry(**request).status == SUCCESS

    answer = registry.DocumentRegistry_MultiPatientStoredQuery(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={
            "id": FIND_OF_SEVERAL,
            "Slot": [
                slot("$XDSDocumentEntryPatientId", f"('{partner.cx('CHUSE', 'C1')}')"),
                slot("$XDSDocumentEntryStatus", APPROVED),
            ],
        },
    )
    assert (answer.status, len(answer.RegistryObjectList._value_1)) == (SUCCESS, 2)

    request, ids = partner.metadata()
    assert registry["DocumentRegistry_RegisterDocumentSet-b"](**request).status == SUCCESS
    remove = registry.DocumentRegistry_DeleteDocumentSet
    references = {"ObjectRefList": {"ObjectRef": [{"id": each} for each in ids.values()]}}
    assert remove(**references).status == SUCCESS
    assert remove(**references).status == FAILURE

    documents = partner.repository.DocumentRepository_RemoveDocuments
    assert documents(DocumentRequest=[partner.kept]).status == SUCCESS
    assert documents(DocumentRequest=[partner.kept]).status == FAILURE


def _ask_the_gateways(partner):
    home = partner.running.table.home_community_id.urn
    unique_id, answer = partner.provide("CHUSE", "C1", b"of this community")
    assert answer.status == SUCCESS
    wanted = {"HomeCommunityId": home, "RepositoryUniqueId": _repository_of(partner), "DocumentUniqueId": unique_id}
    for service, actor, query, retrieve in (
        ("xca", "RespondingGateway", "CrossGatewayQuery", "CrossGatewayRetrieve"),
        ("gateway", "InitiatingGateway", "RegistryStoredQuery", "RetrieveDocumentSet"),
    ):
        ask = partner.service(service)[f"{actor}_{query}"]
        answer = ask(
            ResponseOption={"returnType": "ObjectRef", "returnComposedObjects": True},
            AdhocQuery={
                "id": FIND_DOCUMENTS,
                "home": home,
                "Slot": [
                    slot("$XDSDocumentEntryPatientId", f"'{partner.cx('CHUSE', 'C1')}'"),
                    slot("$XDSDocumentEntryStatus", APPROVED),
                ],
            },
        )
        assert answer.status == SUCCESS
        assert {each["ObjectRef"].home for each in answer.RegistryObjectList._value_1} == {home}
        refused = ask(
            ResponseOption={"returnType": "ObjectRef", "returnComposedObjects": True},
            AdhocQuery={"id": GET_DOCUMENTS, "Slot": [slot("$XDSDocumentEntryUniqueId", f"('{unique_id}')")]},
        )
        assert refused.status == FAILURE
        retrieved = partner.service(service)[f"{actor}_{retrieve}"](DocumentRequest=[wanted])
        assert retrieved.RegistryResponse.status == SUCCESS
        assert retrieved.DocumentResponse[0].Document == b"of this community"


def _subscribe(partner):
    subscriber = Subscriber(partner.running, plugins=[partner.recorder])
    wanted = {"$XDSDocumentEntryPatientId": f"'{partner.cx('CHUSE', 'C1')}'"}
    answer = subscriber.subscribe("http://127.0.0.1:9/nobody", "MinimalDocumentEntry", OF_DOCUMENTS, wanted)
    manager = subscriber.manager(answer)
    manager.DocumentMetadataNotificationBroker_RenewRequest(TerminationTime="P1D")
    manager.DocumentMetadataNotificationBroker_UnsubscribeRequest()


def _ask_for_pictures(partner):
    """No archive stands behind this service: the answers say which picture could not be had."""
    home = partner.running.table.home_community_id.urn
    picture = {"HomeCommunityId": home, "RepositoryUniqueId": "2.25.3001", "DocumentUniqueId": "2.25.3"}
    study = {
        "studyInstanceUID": "2.25.1",
        "SeriesRequest": [{"seriesInstanceUID": "2.25.2", "DocumentRequest": [picture]}],
    }
    syntaxes = {"TransferSyntaxUID": ["1.2.840.10008.1.2.1"]}
    for service, operation in (
        ("imaging", "ImagingDocumentSource_RetrieveImagingDocumentSet"),
        ("xcai", "RespondingImagingGateway_CrossGatewayRetrieveImagingDocumentSet"),
        ("gateway", "InitiatingImagingGateway_RetrieveImagingDocumentSet"),
    ):
        answer = partner.service(service)[operation](StudyRequest=[study], TransferSyntaxUIDList=syntaxes)
        assert answer.RegistryResponse.status == FAILURE


def test_every_transaction_was_driven(partner):
    offered = {
        (binding.path, binding.action)
        for endpoint in discover("xds.transactions")
        for binding in endpoint.transaction.bindings
        if isinstance(binding, SoapBinding)
    }
    assert len(offered) > 15
    assert {(path, action) for path, action, _ in partner.recorder.received} == offered


def test_every_answer_is_valid_by_our_schemas(partner):
    for path, action, answer in partner.recorder.received:
        schema = _schema(SCHEMA_FILES[etree.QName(answer).namespace])
        assert schema.validate(_whole(answer)), (path, action, schema.error_log.last_error)


def test_every_answer_is_valid_by_the_schemas_of_the_toolkit(partner, shared_folder: Path):
    folder = shared_folder / "testdata/toolkit2/schema/v3"
    if not folder.is_dir():
        pytest.skip("the toolkit's schemas are not there")
    answers = [each for _, _, each in partner.recorder.received if etree.QName(each).namespace in OF_THE_TOOLKIT]
    assert len(answers) > 20
    assert [invalidity(each, folder) for each in answers] == [""] * len(answers)


@cache
def _schema(file):
    with resources.as_file(resources.files("ihe.soap").joinpath("schemas")) as folder:
        return etree.XMLSchema(etree.parse(folder / file))


def _whole(answer):
    """The answer with something in place of each part that travelled beside it."""
    whole = deepcopy(answer)
    for include in list(whole.iter(qname(NS.XOP, "Include"))):
        document = include.getparent()
        document.remove(include)
        document.text = "AA=="
    return whole
