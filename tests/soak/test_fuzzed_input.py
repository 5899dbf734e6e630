"""Damaged input to every parser and every transaction's reading: the wire's own error, quickly, and nothing else.

Seeds are well-formed requests made for this project; each is damaged in one to four places. ``TEST_SEED``
repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC
from typing import Any

import pytest

from ihe.caller import Caller
from ihe.errors import IheError
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.wire import Hl7v2Router
from ihe.http import HttpRequest, HttpWire
from ihe.peer import Peer
from ihe.soap.envelope import read_envelope, soap_fault, soap_request
from ihe.soap.error_codes import fault_for
from ihe.soap.fault import SoapFault
from ihe.soap.mtom import MessageReader
from ihe.soap.sinks import SpoolSink
from ihe.transaction import Endpoint, HttpBinding, SoapBinding, discover
from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import parse_xml, serialize
from mpi.translate import bulk_row
from region.http_app import refuser_of
from tests import hl7v3_wire, xds_samples
from tests.fhir_wire import patient
from tests.hl7v2_desk import MARIE, er7
from tests.xds_repository import make_manifest, make_study, retrieve_body
from web import json_api, prior_studies
from xds.translate.dicom_coercion import PassingFile, ShownPatient
from xds.translate.ebxml_request import submission_request
from xds.translate.kos_manifest import read_kos
from xds.translate.kos_writer import build_kos

ENDPOINTS = discover("mpi.transactions", "xds.transactions")
OID = "2.25.1001"
SLOWEST_SECONDS = 1.0
GROWTH_BYTES = 64 * 1024 * 1024

TOKENS = [
    *(
        b"",
        b"\0",
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\r",
        b"\n",
        b"\r\r",
        b"\\X41\\",
        b"\\.br\\",
        b'""',
        b"\x0b",
        b"\x1c",
    ),
    *(b"<", b">", b"</", b"&#0;", b"&lt;", b"&x;", b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"<![CDATA[", b"<!--", b"<?x?>"),
    *(b"{", b"}", b"[", b"]", b'"', b"null", b"true", b"-1", b"1e999", b"NaN", b"\\u0000", b"\\ud800", b"[" * 300),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", "\u202e".encode(), "é".encode(), b"\xef\xbb\xbf", b"9" * 40, b"0" * 40, b"-"),
    *(b"urn:oid:", b"urn:uuid:", b"$", b"%00", b"%", b"'", b"''", b"(", b")", b"--", b"99999999", b"00000000", b"0"),
    *(b"A" * 5000, b"2026-02-30", b"20260230", b"24:60:61", b"+9999", b"Z", b"1.2.3", b"..", b"/", b"../", b"*", b"?"),
]


def damaged(seed: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A seed with one to four faults."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        until = min(len(data), at + chance.choice([0, 1, 1, 2, 8, 64, 1000]))
        match chance.randrange(6):
            case 0:
                data[at:until] = chance.choice(TOKENS)
            case 1:
                data[at:until] = b""
            case 2:
                data[at:at] = data[at:until] * chance.choice([1, 2, 20])
            case 3:
                data[at:until] = chance.randbytes(until - at)
            case 4:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                data[at:until] = other[start : start + chance.choice([4, 40, 400])]
            case _:
                # a whole value: between two separators of the wire
                found = list(re.finditer(rb'[^|^~&<>"{}\[\]:,\r\n ]{1,60}', bytes(data)))
                if found:
                    value = chance.choice(found)
                    data[value.start() : value.end()] = chance.choice(TOKENS)
    return bytes(data[:200_000])


# --- HL7 v2


class Reading:
    """In the place of the pipeline: only reads, and refuses what cannot be read."""

    def run(self, endpoint: Endpoint, wire: Any, request: Any, authenticate: Callable[[], Caller]) -> Any:
        try:
            endpoint.decode(request)
        except IheError as error:
            return wire.refuse(request, error, "0")
        return wire.refuse(request, IheError("read"), "0")


ROUTER = Hl7v2Router(ENDPOINTS, Reading(), lambda _message, _peer: Caller("fuzz"))  # type: ignore[arg-type]
PEER = Peer("127.0.0.1", 1)


def v2_seeds() -> list[bytes]:
    found = []
    for code, event, structure in (
        *(("ADT", event, "ADT_A05") for event in ("A28", "A31")),
        *(("ADT", event, "ADT_A01") for event in ("A01", "A04", "A05", "A08", "A03", "A02", "A11", "A12", "A13")),
        *(("ADT", event, "ADT_A39") for event in ("A40",)),
        *(("ADT", event, "ADT_A30") for event in ("A47",)),
        *(("ADT", event, event) for event in ("A24", "A37", "A44", "Z99")),
    ):
        for version in ("2.3.1", "2.5", "2.5^FRA^2.11"):
            found.append(
                er7(
                    f"MSH|^~\\&|GAM|CHUSE|I|R|20260115101500+0100||{code}^{event}^{structure}|C1|P|{version}"
                    "|||AL|NE|FRA|UNICODE UTF-8",
                    f"EVN|{event}|20260115101500+0100||||20260115101400+0100",
                    f"PID|1||8001^^^CHUSE&{OID}&ISO^PI~180017401234567^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS||{MARIE}"
                    "|||||||ACC1^^^CHUSE||||||||||||||Y||VALI|20260115",
                    f"MRG|8002^^^CHUSE&{OID}&ISO^PI||ACC2||||AUTRE^MARIE",
                    f"PID|2||8003^^^CHUSE&{OID}&ISO^PI||{MARIE}",
                    "PV1|1|I|CARD^12^A^CHUSE||||123^DOC^A^^^^^^X&1.2&ISO|||||||||||NDA1^^^CHUSE|||||||||||||||||||||||||20260115",
                    "ZFA||||||||N",
                    "ZFV|1|2",
                ).encode()
            )
    for event, structure in (("Q22", "QBP_Q21"), ("Q23", "QBP_Q21"), ("ZV1", "QBP_Q21"), ("J01", "QCN_J01")):
        found.append(
            er7(
                f"MSH|^~\\&|V|T|I|R|20260115101500||QBP^{event}^{structure}|Q1|P|2.5",
                "QPD|IHE PDQ Query|TAG|@PID.5.1.1^EX*~@PID.7^19480317~@PID.3.1^8001~@PID.11.3^FEURS"
                f"|||||^^^CHUSE&{OID}&ISO"
                if event in {"Q22", "ZV1"}
                else f"QPD|IHE PIX Query|TAG|8001^^^CHUSE&{OID}&ISO^PI|^^^ROANNE&2.25.1002&ISO~^^^FEURS",
                "RCP|I|5^RD",
                "DSC|TAG:5|I",
                "QID|TAG|IHE PDQ Query",
            ).encode()
        )
    return found


def read_v2(data: bytes) -> None:
    for answer in ROUTER.handle(data, PEER):
        Message.parse(answer)


# --- SOAP

BY_ACTION = {
    binding.action: endpoint
    for endpoint in ENDPOINTS
    for binding in endpoint.transaction.bindings
    if isinstance(binding, SoapBinding)
}
ANNE = PatientId("8001", AssigningAuthority(oid=Oid(OID)))


def soap_seeds() -> list[bytes]:
    made = xds_samples.submission(ANNE, xds_samples.entry("Document01", ANNE))
    ii = hl7v3_wire.ii(OID, "8001")
    value = hl7v3_wire.ii(OID, "8001", "value")
    bodies = [
        *(hl7v3_wire.feed(f"PRPA_IN2013{n}UV02", ii, replaced=hl7v3_wire.ii(OID, "8002")) for n in ("01", "02", "04")),
        hl7v3_wire.pix_query(value, ["2.25.1002"]),
        hl7v3_wire.demographics_query(
            hl7v3_wire.parameter("livingSubjectBirthTime", '<value value="19480317"/>'),
            hl7v3_wire.name_parameter("EXEMPLE", "MARIE"),
            quantity=5,
        ),
        hl7v3_wire.continuation(start=6, quantity=5),
        hl7v3_wire.discovery(hl7v3_wire.name_parameter("EXEMPLE", "MARIE")),
        hl7v3_wire.location_query(hl7v3_wire.ii(OID, "8001", "RequestedPatientId")),
        submission_request(made).encode(),
        retrieve_body(("2.25.2000", "1.2.3"), home="urn:oid:1.2.3").encode(),
        STORED_QUERY,
    ]
    elements = [parse_xml(body) for body in bodies]
    found = []
    for action, endpoint in BY_ACTION.items():
        wanted = {b.request_element for b in endpoint.transaction.bindings if isinstance(b, SoapBinding)}
        fitting = [each for each in elements if each.tag in wanted] or elements
        found += [serialize(soap_request(action, "http://x/", parse_xml(serialize(each)))) for each in fitting]
    return found


STORED_QUERY = b"""<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
 xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><q:ResponseOption returnType="LeafClass"
 returnComposedObjects="true"/><r:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">
 <r:Slot name="$XDSDocumentEntryPatientId"><r:ValueList>
 <r:Value>'8001^^^&amp;2.25.1001&amp;ISO'</r:Value></r:ValueList></r:Slot>
 <r:Slot name="$XDSDocumentEntryStatus"><r:ValueList><r:Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')
 </r:Value></r:ValueList></r:Slot><r:Slot name="$XDSDocumentEntryClassCode"><r:ValueList>
 <r:Value>('11^^1.2.250.1.213.1.1.4.1','21^^1.2.250.1.213.1.1.4.1')</r:Value></r:ValueList></r:Slot>
 <r:Slot name="$XDSDocumentEntryCreationTimeFrom"><r:ValueList><r:Value>20250101</r:Value></r:ValueList></r:Slot>
 </r:AdhocQuery></q:AdhocQueryRequest>"""


def read_soap(data: bytes) -> None:
    reader = MessageReader("application/soap+xml; charset=UTF-8", SpoolSink)
    try:
        for start in range(0, len(data), 4096):
            reader.feed(data[start : start + 4096])
        received = reader.close()
        request = read_envelope(received.root, None, received.attachments)
        if (endpoint := BY_ACTION.get(request.action)) is not None:
            endpoint.decode(request)
    except SoapFault as fault:
        serialize(soap_fault(fault, None))
    except IheError as error:
        serialize(soap_fault(fault_for(error), None))
    finally:
        reader.discard()


def mtom_seeds() -> list[bytes]:
    return [
        b'--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        b"Content-Transfer-Encoding: binary\r\nContent-ID: <r@x>\r\n\r\n"
        + seed
        + b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <d@x>\r\n\r\n"
        + b"QUJD\r\n--b--\r\n"
        for seed in soap_seeds()[:12]
    ]


def read_mtom(data: bytes) -> None:
    kind = (
        'multipart/related; type="application/xop+xml"; boundary="b"; start="<r@x>"; start-info="application/soap+xml"'
    )
    reader = MessageReader(kind, SpoolSink)
    try:
        for start in range(0, len(data), 1000):
            reader.feed(data[start : start + 1000])
        read_envelope(reader.close().root)
    except SoapFault as fault:
        serialize(soap_fault(fault, None))
    except IheError as error:
        serialize(soap_fault(fault_for(error), None))
    finally:
        reader.discard()


# --- HTTP: FHIR, DICOMweb, JSON

HTTP = [
    (endpoint, binding)
    for endpoint in (*ENDPOINTS, *json_api.ENDPOINTS, prior_studies.ENDPOINT)
    for binding in endpoint.transaction.bindings
    if isinstance(binding, HttpBinding)
]


def http_seeds() -> list[bytes]:
    """As JSON: which interaction, its query, headers and body; damaged as a whole."""
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": patient(OID, "8001"), "request": {"method": "PUT", "url": "Patient?identifier=x|1"}}],
    }
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/1"},
        "content": [
            {"attachment": {"contentType": "text/plain", "data": "QUJD", "hash": "qvTGHdzF6KLavt4PO0gs2a6pQ00="}}
        ],
    }
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": patient(OID, "8001")}, {"name": "count", "valueInteger": 3}],
    }
    bodies = [patient(OID, "8001"), bundle, document, parameters]
    query = [
        *(["identifier", f"urn:oid:{OID}|8001"], ["family:contains", "EX"], ["birthdate", "ge1948-03-17"]),
        *(["_count", "5"], ["_summary", "count"], ["_format", "json"], ["patient", "Patient/1"], ["status", "current"]),
        *(["sourceIdentifier", f"urn:oid:{OID}|8001"], ["PatientID", "8001"], ["StudyDate", "20200101-20201231"]),
        *(["00100020", "8001"], ["includefield", "all"], ["domain", "ROANNE"], ["limit", "3"], ["offset", "1"]),
        *(["requestType", "WADO"], ["studyUID", "1.2"], ["seriesUID", "1.2.3"], ["objectUID", "1.2.3.4"]),
    ]
    headers = {"accept": 'multipart/related; type="application/dicom"', "content-type": "application/fhir+json"}
    return [
        json.dumps([number, path, query, headers, json.dumps(body)]).encode()
        for number in range(len(HTTP))
        for path in (["1", "2"],)
        for body in bodies
    ]


def read_http(data: bytes) -> None:
    try:
        number, path, query, headers, body = json.loads(data)
        endpoint, binding = HTTP[number % len(HTTP)]
        pairs = tuple((str(name), str(value)) for name, value in query)
        heads = {str(name).lower(): str(value) for name, value in dict(headers).items()}
        texts = [str(part) for part in path]
        content = str(body).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, KeyError, RecursionError):
        return  # damaged beyond what a client library lets through
    names = re.findall(r"\{([^}:]*)", binding.path)
    values = dict(zip(names, (texts * len(names))[: len(names)], strict=False)) if texts else {}
    if len(values) < len(names):
        return
    request = HttpRequest(binding.method, binding.path, values, pairs, heads, content, "http://x")
    try:
        endpoint.decode(request)
    except IheError as error:
        if endpoint.refuse is not None:
            endpoint.refuse(error, request)
        else:
            HttpWire(refuser_of(binding.path)).refuse(request, error, "0")


# --- files

MANIFEST = build_kos(make_manifest(make_study()))
SHOWN = ShownPatient(ANNE, ANNE.authority)


def read_manifest(data: bytes) -> None:
    with suppress(IheError):
        read_kos(data, UTC)


def read_picture(data: bytes) -> None:
    passing = PassingFile(SHOWN)
    with suppress(IheError):
        for start in range(0, len(data), 512):
            passing.feed(data[start : start + 512])
        passing.close()


ROW = (
    b'{"domain":"CHUSE","local_id":"1","birth_family_name":"EXEMPLE","birth_given_names":"MARIE LOUISE","sex":"F",'
    b'"birth_date":"1948-03-17","birth_place_code":"42218","ins":"180017401234567","ins_oid":"1.2.250.1.213.1.4.8",'
    b'"identity_status":"QUAL","identity_attributes":"HOMO|DOUT","source_updated_at":"2026-01-15T10:15:00+01:00"}'
)


def read_bulk(data: bytes) -> None:
    try:
        row = json.loads(data)
        texts = {str(name): None if value is None else str(value) for name, value in row.items()}
    except (ValueError, AttributeError, RecursionError):
        return
    with suppress(IheError, ValueError):
        bulk_row.unknown_columns(list(texts))
        bulk_row.read_row(texts)


TARGETS: dict[str, tuple[Callable[[], list[bytes]], Callable[[bytes], None]]] = {
    "hl7v2": (v2_seeds, read_v2),
    "soap": (soap_seeds, read_soap),
    "mtom": (mtom_seeds, read_mtom),
    "http": (http_seeds, read_http),
    "manifest": (lambda: [MANIFEST], read_manifest),
    "picture": (lambda: [MANIFEST], read_picture),
    "bulk": (lambda: [ROW], read_bulk),
}


def inputs(seeds: list[bytes], count: int, chance: random.Random) -> Iterator[bytes]:
    """First every seed as it is, then damaged ones."""
    yield from seeds
    for _ in range(count):
        yield damaged(chance.choice(seeds), seeds, chance)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [1_000, pytest.param(145_000, marks=pytest.mark.soak)])
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of what it makes of damaged elements
@pytest.mark.timeout(7200)
def test_damaged_input_gets_an_error_of_its_wire_soon(target: str, count: int) -> None:
    make, read = TARGETS[target]
    seed = int(os.environ.get("TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"TEST_SEED={seed}")
    seeds, chance = make(), random.Random(seed)
    before = None
    slowest, at = 0.0, 0
    for number, data in enumerate(inputs(seeds, count, chance)):
        began = time.thread_time()
        try:
            read(data)
        except Exception as error:
            error.add_note(f"TEST_SEED={seed}, input {number}: {data[:3000]!r}")
            raise
        took = time.thread_time() - began
        if took > slowest:
            slowest, at = took, number
        if number == len(seeds) + count // 2:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert slowest < SLOWEST_SECONDS, f"input {at} took {slowest:.2f} s (TEST_SEED={seed})"
    assert before is not None
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH_BYTES
