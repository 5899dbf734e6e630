"""ITI-56 Patient Location Query: which communities hold data of a patient known here.

This community answers for itself: it keeps no register of other communities' data.

Source: ITI TF-2: 3.56.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from ihe.errors import MissingElement, Unavailable
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.values import Oid, PatientId
from ihe.xml import NS, Element, qname
from mpi.application import MpiApplication
from mpi.services.identifiers import find_one_person, regional_patient_id
from mpi.translate.hl7v3_elements import required_patient_id

_REQUESTED = "RequestedPatientId"
_PLACE = "/PatientLocationQueryRequest/RequestedPatientId"

TRANSACTION = Transaction(
    number="ITI-56",
    name="Patient Location Query",
    actor="Responding Gateway",
    profile="XCPD",
    bindings=(
        SoapBinding(
            path="/ihe/xcpd",
            action="urn:ihe:iti:2009:PatientLocationQuery",
            response_action="urn:ihe:iti:2009:PatientLocationQueryResponse",
            request_element=qname(NS.XCPD, "PatientLocationQueryRequest"),
            response_element=qname(NS.XCPD, "PatientLocationQueryResponse"),
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("This community alone; an unknown patient is a SOAP fault",),
    source="ITI TF-2: 3.56",
)


@dataclass(frozen=True, slots=True)
class PatientLocation:
    """A community that knows the patient, and by which identifier."""

    community: Oid
    patient_id: PatientId


def decode(request: SoapRequest) -> PatientId:
    """Read the identifier.

    Raises:
        MissingElement: there is none, or it lacks its root or extension.
        InvalidElement: its root is not an OID.
    """
    element = request.body_element.find(qname(NS.XCPD, _REQUESTED))
    if element is None:
        raise MissingElement("the query names no patient", _PLACE)
    return required_patient_id(element, _PLACE)


def serve(patient_id: PatientId, context: Context[MpiApplication]) -> PatientLocation:
    """Find the patient.

    Raises:
        UnknownAuthority: the domain of the identifier is none of the region.
        UnknownPatient: nothing active carries the identifier.
        Unavailable: the region has no home community id.
    """
    app = context.application
    if app.home_community_id is None:
        raise Unavailable("this community has no id by which it could answer")
    found = find_one_person(context.uow, app, patient_id, _PLACE)
    known_as = regional_patient_id(app, found.person_id)
    context.trail.query(TRANSACTION.name)
    context.trail.patient(known_as.xds_cx)
    return PatientLocation(app.home_community_id, known_as)


def encode(found: PatientLocation, request: SoapRequest) -> SoapReply:
    """``xcpd:PatientLocationQueryResponse``."""
    answer = etree.Element(qname(NS.XCPD, "PatientLocationQueryResponse"), nsmap={"xcpd": NS.XCPD})
    response = etree.SubElement(answer, qname(NS.XCPD, "PatientLocationResponse"))
    etree.SubElement(response, qname(NS.XCPD, "HomeCommunityId")).text = found.community.urn
    _add_id(response, "CorrespondingPatientId", str(found.patient_id.authority.oid), found.patient_id.value)
    asked = request.body_element.find(qname(NS.XCPD, _REQUESTED))
    if asked is not None:
        _add_id(response, _REQUESTED, asked.get("root") or "", asked.get("extension") or "")
    return SoapReply(answer)


def _add_id(parent: Element, name: str, root: str, extension: str) -> None:
    etree.SubElement(parent, qname(NS.XCPD, name), root=root, extension=extension)
