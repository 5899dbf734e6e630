"""Records and persons ⇄ FHIR Patient (FR Core) and identifiers.

Source: FHIR R4 Patient; FR Core 2.1 ``fr-core-patient`` and ``fr-core-patient-ins``; ITI TF-2: 3.78, 3.83.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ihe.values import AssigningAuthority, Oid, PartialDate, PatientId
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.domain.person import Person
from mpi.domain.record import Record

LINK_GRADE: Final = "urn:traitdunion:fhir:link-grade"
"""Extension of ``Patient.link``: how sure the index is that the record is the person's, ``certain`` or ``probable``."""
FR_CORE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition"
_BIRTH_PLACE: Final = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
_INS_AUTHORITIES: Final = frozenset(Oid(f"1.2.250.1.213.1.4.{arc}") for arc in (8, 9, 10, 11))
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_FRENCH_IDENTIFIER_TYPES: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
_STATUS_SYSTEM: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-identity-status"
_COMMENT_SYSTEM: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-identity-status-comment"
_MOTHERS_NAME: Final = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
_COMMUNE_SYSTEM: Final = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
_COUNTRY_SYSTEM: Final = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"
_GENDERS: Final = {Sex.MALE: "male", Sex.FEMALE: "female", Sex.OTHER: "other", Sex.UNKNOWN: "unknown"}
_USES: Final = {"PI": "usual", "RRI": "secondary"}
_INS_SLICES: Final = {
    "1.2.250.1.213.1.4.8": ("official", "INS-NIR"),
    "1.2.250.1.213.1.4.9": ("temp", "INS-NIA"),
    "1.2.250.1.213.1.4.10": ("official", "INS-NIR-TEST"),
    "1.2.250.1.213.1.4.11": ("official", "INS-NIR-DEMO"),
}
"""Use and type of a national identifier, by its authority."""


def parse_system(text: str) -> AssigningAuthority:
    """The assigning authority named by a FHIR system.

    Raises:
        ValueError: the system is no ``urn:oid:`` URI.
    """
    if not text.startswith("urn:oid:"):
        raise ValueError("a system is written urn:oid:<OID>")
    return AssigningAuthority(oid=Oid(text))


def parse_token(text: str) -> PatientId:
    """Read ``system|value``.

    Raises:
        LookupError: the system is no OID, so no domain can have it.
        ValueError: system or value is missing.
    """
    system, separator, value = text.partition("|")
    if not separator or not system.strip() or not value.strip():
        raise ValueError("it is written system|value")
    try:
        authority = parse_system(system.strip())
    except ValueError as error:
        raise LookupError("the system is no OID") from error
    return PatientId(value.strip(), authority)


def identifier(patient_id: PatientId) -> dict[str, Any]:
    """A FHIR Identifier, in the slice that FR Core has for it."""
    found: dict[str, Any] = {}
    oid, type_code = patient_id.authority.oid, patient_id.type_code
    if oid in _INS_SLICES:
        found["use"], code = _INS_SLICES[oid]
        found["type"] = {"coding": [{"system": _FRENCH_IDENTIFIER_TYPES, "code": code}]}
    elif type_code in _USES:
        found["use"] = _USES[type_code]
        found["type"] = {"coding": [{"system": _IDENTIFIER_TYPES, "code": type_code}]}
    if oid is not None:
        found["system"] = f"urn:oid:{oid}"
    found["value"] = patient_id.value
    return found


def identifiers_of(resource: Mapping[str, Any]) -> list[PatientId]:
    """The identifiers of a Patient whose system is an OID, in order."""
    found = []
    for item in resource.get("identifier", ()):
        try:
            found.append(PatientId(str(item["value"]).strip(), parse_system(str(item["system"])), _type_code(item)))
        except (KeyError, ValueError):
            continue
    return found


def _type_code(item: Mapping[str, Any]) -> str | None:
    return next((str(c["code"]) for c in item.get("type", {}).get("coding", ()) if "code" in c), None)


