"""Three Orthanc servers as the archives of three sites, whose publisher is the service's own; a fourth site asks.

Pictures are synthetic (:mod:`region.pacs.pictures`): of Marie, whom every site knows under a number of its own, and of
Paul, whom all know too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hl7.client import MLLPClient

from ihe.values import Code, PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from region.pacs.orthanc import Orthanc, program
from region.pacs.pictures import dicom_files
from region.region_table import RegionTable, load_region
from region.synthetic.imaging import DICOM_CODES, LOINC, SNOMED_CT, ZONE, Study
from tests.ports import free_port
from tests.xds_repository import new_uid
from xds.domain.imaging import ImagingSeries, Instance

TABLE = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
SITES = ("CHUSE", "ANNONAY", "ICL")
MARIE = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"
PAUL = "MODELE^PAUL^PAUL ERNEST^^^^L||19610902|M|||3 RUE DU TEST^^ROANNE^^42300^FRA^H~^^^^^^BDL^^42187"
PEOPLE = {1: MARIE, 2: PAUL}
needs_orthanc = pytest.mark.skipif(
    program() is None or shutil.which("storescu") is None,
    reason="needs Orthanc with DICOMweb, and DCMTK: make programs installs them",
)

KINDS = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", Code("67734004", SNOMED_CT, "segment thoracique du tronc"), "CHEST"),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", Code("774007", SNOMED_CT, "tête et cou"), "HEAD"),
    "CR": ("1.2.840.10008.5.1.4.1.1.1", Code("67734004", SNOMED_CT, "segment thoracique du tronc"), "CHEST"),
}


@dataclass(frozen=True)
class Region:
    """The running service and the three archives."""

    running: Any
    archives: dict[str, Orthanc]
    folder: Path

    @property
    def root(self) -> str:
        """DICOMweb as a viewer at ROANNE uses it."""
        return f"{self.running.base_url}/dicom-web/domains/ROANNE"

    @property
    def marie(self) -> str:
        """Her number at ROANNE, as a token."""
        return f"urn:oid:{self.running.table.by_code('ROANNE').oid}|ROANNE1"

    def study(self, site: str, modality: str = "CT", instances: tuple[int, ...] = (3,), person: int = 1) -> Study:
        """A study at a site, as many series as there are numbers of instances."""
        sop_class, region, _ = KINDS[modality]
        series = []
        for number, count in enumerate(instances, 1):
            uid = new_uid()
            members = tuple(Instance(sop_class, f"{uid}.{n}") for n in range(1, count + 1))
            series.append(ImagingSeries(uid=uid, instances=members, modality=modality, description=f"Série {number}"))
        born = PartialDate(1948, 3, 17) if person == 1 else PartialDate(1961, 9, 2)
        name = ("EXEMPLE", "MARIE") if person == 1 else ("MODELE", "PAUL")
        return Study(
            key=RecordKey(site, f"{site}{person}"),
            person=person,
            traits=Traits(
                birth_family_name=name[0],
                birth_given_names=(name[1],),
                first_birth_given_name=name[1],
                sex=Sex.FEMALE if person == 1 else Sex.MALE,
                birth_date=born,
            ),
            uid=new_uid(),
            accession=f"A{site}{modality}",
            started_at=datetime(2024, 7, 14, 8, 30, tzinfo=ZONE),
            ended_at=datetime(2024, 7, 14, 9, 0, tzinfo=ZONE),
            procedure=Code("24627-2", LOINC, f"{modality} {region.display}"),
            modality=Code(modality, DICOM_CODES, modality),
            region=region,
            series=tuple(series),
            has_report=False,
            manifest_uid=new_uid(),
            manifest_series_uid=new_uid(),
        )

    def files(self, study: Study, side: int = 64) -> list[bytes]:
        """The pictures of a study."""
        return list(dicom_files(study, self.running.table.by_code(study.site), side=side))

    def store(self, site: str, *files: bytes) -> None:
        """Send pictures to a site's archive as a modality does: by C-STORE."""
        folder = self.folder / new_uid()
        folder.mkdir()
        for number, data in enumerate(files):
            (folder / f"{number}.dcm").write_bytes(data)
        port = str(self.archives[site].dicom_port)
        command = ["storescu", "-aec", site, "+sd", "127.0.0.1", port, str(folder)]
        subprocess.run(command, check=True, timeout=60)

    def priors(self, **asked: str) -> Any:
        """The answer to ``/priors``; of Marie by her number at ROANNE when nothing is named."""
        answer = httpx.get(f"{self.running.base_url}/priors", params=asked or {"patient": self.marie}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def found(self) -> set[str]:
        """UIDs of Marie's studies."""
        return {study["study_instance_uid"] for study in self.priors()["studies"]}

    def pause(self, site: str) -> None:
        """Let an archive take connections and not answer."""
        os.kill(self._process(site), signal.SIGSTOP)

    def resume(self, site: str) -> None:
        """Let it answer again."""
        os.kill(self._process(site), signal.SIGCONT)

    def _process(self, site: str) -> int:
        return int((self.archives[site].folder / "orthanc.pid").read_text())


def wait_until(done: Callable[[], bool], seconds: float = 60) -> float:
    """Wait for something; how long it took."""
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - started


@pytest.fixture
def region(start: Callable[[RegionTable], AbstractContextManager[Any]], tmp_path: Path) -> Iterator[Region]:
    """The archives, empty, and the service."""
    table = load_region(TABLE)
    archives = {code: Orthanc(code, free_port(), free_port(), tmp_path / code) for code in SITES}
    domains = tuple(
        replace(
            each,
            pacs_url=archives[each.code].dicomweb_url,
            publish=True,
            change_feed=f"{archives[each.code].rest_url}/changes",
        )
        if each.code in SITES
        else replace(each, pacs_url=None)
        for each in table
    )
    try:
        for archive in archives.values():
            archive.start()
        with start(RegionTable(table.name, table.home_community_id, domains)) as running:
            feed(running, (*SITES, "ROANNE"))
            yield Region(running, archives, tmp_path)
    finally:
        for archive in archives.values():
            archive.stop()


def feed(running: Any, sites: tuple[str, ...]) -> None:
    """Tell the index of both people, at every site."""
    with MLLPClient(running.host, running.mllp_port) as mllp:
        for code in sites:
            authority = running.table.by_code(code).authority
            for number, person in PEOPLE.items():
                message = (
                    "MSH|^~\\&|TEST|TEST|IPR|REGION|20260115101500+0100||ADT^A28^ADT_A05|"
                    f"C{code}{number}|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
                    "EVN||20260115101500+0100||||20260115101400+0100\r"
                    f"PID|1||{code}{number}^^^{code}&{authority.oid}&ISO^PI||{person}"
                    "|||||||||||||||||||N||VALI\r"
                )
                assert b"MSA|AA" in mllp.send_message(message)
