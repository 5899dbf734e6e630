"""Codes, identifiers, times and hashes: XDS metadata ⇄ FHIR R4 data types.

The tables of this module are what ``docs/mapping.md`` is made from.

Source: MHD 4.2 (ITI TF-3: 4.5.1); FHIR R4 2.24 (data types); PDSm 3.1 for the French code systems.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import UUID

from ihe.values import AssigningAuthority, Code, Oid, PatientId, escape_hl7, unescape_hl7

Json = dict[str, Any]

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
_NOS: Final = "https://mos.esante.gouv.fr/NOS"
CODE_SYSTEMS: Final[tuple[tuple[str, str], ...]] = (
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.3", "http://hl7.org/fhir/sid/icd-10"),
    ("1.2.840.10008.2.16.4", "http://dicom.nema.org/resources/ontology/DCM"),
    ("2.16.840.1.113883.5.25", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
    ("2.16.840.1.113883.5.4", "http://terminology.hl7.org/CodeSystem/v3-ActCode"),
    ("1.3.6.1.4.1.19376.1.2.3", "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"),
    ("1.3.6.1.4.1.19376.1.2.3", f"{_NOS}/TRE_A11-IheFormatCode/FHIR/TRE-A11-IheFormatCode"),
    ("1.2.250.1.213.1.1.4.1", f"{_NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"),
    ("1.2.250.1.213.1.1.4.9", f"{_NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"),
    ("1.2.250.1.213.1.1.4.13", f"{_NOS}/TRE_A07-StatusVisibiliteDocument/FHIR/TRE-A07-StatusVisibiliteDocument"),
    ("1.2.250.1.71.4.2.4", f"{_NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite"),
)
"""Coding scheme and FHIR system. The first row of a scheme is written, all are read; others are ``urn:oid:``."""

_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_VISIBILITY: Final = "1.2.250.1.213.1.1.4.13"
_SYSTEM_OF: Final = dict(reversed(CODE_SYSTEMS))
_SCHEME_OF: Final = {system: scheme for scheme, system in CODE_SYSTEMS}
_LOCAL_SCHEME: Final = "urn:x-coding-scheme:"

REFERENCE_TYPES: Final[tuple[tuple[str, str], ...]] = (
    ("urn:ihe:iti:xds:2013:accession", "ACSN"),
    ("urn:ihe:iti:xds:2013:order", "PLAC"),
    ("urn:ihe:iti:xds:2015:encounterId", "VN"),
)
"""Type of a referenceIdList value and the code of HL7 v2 table 0203 that is also read as it."""

UNIQUE_ID_TYPE: Final = "urn:ihe:iti:xds:2013:uniqueId"
"""The type of a reference identifier that states none."""

_V2_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_TYPE_OF_V2: Final = {v2: urn for urn, v2 in REFERENCE_TYPES}

_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def is_text(value: Any) -> bool:
    """Whether every text in a JSON structure can be kept: XML has no place for controls and lone surrogates."""
    if isinstance(value, str):
        return _UNWRITABLE.search(value) is None
    if isinstance(value, Mapping):
        return all(is_text(each) for item in value.items() for each in item)
    return all(is_text(each) for each in value) if isinstance(value, list) else True


def system_of(scheme: str) -> str:
    """The FHIR system of a coding scheme."""
    known = _SYSTEM_OF.get(scheme)
    if known is not None:
        return known
    if ":" in scheme:
        return scheme
    try:
        return Oid(scheme).urn
    except ValueError:
        return _LOCAL_SCHEME + quote(scheme, safe="")


def scheme_of(system: str) -> str:
    """The coding scheme of a FHIR system."""
    known = _SCHEME_OF.get(system)
    if known is not None:
        return known
    if system.startswith(_LOCAL_SCHEME):
        return unquote(system.removeprefix(_LOCAL_SCHEME))
    return system.removeprefix("urn:oid:")


def coding(code: Code) -> Json:
    """A FHIR Coding."""
    found = {"system": system_of(code.scheme), "code": code.code}
    if code.display:
        found["display"] = code.display
    return found


def concept(code: Code) -> Json:
    """A FHIR CodeableConcept with one coding."""
    return {"coding": [coding(code)]}


def code_of_coding(item: Mapping[str, Any]) -> Code | None:
    """The code of a Coding; ``None`` when it has none.

    The French table of visibility repeats the codes of confidentiality; XDS keeps those under HL7's own scheme.
    """
    if not item.get("code"):
        return None
    scheme = scheme_of(item.get("system", ""))
    if scheme == _VISIBILITY and item["code"] in ("N", "R", "V"):
        scheme = _CONFIDENTIALITY
    return Code(item["code"], scheme, item.get("display"))


def code_of(item: Mapping[str, Any] | None) -> Code | None:
    """The first code of a CodeableConcept, with its text where it has no display; ``None`` when it has none."""
    for each in (item or {}).get("coding", ()):
        code = code_of_coding(each)
        if code is not None:
            return code if code.display else Code(code.code, code.scheme, (item or {}).get("text"))
    return None


def codes_of(items: Sequence[Mapping[str, Any]]) -> tuple[Code, ...]:
    """The codes of several CodeableConcepts."""
    return tuple(code for item in items if (code := code_of(item)) is not None)


def date_time(dtm: str) -> str:
    """DTM in UTC → dateTime, which has seconds and a zone as soon as it has an hour."""
    year, month, day, time = dtm[:4], dtm[4:6], dtm[6:8], dtm[8:]
    date = "-".join(part for part in (year, month, day) if part)
    if not time:
        return date
    time += "000000"[len(time) :]
    return f"{date}T{time[:2]}:{time[2:4]}:{time[4:6]}Z"


def dtm_of(text: str) -> str:
    """dateTime → DTM in UTC, with its precision.

    Raises:
        ValueError: no such date.
    """
    found = _DATE_TIME.fullmatch(text)
    if not found:
        raise ValueError("a date-time is written YYYY, YYYY-MM, YYYY-MM-DD or with a time and zone")
    year, month, day, hour, minute, second, zone = found.groups()
    if hour is None:
        datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        return "".join(part for part in (year, month, day) if part)
    moment = datetime.fromisoformat(
        f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{'+00:00' if zone in (None, 'Z') else zone}"
    )
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S" if second else "%Y%m%d%H%M").rjust(14 if second else 12, "0")


def instant(moment: datetime) -> str:
    """A moment as FHIR instant."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hash_to_base64(hexadecimal: str) -> str:
    """SHA-1 as metadata has it → ``Attachment.hash``."""
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def hash_of_base64(text: str) -> str:
    """``Attachment.hash`` → SHA-1 as metadata has it.

    Raises:
        ValueError: no base64 of 20 bytes.
    """
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a hash is the base64 of a SHA-1") from error
    if len(digest) != 20:
        raise ValueError("a hash is the base64 of a SHA-1, which has 20 bytes")
    return digest.hex()


