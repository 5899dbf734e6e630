"""Imaging studies and series, read from manifests when they arrive.

Rows hang on the manifest, not on a document entry: whoever's history the entry belongs to now, and in whatever version,
the manifest says the same of the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    Row,
    Table,
    Text,
    Time,
    any_,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority, Code, Oid
from xds.domain.imaging import ImagingSeries, ImagingStudy, Instance, IssuedId, Manifest, ManifestPatient
from xds.domain.priors import ManifestedStudy
from xds.store.selecting import Condition, one_of, select_rows
from xds.store.tables import metadata

imaging_study = Table(
    "imaging_study",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("document_unique_id", Text, ForeignKey("repository_document.unique_id", ondelete="CASCADE"), nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("manifest_created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("study_date", Date),
    Column("study_time", Time),
    Column("description", Text),
    Column("modalities", ARRAY(Text), nullable=False),
    Column("regions", JSONB, nullable=False),
    Column("accessions", JSONB, nullable=False),
    Column("accession_numbers", ARRAY(Text), nullable=False),
    Column("patient_ids", JSONB, nullable=False),
    Column("retrieve_url", Text),
    Column("retrieve_location_uid", Text),
    Column("retrieve_ae_title", Text),
    Column("series_count", Integer, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("patient_name", Text),
    Column("patient_birth_date", Date),
    Column("patient_sex", Text),
)

imaging_series = Table(
    "imaging_series",
    metadata,
    Column("study_id", BigInteger, ForeignKey("imaging_study.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("series_uid", Text, nullable=False),
    Column("modality", Text),
    Column("description", Text),
    Column("region", JSONB(none_as_null=True)),
    Column("retrieve_url", Text),
    Column("retrieve_location_uid", Text),
    Column("retrieve_ae_title", Text),
    Column("sop_class_uids", ARRAY(Text), nullable=False),
    Column("sop_instance_uids", ARRAY(Text), nullable=False),
)


def save_manifest(
    connection: Connection, document_unique_id: str, manifest: Manifest, zone: tzinfo, now: datetime
) -> None:
    """Keep what a manifest says; the same document again changes nothing.

    Args:
        zone: of the manifest's dates and times where it doesn't say.
        now: stands for the moment of creation where the manifest doesn't say.
    """
    for study in manifest.studies:
        study_id = connection.execute(
            insert(imaging_study)
            .values(_study_row(document_unique_id, manifest, study, zone, now))
            .on_conflict_do_nothing()
            .returning(imaging_study.c.id)
        ).scalar()
        if study_id is not None and study.series:
            rows = [_series_row(study_id, position, series) for position, series in enumerate(study.series)]
            connection.execute(insert(imaging_series), rows)


def find_by_anchors(connection: Connection, anchors: Iterable[str]) -> list[ManifestedStudy]:
    """What the approved manifests of a person say; the anchors are the CX of all its identifiers."""
    return _find(connection, one_of("entry.anchor", anchors))


def find_by_studies(connection: Connection, study_uids: Iterable[str]) -> list[ManifestedStudy]:
    """What the approved manifests of whoever say of some studies."""
    return _find(connection, one_of("study.study_uid", study_uids))


def find_by_document(connection: Connection, document_unique_id: str) -> list[ManifestedStudy]:
    """What one manifest says, while it is approved."""
    return _find(connection, one_of("study.document_unique_id", [document_unique_id]))


def find_by_accession(connection: Connection, number: str) -> list[ManifestedStudy]:
    """What the approved manifests of whoever say of studies with an accession number, of whatever issuer."""
    return _find(connection, ("study.accession_numbers @> %s::text[]", ([number],)))


def find_series(connection: Connection, study_row_ids: Iterable[int]) -> dict[int, tuple[ImagingSeries, ...]]:
    """The series of studies, by :attr:`ManifestedStudy.row_id`, in the order of the manifest."""
    found: dict[int, tuple[ImagingSeries, ...]] = {}
    wanted = literal(list(study_row_ids), ARRAY(BigInteger))
    rows = connection.execute(
        select(imaging_series)
        .where(imaging_series.c.study_id == any_(wanted))
        .order_by(imaging_series.c.study_id, imaging_series.c.position)
    )
    for row in rows:
        found[row.study_id] = (*found.get(row.study_id, ()), _series(row))
    return found


def is_listed(uow: UnitOfWork, study_row_id: int, series_uid: str, instance_uid: str | None) -> bool:
    """Whether a study (:attr:`ManifestedStudy.row_id`) has a series, and in it an instance where one is named."""
    ((found,),) = uow.ask(
        "SELECT EXISTS (SELECT FROM imaging_series WHERE study_id = %s AND series_uid = %s"
        " AND (%s::text IS NULL OR %s::text = ANY(sop_instance_uids)))",
        (study_row_id, series_uid, instance_uid, instance_uid),
    )
    return bool(found)


_SOURCE: Final = "document_entry AS entry JOIN imaging_study AS study ON study.document_unique_id = entry.unique_id"
_COLUMNS: Final = (
    *("study.id", "study.study_uid", "study.document_unique_id", "entry.repository_unique_id", "entry.id::text"),
    *("entry.anchor", "entry.patient_id", "entry.source_patient_id", "entry.confidentiality_codes"),
    *("study.manifest_created_at", "study.started_at", "study.study_date", "study.study_time", "study.description"),
    # JSON as text: a person may have hundreds of studies, and the driver's own reader is ten times slower.
    *("study.modalities", "study.regions::text", "study.accessions::text"),
    *("study.patient_ids::text", "study.patient_name", "study.patient_birth_date", "study.patient_sex"),
    *("study.retrieve_url", "study.retrieve_location_uid", "study.retrieve_ae_title"),
    *("study.series_count", "study.instance_count"),
)
"""In the order of the fields of :class:`ManifestedStudy`, the header's among them."""
_APPROVED: Final = ("entry.status = 'Approved'", ())


