"""Damaged HL7 v3 messages: decoding refuses in its own words or accepts, and either answer is valid."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe import errors
from ihe.transaction import discover
from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import parse_xml, serialize
from mpi.transactions.iti45_pix_query_v3 import PixAnswer
from mpi.translate.hl7v3_interaction import read_interaction
from tests.hl7v3_wire import (
    PERSON,
    continuation,
    demographics_query,
    discovery,
    feed,
    ii,
    name_parameter,
    parameter,
    pix_query,
    read,
    request,
)

ENDPOINTS = {
    e.transaction.number: e for e in discover("mpi.transactions") if e.transaction.actor != "Initiating Gateway"
}
ASKED = (
    parameter("livingSubjectAdministrativeGender", '<value code="F"/>'),
    parameter("livingSubjectBirthTime", '<value value="19480317"/>'),
    parameter("livingSubjectId", ii("1.2.3", "1", "value")),
    name_parameter("EXEMPLE", "MARIE", "SRCH"),
    parameter("otherIDsScopingOrganization", '<value root="1.2.3"/>'),
    parameter("patientAddress", "<value><city>ROANNE</city></value>"),
    parameter("patientTelecom", '<value value="tel:1"/>'),
)
SOUND = {
    "ITI-44 add": feed("PRPA_IN201301UV02", ii("1.2.3", "1")),
    "ITI-44 merge": feed("PRPA_IN201304UV02", ii("1.2.3", "1"), PERSON, replaced=ii("1.2.3", "2"), after=""),
    "ITI-45": pix_query(ii("1.2.3", "1", "value"), ["1.2.4", "1.2.5"]),
    "ITI-47": demographics_query(*ASKED, quantity=2),
    "ITI-47 continue": continuation(start=1, quantity=2),
    "ITI-47 cancel": continuation("QUQI_IN000003UV01_Cancel"),
    "ITI-55": discovery(*ASKED),
}
ODD = ["", " ", "x", "é", "1.2.x", "-1", "99999999999", "\u2028", "<&>", "a b", "urn:oid:1.2", "19481332", "A" * 300]


def damaged(data: bytes, seed: int) -> bytes:
    """The message with one to three things wrong with it, always the same for the same seed."""
    rng = random.Random(seed)
    root = parse_xml(data)
    for _ in range(rng.randint(1, 3)):
        elements = list(root.iter("*"))[1:]
        if not elements:
            break
        element = rng.choice(elements)
        match rng.randrange(6):
            case 0:
                element.getparent().remove(element)
            case 1:
                element.addnext(parse_xml(serialize(element)))
            case 2 if element.attrib:
                element.set(rng.choice(list(element.attrib)), rng.choice(ODD))
            case 3 if element.attrib:
                del element.attrib[rng.choice(list(element.attrib))]
            case 4:
                element.text = rng.choice(ODD)
            case _:
                element.set("nullFlavor", "UNK")
    return serialize(root)


@pytest.mark.parametrize("kind", SOUND)
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_damaged_message_is_refused_or_read(shared_folder, kind, seed):
    endpoint = ENDPOINTS[kind.split()[0]]
    asked = request(damaged(SOUND[kind], seed))
    try:
        endpoint.decode(asked)
        error: errors.IheError = errors.UnknownPatient("no patient is known", "/x")
    except errors.IheError as refusal:
        error = refusal
    reply = endpoint.refuse(error, asked)
    if reply.fault is None:
        assert read(reply).faults(shared_folder) == []


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip))
def test_every_identifier_can_be_written(value):
    identifier = PatientId(value.strip(), AssigningAuthority("N", Oid("1.2.3")))
    asked = request(pix_query(ii("1.2.3", "1", "value")))
    assert (
        read(ENDPOINTS["ITI-45"].encode(PixAnswer(read_interaction(asked.body_element), (identifier,)), asked)).ids
        != []
    )
