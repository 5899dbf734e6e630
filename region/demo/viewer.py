"""What a site's software asks: identifiers elsewhere (HL7 v2 and FHIR), prior studies, where their images are.

Each question is made as text first, so that it can be shown and repeated, then sent.
"""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import httpx
import pydicom
from lxml import etree

from ihe.values import AssigningAuthority, Oid, PatientId, escape_hl7, unescape_hl7
from region.demo.mllp import MllpConnection
from region.demo.soap_answers import NAMES, Refused, read_answer

FIND_DOCUMENTS = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"

_FIND_DOCUMENTS_QUERY = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
_APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
_UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
_EVENT_CODES = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
_MODALITIES = "1.2.840.10008.2.16.4"
_MANIFEST = "IMG-KOS^^1.2.250.1.213.1.1.4.12"


@dataclass(frozen=True, slots=True)
class Prior:
    """A prior study as the viewer finds it.

    Attributes:
        document_unique_id, repository_unique_id: its manifest, and where that is kept.
        source_patient_id: number of the patient at the site that made it.
        study_date: ``YYYYMMDD``.
        study_uid: empty until the manifest was read.
        fetch_urls: DICOMweb address of each series; empty until the manifest was read.
        images: number of images; 0 until the manifest was read.
    """

    document_unique_id: str
    repository_unique_id: str
    source_patient_id: PatientId
    title: str
    study_date: str
    modality: str
    study_uid: str = ""
    fetch_urls: tuple[str, ...] = ()
    images: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as the viewer gets it.

    Attributes:
        number_shown, number_there: of its patient, as its header says now and as the archive wrote it.
        size: of the file in bytes.
    """

    number_shown: str
    number_there: str
    rows: int
    columns: int
    size: int


def fetch_picture(client: httpx.Client, study: str) -> Picture:
    """Fetch the first picture of a study by WADO-RS.

    Args:
        study: its DICOMweb address.

    Raises:
        Refused: it cannot be had.
    """
    metadata = client.get(f"{study}/metadata")
    if metadata.status_code != 200:
        raise Refused(metadata.text)
    series, instance = (metadata.json()[0][tag]["Value"][0] for tag in ("0020000E", "00080018"))
    accept = {"Accept": "application/dicom"}
    answer = client.get(f"{study}/series/{series}/instances/{instance}", headers=accept)
    if answer.status_code != 200:
        raise Refused(answer.text)
    found = pydicom.dcmread(io.BytesIO(answer.content))
    others = found.get("OtherPatientIDsSequence") or [found]
    return Picture(
        str(found.PatientID), str(others[0].PatientID), int(found.Rows), int(found.Columns), len(answer.content)
    )


def pix_query_v2(patient_id: PatientId, control_id: str) -> bytes:
    """The HL7 v2 question for all other identifiers of a patient (ITI-9)."""
    authority = patient_id.authority
    cx = f"{escape_hl7(patient_id.value)}^^^{authority.namespace or ''}&{authority.oid}&ISO"
    return (
        f"MSH|^~\\&|VIEWER|{authority.namespace}|TRAITDUNION|REGION|20260126090000+0100||QBP^Q23^QBP_Q21|{control_id}"
        "|P|2.5|||||FRA|UNICODE UTF-8\r"
        f"QPD|IHE PIX Query|{control_id}|{cx}|\r"
        "RCP|I\r"
    ).encode()


def ask_v2(connection: MllpConnection, question: bytes) -> tuple[PatientId, ...]:
    """Send a PIX query and read the identifiers of its answer.

    Raises:
        Refused: the answer is no ``AA``.
    """
    segments = [line.split("|") for line in connection.send(question).decode("utf-8").split("\r")]
    code = next(fields[1] for fields in segments if fields[0] == "MSA")
    if code != "AA":
        raise Refused("; ".join("|".join(fields) for fields in segments if fields[0] == "ERR") or code)
    pid = next((fields for fields in segments if fields[0] == "PID"), None)
    return tuple(_cx(text) for text in pid[3].split("~")) if pid else ()


def _cx(text: str) -> PatientId:
    parts = text.split("^")
    namespace, oid, _ = parts[3].split("&")
    return PatientId(unescape_hl7(parts[0]), AssigningAuthority(namespace or None, Oid(oid)))


def pix_query_fhir_url(base: str, patient_id: PatientId) -> str:
    """The FHIR question for all other identifiers of a patient (ITI-83)."""
    return f"{base}/fhir/Patient/$ihe-pix?sourceIdentifier={_token(patient_id)}"


def priors_url(base: str, patient_id: PatientId) -> str:
    """The question for a patient's studies in one call, answered in JSON."""
    return f"{base}/priors?patient={_token(patient_id)}"


