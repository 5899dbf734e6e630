"""A SAML 2.0 assertion as a value; whether it is to be believed is asked elsewhere (:mod:`ihe.soap.xua`).

Nothing is guessed: where an assertion says a thing twice, or says what is not understood here, it is refused.

Source: SAML 2.0 Core: 2; ITI TF-2: 3.40.4.1.2; CI-SIS, Transport synchrone (VIHF 3.0).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ihe.claims import Claims, Coded
from ihe.errors import InvalidToken
from ihe.xml import NS, Element, local_name, namespace_of, qname

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
DS11: Final = "http://www.w3.org/2009/xmldsig11#"

ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE: Final = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
ORGANISATION: Final = "urn:oasis:names:tc:xspa:1.0:subject:organization-id"
STRUCTURE: Final = "Identifiant_Structure"
RESOURCES: Final = tuple(f"urn:oasis:names:tc:xacml:{version}:resource:resource-id" for version in ("2.0", "1.0"))
TARGET: Final = "Ressource_URN"
"""Of a VIHF: the system that it is meant for."""

_CONDITIONS: Final = frozenset({"AudienceRestriction", "OneTimeUse", "ProxyRestriction"})


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the subject of an assertion is confirmed.

    Attributes:
        keys: of a holder: SubjectPublicKeyInfo (DER) of each key named.
    """

    method: str
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    recipient: str | None = None
    address: str | None = None
    keys: frozenset[bytes] = frozenset()

    def is_held_by(self, certificate: bytes | None) -> bool:
        """Whether a connection's certificate (DER) is that of a key named."""
        return certificate is not None and _key_of_certificate(certificate) in self.keys


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an assertion says.

    Attributes:
        audiences: one set for each restriction; each must name the recipient.
        counts_once: whether it says that it counts once.
        authenticated_at: when the subject logged in.
        session_until: when that login ends, or ``None``.
    """

    id: str
    issuer: str
    claims: Claims
    not_before: datetime | None
    not_on_or_after: datetime
    audiences: tuple[frozenset[str], ...]
    counts_once: bool
    confirmations: tuple[Confirmation, ...]
    authenticated_at: datetime
    session_until: datetime | None


def read_assertion(root: Element) -> Assertion:
    """Read an assertion.

    Raises:
        InvalidToken: something needed is missing, stands twice, or is not understood.
    """
    if root.get("Version") != "2.0":
        raise InvalidToken("an assertion of SAML 2.0 is expected")
    issuer, subject = _text(_one(root, "Issuer")), _one(root, "Subject")
    name, conditions, login = _one(subject, "NameID"), _one(root, "Conditions"), _login(root)
    attributes = dict(_attributes(root))
    not_on_or_after = _instant(conditions, "NotOnOrAfter")
    if not_on_or_after is None or not issuer or not _text(name):
        raise InvalidToken("an assertion names its issuer and subject, and the time at which it expires")
    claims = Claims(
        issuer=issuer,
        subject=_text(name),
        alias=(name.get("SPProvidedID") or "").strip(),
        roles=_roles(attributes.get(ROLE, ())),
        purpose=_purpose(attributes.get(PURPOSE, ())),
        organisations=frozenset(
            _text(each) for key in (ORGANISATION, STRUCTURE) for each in attributes.get(key, ()) if _text(each)
        ),
        patient=_patient(attributes),
    )
    return Assertion(
        id=root.get("ID") or "",
        issuer=issuer,
        claims=claims,
        not_before=_instant(conditions, "NotBefore"),
        not_on_or_after=not_on_or_after,
        audiences=_audiences(conditions, attributes),
        counts_once=conditions.find(qname(SAML, "OneTimeUse")) is not None,
        confirmations=tuple(_confirmation(each) for each in subject.findall(qname(SAML, "SubjectConfirmation"))),
        authenticated_at=login.at,
        session_until=login.until,
    )


@lru_cache(maxsize=256)
def parsed_name(issuer: str) -> str:
    """An issuer's name so that two writings of one distinguished name are equal."""
    try:
        return x509.Name.from_rfc4514_string(issuer.strip()).rfc4514_string()
    except ValueError:
        return issuer.strip()


@dataclass(frozen=True, slots=True)
class _Login:
    at: datetime
    until: datetime | None


def _login(root: Element) -> _Login:
    """The one login that the assertion speaks of (Source: ITI TF-2: 3.40.4.1.2)."""
    statement = _one(root, "AuthnStatement")
    context = _one(statement, "AuthnContext")
    at = _instant(statement, "AuthnInstant")
    named = [_text(each) for each in context if local_name(each) in ("AuthnContextClassRef", "AuthnContextDeclRef")]
    if at is None or len(named) != 1 or not named[0]:
        raise InvalidToken("an assertion says when and in which one way its subject logged in")
    return _Login(at, _instant(statement, "SessionNotOnOrAfter"))


