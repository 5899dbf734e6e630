"""The user behind a SOAP message: a SAML 2.0 assertion in its WS-Security header (XUA, and the French VIHF).

An assertion is taken out of the message before anything else, so that nothing around it can be mistaken for it; its
signature must be its own child, refer to it and to nothing else, and be made with a key pinned to its issuer. What is
read afterwards is what was signed: the document that the digest was made of, never the one that came.

Source: ITI TF-2: 3.40; SAML 2.0 Core: 2; SAML Token Profile 1.1; CI-SIS, Transport synchrone (VIHF).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from ihe import fibers
from ihe.claims import Claims, Recent, SingleUse
from ihe.errors import InvalidToken
from ihe.peer import Peer
from ihe.soap.saml import DS, SAML, Assertion, Confirmation, parsed_name, read_assertion
from ihe.xml import Element, qname

BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY: Final = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
LONGEST_ASSERTION: Final = 64 * 1024
"""Bytes."""

_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_TRANSFORMS: Final = frozenset({"http://www.w3.org/2000/09/xmldsig#enveloped-signature", _EXCLUSIVE})
_SIGNED: Final = SignatureConfiguration(
    location="./",
    expect_references=1,
    signature_methods=frozenset(
        each
        for each in SignatureMethod
        if each.name.startswith(("RSA_", "ECDSA_", "SHA")) and any(size in each.name for size in ("256", "384", "512"))
    ),
    digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}),
)


@dataclass(frozen=True, slots=True)
class AssertionIssuer:
    """Somebody whose assertions are believed.

    Attributes:
        name: as ``saml:Issuer`` says it.
        certificates: with which it signs, pinned; several while it changes from one to the next.
        confirmations: methods of confirmation that it may use.
    """

    name: str
    certificates: tuple[x509.Certificate, ...]
    confirmations: frozenset[str] = frozenset({BEARER, HOLDER_OF_KEY})


class Assertions:
    """Verifies assertions.

    Args:
        issuers: those who are believed; nobody else is.
        audiences: names under which this service is meant.
        skew: how far clocks may differ.
        all_count_once: whether each assertion counts once, and not only those that say so.
        now: the clock.
    """

    def __init__(
        self,
        issuers: Iterable[AssertionIssuer],
        audiences: Collection[str],
        *,
        skew: timedelta = timedelta(seconds=60),
        all_count_once: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._issuers = {parsed_name(issuer.name): issuer for issuer in issuers}
        self._audiences = frozenset(audiences)
        self._skew = skew
        self._all_count_once = all_count_once
        self._now = now
        self._recent: Recent[Assertion] = Recent()

    def claims(self, security: Element, peer: Peer) -> Claims | None:
        """What the one assertion of a security header says; ``None`` when it holds none.

        Args:
            security: ``wsse:Security``.
            peer: who sent it, with the certificate that counts.

        Raises:
            InvalidToken: it does not hold, for whatever reason.
        """
        if next(security.iter(qname(SAML, "Assertion"), qname(SAML, "EncryptedAssertion")), None) is None:
            return None
        fibers.keep_out()  # a signature takes long
        found = security.findall(qname(SAML, "Assertion"))
        # An assertion may hold others as evidence, which nobody reads; beside it there is none.
        others = (each for each in security if each not in found)
        if len(found) != 1 or any(each.find(f".//{qname(SAML, 'Assertion')}") is not None for each in others):
            raise InvalidToken("one assertion is expected, readable and directly in wsse:Security")
        return self._believed(found[0], peer)

    def _believed(self, element: Element, peer: Peer) -> Claims:
        content = etree.tostring(element, with_tail=False)
        if len(content) > LONGEST_ASSERTION:
            raise InvalidToken("the assertion is too long")
        assertion = self._recent.of(hashlib.sha256(content).digest(), lambda: self._verified(content))
        issuer = self._issuer(assertion.issuer)
        now = self._now()
        self._check_time(assertion, now)
        self._check_audience(assertion)
        if not any(self._confirms(each, issuer, peer, now) for each in assertion.confirmations):
            raise InvalidToken("no confirmation of the assertion's subject holds for who sent it")
        if assertion.counts_once or self._all_count_once:
            name = hashlib.sha256(f"{assertion.issuer}\n{assertion.id}".encode()).hexdigest()
            return replace(assertion.claims, single_use=SingleUse(name, assertion.not_on_or_after + self._skew))
        return assertion.claims

    def _issuer(self, name: str) -> AssertionIssuer:
        issuer = self._issuers.get(parsed_name(name))
        if issuer is None:
            raise InvalidToken("the issuer of the assertion is not one that is trusted")
        return issuer

    def _verified(self, content: bytes) -> Assertion:
        """What was signed, read; the signature holds."""
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
        _check_shape(root)
        issuer = self._issuer("".join(root.findtext(qname(SAML, "Issuer")) or "").strip())
        for certificate in issuer.certificates:
            try:
                found = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=_SIGNED)
            except (SignXMLException, etree.LxmlError, ValueError, TypeError, AttributeError):
                continue
            signed = found.signed_xml if isinstance(found, VerifyResult) else None
            if signed is not None and signed.tag == root.tag and signed.get("ID") == root.get("ID"):
                return read_assertion(signed)
        raise InvalidToken("the signature of the assertion does not hold, or is not its issuer's")

    def _check_time(self, assertion: Assertion, now: datetime) -> None:
        if assertion.not_before is not None and now < assertion.not_before - self._skew:
            raise InvalidToken("the assertion is not valid yet")
        if now >= assertion.not_on_or_after + self._skew:
            raise InvalidToken("the assertion has expired")
        if assertion.authenticated_at > now + self._skew:
            raise InvalidToken("the assertion speaks of a login in the future")
        if assertion.session_until is not None and now >= assertion.session_until + self._skew:
            raise InvalidToken("the session that the assertion speaks of is over")

    def _check_audience(self, assertion: Assertion) -> None:
        if not assertion.audiences or not all(each & self._audiences for each in assertion.audiences):
            raise InvalidToken("the assertion is meant for others")

    def _confirms(self, confirmation: Confirmation, issuer: AssertionIssuer, peer: Peer, now: datetime) -> bool:
        if confirmation.method not in issuer.confirmations:
            return False
        if confirmation.not_before is not None and now < confirmation.not_before - self._skew:
            return False
        if confirmation.not_on_or_after is not None and now >= confirmation.not_on_or_after + self._skew:
            return False
        if confirmation.recipient is not None and confirmation.recipient not in self._audiences:
            return False
        if confirmation.address is not None and confirmation.address != peer.host:
            return False
        return confirmation.method == BEARER or confirmation.is_held_by(peer.certificate)


def _check_shape(root: Element) -> None:
    """Refuse what is signed otherwise than a SAML assertion may be (Source: SAML 2.0 Core: 5.4)."""
    name = root.get("ID") or ""
    signatures = list(root.iter(qname(DS, "Signature")))
    if not signatures:
        raise InvalidToken("the assertion is not signed")
    references = list(signatures[0].iter(qname(DS, "Reference")))
    transforms = {each.get("Algorithm") for each in signatures[0].iter(qname(DS, "Transform"))}
    canonical = signatures[0].find(f"{qname(DS, 'SignedInfo')}/{qname(DS, 'CanonicalizationMethod')}")
    if (
        len(signatures) != 1
        or signatures[0].getparent() is not root
        or len(references) != 1
        or not name
        or references[0].get("URI") != f"#{name}"
        or transforms != _TRANSFORMS
        or canonical is None
        or canonical.get("Algorithm") != _EXCLUSIVE
        or signatures[0].find(qname(DS, "Object")) is not None
    ):
        raise InvalidToken("the assertion must be signed by one signature of its own, over itself and nothing else")
    if len(root.findall(qname(SAML, "Issuer"))) != 1:
        raise InvalidToken("the assertion has one issuer")