def _token(patient_id: PatientId) -> str:
    return quote(f"urn:oid:{patient_id.authority.oid}|{patient_id.value}", safe=":")


def ask_fhir(client: httpx.Client, url: str) -> tuple[PatientId, ...]:
    """Call ``$ihe-pix`` and read the identifiers of its answer.

    Raises:
        Refused: another status than 200.
    """
    answer = client.get(url)
    if answer.status_code != 200:
        raise Refused(answer.text)
    found = [part["valueIdentifier"] for part in answer.json().get("parameter", []) if "valueIdentifier" in part]
    return tuple(
        PatientId(identifier["value"], AssigningAuthority(oid=Oid(identifier["system"]))) for identifier in found
    )


def find_manifests_request(patient_id: PatientId, endpoint: str) -> bytes:
    """The stored query for the manifests of a patient's studies (ITI-18 FindDocuments)."""
    slots = {
        "$XDSDocumentEntryPatientId": f"'{patient_id.xds_cx}'",
        "$XDSDocumentEntryStatus": f"('{_APPROVED}')",
        "$XDSDocumentEntryTypeCode": f"('{_MANIFEST}')",
    }
    listed = "".join(
        f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value></rim:ValueList></rim:Slot>'
        for name, value in slots.items()
    )
    body = (
        '<query:AdhocQueryRequest xmlns:query="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
        f' xmlns:rim="{NAMES["rim"]}"><query:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="{_FIND_DOCUMENTS_QUERY}">{listed}</rim:AdhocQuery></query:AdhocQueryRequest>'
    )
    return _envelope(FIND_DOCUMENTS, endpoint, body)


def retrieve_request(priors: Iterable[Prior], endpoint: str) -> bytes:
    """The request for the manifests themselves (ITI-43)."""
    wanted = "".join(
        f"<xdsb:DocumentRequest><xdsb:RepositoryUniqueId>{prior.repository_unique_id}</xdsb:RepositoryUniqueId>"
        f"<xdsb:DocumentUniqueId>{prior.document_unique_id}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
        for prior in priors
    )
    body = f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{NAMES["xdsb"]}">{wanted}</xdsb:RetrieveDocumentSetRequest>'
    return _envelope(RETRIEVE, endpoint, body)


def _envelope(action: str, endpoint: str, body: str) -> bytes:
    message_id = uuid.uuid5(uuid.NAMESPACE_URL, body)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soap:Envelope xmlns:soap="{NAMES["soap"]}" xmlns:wsa="http://www.w3.org/2005/08/addressing">'
        f'<soap:Header><wsa:Action soap:mustUnderstand="true">{action}</wsa:Action>'
        f"<wsa:MessageID>urn:uuid:{message_id}</wsa:MessageID><wsa:To>{escape(endpoint)}</wsa:To></soap:Header>"
        f"<soap:Body>{body}</soap:Body></soap:Envelope>\n"
    ).encode()


def content_type_of(action: str, *, mtom: bool) -> str:
    """Content-Type of a question: plain SOAP, or the same as the one part of an MTOM message."""
    if mtom:
        return (
            'multipart/related; boundary="viewer"; type="application/xop+xml"; start="<root>"; '
            f'start-info="application/soap+xml"; action="{action}"'
        )
    return f'application/soap+xml; charset=UTF-8; action="{action}"'


