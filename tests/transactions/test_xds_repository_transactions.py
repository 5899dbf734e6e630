"""ITI-41, ITI-43 and ITI-86 from bytes to bytes: MTOM or inline base64 in, MTOM out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from ihe.audit import AuditTrail
from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, read_envelope, soap_request, soap_response
from ihe.soap.mtom import MessageReader, mtom_message, simple_message
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import SpoolSink
from ihe.transaction import endpoint_of
from ihe.xml import parse_xml
from tests.xds_repository import house, include, make, provide_body, requests_body, retrieve_body
from tests.xds_wire import alone
from xds.application import XdsApplication
from xds.domain.document_set import DocumentAnswer, DocumentRequest
from xds.transactions import iti41_provide_and_register_document_set_b as iti41
from xds.transactions import iti43_retrieve_document_set as iti43
from xds.transactions import iti86_remove_documents as iti86
from xds.translate.ebxml_document_set import retrieve_response
from xds.translate.kos_writer import build_kos

__all__ = ["house", "make"]

REPOSITORY = "2.25.2000"
XDSB = "urn:ihe:iti:xds-b:2007"
NAMES = {
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "xdsb": XDSB,
    "xop": "http://www.w3.org/2004/08/xop/include",
}
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"


@dataclass
class Answer:
    """An answer as a client reads it."""

    body: Any
    documents: dict[str, bytes]
    trail: AuditTrail

    @property
    def status(self) -> str:
        return str(self.body.xpath("descendant-or-self::rs:RegistryResponse/@status", namespaces=NAMES)[0])

    @property
    def codes(self) -> list[str]:
        return [str(code) for code in self.body.xpath(".//rs:RegistryError/@errorCode", namespaces=NAMES)]

    def texts(self, name: str) -> list[str]:
        return [str(text) for text in self.body.xpath(f".//xdsb:{name}/text()", namespaces=NAMES)]

    @property
    def in_order(self) -> list[bytes]:
        hrefs = self.body.xpath(".//xop:Include/@href", namespaces=NAMES)
        return [self.documents[href.removeprefix("cid:")] for href in hrefs]


@dataclass
class Wire:
    """Sends a request to a transaction as the SOAP endpoint does, and reads the answer as a client does."""

    house: Any

    def send(self, module: ModuleType, body: str, documents: dict[str, bytes] | None = None) -> Answer:
        number = module.TRANSACTION.number
        endpoint_of(module, number)
        action = module.TRANSACTION.bindings[0].action
        envelope = soap_request(action, "http://localhost/ihe/repository", parse_xml(body.encode()))
        if documents is None:
            message = simple_message(envelope, action)
        else:
            parts = [OutgoingPart(name, "application/octet-stream", [data]) for name, data in documents.items()]
            message = mtom_message(envelope, parts, action)
        reader = MessageReader(message.content_type, self.house.content.stage)
        try:
            for piece in [message.body] if isinstance(message.body, bytes) else message.body:
                reader.feed(piece)
            received = reader.close()
            request = read_envelope(received.root, received.action, received.attachments)
            trail = AuditTrail()
            try:
                question = module.decode(request)
                with self.house.unit() as uow:
                    context = Context(uow, self._application(), module.TRANSACTION, trail)
                    reply = module.encode(module.serve(question, context), request)
            except IheError as error:
                reply = module.refuse(error, request)
        finally:
            reader.discard()
        return self._read(module, reply, trail)

    def _application(self) -> XdsApplication:
        return XdsApplication(self.house.registry, self.house.repository, self.house.studies, alone())

    def _read(self, module: ModuleType, reply: SoapReply, trail: AuditTrail) -> Answer:
        assert reply.fault is None
        assert reply.body_element is not None
        binding = module.TRANSACTION.bindings[0]
        assert reply.body_element.tag == binding.response_element
        message = mtom_message(soap_response(binding.response_action, None, reply.body_element), reply.attachments)
        reader = MessageReader(message.content_type, SpoolSink)
        for piece in message.body:
            reader.feed(piece if isinstance(piece, bytes) else bytes([piece]))
        received = reader.close()
        documents = {name: each.sink.path.read_bytes() for name, each in received.attachments.items()}  # type: ignore[attr-defined]
        reader.discard()
        return Answer(read_envelope(received.root).body_element, documents, trail)


@pytest.fixture
def wire(house: Any) -> Iterator[Wire]:
    yield Wire(house)
    assert house.staged_files() == []


def provided(wire: Wire, make: Any, data: bytes) -> Any:
    entry = make.entry()
    body = provide_body(make.submission(entry), {entry.id: include("d@x")})
    assert wire.send(iti41, body, {"d@x": data}).status == SUCCESS
    return entry


def test_documents_go_in_as_parts_and_come_out_as_they_were(wire: Wire, make: Any) -> None:
    text, image = make.entry(), make.entry(mime_type="image/png")
    body = provide_body(make.submission(text, image), {image.id: include("b@x"), text.id: include("a@x")})
    answer = wire.send(iti41, body, {"a@x": b"bonjour", "b@x": b"\x00\x01\r\n--"})
    assert (answer.status, answer.codes) == (SUCCESS, [])
    assert [noted["kind"] for noted in answer.trail.objects] == ["patient", "document"]
    found = wire.send(iti43, retrieve_body((REPOSITORY, image.unique_id), (REPOSITORY, text.unique_id)))
    assert found.status == SUCCESS
    assert found.in_order == [b"\x00\x01\r\n--", b"bonjour"]
    assert found.texts("DocumentUniqueId") == [image.unique_id, text.unique_id]
    assert found.texts("mimeType") == ["image/png", "text/plain"]
    assert found.texts("HomeCommunityId") == []
    assert {noted["id"] for noted in found.trail.objects if noted["kind"] == "document"} == {
        image.unique_id,
        text.unique_id,
    }


def test_inline_base64_is_the_same_as_a_part(wire: Wire, make: Any) -> None:
    entry = make.entry()
    content = base64.encodebytes(b"bonjour" * 100).decode()
    assert wire.send(iti41, provide_body(make.submission(entry), {entry.id: content})).status == SUCCESS
    found = wire.send(iti43, retrieve_body((REPOSITORY, entry.unique_id)))
    assert found.in_order == [b"bonjour" * 100]


def test_a_manifest_is_provided_like_any_document_and_warnings_are_said(wire: Wire, make: Any) -> None:
    manifest = make.manifest(make.study())
    entry = make.manifest_entry(manifest, service_start_time="20200101")
    body = provide_body(make.submission(entry), {entry.id: include("kos@x")})
    answer = wire.send(iti41, body, {"kos@x": build_kos(manifest)})
    assert (answer.status, answer.codes) == (SUCCESS, ["InvalidDocumentContent"])
    found = wire.send(iti43, retrieve_body((REPOSITORY, manifest.uid)))
    assert found.texts("mimeType") == ["application/dicom"]
    assert found.in_order == [build_kos(manifest)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hash": "0" * 40}, "XDSRepositoryMetadataError"),
        ({"size": 1}, "XDSRepositoryMetadataError"),
        ({"class_code": None}, "XDSRegistryMetadataError"),
    ],
)
def test_a_wrong_submission_is_refused_whole(wire: Wire, make: Any, changes: dict[str, Any], code: str) -> None:
    entry = make.entry(**changes)
    answer = wire.send(iti41, provide_body(make.submission(entry), {entry.id: include("d@x")}), {"d@x": b"bonjour"})
    assert (answer.status, answer.codes) == (FAILURE, [code])
    assert list(wire.house.content.objects()) == []
    assert wire.send(iti43, retrieve_body((REPOSITORY, entry.unique_id))).codes == ["XDSDocumentUniqueIdError"]


def test_correct_hash_and_size_are_accepted(wire: Wire, make: Any) -> None:
    entry = make.entry(hash=hashlib.sha1(b"bonjour").hexdigest(), size=7)
    body = provide_body(make.submission(entry), {entry.id: include("d@x")})
    assert wire.send(iti41, body, {"d@x": b"bonjour"}).status == SUCCESS


def test_missing_documents_and_missing_metadata_are_both_named(wire: Wire, make: Any) -> None:
    entry = make.entry()
    body = provide_body(make.submission(entry), {"Document-unknown": include("d@x")})
    answer = wire.send(iti41, body, {"d@x": b"x"})
    assert (answer.status, answer.codes) == (FAILURE, ["XDSMissingDocument", "XDSMissingDocumentMetadata"])


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        ("<xdsb:Document>eA==</xdsb:Document>", "XDSRepositoryMetadataError"),
        (
            '<xdsb:Document id="a">eA==</xdsb:Document><xdsb:Document id="a">eA==</xdsb:Document>',
            "XDSRepositoryMetadataError",
        ),
    ],
)
def test_documents_that_do_not_name_their_entry_are_refused(wire: Wire, make: Any, documents: str, code: str) -> None:
    body = provide_body(make.submission(make.entry()), {}).replace(
        "</xdsb:ProvideAndRegisterDocumentSetRequest>", documents + "</xdsb:ProvideAndRegisterDocumentSetRequest>"
    )
    answer = wire.send(iti41, body)
    assert (answer.status, answer.codes) == (FAILURE, ["XDSRepositoryMetadataError"])


def test_a_request_without_a_submission_is_refused(wire: Wire) -> None:
    body = f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}"/>'
    answer = wire.send(iti41, body)
    assert (answer.status, answer.codes) == (FAILURE, ["XDSRepositoryMetadataError"])


def test_partial_success_sends_what_there_is_and_names_what_is_not(wire: Wire, make: Any) -> None:
    entry = provided(wire, make, b"bonjour")
    named = (("1.9", entry.unique_id), (REPOSITORY, entry.unique_id), (REPOSITORY, "1.2.3"))
    found = wire.send(iti43, retrieve_body(*named, home="urn:oid:1.2.3"))
    assert found.status == PARTIAL
    assert found.codes == ["XDSUnknownRepositoryId", "XDSDocumentUniqueIdError"]
    assert found.in_order == [b"bonjour"]
    assert found.texts("HomeCommunityId") == ["urn:oid:1.2.3"]


def test_damaged_bytes_are_an_error_and_not_sent(wire: Wire, make: Any) -> None:
    entry = provided(wire, make, b"bonjour")
    wire.house.content._path(hashlib.sha256(b"bonjour").hexdigest()).write_bytes(b"bonsoir")
    found = wire.send(iti43, retrieve_body((REPOSITORY, entry.unique_id)))
    assert (found.status, found.codes, found.documents) == (FAILURE, ["XDSRepositoryError"], {})


@pytest.mark.parametrize("body", [retrieve_body(), retrieve_body(("", "1.2")), retrieve_body(("1.2", ""))])
def test_a_retrieval_that_names_nothing_is_refused(wire: Wire, body: str) -> None:
    found = wire.send(iti43, body)
    assert (found.status, found.codes) == (FAILURE, ["XDSRepositoryMetadataError"])


def test_the_response_has_the_order_of_the_schema(wire: Wire, make: Any) -> None:
    entry = provided(wire, make, b"bonjour")
    found = wire.send(iti43, retrieve_body((REPOSITORY, entry.unique_id), home="urn:oid:1.2.3"))
    (document,) = found.body.iterfind(f"{{{XDSB}}}DocumentResponse")
    assert [etree.QName(each).localname for each in document] == [
        "HomeCommunityId",
        "RepositoryUniqueId",
        "DocumentUniqueId",
        "mimeType",
        "Document",
    ]


def test_a_removed_document_is_gone(wire: Wire, make: Any) -> None:
    removed, other = provided(wire, make, b"bonjour"), provided(wire, make, b"bonsoir")
    element = "{urn:ihe:iti:rmd:2017}RemoveDocumentsRequest"
    wrong = wire.send(iti86, requests_body(element, (REPOSITORY, removed.unique_id), (REPOSITORY, "1.2.3")))
    assert (wrong.status, wrong.codes) == (FAILURE, ["XDSDocumentUniqueIdError"])
    assert wire.send(iti86, requests_body(element, (REPOSITORY, removed.unique_id))).status == SUCCESS
    found = wire.send(iti43, retrieve_body((REPOSITORY, removed.unique_id), (REPOSITORY, other.unique_id)))
    assert (found.status, found.in_order) == (PARTIAL, [b"bonsoir"])


def test_what_was_made_on_demand_is_named_in_the_order_of_the_schema() -> None:
    asked = DocumentRequest("1.2", "1.3", "urn:oid:1.1")
    text = retrieve_response([DocumentAnswer(asked, "text/plain", "x", "1.4", "1.5")], ())
    (document,) = etree.fromstring(text).iterfind(f"{{{XDSB}}}DocumentResponse")
    assert [(etree.QName(each).localname, each.text) for each in document][:-1] == [
        ("HomeCommunityId", "urn:oid:1.1"),
        ("RepositoryUniqueId", "1.2"),
        ("DocumentUniqueId", "1.3"),
        ("NewRepositoryUniqueId", "1.5"),
        ("NewDocumentUniqueId", "1.4"),
        ("mimeType", "text/plain"),
    ]
