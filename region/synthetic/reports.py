"""Imaging reports of the invented region: a page of PDF, bare or inside a CDA document with the French header.

Source: HL7 CDA R2; ITI TF-3: 5.2 (XDS-SD); CI-SIS, structuration minimale de documents de santé.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from lxml import etree

from region.region_table import Domain
from region.synthetic.civil_status import INS_NIR
from region.synthetic.imaging import LOINC, ZONE, Study
from region.synthetic.staff import PROFESSIONALS, STRUCTURES, Professional

_V3: Final = "urn:hl7-org:v3"

FACILITIES: Final = "1.2.250.1.71.4.2.4"
"""Coding scheme of facility types."""

_TEMPLATES: Final = ("2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1", "1.3.6.1.4.1.19376.1.2.20")
"""HL7 France, CI-SIS minimal structure, IHE XDS-SD."""

_GENDERS: Final = {"M": "Masculin", "F": "Féminin"}


def report_pdf(study: Study, site: Domain, author: Professional) -> bytes:
    """One page that names site, patient, procedure and author, and says that it is invented."""
    traits = study.traits
    return one_page_pdf(
        [
            site.name,
            f"Compte rendu : {study.procedure.display}",
            f"Patient : {traits.birth_family_name} {traits.first_birth_given_name}, numéro {study.key.local_id}",
            f"Examen du {study.started_at:%d/%m/%Y}, numéro {study.accession}",
            "",
            "Document fictif, sans contenu médical.",
            f"Dr {author.given_name} {author.family_name}",
        ]
    )


def one_page_pdf(lines: Sequence[str]) -> bytes:
    """A PDF page with these lines, in a font that every reader has (Source: ISO 32000-1: 7.5)."""
    shown = b"".join(b"(%s) '\n" % _pdf_text(line) for line in lines)
    stream = b"BT /F1 12 Tf 60 780 Td 18 TL\n" + shown + b"ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    data = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)


def _pdf_text(text: str) -> bytes:
    data = text.encode("cp1252", "replace")
    return data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def report_cda(study: Study, site: Domain, author: Professional, structure: str, document_oid: str) -> bytes:
    """The report as CDA R2 level 1: French header, the PDF page as body.

    Args:
        structure: national number of the site.
        document_oid: the document's identifier.
    """
    written = study.ended_at.astimezone(ZONE).strftime("%Y%m%d%H%M%S+0100")
    document = _new(
        "ClinicalDocument",
        _new("realmCode", code="FR"),
        _new("typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040"),
        *(_new("templateId", root=template) for template in _TEMPLATES),
        _new("id", root=document_oid),
        _new("code", code="18748-4", codeSystem=LOINC, displayName="CR d'imagerie médicale"),
        _new("title", f"Compte rendu : {study.procedure.display}"),
        _new("effectiveTime", value=written),
        _new("confidentialityCode", code="N", codeSystem="2.16.840.1.113883.5.25", displayName="Normal"),
        _new("languageCode", code="fr-FR"),
        _new("setId", root=document_oid),
        _new("versionNumber", value="1"),
        _record_target(study, site),
        _new(
            "author",
            _new("time", value=written),
            _new("assignedAuthor", *_professional(author), _organization(site, structure)),
        ),
        _new("custodian", _new("assignedCustodian", _custodian(site, structure))),
        _new(
            "legalAuthenticator",
            _new("time", value=written),
            _new("signatureCode", code="S"),
            _new("assignedEntity", *_professional(author)),
        ),
        _new(
            "documentationOf",
            _new(
                "serviceEvent",
                _new("id", root=study.uid),
                _new("code", code=study.procedure.code, codeSystem=LOINC, displayName=study.procedure.display or ""),
                _new("effectiveTime", _new("low", value=study.started_at.strftime("%Y%m%d%H%M%S+0100"))),
            ),
        ),
        _new(
            "componentOf",
            _new(
                "encompassingEncounter",
                _new("effectiveTime", _new("low", value=study.started_at.strftime("%Y%m%d%H%M%S+0100"))),
                _new(
                    "location",
                    _new("healthCareFacility", _new("code", code=site.facility_type or "SA01", codeSystem=FACILITIES)),
                ),
            ),
        ),
        _new(
            "component",
            _new(
                "nonXMLBody",
                _new(
                    "text",
                    base64.b64encode(report_pdf(study, site, author)).decode("ascii"),
                    mediaType="application/pdf",
                    representation="B64",
                ),
            ),
        ),
    )
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8")


def _record_target(study: Study, site: Domain) -> etree._Element:
    traits = study.traits
    role = _new("patientRole", _new("id", root=site.oid, extension=study.key.local_id))
    if traits.has_qualified_ins and traits.ins:
        role.insert(0, _new("id", root=INS_NIR, extension=traits.ins))
    name = _new(
        "name",
        _new("given", " ".join(traits.birth_given_names) or traits.first_birth_given_name or ""),
        _new("given", traits.first_birth_given_name or "", qualifier="BR"),
        _new("family", traits.birth_family_name or "", qualifier="BR"),
    )
    if traits.used_family_name:
        name.append(_new("family", traits.used_family_name, qualifier="SP"))
    sex = traits.sex.value if traits.sex else ""
    patient = _new(
        "patient",
        name,
        _new("administrativeGenderCode", code=sex, codeSystem="2.16.840.1.113883.5.1", displayName=_GENDERS[sex])
        if sex in _GENDERS
        else _new("administrativeGenderCode", nullFlavor="UNK"),
        _new("birthTime", value=traits.birth_date.hl7) if traits.birth_date else _new("birthTime", nullFlavor="UNK"),
    )
    if traits.birth_place_code:
        patient.append(_new("birthplace", _new("place", _new("addr", _new("county", traits.birth_place_code)))))
    role.append(patient)
    return _new("recordTarget", role)


def _professional(author: Professional) -> list[etree._Element]:
    return [
        _new("id", root=PROFESSIONALS, extension=author.national_id),
        _new(
            "code",
            code="G15_10/SM44",
            codeSystem="1.2.250.1.213.1.1.4.5",
            displayName="Médecin - Radio-diagnostic (SM)",
        ),
        _new("assignedPerson", _new("name", _new("family", author.family_name), _new("given", author.given_name))),
    ]


def _organization(site: Domain, structure: str) -> etree._Element:
    return _new("representedOrganization", _new("id", root=STRUCTURES, extension=structure), _new("name", site.name))


def _custodian(site: Domain, structure: str) -> etree._Element:
    return _new(
        "representedCustodianOrganization", _new("id", root=STRUCTURES, extension=structure), _new("name", site.name)
    )


def _new(name: str, *content: etree._Element | str, **attributes: str) -> etree._Element:
    """An element of HL7 v3 with attributes, and text or children."""
    element = etree.Element(f"{{{_V3}}}{name}", attributes, nsmap={None: _V3})  # type: ignore[dict-item]
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element
