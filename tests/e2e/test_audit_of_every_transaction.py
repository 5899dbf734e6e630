"""Each transaction, done once on its wire, leaves the audit event that its profile defines; each event is valid XML by
the schema of DICOM PS3.15 A.5, and a valid FHIR AuditEvent.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fhir.resources.R4B.auditevent import AuditEvent as FhirAuditEvent
from lxml import etree

from ihe.audit import AuditEvent
from ihe.audit_message import AuditSource, audit_message
from ihe.fhir.audit_event import audit_event
from ihe.store import audit_search
from ihe.store.audit_search import AuditSearch
from ihe.transaction import OutboundBinding
from region.region_table import RegionTable, load_region
from tests.dicomweb_source import dicomweb_source
from tests.e2e.conftest import serving
from tests.e2e.test_documents_by_zeep import Site
from tests.every_transaction import PLAYS, Played
from tests.imaging_region import TABLE, Region, _feed, _publish

RNG = Path(__file__).parents[1] / "unit" / "ihe" / "audit_message.rng"
SHARED = Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
XSD = SHARED / "testdata/ipf/commons/audit/src/main/resources/dicom2017c.xsd"

QUERY, FEED, IMPORT, EXPORT, PICTURES, LOG = "110112", "110110", "110107", "110106", "110104", "110101"
ASKED = {"query"}
NOT_PLAYED = {"ITI-19", "ITI-40", "ITI-72", "TDU-10"}
"""The first three authenticate a request of another transaction, whose event tells of it (a failed handshake has one of
its own: ``test_node_authentication``); the last tells where tokens come from, and nothing where none are taken."""
PROFILES: dict[str, tuple[str, set[str], bool, set[str]]] = {
    # number: EventID, EventActionCode, whether the data goes from here, participant objects
    "ITI-8": (FEED, {"C"}, False, {"patient"}),
    "ITI-9": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-10": (FEED, {"R"}, True, {"patient"}),
    "ITI-18": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-21": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-22": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-30": (FEED, {"U", "D"}, False, {"patient"}),
    "ITI-31": (FEED, {"U"}, False, {"patient"}),
    "ITI-38": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-39": (EXPORT, {"R"}, True, {"patient", "document"}),
    "ITI-41": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-42": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-43": (EXPORT, {"R"}, True, {"patient", "document"}),
    "ITI-44": (FEED, {"C"}, False, {"patient"}),
    "ITI-45": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-46": (FEED, {"R"}, True, {"patient"}),
    "ITI-47": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-51": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-52": (QUERY, {"E"}, False, {"query"}),
    "ITI-53": (EXPORT, {"R"}, True, {"patient", "document"}),
    "ITI-55": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-56": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-57": (IMPORT, {"U"}, False, {"patient", "document"}),
    "ITI-61": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-62": (FEED, {"D"}, False, {"document"}),
    "ITI-64": (FEED, {"R"}, True, {"patient"}),
    "ITI-65": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-66": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-67": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-68": (EXPORT, {"R"}, True, {"patient", "document"}),
    "ITI-78": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-81": (LOG, {"R"}, False, {"query"}),
    "ITI-83": (QUERY, {"E"}, False, {"query", "patient"}),
    "ITI-86": (FEED, {"D"}, False, {"document"}),
    "ITI-92": (IMPORT, {"U"}, False, {"patient", "document"}),
    "ITI-93": (FEED, {"C"}, False, {"patient"}),
    "ITI-94": (QUERY, {"E"}, False, {"query"}),
    "ITI-104": (FEED, {"C"}, False, {"patient"}),
    "ITI-105": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-106": (IMPORT, {"C"}, False, {"patient", "document"}),
    "ITI-108": (FEED, {"C"}, False, {"patient"}),
    "ITI-110": (QUERY, {"E"}, False, {"query"}),
    "ITI-112": (EXPORT, {"R"}, True, {"patient", "document"}),
    "ITI-119": (QUERY, {"E"}, False, {"query", "patient"}),
    "RAD-55": (PICTURES, {"R"}, True, {"patient", "study"}),
    "RAD-69": (PICTURES, {"R"}, True, {"patient", "study"}),
    "RAD-75": (PICTURES, {"R"}, True, {"patient", "study"}),
    "RAD-107": (PICTURES, {"R"}, True, {"patient", "study"}),
    "RAD-129": (QUERY, {"E"}, False, {"query", "patient"}),
    "TDU-1": (FEED, {"U"}, False, {"patient"}),
    "TDU-2": (FEED, {"U"}, False, set()),
    "TDU-3": (FEED, {"R"}, False, {"patient"}),
    "TDU-4": (QUERY, {"E"}, False, {"query", "patient"}),
    "TDU-5": (FEED, {"R"}, False, set()),
    "TDU-6": (QUERY, {"E"}, False, {"query", "patient"}),
    "TDU-9": (QUERY, {"R"}, False, {"query"}),
}


@pytest.fixture(scope="module")
def played(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with dicomweb_source() as archive:
        table = load_region(TABLE)
        domains = tuple(replace(each, pacs_url=archive.url if each.code == "CHUSE" else None) for each in table)
        folder = tmp_path_factory.mktemp("documents")
        with serving(module_database_url, RegionTable(table.name, table.home_community_id, domains), folder) as running:
            _feed(running)
            found = Played(running, Region(running, archive, _publish(running, archive)), Site(running))
            for play in PLAYS:
                play(found)
            yield found


def events_of(played: Played, number: str) -> list[tuple[int, AuditEvent]]:
    with played.running.service.engine.connect() as connection:
        found = audit_search.find(connection, AuditSearch(transactions=(number,)), 100)
    return [(event_id, event) for event_id, event in found if event.reason is None]


def test_every_transaction_of_the_conformance_page_is_played_and_has_its_profile(played):
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
    stated = set(re.findall(r"^\| ((?:ITI|RAD)-\d+) \|", page, re.MULTILINE))
    own = {each.transaction.number for each in played.running.service.endpoints}
    assert set(PROFILES) == (stated | own) - NOT_PLAYED
    missing = [number for number in PROFILES if not events_of(played, number)]
    assert missing == []


@pytest.mark.parametrize("number", PROFILES)
def test_the_event_is_what_the_profile_defines(played, number):
    code, actions, sends, kinds = PROFILES[number]
    source: AuditSource = played.running.service.mpi.audit_source
    found = [event for _, event in events_of(played, number)]
    if sends is False and number in ("ITI-93", "ITI-55"):
        found = [event for event in found if not any(each["kind"] == "destination" for each in event.objects)]
    assert {event.event_code for event in found} == {code}
    assert actions <= {event.event_action for event in found}
    for event in found:
        message = etree.fromstring(audit_message(event, source))
        type_code = message.find("EventIdentification/EventTypeCode")
        assert (type_code.get("csd-code"), type_code.get("codeSystemName")) == (number, "IHE Transactions")
        assert type_code.get("originalText") == source.names[number]
        roles = {
            each.find("RoleIDCode").get("csd-code"): each.get("UserID")
            for each in message.iterfind("ActiveParticipant")
            if each.find("RoleIDCode") is not None
        }
        assert roles.keys() == {"110152", "110153"}
        assert (roles["110153"] == "traitdunion") == sends
        objects = {
            (each.get("ParticipantObjectTypeCode"), each.get("ParticipantObjectTypeCodeRole"))
            for each in message.iterfind("ParticipantObjectIdentification")
        }
        wanted = {"patient": ("1", "1"), "query": ("2", "24"), "study": ("2", "3"), "document": ("2", "3")}
        if event is found[0]:
            told = {
                kind for kind in kinds if wanted[kind] in objects or (kind == "document" and ("2", "20") in objects)
            }
            assert told == kinds
        if code == QUERY and "query" in kinds:
            asked = message.find("ParticipantObjectIdentification/ParticipantObjectQuery")
            assert len(base64.b64decode(asked.text)) > 3


def test_starting_is_told_in_the_words_of_dicom(played):
    ((_, event),) = events_of(played, "110120")
    message = etree.fromstring(audit_message(event, played.running.service.mpi.audit_source))
    assert message.find("EventIdentification/EventID").get("csd-code") == "110100"
    assert message.find("EventIdentification/EventTypeCode").get("codeSystemName") == "DCM"
    roles = [each.get("csd-code") for each in message.iterfind("ActiveParticipant/RoleIDCode")]
    assert roles == ["110150", "110151"]


def test_hl7v2_events_name_their_message_and_a_merge_has_two(played):
    (_, asked), *_ = events_of(played, "ITI-9")
    assert all("MSH-10" in each for each in asked.objects)
    query = next(each for each in asked.objects if each["kind"] == "query")
    assert query["text"].startswith("QPD|IHE PIX Query|")
    merged = [event for _, event in events_of(played, "ITI-30") if event.event_action == "D"]
    assert [each["id"].partition("^")[0] for event in merged for each in event.objects] == ["R6"]


def test_every_message_is_valid_by_the_schema_of_dicom(played):
    rng = etree.RelaxNG(etree.parse(RNG))
    xsd = etree.XMLSchema(etree.parse(XSD)) if XSD.is_file() else None
    source = played.running.service.mpi.audit_source
    checked = 0
    with played.running.service.engine.connect() as connection:
        for _, event in audit_search.find(connection, AuditSearch(), 10_000):
            message = etree.fromstring(audit_message(event, source))
            rng.assertValid(message)
            if xsd is not None:
                xsd.assertValid(message)
            checked += 1
    assert checked > len(PROFILES)


def test_every_event_is_a_valid_fhir_audit_event_in_its_pattern(played):
    source = played.running.service.mpi.audit_source
    with played.running.service.engine.connect() as connection:
        found = audit_search.find(connection, AuditSearch(), 10_000)
    profiles = set()
    for event_id, event in found:
        resource = audit_event(event_id, event, source)
        FhirAuditEvent.model_validate(resource)
        requestors = [agent for agent in resource["agent"] if agent["requestor"]]
        assert len(requestors) == 1
        profiles |= {each.rpartition(".")[2] for each in resource.get("meta", {}).get("profile", ())}
    assert profiles >= {"PatientQuery", "PatientCreate", "PatientRead"}


def test_a_schema_that_is_broken_once_is_seen(played):
    """The gate itself: a message without its source, or with an unknown action, is not valid."""
    rng = etree.RelaxNG(etree.parse(RNG))
    (_, event), *_ = events_of(played, "ITI-9")
    source = played.running.service.mpi.audit_source
    assert not rng.validate(etree.fromstring(audit_message(event._replace(event_action="X"), source)))
    message = etree.fromstring(audit_message(event, source))
    message.remove(message.find("AuditSourceIdentification"))
    assert not rng.validate(message)


def test_outbound_transactions_are_told_apart(played):
    sent = {
        each.transaction.number
        for each in played.running.service.endpoints
        if all(isinstance(binding, OutboundBinding) for binding in each.transaction.bindings)
    }
    assert sent == {number for number, (_, _, sends, _) in PROFILES.items() if sends} & sent
    for number in sent:
        ((_, event), *_) = events_of(played, number)
        assert any(each["kind"] == "destination" for each in event.objects)
