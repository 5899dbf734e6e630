"""``traitdunion pacs``: archives of three sites on this machine, with the pictures of the demonstration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import typer

from region import running
from region.pacs.orthanc import Orthanc, OrthancFault
from region.pacs.pictures import dicom_files
from region.region_table import RegionTable
from region.settings import Settings
from region.synthetic.imaging import Study
from region.synthetic.population import build

SITES = ("CHUSE", "ANNONAY", "ICL")
"""Whose archives run here: those where the patient of the story was, save her own site."""


def archives(table: RegionTable, folder: Path) -> list[Orthanc]:
    """The archives that the table expects on this machine.

    Raises:
        OrthancFault: one is expected elsewhere.
    """
    return [Orthanc.for_url(code, table.by_code(code).pacs_url or "", folder) for code in SITES]


def store(archive: Orthanc, files: Iterator[bytes]) -> int:
    """Send DICOM files to an archive; returns how many it has taken or had.

    Raises:
        OrthancFault: it refused one.
    """
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(2) as pool:

        def send(data: bytes) -> int:
            answer = client.post(f"{archive.rest_url}/instances", content=data)
            if answer.status_code != 200:
                raise OrthancFault(f"the archive of {archive.site} refused a picture with status {answer.status_code}")
            return 1

        return sum(pool.map(send, files))


def studies_of_story(sites: tuple[str, ...] = SITES) -> list[Study]:
    """The studies of the people that the demonstration tells about, at those sites."""
    scenario = build()
    keys = {key for character in scenario.cast.everyone for key in character.records.values()}
    return [study for study in scenario.studies if study.key in keys and study.site in sites]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    pacs = typer.Typer(help="Archives of three sites on this machine (Orthanc).", no_args_is_help=True)

    def ours() -> tuple[RegionTable, list[Orthanc]]:
        chosen = settings()
        table = running.region_table(chosen)
        return table, archives(table, chosen.data_dir / "pacs")

    @pacs.command("start")
    def start() -> None:
        """Start them, filled with the studies of the demonstration: site,dicomweb,dicom_port,pictures."""
        table, found = ours()
        studies = studies_of_story()
        for archive in found:
            archive.start()
            site = table.by_code(archive.site)
            files = (data for study in studies if study.site == archive.site for data in dicom_files(study, site))
            typer.echo(f"{archive.site},{archive.dicomweb_url},{archive.dicom_port},{store(archive, files)}")

    @pacs.command("stop")
    def stop() -> None:
        """Stop them; their pictures stay."""
        for archive in ours()[1]:
            archive.stop()

    return pacs
