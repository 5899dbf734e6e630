"""HL7 v3 messages for tests, and the published schemas that answers are held to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.xml import parse_xml, serialize

NS = {"v": "urn:hl7-org:v3"}
IPF = Path("testdata/ipf/commons/ihe/hl7v3/src")
SCHEMAS = IPF / "main/resources/schema/HL7V3/NE2008/multicacheschemas"


def message(name: str, control_act: str, *, message_id: str = 'root="1.2.3" extension="M1"') -> bytes:
    """An interaction around a control act's content."""
    return f"""<{name} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        ITSVersion="XML_1.0">
      <id {message_id}/><creationTime value="20260115101500+0100"/>
      <interactionId root="2.16.840.1.113883.1.6" extension="{name.removesuffix("_Cancel")}"/>
      <processingCode code="T"/><processingModeCode code="T"/><acceptAckCode code="AL"/>
      <receiver typeCode="RCV"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.250.9.1"/></device>
      </receiver>
      <sender typeCode="SND"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.250.9.2"/></device>
      </sender>
      <controlActProcess classCode="CACT" moodCode="EVN">
        <code code="{name.replace("_IN", "_TE")}" codeSystem="2.16.840.1.113883.1.6"/>
        {control_act}
      </controlActProcess>
    </{name}>""".encode()


def ii(authority: str, value: str, name: str = "id") -> str:
    """An instance identifier."""
    return f'<{name} root="{authority}" extension="{value}"/>'


PERSON = """<name use="L"><family qualifier="BR">EXEMPLE</family><given>MARIE</given><given>LOUISE</given></name>
    <administrativeGenderCode code="F"/><birthTime value="19480317"/>
    <addr use="H"><streetAddressLine>12 RUE DU TEST</streetAddressLine><city>SAINT ETIENNE</city>
    <postalCode>42100</postalCode></addr>
    <birthPlace classCode="BIRTHPL"><addr><county>42218</county></addr></birthPlace>"""

VALIDATED = """<subjectOf><administrativeObservation classCode="OBS">
    <code code="identity-reliability" codeSystem="2.16.840.1.113883.12.445"/>
    <value xsi:type="CD" code="VALI" codeSystem="2.16.840.1.113883.12.445"/></administrativeObservation></subjectOf>"""


def feed(
    name: str, identifier: str, person: str = PERSON, *, replaced: str = "", after: str = VALIDATED, again: str = ""
) -> bytes:
    """A registration message (``PRPA_IN201301UV02``…) about one patient."""
    prior = (
        f"""<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN">
            <statusCode code="obsolete"/><subject1 typeCode="SBJ"><priorRegisteredRole classCode="PAT">{replaced}
            </priorRegisteredRole></subject1></priorRegistration></replacementOf>"""
        if replaced
        else ""
    )
    subject = f"""<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><id nullFlavor="NA"/>
        <statusCode code="active"/><subject1 typeCode="SBJ"><patient classCode="PAT">{identifier}
        <statusCode code="active"/><patientPerson classCode="PSN" determinerCode="INSTANCE">{person}</patientPerson>
        {after}</patient></subject1><custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">
        <id root="1.2.250.9.2"/></assignedEntity></custodian>{prior}</registrationEvent></subject>"""
    return message(name, subject + again)


def pix_query(source: str, targets: Sequence[str] = ()) -> bytes:
    """``PRPA_IN201309UV02``.

    Args:
        source: the value element.
        targets: OIDs.
    """
    sources = "".join(
        f'<dataSource><value root="{oid}"/><semanticsText>DataSource.id</semanticsText></dataSource>' for oid in targets
    )
    patient = f"<patientIdentifier>{source}<semanticsText>Patient.id</semanticsText></patientIdentifier>"
    return message(
        "PRPA_IN201309UV02",
        f"""<queryByParameter><queryId root="1.2.250.9.3" extension="Q1"/><statusCode code="new"/>
        <responsePriorityCode code="I"/><parameterList>{sources}{patient if source else ""}
        </parameterList></queryByParameter>""",
    )


def request(data: bytes, action: str = "") -> SoapRequest:
    """A message as a transaction gets it."""
    return SoapRequest(action, parse_xml(data))


@functools.cache
def schema(shared: Path, name: str) -> etree.XMLSchema:
    """The published schema of an interaction."""
    return etree.XMLSchema(etree.parse(str(shared / SCHEMAS / f"{name.removesuffix('_Cancel')}.xsd")))


