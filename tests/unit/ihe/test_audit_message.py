"""Audit events as DICOM AuditMessages, against the schema where it is present."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from ihe.audit import AuditEvent, AuditTrail, Outcome
from ihe.audit_message import AuditSource, audit_message
from ihe.syslog import Origin, syslog_message
from ihe.transaction import discover

SHARED = Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
SCHEMA = SHARED / "testdata/ipf/commons/audit/src/main/resources/dicom2017c.xsd"
AT = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
ENDPOINTS = discover("mpi.transactions", "xds.transactions")
SOURCE = AuditSource("traitdunion", "1.2.3", {e.transaction.number: e.transaction.name for e in ENDPOINTS})


def event(transaction="ITI-9", code="110112", action="E", **changes):
    trail = AuditTrail()
    trail.query("PIX Query", text="QPD|…")
    trail.patient("1^^^&1.2.3&ISO")
    trail.document("1.2.3.4", repository="1.9")
    trail.document("1.2.3.5", role="submission set")
    values = {
        "at": AT,
        "transaction": transaction,
        "event_code": code,
        "event_action": action,
        "outcome": Outcome.SUCCESS,
        "node": "10.0.0.1",
        "site": "ROANNE",
        "user": "899700000001",
        "purpose": "bris_de_glace",
        "correlation_id": "c1",
        "objects": tuple(trail.objects),
    }
    return AuditEvent(**{**values, **changes})


@pytest.fixture(scope="module")
def schema():
    if not SCHEMA.is_file():
        pytest.skip("the DICOM audit schema (shared test data) is absent")
    return etree.XMLSchema(etree.parse(SCHEMA))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.transaction.number)
def test_the_event_of_every_transaction_is_valid(endpoint, schema):
    of = endpoint.transaction
    for changes in ({}, {"outcome": Outcome.MAJOR_FAILURE, "reason": "Unavailable", "user": None, "objects": ()}):
        made = event(of.number, of.event_code, of.event_action, **changes)
        schema.assertValid(etree.fromstring(audit_message(made, SOURCE)))


def test_what_is_said_of_a_query():
    message = etree.fromstring(audit_message(event(), SOURCE))
    assert message.find("EventIdentification/EventTypeCode").attrib == {
        "csd-code": "ITI-9",
        "codeSystemName": "IHE Transactions",
        "originalText": "PIX Query",
    }
    assert [p.get("UserID") for p in message.iterfind("ActiveParticipant")] == [
        "10.0.0.1",
        "899700000001",
        "traitdunion",
    ]
    roles = [o.get("ParticipantObjectTypeCodeRole") for o in message.iterfind("ParticipantObjectIdentification")]
    assert roles == ["24", "1", "3", "20"]
    assert message.find("EventIdentification/PurposeOfUse").get("csd-code") == "BTG"


def test_a_node_by_name_is_a_machine_name():
    participant = etree.fromstring(audit_message(event(node="pacs.roanne.example"), SOURCE)).find("ActiveParticipant")
    assert participant.get("NetworkAccessPointTypeCode") == "1"


def test_the_syslog_form_counts_octets():
    framed = syslog_message(AT, "é".encode(), Origin("traitdunion", "host", "7"))
    count, message = framed.split(b" ", 1)
    assert int(count) == len(message)
    assert message == "<85>1 2026-03-02T12:00:00.123Z host traitdunion 7 IHE+RFC-3881 - \ufeffé".encode()
