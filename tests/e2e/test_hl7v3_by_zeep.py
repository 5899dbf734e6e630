"""Feed, query, page and discover by zeep, from our own WSDLs alone; every published sample gets a valid answer."""

from __future__ import annotations

import httpx
import pytest
import zeep
from lxml import etree
from zeep.plugins import HistoryPlugin

from ihe.soap.envelope import soap_request
from ihe.xml import NS, parse_xml, qname, serialize
from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.hl7v3_wire import (
    PERSON,
    Answer,
    continuation,
    demographics_query,
    discovery,
    feed,
    ii,
    location_query,
    name_parameter,
    parameter,
    pix_query,
)

ADD, REVISE, MERGE = (f"PRPA_IN20130{n}UV02" for n in (1, 2, 4))
BORN = parameter("livingSubjectBirthTime", '<value value="19480317"/>')
SAMPLES = "testdata/ipf"
TRANSLATION = f"{SAMPLES}/commons/ihe/hl7v3/src/test/resources/translation"
PLATFORM = f"{SAMPLES}/platform-camel/ihe/hl7v3/src/test/resources"
XCPD_QUESTION = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"


@pytest.fixture(scope="module")
def running(module_database_url, tmp_path_factory):
    """One service for the whole module."""
    with serving(module_database_url, load_region(REGION), tmp_path_factory.mktemp("documents")) as found:
        yield found


class Partner:
    """A system of the region that knows our WSDLs and nothing else."""

    def __init__(self, running):
        self.running = running
        self.history = HistoryPlugin()
        self.services = {}

    def oid(self, code):
        return str(self.running.table.by_code(code).oid)

    def service(self, name):
        if name not in self.services:
            client = zeep.Client(f"{self.running.base_url}/wsdl/{name}.wsdl", plugins=[self.history])
            self.services[name] = client.service
        return self.services[name]

    def send(self, service, operation, data):
        """Call an operation with the content of a message, and return the answer's element."""
        message = parse_xml(data)
        self.service(service)[operation](_value_1=list(message), ITSVersion="XML_1.0")
        body = self.history.last_received["envelope"].find(qname(NS.SOAP, "Body"))
        return Answer(etree.fromstring(etree.tostring(body[0])))


MANAGER = "PatientIdentifierCrossreferenceManager"


@pytest.fixture(scope="module")
def partner(running):
    found = Partner(running)
    for code in ("CHUSE", "ROANNE", "ICL"):
        answer = found.send("pix", f"{MANAGER}_{ADD}", feed(ADD, ii(found.oid(code), f"{code}1")))
        assert answer.status == ("AA", "")
    return found


def pix(partner, code, value, *targets):
    source = ii(partner.oid(code), value, "value")
    data = pix_query(source, [partner.oid(target) for target in targets])
    return partner.send("pix", f"{MANAGER}_PRPA_IN201309UV02", data)


def pdq(partner, *parameters, **options):
    return partner.send(
        "pdq", "PatientDemographicsSupplier_PRPA_IN201305UV02", demographics_query(*parameters, **options)
    )


def test_identifiers_of_a_patient(partner):
    answer = pix(partner, "ROANNE", "ROANNE1", "CHUSE", "ICL")
    assert (answer.status, answer.ids) == (("AA", "OK"), ["CHUSE1", "ICL1"])


def test_feed_at_the_registry_reaches_the_index(partner):
    other = PERSON.replace("EXEMPLE", "REGISTRE").replace("19480317", "19600101")
    answer = partner.send("registry", f"{MANAGER}_{ADD}", feed(ADD, ii(partner.oid("FEURS"), "F1"), other))
    assert answer.status == ("AA", "")
    assert pdq(partner, name_parameter("REGISTRE")).ids[0] == "F1"


