"""How the archives of the region and their manifests stand, for operators; no patient data."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from xds.services.studies import Studies
from xds.store import imaging_notices, published
from xds.store.imaging_notices import Notice
from xds.store.published import SiteState

_MOST_NOTICES = 200


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """One site's archive.

    Attributes:
        answers: whether it is known to answer now.
        published: how far it is published from here; ``None`` when it isn't.
    """

    site: str
    name: str
    answers: bool
    published: SiteState | None


def archive_states(uow: UnitOfWork, studies: Studies) -> list[ArchiveState]:
    """Of every archive that the table of domains names."""
    published_sites = {state.site: state for state in published.states(uow.connection)}
    return [
        ArchiveState(source.site, source.name, not archive.breaker.is_open, published_sites.get(source.site))
        for source in studies.sources
        if (archive := studies.archives.of(source.site)) is not None
    ]


def notices(uow: UnitOfWork) -> list[Notice]:
    """What is odd about manifests in force, the latest first, at most two hundred."""
    return imaging_notices.current(uow.connection, _MOST_NOTICES)
