"""Assertions of users: what holds is read, and everything else is refused (ITI-40)."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml import SignatureMethod, XMLVerifier

from ihe.claims import Coded
from ihe.errors import InvalidToken, MalformedRequest
from ihe.peer import Peer
from ihe.soap.saml import read_assertion
from ihe.soap.xua import AssertionIssuer, Assertions
from ihe.xml import parse_xml
from tests.vouchers import (
    AUDIENCE,
    DS,
    HOLDER_OF_KEY,
    PROFESSION,
    PURPOSE,
    SAML,
    SecurityTokenService,
    Wanted,
    at,
    attribute,
    coded,
    held_by,
    key_and_certificate,
    security,
    unsigned,
)

STS = SecurityTokenService()
OTHER = SecurityTokenService()
PEER = Peer("10.0.0.1")


def assertions(**options) -> Assertions:
    return Assertions([AssertionIssuer(STS.name, (STS.certificate,))], [AUDIENCE], **options)


def claims(*children, peer: Peer = PEER, of: Assertions | None = None):
    """What is read of a header that has come over the wire."""
    return (of or assertions()).claims(parse_xml(etree.tostring(security(*children))), peer)


def test_an_assertion_that_holds_is_read():
    said = claims(
        STS.assertion(
            alias="doctor",
            attributes=attribute("role", coded("Role", "10", PROFESSION), coded("Role", "SM26", "1.2.250.1.71.4.2.5"))
            + attribute("purpose", coded("PurposeOfUse", "bris_de_glace", PURPOSE))
            + attribute("organisation", "urn:oid:2.25.1")
            + attribute("Identifiant_Structure", "1420000001")
            + attribute("patient", "1^^^&amp;1.2.3&amp;ISO"),
        )
    )
    assert said.vouched == f"doctor<899700000011@{STS.name}>"
    assert said.roles == (Coded("10", PROFESSION), Coded("SM26", "1.2.250.1.71.4.2.5"))
    assert said.purpose == Coded("bris_de_glace", PURPOSE)
    assert said.organisations == {"urn:oid:2.25.1", "1420000001"}
    assert said.patient == "1^^^&1.2.3&ISO"
    assert said.single_use is None


def test_no_assertion_is_no_user():
    assert claims() is None
    assert claims(etree.Element("{urn:other}Timestamp")) is None


def test_namespaces_of_the_envelope_that_the_signature_includes_do_not_matter():
    """Between issuer and us an assertion is moved into an envelope with prefixes of its own."""
    inner = etree.tostring(STS.assertion()).decode()
    text = (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:xsi="http://www.w3.org/2001/XMLSchema'
        f'-instance" xmlns:q="urn:q"><w:Security xmlns:w="{etree.QName(security()).namespace}">{inner}</w:Security>'
        "</e:Envelope>"
    )
    assert assertions().claims(parse_xml(text.encode())[0], PEER) is not None


WRONG: dict[str, Callable[[], etree._Element]] = {
    "expired": lambda: STS.assertion(begins=timedelta(minutes=-20), ends=timedelta(minutes=-10)),
    "not yet valid": lambda: STS.assertion(begins=timedelta(minutes=5), ends=timedelta(minutes=10)),
    "for others": lambda: STS.assertion(audience="https://elsewhere.example"),
    "for others also": lambda: STS.assertion(
        conditions="<saml:AudienceRestriction><saml:Audience>urn:x</saml:Audience></saml:AudienceRestriction>"
    ),
    "for nobody": lambda: STS.assertion(audience=None),
    "under a condition unknown": lambda: STS.assertion(conditions='<x:Condition xmlns:x="urn:x"/>'),
    "without a login": lambda: STS.assertion(login="<saml:Advice/>"),
    "of a login in the future": lambda: STS.assertion(
        login=f'<saml:AuthnStatement AuthnInstant="{at(timedelta(hours=1))}"><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    ),
    "of a session that is over": lambda: STS.assertion(
        login=f'<saml:AuthnStatement AuthnInstant="{at(timedelta(hours=-2))}"'
        f' SessionNotOnOrAfter="{at(timedelta(hours=-1))}"><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    ),
    "with two logins": lambda: STS.assertion(login=2 * LOGIN),
    "with two ways of login": lambda: STS.assertion(login=LOGIN.replace(CONTEXT, 2 * CONTEXT)),
    "with a second role of one kind": lambda: STS.assertion(
        attributes=attribute("role", coded("Role", "10", PROFESSION), coded("Role", "21", PROFESSION))
    ),
    "with a second attribute of roles": lambda: STS.assertion(
        attributes=2 * attribute("role", coded("Role", "10", PROFESSION))
    ),
    "with a second purpose": lambda: STS.assertion(
        attributes=attribute(
            "purpose", coded("PurposeOfUse", "normal", PURPOSE), coded("PurposeOfUse", "centre_15", PURPOSE)
        )
    ),
    "of SAML 1": lambda: STS.sign(with_attribute(unsigned(Wanted()), "Version", "1.1")),
    "vouched for by its sender": lambda: STS.assertion(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
    "for another recipient": lambda: STS.assertion(confirmation='<saml:SubjectConfirmationData Recipient="urn:x"/>'),
    "for another address": lambda: STS.assertion(confirmation='<saml:SubjectConfirmationData Address="10.9.9.9"/>'),
    "confirmed too late": lambda: STS.assertion(
        confirmation=f'<saml:SubjectConfirmationData NotOnOrAfter="{at(timedelta(hours=-1))}"/>'
    ),
    "of an issuer unknown": lambda: STS.assertion(issuer="https://unknown.example"),
    "signed by another": OTHER.assertion,
    "not signed": lambda: without_signature(unsigned(Wanted())),
    "encrypted": lambda: etree.Element(f"{{{SAML}}}EncryptedAssertion"),
    "without a time": lambda: STS.sign(
        with_attribute(unsigned(Wanted()), "NotOnOrAfter", None, f".//{{{SAML}}}Conditions")
    ),
    "too long": lambda: STS.assertion(attributes=attribute("x", "y" * 70_000)),
}
CONTEXT = "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef>"
LOGIN = (
    f'<saml:AuthnStatement AuthnInstant="2026-01-01T00:00:00Z"><saml:AuthnContext>{CONTEXT}</saml:AuthnContext>'
    "</saml:AuthnStatement>"
)


def with_attribute(root, name: str, value: str | None, path: str | None = None):
    element = root.find(path) if path else root
    if value is None:
        del element.attrib[name]
    else:
        element.set(name, value)
    return root


def without_signature(root):
    root.remove(root.find(f"{{{DS}}}Signature"))
    return root


@pytest.mark.parametrize("name", WRONG)
def test_an_assertion_that_does_not_hold_is_refused(name):
    with pytest.raises(InvalidToken):
        claims(WRONG[name]())


def test_clocks_may_differ_a_little():
    late = STS.assertion(begins=timedelta(minutes=-9), ends=timedelta(seconds=-30))
    assert claims(late) is not None
    with pytest.raises(InvalidToken, match="expired"):
        claims(late, of=assertions(skew=timedelta(seconds=5)))


def test_a_signature_that_holds_is_not_verified_again_but_its_times_are(monkeypatch):
    moment, verified = [datetime.now(UTC)], []
    really = XMLVerifier.verify
    monkeypatch.setattr(XMLVerifier, "verify", lambda *given, **named: verified.append(1) or really(*given, **named))
    verifier, assertion = assertions(now=lambda: moment[0]), STS.assertion()
    for _ in range(3):
        assert claims(assertion, of=verifier) is not None
    assert len(verified) == 1
    moment[0] += timedelta(hours=1)
    with pytest.raises(InvalidToken, match="expired"):
        claims(assertion, of=verifier)


def test_weak_signatures_are_refused():
    key = SecurityTokenService()
    for algorithm in (SignatureMethod.ECDSA_SHA224,):
        verifier = Assertions([AssertionIssuer(key.name, (key.certificate,))], [AUDIENCE])
        with pytest.raises(InvalidToken, match="signature"):
            claims(key.sign(unsigned(Wanted()), algorithm=algorithm), of=verifier)


def test_a_holder_of_a_key_is_who_shows_its_certificate():
    _, mine = key_and_certificate("mine")
    _, anothers = key_and_certificate("another's")
    assertion = STS.assertion(method=HOLDER_OF_KEY, confirmation=held_by(mine))
    assert claims(assertion, peer=Peer("h", certificate=mine.public_bytes(serialization.Encoding.DER))) is not None
    for certificate in (None, anothers.public_bytes(serialization.Encoding.DER)):
        with pytest.raises(InvalidToken, match="confirmation"):
            claims(assertion, peer=Peer("h", certificate=certificate))
    with pytest.raises(InvalidToken, match="confirmation"):
        claims(
            STS.assertion(method=HOLDER_OF_KEY),
            peer=Peer("h", certificate=mine.public_bytes(serialization.Encoding.DER)),
        )


def test_an_issuer_may_be_held_to_one_way_of_confirmation():
    issuer = AssertionIssuer(STS.name, (STS.certificate,), frozenset({HOLDER_OF_KEY}))
    with pytest.raises(InvalidToken, match="confirmation"):
        claims(STS.assertion(), of=Assertions([issuer], [AUDIENCE]))


def test_an_issuer_that_changes_its_key_has_two():
    issuer = AssertionIssuer(STS.name, (OTHER.certificate, STS.certificate))
    both = Assertions([issuer], [AUDIENCE])
    assert claims(STS.assertion(), of=both) is not None
    assert claims(OTHER.assertion(), of=both) is not None


def test_a_distinguished_name_is_the_same_however_it_is_written():
    name = "CN=serveur,OU=ROANNE,O=Trait d'Union"
    issuer = AssertionIssuer("CN=serveur, OU=ROANNE, O=Trait d'Union".replace(", ", ","), (STS.certificate,))
    assert claims(STS.assertion(issuer=f" {name} "), of=Assertions([issuer], [AUDIENCE])) is not None


def test_a_vihf_without_audience_is_meant_for_its_target():
    known = attribute("role", coded("Role", "10", PROFESSION))
    assert claims(STS.assertion(audience=None, attributes=known + attribute("Ressource_URN", AUDIENCE))) is not None
    with pytest.raises(InvalidToken, match="others"):
        claims(STS.assertion(audience=None, attributes=known + attribute("Ressource_URN", "urn:dmp")))


def test_what_counts_once_says_so():
    once = claims(STS.assertion(conditions="<saml:OneTimeUse/>")).single_use
    again = claims(STS.assertion(conditions="<saml:OneTimeUse/>")).single_use
    other = claims(STS.assertion(conditions="<saml:OneTimeUse/>", id="_b")).single_use
    assert once.name == again.name != other.name
    assert claims(STS.assertion()).single_use is None
    assert claims(STS.assertion(), of=assertions(all_count_once=True)).single_use.name == once.name


def forged(name: str = "000000000000", id_: str = "_evil") -> etree._Element:
    """What an attacker would have believed; not signed."""
    return without_signature(unsigned(Wanted(subject=name, id=id_)))


def taken(root: etree._Element) -> etree._Element:
    """The signature of an assertion, as it stands."""
    return copy.deepcopy(root.find(f"{{{DS}}}Signature"))


def shape_signature_moved_to_the_forged():
    """1: the forged one carries the signature, which refers to the original, kept beside it."""
    original, evil = STS.assertion(), forged()
    evil.insert(1, taken(original))
    return [evil, without_signature(original)]


def shape_original_inside_the_forged():
    """2: the original, signature and all, is a child of the forged one."""
    evil = forged()
    evil.append(STS.assertion())
    return [evil]


def shape_original_inside_the_signature():
    """3: the forged one carries the signature, which holds the original as an object."""
    original, evil = STS.assertion(), forged()
    signature = taken(original)
    etree.SubElement(signature, f"{{{DS}}}Object").append(without_signature(original))
    evil.insert(1, signature)
    return [evil]


def shape_forged_inside_the_original():
    """4: the forged one stands inside the original, where it hides from a careless signature."""
    original = STS.assertion()
    original.insert(0, forged())
    return [original]


def shape_forged_before_the_original():
    """5: both stand beside one another, the forged one first."""
    return [forged(), STS.assertion()]


def shape_forged_after_the_original():
    """6: both stand beside one another, the forged one last."""
    return [STS.assertion(), forged()]


def shape_same_id():
    """7: the forged one has the name of the original, which stands inside it without its signature."""
    original, evil = STS.assertion(), forged(id_="_a1")
    evil.insert(1, taken(original))
    evil.append(without_signature(original))
    return [evil]


def shape_wrapped_in_another_header():
    """8: the original is moved away into another element, the forged one stands in its place."""
    original = STS.assertion()
    wrapper = etree.Element("{urn:x}Wrapper")
    wrapper.append(original)
    return [forged(), wrapper]


def shape_original_in_an_extension_of_the_signature():
    """9: the original as a property of the signature's key information."""
    original, evil = STS.assertion(), forged()
    signature = taken(original)
    signature.find(f"{{{DS}}}KeyInfo").append(without_signature(original))
    evil.insert(1, signature)
    return [evil]