def test_pages_and_cancellation(partner):
    first = pdq(partner, BORN, quantity=1, query_id="ZEEP")
    assert first.values("//v:resultRemainingQuantity/@value") == ["2"]
    go_on = "PatientDemographicsSupplier_QUQI_IN000003UV01_Continue"
    second = partner.send("pdq", go_on, continuation(quantity=1, query_id="ZEEP"))
    assert second.values("//v:patient/v:id[1]/@extension") == ["ICL1"]
    cancel = continuation("QUQI_IN000003UV01_Cancel", query_id="ZEEP")
    assert partner.send("pdq", "PatientDemographicsSupplier_QUQI_IN000003UV01_Cancel", cancel).status == ("AA", "")
    assert partner.send("pdq", go_on, continuation(query_id="ZEEP")).conditions == ["102"]


def test_discovery_and_location(partner):
    named = discovery(parameter("livingSubjectId", ii(partner.oid("ROANNE"), "ROANNE1", "value")))
    answer = partner.send("xcpd", "RespondingGateway_PRPA_IN201305UV02_CrossGatewayPatientDiscovery", named)
    home = str(partner.running.table.home_community_id)
    assert answer.values("//v:custodian//v:id/@root") == [home]
    locate = partner.service("xcpd").RespondingGateway_PatientLocationQuery
    (found,) = locate(RequestedPatientId={"root": partner.oid("ROANNE"), "extension": "ROANNE1"})
    assert (found.HomeCommunityId, found.CorrespondingPatientId.extension) == (f"urn:oid:{home}", answer.ids[0])


def test_merge_then_the_former_identifier_is_unknown(partner):
    born_otherwise = PERSON.replace("19480317", "19510617").replace("EXEMPLE", "FUSION")
    for local_id in ("G1", "G2"):
        partner.send("pix", f"{MANAGER}_{ADD}", feed(ADD, ii(partner.oid("GIER"), local_id), born_otherwise))
    merged = feed(MERGE, ii(partner.oid("GIER"), "G2"), replaced=ii(partner.oid("GIER"), "G1"), after="")
    assert partner.send("pix", f"{MANAGER}_{MERGE}", merged).status == ("AA", "")
    assert pix(partner, "GIER", "G1").conditions == ["204"]
    assert pix(partner, "GIER", "G2").status[0] == "AA"


def post(partner, path, action, message):
    envelope = soap_request(action, f"{partner.running.base_url}{path}", message)
    headers = {"content-type": "application/soap+xml; charset=utf-8"}
    reply = httpx.post(f"{partner.running.base_url}{path}", content=serialize(envelope), headers=headers)
    return reply.status_code, parse_xml(reply.content).find(qname(NS.SOAP, "Body"))[0]


PIX = f"{TRANSLATION}/pixquery/v3/NistPixpdq_Mesa"
SAMPLE_CASES = [
    ("/ihe/pix", f"{PIX}10501-04_Example_01.xml", "PRPA_IN201310UV02", ["204"]),
    ("/ihe/pix", f"{PIX}10501-05_Example_01.xml", "PRPA_IN201310UV02", ["204"]),
    ("/ihe/pix", f"{PIX}10502-03~UnknownId_Example_01.xml", "PRPA_IN201310UV02", ["204"]),
    ("/ihe/pix", f"{PIX}10503-01~UnknownAssigningAuth_Example_01.xml", "PRPA_IN201310UV02", ["204"]),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ.xml", "PRPA_IN201306UV02", ["204"]),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ_ID_Query.xml", "PRPA_IN201306UV02", []),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ_Maximal_Query.xml", "PRPA_IN201306UV02", ["204"]),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ_with_PID4.xml", "PRPA_IN201306UV02", []),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ_connectathon2011_namespaces_issue.xml", "PRPA_IN201306UV02", []),
    ("/ihe/pdq", f"{TRANSLATION}/pdq/v3/PDQ_unused_global_namespace_issue.xml", "PRPA_IN201306UV02", []),
    ("/ihe/pdq", f"{PLATFORM}/iti47/01_PDQQuery1.xml", "PRPA_IN201306UV02", ["204"]),
    ("/ihe/xcpd", f"{PLATFORM}/iti55/iti55-sample-request.xml", "PRPA_IN201306UV02", []),
    ("/ihe/xcpd", f"{PLATFORM}/iti55/iti55-sample-request-deferred.xml", "MCCI_IN000002UV01", ["NS250"]),
    ("/ihe/pix", f"{TRANSLATION}/pixfeed/v3/PIX_FEED_REG_Maximal_Request.xml", "MCCI_IN000002UV01", ["204"]),
    ("/ihe/pix", f"{TRANSLATION}/pixfeed/v3/PIX_FEED_REV_Maximal_Request.xml", "MCCI_IN000002UV01", ["204"]),
    ("/ihe/pix", f"{TRANSLATION}/pixfeed/v3/PIX_FEED_MERGE_Maximal_Request.xml", "MCCI_IN000002UV01", ["204"]),
    ("/ihe/registry", f"{TRANSLATION}/pixsource/v3/A01_Response.xml", "MCCI_IN000002UV01", ["204"]),
    ("/ihe/registry", f"{TRANSLATION}/pixsource/v3/A08_Response.xml", "MCCI_IN000002UV01", ["204"]),
    ("/ihe/registry", f"{TRANSLATION}/pixsource/v3/A40_Response.xml", "MCCI_IN000002UV01", ["204"]),
]
"""Published samples: they speak of domains that are none of the region, which is what the refusals say; those that ask
for no domain find nobody."""


