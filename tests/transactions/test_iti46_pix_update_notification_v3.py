"""ITI-46, the message that is sent: what it says, held to the published schema, and how its answer is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from ihe.errors import Conflict
from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import parse_xml, serialize
from mpi.services.notify_references import ReferenceChange
from mpi.transactions import iti46_pix_update_notification_v3 as iti46
from mpi.translate.hl7v3_sending import Interchange
from tests.hl7v3_wire import Answer

LOCAL = PatientId("A&1", AssigningAuthority("SITE", Oid("1.2.3")), "PI")
REGIONAL = PatientId("TDU1", AssigningAuthority("REGION", Oid("1.2.9")), "RRI")
INTERCHANGE = Interchange(Oid("1.2"), Oid("1.2.250.9.7"), "17.4", datetime(2026, 1, 15, 9, 30, tzinfo=UTC))


def test_it_says_all_identifiers_and_no_name(shared_folder):
    sent = Answer(etree.fromstring(serialize(iti46.encode(ReferenceChange(4, (LOCAL, REGIONAL)), INTERCHANGE))))
    assert etree.QName(sent.root).localname == "PRPA_IN201302UV02"
    assert sent.faults(shared_folder) == []
    assert sent.values("//v:patient/v:id/@root") == ["1.2.3", "1.2.9"]
    assert sent.ids == ["A&1", "TDU1"]
    assert sent.values("//v:patientPerson/v:name/@nullFlavor") == ["NA"]
    assert sent.values("v:id/@extension") == ["17.4"]
    assert sent.values("v:receiver/v:device/v:id/@root") == ["1.2.250.9.7"]


def acknowledged(code):
    body = f'<acknowledgement><typeCode code="{code}"/></acknowledgement>' if code else ""
    return parse_xml(f'<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3">{body}</MCCI_IN000002UV01>'.encode())


def test_answers():
    for code in ("AA", "CA"):
        iti46.decode(acknowledged(code))
    for code in ("AE", "AR", "CE", "CR", ""):
        with pytest.raises(Conflict):
            iti46.decode(acknowledged(code))
