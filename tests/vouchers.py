"""Issuers of our own that vouch for users: SAML assertions (XUA, VIHF) and OAuth tokens, right and wrong ones."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from lxml import etree
from signxml import SignatureMethod, XMLSigner

AUDIENCE = "https://registry.example/audience"
STS = "https://sts.example/saml"
AUTHORIZATION_SERVER = "https://login.example/realms/region"
PROFESSION = "1.2.250.1.71.1.2.7"
PURPOSE = "1.2.250.1.213.1.1.4.248"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
_NAMES = {
    "role": "urn:oasis:names:tc:xacml:2.0:subject:role",
    "purpose": "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
    "organisation": "urn:oasis:names:tc:xspa:1.0:subject:organization-id",
    "patient": "urn:oasis:names:tc:xacml:2.0:resource:resource-id",
}


def key_and_certificate(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key, and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def coded(element: str, code: str, system: str) -> str:
    """A code as HL7 v3 has it inside an attribute."""
    return (
        f'<{element} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CE"'
        f' code="{code}" codeSystem="{system}"/>'
    )


def attribute(name: str, *values: str) -> str:
    """An attribute; values are XML."""
    shown = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{_NAMES.get(name, name)}">{shown}</saml:Attribute>'


@dataclass(frozen=True)
class Wanted:
    """An assertion to be written; the defaults make one that holds."""

    subject: str = "899700000011"
    alias: str = ""
    issuer: str = STS
    audience: str | None = AUDIENCE
    begins: timedelta = timedelta(minutes=-1)
    ends: timedelta = timedelta(minutes=5)
    method: str = BEARER
    confirmation: str = ""
    login: str = ""
    conditions: str = ""
    attributes: str = field(
        default_factory=lambda: (
            attribute("role", coded("Role", "10", PROFESSION))
            + attribute("purpose", coded("PurposeOfUse", "normal", PURPOSE))
        )
    )
    id: str = "_a1"


def at(offset: timedelta) -> str:
    return (datetime.now(UTC) + offset).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unsigned(wanted: Wanted) -> etree._Element:
    """The assertion, with the place of its signature."""
    alias = f' SPProvidedID="{wanted.alias}"' if wanted.alias else ""
    audience = (
        f"<saml:AudienceRestriction><saml:Audience>{wanted.audience}</saml:Audience></saml:AudienceRestriction>"
        if wanted.audience
        else ""
    )
    login = wanted.login or (
        f'<saml:AuthnStatement AuthnInstant="{at(timedelta(minutes=-1))}"><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient</saml:AuthnContextClassRef>"
        "</saml:AuthnContext></saml:AuthnStatement>"
    )
    return etree.fromstring(
        f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" Version="2.0"'
        f' ID="{wanted.id}" IssueInstant="{at(timedelta())}"><saml:Issuer>{escape(wanted.issuer)}</saml:Issuer>'
        f'<ds:Signature xmlns:ds="{DS}" Id="placeholder"/>'
        f"<saml:Subject><saml:NameID{alias}>{wanted.subject}</saml:NameID>"
        f'<saml:SubjectConfirmation Method="{wanted.method}">{wanted.confirmation}</saml:SubjectConfirmation>'
        f'</saml:Subject><saml:Conditions NotBefore="{at(wanted.begins)}" NotOnOrAfter="{at(wanted.ends)}">'
        f"{audience}{wanted.conditions}</saml:Conditions>{login}"
        f"<saml:AttributeStatement>{wanted.attributes}</saml:AttributeStatement></saml:Assertion>"
    )


def security(*children: etree._Element) -> etree._Element:
    """``wsse:Security`` with an assertion, or whatever."""
    header = etree.Element(f"{{{WSSE}}}Security", nsmap={"wsse": WSSE})
    header.set(f"{{{SOAP}}}mustUnderstand", "true")
    header.extend(children)
    return header


class SecurityTokenService:
    """Signs assertions."""

    def __init__(self, name: str = STS) -> None:
        self.name = name
        self.key, self.certificate = key_and_certificate("security token service")

    def sign(self, element: etree._Element, **options: Any) -> etree._Element:
        """The element with its signature, over itself."""
        signer = XMLSigner(
            signature_algorithm=options.pop("algorithm", SignatureMethod.ECDSA_SHA256),
            c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
        )
        return signer.sign(
            element, key=self.key, cert=[self.certificate], reference_uri=f"#{element.get('ID')}", id_attribute="ID"
        )

    def assertion(self, wanted: Wanted | None = None, **changes: Any) -> etree._Element:
        """A signed assertion."""
        return self.sign(unsigned(replace(wanted or Wanted(issuer=self.name), **changes)))

    def header(self, **changes: Any) -> str:
        """A security header with a signed assertion, as text."""
        return etree.tostring(security(self.assertion(**changes))).decode()


def held_by(certificate: x509.Certificate) -> str:
    """The confirmation data of a holder of a key, by certificate."""
    content = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    return (
        f'<saml:SubjectConfirmationData><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{content}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml:SubjectConfirmationData>"
    )


class AuthorizationServer:
    """Signs tokens."""

    def __init__(self, name: str = AUTHORIZATION_SERVER, kid: str = "k1") -> None:
        self.name = name
        self.key = ECKey.generate_key("P-256", {"kid": kid}, private=True)

    @property
    def jwks(self) -> bytes:
        return json.dumps(KeySet([self.key]).as_dict(private=False)).encode()

    def content(self, **changes: Any) -> dict[str, Any]:
        """What a token says; ``None`` leaves a claim out."""
        now = int(time.time())
        found = {
            "iss": self.name,
            "sub": "899700000011",
            "client_id": "viewer",
            "aud": AUDIENCE,
            "iat": now - 10,
            "exp": now + 300,
            "jti": "t1",
            "scope": "ITI-67 ITI-78 user/Patient.read",
            "extensions": {
                "ihe_iua": {
                    "subject_role": [{"system": f"urn:oid:{PROFESSION}", "code": "10"}],
                    "purpose_of_use": [{"system": PURPOSE, "code": "normal"}],
                }
            },
        } | changes
        return {name: value for name, value in found.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed token."""
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, **(header or {})}, self.content(**changes), self.key)


def write_issuers(folder: Path, sts: SecurityTokenService, server: AuthorizationServer, more: str = "") -> Path:
    """A table of issuers that believes these two."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sts.pem").write_bytes(sts.certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "keys.json").write_bytes(server.jwks)
    table = folder / "issuers.toml"
    table.write_text(
        f'[[saml]]\nissuer = "{sts.name}"\ncertificates = ["sts.pem"]\n\n'
        f'[[oauth]]\nissuer = "{server.name}"\nkeys = "keys.json"\ntoken = "https://login.example/token"\n{more}'
    )
    return table