def _find(connection: Connection, condition: Condition) -> list[ManifestedStudy]:
    read = _Reader()
    rows = select_rows(connection, _COLUMNS, _SOURCE, (condition, _APPROVED), order="study.id")
    return [_manifested(row, read) for row in rows]


class _Reader:
    """Reads the JSON columns of one answer; what several rows say alike is read once."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[Code, ...]] = {}
        self._ids: dict[str, tuple[IssuedId, ...]] = {}
        self._issuers: dict[tuple[str | None, str | None], AssigningAuthority | None] = {}
        self._headers: dict[tuple[Any, ...], ManifestPatient] = {}

    def codes(self, text: str) -> tuple[Code, ...]:
        """Codes."""
        if (found := self._codes.get(text)) is None:
            found = self._codes[text] = tuple(map(_code, orjson.loads(text)))
        return found

    def ids(self, text: str) -> tuple[IssuedId, ...]:
        """Issued ids."""
        if (found := self._ids.get(text)) is None:
            found = self._ids[text] = tuple(map(self._issued, orjson.loads(text)))
        return found

    def _issued(self, stated: Mapping[str, str | None]) -> IssuedId:
        key = namespace, oid = stated["namespace"], stated["oid"]
        if key not in self._issuers:
            issuer = AssigningAuthority(namespace, Oid(oid) if oid else None) if namespace or oid else None
            self._issuers[key] = issuer
        return IssuedId(stated["value"] or "", self._issuers[key])

    def header(self, ids: str, name: str | None, birth_date: date | None, sex: str | None) -> ManifestPatient:
        """The patient of a header."""
        key = ids, name, birth_date, sex
        if (found := self._headers.get(key)) is None:
            found = ManifestPatient(ids=self.ids(ids), name=name, birth_date=birth_date, sex=sex)
            self._headers[key] = found
        return found


def _study_row(
    document_unique_id: str, manifest: Manifest, study: ImagingStudy, zone: tzinfo, now: datetime
) -> dict[str, Any]:
    where = study.retrieval
    return {
        "document_unique_id": document_unique_id,
        "study_uid": study.uid,
        "manifest_created_at": manifest.created_at or now,
        "started_at": study.started_at(manifest.zone(zone)),
        "study_date": study.date,
        "study_time": study.time,
        "description": study.description,
        "modalities": list(study.modalities),
        "regions": [_code_json(code) for code in study.regions],
        "accessions": [_issued_json(accession) for accession in study.accessions],
        "accession_numbers": [accession.value for accession in study.accessions],
        "patient_ids": [_issued_json(issued) for issued in manifest.patient.ids],
        "retrieve_url": where.url,
        "retrieve_location_uid": where.location_uid,
        "retrieve_ae_title": where.ae_title,
        "series_count": len(study.series),
        "instance_count": study.instance_count,
        "patient_name": manifest.patient.name,
        "patient_birth_date": manifest.patient.birth_date,
        "patient_sex": manifest.patient.sex,
    }


def _series_row(study_id: int, position: int, series: ImagingSeries) -> dict[str, Any]:
    classes = [instance.sop_class_uid for instance in series.instances]
    return {
        "study_id": study_id,
        "position": position,
        "series_uid": series.uid,
        "modality": series.kind,
        "description": series.description,
        "region": _code_json(series.region) if series.region else None,
        "retrieve_url": series.retrieve_url,
        "retrieve_location_uid": series.retrieve_location_uid,
        "retrieve_ae_title": series.retrieve_ae_title,
        "sop_class_uids": classes[:1] if len(set(classes)) == 1 else classes,
        "sop_instance_uids": [instance.sop_instance_uid for instance in series.instances],
    }


def _series(row: Row[Any]) -> ImagingSeries:
    classes = row.sop_class_uids
    if len(classes) == 1:
        classes = classes * len(row.sop_instance_uids)
    return ImagingSeries(
        uid=row.series_uid,
        instances=tuple(Instance(*pair) for pair in zip(classes, row.sop_instance_uids, strict=True)),
        modality=row.modality,
        description=row.description,
        region=_code(row.region) if row.region else None,
        retrieve_url=row.retrieve_url,
        retrieve_location_uid=row.retrieve_location_uid,
        retrieve_ae_title=row.retrieve_ae_title,
    )


def _manifested(row: Sequence[Any], read: _Reader) -> ManifestedStudy:
    row_id, uid, document, repository, entry, anchor, patient, source_patient, codes, *about = row
    created, started, day, time, description, modalities, regions, accessions, *header_and_place = about
    ids, name, born, sex, url, location, title, series, instances = header_and_place
    return ManifestedStudy(
        row_id=row_id,
        uid=uid,
        document_unique_id=document,
        repository_unique_id=repository,
        entry_id=entry,
        anchor=anchor,
        patient_id=patient,
        source_patient_id=source_patient,
        confidentiality_codes=tuple(codes),
        manifest_created_at=created,
        started_at=started,
        date=day,
        time=time,
        description=description,
        modalities=tuple(modalities),
        regions=read.codes(regions),
        accessions=read.ids(accessions),
        header=read.header(ids, name, born, sex),
        retrieve_url=url,
        retrieve_location_uid=location,
        retrieve_ae_title=title,
        series_count=series,
        instance_count=instances,
    )


def _code_json(code: Code) -> dict[str, str | None]:
    return {"code": code.code, "scheme": code.scheme, "display": code.display}


def _code(found: Mapping[str, str]) -> Code:
    return Code(found["code"], found["scheme"], found["display"])


def _issued_json(issued: IssuedId) -> dict[str, str | None]:
    issuer = issued.issuer
    return {
        "value": issued.value,
        "namespace": issuer.namespace if issuer else None,
        "oid": str(issuer.oid) if issuer and issuer.oid else None,
    }
