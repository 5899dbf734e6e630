"""The questions of the benchmark: PIX, and PDQ by name and birth date, on three wires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from region.region_table import RegionTable


def queries(table: RegionTable, sample: Sequence[dict[str, str]]) -> Iterator[tuple[str, str, list[bytes], bytes]]:
    """Name, listener (``MLLP`` or ``HTTP``), requests, and what each good answer holds.

    Args:
        sample: columns of loaded records, in any order.
    """
    keys = [(str(table.by_code(row["domain"]).oid), row["local_id"]) for row in sample]
    yield "PIX query v2", "MLLP", [_pix_v2(*key, number) for number, key in enumerate(keys)], b"MSA|AA"
    asked = [f"/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{oid}%7C{quote(value)}" for oid, value in keys]
    yield "PIX query FHIR", "HTTP", [_get(path) for path in asked], b"200 OK"
    found = b"queryResponseCode code="
    yield "PIX query v3", "HTTP", [post("/ihe/pix", _SOAP, _pix_v3(*key)) for key in keys], found
    traits = [
        (row["birth_family_name"], row["birth_date"])
        for row in sample
        if row["birth_family_name"] and len(row["birth_date"]) == len("YYYY-MM-DD")
    ]
    searches = [f"/fhir/Patient?family={quote(name)}&birthdate={born}" for name, born in traits]
    yield "PDQ FHIR", "HTTP", [_get(path) for path in searches], b"200 OK"
    asked_v2 = [_pdq_v2(name, born, number) for number, (name, born) in enumerate(traits)]
    yield "PDQ v2", "MLLP", asked_v2, b"MSA|AA"
    yield "PDQ v3", "HTTP", [post("/ihe/pdq", _SOAP, _pdq_v3(*each)) for each in traits], found


_SOAP = "application/soap+xml; charset=UTF-8"


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, content_type: str, body: bytes) -> bytes:
    """A whole HTTP request."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pix_v2(oid: str, value: str, number: int) -> bytes:
    return (
        f"MSH|^~\\&|BENCH|BENCH|IPR|R|20260101||QBP^Q23^QBP_Q21|{number}|P|2.5\r"
        f"QPD|IHE PIX Query|{number}|{value}^^^&{oid}&ISO\rRCP|I\r"
    ).encode()


def _pdq_v2(family: str, born: str, number: int) -> bytes:
    return (
        f"MSH|^~\\&|BENCH|BENCH|IPR|R|20260101||QBP^Q22^QBP_Q21|{number}|P|2.5||||||UNICODE UTF-8\r"
        f"QPD|IHE PDQ Query|{number}|@PID.5.1^{family}~@PID.7^{born.replace('-', '')}\rRCP|I\r"
    ).encode()


def _pix_v3(oid: str, value: str) -> bytes:
    parameters = (
        f'<patientIdentifier><value root="{oid}" extension="{value}"/>'
        "<semanticsText>Patient.id</semanticsText></patientIdentifier>"
    )
    return _query_v3("PRPA_IN201309UV02", parameters)


def _pdq_v3(family: str, born: str) -> bytes:
    parameters = (
        f'<livingSubjectBirthTime><value value="{born.replace("-", "")}"/>'
        "<semanticsText>LivingSubject.birthTime</semanticsText></livingSubjectBirthTime>"
        f"<livingSubjectName><value><family>{escape(family)}</family></value>"
        "<semanticsText>LivingSubject.name</semanticsText></livingSubjectName>"
    )
    return _query_v3("PRPA_IN201305UV02", parameters)


def _query_v3(name: str, parameters: str) -> bytes:
    device = '<device classCode="DEV" determinerCode="INSTANCE"><id root="2.25.1"/></device>'
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f'<s:Header><a:Action s:mustUnderstand="true">urn:hl7-org:v3:{name}</a:Action></s:Header><s:Body>'
        f'<{name} xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0"><id root="2.25.2"/>'
        '<creationTime value="20260101"/>'
        f'<interactionId root="2.16.840.1.113883.1.6" extension="{name}"/><processingCode code="P"/>'
        '<processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f'<receiver typeCode="RCV">{device}</receiver><sender typeCode="SND">{device}</sender>'
        '<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="{name.replace("_IN", "_TE")}" codeSystem="2.16.840.1.113883.1.6"/>'
        '<queryByParameter><queryId root="2.25.3"/><statusCode code="new"/><responsePriorityCode code="I"/>'
        f"<parameterList>{parameters}</parameterList></queryByParameter></controlActProcess></{name}>"
        "</s:Body></s:Envelope>"
    ).encode()
