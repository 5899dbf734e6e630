"""A structured document → the DocumentReference that describes it: CDA, FHIR document, key object manifest (ITI-106).

Only what the document itself says is taken; nothing is guessed. The document travels in ``attachment.data``.

Source: ITI TF-2: 3.106 (MHD 4.2); ITI TF-3: 4.1.1 for CDA; MADO and RAD TF-3: 4.68 for manifests.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

import orjson
from lxml.etree import _Element

from ihe.errors import IheError, InvalidElement, MalformedRequest, UnsupportedRequest
from ihe.values import Code, Oid, escape_hl7, parse_dtm
from ihe.xml import XmlLimits, parse_xml
from xds.domain.imaging import Manifest
from xds.translate import kos_manifest
from xds.translate.fhir_document import without_empty
from xds.translate.fhir_terms import (
    URI_SYSTEM,
    Json,
    coding,
    concept,
    date_time,
    instant,
    reference_identifier,
    unique_identifier,
)

_CDA_LIMITS: Final = XmlLimits(bytes=64 * 1024 * 1024, text=10_000_000)
_V3: Final = "{urn:hl7-org:v3}"
_FORMATS: Final = (
    ("1.3.6.1.4.1.19376.1.2.20", "urn:ihe:iti:xds-sd:pdf:2008"),
    ("1.3.6.1.4.1.19376.1.3.3", "urn:ihe:lab:xd-lab:2008"),
    ("1.2.840.10008.9.1", "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013"),
)
"""CDA template of the whole document and the format code that it means."""

_FORMAT_SCHEME: Final = "1.3.6.1.4.1.19376.1.2.3"
_GENDERS: Final = {"M": "male", "F": "female", "UN": "other"}


def generated_reference(resource: Json, zone: tzinfo) -> Json:
    """The DocumentReference of a Binary or of a document Bundle.

    Args:
        zone: of times in manifests that name none.

    Raises:
        UnsupportedRequest: a type of document from which no metadata is generated.
        MalformedRequest: the document can't be read as what it says it is.
    """
    if resource.get("resourceType") == "Bundle":
        return _of_fhir_document(resource)
    if resource.get("resourceType") != "Binary":
        raise UnsupportedRequest("a document is a Binary or a Bundle of type document", "Parameters.parameter")
    try:
        data = base64.b64decode("".join(resource.get("data", "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest("the Binary's data is no base64", "Binary.data") from error
    media_type = resource["contentType"].partition(";")[0].strip().lower()
    if media_type in ("text/xml", "application/xml", "application/hl7-v3+xml", "application/cda+xml"):
        return _of_cda(data)
    if media_type == "application/dicom":
        return _of_manifest(kos_manifest.read_kos(data, zone), data)
    if media_type == "application/fhir+json":
        return _of_fhir_document(_json_bundle(data))
    raise UnsupportedRequest(f"metadata is generated from CDA, FHIR documents and manifests, not from {media_type}")


def _json_bundle(data: bytes) -> Json:
    try:
        bundle: Json = orjson.loads(data)
    except ValueError as error:
        raise MalformedRequest("the document is not JSON") from error
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise MalformedRequest("a FHIR document is a Bundle")
    return bundle


def _reference(data: bytes, media_type: str, **elements: Any) -> Json:
    """A DocumentReference of these elements and the document; empty elements are left out."""
    attachment = without_empty(
        {
            "contentType": media_type,
            "language": elements.pop("language", None),
            "data": base64.b64encode(data).decode(),
            "title": elements.pop("title", None),
            "creation": elements.pop("creation", None),
        }
    )
    content = without_empty({"attachment": attachment, "format": elements.pop("format", None)})
    return without_empty({"resourceType": "DocumentReference", "status": "current", **elements, "content": [content]})


def _of_manifest(manifest: Manifest, data: bytes) -> Json:
    study = manifest.studies[0] if manifest.studies else None
    related = [f"{each.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID" for each in manifest.studies]
    related += [
        f"{escape_hl7(each.value)}^^^&{each.issuer.oid}&ISO^urn:ihe:iti:xds:2013:accession"
        for each in (study.accessions if study else ())
        if each.issuer is not None and each.issuer.oid is not None
    ]
    modalities = sorted({series.modality for each in manifest.studies for series in each.series if series.modality})
    patient: Json = {"resourceType": "Patient", "id": "patient"}
    identifiers = [
        {"system": each.issuer.oid.urn, "value": each.value}
        for each in manifest.patient.ids
        if each.issuer is not None and each.issuer.oid is not None
    ]
    if identifiers:
        patient["identifier"] = identifiers
    return _reference(
        data,
        "application/dicom",
        contained=[patient],
        masterIdentifier=unique_identifier(manifest.uid),
        subject={"reference": "#patient"},
        title=study.description if study else None,
        creation=instant(manifest.created_at) if manifest.created_at else None,
        format=coding(Code("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1")),
        context=without_empty(
            {
                "event": [concept(Code(each, "1.2.840.10008.2.16.4")) for each in modalities],
                "sourcePatientInfo": {"reference": "#patient"},
                "related": [{"identifier": reference_identifier(each)} for each in related],
            }
        ),
    )


def _of_fhir_document(bundle: Json) -> Json:
    if bundle.get("type") != "document" or not bundle.get("entry"):
        raise MalformedRequest("a FHIR document is a Bundle of type document", "Bundle.type")
    composition = bundle["entry"][0].get("resource", {})
    if composition.get("resourceType") != "Composition":
        raise MalformedRequest("a FHIR document begins with its Composition", "Bundle.entry[0]")
    contained: list[Json] = []

    def carried(reference: Mapping[str, Any] | None) -> Json | None:
        """A Reference to the same resource, contained."""
        resource = _addressed(bundle, str((reference or {}).get("reference", "")))
        if resource is None:
            return dict(reference) if reference else None
        identifier = f"r{len(contained) + 1}"
        kept: Json = {
            name: resource[name] for name in ("identifier", "name", "gender", "birthDate") if name in resource
        }
        contained.append({"resourceType": resource["resourceType"], "id": identifier, **kept})
        return {"reference": f"#{identifier}"}

    event: Json = next(iter(composition.get("event", ())), {})
    attester: Json = next((a for a in composition.get("attester", ()) if a.get("mode") == "legal"), {})
    subject = carried(composition.get("subject"))
    label = composition.get("confidentiality")
    elements = {
        "masterIdentifier": bundle.get("identifier"),
        "type": composition.get("type"),
        "category": composition.get("category"),
        "subject": subject,
        "author": [found for each in composition.get("author", ()) if (found := carried(each)) is not None],
        "authenticator": carried(attester.get("party")),
        "securityLabel": [concept(Code(label, "2.16.840.1.113883.5.25"))] if label else None,
        "language": composition.get("language") or bundle.get("language"),
        "title": composition.get("title"),
        "creation": composition.get("date"),
        "context": without_empty(
            {
                "event": event.get("code"),
                "period": event.get("period"),
                "sourcePatientInfo": subject,
            }
        ),
    }
    return _reference(orjson.dumps(bundle), "application/fhir+json", contained=contained, **elements)


def _addressed(bundle: Json, address: str) -> Json | None:
    for item in bundle["entry"]:
        resource: Json = item.get("resource", {})
        if address and address in (item.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}"):
            return resource
    return None


def _of_cda(data: bytes) -> Json:
    try:
        root = parse_xml(data, _CDA_LIMITS)
    except IheError as error:
        raise MalformedRequest("the document is no XML that is read here") from error
    if root.tag != f"{_V3}ClinicalDocument":
        raise MalformedRequest("the document is no CDA ClinicalDocument")
    role = root.find(f"{_V3}recordTarget/{_V3}patientRole")
    if role is None:
        raise InvalidElement("the CDA document names no patient", "ClinicalDocument/recordTarget")
    patient = _patient(role)
    contained: list[Json] = [patient]
    authors = []
    for number, each in enumerate(root.findall(f"{_V3}author/{_V3}assignedAuthor"), 1):
        contained.append(_person(each, f"author-{number}"))
        authors.append({"reference": f"#author-{number}"})
    legal = root.find(f"{_V3}legalAuthenticator/{_V3}assignedEntity")
    if legal is not None:
        contained.append(_person(legal, "authenticator"))
    act = root.find(f"{_V3}documentationOf/{_V3}serviceEvent")
    label = _code(root.find(f"{_V3}confidentialityCode"))
    return _reference(
        data,
        "text/xml",
        contained=contained,
        masterIdentifier=_identifier(root.find(f"{_V3}id"), unique=True),
        type=_concept(root.find(f"{_V3}code")),
        subject={"reference": "#patient"},
        author=authors,
        authenticator={"reference": "#authenticator"} if legal is not None else None,
        securityLabel=[concept(label)] if label else None,
        language=_attribute(root.find(f"{_V3}languageCode"), "code"),
        title="".join(root.findtext(f"{_V3}title", "")).strip(),
        creation=_moment(root.find(f"{_V3}effectiveTime")),
        format=_format(root),
        context=without_empty(
            {
                "event": [found for found in [_concept(act.find(f"{_V3}code"))] if found] if act is not None else [],
                "period": _period(act.find(f"{_V3}effectiveTime")) if act is not None else {},
                "sourcePatientInfo": {"reference": "#patient"},
            }
        ),
    )


def _patient(role: _Element) -> Json:
    person = role.find(f"{_V3}patient")
    found: Json = {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [each for node in role.findall(f"{_V3}id") if (each := _identifier(node)) is not None],
    }
    if person is not None:
        found["name"] = _names(person)
        found["gender"] = _GENDERS.get(_attribute(person.find(f"{_V3}administrativeGenderCode"), "code") or "")
        born = (_attribute(person.find(f"{_V3}birthTime"), "value") or "")[:8]
        if born.isdigit() and len(born) in (4, 6, 8):
            found["birthDate"] = "-".join(part for part in (born[:4], born[4:6], born[6:8]) if part)
    return without_empty(found)


def _person(node: _Element, identifier: str) -> Json:
    identifiers = [each for item in node.findall(f"{_V3}id") if (each := _identifier(item)) is not None]
    person = node.find(f"{_V3}assignedPerson")
    return without_empty(
        {
            "resourceType": "Practitioner",
            "id": identifier,
            "identifier": identifiers,
            "name": _names(person) if person is not None else [],
        }
    )


def _names(node: _Element) -> list[Json]:
    name = node.find(f"{_V3}name")
    if name is None:
        return []
    given = [text for each in name.findall(f"{_V3}given") if (text := (each.text or "").strip())]
    found = without_empty({"family": (name.findtext(f"{_V3}family") or "").strip(), "given": given})
    return [found] if found else []


def _identifier(node: _Element | None, *, unique: bool = False) -> Json | None:
    root, extension = _attribute(node, "root"), _attribute(node, "extension")
    if not root:
        return None
    try:
        system = Oid(root).urn
    except ValueError:
        return {"system": URI_SYSTEM, "value": f"urn:uuid:{root.lower()}"} if unique else None
    if extension:
        return {"system": system, "value": extension}
    return {"system": URI_SYSTEM, "value": system} if unique else None


def _code(node: _Element | None) -> Code | None:
    code, scheme = _attribute(node, "code"), _attribute(node, "codeSystem")
    return Code(code, scheme, _attribute(node, "displayName")) if code and scheme else None


def _concept(node: _Element | None) -> Json | None:
    code = _code(node)
    return concept(code) if code else None


def _format(root: _Element) -> Json | None:
    templates = {_attribute(each, "root") for each in root.findall(f"{_V3}templateId")}
    found = next((code for template, code in _FORMATS if template in templates), None)
    return coding(Code(found, _FORMAT_SCHEME)) if found else None


def _moment(node: _Element | None) -> str | None:
    text = _attribute(node, "value")
    if not text:
        return None
    try:
        return date_time(text) if len(text) <= 8 else instant(parse_dtm(text))
    except ValueError:
        return None


def _period(node: _Element | None) -> Json:
    if node is None:
        return {}
    start, end = node.find(f"{_V3}low"), node.find(f"{_V3}high")
    return without_empty({"start": _moment(start if start is not None else node), "end": _moment(end)})


def _attribute(node: _Element | None, name: str) -> str | None:
    value = node.get(name) if node is not None else None
    return value.strip() or None if value else None
