"""TLS as a server: protocols and ciphers of BCP 195, client certificates required, files read anew when they change.

A hospital's certificate, the list of authorities and the list of revoked certificates change while the service runs.
Each handshake uses what the files hold then; connections that stand are left alone. Files that cannot be used are said
in the log, and what they held before stays in force.

Source: ITI TF-2: 3.19 (STX: TLS 1.2 Floor using BCP195 Option); RFC 9325.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from cryptography import x509

log = logging.getLogger(__name__)

Made = TypeVar("Made")

LOOK_EVERY_SECONDS: Final = 2.0
"""How old may be what is known of a file."""
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of TLS 1.3 are all of this kind."""
_END_OF_PEM: Final = b"-----END X509 CRL-----"


class FromFiles(Generic[Made]):
    """What is made from files, made anew when one of them changes.

    Args:
        paths: the files.
        make: reads them; what it raises the first time is the caller's, later it leaves things as they were.
        look_every: how often is looked, in seconds.
    """

    def __init__(self, paths: Sequence[Path], make: Callable[[], Made], look_every: float = LOOK_EVERY_SECONDS) -> None:
        self._paths = paths
        self._make = make
        self._look_every = look_every
        self._guard = threading.Lock()
        self._seen = self._state()
        self._made = make()
        self._next_look = time.monotonic() + look_every

    @property
    def present(self) -> Made:
        """What the files hold now."""
        if time.monotonic() >= self._next_look:
            with self._guard:
                self._look()
        return self._made

    def _look(self) -> None:
        self._next_look = time.monotonic() + self._look_every
        state = self._state()
        if state == self._seen:
            return
        try:
            self._made = self._make()
        except (OSError, ValueError):
            # Also while one of several files has been replaced and the other has not: the next look will tell.
            log.exception("changed certificate files cannot be used; the former ones stay in force")
            return
        self._seen = state
        log.info("changed certificate files are in force")

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_state_of(path) for path in self._paths]


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a server with mutual TLS needs, as PEM.

    Attributes:
        certificate: ours, with the chain up to its authority.
        key: ours.
        authorities: those whose certificates callers may show.
        revoked: revocation lists of these authorities, one after the other; ``None`` where nothing is ever revoked.
    """

    certificate: Path
    key: Path
    authorities: Path
    revoked: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.certificate, self.key, self.authorities, *((self.revoked,) if self.revoked else ()))


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """The context for what the files hold now.

    Raises:
        OSError: a file cannot be read, or holds nothing of use.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.authorities)
    context.verify_mode = ssl.CERT_REQUIRED
    if files.revoked is not None:
        context.load_verify_locations(files.revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


class ServerContext(ssl.SSLContext):
    """A context for a listener that lives longer than its files.

    Servers take one context when they begin to listen, and ask it for each connection's state; that is where the
    present files come in. A new context also forgets the sessions of the former one, so that nobody resumes a session
    whose certificate has been revoked.
    """

    _contexts: FromFiles[ssl.SSLContext]

    def __new__(cls, files: TlsFiles, look_every: float = LOOK_EVERY_SECONDS) -> ServerContext:
        """A context over files.

        Raises:
            OSError: they cannot be used.
        """
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._contexts = FromFiles(files.paths, lambda: server_context(files), look_every)
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """The state of a new connection, of what the files hold now."""
        return self._contexts.present.wrap_bio(*arguments, **named)


Revoked = frozenset[tuple[bytes, int]]
"""Issuer (DER of the name) and serial number of each revoked certificate."""


def read_revoked(path: Path) -> Revoked:
    """The certificates of revocation lists.

    Args:
        path: PEM of one list or several.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no list.
    """
    found: set[tuple[bytes, int]] = set()
    for listed in _revocation_lists(path.read_bytes()):
        issuer = listed.issuer.public_bytes()
        found.update((issuer, each.serial_number) for each in listed)
    return frozenset(found)


def certificates_end(pem: bytes) -> list[datetime]:
    """When each certificate of a file ceases to be valid.

    Raises:
        ValueError: it holds none.
    """
    return [each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem)]


def revocation_ends(pem: bytes) -> list[datetime]:
    """When each revocation list of a file must have been replaced by its next.

    Raises:
        ValueError: it holds no list.
    """
    return [each.next_update_utc for each in _revocation_lists(pem) if each.next_update_utc is not None]


def _revocation_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    blocks = [block + _END_OF_PEM for block in pem.split(_END_OF_PEM)[:-1]]
    if not blocks:
        raise ValueError("the file holds no revocation list")
    return [x509.load_pem_x509_crl(block) for block in blocks]
