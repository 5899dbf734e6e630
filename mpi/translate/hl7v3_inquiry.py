"""What this community asks others about a patient (ITI-55, ITI-56), and what they answer.

Source: ITI TF-2: 3.55.4.1.2, 3.55.4.1.2.4, 3.55.4.2.2; 3.56.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from lxml import etree

from ihe.communities import Community
from ihe.errors import IheError, MalformedRequest
from ihe.values import Oid, PatientId
from ihe.xml import NS, Element, escaped, qname, quoted
from mpi.domain.community import CommunityAnswer, CommunityPatient, Inquiry, PatientLocation
from mpi.domain.identity import Sex, Traits
from mpi.translate.hl7v3_discovery import REQUESTED_ATTRIBUTES
from mpi.translate.hl7v3_elements import attribute, every, first, location, patient_id
from mpi.translate.hl7v3_message import agent_of
from mpi.translate.hl7v3_patient import identifiers as identifiers_of
from mpi.translate.hl7v3_patient import traits
from mpi.translate.hl7v3_registration import LOCATOR
from mpi.translate.hl7v3_sending import Interchange, new_message
from mpi.translate.hl7v3_text import element, id_text

LOCATION_QUERY: Final = "PatientLocationQueryRequest"
_EVENT: Final = "controlActProcess/subject/registrationEvent"
_DURATION: Final = re.compile(
    r"P(?=[\dT])(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})(?:\.\d+)?S)?)?"
)


def encode_inquiry(inquiry: Inquiry, interchange: Interchange) -> Element:
    """``PRPA_IN201305UV02``; the first identifier of a patient known here is the one that the other community may ask
    us by.
    """
    sender = f'<id root="{interchange.sender}"/>'
    own = inquiry.identifiers[0].authority.oid if inquiry.record_id is not None and inquiry.identifiers else None
    author = ""
    if own is not None:
        author = (
            '<authorOrPerformer typeCode="AUT"><assignedDevice classCode="ASSIGNED">'
            f'<id root="{own}"/></assignedDevice></authorOrPerformer>'
        )
    query = (
        f'<queryByParameter><queryId root="{interchange.sender}" extension={quoted(interchange.message_id)}/>'
        '<statusCode code="new"/><responseModalityCode code="R"/><responsePriorityCode code="I"/>'
        f"{element('parameterList', _parameters(inquiry))}</queryByParameter>"
    )
    return new_message("PRPA_IN201305UV02", interchange, author + query, agent_of(sender))


def _parameters(inquiry: Inquiry) -> str:
    """The parameters in the order of the schemas."""
    said, parts = inquiry.described, []

    def add(name: str, value: str, semantics: str) -> None:
        parts.append(f"<{name}>{value}<semanticsText>{semantics}</semanticsText></{name}>")

    if said.sex is not None and said.sex is not Sex.UNKNOWN:
        code = "UN" if said.sex is Sex.OTHER else said.sex
        add("livingSubjectAdministrativeGender", f'<value code="{code}"/>', "LivingSubject.administrativeGender")
    if said.birth_place_code:
        county = f"<value><county>{escaped(said.birth_place_code)}</county></value>"
        add("livingSubjectBirthPlaceAddress", county, "LivingSubject.birthPlaceAddress")
    if said.birth_date is not None:
        add("livingSubjectBirthTime", f'<value value="{said.birth_date.hl7}"/>', "LivingSubject.birthTime")
    for identifier in inquiry.identifiers:
        add("livingSubjectId", id_text(identifier, "value"), "LivingSubject.id")
    if names := "".join(_name_parts(said)):
        add("livingSubjectName", f"<value>{names}</value>", "LivingSubject.name")
    if said.mother_family_name:
        family = f"<value><family>{escaped(said.mother_family_name)}</family></value>"
        add("mothersMaidenName", family, "Person.MothersMaidenName")
    home = (("streetAddressLine", said.address), ("city", said.city), ("postalCode", said.postal_code))
    if address := "".join(f"<{name}>{escaped(stated)}</{name}>" for name, stated in home if stated):
        add("patientAddress", f"<value>{address}</value>", "Patient.addr")
    if said.phone:
        add("patientTelecom", f"<value value={quoted(f'tel:{said.phone}')}/>", "Patient.telecom")
    return "".join(parts)


def _name_parts(said: Traits) -> Iterator[str]:
    listed = said.birth_given_names or ((said.first_birth_given_name,) if said.first_birth_given_name else ())
    if said.birth_family_name:
        qualifier = ' qualifier="BR"' if said.used_family_name else ""
        yield f"<family{qualifier}>{escaped(said.birth_family_name)}</family>"
    if said.used_family_name:
        yield f'<family qualifier="SP">{escaped(said.used_family_name)}</family>'
    for given in listed:
        yield f"<given>{escaped(given)}</given>"


def decode_answer(envelope: Element, community: Community) -> CommunityAnswer:
    """Read what a community answers.

    Args:
        envelope: holds a ``PRPA_IN201306UV02``.

    Raises:
        MalformedRequest, InvalidElement: it is not readable.
    """
    body = envelope.find(f"{qname(NS.SOAP, 'Body')}/{qname(NS.HL7V3, 'PRPA_IN201306UV02')}")
    if body is None:
        raise MalformedRequest("the community answered with something else")
    reasons = every(body, "controlActProcess/reasonOf/detectedIssueEvent/mitigatedBy/detectedIssueManagement/code")
    requested = tuple(code.get("code") or "" for code in reasons if code.get("codeSystem") == REQUESTED_ATTRIBUTES)
    if not requested and attribute(body, "acknowledgement/typeCode", "code") not in ("AA", "CA"):
        return CommunityAnswer(community, failure="it refused the question")
    patients = tuple(found for event in every(body, _EVENT) if (found := _patient(event, community)) is not None)
    patients = tuple(sorted(patients, key=lambda each: -(each.quality or 0)))
    return CommunityAnswer(community, patients, requested, lifetime=_lifetime(envelope, community))


def is_locator(envelope: Element) -> bool:
    """Whether the community says of a patient that it can be asked for further communities (ITI-56)."""
    codes = envelope.iterfind(f".//{qname(NS.HL7V3, 'custodian')}//{qname(NS.HL7V3, 'code')}")
    return any(code.get("code") == LOCATOR for code in codes)


def _patient(event: Element, community: Community) -> CommunityPatient | None:
    patient = first(event, "subject1/patient")
    if patient is None:
        return None
    where = location("PRPA_IN201306UV02", _EVENT, "subject1", "patient")
    found = identifiers_of(patient, where)
    usable = [each for each in found if each.authority.oid is not None]
    if not usable:
        return None
    home = attribute(event, "custodian/assignedEntity/id", "root") or str(community.home_community_id)
    quality = attribute(patient, "subjectOf1/queryMatchObservation/value") or ""
    return CommunityPatient(
        _oid(home),
        usable[0],
        traits(patient, where),
        min(100, int(quality)) if quality.isascii() and quality.isdigit() and len(quality) < 4 else None,
    )


def _oid(text: str) -> Oid:
    try:
        return Oid(text.removeprefix("urn:oid:"))
    except ValueError as error:
        raise MalformedRequest("a homeCommunityId is not an OID") from error


def _lifetime(envelope: Element, community: Community) -> timedelta | None:
    """How long the answer may be remembered: as it says, else as was agreed with the community.

    Source: ITI TF-2: 3.55.4.2.2 (CorrelationTimeToLive).
    """
    said = envelope.findtext(f"{qname(NS.SOAP, 'Header')}/{qname(NS.XCPD, 'CorrelationTimeToLive')}")
    duration = read_duration(said) if said is not None else timedelta(days=community.remember_days)
    return duration or None


def read_duration(text: str) -> timedelta:
    """An ``xs:duration``, a year as 365 and a month as 30 days; nothing when it is not one that can be read."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return timedelta()
    part = {name: int(value or 0) for name, value in found.groupdict().items()}
    return timedelta(
        days=365 * part["years"] + 30 * part["months"] + part["days"],
        hours=part["hours"],
        minutes=part["minutes"],
        seconds=part["seconds"],
    )


