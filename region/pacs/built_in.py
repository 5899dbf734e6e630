"""A small archive over DICOMweb, for the demonstration on machines without Orthanc: it has only synthetic pictures.

It answers what the service asks of an archive (WADO-RS: files, metadata, frames, renderings) and nothing else, on this
machine only; nothing can be stored in it.
"""

from __future__ import annotations

import io
import json
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from region.pacs.pictures import dicom_files
from region.region_table import Domain
from region.synthetic.imaging import Study

ROOT: Final = "/dicom-web/"
_BOUNDARY: Final = "picture"
_JSON: Final = "application/dicom+json"
_Key = tuple[str, str, str]


class BuiltInArchive:
    """The pictures of one site, made when they are first asked for.

    Args:
        studies: of that site.
    """

    def __init__(self, site: Domain, studies: Sequence[Study]) -> None:
        self._site = site
        self._studies = tuple(studies)
        self._making = threading.Lock()

    @property
    def pictures(self) -> int:
        """How many it has."""
        return sum(len(series.instances) for study in self._studies for series in study.series)

    @cached_property
    def _files(self) -> dict[_Key, bytes]:
        made = (data for study in self._studies for data in dicom_files(study, self._site))
        return {_key(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)): data for data in made}

    def answer(self, path: str, address: str) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer to a GET.

        Args:
            path: below the root.
            address: of the root, for what refers to itself.
        """
        words = path.rstrip("/").split("/")
        if words == ["studies"]:
            return 200, _JSON, b"[]"
        named = dict(zip(words[::2], words[1::2], strict=False))
        wanted = (named.get("studies"), named.get("series"), named.get("instances"))
        with self._making:
            files = self._files
        found = [
            data
            for key, data in files.items()
            if all(mine in (None, theirs) for mine, theirs in zip(wanted, key, strict=True))
        ]
        if not found or wanted[0] is None:
            return 404, "text/plain", b"there is no such object"
        last = words[-1]
        if last == "metadata":
            return 200, _JSON, json.dumps([_metadata(data, address) for data in found]).encode()
        if last == "rendered":
            return 200, "image/png", _png(_grey(pydicom.dcmread(io.BytesIO(found[0]))))
        if "frames" in named:
            return _frames(pydicom.dcmread(io.BytesIO(found[0])), named["frames"])
        if "bulk" in named:
            return 200, *_multipart("application/octet-stream", [pydicom.dcmread(io.BytesIO(found[0])).PixelData])
        return 200, *_multipart("application/dicom", found)


@contextmanager
def serving(archive: BuiltInArchive, port: int) -> Iterator[str]:
    """The archive answers while the block runs; gives its DICOMweb address.

    Args:
        port: on the loopback address; 0 for any.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(ConnectionError):
                status, kind, body = archive.answer(urlsplit(self.path).path.removeprefix(ROOT), address)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        address = f"http://localhost:{server.server_address[1]}{ROOT.rstrip('/')}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join(5)


def _key(dataset: Dataset) -> _Key:
    return str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)


def _metadata(data: bytes, address: str) -> dict[str, Any]:
    dataset = pydicom.dcmread(io.BytesIO(data))
    study, series, instance = _key(dataset)
    bulk = f"{address}/studies/{study}/series/{series}/instances/{instance}/bulk/7fe00010"
    return dict(dataset.to_json_dict(1024, lambda _: bulk))


def _frames(dataset: Dataset, numbers: str) -> tuple[int, str, bytes]:
    count = int(dataset.get("NumberOfFrames") or 1)
    size = len(dataset.PixelData) // count
    wanted = [int(number) for number in numbers.split(",") if number.isdigit()]
    if not wanted or not all(1 <= number <= count for number in wanted):
        return 404, "text/plain", b"there is no such frame"
    pixels = bytes(dataset.PixelData)
    frames = [pixels[(number - 1) * size : number * size] for number in wanted]
    return 200, *_multipart("application/octet-stream", frames)


def _multipart(kind: str, parts: Sequence[bytes]) -> tuple[str, bytes]:
    head = f"--{_BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{_BOUNDARY}--\r\n".encode()
    return f'multipart/related; type="{kind}"; boundary={_BOUNDARY}', body


def _grey(dataset: Dataset) -> NDArray[np.uint8]:
    """The first frame through the picture's own window (Source: DICOM PS3.3 C.11.2.1.2)."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    sample = "u1" if dataset.BitsAllocated == 8 else "<u2"
    stored = np.frombuffer(dataset.PixelData, sample, rows * columns).reshape(rows, columns)
    values = stored * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    low = float(dataset.WindowCenter) - float(dataset.WindowWidth) / 2
    return np.clip((values - low) * 255 / float(dataset.WindowWidth), 0, 255).astype(np.uint8)


def _png(grey: NDArray[np.uint8]) -> bytes:
    """Source: PNG (RFC 2083): 8 bits of grey, no filter."""
    rows, columns = grey.shape
    lines = b"".join(b"\0" + row.tobytes() for row in grey)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
