"""Documents in by ITI-41, out by ITI-43, studies by QIDO-RS: real sockets, real clients."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import uuid4

import hl7
import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from hl7.client import MLLPClient

from ihe.soap.envelope import read_envelope, soap_request
from ihe.soap.mtom import MessageReader, mtom_message
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import SpoolSink
from ihe.values import Code
from ihe.xml import parse_xml
from tests import xds_samples
from tests.xds_repository import include, make_manifest, make_study, provide_body, retrieve_body
from xds.domain.imaging import DICOM_UID_REGISTRY, KEY_OBJECT_SELECTION, ImagingStudy, IssuedId, ManifestPatient
from xds.domain.model import DocumentEntry
from xds.services.upkeep import check
from xds.translate.kos_writer import build_kos

PERSON = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"
RS = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}"
XDSB = "{urn:ihe:iti:xds-b:2007}"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"


@dataclass
class Client:
    """A document source and consumer that speaks HTTP."""

    running: Any

    def post(self, action: str, body: str, documents: dict[str, bytes]) -> tuple[Any, list[bytes]]:
        address = f"{self.running.base_url}/ihe/repository"
        envelope = soap_request(action, address, parse_xml(body.encode()))
        parts = [OutgoingPart(name, "application/octet-stream", [data]) for name, data in documents.items()]
        message = mtom_message(envelope, parts, action)
        answer = httpx.post(
            address, content=iter(message.body), headers={"Content-Type": message.content_type}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        reader = MessageReader(answer.headers["content-type"], SpoolSink)
        reader.feed(answer.content)
        received = reader.close()
        found = [each.sink.path.read_bytes() for each in received.attachments.values()]  # type: ignore[attr-defined]
        reader.discard()
        return read_envelope(received.root).body_element, found

    def provide(self, entry: DocumentEntry, data: bytes) -> None:
        submission = xds_samples.submission(entry.patient_id, entry)
        body, _ = self.post(PROVIDE, provide_body(submission, {entry.id: include("document@x")}), {"document@x": data})
        assert body.get("status").endswith(":Success"), [each.attrib for each in body.iter(f"{RS}RegistryError")]

    def retrieve(self, *unique_ids: str) -> tuple[str, list[bytes]]:
        repository = str(self.running.service.xds.repository.unique_id)
        body, found = self.post(RETRIEVE, retrieve_body(*((repository, each) for each in unique_ids)), {})
        return body.find(f"{RS}RegistryResponse").get("status").rpartition(":")[2], found


@pytest.fixture
def client(running: Any) -> Iterator[Client]:
    """Marie is known at CHUSE and ROANNE; somebody else at ICL."""
    with MLLPClient(running.host, running.mllp_port) as mllp:
        for number, (code, person) in enumerate(
            (("CHUSE", PERSON), ("ROANNE", PERSON), ("ICL", PERSON.replace("EXEMPLE", "AUTRE").replace("1948", "1990")))
        ):
            authority = running.table.by_code(code).authority
            message = (
                "MSH|^~\\&|TEST|TEST|IPR|REGION|20260115101500+0100||ADT^A28^ADT_A05|"
                f"C{number}|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
                "EVN||20260115101500+0100||||20260115101400+0100\r"
                f"PID|1||{code}1^^^{code}&{authority.oid}&ISO^PI||{person}|||||||||||||||||||N||VALI\r"
            )
            assert str(hl7.parse(mllp.send_message(message).decode()).segment("MSA")[1]) == "AA"
    yield Client(running)
    assert list(check(running.service.database, running.service.xds.repository)) == []


@pytest.fixture
def entry(running: Any) -> Callable[..., DocumentEntry]:
    def make(code: str, **changes: Any) -> DocumentEntry:
        patient = xds_samples.pid(f"{code}1", str(running.table.by_code(code).oid))
        usual = xds_samples.entry(f"Document-{uuid4().hex}", patient, source_patient_id=patient)
        return replace(usual, hash=None, size=None, repository_unique_id=None, **changes)

    return make


def publish(client: Client, entry: Callable[..., DocumentEntry], code: str, study: ImagingStudy) -> None:
    domain = client.running.table.by_code(code)
    series = replace(study.series[0], retrieve_location_uid=str(domain.imaging_source_id))
    patient = ManifestPatient(ids=(IssuedId(f"{code}1", domain.authority),), name="EXEMPLE^MARIE")
    manifest = make_manifest(replace(study, series=(series,)), patient=patient)
    made = entry(
        code,
        unique_id=manifest.uid,
        mime_type="application/dicom",
        type_code=Code("IMG-KOS", "1.2.250.1.213.1.1.4.12"),
        class_code=Code("31", "1.2.250.1.213.1.1.4.1"),
        format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY),
        reference_id_list=(),
    )
    client.provide(made, build_kos(manifest))


def test_a_document_comes_out_as_it_went_in(client: Client, entry: Callable[..., DocumentEntry]) -> None:
    made, data = entry("CHUSE"), os.urandom(3_000_000)
    client.provide(made, data)
    assert client.retrieve(made.unique_id or "") == ("Success", [data])
    assert client.retrieve(made.unique_id or "", "1.2.3") == ("PartialSuccess", [data])
    assert client.retrieve("1.2.3") == ("Failure", [])


def test_a_viewer_at_one_site_lists_the_studies_of_all_sites(
    client: Client, entry: Callable[..., DocumentEntry]
) -> None:
    running = client.running
    first, second, other = make_study(), make_study(date=date(2025, 1, 2)), make_study()
    publish(client, entry, "CHUSE", first)
    publish(client, entry, "ROANNE", second)
    publish(client, entry, "ICL", other)
    viewer = DICOMwebClient(f"{running.base_url}/dicom-web")
    asked = {"PatientID": "ROANNE1", "IssuerOfPatientID": "ROANNE"}
    found = viewer.search_for_studies(search_filters=asked)
    assert [each["0020000D"]["Value"][0] for each in found] == [second.uid, first.uid]
    assert {each["00100020"]["Value"][0] for each in found} == {"ROANNE1"}
    assert found[1]["00101002"]["Value"][0]["00100020"]["Value"] == ["CHUSE1"]
    (series,) = viewer.search_for_series(first.uid)
    assert series["0020000E"]["Value"] == [first.series[0].uid]
    instances = viewer.search_for_instances(first.uid, series["0020000E"]["Value"][0])
    assert len(instances) == len(first.series[0].instances)


def test_a_source_that_goes_away_leaves_nothing_behind(client: Client, running: Any) -> None:
    staging = running.service.xds.repository.content._staging
    head = (
        "POST /ihe/repository HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n"
        'Content-Type: multipart/related; boundary="b"; type="application/xop+xml"; start="<root>"; '
        'start-info="application/soap+xml"\r\n\r\n'
        "--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n<a/>\r\n"
        "--b\r\nContent-Type: application/octet-stream\r\nContent-ID: <document@x>\r\n\r\n"
    )
    with socket.create_connection((running.host, running.http_port)) as connection:
        connection.sendall(head.encode() + bytes(2_000_000))
        _wait(lambda: any(staging.iterdir()))
    _wait(lambda: not any(staging.iterdir()))


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
