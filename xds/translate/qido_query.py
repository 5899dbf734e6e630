"""Query parameters of QIDO-RS → :class:`~xds.domain.study_query.StudyQuery`.

Attributes are named by keyword or by tag. What is not understood is not silently a wider search: it is named in the
answer's warning.

Source: DICOM PS3.18 8.3.4 and 10.6.1.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from ihe.errors import InvalidElement
from ihe.values import AssigningAuthority, Oid, PatientId
from xds.domain.imaging import is_uid
from xds.domain.study_query import DateRange, StudyQuery

_TAGS = {
    "00100020": "PatientID",
    "00100021": "IssuerOfPatientID",
    "0020000D": "StudyInstanceUID",
    "00080050": "AccessionNumber",
    "00080020": "StudyDate",
    "00080061": "ModalitiesInStudy",
    "00081030": "StudyDescription",
    "00100024.00400032": "IssuerOfPatientIDQualifiersSequence.UniversalEntityID",
}
_ISSUERS = ("IssuerOfPatientIDQualifiersSequence.UniversalEntityID", "IssuerOfPatientID")
_FORM_ONLY = frozenset({"includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching"})
MOST = 1000
"""Most studies in one answer."""


@dataclass(frozen=True, slots=True)
class QidoQuery:
    """What was asked.

    Attributes:
        query: without a patient id when :attr:`patient` needs the asker's own domain.
        patient: ``PatientID`` as asked, or ``None``.
        issuer: its issuer as asked: OID, namespace, or code of a site; ``None``: the asker's own domain.
        ignored: names of parameters that are not matched here.
    """

    query: StudyQuery
    patient: str | None = None
    issuer: str | None = None
    ignored: tuple[str, ...] = field(default=())


def read_qido(parameters: Iterable[tuple[str, str]]) -> QidoQuery:
    """Read the parameters of a search for studies.

    Raises:
        InvalidElement: a value that no study can have; names the parameter.
    """
    given: dict[str, str] = {}
    ignored: list[str] = []
    for name, value in parameters:
        keyword = _TAGS.get(name.upper(), name)
        if keyword.lower() in _FORM_ONLY or not value.strip():
            continue
        if keyword in _TAGS.values() or keyword in ("limit", "offset"):
            if keyword in given:
                raise InvalidElement(f"{keyword} is given twice", keyword)
            given[keyword] = value.strip()
        else:
            ignored.append(keyword)
    patient = given.get("PatientID")
    if patient is not None and ("*" in patient or "?" in patient):
        raise InvalidElement("a patient id is matched exactly, without wildcards", "PatientID")
    limit = _number(given, "limit")
    query = StudyQuery(
        study_uids=_uids(given.get("StudyInstanceUID", "")),
        accession_number=given.get("AccessionNumber"),
        dates=_dates(given.get("StudyDate")),
        modalities=frozenset(_list(given.get("ModalitiesInStudy", "").upper())),
        description=given.get("StudyDescription"),
        offset=_number(given, "offset") or 0,
        limit=MOST if limit is None else min(limit, MOST),
    )
    issuer = next((given[name] for name in _ISSUERS if name in given), None)
    return QidoQuery(query, patient, issuer, tuple(dict.fromkeys(ignored)))


def issued_patient_id(value: str, issuer: str) -> PatientId:
    """The patient id that QIDO-RS names by value and issuer (an OID, with or without ``urn:oid:``, or a namespace)."""
    try:
        return PatientId(value, AssigningAuthority(oid=Oid(issuer)))
    except ValueError:
        return PatientId(value, AssigningAuthority(namespace=issuer))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\\", ",").split(",") if part.strip()]


def _uids(text: str) -> frozenset[str]:
    found = frozenset(_list(text))
    if not all(map(is_uid, found)):
        raise InvalidElement("a UID has digits and dots, at most 64 characters", "StudyInstanceUID")
    return found


def _dates(text: str | None) -> DateRange | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not dash:
        return DateRange(_day(first), _day(first))
    if not first and not last:
        raise InvalidElement("a range has a first or a last day", "StudyDate")
    return DateRange(_day(first) if first else None, _day(last) if last else None)


def _day(text: str) -> date:
    try:
        if len(text) == 8:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidElement("a date is written YYYYMMDD, a range YYYYMMDD-YYYYMMDD", "StudyDate")


def _number(given: dict[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidElement(f"{name} is a whole number", name)
    return int(text)
