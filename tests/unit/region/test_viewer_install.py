"""Installing the viewer: only the known package, moved below /viewer, without inline scripts; and how it is served."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from ihe.values import Oid
from region import viewer_commands
from region.viewer_commands import ViewerFault, install, installed
from web.viewer import viewer_path, viewer_routes
from xds.domain.imaging_sources import ImagingSource

PAGE = (
    '<!doctype html><html><head><script>window.PUBLIC_URL="/"</script><link rel="icon" href="/assets/i.ico">'
    '<script defer src="/app.bundle.1.js"></script></head></html>'
)
FILES = {
    "index.html": PAGE,
    "app.bundle.1.js": 'x = 1; __webpack_require__.p = "/"; ' + "/* */" * 2000,
    "app.bundle.css": "@font-face { src: url(/a.woff2) }",
    "a.js.map": "{}",
    "ort/model.wasm": "0",
    "sub/a.svg": "<svg/>",
}


def package(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {f"package/dist/{name}": text for name, text in files.items()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def get(app: Starlette, path: str, encoding: str = "gzip") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://viewer.example") as client:
            return await client.get(path, headers={"Accept-Encoding": encoding})

    return asyncio.run(ask())


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = package(tmp_path, FILES)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(viewer_commands, "_SHA512", digest)
    return path


def test_it_is_moved_below_its_path_and_has_no_inline_script(known: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "viewer"
    folder.parent.mkdir()
    assert installed(folder.parent) is None
    install(known, folder)
    install(known, folder)
    assert installed(folder.parent) == folder
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        *("index.html", "inline-0.js", "app.bundle.1.js", "app.bundle.1.js.gz", "app.bundle.css", "sub/a.svg"),
    }
    page = (folder / "index.html").read_text()
    assert '<script src="/viewer/inline-0.js"></script>' in page
    assert 'src="/viewer/app.bundle.1.js"' in page
    assert 'href="/viewer/assets/i.ico"' in page
    assert (folder / "inline-0.js").read_text() == 'window.PUBLIC_URL="/viewer/"'
    assert (
        '__webpack_require__.p = "/viewer/"' in gzip.decompress((folder / "app.bundle.1.js.gz").read_bytes()).decode()
    )
    assert "url(/viewer/a.woff2)" in (folder / "app.bundle.css").read_text()


def test_another_package_is_refused_and_what_was_there_stays(known: Path, tmp_path: Path) -> None:
    folder = tmp_path / "viewer"
    install(known, folder)
    known.write_bytes(known.read_bytes() + b"\0")
    with pytest.raises(ViewerFault):
        install(known, folder)
    assert (folder / "index.html").is_file()


def test_files_pages_and_configuration_are_served_and_nothing_else(known: Path, tmp_path: Path) -> None:
    install(known, tmp_path / "viewer")
    (tmp_path / "secret.txt").write_text("secret")
    sources = [ImagingSource("ROANNE", "CH de Roanne", Oid("2.25.1"), "http://pacs.example/dicom-web")]
    assert viewer_routes(None, sources) == []
    app = Starlette(routes=viewer_routes(tmp_path / "viewer", sources))
    page = get(app, "/viewer/viewer/ROANNE")
    assert "<!doctype html>" in page.text
    assert "script-src 'self' 'wasm-unsafe-eval';" in page.headers["content-security-policy"]
    assert get(app, "/viewer/app.bundle.1.js").headers["content-encoding"] == "gzip"
    plain = get(app, "/viewer/app.bundle.1.js", encoding="identity")
    assert "content-encoding" not in plain.headers
    for path in ("/viewer/missing.js", "/viewer/%2e%2e/secret.txt", "/viewer/..%2fsecret.txt"):
        assert get(app, path).status_code == 404, path
    script = get(app, "/viewer/app-config.js").text
    configuration = json.loads(script.removeprefix("window.config = ").removesuffix(";\n"))
    roots = {each["sourceName"]: each["configuration"]["wadoRoot"] for each in configuration["dataSources"]}
    assert roots == {"region": "/dicom-web", "ROANNE": "/dicom-web/domains/ROANNE"}
    assert "pacs.example" not in script


def test_a_study_has_an_address_without_patient_data() -> None:
    assert viewer_path("ROANNE", "1.2.3") == "/viewer/viewer/ROANNE?StudyInstanceUIDs=1.2.3"
    assert viewer_path(None, "1.2.3") == "/viewer/viewer?StudyInstanceUIDs=1.2.3"
