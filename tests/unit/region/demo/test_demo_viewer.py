"""The demonstration's own client: its questions are read by the server's readers, its answers by hand-made servers."""

from __future__ import annotations

import base64
import socket
import threading

import httpx
import pytest

from ihe.hl7v2.er7 import Message
from ihe.soap.mtom import MessageReader
from ihe.soap.sinks import SpoolSink
from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.transactions import iti9_pix_query
from region.demo import viewer
from region.demo.mllp import MllpConnection
from region.demo.soap_answers import Refused
from region.demo.viewer import Prior
from region.synthetic.population import Scenario, build

ROANNE = PatientId("R0220415", AssigningAuthority("ROANNE", Oid("1.2.250.1")))
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
QUERY_ANSWER = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>
<q:AdhocQueryResponse xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" status="{status}"
 xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0">
{content}</q:AdhocQueryResponse></s:Body></s:Envelope>"""
FAULT = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>
<s:Reason><s:Text>not so</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"""
ENTRY = """<rim:ExtrinsicObject id="urn:uuid:1" mimeType="application/dicom">
<rim:Slot name="repositoryUniqueId"><rim:ValueList><rim:Value>1.9</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="serviceStartTime"><rim:ValueList><rim:Value>{date}090000</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="sourcePatientId"><rim:ValueList><rim:Value>7^^^&amp;1.2.3&amp;ISO</rim:Value></rim:ValueList></rim:Slot>
<rim:Name><rim:LocalizedString value="Scanner"/></rim:Name>
<rim:Classification classificationScheme="urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4" nodeRepresentation="774007">
<rim:Slot name="codingScheme"><rim:ValueList><rim:Value>2.16.840.1.113883.6.96</rim:Value></rim:ValueList></rim:Slot>
</rim:Classification>
<rim:Classification classificationScheme="urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4" nodeRepresentation="CT">
<rim:Slot name="codingScheme"><rim:ValueList><rim:Value>1.2.840.10008.2.16.4</rim:Value></rim:ValueList></rim:Slot>
</rim:Classification>
<rim:ExternalIdentifier identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab" value="{uid}"/>
</rim:ExtrinsicObject>"""


def answering(content: bytes, content_type: str = "application/soap+xml", status: int = 200) -> httpx.Client:
    reply = httpx.Response(status, content=content, headers={"Content-Type": content_type})
    return httpx.Client(transport=httpx.MockTransport(lambda _: reply))


class Receiver:
    """An MLLP receiver for one connection that answers byte by byte, then closes."""

    def __init__(self, *answers: bytes) -> None:
        self.got: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._answers:
                data = b""
                while not data.endswith(b"\x1c\r"):
                    data += connection.recv(100)
                self.got.append(data)
                for byte in b"\x0b" + answer + b"\x1c\r":
                    connection.sendall(bytes([byte]))


def test_the_pix_query_is_one() -> None:
    message = Message.parse(viewer.pix_query_v2(ROANNE, "Q1"))
    query = iti9_pix_query.decode(message)
    assert query.source.value == ROANNE.value
    assert query.source.authority == ROANNE.authority
    assert query.targets == ()
    assert message.control_id == "Q1"


def test_identifiers_of_a_v2_answer_are_read_and_a_refusal_is_said() -> None:
    answers = (
        b"MSH|^~\\&|A\rMSA|AA|Q1\rQAK|T|OK\rQPD|x\rPID|||80\\T\\1^^^CHUSE&1.2.3&ISO^PI~7^^^&1.2.4&ISO\r",
        b"MSH|^~\\&|A\rMSA|AA|Q1\rQAK|T|NF\rQPD|x\r",
        b"MSH|^~\\&|A\rMSA|AE|Q1\rERR||QPD^1^3^1^1|204|E\rQAK|T|AE\r",
    )
    question = viewer.pix_query_v2(ROANNE, "Q1")
    with Receiver(*answers) as receiver, MllpConnection("127.0.0.1", receiver.port, 5) as connection:
        found = viewer.ask_v2(connection, question)
        assert [(i.value, i.authority.namespace, i.authority.oid) for i in found] == [
            ("80&1", "CHUSE", "1.2.3"),
            ("7", None, "1.2.4"),
        ]
        assert viewer.ask_v2(connection, question) == ()
        with pytest.raises(Refused, match="204"):
            viewer.ask_v2(connection, question)
        with pytest.raises(ConnectionError):
            connection.send(question)
    assert receiver.got == [b"\x0b" + question + b"\x1c\r"] * 3


