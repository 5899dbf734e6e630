"""The imaging document sources of the region: whose pictures are where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ihe.values import Oid, PatientId


@dataclass(frozen=True, slots=True)
class ImagingSource:
    """One establishment's archive.

    Attributes:
        site: domain code.
        name: for people.
        pacs_url: DICOMweb root without trailing slash, or ``None``.
        location_uid: Retrieve Location UID of its pictures (RAD-69), or ``None``.
        patient_authority: OID of the authority of its local patient ids.
        accession_authority: OID that makes its accession numbers unique, or ``None``.
    """

    site: str
    name: str
    patient_authority: Oid
    pacs_url: str | None = None
    location_uid: Oid | None = None
    accession_authority: Oid | None = None


class ImagingSources:
    """Finds the source of a study by what its manifest and its entry say."""

    def __init__(self, sources: Iterable[ImagingSource]) -> None:
        self._sources = tuple(sources)
        self._by_site = {source.site: source for source in self._sources}
        self._by_location = {str(source.location_uid): source for source in self._sources if source.location_uid}
        self._by_authority = {str(source.patient_authority): source for source in self._sources}

    def __iter__(self) -> Iterator[ImagingSource]:
        return iter(self._sources)

    def by_site(self, site: str) -> ImagingSource | None:
        """The source of a domain code."""
        return self._by_site.get(site)

    def by_authority(self, patient_id: PatientId) -> ImagingSource | None:
        """The source at which a patient id was given."""
        return self._by_authority.get(str(patient_id.authority.oid))

    def find(
        self, location_uid: str | None, retrieve_url: str | None, source_patient_id: str | None
    ) -> ImagingSource | None:
        """The source that holds the pictures: by location, else by address, else by whose patient id it is.

        Args:
            source_patient_id: CX, or ``None``.
        """
        if location_uid and (found := self._by_location.get(location_uid)):
            return found
        if retrieve_url:
            for source in self._sources:
                if source.pacs_url and retrieve_url.startswith(source.pacs_url + "/"):
                    return source
        if source_patient_id:
            authority = source_patient_id.partition("^^^&")[2].partition("&")[0]
            return self._by_authority.get(authority)
        return None
