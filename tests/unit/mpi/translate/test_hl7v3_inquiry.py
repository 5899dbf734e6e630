"""What other communities are asked, held to the published schema and to our own reader; and what they answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.communities import Community
from ihe.errors import IheError
from ihe.soap.envelope import soap_response
from ihe.values import AssigningAuthority, Oid, PartialDate, PatientId
from ihe.xml import parse_xml, serialize
from mpi.domain.community import Inquiry
from mpi.domain.identity import Sex, Traits
from mpi.translate import hl7v3_inquiry
from mpi.translate.hl7v3_discovery import decode_discovery
from mpi.translate.hl7v3_sending import Interchange
from tests.hl7v3_wire import Answer

SOUTH = Community("South", Oid("2.25.9"), xcpd="http://south.example/")
SAMPLES = "testdata/ipf/platform-camel/ihe/hl7v3/src/test/resources"
RID = PatientId("TDU0000000001", AssigningAuthority("REGION", Oid("2.25.7")))
NAMES = st.text("ABCDEFGÉ -'", min_size=1, max_size=12).filter(lambda text: text.strip() == text and "  " not in text)


def interchange():
    return Interchange(Oid("2.25.1"), Oid("2.25.9"), "m1", datetime(2026, 1, 2, tzinfo=UTC))


@given(
    family=NAMES,
    givens=st.lists(NAMES.filter(lambda text: " " not in text), min_size=1, max_size=3),
    sex=st.sampled_from([Sex.MALE, Sex.FEMALE, Sex.OTHER, None]),
    place=st.sampled_from(["42218", "99350", None]),
    city=st.none() | NAMES,
    mother=st.none() | NAMES,
)
def test_our_own_responder_reads_what_is_asked(family, givens, sex, place, city, mother):
    said = Traits(
        birth_family_name=family,
        birth_given_names=tuple(givens),
        sex=sex,
        birth_date=PartialDate.parse("19480317"),
        birth_place_code=place,
        city=city,
        mother_family_name=mother,
        phone="0477000000",
    )
    message = hl7v3_inquiry.encode_inquiry(Inquiry(said, (RID,), 1), interchange())
    read = decode_discovery(parse_xml(serialize(message)))
    assert read.identifiers == (RID,)
    described = read.described
    assert described.birth_family_name == family
    assert described.birth_given_names == tuple(givens)
    assert (described.sex, described.birth_date, described.birth_place_code) == (sex, said.birth_date, place)
    assert (described.city, described.mother_family_name, described.phone) == (city, mother, "0477000000")


def test_a_question_is_valid_and_says_by_which_identifier_we_may_be_asked(shared_folder):
    said = Traits(birth_family_name="EXEMPLE", used_family_name="ESSAI", first_birth_given_name="MARIE", sex=Sex.FEMALE)
    full = Traits(
        birth_family_name="EXEMPLE",
        birth_given_names=("MARIE", "LOUISE"),
        sex=Sex.FEMALE,
        birth_date=PartialDate.parse("194803"),
        birth_place_code="42218",
        address="1 RUE DU TEST",
        postal_code="42000",
        city="SAINT ETIENNE",
        mother_family_name="MERE",
        phone="0477000000",
    )
    for inquiry in (Inquiry(said, (RID,), 1), Inquiry(full, (RID, RID), None), Inquiry(Traits(), (RID,), 1)):
        asked = Answer(etree.fromstring(serialize(hl7v3_inquiry.encode_inquiry(inquiry, interchange()))))
        assert asked.faults(shared_folder) == []
        assert asked.values("v:sender/v:device/v:asAgent/v:representedOrganization/v:id/@root") == ["2.25.1"]
        authors = asked.values("//v:authorOrPerformer/v:assignedDevice/v:id/@root")
        assert authors == (["2.25.7"] if inquiry.record_id else [])


def envelope(body, *headers):
    return soap_response("urn:x", None, body, headers)


def test_the_published_answer_is_read(shared_folder):
    body = parse_xml((shared_folder / SAMPLES / "iti55/iti55-sample-response.xml").read_bytes())
    answer = hl7v3_inquiry.decode_answer(envelope(body), SOUTH)
    assert [(each.patient_id.value, each.quality) for each in answer.patients] == [
        ("34827K410", 92),
        ("34827R534", 85),
    ]
    assert {each.home for each in answer.patients} == {"1.2.840.114350.1.13.99998.8734"}
    assert (answer.failure, answer.requested, answer.lifetime) == (None, (), None)
    assert hl7v3_inquiry.is_locator(envelope(body))


def test_the_published_locations_are_read(shared_folder):
    body = parse_xml((shared_folder / SAMPLES / "iti56/iti56-sample-response.xml").read_bytes())
    found = hl7v3_inquiry.decode_locations(body)
    assert [(each.home, each.patient_id.value) for each in found] == [
        ("1.2.333495.30291", "38273N237"),
        ("1.555.324.1.2.3", "7382931"),
    ]


def bare(acknowledgement="AA", rest=""):
    return parse_xml(
        f"""<PRPA_IN201306UV02 xmlns="urn:hl7-org:v3"><acknowledgement><typeCode code="{acknowledgement}"/>
        </acknowledgement><controlActProcess>{rest}</controlActProcess></PRPA_IN201306UV02>""".encode()
    )


def patient(identifier, home):
    return f"""<subject><registrationEvent><subject1><patient><id {identifier}/><patientPerson/></patient></subject1>
    <custodian><assignedEntity><id root="{home}"/></assignedEntity></custodian></registrationEvent></subject>"""


def test_what_a_community_may_answer():
    refused = hl7v3_inquiry.decode_answer(envelope(bare("AE")), SOUTH)
    assert refused.failure is not None
    nobody = hl7v3_inquiry.decode_answer(envelope(bare()), SOUTH)
    assert (nobody.failure, nobody.patients) == (None, ())
    nameless = hl7v3_inquiry.decode_answer(envelope(bare(rest=patient('nullFlavor="UNK"', "2.25.9"))), SOUTH)
    assert nameless.patients == ()
    with pytest.raises(IheError):
        hl7v3_inquiry.decode_answer(envelope(bare(rest=patient('root="2.25.3" extension="A"', "not an oid"))), SOUTH)
    with pytest.raises(IheError):
        hl7v3_inquiry.decode_answer(envelope(etree.Element("other")), SOUTH)


def test_how_long_an_answer_may_be_remembered():
    said = hl7v3_inquiry.correlation_lifetime("P0Y0M7D")
    assert hl7v3_inquiry.decode_answer(envelope(bare(), said), SOUTH).lifetime == timedelta(days=7)
    agreed = Community("South", Oid("2.25.9"), remember_days=3)
    assert hl7v3_inquiry.decode_answer(envelope(bare()), agreed).lifetime == timedelta(days=3)
    unsaid = hl7v3_inquiry.correlation_lifetime("P0D")
    assert hl7v3_inquiry.decode_answer(envelope(bare(), unsaid), agreed).lifetime is None


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1D", timedelta(days=1)),
        ("PT36H", timedelta(hours=36)),
        ("P1Y2M3DT4H5M6.7S", timedelta(days=428, hours=4, minutes=5, seconds=6)),
        ("-P1D", timedelta()),
        ("P", timedelta()),
        ("PT", timedelta()),
        ("P1DT", timedelta()),
        ("soon", timedelta()),
    ],
)
def test_durations(text, duration):
    assert hl7v3_inquiry.read_duration(text) == duration
