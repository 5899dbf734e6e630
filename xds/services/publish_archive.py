"""Publish what an archive has, for sites whose archive cannot register its studies itself.

The archive is asked what it has (QIDO-RS); a study of which the list has said the same for a while is registered with a
manifest (as by RAD-68), replaced when it changes, deprecated when the archive says that it is gone. When the archive
corrects whose a study is, it leaves the history of the first patient at once. What was seen and registered is kept in
the database: a restart goes on where it was, and two publishers do not work on one study at once.
A shorter answer of the archive proves nothing: gone is only what it does not have when asked for it by name.

Source: RAD TF-3: 4.68.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from ihe.audit import AuditEvent, AuditTrail, Outcome
from ihe.caller import Caller
from ihe.errors import NotFound, Refused, Unavailable
from ihe.store import audit
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import AssigningAuthority, Code, Oid, PatientId, format_dtm
from xds.archive.client import Archive
from xds.domain.imaging import (
    DICOM_UID_REGISTRY,
    KEY_OBJECT_SELECTION,
    ImagingSeries,
    ImagingStudy,
    IssuedId,
    Manifest,
    ManifestPatient,
    is_uid,
)
from xds.domain.manifest_checks import NO_ISSUER
from xds.domain.model import (
    Association,
    AssociationType,
    Author,
    Availability,
    DocumentEntry,
    LocalizedText,
    Submission,
    SubmissionSet,
)
from xds.domain.registered import RegisteredEntry
from xds.services import get
from xds.services.get import Named
from xds.services.provide_bytes import provide_bytes
from xds.services.repository import Repository
from xds.services.update import update
from xds.store import imaging, imaging_notices, published
from xds.store.published import WatchedStudy
from xds.translate.kos_manifest import read_kos
from xds.translate.kos_writer import build_kos
from xds.translate.qido_answer import Json, number_of, read_patient, read_study, text_of

_PAGE = 500
_JSON = "application/dicom+json"
_FRENCH_TYPES = "1.2.250.1.213.1.1.4.12"
_MODALITIES = "1.2.840.10008.2.16.4"
_MEMBER = {"SubmissionSetStatus": ("Original",)}
_SAID = ("00201208", "00201206", "00100020", "00100021", "00100010", "00100030", "00100040", "00080050", "00080020")


@dataclass(frozen=True, slots=True)
class PublishedSite:
    """Whose archive is published.

    Attributes:
        archive: asked by DICOMweb.
        facility_type: code of its kind of establishment.
        settle_seconds: how long the count of a study's instances rests before it is registered.
        change_feed: address at which an Orthanc tells what changes, or ``None``; it tells what rests, too.
    """

    archive: Archive
    facility_type: str = "SA01"
    settle_seconds: float = 5.0
    change_feed: str | None = None

    @property
    def caller(self) -> Caller:
        """On whose behalf documents are registered."""
        return Caller(node="publisher", site=self.archive.site)


@dataclass(slots=True)
class Round:
    """What one look at an archive led to: numbers of studies."""

    seen: int = 0
    registered: int = 0
    replaced: int = 0
    deprecated: int = 0
    waiting: int = 0


def publish_round(
    database: Database, site: PublishedSite, repository: Repository, only: Collection[str] | None = None
) -> Round:
    """Look at an archive once and register what has changed.

    Args:
        only: UIDs of the studies to look at, instance by instance; ``None``: all that it has, as it lists them.

    Raises:
        Unavailable: the archive does not answer; nothing was concluded from that.
    """
    done = Round()
    listed = _listed(site.archive, only)
    with database.unit(site.caller) as uow:
        if not published.lock(uow.connection, site.archive.site):
            return done
        known = published.of_site(uow.connection, site.archive.site, only)
        for uid, found in listed.items():
            if uid not in known or known[uid].listed != found.digest:
                published.saw(uow.connection, site.archive.site, uid, found.instances, found.digest, uow.now)
        known = published.of_site(uow.connection, site.archive.site, only)
        settled = uow.now - timedelta(seconds=site.settle_seconds)
    done.seen = len(listed)
    for uid, found in listed.items():
        study = known[uid]
        is_new = found.digest != study.published_listed
        if study.listed == found.digest and (is_new or only is not None) and study.since <= settled:
            _publish(database, site, repository, study, found.patients, done)
    for uid in known.keys() - listed.keys():
        if not list(_page(site.archive, f"/studies?StudyInstanceUID={uid}&limit=1")):
            _withdraw(database, site, repository, known[uid], done)
    return done


@dataclass(frozen=True, slots=True)
class _Listed:
    """What an archive's list says of a study.

    Attributes:
        digest: of the count, the patient, the accession number and the date: what a manifest says too.
        patients: under how many patient ids the archive has it.
    """

    instances: int
    digest: str
    patients: int


def _listed(archive: Archive, only: Collection[str] | None) -> dict[str, _Listed]:
    """What the archive lists, by study UID."""
    if only is None:
        items: Iterable[Json] = _pages(archive, "/studies")
    else:
        named = (f"/studies?StudyInstanceUID={uid}&limit={_PAGE}&includefield=00201208" for uid in only if is_uid(uid))
        items = (item for path in named for item in _page(archive, path))
    by_uid: dict[str, list[Json]] = {}
    for item in items:
        by_uid.setdefault(text_of(item, "0020000D") or "", []).append(item)
    return {uid: _read_listed(found) for uid, found in by_uid.items() if is_uid(uid)}


def _publish(
    database: Database,
    site: PublishedSite,
    repository: Repository,
    watched: WatchedStudy,
    patients: int,
    done: Round,
) -> None:
    uid, archive = watched.study_uid, site.archive
    path = f"/studies/{uid}/instances"
    instances = list(_pages(archive, path))
    if len(instances) != watched.instances:
        return  # it is changing: the next round sees that
    first = instances[0]
    one = f"/studies/{uid}/series/{text_of(first, '0020000E')}/instances/{text_of(first, '00080018')}/metadata"
    (header, *_) = _page(archive, one) or [first]
    source = archive.source
    study = read_study(uid, instances, header, source.accession_authority, source.location_uid, source.pacs_url or "")
    stated = read_patient(header)
    patient = _with_issuer(stated, AssigningAuthority(archive.site, source.patient_authority))
    whose = _patient_id(patient) if patients == 1 else None
    _take_from_another(database, site, repository, watched, whose, done)
    try:
        with database.unit(site.caller) as uow:
            if not published.hold(uow.connection, archive.site, watched):
                return  # another publisher has it in hand
            if whose is None or repository.registry.directory.resolve(uow, whose) is None:
                reason = (
                    "the index does not know the patient" if patients == 1 else "the archive has it of two patients"
                )
                published.waits(uow.connection, archive.site, uid, reason)
                done.waiting += 1
                return
            if repository.registry.directory.wishes(uow, whose)[whose.xds_cx].opposes_feeding:
                published.waits(uow.connection, archive.site, uid, "the patient opposes that documents are shared")
                done.waiting += 1
                return
            replaced = _current(uow, watched)
            manifest = _manifest(study, patient, site, uow.now)
            if replaced is not None and _says_the_same(uow, replaced, manifest, repository):
                published.registered(uow.connection, archive.site, uid, watched.listed, replaced.unique_id)
                return
            _register(uow, site, manifest, whose, replaced, repository)
            published.registered(uow.connection, archive.site, uid, watched.listed, manifest.uid)
            if stated != patient:
                imaging_notices.note(uow.connection, uow.now, archive.site, manifest.uid, NO_ISSUER)
    except Refused as refusal:
        with database.unit(site.caller) as uow:
            published.waits(uow.connection, archive.site, uid, refusal.findings[0].code)
        done.waiting += 1
        return
    if replaced is None:
        done.registered += 1
    else:
        done.replaced += 1


def _take_from_another(
    database: Database,
    site: PublishedSite,
    repository: Repository,
    watched: WatchedStudy,
    whose: PatientId | None,
    done: Round,
) -> None:
    """Deprecate the manifest of another patient than the header now names, whatever becomes of the new one."""
    if watched.document_unique_id is None:
        return
    with database.unit(site.caller) as uow:
        if not published.hold(uow.connection, site.archive.site, watched):
            return
        current = _current(uow, watched)
        if current is not None and (whose is None or current.patient_id != whose.xds_cx):
            _deprecate(uow, site, current, repository)
            done.deprecated += 1


def _says_the_same(uow: UnitOfWork, entry: RegisteredEntry, manifest: Manifest, repository: Repository) -> bool:
    """Whether the manifest in force lists the same instances of the same patient and examination."""
    now = read_kos(build_kos(manifest), repository.zone)
    (study,) = now.studies
    found = [each for each in imaging.find_by_document(uow.connection, entry.unique_id) if each.uid == study.uid]
    if not found:
        return False
    known = found[0]
    series = imaging.find_series(uow.connection, [known.row_id]).get(known.row_id, ())
    return (
        (known.header, known.date, known.time) == (now.patient, study.date, study.time)
        and study.description in (None, known.description)
        and [each.value for each in known.accessions] == [each.value for each in study.accessions]
        and _instances(series) == _instances(study.series)
    )


def _instances(series: Iterable[ImagingSeries]) -> set[tuple[str, str]]:
    return {(each.uid, instance.sop_instance_uid) for each in series for instance in each.instances}


def _manifest(study: ImagingStudy, patient: ManifestPatient, site: PublishedSite, now: datetime) -> Manifest:
    return Manifest(
        uid=_new_uid(),
        series_uid=_new_uid(),
        study_uid=study.uid,
        patient=patient,
        studies=(study,),
        created_at=now,
        institution=site.archive.source.name,
        manufacturer="Trait d'Union",
    )


def _register(
    uow: UnitOfWork,
    site: PublishedSite,
    manifest: Manifest,
    whose: PatientId,
    replaced: RegisteredEntry | None,
    repository: Repository,
) -> None:
    """Register a manifest, in the place of the one in force."""
    entry = _entry(manifest, whose, site, repository)
    links = [Association(id="member", type=AssociationType.HAS_MEMBER, source="set", target=entry.id, slots=_MEMBER)]
    if replaced is not None:
        links.append(Association(id="replaces", type=AssociationType.REPLACES, source=entry.id, target=replaced.id))
    submission = Submission(submission_set=_set(uow, site, whose, entry), entries=(entry,), associations=tuple(links))
    provide_bytes(uow, submission, {entry.id: build_kos(manifest)}, repository)
    _audit(uow, site, "C", whose, manifest.uid)


def _entry(manifest: Manifest, whose: PatientId, site: PublishedSite, repository: Repository) -> DocumentEntry:
    (study,) = manifest.studies
    moment = study.started_at(repository.zone) or manifest.created_at or None
    references = [f"{study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID"]
    for accession in study.accessions:
        if accession.issuer and accession.issuer.oid:
            references.append(f"{accession.value}^^^&{accession.issuer.oid}&ISO^urn:ihe:iti:xds:2013:accession")
    return DocumentEntry(
        id="manifest",
        unique_id=manifest.uid,
        patient_id=whose,
        source_patient_id=whose,
        mime_type="application/dicom",
        title=(LocalizedText(study.description or "Examen d'imagerie", "fr-FR", "UTF-8"),),
        authors=(Author(institutions=(site.archive.source.name,)),),
        class_code=Code("31", "1.2.250.1.213.1.1.4.1", "Imagerie médicale"),
        type_code=Code("IMG-KOS", _FRENCH_TYPES, "Reference d'objets d'un examen d'imagerie"),
        format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY, "Manifeste KOS"),
        healthcare_facility_type_code=Code(site.facility_type, "1.2.250.1.71.4.2.4"),
        practice_setting_code=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé"),
        confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25", "Normal"),),
        event_code_list=(*(Code(each, _MODALITIES, each) for each in study.modalities), *study.regions),
        creation_time=format_dtm(manifest.created_at) if manifest.created_at else None,
        service_start_time=format_dtm(moment) if moment else None,
        language_code="fr-FR",
        reference_id_list=tuple(references),
    )


def _set(uow: UnitOfWork, site: PublishedSite, whose: PatientId, entry: DocumentEntry | None) -> SubmissionSet:
    return SubmissionSet(
        id="set",
        unique_id=_new_uid(),
        source_id=str(site.archive.source.location_uid or site.archive.source.patient_authority),
        patient_id=whose,
        submission_time=format_dtm(uow.now),
        title=entry.title if entry else (LocalizedText("Examen retiré", "fr-FR", "UTF-8"),),
        authors=(Author(institutions=(site.archive.source.name,)),),
        content_type_code=Code("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie médicale"),
    )


def _withdraw(
    database: Database, site: PublishedSite, repository: Repository, watched: WatchedStudy, done: Round
) -> None:
    with database.unit(site.caller) as uow:
        if not published.hold(uow.connection, site.archive.site, watched):
            return
        current = _current(uow, watched)
        if current is not None:
            _deprecate(uow, site, current, repository)
            done.deprecated += 1
        published.forget(uow.connection, site.archive.site, watched.study_uid)


def _deprecate(uow: UnitOfWork, site: PublishedSite, entry: RegisteredEntry, repository: Repository) -> None:
    whose = PatientId.from_xds_cx(entry.patient_id)
    slots = {"OriginalStatus": (Availability.APPROVED.value,), "NewStatus": (Availability.DEPRECATED.value,)}
    change = Association(id="change", type=AssociationType.UPDATE_STATUS, source="set", target=entry.id, slots=slots)
    update(uow, Submission(submission_set=_set(uow, site, whose, None), associations=(change,)), repository.registry)
    _audit(uow, site, "U", whose, entry.unique_id)


def _current(uow: UnitOfWork, watched: WatchedStudy) -> RegisteredEntry | None:
    """The approved entry of the manifest that was registered last."""
    if watched.document_unique_id is None:
        return None
    found = get.entries(uow, Named(unique_ids=[watched.document_unique_id]))
    return next((entry for entry in found if entry.status == Availability.APPROVED), None)


def _with_issuer(patient: ManifestPatient, home: AssigningAuthority) -> ManifestPatient:
    """The patient with an issuer for each id; one that names no OID is taken for the archive's own."""
    ids = (each if each.issuer and each.issuer.oid else IssuedId(each.value, home) for each in patient.ids)
    return replace(patient, ids=tuple(ids))


