"""Runs an Orthanc with DICOMweb as the archive of one site, on this machine only.

Orthanc comes from Debian's packages (``make pacs`` installs them); the configuration is written here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

PACKAGES = ("orthanc", "orthanc-dicomweb", "dcmtk")
_PLUGINS = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"))
_START_SECONDS = 30.0
_HTTP_TO_DICOM = 3000
"""DICOM ports lie that far above the HTTP ports."""


class OrthancFault(Exception):
    """Orthanc is not installed or does not start; one sentence."""


def program() -> str | None:
    """The Orthanc of this machine with its DICOMweb plugin, or ``None``."""
    return shutil.which("Orthanc", path=_PLACES) if _PLUGINS.exists() else None


@dataclass(frozen=True, slots=True)
class Orthanc:
    """One site's archive.

    Attributes:
        site: domain code, also its AE title.
        http_port, dicom_port: on the loopback address.
        folder: of its configuration, database and log.
    """

    site: str
    http_port: int
    dicom_port: int
    folder: Path

    @classmethod
    def for_url(cls, site: str, pacs_url: str, folder: Path) -> Orthanc:
        """The archive that a table of domains expects at a DICOMweb address of this machine.

        Raises:
            OrthancFault: the address is another machine's.
        """
        address = urlsplit(pacs_url)
        if address.hostname not in ("localhost", "127.0.0.1") or address.port is None:
            raise OrthancFault(f"the archive of {site} is on another machine: it is not ours to start")
        return cls(site, address.port, address.port + _HTTP_TO_DICOM, folder / site.lower())

    @property
    def rest_url(self) -> str:
        """Root of Orthanc's own REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """DICOMweb root, without trailing slash."""
        return f"{self.rest_url}/dicom-web"

    def configuration(self) -> dict[str, Any]:
        """What Orthanc is told."""
        return {
            "Name": self.site,
            "StorageDirectory": str(self.folder.absolute() / "storage"),
            "IndexDirectory": str(self.folder.absolute() / "index"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": self.site,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "StableAge": 2,
            "OverwriteInstances": True,
            "HttpThreadsCount": 20,
            "Plugins": [str(_PLUGINS)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "StudiesMetadata": "Full"},
        }

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers.

        Raises:
            OrthancFault: it is not installed, or does not answer in time.
        """
        if self.answers():
            return
        executable = program()
        if executable is None:
            raise OrthancFault(f"Orthanc is not installed: apt-get install {' '.join(PACKAGES)}")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "orthanc.json"
        settings.write_text(json.dumps(self.configuration(), indent=1), encoding="utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            process = subprocess.Popen([executable, str(settings)], stdout=log, stderr=log, start_new_session=True)
        self._pid_file.write_text(str(process.pid), encoding="ascii")
        until = time.monotonic() + _START_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > until:
                raise OrthancFault(f"the archive of {self.site} does not start: see {self.folder / 'orthanc.log'}")
            time.sleep(0.1)
        process.returncode = 0  # It outlives this process, which therefore doesn't wait for it.

    def stop(self) -> None:
        """Stop the one that was started from this folder, if it runs; its pictures stay."""
        if not self._pid_file.exists():
            return
        number = int(self._pid_file.read_text(encoding="ascii"))
        if self._is_ours(number):
            os.kill(number, signal.SIGTERM)
            until = time.monotonic() + 20
            while self._is_ours(number) and time.monotonic() < until:
                time.sleep(0.1)
        self._pid_file.unlink()

    def answers(self) -> bool:
        """Whether an Orthanc of that site answers at its port."""
        try:
            answer = httpx.get(f"{self.rest_url}/system", timeout=2, trust_env=False)
            return bool(answer.json().get("Name") == self.site)
        except (httpx.HTTPError, ValueError):
            return False

    @property
    def _pid_file(self) -> Path:
        return self.folder / "orthanc.pid"

    def _is_ours(self, number: int) -> bool:
        """Whether that process lives and has our configuration; a number may have been given to another one since."""
        try:
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z" and str(self.folder / "orthanc.json").encode() in words
