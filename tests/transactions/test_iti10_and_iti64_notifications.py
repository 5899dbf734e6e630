"""ITI-10 and ITI-64, the messages that are sent: what they say and how their answers are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ihe.errors import Conflict, MalformedRequest
from ihe.hl7v2.acknowledgement import acknowledge
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.sending import Envelope
from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.services.notify_links import LinkChange
from mpi.services.notify_references import ReferenceChange
from mpi.transactions import iti10_pix_update_notification as iti10
from mpi.transactions import iti64_notify_xad_pid_link_change as iti64

SITE = AssigningAuthority("SITE", Oid("1.2.3"))
REGION = AssigningAuthority("REGION", Oid("1.2.9"))
LOCAL, FORMER_LOCAL = PatientId("A&1", SITE, "PI"), PatientId("A2", SITE, "PI")
NEW, OLD = PatientId("TDU1", REGION, "RRI"), PatientId("TDU2", REGION, "RRI")
ENVELOPE = Envelope((("US", "1.2", "ISO"), "HERE"), ("GAM", "THERE"), "17.4", datetime(2026, 1, 15, 9, 30, tzinfo=UTC))
HEADER = "MSH|^~\\&|US^1.2^ISO|HERE|GAM|THERE|20260115093000+0000||ADT^{}|17.4|P|2.5"


def test_iti10_says_all_identifiers_and_no_name():
    message = iti10.encode(ReferenceChange(4, (LOCAL, NEW)), ENVELOPE)
    assert str(message).split("\r") == [
        HEADER.format("A31^ADT_A05"),
        "EVN||20260115093000+0000",
        "PID|||A\\T\\1^^^SITE&1.2.3&ISO^PI~TDU1^^^REGION&1.2.9&ISO^RRI|| ",
        "PV1||N",
        "",
    ]


def test_iti64_says_new_and_former_regional_identifier():
    message = iti64.encode(LinkChange(4, LOCAL, NEW, OLD), ENVELOPE)
    assert str(message).split("\r") == [
        HEADER.format("A43^ADT_A43"),
        "EVN||20260115093000+0000",
        "PID|||TDU1^^^REGION&1.2.9&ISO^RRI~A\\T\\1^^^SITE&1.2.3&ISO^PI|| ",
        "MRG|TDU2^^^REGION&1.2.9&ISO^RRI",
        "",
    ]


def test_iti64_names_the_subsumed_local_identifier():
    message = iti64.encode(LinkChange(4, LOCAL, NEW, NEW, FORMER_LOCAL), ENVELOPE)
    assert message.segment("MRG").raw == "MRG|TDU1^^^REGION&1.2.9&ISO^RRI~A2^^^SITE&1.2.3&ISO^PI"


@pytest.mark.parametrize("transaction", [iti10, iti64])
def test_answers(transaction):
    question = iti10.encode(ReferenceChange(4, (LOCAL,)), ENVELOPE)
    for code in ("AA", "CA"):
        transaction.decode(acknowledge(question, code))
    for code in ("AE", "AR", "CE", "CR"):
        with pytest.raises(Conflict):
            transaction.decode(acknowledge(question, code))
    with pytest.raises(MalformedRequest):
        transaction.decode(Message.parse("MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\r"))