def traits(resource: Mapping[str, Any]) -> Traits:
    """What a Patient says, as identity traits.

    The official name is the birth name; the usual one the used name; a maiden name, where there is one, is the birth
    name before the official one. An INS counts with the status of the reliability extension.

    Raises:
        ValueError: a date or the gender is none.
    """
    names = resource.get("name", [])
    birth = _first_use(names, "maiden", "official", None) or {}
    used = _first_use(names, "usual", "nickname") or {}
    if not used and _first_use(names, "maiden"):
        used = _first_use(names, "official") or {}
    given = [str(g) for g in birth.get("given", ()) if g]
    listed = _extension_value(birth, f"{FR_CORE}/fr-core-patient-birth-list-given-name", "valueString")
    ins = next((i for i in identifiers_of(resource) if i.authority.oid in _INS_AUTHORITIES), None)
    status, attributes = _reliability(resource, has_ins=ins is not None)
    home: Mapping[str, Any] = next(iter(resource.get("address", ())), {})
    telecom = {t.get("system"): t.get("value") for t in reversed(resource.get("telecom", ()))}
    multiple = resource.get("multipleBirthBoolean")
    died = resource.get("deceasedDateTime")
    return Traits(
        birth_family_name=birth.get("family"),
        birth_given_names=tuple(str(listed).split()) if listed else tuple(g for name in given for g in name.split()),
        first_birth_given_name=given[0] if given else None,
        used_family_name=used.get("family"),
        used_given_name=next(iter(used.get("given", ())), None),
        sex=_sex(resource.get("gender")),
        birth_date=PartialDate.parse(resource["birthDate"]) if resource.get("birthDate") else None,
        birth_place_code=_birth_place(resource),
        address=" ".join(home.get("line", ())) or None,
        postal_code=home.get("postalCode"),
        city=home.get("city"),
        phone=telecom.get("phone"),
        email=telecom.get("email"),
        ins=ins.value if ins else None,
        ins_oid=str(ins.authority.oid) if ins else None,
        identity_status=status,
        identity_attributes=attributes,
        mother_family_name=_extension_value(resource, _MOTHERS_NAME, "valueString"),
        multiple_birth=True if resource.get("multipleBirthInteger") else multiple,
        birth_order=resource.get("multipleBirthInteger"),
        death_date=PartialDate.parse(str(died)[:10]) if died else None,
    )


def _sex(gender: str | None) -> Sex | None:
    if gender is None:
        return None
    for sex, code in _GENDERS.items():
        if code == gender:
            return sex
    raise ValueError("gender is one of male, female, other, unknown")


def _first_use(names: Sequence[Mapping[str, Any]], *uses: str | None) -> Mapping[str, Any] | None:
    for use in uses:
        found = next((n for n in names if n.get("use") == use), None)
        if found is not None:
            return found
    return None


def _extension(item: Mapping[str, Any], url: str) -> Mapping[str, Any]:
    return next((e for e in item.get("extension", ()) if e.get("url") == url), {})


def _extension_value(item: Mapping[str, Any], url: str, value: str) -> Any:
    return _extension(item, url).get(value)


def _birth_place(resource: Mapping[str, Any]) -> str | None:
    address = _extension_value(resource, _BIRTH_PLACE, "valueAddress") or {}
    coding = _extension_value(address, f"{FR_CORE}/fr-core-address-insee-code", "valueCoding") or {}
    code = coding.get("code")
    return str(code) if code else None


def _reliability(resource: Mapping[str, Any], *, has_ins: bool) -> tuple[IdentityStatus, frozenset[str]]:
    """The status as stated; ``VALI`` with an INS is a qualified identity, as on HL7 v2."""
    stated = _extension(resource, f"{FR_CORE}/fr-core-identity-reliability")
    code = (_extension_value(stated, "identityStatus", "valueCoding") or {}).get("code")
    status = IdentityStatus(code) if code in frozenset(IdentityStatus) else IdentityStatus.VIDE
    if has_ins and status is IdentityStatus.VALI:
        status = IdentityStatus.QUAL
    codings = [
        coding
        for comment in stated.get("extension", ())
        if comment.get("url") == "comment"
        for coding in (comment.get("valueCoding", {}), *comment.get("valueCodeableConcept", {}).get("coding", ()))
    ]
    return status, frozenset(str(coding["code"]) for coding in codings if "code" in coding)


