"""A small archive that speaks WADO-RS over DICOM files in memory, can be slow, and can die."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pydicom

BOUNDARY = "archive"


class Source:
    """Files by study, series and instance UID."""

    def __init__(self, port: int = 0) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.delay_seconds = 0.0
        self.asked: list[str] = []
        self.taken = 0  # questions about instances, answered or not
        self.repeat = 1  # how often each file stands in an answer
        self.sent = 0  # bytes
        self.hung_up = 0
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    source.answer(self)
                except ConnectionError:
                    source.hung_up += 1

            def log_message(self, *_: Any) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def add(self, data: bytes) -> None:
        found = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        self.files[str(found.StudyInstanceUID), str(found.SeriesInstanceUID), str(found.SOPInstanceUID)] = data

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.taken += handler.path.count("instances")
        time.sleep(self.delay_seconds)
        path = handler.path.partition("?")[0].removeprefix("/dicom-web/")
        self.asked.append(handler.path.removeprefix("/dicom-web/"))
        if path == "studies":
            self._send(handler, 200, "application/dicom+json", b"[]")
            return
        parts = path.split("/")
        named = dict(zip(parts[::2], parts[1::2], strict=False))
        wanted = (named["studies"], named.get("series"), named.get("instances"))
        found = [
            data
            for key, data in self.files.items()
            if all(mine in (None, theirs) for mine, theirs in zip(wanted, key, strict=True))
        ]
        if not found:
            self._send(handler, 404, "text/plain", b"no")
        elif path.endswith("/metadata"):
            root = f"{self.url}/studies/{wanted[0]}"
            read = [pydicom.dcmread(io.BytesIO(data)) for data in found]
            items = [each.to_json_dict(10, lambda _: f"{root}/bulk/7fe00010") for each in read]
            self._send(handler, 200, "application/dicom+json", orjson.dumps(items))
        elif path.endswith("/rendered"):
            self._send(handler, 200, "image/jpeg", b"\xff\xd8picture")
        elif "/bulk/" in path or "/frames/" in path:
            pixels = pydicom.dcmread(io.BytesIO(found[0])).PixelData
            head = f"--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
            kind = f'multipart/related; type="application/octet-stream"; boundary={BOUNDARY}'
            self._send(handler, 200, kind, head + pixels + f"\r\n--{BOUNDARY}--".encode())
        elif self.repeat > 1:
            self._send_much(handler, found[0])
        else:
            head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            body = b"".join(head + data + b"\r\n" for data in found) + f"--{BOUNDARY}--".encode()
            kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
            self._send(handler, 200, kind, body)

    def _send_much(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + b"\r\n"
        end = f"--{BOUNDARY}--".encode()
        handler.send_response(200)
        handler.send_header("Content-Type", f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')
        handler.send_header("Content-Length", str(len(part) * self.repeat + len(end)))
        handler.end_headers()
        for _ in range(self.repeat):
            handler.wfile.write(part)
            self.sent += len(part)
        handler.wfile.write(end)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def dicomweb_source(port: int = 0) -> Iterator[Source]:
    """An archive that answers while the block runs."""
    source = Source(port)
    thread = threading.Thread(target=source.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        source.server.shutdown()
        source.server.server_close()
        thread.join(5)
