"""A service, and the archive of CHUSE with one study of Marie, whom ROANNE knows too: what tests of pictures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hl7.client import MLLPClient

from ihe.caller import Caller
from ihe.values import Code
from region.bootstrap import Service
from region.region_table import Domain, RegionTable, load_region
from tests import xds_samples
from tests.dicomweb_source import Source, dicomweb_source
from tests.unit.xds.translate.test_dicom_coercion import make_file
from tests.xds_repository import make_manifest, make_study, new_uid
from xds.domain.imaging import (
    DICOM_UID_REGISTRY,
    KEY_OBJECT_SELECTION,
    ImagingSeries,
    ImagingStudy,
    Instance,
    IssuedId,
    ManifestPatient,
)
from xds.services.provide_bytes import provide_bytes
from xds.translate.kos_writer import build_kos

CT = "1.2.840.10008.5.1.4.1.1.2"
TABLE = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
PERSON = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"


@dataclass(frozen=True)
class Region:
    """A service, and the archive of CHUSE with one study of Marie, whom ROANNE knows too."""

    running: Any
    archive: Source
    study: ImagingStudy

    @property
    def root(self) -> str:
        return f"{self.running.base_url}/dicom-web/domains/ROANNE"

    @property
    def instance(self) -> str:
        series = self.study.series[0]
        uid = series.instances[0].sop_instance_uid
        return f"{self.root}/studies/{self.study.uid}/series/{series.uid}/instances/{uid}"


@pytest.fixture
def region(start: Callable[[RegionTable], AbstractContextManager[Any]]) -> Iterator[Region]:
    with dicomweb_source() as archive:
        table = load_region(TABLE)
        domains = tuple(replace(each, pacs_url=archive.url if each.code == "CHUSE" else None) for each in table)
        with start(RegionTable(table.name, table.home_community_id, domains)) as running:
            _feed(running)
            yield Region(running, archive, _publish(running, archive))


def _feed(running: Any) -> None:
    with MLLPClient(running.host, running.mllp_port) as mllp:
        for code in ("CHUSE", "ROANNE"):
            authority = running.table.by_code(code).authority
            message = (
                "MSH|^~\\&|TEST|TEST|IPR|REGION|20260115101500+0100||ADT^A28^ADT_A05|"
                f"C{code}|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
                "EVN||20260115101500+0100||||20260115101400+0100\r"
                f"PID|1||{code}1^^^{code}&{authority.oid}&ISO^PI||{PERSON}|||||||||||||||||||N||VALI\r"
            )
            assert b"MSA|AA" in mllp.send_message(message)


def _publish(running: Any, archive: Source) -> ImagingStudy:
    domain = running.table.by_code("CHUSE")
    uid = new_uid()
    series = ImagingSeries(uid=uid, instances=tuple(Instance(CT, f"{uid}.{n}") for n in range(3)), modality="CT")
    study = make_study(series=(replace(series, retrieve_location_uid=str(domain.imaging_source_id)),))
    for instance in series.instances:
        archive.add(
            make_file(
                StudyInstanceUID=study.uid,
                SeriesInstanceUID=uid,
                SOPInstanceUID=instance.sop_instance_uid,
                PatientID="CHUSE1",
            )
        )
    provide_manifest(running.service, domain, "CHUSE1", study)
    return study


def provide_manifest(service: Service, domain: Domain, local_id: str, study: ImagingStudy) -> str:
    """Register a study of a domain's patient by its manifest; returns the uniqueId of the manifest."""
    manifest = make_manifest(
        study, patient=ManifestPatient(ids=(IssuedId(local_id, domain.authority),), name="EXEMPLE^MARIE")
    )
    who = xds_samples.pid(local_id, str(domain.oid))
    entry = replace(
        xds_samples.entry(f"Document-{uuid4().hex}", who, source_patient_id=who),
        hash=None,
        size=None,
        repository_unique_id=None,
        unique_id=manifest.uid,
        mime_type="application/dicom",
        format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY),
        reference_id_list=(f"{study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",),
    )
    with service.database.unit(Caller(node="test", site=domain.code)) as uow:
        data = {entry.id: build_kos(manifest)}
        provide_bytes(uow, xds_samples.submission(who, entry), data, service.xds.repository)
    return manifest.uid
