"""The image viewer (OHIF) at ``/viewer``: its files, as ``make viewer`` installed them, and its configuration.

Each domain is a data source of its own below ``/dicom-web/domains/<code>``: a viewer opened for a site shows patients
under that site's numbers. The policy of these pages allows what the viewer needs and only here: WebAssembly for
compressed pictures, workers, styles that it writes itself; everything comes from this service.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from xds.domain.imaging_sources import ImagingSource

ROOT: Final = "/viewer"
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' data: blob:;"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:;"
    " manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_KEPT: Final = "public, max-age=31536000, immutable"
_ASKED_AGAIN: Final = "no-cache"


def viewer_path(domain: str | None, study_uid: str) -> str:
    """Where a study is shown.

    Args:
        domain: code of the domain under whose ids the patient is shown; ``None``: as its archive says.
    """
    source = f"/{quote(domain, safe='')}" if domain else ""
    return f"{ROOT}/viewer{source}?StudyInstanceUIDs={quote(study_uid, safe='')}"


def viewer_routes(folder: Path | None, sources: Iterable[ImagingSource]) -> list[BaseRoute]:
    """The routes of the viewer; none when none is installed."""
    if folder is None:
        return []
    files = _Files(folder.resolve(), _configuration(sources))
    return [
        Route(ROOT, lambda _: RedirectResponse(f"{ROOT}/"), methods=["GET"]),
        Route(f"{ROOT}/{{path:path}}", files.answer, methods=["GET"]),
    ]


class _Files:
    """Answers with a file of the folder; any other address is one of the viewer's own pages."""

    def __init__(self, folder: Path, configuration: bytes) -> None:
        self._folder = folder
        self._configuration = configuration

    async def answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        if path == "app-config.js":
            headers = {**_HEADERS, "Cache-Control": _ASKED_AGAIN}
            return Response(self._configuration, media_type="text/javascript", headers=headers)
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder):
            return Response(status_code=404)
        if not file.is_file():
            if "." in path.rpartition("/")[2]:
                return Response(status_code=404)
            file = self._folder / "index.html"
        headers = {**_HEADERS, "Cache-Control": _ASKED_AGAIN if file.name == "index.html" else _KEPT}
        media_type = _TYPES.get(file.suffix, "application/octet-stream")
        packed = file.with_name(file.name + ".gz")
        if packed.is_file() and "gzip" in request.headers.get("accept-encoding", ""):
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            file = packed
        return FileResponse(file, media_type=media_type, headers=headers)


_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}


def _configuration(sources: Iterable[ImagingSource]) -> bytes:
    """``app-config.js``: one data source for each domain, and the region's own for who names none."""
    named = [(source.site, source.name, f"/dicom-web/domains/{source.site}") for source in sources]
    configuration = {
        "name": "traitdunion",
        "routerBasename": ROOT,
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "showWarningMessageForCrossOrigin": False,
        "maxNumberOfWebWorkers": 3,
        "showErrorDetails": "production",
        "defaultDataSourceName": "region",
        "dataSources": [_source(*each) for each in (("region", "Region", "/dicom-web"), *named)],
    }
    return b"window.config = " + orjson.dumps(configuration) + b";\n"


def _source(code: str, name: str, root: str) -> dict[str, Any]:
    return {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": code,
        "configuration": {
            "friendlyName": name,
            "name": code,
            "qidoRoot": root,
            "wadoRoot": root,
            "wadoUriRoot": root,
            "qidoSupportsIncludeField": False,
            "supportsFuzzyMatching": False,
            "supportsWildcard": False,
            "enableStudyLazyLoad": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "staticWado": False,
            "singlepart": "bulkdata,video",
            "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            "omitQuotationForMultipartRequest": True,
        },
    }
