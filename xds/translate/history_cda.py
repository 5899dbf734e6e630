"""Studies of a patient → CDA document with one section, a table of them.

Source: HL7 CDA R2 (ANSI/HL7 CDA R2-2005); LOINC 18726-0 (radiology studies).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from ihe.values import Oid, PatientId, format_dtm
from ihe.xml import Element, serialize
from xds.domain.priors import PriorStudy

CDA: Final = "urn:hl7-org:v3"
_LOINC: Final = "2.16.840.1.113883.6.1"
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_GENDER: Final = "2.16.840.1.113883.5.1"
_COLUMNS: Final = ("Date", "Lieu", "Modalités", "Examen", "Numéros d'accès", "Séries", "Images", "Study Instance UID")
_EMPTY: Final = "Aucun examen n'est connu."


@dataclass(frozen=True, slots=True)
class HistoryHeader:
    """What the head of the document says.

    Attributes:
        unique_id: of the document, an OID or ``root^extension``.
        made_at: when it was made.
        patient_info: ``PID-n|value`` lines of the entry.
        custodian, organization: who keeps it.
    """

    unique_id: str
    title: str
    made_at: datetime
    patient_id: PatientId
    patient_info: Sequence[str]
    custodian: Oid
    organization: str


def history_cda(header: HistoryHeader, studies: Iterable[PriorStudy]) -> bytes:
    """The document, in UTF-8; the studies in the order given."""
    root = etree.Element(_name("ClinicalDocument"), nsmap={None: CDA})  # type: ignore[dict-item]
    _add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    oid, _, extension = header.unique_id.partition("^")
    _add(root, "id", root=oid, **({"extension": extension} if extension else {}))
    _add(root, "code", code="18726-0", codeSystem=_LOINC, displayName="Radiology studies (set)")
    _add(root, "title").text = header.title
    made_at = f"{format_dtm(header.made_at)}+0000"
    _add(root, "effectiveTime", value=made_at)
    _add(root, "confidentialityCode", code="N", codeSystem=_CONFIDENTIALITY)
    _add(root, "languageCode", code="fr-FR")
    _patient(root, header)
    author = _add(root, "author")
    _add(author, "time", value=made_at)
    assigned = _add(author, "assignedAuthor")
    _add(assigned, "id", root=str(header.custodian))
    _add(_add(assigned, "assignedAuthoringDevice"), "softwareName").text = "Trait d'Union"
    custodian = _add(_add(_add(root, "custodian"), "assignedCustodian"), "representedCustodianOrganization")
    _add(custodian, "id", root=str(header.custodian))
    _add(custodian, "name").text = header.organization
    _section(root, header.title, list(studies))
    return serialize(root)


def _patient(root: Element, header: HistoryHeader) -> None:
    role = _add(_add(root, "recordTarget"), "patientRole")
    _add(role, "id", root=str(header.patient_id.authority.oid), extension=header.patient_id.value)
    info = dict(line.partition("|")[::2] for line in header.patient_info)
    family, _, rest = info.get("PID-5", "").partition("^")
    if not family and not info.get("PID-7") and not info.get("PID-8"):
        return
    patient = _add(role, "patient")
    if family:
        name = _add(patient, "name")
        given = rest.partition("^")[0]
        if given:
            _add(name, "given").text = given
        _add(name, "family").text = family
    if info.get("PID-8") in ("M", "F"):
        _add(patient, "administrativeGenderCode", code=info["PID-8"], codeSystem=_GENDER)
    if info.get("PID-7", "").isdecimal():
        _add(patient, "birthTime", value=info["PID-7"])


def _section(root: Element, title: str, studies: Sequence[PriorStudy]) -> None:
    body = _add(_add(root, "component"), "structuredBody")
    section = _add(_add(body, "component"), "section")
    _add(section, "code", code="18726-0", codeSystem=_LOINC, displayName="Radiology studies (set)")
    _add(section, "title").text = title
    text = _add(section, "text")
    if not studies:
        _add(text, "paragraph").text = _EMPTY
        return
    table = _add(text, "table")
    head = _add(_add(table, "thead"), "tr")
    for column in _COLUMNS:
        _add(head, "th").text = column
    rows = _add(table, "tbody")
    for study in studies:
        row = _add(rows, "tr")
        for value in _cells(study):
            _add(row, "td").text = value


def _cells(study: PriorStudy) -> Iterable[str]:
    facts = study.facts
    yield facts.date.strftime("%d/%m/%Y") if facts.date else ""
    yield ", ".join(dict.fromkeys(copy.source.name if copy.source else "autre" for copy in study.copies))
    yield ", ".join(facts.modalities)
    yield facts.description or ""
    yield ", ".join(dict.fromkeys(each.value for each in facts.accessions))
    yield str(facts.series_count)
    yield str(facts.instance_count)
    yield study.uid


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, _name(name), attributes)


def _name(local: str) -> str:
    return f"{{{CDA}}}{local}"
