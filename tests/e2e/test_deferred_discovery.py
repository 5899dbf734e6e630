"""A community asks for a deferred answer (ITI-55) and gets it later, at the address it named."""

from __future__ import annotations

import pytest
from lxml import etree

from ihe.soap.client import SoapClient
from ihe.xml import parse_xml
from tests.e2e.test_notifications_hl7v3 import Consumer
from tests.hl7v3_wire import Answer, discovery, feed, ii, parameter
from tests.mllp_consumer import wait_for

ASK = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery"


@pytest.mark.parametrize(("value", "found"), [("R1", ("AA", "OK")), ("NOBODY", ("AA", "NF"))])
def test_the_answer_comes_later_once_the_asker_is_reached(running, value, found, shared_folder):
    roanne = str(running.table.by_code("ROANNE").oid)
    with SoapClient(f"{running.base_url}/ihe/pix") as client:
        client.send("urn:hl7-org:v3:PRPA_IN201301UV02", parse_xml(feed("PRPA_IN201301UV02", ii(roanne, "R1"))))
    with Consumer() as asker, SoapClient(f"{running.base_url}/ihe/xcpd") as client:
        asker.status = 503
        respond = f'<respondTo typeCode="RSP"><telecom value="{asker.url}"/></respondTo><sender typeCode="SND">'
        question = discovery(parameter("livingSubjectId", ii(roanne, value, "value")), priority="D")
        question = question.replace(b'<sender typeCode="SND">', respond.encode())
        acknowledged = Answer(client.send(ASK, parse_xml(question)))
        assert etree.QName(acknowledged.root).localname == "MCCI_IN000002UV01"
        assert acknowledged.status == ("AA", "")
        asker.status = 200
        wait_for(lambda: bool(asker.received), 60)
        (answer,) = asker.received
    assert etree.QName(answer.root).localname == "PRPA_IN201306UV02"
    assert answer.status == found
    assert answer.values("v:acknowledgement/v:targetMessage/v:id/@extension") == ["M1"]
    assert answer.values("//v:queryByParameter/v:queryId/@extension") == ["Q1"]
    assert answer.faults(shared_folder) == []
