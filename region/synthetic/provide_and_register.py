"""ITI-41 as a document source sends it: metadata in ebRIM, SOAP 1.2, documents as MTOM parts.

Written for the client side alone, on purpose without the server's code, so that the demonstration and the tests are a
true client.

Source: ITI TF-2: 3.41; ITI TF-3: 4.2; W3C XOP and SOAP MTOM.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ihe.values import Code
from region.synthetic.submissions import StudySubmission
from xds.domain.model import Author, DocumentEntry, SubmissionSet, Texts

ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"

_STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
_HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
_OBJECT_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
_SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"

_ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
_ENTRY_CODES = (
    ("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "class_code"),
    ("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "confidentiality_codes"),
    ("urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4", "event_code_list"),
    ("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "format_code"),
    ("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "healthcare_facility_type_code"),
    ("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "practice_setting_code"),
    ("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "type_code"),
)
_ENTRY_PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
_ENTRY_UNIQUE = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
_SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
_SET_CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
_SET_PATIENT = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
_SET_SOURCE = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
_SET_UNIQUE = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"


@dataclass(frozen=True, slots=True)
class MtomRequest:
    """A SOAP message with its documents.

    Attributes:
        envelope: the root part.
        parts: Content-ID without brackets, MIME type and bytes of each document.
    """

    envelope: bytes
    parts: tuple[tuple[str, str, bytes], ...]

    def body(self, boundary: str = "traitdunion-document-source") -> tuple[str, bytes]:
        """The value of Content-Type and the body of an HTTP request."""
        content_type = (
            f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<root>"; '
            f'start-info="application/soap+xml"; action="{ACTION}"'
        )
        root_type = f'application/xop+xml; charset=UTF-8; type="application/soap+xml"; action="{ACTION}"'
        pieces = [("root", root_type, self.envelope), *self.parts]
        body = b"".join(
            f"--{boundary}\r\nContent-Type: {mime_type}\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: <{content_id}>\r\n\r\n".encode()
            + data
            + b"\r\n"
            for content_id, mime_type, data in pieces
        )
        return content_type, body + f"--{boundary}--\r\n".encode()


def to_provide_and_register(
    submission: StudySubmission, patient_id_cx: str, *, endpoint: str = "http://localhost:8080/ihe/repository"
) -> MtomRequest:
    """A submission as an ITI-41 request.

    Args:
        patient_id_cx: the patient identifier of all objects, ``value^^^&oid&ISO``: the sender's own, or the regional.
        endpoint: value of ``wsa:To``.
    """
    entries = [entry for entry, _ in submission.documents]
    documents = "".join(
        f'<xdsb:Document id={quoteattr(entry.id)}><xop:Include href="cid:{entry.id}@source"/></xdsb:Document>'
        for entry in entries
    )
    objects = (
        "".join(_document_entry(entry, patient_id_cx) for entry in entries)
        + _submission_set(submission.submission_set, patient_id_cx)
        + "".join(_membership(submission.submission_set.id, entry.id) for entry in entries)
    )
    message_id = uuid.uuid5(uuid.NAMESPACE_OID, submission.submission_set.unique_id or "")
    envelope = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:wsa="http://www.w3.org/2005/08/addressing">'
        f'<soap:Header><wsa:Action soap:mustUnderstand="true">{ACTION}</wsa:Action>'
        f"<wsa:MessageID>urn:uuid:{message_id}</wsa:MessageID><wsa:To>{escape(endpoint)}</wsa:To></soap:Header>"
        '<soap:Body><xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="urn:ihe:iti:xds-b:2007"'
        ' xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"'
        ' xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"'
        ' xmlns:xop="http://www.w3.org/2004/08/xop/include">'
        f"<lcm:SubmitObjectsRequest><rim:RegistryObjectList>{objects}</rim:RegistryObjectList>"
        f"</lcm:SubmitObjectsRequest>{documents}"
        "</xdsb:ProvideAndRegisterDocumentSetRequest></soap:Body></soap:Envelope>"
    )
    parts = tuple((f"{entry.id}@source", entry.mime_type or "", data) for entry, data in submission.documents)
    return MtomRequest(envelope.encode(), parts)


def _document_entry(entry: DocumentEntry, patient_id_cx: str) -> str:
    slots: dict[str, Iterable[str | None]] = {
        "creationTime": [entry.creation_time],
        "hash": [entry.hash],
        "languageCode": [entry.language_code],
        "legalAuthenticator": [entry.legal_authenticator],
        "serviceStartTime": [entry.service_start_time],
        "serviceStopTime": [entry.service_stop_time],
        "size": [str(entry.size)],
        "sourcePatientId": [entry.source_patient_id.xds_cx if entry.source_patient_id else None],
        "sourcePatientInfo": entry.source_patient_info,
        "urn:ihe:iti:xds:2013:referenceIdList": entry.reference_id_list,
    }
    return (
        f'<rim:ExtrinsicObject id={quoteattr(entry.id)} objectType="{_STABLE}"'
        f" mimeType={quoteattr(entry.mime_type or '')}>"
        + "".join(_slot(name, values) for name, values in slots.items())
        + _name(entry.title)
        + "".join(_author(author, _ENTRY_AUTHOR, entry.id, index) for index, author in enumerate(entry.authors))
        + "".join(_codes(entry))
        + _identifier(_ENTRY_PATIENT, "XDSDocumentEntry.patientId", entry.id, patient_id_cx)
        + _identifier(_ENTRY_UNIQUE, "XDSDocumentEntry.uniqueId", entry.id, entry.unique_id or "")
        + "</rim:ExtrinsicObject>"
    )


def _submission_set(item: SubmissionSet, patient_id_cx: str) -> str:
    return (
        f'<rim:RegistryPackage id={quoteattr(item.id)} objectType="{_OBJECT_TYPE}RegistryPackage">'
        + _slot("submissionTime", [item.submission_time])
        + _name(item.title)
        + "".join(_author(author, _SET_AUTHOR, item.id, index) for index, author in enumerate(item.authors))
        + (_code(_SET_CONTENT_TYPE, item.content_type_code, item.id, 0) if item.content_type_code else "")
        + f'<rim:Classification id="{item.id}-node" classifiedObject="{item.id}" classificationNode="{_SET_NODE}"'
        f' objectType="{_OBJECT_TYPE}Classification"/>'
        + _identifier(_SET_PATIENT, "XDSSubmissionSet.patientId", item.id, patient_id_cx)
        + _identifier(_SET_SOURCE, "XDSSubmissionSet.sourceId", item.id, item.source_id or "")
        + _identifier(_SET_UNIQUE, "XDSSubmissionSet.uniqueId", item.id, item.unique_id or "")
        + "</rim:RegistryPackage>"
    )


def _membership(source: str, target: str) -> str:
    return (
        f'<rim:Association id="{source}-{target}" objectType="{_OBJECT_TYPE}Association"'
        f' associationType="{_HAS_MEMBER}" sourceObject="{source}" targetObject="{target}">'
        + _slot("SubmissionSetStatus", ["Original"])
        + "</rim:Association>"
    )


def _codes(entry: DocumentEntry) -> Iterator[str]:
    for scheme, field in _ENTRY_CODES:
        value = getattr(entry, field)
        codes: tuple[Code, ...] = value if isinstance(value, tuple) else (value,)
        for index, code in enumerate(codes):
            yield _code(scheme, code, entry.id, index)


def _code(scheme: str, code: Code, owner: str, index: int) -> str:
    return (
        f'<rim:Classification id="{owner}-{scheme[9:17]}-{index}" classificationScheme="{scheme}"'
        f' classifiedObject="{owner}" nodeRepresentation={quoteattr(code.code)}'
        f' objectType="{_OBJECT_TYPE}Classification">'
        + _slot("codingScheme", [code.scheme])
        + f"<rim:Name><rim:LocalizedString value={quoteattr(code.display or code.code)}/></rim:Name>"
        + "</rim:Classification>"
    )


def _author(author: Author, scheme: str, owner: str, index: int) -> str:
    return (
        f'<rim:Classification id="{owner}-author-{index}" classificationScheme="{scheme}"'
        f' classifiedObject="{owner}" nodeRepresentation="" objectType="{_OBJECT_TYPE}Classification">'
        + _slot("authorPerson", [author.person])
        + _slot("authorInstitution", author.institutions)
        + _slot("authorRole", author.roles)
        + _slot("authorSpecialty", author.specialties)
        + "</rim:Classification>"
    )


def _identifier(scheme: str, name: str, owner: str, value: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{owner}-{scheme[9:17]}" identificationScheme="{scheme}"'
        f' registryObject="{owner}" value={quoteattr(value)} objectType="{_OBJECT_TYPE}ExternalIdentifier">'
        f'<rim:Name><rim:LocalizedString value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    )


def _name(title: Texts) -> str:
    if not title:
        return ""
    return (
        "<rim:Name>"
        + "".join(
            f'<rim:LocalizedString xml:lang="{text.language}" charset="UTF-8" value={quoteattr(text.value)}/>'
            for text in title
        )
        + "</rim:Name>"
    )


def _slot(name: str, values: Iterable[str | None]) -> str:
    present = [value for value in values if value]
    if not present:
        return ""
    listed = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in present)
    return f'<rim:Slot name="{name}"><rim:ValueList>{listed}</rim:ValueList></rim:Slot>'