def unique_identifier(unique_id: str) -> Json:
    """uniqueId → Identifier: an OID or URN as URI, ``root^extension`` as system and value."""
    root, separator, extension = unique_id.partition("^")
    try:
        oid = Oid(root)
    except ValueError:
        return {"system": URI_SYSTEM, "value": unique_id} if ":" in unique_id else {"value": unique_id}
    if separator and extension:
        return {"system": oid.urn, "value": extension}
    return {"system": URI_SYSTEM, "value": oid.urn}


def unique_id_of(identifier: Mapping[str, Any], *, as_oid: bool = False) -> str | None:
    """Identifier → uniqueId; ``None`` when it has no value.

    Args:
        as_oid: for sets and folders, whose uniqueId is an OID: a UUID becomes the OID below 2.25.
    """
    value, system = identifier.get("value"), identifier.get("system", "")
    if not value:
        return None
    value = str(value).strip()
    if system.startswith("urn:oid:"):
        return f"{system.removeprefix('urn:oid:')}^{value}"
    if as_oid and value.lower().startswith("urn:uuid:"):
        try:
            return str(Oid.from_uuid(UUID(value[9:])))
        except ValueError:
            return value
    return value.removeprefix("urn:oid:")


def patient_identifier(patient_id: PatientId) -> Json:
    """Patient identifier → Identifier."""
    if patient_id.authority.oid is None:
        return {"value": patient_id.value}
    return {"system": patient_id.authority.oid.urn, "value": patient_id.value}


def patient_id_of(identifier: Mapping[str, Any]) -> PatientId | None:
    """Identifier → patient identifier; ``None`` unless its system is an OID and it has a value."""
    system, value = str(identifier.get("system", "")), str(identifier.get("value", "")).strip()
    if not system.startswith("urn:oid:") or not value:
        return None
    try:
        return PatientId(value, AssigningAuthority(oid=Oid(system)))
    except ValueError:
        return None


def reference_identifier(cxi: str) -> Json:
    """CXi of referenceIdList → Identifier, its type as a coding."""
    parts = [*cxi.split("^"), "", "", "", "", ""]
    value, authority, kind = unescape_hl7(parts[0]), parts[3].split("&"), parts[4]
    found: Json = {}
    if kind:
        found["type"] = {"coding": [{"system": URI_SYSTEM, "code": kind}]}
    if len(authority) > 1 and authority[1]:
        found |= {"system": f"urn:oid:{authority[1]}", "value": value}
    elif authority[0]:
        found |= {"system": _LOCAL_SCHEME + quote(unescape_hl7(authority[0]), safe=""), "value": value}
    else:
        found |= unique_identifier(value)
    return found


def reference_id_of(identifier: Mapping[str, Any]) -> str | None:
    """Identifier → CXi; ``None`` when it has no value."""
    value, system = identifier.get("value"), str(identifier.get("system", ""))
    if not value:
        return None
    kind = UNIQUE_ID_TYPE
    for each in identifier.get("type", {}).get("coding", ()):
        code = each.get("code", "")
        if each.get("system") == _V2_TYPES and code in _TYPE_OF_V2:
            kind = _TYPE_OF_V2[code]
        elif code.startswith("urn:"):
            kind = code
    if system.startswith("urn:oid:"):
        authority = f"&{system.removeprefix('urn:oid:')}&ISO"
    elif system.startswith(_LOCAL_SCHEME):
        authority = escape_hl7(unquote(system.removeprefix(_LOCAL_SCHEME)))
    elif system and system != URI_SYSTEM:
        authority = f"&{escape_hl7(system)}&URI"
    else:
        authority = ""
    plain = str(value) if authority else str(value).removeprefix("urn:oid:")
    return f"{escape_hl7(plain)}^^^{authority}^{kind}"
