"""``traitdunion pki``: certificates to try mutual TLS with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from region import running
from region.pki import DemonstrationAuthority
from region.region_table import DomainKind
from region.settings import Settings

Folder = Annotated[Path, typer.Argument(file_okay=False, help="Where the certificates are.")]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    pki = typer.Typer(help="A throw-away certificate authority, to try mutual TLS.", no_args_is_help=True)

    @pki.command("demo")
    def demo(
        folder: Folder = Path("certificates"),
        host: Annotated[str, typer.Option(help="Name under which the service is reached.")] = "localhost",
    ) -> None:
        """Make an authority, a certificate of the service, and one for a system of each site."""
        table = running.region_table(settings())
        authority = DemonstrationAuthority.create(folder)
        authority.issue_server(host)
        for domain in table:
            if domain.kind in (DomainKind.ESTABLISHMENT, DomainKind.PLATFORM):
                authority.issue_client(domain.code)
        authority.issue_client("OPERATIONS", "REGION")
        for name, file in (
            ("CERTIFICATE", "server.pem"),
            ("KEY", "server.key"),
            ("AUTHORITIES", "authority.pem"),
            ("REVOKED", "revoked.pem"),
        ):
            typer.echo(f"export TRAITDUNION_TLS_{name}={folder.resolve() / file}")

    @pki.command("revoke")
    def revoke(
        folder: Folder, name: Annotated[str, typer.Argument(help="Of the certificate, for example ICL.")]
    ) -> None:
        """Put a certificate on the revocation list; a running service heeds it within seconds."""
        DemonstrationAuthority.of(folder).revoke(name)

    return pki
