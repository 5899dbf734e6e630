"""Logs: one JSON object a line on standard error, without patient data.

What a log line may carry is an allow-list. Messages are constant sentences; values travel as named fields, and a field
that is not on the list is left out. Of an exception only its type and the places in the code are written, because its
text may quote a value.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

FIELDS = frozenset(
    {
        "attempts", "bytes", "connections", "correlation_id", "count", "duration_ms", "error_type", "event_id", "host",
        "listener", "mllp_port", "http_port", "outcome", "path", "peer", "pid", "places", "port", "revision",
        "sqlstate", "status", "subscriber", "transaction", "version", "worker", "workers",
    }
)  # fmt: skip
"""Names of the fields that a log line may carry; none of them holds what a message or a row says."""

_OWN_PACKAGES = frozenset({"ihe", "mpi", "xds", "web", "region", "bench"})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    # A library's arguments may be values of a patient (a statement, an address): its constant sentence only.
    own = record.name.partition(".")[0] in _OWN_PACKAGES
    fields: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage() if own else str(record.msg),
    }
    fields.update((name, value) for name, value in record.__dict__.items() if name in FIELDS and value is not None)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields["error_type"] = type(error).__name__
        fields["places"] = [
            f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        return orjson.dumps(_fields(record), default=str).decode()


class TextFormatter(logging.Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, sentence, then the fields as ``name=value``."""
        fields = _fields(record)
        head = f"{fields.pop('at')[11:19]} {fields.pop('level'):<7} {fields.pop('message')}"
        return " ".join([head, *(f"{name}={value}" for name, value in fields.items())])


def set_up_logging(level: str = "info", form: str = "json") -> None:
    """Send all logs to standard error in one form; libraries are heard from warnings on.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``, for the packages of this project.
        form: ``json`` or ``text``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for package in _OWN_PACKAGES:
        logging.getLogger(package).setLevel(level.upper())
    # Written by http servers for each request, with the address asked for, which may hold an identifier.
    logging.getLogger("uvicorn.access").disabled = True
