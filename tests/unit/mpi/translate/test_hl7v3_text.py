"""Parts of HL7 v3 answers as text: whatever a value holds, what is written is what lxml would write of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import parse_xml
from mpi.domain.identity import Traits
from mpi.translate.hl7v3_elements import every, first
from mpi.translate.hl7v3_interaction import read_interaction
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import receiver_id, registration_text
from mpi.translate.hl7v3_text import NAMESPACES, element, id_text, repeated, repeated_id
from tests.hl7v3_wire import ii, pix_query

any_text = st.text(st.characters() | st.sampled_from("<>&\"'\r\n\t ]")).map("x".__add__)


def read(text):
    """The only child of a message, which is written as lxml writes it."""
    whole = f"<answer {NAMESPACES}>{text}</answer>"
    root = parse_xml(whole.encode())
    assert etree.tostring(root, encoding="unicode") == whole
    (child,) = root
    return child


@given(any_text, st.none() | any_text)
def test_identifiers_of_any_characters_are_written_whole(value, namespace):
    identifier = PatientId(value.strip(), AssigningAuthority(namespace, Oid("1.2.3")))
    written = read(id_text(identifier))
    expected = etree.Element("id", root="1.2.3", extension=allowed(value.strip()))
    if namespace:
        expected.set("assigningAuthorityName", allowed(namespace))
    assert dict(written.attrib) == dict(expected.attrib)


def allowed(text):
    """The text without the characters that lxml refuses."""
    return "".join(character for character in text if is_allowed(character))


def is_allowed(character):
    try:
        etree.Element("a").text = character
    except ValueError:
        return False
    return True


@given(st.tuples(*(any_text for _ in range(6))))
def test_traits_of_any_characters_are_written_whole(values):
    family, used, given_name, city, phone, mother = values
    shown = Traits(
        birth_family_name=family,
        birth_given_names=(given_name,),
        used_family_name=used,
        city=city,
        phone=phone,
        mother_family_name=mother,
    )
    patient = read(patient_text([PatientId("1", AssigningAuthority(None, Oid("1.2.3")))], shown))
    name = first(patient, "patientPerson/name")
    assert [part.text for part in name][:3] == [allowed(each) for each in (family, used, given_name)]
    assert first(patient, "patientPerson/addr/city").text == allowed(city)
    assert first(patient, "patientPerson/telecom").get("value") == f"tel:{allowed(phone)}"
    assert first(patient, "patientPerson/personalRelationship/relationshipHolder1/name/family").text == allowed(mother)


def test_a_registration_is_kept_by_the_receiver_of_the_question():
    question = parse_xml(pix_query(ii("1.2.3", "1", "value")))
    registered = read(registration_text("<patient/>", receiver_id(read_interaction(question))))
    assert [each.get("root") for each in every(registered, "registrationEvent/custodian/assignedEntity/id")] == [
        "1.2.250.9.1"
    ]


def test_an_element_without_content_is_one_tag():
    assert element('a b="c d"', "") == '<a b="c d"/>'
    assert element('a b="c d"', "<e/>") == '<a b="c d"><e/></a>'


def test_what_is_repeated_keeps_what_prefixes_in_values_mean_and_leaves_out_what_is_not_allowed():
    source = parse_xml(
        b"""<value xmlns="urn:hl7-org:v3" xmlns:urn="urn:hl7-org:v3" xmlns:o="urn:other" xsi:type="urn:PN" o:a="1"
            xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" use="L" code="a b">A<given>B</given>C
            <family xsi:type="o:T"/><o:x/></value>"""
    )
    text = repeated(source)
    assert read(text).tag == source.tag
    assert 'use="L" xsi:type="PN"' in text or 'xsi:type="PN" use="L"' in text
    assert "<given>B</given><family/></value>" in text
    assert "other" not in text
    assert "a b" not in text


@given(any_text)
def test_what_is_repeated_holds_any_text_of_the_question(value):
    source = etree.Element("{urn:hl7-org:v3}value", extension=allowed(value))
    etree.SubElement(source, "{urn:hl7-org:v3}family").text = allowed(value)
    written = read(repeated(source))
    assert (written.get("extension"), written[0].text) == (source.get("extension"), source[0].text)


@pytest.mark.parametrize("root", ["", "not an id", "1.02", "é" * 3, "1." * 90])
def test_invalid_identifiers_of_a_question_are_not_repeated(root):
    question = etree.Element("id", root=root, extension="1")
    assert repeated_id(question) == '<id nullFlavor="UNK"/>'


@given(any_text)
def test_valid_identifiers_of_a_question_are_repeated(value):
    written = read(repeated_id(etree.Element("id", root="1.2.3", extension=allowed(value))))
    assert dict(written.attrib) == {"root": "1.2.3", "extension": allowed(value).strip()}
