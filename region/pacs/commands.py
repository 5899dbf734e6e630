"""``traitdunion pacs``: archives of three sites on this machine, with the pictures of the demonstration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from region import running
from region.pacs.demonstration import SITES, fill, studies_of_story
from region.pacs.orthanc import Orthanc
from region.region_table import RegionTable
from region.settings import Settings


def archives(table: RegionTable, folder: Path) -> list[Orthanc]:
    """The archives that the table expects on this machine.

    Raises:
        OrthancFault: one is expected elsewhere.
    """
    return [Orthanc.for_url(code, table.by_code(code).pacs_url or "", folder) for code in SITES]


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
            count = fill(archive, table.by_code(archive.site), studies)
            typer.echo(f"{archive.site},{archive.dicomweb_url},{archive.dicom_port},{count}")

    @pacs.command("stop")
    def stop() -> None:
        """Stop them; their pictures stay."""
        for archive in ours()[1]:
            archive.stop()

    return pacs
