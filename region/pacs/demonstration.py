"""The archives of the demonstration: Orthanc servers where that is installed, else the small built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from region.pacs import built_in
from region.pacs.orthanc import Orthanc, OrthancFault, program
from region.pacs.pictures import dicom_files
from region.region_table import Domain
from region.synthetic.imaging import Study
from region.synthetic.population import Scenario, build

SITES = ("CHUSE", "ANNONAY", "ICL")
"""Whose archives run here: those where the patient of the story was, save her own site."""


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


def fill(archive: Orthanc, site: Domain, studies: Sequence[Study]) -> int:
    """Store the pictures of studies of its site in an archive; returns how many.

    Raises:
        OrthancFault: it refused one.
    """
    return store(archive, (data for study in studies if study.site == site.code for data in dicom_files(study, site)))


def studies_of_story(sites: tuple[str, ...] = SITES, scenario: Scenario | None = None) -> list[Study]:
    """The studies of the people that the demonstration tells about, at those sites."""
    scenario = scenario or build()
    keys = {key for character in scenario.cast.everyone for key in character.records.values()}
    return [study for study in scenario.studies if study.key in keys and study.site in sites]


@contextmanager
def archives_of_story(scenario: Scenario, folder: Path, say: Callable[[str], None]) -> Iterator[frozenset[str]]:
    """The archives of three sites while the block runs, with the pictures of the people of the story.

    Args:
        folder: of Orthanc's databases.
        say: is told in a sentence what they are.

    Yields:
        Codes of the sites whose pictures can be had.
    """
    studies = studies_of_story(scenario=scenario)
    has_orthanc = program() is not None
    ready: set[str] = set()
    with ExitStack() as stack:
        for code in SITES:
            site = scenario.region.by_code(code)
            own = [study for study in studies if study.site == code]
            try:
                archive = Orthanc.for_url(code, site.pacs_url or "", folder)
                if has_orthanc:
                    if not archive.answers():
                        stack.callback(archive.stop)
                        archive.start()
                    fill(archive, site, own)
                else:
                    port = urlsplit(site.pacs_url or "").port or 0
                    stack.enter_context(built_in.serving(built_in.BuiltInArchive(site, own), port))
            except (OrthancFault, OSError) as fault:
                say(f"The archive of {code} cannot be had: {fault}")
            else:
                ready.add(code)
        if ready:
            what = "Orthanc" if has_orthanc else "built in, because Orthanc is not installed (make pacs)"
            say(f"Archives with synthetic pictures: {', '.join(sorted(ready))} ({what})")
        yield frozenset(ready)
