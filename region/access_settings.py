"""From settings to access: certificates and proxies, or the demonstration on loopback."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from ihe.authorisation import Matrix
from ihe.tls import FromFiles, ServerContext, TlsFiles, certificates_end, read_revoked, revocation_ends
from region.access import LOOPBACK, Access, Authentication, Demonstration, TrustedProxies, UserRequired
from region.authorisation import load_matrix
from region.issuers import Issuers, IssuersFault, Trust, load_issuers, nobody
from region.nodes import NodeDirectory, NodesFault, load_nodes
from region.region_table import RegionTable
from region.settings import Settings
from region.users import Users


class AccessFault(Exception):
    """The service would let in whom it does not know, or its certificates cannot be used; one sentence."""


def is_demonstration(settings: Settings) -> bool:
    """Whether nobody is authenticated."""
    return settings.tls_certificate is None and not settings.trusted_proxies


def access(settings: Settings, table: RegionTable) -> Access:
    """Who calls.

    Raises:
        AccessFault: files or addresses cannot be used.
    """
    if is_demonstration(settings):
        return Demonstration(table)
    try:
        proxies = TrustedProxies(settings.trusted_proxies)
    except ValueError as error:
        raise AccessFault("TRAITDUNION_TRUSTED_PROXIES: each is an address or a network") from error
    try:
        known = load_nodes(settings.region_table, [domain.code for domain in table])
    except NodesFault as error:
        raise AccessFault(str(error)) from error
    nodes = NodeDirectory(known)
    if settings.tls_revoked is not None:
        try:
            revoked = FromFiles((settings.tls_revoked,), partial(read_revoked, settings.tls_revoked))
        except (OSError, ValueError) as error:
            raise AccessFault("TRAITDUNION_TLS_REVOKED: the revocation lists cannot be read") from error
        nodes = NodeDirectory(known, lambda: revoked.present)
    matrix = load_matrix()
    return Authentication(
        table,
        nodes,
        proxies,
        matrix,
        Users(table),
        _issuers(settings, table, matrix),
        tuple(UserRequired.read(rule) for rule in settings.users_required),
    )


def _issuers(settings: Settings, table: RegionTable, matrix: Matrix) -> Callable[[], Issuers]:
    """Those who vouch for users, as their table and the files beside it say at the moment."""
    path = settings.issuers_table
    if path is None:
        none = nobody()
        return lambda: none
    trust = Trust(
        frozenset(settings.audiences),
        settings.clock_skew_seconds,
        settings.assertions_count_once,
        matrix.roles,
        [domain.code for domain in table],
    )
    if not trust.audiences:
        raise AccessFault("TRAITDUNION_ISSUERS_TABLE needs TRAITDUNION_AUDIENCES: the names under which we are meant")
    try:
        files = (path, *load_issuers(path, trust).files)
        found = FromFiles(files, partial(load_issuers, path, trust))
    except IssuersFault as error:
        raise AccessFault(str(error)) from error
    return lambda: found.present


def server_tls(settings: Settings) -> ServerContext | None:
    """TLS of the listeners; ``None`` in the demonstration, and where a proxy alone does it.

    Raises:
        AccessFault: files are missing or cannot be used, or a listener without TLS would be open to others.
    """
    if settings.tls_certificate is None:
        if settings.http_host not in LOOPBACK and not settings.trusted_proxies:
            raise AccessFault(
                "without certificates (TRAITDUNION_TLS_CERTIFICATE) or a reverse proxy (TRAITDUNION_TRUSTED_PROXIES)"
                f" the service listens on loopback only, not on {settings.http_host}"
            )
        return None
    if settings.tls_key is None or settings.tls_authorities is None:
        raise AccessFault("TRAITDUNION_TLS_CERTIFICATE needs TRAITDUNION_TLS_KEY and TRAITDUNION_TLS_AUTHORITIES")
    files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_authorities, settings.tls_revoked)
    try:
        return ServerContext(files)
    except OSError as error:
        raise AccessFault("the certificate files of TRAITDUNION_TLS_… cannot be used") from error


def expiries(settings: Settings) -> dict[str, datetime]:
    """When our certificate, the authorities and the revocation lists cease to be valid: the first of each file.

    A file that cannot be read is left out; the start-up and the log speak of it.
    """
    found = {}
    for name, file, moments in (
        ("certificate", settings.tls_certificate, certificates_end),
        ("authorities", settings.tls_authorities, certificates_end),
        ("revoked", settings.tls_revoked, revocation_ends),
    ):
        if file is not None:
            with suppress(OSError, ValueError):
                found[name] = min(moments(file.read_bytes()))
    return found