def shape_reference_to_the_whole_document():
    """10: the signature refers to nothing by name."""
    signed = STS.assertion()
    signed.find(f".//{{{DS}}}Reference").set("URI", "")
    return [signed]


def shape_second_reference():
    """11: the signature also refers to something else."""
    signed = STS.assertion()
    reference = signed.find(f".//{{{DS}}}Reference")
    reference.addnext(copy.deepcopy(reference))
    return [signed]


def shape_transform_that_leaves_out():
    """12: a transform takes what was changed out of what is digested."""
    signed = STS.assertion()
    transform = etree.SubElement(signed.find(f".//{{{DS}}}Transforms"), f"{{{DS}}}Transform")
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
    return [signed]


def shape_signed_by_the_key_it_brings():
    """13: a signature that holds, by a key that only the assertion itself names."""
    return [OTHER.assertion()]


def shape_changed_after_signing():
    """14: a value is another one."""
    signed = STS.assertion()
    signed.find(f".//{{{SAML}}}NameID").text = "000000000000"
    return [signed]


def shape_second_attribute_statement():
    """15: a statement is added."""
    signed = STS.assertion()
    statement = signed.find(f"{{{SAML}}}AttributeStatement")
    statement.addnext(copy.deepcopy(statement))
    return [signed]


def shape_second_signature():
    """16: the forged one is signed by its forger, and carries the original's signature beside that."""
    evil = OTHER.assertion(id="_evil")
    evil.insert(1, taken(STS.assertion()))
    return [evil]


