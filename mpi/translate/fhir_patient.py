"""Records and persons ⇄ FHIR Patient (FR Core) and identifiers.

Source: FHIR R4 Patient; FR Core 2.1 ``fr-core-patient``; ITI TF-2: 3.78, 3.83.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.domain.record import Record

FR_CORE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition"
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_STATUS_SYSTEM: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-identity-status"
_COMMUNE_SYSTEM: Final = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
_COUNTRY_SYSTEM: Final = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"
_GENDERS: Final = {Sex.MALE: "male", Sex.FEMALE: "female", Sex.OTHER: "other", Sex.UNKNOWN: "unknown"}
_USES: Final = {"PI": "usual", "INS": "official", "RRI": "secondary"}


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
    """A FHIR Identifier."""
    found: dict[str, Any] = {}
    if patient_id.type_code in _USES:
        found["use"] = _USES[patient_id.type_code]
    if patient_id.type_code in ("PI", "RRI"):
        found["type"] = {"coding": [{"system": _IDENTIFIER_TYPES, "code": patient_id.type_code}]}
    if patient_id.authority.oid is not None:
        found["system"] = patient_id.authority.oid.urn
    found["value"] = patient_id.value
    return found


def patient_resource_id(record: Record) -> str:
    """The logical id of the Patient resource of a record: stable, and free of the local identifier."""
    return f"r{record.id}"


def record_of_resource_id(text: str) -> int | None:
    """The record named by a logical id, or ``None`` when it is none of ours."""
    digits = text.removeprefix("r")
    return int(digits) if digits != text and digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def patient_resource(record: Record, identifiers: Sequence[PatientId]) -> dict[str, Any]:
    """The Patient of a record.

    Args:
        identifiers: all to show, the record's own first.
    """
    traits = record.traits
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": patient_resource_id(record),
        "meta": {"versionId": str(record.version), "profile": [f"{FR_CORE}/fr-core-patient"]},
    }
    extensions = _extensions(traits)
    if extensions:
        resource["extension"] = extensions
    resource["identifier"] = [identifier(i) for i in identifiers]
    resource["active"] = record.is_active
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
    address = {
        name: value
        for name, value in (
            ("use", "home" if traits.address or traits.city or traits.postal_code else None),
            ("line", [traits.address] if traits.address else None),
            ("city", traits.city),
            ("postalCode", traits.postal_code),
        )
        if value
    }
    if address:
        resource["address"] = [address]
    if traits.birth_order is not None:
        resource["multipleBirthInteger"] = traits.birth_order
    elif traits.multiple_birth is not None:
        resource["multipleBirthBoolean"] = traits.multiple_birth
    return resource


def _names(traits: Traits) -> list[dict[str, Any]]:
    names = []
    first = traits.first_birth_given_name or next(iter(traits.birth_given_names), None)
    official: dict[str, Any] = {}
    if len(traits.birth_given_names) > 1:
        listed = " ".join(traits.birth_given_names)
        official["extension"] = [{"url": f"{FR_CORE}/fr-core-patient-birth-list-given-name", "valueString": listed}]
    if traits.birth_family_name or first:
        official["use"] = "official"
        if traits.birth_family_name:
            official["family"] = traits.birth_family_name
        if first:
            official["given"] = [first]
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
    if traits.identity_status is not IdentityStatus.VIDE:
        coding = {"system": _STATUS_SYSTEM, "code": str(traits.identity_status)}
        found.append(
            {
                "extension": [{"url": "identityStatus", "valueCoding": coding}],
                "url": f"{FR_CORE}/fr-core-identity-reliability",
            }
        )
    if traits.birth_place_code:
        abroad = traits.birth_place_code.startswith("99")
        coding = {"system": _COUNTRY_SYSTEM if abroad else _COMMUNE_SYSTEM, "code": traits.birth_place_code}
        insee = {"url": f"{FR_CORE}/fr-core-address-insee-code", "valueCoding": coding}
        found.append(
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {"extension": [insee]},
            }
        )
    return found
