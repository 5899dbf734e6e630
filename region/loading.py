"""Bulk load of files: rows or messages in, counts and rejected rows out.

A row that is refused is written to ``FILE.rejected.csv`` with the reason, and the others load.
"""

from __future__ import annotations

import csv
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import text

from ihe.caller import REGION
from ihe.errors import IheError
from ihe.hl7v2.batch import read_messages
from ihe.hl7v2.er7 import Message
from ihe.peer import Peer
from mpi.domain.identity import RecordKey
from mpi.services.bulk_load import LINKING, BulkResult, BulkRow, bulk_load
from mpi.services.feed_record import FeedOutcome, feed_record
from mpi.services.identifiers import feedable_domain
from mpi.translate.bulk_row import COLUMNS, REQUIRED, read_row, unknown_columns
from region.bootstrap import Service

_BULK_FROM_ROWS = 2000
_PROGRESS_ROWS = 100
FORMATS = {".csv": "csv", ".parquet": "parquet", ".hl7": "hl7", ".er7": "hl7", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class LoadFault(Exception):
    """A file that cannot be loaded at all."""


@dataclass(slots=True)
class LoadReport:
    """What a load did.

    Attributes:
        linked: records that joined a person with others, net.
        tasks: tasks opened and still open, net.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    linked: int = 0
    tasks: int = 0
    rejected: int = 0


Progress = Callable[[int], None]
Row = Mapping[str, str | None]


def load_file(
    service: Service,
    path: Path,
    file_format: str | None = None,
    progress: Progress = lambda count: None,
    ignored_columns: Sequence[str] = (),
) -> LoadReport:
    """Load one file.

    Args:
        file_format: ``csv``, ``parquet``, ``hl7`` or ``ndjson``; ``None`` goes by the ending.
        progress: told how many rows or messages were taken in since the last call.
        ignored_columns: columns of the file that say nothing of a patient.

    Raises:
        LoadFault: unreadable, an unknown format, unknown columns or required ones missing.
    """
    chosen = file_format or FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise LoadFault(f"{path.name}: the format does not show from the name; give --format")
    before = _state(service)
    report = LoadReport()
    with _Rejects(path) as rejects:
        if chosen == "hl7":
            _load_messages(service, path, report, rejects, progress)
        else:
            _load_rows(service, _READERS[chosen](path, ignored_columns), report, rejects, progress)
    after = _state(service)
    report.linked, report.tasks, new_records = (a - b for a, b in zip(after, before, strict=True))
    if chosen == "hl7":
        report.created = min(new_records, report.updated)
        report.updated -= report.created
    return report


def _state(service: Service) -> tuple[int, int, int]:
    """How many records are linked with others, tasks are open, and records are known."""
    with service.engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM record WHERE grade IS NOT NULL AND state = 'active'),"
                " (SELECT count(*) FROM task WHERE state = 'open'),"
                " (SELECT count(*) FROM record)"
            )
        ).one()
    return row[0], row[1], row[2]


class _Rejects:
    """The file of rejected rows, made with the first one."""

    def __init__(self, source: Path) -> None:
        self._path = source.with_name(source.name + ".rejected.csv")
        self._writer: Any = None
        self._stream: Any = None

    def __enter__(self) -> _Rejects:
        self._path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, number: int, error: IheError, content: Mapping[str, str | None]) -> None:
        if self._stream is None:
            self._stream = self._path.open("w", newline="", encoding="utf-8")
            self._writer = csv.writer(self._stream)
            self._writer.writerow(["row", "reason", "location", *content])
        self._writer.writerow([number, error.message, error.location or "", *content.values()])


def _load_rows(
    service: Service, rows: Iterable[Row], report: LoadReport, rejects: _Rejects, progress: Progress
) -> None:
    """A short file row by row, as messages are taken in; a long one in bulk, which waits for no one row."""
    valid = _valid_rows(service, rows, report, rejects, progress)
    head = list(islice(valid, _BULK_FROM_ROWS))
    if len(head) < _BULK_FROM_ROWS:
        with service.database.unit(REGION) as uow:
            for number, row in head:
                savepoint = uow.connection.begin_nested()
                try:
                    outcome = feed_record(
                        uow,
                        service.mpi,
                        row.key,
                        row.traits,
                        source_updated_at=row.source_updated_at,
                        only_if_newer=row.source_updated_at is not None,
                    ).outcome
                except IheError as error:
                    savepoint.rollback()
                    report.rejected += 1
                    rejects.write(number, error, {"domain": row.key.domain, "local_id": row.key.local_id})
                else:
                    savepoint.commit()
                    report.created += outcome is FeedOutcome.CREATED
                    report.updated += outcome is FeedOutcome.UPDATED
                    report.unchanged += outcome in (FeedOutcome.UNCHANGED, FeedOutcome.STALE)
        return
    with service.database.unit(REGION) as uow:
        everything = (row for _, row in chain(head, valid))
        result = bulk_load(uow, service.mpi, everything, _announce)
        report.created, report.updated, report.unchanged = result.created, result.updated, result.unchanged
        for key, reason in result.refused:
            report.rejected += 1
            rejects.write(0, reason, {"domain": key.domain, "local_id": key.local_id})
    _describe(result)


def _announce(phase: str, count: int) -> None:
    """Say on standard error which phase of a bulk load begins."""
    if not count:
        sys.stderr.write(f"{phase}\n")


def _describe(result: BulkResult) -> None:
    """Say on standard error how long each phase of a bulk load took, and how much memory was needed at most."""
    count = result.created or 1
    for phase, seconds in result.seconds.items():
        sys.stderr.write(f"{phase}: {seconds:.1f} s\n")
    total, linking = sum(result.seconds.values()), sum(result.seconds.get(phase, 0.0) for phase in LINKING)
    sys.stderr.write(f"all phases: {total:.1f} s, {count / max(total, 0.001):.0f} records/s\n")
    sys.stderr.write(f"linking alone: {linking:.1f} s, {result.compared} pairs compared\n")
    # Kilobytes on Linux, where this is measured.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stderr.write(f"peak memory: {peak:.0f} MiB\n")


def _valid_rows(
    service: Service, rows: Iterable[Row], report: LoadReport, rejects: _Rejects, progress: Progress
) -> Iterator[tuple[int, BulkRow]]:
    for number, row in enumerate(rows, 1):
        report.read += 1
        try:
            key, traits, updated_at = read_row(row)
            feedable_domain(service.mpi, key.domain, "domain")
        except IheError as error:
            report.rejected += 1
            rejects.write(number, error, row)
        else:
            yield number, BulkRow(key, traits, updated_at)
        if number % _PROGRESS_ROWS == 0:
            progress(_PROGRESS_ROWS)


def _load_messages(service: Service, path: Path, report: LoadReport, rejects: _Rejects, progress: Progress) -> None:
    peer = Peer("file", 0)
    with path.open("rb") as stream:
        for number, message in enumerate(read_messages(stream), 1):
            report.read += 1
            (answer,) = service.hl7v2.handle(message, peer)[-1:] or (b"",)
            code, reason, location = _outcome(answer)
            if code in ("AA", "CA"):
                report.updated += 1
            else:
                report.rejected += 1
                rejects.write(number, IheError(reason, location), {"message": message.decode("utf-8", "replace")})
            progress(1)


def _outcome(answer: bytes) -> tuple[str, str, str | None]:
    if not answer:
        return "AA", "", None
    parsed = Message.parse(answer)
    msa, err = parsed.segment("MSA"), parsed.segment("ERR")
    return msa.text(1) if msa else "", err.text(8) if err else "", err.text(2) if err else None


def _checked_header(header: list[str], path: Path, ignored: Sequence[str] | None) -> None:
    """Refuse a file whose columns are not ours, those ignored apart; ``None`` ignores whatever there is."""
    unknown = [name for name in unknown_columns(header) if ignored is not None and name not in ignored]
    missing = [name for name in REQUIRED if name not in header]
    if unknown or missing:
        parts = [f"unknown column {name}" for name in unknown] + [f"column {name} is missing" for name in missing]
        raise LoadFault(f"{path.name}: {'; '.join(parts)} (the columns are {', '.join(COLUMNS)})")


def _csv_rows(path: Path, ignored: Sequence[str] | None = ()) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            _checked_header(list(reader.fieldnames or ()), path, ignored)
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LoadFault(f"{path.name}: cannot be read as UTF-8 CSV ({error})") from error


def _ndjson_rows(path: Path, ignored: Sequence[str] | None = ()) -> Iterator[Row]:
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                row = orjson.loads(line)
                if not isinstance(row, dict):
                    raise LoadFault(f"{path.name}, line {number}: not a JSON object")
                if number == 1:
                    _checked_header(list(row), path, ignored)
                yield {name: None if value is None else str(value) for name, value in row.items()}
    except (OSError, ValueError) as error:
        raise LoadFault(f"{path.name}: cannot be read as newline-delimited JSON ({error})") from error


def _parquet_rows(path: Path, ignored: Sequence[str] | None = ()) -> Iterator[Row]:
    from pyarrow import parquet  # noqa: PLC0415 - slow to import, and only this format needs it

    try:
        file = parquet.ParquetFile(path)
        _checked_header(list(file.schema_arrow.names), path, ignored)
        for batch in file.iter_batches(batch_size=5000):
            for row in batch.to_pylist():
                yield {name: None if value is None else str(value) for name, value in row.items()}
    except (OSError, ValueError) as error:
        raise LoadFault(f"{path.name}: cannot be read as Parquet ({error})") from error


_READERS: Mapping[str, Callable[[Path, Sequence[str] | None], Iterator[Row]]] = {
    "csv": _csv_rows,
    "ndjson": _ndjson_rows,
    "parquet": _parquet_rows,
}


def rows_of(path: Path, keys: Set[RecordKey]) -> dict[RecordKey, dict[str, str]]:
    """The rows of some records as they stand in a file of rows, the last of each; empty values are empty texts."""
    found = {}
    for row in _READERS[FORMATS[path.suffix.lower()]](path, None):
        key = RecordKey(str(row.get("domain") or "").strip(), str(row.get("local_id") or "").strip())
        if key in keys:
            found[key] = {name: value or "" for name, value in row.items()}
    return found


def read_truth(path: Path, column: str) -> dict[RecordKey, str]:
    """The human of each row, from a truth column.

    Raises:
        LoadFault: unreadable, or no such column.
    """
    chosen = FORMATS.get(path.suffix.lower())
    if chosen is None or chosen not in _READERS:
        raise LoadFault(f"{path.name}: a file with a truth column is CSV, Parquet or newline-delimited JSON")
    truth = {}
    for row in _READERS[chosen](path, (column,)):
        if column not in row:
            raise LoadFault(f"{path.name}: there is no column {column}")
        if row[column] and row.get("domain") and row.get("local_id"):
            truth[RecordKey(str(row["domain"]).strip(), str(row["local_id"]).strip())] = str(row[column])
    return truth
