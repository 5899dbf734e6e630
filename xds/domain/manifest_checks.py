"""Does a manifest say the same as its document entry?

Differences are warnings: the submission stands, an operator is told. The patient id of a manifest and that of its entry
differ by design (national identity against local number), so ids are compared only where both have one issuer.

Source: RAD TF-3: 4.68.4.1.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, tzinfo

from ihe.errors import Finding
from ihe.values import AssigningAuthority, Oid, parse_dtm
from xds.domain.imaging import ImagingStudy, IssuedId, Manifest
from xds.domain.model import DocumentEntry

STUDY_REFERENCE = "urn:ihe:iti:xds:2016:studyInstanceUID"
ACCESSION_REFERENCE = "urn:ihe:iti:xds:2013:accession"

NO_ISSUER = "the patient id of the header names no issuer; it is taken for one of the site's own domain"
"""Told to the operator."""

_MODALITY_SCHEMES = frozenset({"DCM", "1.2.840.10008.2.16.4", "urn:oid:1.2.840.10008.2.16.4"})
_REGION_SCHEMES = frozenset(
    {"SCT", "SRT", "2.16.840.1.113883.6.96", "urn:oid:2.16.840.1.113883.6.96", "http://snomed.info/sct"}
)


def check_manifest(manifest: Manifest, entry: DocumentEntry, zone: tzinfo) -> Iterator[Finding]:
    """Warnings about what differs, and about what makes a manifest useless.

    Args:
        zone: of the manifest's dates and times where it doesn't say.
    """
    if not manifest.lists_study:
        yield _warning(entry, "the key object document is no manifest; its studies are not listed")
        return
    if entry.unique_id != manifest.uid:
        yield _warning(entry, "uniqueId is not the SOP instance UID of the manifest")
    if len(manifest.studies) > 1:
        yield _warning(entry, "the manifest lists more than one study")
    if all(study.uid != manifest.study_uid for study in manifest.studies):
        yield _warning(entry, "the manifest lists another study than that of its own header")
    if not any(study.instance_count for study in manifest.studies):
        yield _warning(entry, "the manifest lists no instance")
    elif any(study.retrieval.url is None and study.retrieval.location_uid is None for study in manifest.studies):
        yield _warning(entry, "the manifest doesn't say where its study can be fetched")
    if manifest.unlisted:
        yield _warning(entry, "the manifest refers to instances that its evidence doesn't list")
    yield from _check_references(manifest, entry)
    yield from _check_modalities(manifest, entry)
    yield from _check_patient(manifest, entry)
    yield from _check_time(manifest, entry, zone)


def _check_references(manifest: Manifest, entry: DocumentEntry) -> Iterator[Finding]:
    stated = {value for value, _ in _references(entry, STUDY_REFERENCE)}
    if stated and not stated & {study.uid for study in manifest.studies}:
        yield _warning(entry, "referenceIdList names another study than the manifest")
    numbers = {value for value, _ in _references(entry, ACCESSION_REFERENCE)}
    listed = {accession.value for study in manifest.studies for accession in study.accessions}
    if numbers and listed and not numbers & listed:
        yield _warning(entry, "referenceIdList names another accession number than the manifest")


def _check_modalities(manifest: Manifest, entry: DocumentEntry) -> Iterator[Finding]:
    stated = {code.code for code in entry.event_code_list if code.scheme in _MODALITY_SCHEMES}
    listed = {modality for study in manifest.studies for modality in study.modalities}
    if stated and listed and not stated & listed:
        yield _warning(entry, "eventCodeList names another modality than the manifest")


def _check_patient(manifest: Manifest, entry: DocumentEntry) -> Iterator[Finding]:
    by_issuer = {
        str(issued.issuer.oid): issued.value for issued in manifest.patient.ids if issued.issuer and issued.issuer.oid
    }
    for stated in (entry.patient_id, entry.source_patient_id):
        if stated is not None and by_issuer.get(str(stated.authority.oid), stated.value) != stated.value:
            yield _warning(entry, "the manifest names another patient id of the same issuer than the metadata")


def _check_time(manifest: Manifest, entry: DocumentEntry, zone: tzinfo) -> Iterator[Finding]:
    if entry.service_start_time is None or not manifest.studies:
        return
    started = manifest.studies[0].started_at(manifest.zone(zone))
    try:
        stated = parse_dtm(entry.service_start_time)
    except ValueError:
        return
    if started is not None and abs(started - stated) > timedelta(days=1):
        yield _warning(entry, "serviceStartTime is more than a day from the date of the study")


def with_metadata(manifest: Manifest, entry: DocumentEntry) -> Manifest:
    """The manifest with what only the entry says: region, modality, issuer of the accession, title.

    Only a manifest of one study can be completed: the entry says nothing of which of several it means.
    """
    if len(manifest.studies) != 1:
        return manifest
    (study,) = manifest.studies
    series = study.series
    modalities = [code.code for code in entry.event_code_list if code.scheme in _MODALITY_SCHEMES]
    if len(modalities) == 1:
        series = tuple(found if found.kind else replace(found, modality=modalities[0]) for found in series)
    regions = tuple(code for code in entry.event_code_list if code.scheme in _REGION_SCHEMES)
    title = entry.title[0].value if entry.title else None
    completed = replace(
        study,
        series=series,
        regions=study.regions or regions,
        description=study.description or title,
        accessions=_completed_accessions(study, entry),
    )
    return replace(manifest, studies=(completed,))


def _completed_accessions(study: ImagingStudy, entry: DocumentEntry) -> tuple[IssuedId, ...]:
    stated = [IssuedId(value, issuer) for value, issuer in _references(entry, ACCESSION_REFERENCE)]
    issuers = {accession.value: accession for accession in stated if accession.issuer}
    return tuple(found if found.issuer else issuers.get(found.value, found) for found in study.accessions) or tuple(
        stated
    )


def _references(entry: DocumentEntry, kind: str) -> Iterator[tuple[str, AssigningAuthority | None]]:
    """Value and issuer of the CXi values of one kind in the referenceIdList."""
    for cxi in entry.reference_id_list:
        parts = cxi.strip().split("^")
        if len(parts) < 5 or parts[4] != kind or not parts[0]:
            continue
        authority = parts[3].split("&")
        try:
            issuer = AssigningAuthority(authority[0] or None, Oid(authority[1]) if len(authority) > 1 else None)
        except ValueError:
            issuer = None
        yield parts[0], issuer


def _warning(entry: DocumentEntry, problem: str) -> Finding:
    return Finding("InvalidDocumentContent", f"{entry.unique_id}: {problem}", entry.id, "Warning")
