"""``traitdunion publish``: register what the sites' archives have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from ihe.errors import NotFound, Unavailable
from region import running
from region.bootstrap import Service, published_sites
from region.settings import Settings
from xds.services.publish_archive import PublishedSite, Round, publish_round


def sites_of(service: Service, codes: list[str], settle_seconds: float) -> list[PublishedSite]:
    """The sites to publish; all that have an archive when none is named.

    Raises:
        NotFound: a named one has no archive in the table of domains.
    """
    chosen = [domain for domain in service.table.establishments if not codes or domain.code in codes]
    found = published_sites(chosen, service.xds.studies.archives, settle_seconds)
    missing = set(codes) - {site.archive.site for site in found}
    if missing:
        raise NotFound(f"the table of domains names no archive of {', '.join(sorted(missing))}")
    return found


def publish_once(service: Service, site: PublishedSite) -> Round | None:
    """One look at one archive; ``None`` when it does not answer."""
    try:
        return publish_round(service.database, site, service.xds.repository)
    except Unavailable:
        return None


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the command.

    Args:
        settings: reads the settings.
    """

    @app.command()
    def publish(
        site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
        once: Annotated[bool, typer.Option("--once", help="Stop when everything that rests is registered.")] = False,
        every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks at an archive.")] = 3.0,
        settle: Annotated[float, typer.Option(min=0.0, help="Seconds a study rests before it is registered.")] = 3.0,
    ) -> None:
        """Register what archives have: site,seen,registered,replaced,deprecated,waiting (studies)."""
        with running.service(settings()) as service:
            chosen = sites_of(service, site or [], settle)
            last_look = time.monotonic() + settle + every
            while True:
                for each in chosen:
                    done = publish_once(service, each)
                    if done is None:
                        typer.echo(f"the archive of {each.archive.site} does not answer", err=True)
                    elif done.registered or done.replaced or done.deprecated or once:
                        numbers = (done.seen, done.registered, done.replaced, done.deprecated, done.waiting)
                        typer.echo(f"{each.archive.site},{','.join(map(str, numbers))}")
                if once and time.monotonic() > last_look:
                    return
                time.sleep(every)
