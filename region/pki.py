"""A throw-away certificate authority, to try mutual TLS. A region's certificates come from its real one (IGC Santé).

Keys are written readable for their owner alone.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_ORGANISATION: Final = "Trait d'Union"
_VALIDITY: Final = timedelta(days=365)
_AUTHORITY, _REVOKED = "authority", "revoked.pem"


class PkiFault(Exception):
    """The folder holds no such authority or certificate; one sentence."""


class DemonstrationAuthority:
    """The authority of a folder: ``authority.pem``, its key, and ``revoked.pem``."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._folder = folder
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, folder: Path) -> DemonstrationAuthority:
        """A new authority, with an empty revocation list.

        Raises:
            PkiFault: the folder has one already.
        """
        if (folder / f"{_AUTHORITY}.pem").exists():
            raise PkiFault(f"{folder} holds an authority already")
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Demonstration authority")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _certificate(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(folder, _AUTHORITY, key, certificate)
        made = cls(folder, key, certificate)
        made._write_revoked(())
        return made

    @classmethod
    def of(cls, folder: Path) -> DemonstrationAuthority:
        """The authority that a folder holds.

        Raises:
            PkiFault: it holds none.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / f"{_AUTHORITY}.pem").read_bytes())
            key = serialization.load_pem_private_key((folder / f"{_AUTHORITY}.key").read_bytes(), None)
        except (OSError, ValueError) as error:
            raise PkiFault(f"{folder} holds no authority") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise PkiFault(f"{folder} holds an authority of another kind")
        return cls(folder, key, certificate)

    def issue_server(self, host: str) -> None:
        """``server.pem`` and its key, for a host name or address."""
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        self._issue("server", _name(host), ExtendedKeyUsageOID.SERVER_AUTH, alternative)

    def issue_client(self, code: str, unit: str | None = None) -> None:
        """``CODE.pem`` and its key, for a system of a site."""
        self._issue(code, _name(code, unit or code), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def revoke(self, name: str) -> None:
        """Put a certificate of this folder on the revocation list.

        Raises:
            PkiFault: there is no such certificate.
        """
        try:
            certificate = x509.load_pem_x509_certificate((self._folder / f"{name}.pem").read_bytes())
            listed = x509.load_pem_x509_crl((self._folder / _REVOKED).read_bytes())
        except (OSError, ValueError) as error:
            raise PkiFault(f"{self._folder} holds no certificate {name}") from error
        self._write_revoked({*(each.serial_number for each in listed), certificate.serial_number})

    def _issue(
        self,
        file: str,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        alternative: x509.GeneralName | None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _certificate(subject, self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(identifier, critical=False)
        )
        if alternative is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        _write(self._folder, file, key, builder.sign(self._key, hashes.SHA256()))

    def _write_revoked(self, serial_numbers: Iterable[int]) -> None:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - timedelta(minutes=1))
            .next_update(now + _VALIDITY)
        )
        for number in serial_numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        listed = builder.sign(self._key, hashes.SHA256())
        _replace(self._folder / _REVOKED, listed.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str, unit: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)]
    if unit is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + _VALIDITY)
    )


def _write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(folder / f"{name}.key", pem)
    _replace(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that whoever reads it finds the old content or the new one, never half."""
    unfinished = path.with_suffix(f"{path.suffix}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    unfinished.replace(path)