def _attributes(root: Element) -> Iterator[tuple[str, tuple[Element, ...]]]:
    """The values of each attribute by its name; one that stands twice could be read in two ways."""
    seen = set()
    for statement in root.findall(qname(SAML, "AttributeStatement")):
        for attribute in statement.findall(qname(SAML, "Attribute")):
            name = (attribute.get("Name") or "").strip()
            if name in seen:
                raise InvalidToken("an attribute of the assertion stands twice")
            seen.add(name)
            yield name, tuple(attribute.findall(qname(SAML, "AttributeValue")))


def _roles(values: tuple[Element, ...]) -> tuple[Coded, ...]:
    """A profession, and beside it what else is said of it, each in a system of its own."""
    found = tuple(dict.fromkeys(code for value in values for code in _codes(value)))
    if len({role.system for role in found}) < len(found):
        raise InvalidToken("the assertion names two roles of one kind")
    return found


def _purpose(values: tuple[Element, ...]) -> Coded | None:
    found = tuple(dict.fromkeys(code for value in values for code in _codes(value)))
    if len(found) > 1:
        raise InvalidToken("the assertion names two purposes of use")
    return found[0] if found else None


def _codes(value: Element) -> Iterator[Coded]:
    """A code of an attribute, as an HL7 element, or as a text."""
    elements = [each for each in value if namespace_of(each) == NS.HL7V3]
    for each in elements:
        if code := (each.get("code") or "").strip():
            yield Coded(code, (each.get("codeSystem") or "").strip().removeprefix("urn:oid:"))
    if not elements and len(value) == 0 and _text(value):
        yield Coded.read(_text(value))


def _patient(attributes: dict[str, tuple[Element, ...]]) -> str | None:
    found = {_text(value) for name in RESOURCES for value in attributes.get(name, ()) if _text(value)}
    if len(found) > 1:
        raise InvalidToken("the assertion is about two patients")
    return next(iter(found), None)


def _audiences(conditions: Element, attributes: dict[str, tuple[Element, ...]]) -> tuple[frozenset[str], ...]:
    if any(namespace_of(each) != SAML or local_name(each) not in _CONDITIONS for each in conditions):
        raise InvalidToken("the assertion holds under a condition that is not understood here")
    restrictions = tuple(
        frozenset(_text(each) for each in restriction.findall(qname(SAML, "Audience")))
        for restriction in conditions.findall(qname(SAML, "AudienceRestriction"))
    )
    target = frozenset(_text(each) for each in attributes.get(TARGET, ()))
    return restrictions or ((target,) if target else ())


def _confirmation(element: Element) -> Confirmation:
    data = element.find(qname(SAML, "SubjectConfirmationData"))
    method = element.get("Method") or ""
    if data is None:
        return Confirmation(method)
    return Confirmation(
        method,
        _instant(data, "NotBefore"),
        _instant(data, "NotOnOrAfter"),
        data.get("Recipient"),
        data.get("Address"),
        frozenset(_keys(data)),
    )


def _keys(data: Element) -> Iterator[bytes]:
    """The keys of a holder, however they are told (Source: SAML 2.0 Holder-of-Key Profile: 2.5)."""
    for info in data.findall(qname(DS, "KeyInfo")):
        try:
            for each in info.iter(qname(DS, "X509Certificate")):
                yield _key_of_certificate(_decoded(each))
            for each in info.iter(qname(DS11, "DEREncodedKeyValue")):
                key = load_der_public_key(_decoded(each))
                yield key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for each in info.iter(qname(DS, "RSAKeyValue")):
                modulus, exponent = (
                    int.from_bytes(_decoded(each.find(qname(DS, name))), "big") for name in ("Modulus", "Exponent")
                )
                yield (
                    rsa.RSAPublicNumbers(exponent, modulus)
                    .public_key()
                    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                )
        except ValueError as error:
            raise InvalidToken("a key in the assertion cannot be read") from error


@lru_cache(maxsize=4096)
def _key_of_certificate(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _decoded(element: Element | None) -> bytes:
    try:
        return base64.b64decode("".join(_text(element).split()), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _instant(element: Element, name: str) -> datetime | None:
    value = element.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise InvalidToken(f"{name} of the assertion is no time") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _one(parent: Element, name: str) -> Element:
    found = parent.findall(qname(SAML, name))
    if len(found) != 1:
        raise InvalidToken(f"an assertion has one {name}")
    return found[0]


def _text(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(str(each) for each in element.itertext()).split())