def patient_resource_id(record: Record) -> str:
    """The logical id of the Patient resource of a record: stable, and free of the local identifier."""
    return record_resource_id(record.id)


def record_resource_id(record_id: int) -> str:
    """The same, by the internal id of the record."""
    return f"r{record_id}"


def record_of_resource_id(text: str) -> int | None:
    """The record named by a logical id, or ``None`` when it is none of ours."""
    digits = text.removeprefix("r")
    return int(digits) if digits != text and digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def person_resource_id(person_id: int) -> str:
    """The logical id of the Patient resource of a person."""
    return f"p{person_id}"


def person_of_resource_id(text: str) -> int | None:
    """The person named by a logical id, or ``None`` when it is none of ours."""
    return record_of_resource_id(f"r{text[1:]}") if text.startswith("p") else None


def record_version(record: Record, identifiers: Sequence[PatientId]) -> str:
    """``meta.versionId``: the version of the traits, then what tells the identifiers and links that are shown."""
    shown = f"{record.person_id};" + ";".join([i.xds_cx for i in identifiers])
    return f"{record.version}.{hashlib.blake2b(shown.encode(), digest_size=6).hexdigest()}"


def patient_resource(record: Record, identifiers: Sequence[PatientId]) -> dict[str, Any]:
    """The Patient of a record; it refers to the Patient of its person.

    Args:
        identifiers: all to show, the record's own first.
    """
    person = {"other": {"reference": f"Patient/{person_resource_id(record.person_id)}"}, "type": "refer"}
    version = record_version(record, identifiers)
    return _resource(patient_resource_id(record), version, record.traits, identifiers, record.is_active, [person])


def merged_resource(record: Record, own: PatientId, survivor: Record, survivor_id: PatientId) -> dict[str, Any]:
    """The Patient of a record that was merged into another: inactive, and replaced by that one."""
    other = {"reference": f"Patient/{patient_resource_id(survivor)}", "identifier": identifier(survivor_id)}
    link = {"other": other, "type": "replaced-by"}
    version = record_version(record, (own, survivor_id))
    return _resource(patient_resource_id(record), version, Traits(), (own,), False, [link])


def withdrawn_resource(record: Record, identifiers: Sequence[PatientId]) -> dict[str, Any]:
    """The Patient of a record that its source withdrew: inactive, with nothing but its identifiers."""
    return _resource(patient_resource_id(record), record_version(record, identifiers), Traits(), identifiers, False, [])


def person_resource(person: Person, identifiers: Sequence[PatientId]) -> dict[str, Any]:
    """The Patient of a person: derived traits, and a link to the Patient of each record, with the link's grade.

    One that was joined to another is inactive and names the other.

    Args:
        identifiers: all to show, the regional one first.
    """
    own_id = person_resource_id(person.id)
    if not person.is_current:
        current = {
            "other": {"reference": f"Patient/{person_resource_id(person.current_id)}"},
            "type": "replaced-by",
        }
        return _resource(own_id, person.version, Traits(), identifiers, False, [current])
    links = [
        {
            **({"extension": [{"url": LINK_GRADE, "valueCode": record.grade}]} if record.grade else {}),
            "other": {"reference": f"Patient/{patient_resource_id(record)}"},
            "type": "seealso",
        }
        for record in person.records
    ]
    return _resource(own_id, person.version, person.displayed.traits, identifiers, True, links)


