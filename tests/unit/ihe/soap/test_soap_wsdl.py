"""Descriptions and schemas: zeep builds clients from them alone, and real messages are valid by them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
import zeep
import zeep.exceptions
from lxml import etree
from starlette.applications import Starlette
from starlette.routing import Route

from ihe.errors import MissingElement
from ihe.peer import Peer
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.http import SoapEndpoint
from ihe.soap.mtom import xop_include
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import SpoolSink
from ihe.soap.wsdl import (
    SCHEMA_FILES,
    UndescribedElement,
    WsdlEndpoint,
    declared_elements,
    operation_name,
    schema,
    services_of,
    wsdl,
)
from ihe.transaction import SoapBinding, Transaction
from ihe.xml import NS, Element, qname, serialize

SHARED = Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).parents[5] / "shared")) / "testdata"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
REGISTRY_RESPONSE = qname(NS.RS, "RegistryResponse")


def transaction(
    number: str, actor: str, path: str, action: str, response: str, elements: tuple[str, str], mtom: bool = False
) -> Transaction:
    binding = SoapBinding(path, action, response, *elements, mtom=mtom)
    return Transaction(number, number, actor, "XDS.b", (binding,), False, "110112", "E")


TRANSACTIONS = (
    transaction(
        "ITI-18",
        "Document Registry",
        "/ihe/registry",
        "urn:ihe:iti:2007:RegistryStoredQuery",
        "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        (qname(NS.QUERY, "AdhocQueryRequest"), qname(NS.QUERY, "AdhocQueryResponse")),
    ),
    transaction(
        "ITI-42",
        "Document Registry",
        "/ihe/registry",
        "urn:ihe:iti:2007:RegisterDocumentSet-b",
        "urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
        (qname(NS.LCM, "SubmitObjectsRequest"), REGISTRY_RESPONSE),
    ),
    transaction(
        "ITI-41",
        "Document Repository",
        "/ihe/repository",
        "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
        (qname(NS.XDSB, "ProvideAndRegisterDocumentSetRequest"), REGISTRY_RESPONSE),
        mtom=True,
    ),
    transaction(
        "ITI-43",
        "Document Repository",
        "/ihe/repository",
        "urn:ihe:iti:2007:RetrieveDocumentSet",
        "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        (qname(NS.XDSB, "RetrieveDocumentSetRequest"), qname(NS.XDSB, "RetrieveDocumentSetResponse")),
        mtom=True,
    ),
    transaction(
        "ITI-86",
        "Document Repository",
        "/ihe/repository",
        "urn:ihe:iti:2017:RemoveDocuments",
        "urn:ihe:iti:2017:RemoveDocumentsResponse",
        (qname(NS.RMD, "RemoveDocumentsRequest"), REGISTRY_RESPONSE),
    ),
    transaction(
        "RAD-69",
        "Imaging Document Source",
        "/ihe/imaging",
        "urn:ihe:rad:2009:RetrieveImagingDocumentSet",
        "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        (qname(NS.XDSI, "RetrieveImagingDocumentSetRequest"), qname(NS.XDSB, "RetrieveDocumentSetResponse")),
        mtom=True,
    ),
    transaction(
        "ITI-45",
        "PIX Manager",
        "/ihe/pix",
        "urn:hl7-org:v3:PRPA_IN201309UV02",
        "urn:hl7-org:v3:PRPA_IN201310UV02",
        (qname(NS.HL7V3, "PRPA_IN201309UV02"), qname(NS.HL7V3, "PRPA_IN201310UV02")),
    ),
    transaction(
        "ITI-52",
        "Document Metadata Notification Broker",
        "/ihe/dsub",
        "http://docs.oasis-open.org/wsn/bw-2/NotificationProducer/SubscribeRequest",
        "http://docs.oasis-open.org/wsn/bw-2/NotificationProducer/SubscribeResponse",
        (qname(NS.WSNT, "Subscribe"), qname(NS.WSNT, "SubscribeResponse")),
    ),
)
BINDINGS = [binding for t in TRANSACTIONS for binding in t.bindings if isinstance(binding, SoapBinding)]


class Service:
    """Answers every operation and remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[SoapRequest] = []
        self.documents: list[bytes] = []
        self.bodies: list[bytes] = []

    def handle(self, request: SoapRequest, peer: Peer) -> SoapReply:
        self.requests.append(request)
        self.bodies.append(serialize(request.body_element))
        for document in request.body_element.iter(qname(NS.XDSB, "Document")):
            sink = request.attachment(document).sink
            assert isinstance(sink, SpoolSink)
            self.documents.append(sink.path.read_bytes())
        binding = next(b for b in BINDINGS if b.action == request.action)
        return self._reply(binding.response_element, request)

    def _reply(self, element: str, request: SoapRequest) -> SoapReply:
        answer = etree.Element(element)
        if element == REGISTRY_RESPONSE:
            answer.set("status", SUCCESS)
        elif element == qname(NS.QUERY, "AdhocQueryResponse"):
            answer.set("status", SUCCESS)
            objects = etree.SubElement(answer, qname(NS.RIM, "RegistryObjectList"))
            etree.SubElement(objects, qname(NS.RIM, "ObjectRef"), id="urn:uuid:1")
        elif element == qname(NS.XDSB, "RetrieveDocumentSetResponse"):
            etree.SubElement(answer, REGISTRY_RESPONSE, status=SUCCESS)
            found = etree.SubElement(answer, qname(NS.XDSB, "DocumentResponse"))
            for name in ("RepositoryUniqueId", "DocumentUniqueId", "mimeType"):
                etree.SubElement(found, qname(NS.XDSB, name)).text = "1.2"
            etree.SubElement(found, qname(NS.XDSB, "Document")).append(xop_include("d@x"))
            return SoapReply(answer, attachments=(OutgoingPart("d@x", "text/plain", [b"content"], 7),))
        elif element == qname(NS.WSNT, "SubscribeResponse"):
            raise MissingElement("no such topic", "Filter")
        return SoapReply(answer)