def _patient_id(patient: ManifestPatient) -> PatientId | None:
    """The header's patient id, whose issuer has an OID."""
    issued = next(iter(patient.ids), None)
    return PatientId(issued.value, AssigningAuthority(oid=issued.issuer.oid)) if issued and issued.issuer else None


def _audit(uow: UnitOfWork, site: PublishedSite, action: str, whose: PatientId, document: str) -> None:
    trail = AuditTrail()
    trail.patient(whose.xds_cx)
    trail.document(document)
    event = AuditEvent(
        at=uow.now,
        transaction="RAD-68",
        event_code="110107",
        event_action=action,
        outcome=Outcome.SUCCESS,
        node=site.caller.node,
        site=site.caller.site,
        user=None,
        purpose=site.caller.purpose,
        correlation_id=uuid.uuid4().hex,
        objects=tuple(trail.objects),
    )
    audit.append(uow.connection, event)


def _read_listed(items: list[Json]) -> _Listed:
    """Of the items of one study: some archives list it once for each patient id that its instances name."""
    said = sorted(orjson.dumps([item.get(tag, {}).get("Value") for tag in _SAID]) for item in items)
    return _Listed(
        sum(number_of(item, "00201208") or 0 for item in items),
        hashlib.sha256(b"".join(said)).hexdigest(),
        len({(text_of(item, "00100020"), text_of(item, "00100021")) for item in items}),
    )


def _pages(archive: Archive, path: str) -> Iterator[Json]:
    """All items of a list, page by page."""
    offset = 0
    while page := _page(archive, f"{path}?limit={_PAGE}&offset={offset}&includefield=00201208"):
        yield from page
        offset += len(page)


def _page(archive: Archive, path: str) -> list[Json]:
    try:
        answer = archive.get(path, _JSON)
    except NotFound:
        return []
    try:
        body = b"".join(answer)
        found = orjson.loads(body) if body.strip() else []
    except ValueError:
        raise Unavailable(f"the archive of {archive.site} sent no JSON", archive.site) from None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _new_uid() -> str:
    return str(Oid.from_uuid(uuid.uuid4()))
