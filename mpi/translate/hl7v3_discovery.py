"""Patient discovery between communities (PRPA_IN201305 of ITI-55): the described patient, and what else is asked for.

Source: ITI TF-2: 3.55.4.1.2, 3.55.4.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ihe.errors import IheError, MissingElement, TooMany, Unavailable, UnsupportedRequest
from ihe.values import PatientId
from ihe.xml import Element, local_name, quoted
from mpi.domain.identity import IdentityStatus, Traits
from mpi.translate.hl7v3_elements import (
    attribute,
    content,
    every,
    first,
    location,
    required_patient_id,
)
from mpi.translate.hl7v3_interaction import Interaction, parameter_list, parameter_location, read_interaction
from mpi.translate.hl7v3_patient import (
    INS_AUTHORITIES,
    contact,
    home_address,
    name_parts,
    name_traits,
    read_date,
    read_sex,
)

_REQUESTED: Final = {
    "livingSubjectAdministrativeGender": "LivingSubjectAdministrativeGenderRequested",
    "patientAddress": "PatientAddressRequested",
    "patientTelecom": "PatientTelecomRequested",
    "livingSubjectBirthPlaceAddress": "LivingSubjectBirthPlaceAddressRequested",
    "mothersMaidenName": "MothersMaidenNameRequested",
}
"""Parameter → code by which it is asked for (Source: ITI TF-2: Table 3.55.4.2.2.6-1)."""

REQUESTED_ATTRIBUTES: Final = "1.3.6.1.4.1.19376.1.2.27.1"
REASONS: Final = "1.3.6.1.4.1.19376.1.2.27.3"
_DETECTED_ISSUE: Final = "2.16.840.1.113883.5.4"


@dataclass(frozen=True, slots=True)
class DiscoveryQuery:
    """The question.

    Attributes:
        described: what is said of the patient.
        identifiers: by which the other community names the patient.
        unsaid: codes of what could still be said.
        respond_to: where the answer is wanted later (deferred), or ``None`` for at once.
    """

    described: Traits
    identifiers: tuple[PatientId, ...]
    unsaid: tuple[str, ...]
    respond_to: str | None = None


def decode_discovery(message: Element) -> DiscoveryQuery:
    """Read the question.

    Raises:
        UnsupportedRequest: the answer is wanted later (deferred), and no HTTP address says where.
        MissingElement: neither an identifier nor both name and birth time are given.
        InvalidElement: a parameter is malformed.
    """
    interaction = read_interaction(message)
    parameters = parameter_list(interaction)
    respond_to = None
    if attribute(interaction.query, "responsePriorityCode", "code") == "D":
        respond_to = attribute(message, "respondTo/telecom")
        if respond_to is None or not respond_to.startswith(("http://", "https://")):
            raise UnsupportedRequest("a deferred answer needs an HTTP address in respondTo", deferred_place(message))
    identifiers = tuple(
        required_patient_id(value, parameter_location(interaction, "livingSubjectId", number))
        for number, value in enumerate(every(parameters, "livingSubjectId/value"), 1)
    )
    described = _described(interaction, parameters)
    ins = next((i for i in identifiers if i.authority.oid in INS_AUTHORITIES), None)
    if ins is not None:
        # A national identity leaves a community only when it is qualified there (RNIV).
        described = replace(
            described, ins=ins.value, ins_oid=str(ins.authority.oid), identity_status=IdentityStatus.QUAL
        )
    if not identifiers:
        if described.birth_family_name is None:
            raise MissingElement(
                "a patient is described by a name", parameter_location(interaction, "livingSubjectName")
            )
        if described.birth_date is None:
            place = parameter_location(interaction, "livingSubjectBirthTime")
            raise MissingElement("a patient is described by a birth time", place)
    unsaid = tuple(code for name, code in _REQUESTED.items() if first(parameters, f"{name}/value") is None)
    return DiscoveryQuery(described, identifiers, unsaid, respond_to)


def deferred_place(message: Element) -> str:
    """Where a question says that its answer is wanted later."""
    return location(local_name(message), "controlActProcess", "queryByParameter", "responsePriorityCode")


def _described(interaction: Interaction, parameters: Element) -> Traits:
    place = partial(parameter_location, interaction)
    named = name_traits([name_parts(value) for value in every(parameters, "livingSubjectName/value")])
    sex = first(parameters, "livingSubjectAdministrativeGender/value")
    born = first(parameters, "livingSubjectBirthTime/value")
    day = (born.get("value") or attribute(born, "center")) if born is not None else None
    home = home_address(every(parameters, "patientAddress/value"))
    phone, email = contact(every(parameters, "patientTelecom/value"))
    return replace(
        named,
        sex=read_sex(sex, place("livingSubjectAdministrativeGender")) if sex is not None else None,
        birth_date=read_date(day, place("livingSubjectBirthTime")) if day else None,
        birth_place_code=content(first(parameters, "livingSubjectBirthPlaceAddress/value/county")),
        address=home.address,
        postal_code=home.postal_code,
        city=home.city,
        phone=phone,
        email=email,
        mother_family_name=content(first(parameters, "mothersMaidenName/value/family")),
    )


def requests_text(codes: Sequence[str]) -> str:
    """A ``reasonOf`` for each thing that should be said of the patient."""
    return "".join(_reason(code, REQUESTED_ATTRIBUTES) for code in codes)


def reason_text(error: IheError) -> str:
    """Why the question was not answered (Source: ITI TF-2: Table 3.55.4.2.2.7-1)."""
    if isinstance(error, Unavailable):
        code = "ResponderBusy"
    elif isinstance(error, TooMany):
        code = "AnswerNotAvailable"
    else:
        code = "InternalError"
    return _reason(code, REASONS)


def _reason(code: str, system: str) -> str:
    return (
        '<reasonOf typeCode="RSON"><detectedIssueEvent classCode="ALRT" moodCode="EVN">'
        f'<code code="ActAdministrativeDetectedIssueCode" codeSystem="{_DETECTED_ISSUE}"/>'
        '<mitigatedBy typeCode="MITGT"><detectedIssueManagement classCode="ACT" moodCode="EVN">'
        f'<code code={quoted(code)} codeSystem="{system}"/>'
        "</detectedIssueManagement></mitigatedBy></detectedIssueEvent></reasonOf>"
    )