def without_includes(element: Element) -> Element:
    """A copy with base64 text where an include stands, as XOP has it."""
    copy = etree.fromstring(serialize(element))
    for include in list(copy.iter(qname(NS.XOP, "Include"))):
        parent = include.getparent()
        assert parent is not None
        parent.remove(include)
    return copy


class _Resolver(etree.Resolver):
    def resolve(self, url: str, public: str | None, context: object) -> object:
        found = schema(url.rpartition("/")[2])
        return self.resolve_string(found or b"", context, base_url=url)  # type: ignore[attr-defined]


def _validator() -> etree.XMLSchema:
    parser = etree.XMLParser()
    parser.resolvers.add(_Resolver())
    imports = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{name}"/>'
        for namespace, name in SCHEMA_FILES.items()
        if name != "xml.xsd"
    )
    everything = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(everything, parser, base_url="schemas/all.xsd"))


VALIDATOR = _validator()


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """A real server on a port of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def service() -> Service:
    return Service()


@pytest.fixture(scope="module")
def base_url(service: Service) -> Iterator[str]:
    services = services_of(TRANSACTIONS)
    routes = [
        Route(described.path, SoapEndpoint([o.binding for o in described.operations], service.handle))
        for described in services
    ]
    with served(Starlette(routes=[*routes, Route("/wsdl/{name}", WsdlEndpoint(services))])) as url:
        yield url


@pytest.fixture(autouse=True)
def what_zeep_sends_is_valid(request: pytest.FixtureRequest) -> Iterator[None]:
    """Holds what a test had zeep send to our schemas."""
    yield
    if "base_url" in request.fixturenames and request.node.name.startswith("test_zeep"):
        service: Service = request.getfixturevalue("service")
        assert service.bodies
        while service.bodies:
            VALIDATOR.assertValid(without_includes(etree.fromstring(service.bodies.pop())))


def client(base_url: str, name: str) -> zeep.Client:
    return zeep.Client(f"{base_url}/wsdl/{name}.wsdl")


def extrinsic_object() -> dict[str, object]:
    return {
        "id": "Document01",
        "mimeType": "text/plain",
        "objectType": "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
        "Slot": [{"name": "creationTime", "ValueList": {"Value": ["20240101"]}}],
        "Name": {"LocalizedString": [{"value": "Radiographie du thorax", "lang": "fr-FR"}]},
        "Classification": [
            {
                "id": "cl01",
                "classifiedObject": "Document01",
                "classificationScheme": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
                "nodeRepresentation": "18748-4",
                "Slot": [{"name": "codingScheme", "ValueList": {"Value": ["2.16.840.1.113883.6.1"]}}],
                "Name": {"LocalizedString": [{"value": "Imagerie"}]},
            }
        ],
        "ExternalIdentifier": [
            {
                "id": "ei01",
                "registryObject": "Document01",
                "identificationScheme": "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
                "value": "1.2.3",
                "Name": {"LocalizedString": [{"value": "XDSDocumentEntry.uniqueId"}]},
            }
        ],
    }


def submission() -> dict[str, object]:
    return {
        "RegistryObjectList": {
            "_value_1": [
                {"ExtrinsicObject": extrinsic_object()},
                {"RegistryPackage": {"id": "SubmissionSet01"}},
                {
                    "Association": {
                        "id": "as01",
                        "associationType": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
                        "sourceObject": "SubmissionSet01",
                        "targetObject": "Document01",
                    }
                },
            ]
        }
    }


def test_zeep_registers(base_url: str, service: Service) -> None:
    called = client(base_url, "registry").service["DocumentRegistry_RegisterDocumentSet-b"]
    assert called(**submission()).status == SUCCESS
    request = service.requests[-1]
    assert request.action == "urn:ihe:iti:2007:RegisterDocumentSet-b"
    assert request.message_id is not None
    assert request.body_element.xpath("string(//@nodeRepresentation)") == "18748-4"


def test_zeep_queries(base_url: str, service: Service) -> None:
    answer = client(base_url, "registry").service.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "ObjectRef", "returnComposedObjects": True},
        AdhocQuery={
            "id": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
            "Slot": [{"name": "$XDSDocumentEntryPatientId", "ValueList": {"Value": ["'1^^^&1.2&ISO'"]}}],
        },
    )
    assert answer.status == SUCCESS
    assert answer.RegistryObjectList._value_1[0]["ObjectRef"].id == "urn:uuid:1"


def test_zeep_provides_documents_in_the_body(base_url: str, service: Service) -> None:
    content = bytes(range(256)) * 2000
    called = client(base_url, "repository").service["DocumentRepository_ProvideAndRegisterDocumentSet-b"]
    answer = called(SubmitObjectsRequest=submission(), Document=[{"_value_1": content, "id": "Document01"}])
    assert answer.status == SUCCESS
    assert service.documents[-1] == content


def test_zeep_retrieves_documents_beside_the_envelope(base_url: str) -> None:
    asked = {"RepositoryUniqueId": "1.2", "DocumentUniqueId": "1.2.3"}
    answer = client(base_url, "repository").service.DocumentRepository_RetrieveDocumentSet(DocumentRequest=[asked])
    assert answer.DocumentResponse[0].Document == b"content"
    assert answer.DocumentResponse[0].mimeType == "1.2"


def test_zeep_removes(base_url: str) -> None:
    asked = {"RepositoryUniqueId": "1.2", "DocumentUniqueId": "1.2.3"}
    answer = client(base_url, "repository").service.DocumentRepository_RemoveDocuments(DocumentRequest=[asked])
    assert answer.status == SUCCESS


def test_zeep_retrieves_images(base_url: str, service: Service) -> None:
    client(base_url, "imaging").service.ImagingDocumentSource_RetrieveImagingDocumentSet(
        StudyRequest=[
            {
                "studyInstanceUID": "1.2",
                "SeriesRequest": [
                    {
                        "seriesInstanceUID": "1.2.3",
                        "DocumentRequest": [{"RepositoryUniqueId": "1.9", "DocumentUniqueId": "1.2.3.4"}],
                    }
                ],
            }
        ],
        TransferSyntaxUIDList={"TransferSyntaxUID": ["1.2.840.10008.1.2.1"]},
    )
    assert service.requests[-1].body_element.xpath("string(//@seriesInstanceUID)") == "1.2.3"


def test_zeep_asks_in_hl7_v3(base_url: str, service: Service) -> None:
    message_id = etree.Element(qname(NS.HL7V3, "id"), root="1.2", extension="3")
    client(base_url, "pix").service.PIXManager_PRPA_IN201309UV02(_value_1=[message_id], ITSVersion="XML_1.0")
    assert service.requests[-1].body_element.get("ITSVersion") == "XML_1.0"
    assert service.requests[-1].body_element[0].get("extension") == "3"


def test_zeep_gets_a_fault_as_a_fault(base_url: str) -> None:
    address = etree.Element(qname(NS.WSA, "Address"))
    address.text = "http://consumer"
    with pytest.raises(zeep.exceptions.Fault) as raised:
        client(base_url, "dsub").service.DocumentMetadataNotificationBroker_SubscribeRequest(
            ConsumerReference={"_value_1": [address]}
        )
    assert raised.value.message == "no such topic (at Filter)"


def test_every_operation_is_described_with_its_actions() -> None:
    for described in services_of(TRANSACTIONS):
        root = etree.fromstring(wsdl(described, "http://host"))
        actions = root.xpath(
            "//@*[local-name()='Action' and namespace-uri()='http://www.w3.org/2006/05/addressing/wsdl']"
        )
        expected = [(o.binding.action, o.binding.response_action) for o in described.operations]
        assert list(zip(actions[::2], actions[1::2], strict=True)) == expected
        address = root.xpath("string(//*[local-name()='address']/@location)")
        assert address == f"http://host{described.path}"


def test_an_element_that_no_schema_declares_stops_the_start() -> None:
    unknown = transaction("ITI-18", "Registry", "/r", "urn:a", "urn:b", ("{urn:none}a", REGISTRY_RESPONSE))
    with pytest.raises(UndescribedElement, match="urn:none"):
        services_of([unknown])


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("urn:ihe:iti:2007:RegisterDocumentSet-b", "A_RegisterDocumentSet-b"),
        ("urn:hl7-org:v3:PRPA_IN201305UV02", "A_PRPA_IN201305UV02"),
        (
            "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery",
            "A_PRPA_IN201305UV02_CrossGatewayPatientDiscovery",
        ),
        ("http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest", "A_UnsubscribeRequest"),
    ],
)
def test_operations_are_named_by_their_action(action: str, name: str) -> None:
    assert operation_name("A", action) == name


def test_every_schema_stands_by_itself_and_declares_something() -> None:
    assert schema("../wsdl.py") is None
    assert schema("other.xsd") is None
    for namespace, name in SCHEMA_FILES.items():
        assert schema(name)
        if namespace != NS.XML:
            assert any(element.startswith(f"{{{namespace}}}") for element in declared_elements())


_PUBLISHED = SHARED / "toolkit2/schema/v3"
_PUBLISHED_FILES = {
    NS.QUERY: "query.xsd",
    NS.LCM: "lcm.xsd",
    NS.XDSB: "XDS.b_DocumentRepository.xsd",
    NS.XDSI: "XDSI.b_ImagingDocumentSource.xsd",
    NS.RMD: "rmd.xsd",
}
_BODIES = {
    element
    for element in declared_elements()
    if element.endswith(("Request", "Response")) and etree.QName(element).namespace in (*_PUBLISHED_FILES, NS.RS)
} - {qname(NS.XDSB, "DocumentRequest")}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared sample messages are not beside the repository")
def test_our_schemas_and_the_published_ones_judge_samples_alike() -> None:
    imports = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{name}"/>' for namespace, name in _PUBLISHED_FILES.items()
    )
    everything = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    published = etree.XMLSchema(etree.fromstring(everything, base_url=str(_PUBLISHED / "all.xsd")))
    valid, invalid, judged_otherwise = 0, 0, []
    for path in sorted(SHARED.rglob("*.xml")):
        for body in _bodies(path):
            ours = VALIDATOR.validate(body)
            valid, invalid = valid + ours, invalid + (not ours)
            if ours != published.validate(body):
                judged_otherwise.append(f"{path.relative_to(SHARED)}: {VALIDATOR.error_log}")
    assert valid > 900
    assert invalid > 30
    # The published schema of ITI-86 lets one document be removed at a time, its text several; and set-up files of one
    # product define classification schemes, which no XDS transaction carries.
    unexplained = [
        finding
        for finding in judged_otherwise
        if "tests/50001/delete/query.xml" not in finding and "ClassificationScheme" not in finding
    ]
    assert unexplained == []


def _bodies(path: Path) -> list[Element]:
    """The outermost request and response elements of a sample, without includes."""
    try:
        root = etree.parse(path).getroot()
    except etree.XMLSyntaxError:
        return []
    found = [element for element in root.iter("*") if element.tag in _BODIES]
    return [without_includes(e) for e in found if not any(a.tag in _BODIES for a in e.iterancestors())]