SHAPES = [name for name in globals() if name.startswith("shape_")]


BY_FORM = (
    "shape_original_inside_the_forged",
    "shape_original_inside_the_signature",
    "shape_original_in_an_extension_of_the_signature",
    "shape_reference_to_the_whole_document",
    "shape_second_reference",
    "shape_transform_that_leaves_out",
    "shape_second_signature",
)
"""Refused for their form, before any digest is made."""


@pytest.mark.parametrize("shape", SHAPES)
def test_wrapped_signatures_are_refused(shape):
    with pytest.raises(InvalidToken, match="by one signature of its own" if shape in BY_FORM else "assertion"):
        claims(*globals()[shape]())


def test_what_is_read_is_what_the_verifier_says_was_signed(monkeypatch):
    really = XMLVerifier.verify

    def verify(*given, **named):
        found = really(*given, **named)
        found.signed_xml.find(f".//{{{SAML}}}NameID").text = "what was signed"
        return found

    monkeypatch.setattr(XMLVerifier, "verify", verify)
    assert claims(STS.assertion()).subject == "what was signed"


def test_there_are_at_least_eight_shapes():
    assert len(SHAPES) >= 8


def test_a_comment_in_a_name_does_not_cut_it():
    """An issuer that signs a comment away: what stands around it is one name."""
    element = unsigned(Wanted())
    name = element.find(f".//{{{SAML}}}NameID")
    name.text = "admin"
    comment = etree.Comment("x")
    comment.tail = ".evil"
    name.append(comment)
    signed = STS.sign(element)
    assert claims(signed).subject == "admin.evil"
    assert assertions().claims(security(signed), PEER).subject == "admin.evil"  # whoever kept comments while reading