@dataclass(frozen=True)
class Answer:
    """An answer as a client reads it."""

    root: etree._Element

    def values(self, path: str) -> list[str]:
        return [str(found) for found in self.root.xpath(path, namespaces=NS)]

    @property
    def status(self) -> tuple[str, str]:
        """Acknowledgement and query response code (empty when there is none)."""
        return (
            self.values("v:acknowledgement/v:typeCode/@code")[0],
            "".join(self.values("//v:queryAck/v:queryResponseCode/@code")),
        )

    @property
    def conditions(self) -> list[str]:
        return self.values("v:acknowledgement/v:acknowledgementDetail/v:code/@code")

    @property
    def locations(self) -> list[str]:
        return self.values("v:acknowledgement/v:acknowledgementDetail/v:location/text()")

    @property
    def ids(self) -> list[str]:
        return self.values("//v:patient/v:id/@extension")

    def faults(self, shared: Path) -> list[str]:
        """What the published schema of the answer's interaction has against it."""
        name = etree.QName(self.root).localname
        published = schema(shared, name)
        published.validate(self.root)
        return [str(entry) for entry in published.error_log]


def read(reply: SoapReply) -> Answer:
    """Read a reply from its bytes."""
    if reply.body_text is not None:
        return Answer(etree.fromstring(reply.body_text))
    assert reply.body_element is not None, reply.fault
    return Answer(etree.fromstring(serialize(reply.body_element)))


def parameter(name: str, *values: str) -> str:
    """A query parameter with its values."""
    return f"<{name}>{''.join(values)}<semanticsText>{name}</semanticsText></{name}>"


def name_parameter(family: str = "", given: str = "", use: str = "") -> str:
    """``livingSubjectName``."""
    parts = [f"<{part}>{text}</{part}>" for part, text in (("family", family), ("given", given)) if text]
    return parameter("livingSubjectName", f"<value{f' use={use!r}' if use else ''}>{''.join(parts)}</value>")


def demographics_query(
    *parameters: str,
    quantity: int | str | None = None,
    query_id: str = "Q1",
    algorithm: str = "",
    degree: int | str | None = None,
) -> bytes:
    """``PRPA_IN201305UV02``; the parameters in the order of the schema."""
    initial = f'<initialQuantity value="{quantity}"/>' if quantity is not None else ""
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type'
    wanted = [
        f"<{name}><value {xsi}={value}</value><semanticsText>{name}</semanticsText></{name}>"
        for name, value in (
            ("matchAlgorithm", f'"ST">{algorithm}' if algorithm else ""),
            ("minimumDegreeMatch", f'"INT" value="{degree}">' if degree is not None else ""),
        )
        if value
    ]
    criteria = f"<matchCriterionList>{''.join(wanted)}</matchCriterionList>" if wanted else ""
    return message(
        "PRPA_IN201305UV02",
        f"""<queryByParameter><queryId root="1.2.250.9.3" extension="{query_id}"/><statusCode code="new"/>
        <responseModalityCode code="R"/><responsePriorityCode code="I"/>{initial}{criteria}
        <parameterList>{"".join(parameters)}</parameterList></queryByParameter>""",
    )


def continuation(
    name: str = "QUQI_IN000003UV01",
    *,
    start: int | str | None = None,
    quantity: int | str | None = None,
    query_id: str = "Q1",
) -> bytes:
    """``QUQI_IN000003UV01`` or its cancelling form."""
    numbers = "".join(
        f'<{part} value="{value}"/>'
        for part, value in (("startResultNumber", start), ("continuationQuantity", quantity))
        if value is not None
    )
    status = "aborted" if name.endswith("Cancel") else "waitContinuedQueryResponse"
    return message(
        name,
        f"""<queryContinuation><queryId root="1.2.250.9.3" extension="{query_id}"/>{numbers}
        <statusCode code="{status}"/></queryContinuation>""",
    )


def discovery(*parameters: str, priority: str = "I") -> bytes:
    """``PRPA_IN201305UV02`` between communities."""
    return message(
        "PRPA_IN201305UV02",
        f"""<queryByParameter><queryId root="1.2.250.9.3" extension="Q1"/><statusCode code="new"/>
        <responseModalityCode code="R"/><responsePriorityCode code="{priority}"/>
        <parameterList>{"".join(parameters)}</parameterList></queryByParameter>""",
    )


def location_query(identifier: str) -> bytes:
    """``xcpd:PatientLocationQueryRequest``."""
    return f"""<PatientLocationQueryRequest xmlns="urn:ihe:iti:xcpd:2009">{identifier}
    </PatientLocationQueryRequest>""".encode()