def correlation_lifetime(duration: str) -> Element:
    """The SOAP header that says how long an answer may be remembered.

    Args:
        duration: ``xs:duration``.
    """
    header = etree.Element(qname(NS.XCPD, "CorrelationTimeToLive"), nsmap={"xcpd": NS.XCPD})
    header.text = duration
    return header


def encode_location_query(identifier: PatientId) -> Element:
    """``xcpd:PatientLocationQueryRequest``."""
    request = etree.Element(qname(NS.XCPD, LOCATION_QUERY), nsmap={"xcpd": NS.XCPD})
    oid = identifier.authority.oid
    etree.SubElement(request, qname(NS.XCPD, "RequestedPatientId"), root=str(oid or ""), extension=identifier.value)
    return request


def decode_locations(answer: Element) -> tuple[PatientLocation, ...]:
    """Read ``xcpd:PatientLocationQueryResponse``; what cannot be used is left out."""
    found = []
    for response in answer.iterchildren(qname(NS.XCPD, "PatientLocationResponse")):
        home = (response.findtext(qname(NS.XCPD, "HomeCommunityId")) or "").strip()
        named = response.find(qname(NS.XCPD, "CorrespondingPatientId"))
        try:
            identifier = patient_id(named, "CorrespondingPatientId") if named is not None else None
            if identifier is not None and identifier.authority.oid is not None:
                found.append(PatientLocation(_oid(home), identifier))
        except IheError:
            continue
    return tuple(found)