def _resource(
    resource_id: str,
    version: str,
    traits: Traits,
    identifiers: Sequence[PatientId],
    active: bool,
    links: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """A Patient, its elements in the order of the schema."""
    profiles = [f"{FR_CORE}/fr-core-patient"]
    if active and _is_qualified(traits):
        profiles.append(f"{FR_CORE}/fr-core-patient-ins")
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": resource_id,
        "meta": {"versionId": version, "profile": profiles},
    }
    extensions = _extensions(traits)
    if extensions:
        resource["extension"] = extensions
    resource["identifier"] = [identifier(i) for i in identifiers]
    resource["active"] = active
    names = _names(traits)
    if names:
        resource["name"] = names
    contacts = (("phone", traits.phone), ("email", traits.email))
    telecom = [{"system": system, "value": value} for system, value in contacts if value]
    if telecom:
        resource["telecom"] = telecom
    if traits.sex is not None:
        resource["gender"] = _GENDERS[traits.sex]
    if traits.birth_date is not None:
        resource["birthDate"] = traits.birth_date.iso
    if traits.death_date is not None:
        resource["deceasedDateTime"] = traits.death_date.iso
    address = _address(traits)
    if address:
        resource["address"] = [address]
    if traits.birth_order is not None:
        resource["multipleBirthInteger"] = traits.birth_order
    elif traits.multiple_birth is not None:
        resource["multipleBirthBoolean"] = traits.multiple_birth
    if links:
        resource["link"] = list(links)
    return resource


def _is_qualified(traits: Traits) -> bool:
    """Whether the resource meets the profile of qualified identities, which wants all strict traits."""
    strict = (traits.birth_family_name, traits.birth_given_names, traits.birth_date, traits.birth_place_code)
    return traits.has_qualified_ins and all(strict) and traits.sex in (Sex.MALE, Sex.FEMALE, Sex.UNKNOWN)


def _address(traits: Traits) -> dict[str, Any]:
    if not (traits.address or traits.city or traits.postal_code):
        return {}
    found: dict[str, Any] = {"use": "home"}
    if traits.address:
        found["line"] = [traits.address]
    if traits.city:
        found["city"] = traits.city
    if traits.postal_code:
        found["postalCode"] = traits.postal_code
    return found


def _names(traits: Traits) -> list[dict[str, Any]]:
    names = []
    first = traits.first_birth_given_name or next(iter(traits.birth_given_names), None)
    official: dict[str, Any] = {}
    if len(traits.birth_given_names) > 1:
        listed = " ".join(traits.birth_given_names)
        official["extension"] = [{"url": f"{FR_CORE}/fr-core-patient-birth-list-given-name", "valueString": listed}]
    if traits.birth_family_name and first:
        official["use"] = "official"  # the slice of FR Core wants both parts
    if traits.birth_family_name:
        official["family"] = traits.birth_family_name
    if first:
        official["given"] = [first]
    if official:
        names.append(official)
    if traits.used_family_name or traits.used_given_name:
        usual: dict[str, Any] = {"use": "usual"}
        if traits.used_family_name:
            usual["family"] = traits.used_family_name
        if traits.used_given_name:
            usual["given"] = [traits.used_given_name]
        names.append(usual)
    return names


def _extensions(traits: Traits) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    stated = _stated_reliability(traits)
    if stated:
        found.append({"extension": stated, "url": f"{FR_CORE}/fr-core-identity-reliability"})
    if traits.mother_family_name:
        found.append({"url": _MOTHERS_NAME, "valueString": traits.mother_family_name})
    if traits.birth_place_code:
        abroad = traits.birth_place_code.startswith("99")
        coding = {"system": _COUNTRY_SYSTEM if abroad else _COMMUNE_SYSTEM, "code": traits.birth_place_code}
        insee = {"url": f"{FR_CORE}/fr-core-address-insee-code", "valueCoding": coding}
        found.append(
            {
                "url": _BIRTH_PLACE,
                "valueAddress": {"extension": [insee]},
            }
        )
    return found


def _stated_reliability(traits: Traits) -> list[dict[str, Any]]:
    """Status and attributes of the identity."""
    found: list[dict[str, Any]] = []
    if traits.identity_status is not IdentityStatus.VIDE:
        coding = {"system": _STATUS_SYSTEM, "code": str(traits.identity_status)}
        found.append({"url": "identityStatus", "valueCoding": coding})
    for attribute in sorted(traits.identity_attributes):
        coding = {"system": _COMMENT_SYSTEM, "code": attribute}
        found.append({"url": "comment", "valueCodeableConcept": {"coding": [coding]}})
    return found