@pytest.mark.parametrize(("path", "file", "answered_with", "conditions"), SAMPLE_CASES)
def test_published_samples_get_an_answer_of_the_right_kind(
    partner, shared_folder, path, file, answered_with, conditions
):
    message = parse_xml((shared_folder / file).read_bytes())
    name = etree.QName(message).localname
    action = XCPD_QUESTION if path == "/ihe/xcpd" else f"urn:hl7-org:v3:{name}"
    status, element = post(partner, path, action, message)
    assert status == 200
    answer = Answer(etree.fromstring(serialize(element)))
    assert etree.QName(answer.root).localname == answered_with
    assert sorted(set(answer.conditions)) == conditions, answer.values("//v:acknowledgementDetail//text()")
    assert answer.faults(shared_folder) == []


HOSPITAL = "1.3.6.1.4.1.21367.2005.1.1"


@pytest.mark.parametrize(
    ("file", "conditions"),
    [
        (f"{TRANSLATION}/pixfeed/v3/PIX_FEED_REG_Maximal_Request.xml", []),
        (f"{TRANSLATION}/pixfeed/v3/PIX_FEED_REV_Maximal_Request.xml", []),
        (f"{SAMPLES}/commons/ihe/hl7v3/src/test/resources/validation/iti44-multipatient-request-1.xml", ["102"]),
    ],
)
def test_published_feeds_of_a_domain_of_ours(partner, shared_folder, file, conditions):
    data = (shared_folder / file).read_bytes().replace(HOSPITAL.encode(), partner.oid("IRMAS").encode())
    message = parse_xml(data)
    status, element = post(partner, "/ihe/pix", f"urn:hl7-org:v3:{etree.QName(message).localname}", message)
    answer = Answer(etree.fromstring(serialize(element)))
    assert (status, answer.conditions) == (200, conditions), answer.values("//v:acknowledgementDetail//text()")
    assert answer.faults(shared_folder) == []


def test_published_location_query_names_an_unknown_domain(partner, shared_folder):
    message = parse_xml((shared_folder / f"{PLATFORM}/iti56/iti56-sample-request.xml").read_bytes())
    status, element = post(partner, "/ihe/xcpd", "urn:ihe:iti:2009:PatientLocationQuery", message)
    assert (status, etree.QName(element).localname) == (400, "Fault")


def test_an_element_that_is_not_the_actions_is_a_fault(partner):
    status, element = post(
        partner, "/ihe/pix", "urn:hl7-org:v3:PRPA_IN201309UV02", parse_xml(location_query(ii("1.2", "1")))
    )
    assert (status, etree.QName(element).localname) == (400, "Fault")
