"""Patients in HL7 v3: what is written is read back, and the French and plain conventions of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.errors import InvalidElement
from ihe.hl7v2.er7 import Message
from ihe.values import AssigningAuthority, Oid, PartialDate, PatientId
from ihe.xml import parse_xml
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.translate import hl7v2_patient
from mpi.translate.hl7v3_elements import first
from mpi.translate.hl7v3_patient import identifiers, name_parts, name_traits, patient_text, traits
from mpi.translate.hl7v3_text import NAMESPACES

ID = PatientId("1", AssigningAuthority("SITE", Oid("1.2.3")))
PAIRS = "testdata/ipf/commons/ihe/hl7v3/src/test/resources/translation"

word = st.text(st.sampled_from("ABCÉÏÇŒ"), min_size=1, max_size=6)
words = st.lists(word, min_size=1, max_size=3).map(" ".join)
maybe = st.none() | words


@st.composite
def stated_names(draw):
    listed = tuple(draw(st.lists(word, max_size=4)))
    head = draw(st.integers(1, 2))
    return {
        "birth_family_name": draw(words),
        "birth_given_names": listed,
        "first_birth_given_name": " ".join(listed[:head]) or None,
        "used_family_name": draw(maybe),
        "used_given_name": draw(maybe),
    }


@st.composite
def stated_traits(draw):
    order = draw(st.none() | st.integers(1, 9))
    return Traits(
        **draw(stated_names()),
        sex=draw(st.none() | st.sampled_from(Sex)),
        birth_date=draw(st.sampled_from([None, PartialDate(1948), PartialDate(1948, 3), PartialDate(1948, 3, 17)])),
        birth_place_code=draw(st.sampled_from([None, "42218", "2A004", "99109"])),
        address=draw(maybe),
        postal_code=draw(st.sampled_from([None, "42100"])),
        city=draw(maybe),
        phone=draw(st.sampled_from([None, "+33 6 39 98 00 01", "0639980001"])),
        email=draw(st.sampled_from([None, "essai@example.org"])),
        identity_status=draw(st.sampled_from(IdentityStatus)),
        identity_attributes=draw(st.frozensets(st.sampled_from(["HOMO", "DOUT", "FICT"]))),
        mother_family_name=draw(maybe),
        multiple_birth=draw(st.none() | st.booleans()),
        birth_order=order,
        death_date=draw(st.sampled_from([None, PartialDate(2020), PartialDate(2020, 2, 29)])),
    )


def written(shown, ids=(ID,), **options):
    text = f"<subject1 {NAMESPACES}>{patient_text(ids, shown, **options)}</subject1>"
    root = parse_xml(text.encode())
    assert etree.tostring(root, encoding="unicode") == text
    return first(root, "patient")


@given(stated_traits(), st.none() | st.integers(0, 100))
def test_what_is_written_is_read_back(stated, quality):
    assert traits(written(stated, match_quality=quality), "/patient") == stated


def test_identifiers_are_read_back_once():
    ins = PatientId("248034221800010", AssigningAuthority(None, Oid("1.2.250.1.213.1.4.8")))
    patient = written(None, [ID, ins, ID])
    assert identifiers(patient, "/patient") == [ID, ins]
    read = traits(patient, "/patient")
    assert (read.ins, read.ins_oid) == (ins.value, "1.2.250.1.213.1.4.8")


def names(*elements):
    root = parse_xml(f'<n xmlns="urn:hl7-org:v3">{"".join(elements)}</n>'.encode())
    read = name_traits([name_parts(name) for name in root])
    return (
        read.birth_family_name,
        read.birth_given_names,
        read.first_birth_given_name,
        read.used_family_name,
        read.used_given_name,
    )


@pytest.mark.parametrize(
    ("elements", "read"),
    [
        ([""], (None, (), None, None, None)),
        (["<name>Unknown</name>"], (None, (), None, None, None)),
        (['<name use="P"><family>PSEUDO</family></name>'], (None, (), None, None, None)),
        (
            ['<name use="L"><family>EXEMPLE</family><given>MARIE</given><given>LOUISE</given></name>'],
            ("EXEMPLE", ("MARIE", "LOUISE"), "MARIE", None, None),
        ),
        (
            [
                '<name use="L"><given>MARY</given><given>ROSE</given><family>USUEL</family></name>',
                '<name><given>ANNE</given><family qualifier="BR">NAISSANCE</family></name>',
            ],
            ("NAISSANCE", ("ANNE",), "ANNE", "USUEL", "MARY"),
        ),
        (
            [
                """<name><family qualifier="BR">EXEMPLE</family><family qualifier="SP">ESSAI</family>
                <given>MARIE LOUISE ANNE</given><given qualifier="BR">MARIE</given><given qualifier="CL">LISE</given>
                </name>"""
            ],
            ("EXEMPLE", ("MARIE", "LOUISE", "ANNE"), "MARIE", "ESSAI", "LISE"),
        ),
        (
            ['<name><given>MARIE</given><family qualifier="BR">EXEMPLE</family><family>ESSAI</family></name>'],
            ("EXEMPLE", ("MARIE",), "MARIE", "ESSAI", None),
        ),
    ],
)
def test_conventions_of_names(elements, read):
    assert names(*elements) == read


@pytest.mark.parametrize(
    "wrong",
    [
        '<administrativeGenderCode code="X"/>',
        '<birthTime value="19481301"/>',
        '<multipleBirthOrderNumber value="one"/>',
        '<deceasedTime value="2020-02-30"/>',
        '<asOtherIDs><id root="a b" extension="1"/></asOtherIDs>',
    ],
)
def test_malformed_parts_are_named(wrong):
    patient = parse_xml(f'<patient xmlns="urn:hl7-org:v3"><patientPerson>{wrong}</patientPerson></patient>'.encode())
    with pytest.raises(InvalidElement) as refused:
        traits(patient, "/message/patient")
    assert refused.value.location.startswith("/message/patient/patientPerson/")


@pytest.mark.parametrize("name", ["PIX_FEED_REG_Maximal_Request", "PIX_FEED_REV_Maximal_Request"])
def test_the_twin_of_a_version_2_message_says_the_same(shared_folder, name):
    pairs = shared_folder / PAIRS / "pixfeed"
    v2 = Message.parse((pairs / f"v2/{name}.hl7").read_bytes())
    v3 = parse_xml((pairs / f"v3/{name}.xml").read_bytes())
    patient = first(v3, "controlActProcess/subject/registrationEvent/subject1/patient")
    theirs = hl7v2_patient.traits(v2, hl7v2_patient.required_pid(v2))
    ours = traits(patient, "/patient")
    # Given names are left out: version 2 has them for the legal name only.
    for trait in ("birth_family_name", "used_family_name", "used_given_name", "sex", "birth_date", "city", "phone"):
        assert getattr(ours, trait) == getattr(theirs, trait), trait