def test_a_fhir_answer_is_read_and_a_refusal_is_said() -> None:
    url = viewer.pix_query_fhir_url("http://host", ROANNE)
    assert url == "http://host/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:1.2.250.1%7CR0220415"
    body = b"""{"resourceType": "Parameters", "parameter": [
        {"name": "targetIdentifier", "valueIdentifier": {"system": "urn:oid:1.2.3", "value": "8"}},
        {"name": "targetId", "valueReference": {"reference": "Patient/1"}}]}"""
    assert [i.value for i in viewer.ask_fhir(answering(body, "application/fhir+json"), url)] == ["8"]
    with pytest.raises(Refused, match="nobody"):
        viewer.ask_fhir(answering(b"nobody", "application/fhir+json", 404), url)


def test_entries_of_a_stored_query_are_read_newest_first() -> None:
    content = ENTRY.format(date="20200101", uid="1.1") + ENTRY.format(date="20250101", uid="1.2")
    client = answering(QUERY_ANSWER.format(status=SUCCESS, content=content).encode())
    newest, oldest = viewer.find_manifests(client, "http://host/ihe/registry", b"")
    assert (newest.document_unique_id, oldest.document_unique_id) == ("1.2", "1.1")
    assert newest == Prior(
        document_unique_id="1.2", repository_unique_id="1.9", source_patient_id=PatientId.from_xds_cx("7^^^&1.2.3&ISO"),
        title="Scanner", study_date="20250101", modality="CT",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no XML", "no XML"),
        (b"<a/>", "no status"),
        (
            QUERY_ANSWER.format(
                status=FAILURE, content='<rs:RegistryError errorCode="XDSUnknownPatientId" codeContext="no such"/>'
            ).encode(),
            "XDSUnknownPatientId: no such",
        ),
        (
            FAULT.encode(),
            "not so",
        ),
    ],
)
def test_a_soap_refusal_is_said(content: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        viewer.find_manifests(answering(content), "http://host/ihe/registry", b"")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build(persons=100)


@pytest.mark.parametrize("inline", [False, True])
def test_manifests_say_where_studies_can_be_fetched(scenario: Scenario, inline: bool) -> None:
    submission = scenario.submissions[0]
    entry, manifest = submission.documents[0]
    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:a%40b"/>'
    shown = base64.b64encode(manifest).decode() if inline else include
    envelope = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        '<x:RetrieveDocumentSetResponse xmlns:x="urn:ihe:iti:xds-b:2007">'
        f'<r:RegistryResponse xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" status="{SUCCESS}"/>'
        f"<x:DocumentResponse><x:DocumentUniqueId>{entry.unique_id}</x:DocumentUniqueId>"
        f"<x:Document>{shown}</x:Document></x:DocumentResponse>"
        "</x:RetrieveDocumentSetResponse></s:Body></s:Envelope>"
    ).encode()
    kind, body = "application/soap+xml", envelope
    if not inline:
        kind = 'multipart/related; type="application/xop+xml"; start="<r@x>"; boundary="b"'
        body = (
            b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
            b"Content-ID: <a@b>\r\n\r\n" + manifest + b"\r\n--b\r\nContent-Type: application/xop+xml\r\n"
            b"Content-Transfer-Encoding: binary\r\nContent-ID: <r@x>\r\n\r\n" + envelope + b"\r\n--b--\r\n"
        )
    asked = Prior(
        document_unique_id=entry.unique_id or "", repository_unique_id="1.9",
        source_patient_id=submission.source_patient_id, title="", study_date="", modality="",
    )  # fmt: skip
    (found,) = viewer.read_manifests(answering(body, kind), "http://host/ihe/repository", [asked], b"")
    assert found.study_uid == submission.study.uid
    assert found.fetch_urls == tuple(series.retrieve_url for series in submission.study.series)
    assert found.images == sum(len(series.instances) for series in submission.study.series)


def test_the_retrieve_request_is_an_mtom_message_of_one_part() -> None:
    prior = Prior("1.2", "1.9", ROANNE, "", "", "")
    envelope = viewer.retrieve_request([prior], "http://host/ihe/repository")
    reader = MessageReader(viewer.content_type_of(viewer.RETRIEVE, mtom=True), lambda *_: SpoolSink())
    reader.feed(viewer.as_mtom(envelope, viewer.RETRIEVE))
    message = reader.close()
    assert message.action == viewer.RETRIEVE
    assert message.is_mtom
    asked = [element.text for element in message.root.iter("{urn:ihe:iti:xds-b:2007}DocumentUniqueId")]
    assert asked == ["1.2"]


def test_the_stored_query_asks_for_approved_manifests_of_the_patient() -> None:
    question = viewer.find_manifests_request(ROANNE, "http://host/ihe/registry").decode()
    assert "'R0220415^^^&amp;1.2.250.1&amp;ISO'" in question
    assert "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d" in question
    assert "('IMG-KOS^^1.2.250.1.213.1.1.4.12')" in question
    assert viewer.priors_url("http://h", ROANNE) == "http://h/priors?patient=urn:oid:1.2.250.1%7CR0220415"