def test_evidence_inside_an_assertion_is_not_read():
    element = unsigned(Wanted())
    statement = etree.SubElement(element, f"{{{SAML}}}AuthzDecisionStatement")
    etree.SubElement(statement, f"{{{SAML}}}Evidence").append(forged())
    assert claims(STS.sign(element)).subject == "899700000011"


@functools.cache
def plain() -> bytes:
    return etree.tostring(security(STS.assertion()))


@pytest.mark.parametrize("position", range(300, 2600, 97))
def test_any_change_of_what_is_signed_is_refused_or_changes_nothing(position):
    text = bytearray(plain())
    text[position] = ord("A") if text[position] != ord("A") else ord("B")
    said = None
    with suppress(InvalidToken, MalformedRequest):
        said = assertions().claims(parse_xml(bytes(text)), PEER)
    assert said is None or said == assertions().claims(parse_xml(plain()), PEER)


@settings(max_examples=60)
@given(st.data())
def test_whatever_an_issuer_signs_is_read_or_refused(data):
    root = unsigned(Wanted(confirmation='<saml:SubjectConfirmationData NotOnOrAfter="2026-01-01T00:00:00Z"/>'))
    for _ in range(data.draw(st.integers(1, 3))):
        elements = [each for each in root.iter() if each is not root and not str(each.tag).startswith(f"{{{DS}}}")]
        chosen = data.draw(st.sampled_from(elements))
        match data.draw(st.sampled_from(["drop", "double", "text", "attributes"])):
            case "drop":
                chosen.getparent().remove(chosen)
            case "double":
                chosen.addnext(copy.deepcopy(chosen))
            case "text":
                chosen.text = data.draw(
                    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9)
                )
            case _:
                for name in chosen.attrib:
                    chosen.set(name, data.draw(st.sampled_from(["", "x", "9999-99-99T99:99:99Z", "2026-01-01", "-1"])))
        if len(root.findall(f"{{{DS}}}Signature")) != 1:
            return
    with suppress(InvalidToken):
        claims(STS.sign(root))


def test_the_sample_of_others_is_read(shared_folder):
    file = shared_folder / "testdata/ipf/commons/ihe/xacml20/src/test/resources/xua-assertion.xml"
    if not file.is_file():
        pytest.skip("the sample of an assertion of IPF is not there")
    said = read_assertion(parse_xml(file.read_bytes())).claims
    assert said.roles == (Coded("HCP", "2.16.756.5.30.1.127.3.10.6"),)
    assert said.purpose == Coded("NORM", "2.16.756.5.30.1.127.3.10.5")
    assert len(said.organisations) == 2
    assert said.patient.endswith("^^^&2.16.756.5.30.1.127.3.10.3&ISO")
