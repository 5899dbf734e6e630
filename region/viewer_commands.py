"""``traitdunion viewer``: fetches the prebuilt OHIF viewer by npm and puts it where the service serves it.

The package is built for the root of a host: its addresses are moved below ``/viewer``, its inline scripts become files,
so that no page needs to allow inline scripts, and large files are kept packed as well. What this service has no use for
(source maps, models of automatic segmentation, whole slides) stays out.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from region.settings import Settings
from web.viewer import ROOT

PACKAGE: Final = "@ohif/app"
VERSION: Final = "3.13.2"
_SHA512: Final = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
_INSIDE: Final = "package/dist/"
_LEFT_OUT: Final = re.compile(r"\.map$|^ort/|^dicom-microscopy-viewer/|^sw\.js$|^google\.js$|^_headers$|^_redirects$")
_PACKED: Final = frozenset({".js", ".css", ".wasm", ".svg", ".json"})
_PACKED_BYTES: Final = 4096
_ENTRY: Final = "app.bundle"
_PUBLIC_PATH: Final = '__webpack_require__.p = "/"'


class ViewerFault(Exception):
    """The viewer cannot be installed; one sentence."""


def viewer_folder(data_dir: Path) -> Path:
    """Where the viewer is installed."""
    return data_dir / "viewer"


def installed(data_dir: Path) -> Path | None:
    """The folder of the installed viewer, or ``None``."""
    folder = viewer_folder(data_dir)
    return folder if (folder / "index.html").is_file() else None


def download(folder: Path) -> Path:
    """The package's archive, fetched by npm from the configured registry.

    Raises:
        ViewerFault: npm is missing, or could not fetch it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerFault("npm is not installed: apt-get install npm, or name the package's archive with --archive")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    found = list(folder.glob("*.tgz"))
    if done.returncode != 0 or not found:
        raise ViewerFault(f"npm cannot fetch {PACKAGE} {VERSION}")
    return found[0]


def install(archive: Path, folder: Path) -> None:
    """Unpack the viewer into a folder, in place of what was there.

    Raises:
        ViewerFault: the archive is not the one that this version knows.
    """
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if base64.b64encode(digest).decode() != _SHA512:
        raise ViewerFault(f"{archive.name} is not {PACKAGE} {VERSION}")
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _unpack(archive, unfinished)
    _move_below_root(unfinished)
    _pack_large_files(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _unpack(archive: Path, folder: Path) -> None:
    inside = folder.resolve()
    with tarfile.open(archive) as source:
        for member in source:
            name = member.name.removeprefix(_INSIDE)
            if not member.isfile() or name == member.name or _LEFT_OUT.search(name):
                continue
            file = (inside / name).resolve()
            content = source.extractfile(member)
            if content is None or not file.is_relative_to(inside):
                raise ViewerFault(f"{archive.name} holds a file that belongs elsewhere: {name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            with content, file.open("wb") as written:
                shutil.copyfileobj(content, written)


def _move_below_root(folder: Path) -> None:
    page = folder / "index.html"
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'((?:src|href)=")/', rf"\1{ROOT}/", text)
    text = text.replace('window.PUBLIC_URL="/"', f'window.PUBLIC_URL="{ROOT}/"')
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for number, script in enumerate(scripts):
        (folder / f"inline-{number}.js").write_text(script, encoding="utf-8")
        text = text.replace(f"<script>{script}</script>", f'<script src="{ROOT}/inline-{number}.js"></script>')
    page.write_text(text, encoding="utf-8")
    moved = set()
    for file in folder.glob("*.js"):
        code = file.read_text(encoding="utf-8")
        if _PUBLIC_PATH in code:
            file.write_text(code.replace(_PUBLIC_PATH, f'__webpack_require__.p = "{ROOT}/"'), encoding="utf-8")
            moved.add(file.name.partition(".bundle")[0] + ".bundle")
    if _ENTRY not in moved:
        raise ViewerFault("the package is built in a way that this version does not know")
    for sheet in folder.glob("*.css"):
        style = sheet.read_text(encoding="utf-8")
        sheet.write_text(style.replace("url(/", f"url({ROOT}/"), encoding="utf-8")


def _pack_large_files(folder: Path) -> None:
    for file in list(folder.rglob("*")):
        if file.suffix in _PACKED and file.stat().st_size >= _PACKED_BYTES:
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 6, mtime=0))


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands.

    Args:
        settings: reads the settings.
    """
    viewer = typer.Typer(help="The image viewer (OHIF) that the service serves at /viewer.", no_args_is_help=True)

    @viewer.callback()
    def _group() -> None:
        """Only so that the one command has its name."""

    @viewer.command("install")
    def install_viewer(
        archive: Annotated[
            Path | None, typer.Option(exists=True, dir_okay=False, help="The package, where npm is not at hand.")
        ] = None,
    ) -> None:
        """Install it into the data folder; a service that runs serves it after a restart."""
        folder = viewer_folder(settings().data_dir)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            install(archive or download(Path(place)), folder)
        typer.echo(str(folder))

    return viewer
