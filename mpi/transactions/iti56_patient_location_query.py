"""ITI-56 Patient Location Query: which communities hold data of a patient known here.

This community names itself, and those of whom it remembers by which identifier they know the patient (ITI-55).

Source: ITI TF-2: 3.56.
"""

from __future__ import annotations

from lxml import etree

from ihe.errors import MissingElement, Unavailable
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import OutboundBinding, SoapBinding, Transaction
from ihe.values import PatientId
from ihe.xml import NS, Element, qname
from mpi.application import MpiApplication
from mpi.domain.community import PatientLocation
from mpi.services.ask_communities import locations
from mpi.services.identifiers import find_one_person, regional_patient_id
from mpi.translate.hl7v3_elements import required_patient_id

ACTION = "urn:ihe:iti:2009:PatientLocationQuery"
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
            action=ACTION,
            response_action=f"{ACTION}Response",
            request_element=qname(NS.XCPD, "PatientLocationQueryRequest"),
            response_element=qname(NS.XCPD, "PatientLocationQueryResponse"),
        ),
        OutboundBinding("SOAP", "to communities that know a patient and can be asked who else does"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "This community, and those that said they know the patient (ITI-55), as long as that may be remembered",
        "An unknown patient is a SOAP fault",
    ),
    source="ITI TF-2: 3.56",
)


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


def serve(patient_id: PatientId, context: Context[MpiApplication]) -> list[PatientLocation]:
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
    elsewhere = locations(context.uow, found.person_id)
    return [PatientLocation(app.home_community_id, known_as), *elsewhere]


def encode(found: list[PatientLocation], request: SoapRequest) -> SoapReply:
    """``xcpd:PatientLocationQueryResponse``."""
    answer = etree.Element(qname(NS.XCPD, "PatientLocationQueryResponse"), nsmap={"xcpd": NS.XCPD})
    asked = request.body_element.find(qname(NS.XCPD, _REQUESTED))
    for each in found:
        response = etree.SubElement(answer, qname(NS.XCPD, "PatientLocationResponse"))
        etree.SubElement(response, qname(NS.XCPD, "HomeCommunityId")).text = each.home.urn
        _add_id(response, "CorrespondingPatientId", str(each.patient_id.authority.oid), each.patient_id.value)
        if asked is not None:
            _add_id(response, _REQUESTED, asked.get("root") or "", asked.get("extension") or "")
    return SoapReply(answer)


def _add_id(parent: Element, name: str, root: str, extension: str) -> None:
    etree.SubElement(parent, qname(NS.XCPD, name), root=root, extension=extension)
