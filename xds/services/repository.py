"""What the repository's services need beside a unit of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from zoneinfo import ZoneInfo

from ihe.values import Oid
from xds.ports import ContentCreator, NoContent
from xds.services.registry import Registry
from xds.store.content import BlobStore

PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Repository:
    """The wired parts of the repository.

    Attributes:
        registry: where submissions are registered, in the same transaction; its reading policy is the repository's.
        content: where bytes are kept.
        unique_id: repositoryUniqueId under which documents are kept.
        site_ids: a repositoryUniqueId of its own for documents from a site, by domain code.
        zone: of dates and times in DICOM objects that don't name theirs.
        creator: makes documents that have no bytes until they are retrieved.
        keeps_on_demand: whether each document made on demand is kept and registered (Persistence of Retrieved
            Documents option).
    """

    registry: Registry
    content: BlobStore
    unique_id: Oid
    site_ids: Mapping[str, Oid] = field(default_factory=dict)
    zone: tzinfo = PARIS
    creator: ContentCreator = field(default_factory=NoContent)
    keeps_on_demand: bool = False

    def id_for(self, site: str | None) -> Oid:
        """The repositoryUniqueId for documents that a site provides."""
        return self.site_ids.get(site or "", self.unique_id)

    @property
    def own_ids(self) -> frozenset[str]:
        """Every repositoryUniqueId that is answered here."""
        return frozenset({str(self.unique_id), *map(str, self.site_ids.values())})