def as_mtom(envelope: bytes, action: str) -> bytes:
    """The envelope as the only part of an MTOM message."""
    kind = f'application/xop+xml; charset=UTF-8; type="application/soap+xml"; action="{action}"'
    head = f"--viewer\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <root>\r\n\r\n"
    return head.encode() + envelope + b"\r\n--viewer--\r\n"


def find_manifests(client: httpx.Client, endpoint: str, question: bytes) -> tuple[Prior, ...]:
    """Send the stored query and read its entries, in order of study date, newest first.

    Raises:
        Refused: a fault, or another status than Success.
    """
    answer = client.post(
        endpoint, content=question, headers={"Content-Type": content_type_of(FIND_DOCUMENTS, mtom=False)}
    )
    root, _ = read_answer(answer)
    return tuple(sorted(_entries(root), key=lambda prior: prior.study_date, reverse=True))


def _entries(root: etree._Element) -> Iterator[Prior]:
    for entry in root.iterfind(".//rim:ExtrinsicObject", NAMES):
        modality = (
            f"rim:Classification[@classificationScheme='{_EVENT_CODES}']"
            f"[rim:Slot[@name='codingScheme']//rim:Value='{_MODALITIES}']/@nodeRepresentation"
        )
        yield Prior(
            document_unique_id=_first(entry, f"rim:ExternalIdentifier[@identificationScheme='{_UNIQUE_ID}']/@value"),
            repository_unique_id=_slot(entry, "repositoryUniqueId"),
            source_patient_id=PatientId.from_xds_cx(_slot(entry, "sourcePatientId")),
            title=_first(entry, "rim:Name/rim:LocalizedString/@value"),
            study_date=_slot(entry, "serviceStartTime")[:8],
            modality=_first(entry, modality),
        )


def _slot(entry: etree._Element, name: str) -> str:
    return _first(entry, f"rim:Slot[@name='{name}']/rim:ValueList/rim:Value/text()")


def _first(entry: etree._Element, path: str) -> str:
    found = entry.xpath(path, namespaces=NAMES)
    return str(found[0]).strip() if isinstance(found, list) and found else ""


def read_manifests(client: httpx.Client, endpoint: str, priors: Sequence[Prior], question: bytes) -> tuple[Prior, ...]:
    """Retrieve the manifests and say of each study where its images can be fetched, in the same order.

    Raises:
        Refused: a fault, or another status than Success.
    """
    answer = client.post(
        endpoint, content=as_mtom(question, RETRIEVE), headers={"Content-Type": content_type_of(RETRIEVE, mtom=True)}
    )
    documents = _documents(answer)
    return tuple(_with_addresses(prior, documents[prior.document_unique_id]) for prior in priors)


def _documents(answer: httpx.Response) -> dict[str, bytes]:
    root, parts = read_answer(answer)
    found = {}
    for response in root.iterfind(".//xdsb:DocumentResponse", NAMES):
        unique_id = response.findtext("xdsb:DocumentUniqueId", "", NAMES).strip()
        include = response.find(".//xop:Include", NAMES)
        if include is None:
            found[unique_id] = base64.b64decode(response.findtext("xdsb:Document", "", NAMES))
        else:
            found[unique_id] = parts[unquote(include.get("href", "").removeprefix("cid:"))]
    return found


def _with_addresses(prior: Prior, manifest: bytes) -> Prior:
    kos = pydicom.dcmread(io.BytesIO(manifest))
    studies = kos.CurrentRequestedProcedureEvidenceSequence
    series = [item for study in studies for item in study.ReferencedSeriesSequence]
    return replace(
        prior,
        study_uid=str(studies[0].StudyInstanceUID),
        fetch_urls=tuple(str(item.RetrieveURL) for item in series),
        images=sum(len(item.ReferencedSOPSequence) for item in series),
    )
