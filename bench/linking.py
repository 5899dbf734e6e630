"""Linking at two sizes of the index: in bulk beside Splink on the same file, and one incoming record at a time.

``python -m bench.linking --records 10000 1000000`` makes a population of each size, loads it in bulk into a database of
its own (an embedded PostgreSQL), lets Splink link the largest on DuckDB, then feeds records that were held back one by
one, in the service itself. All data are synthetic. Ratios hold from one machine to the next, figures do not.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import create_engine

from bench.load import Measured, summarise
from bench.population import generate
from ihe.caller import REGION
from ihe.unit_of_work import Database
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.cleaning import clean
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.services.bulk_load import LINKING, BulkResult, BulkRow, bulk_load
from mpi.services.feed_record import feed_record
from mpi.store import blocking
from mpi.translate.bulk_row import COLUMNS, read_row
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import upgrade
from region.region_table import load_region

_TABLE = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
_WARM_SHARE = 10


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk load.

    Attributes:
        seconds: of each phase.
        linking_seconds: blocking, comparing, deciding, writing links.
        peak_mib: most memory that the process held at once.
    """

    records: int
    compared: int
    seconds: dict[str, float]
    linking_seconds: float
    records_per_second: float
    peak_mib: int


@dataclass(frozen=True, slots=True)
class Online:
    """Records fed one by one to an index of ``records``; candidates are those that a record is compared with."""

    records: int
    latency: Measured
    candidates_median: int
    candidates_p95: int


@dataclass(frozen=True, slots=True)
class Splink:
    """Splink on the same file.

    Attributes:
        linking_seconds: predicting and clustering, without the training that a run of Splink begins with.
        peak_mib: most memory that the process held at once.
    """

    training_seconds: float
    linking_seconds: float
    peak_mib: int

    @property
    def seconds(self) -> float:
        """A whole run."""
        return self.training_seconds + self.linking_seconds


def write_population(folder: Path, records: int, held_back: int, seed: int) -> tuple[Path, Path]:
    """A file to load, and one of records evenly held back from it."""
    paths = folder / f"{records}.csv", folder / f"{records}_incoming.csv"
    every = (records + held_back) // held_back
    with paths[0].open("w", newline="") as loaded, paths[1].open("w", newline="") as incoming:
        writers = [csv.DictWriter(stream, COLUMNS, extrasaction="ignore") for stream in (loaded, incoming)]
        for writer in writers:
            writer.writeheader()
        for number, row in enumerate(generate(records + held_back, seed=seed, profile="realistic")):
            writers[number % every == every - 1].writerow(row)
    return paths


def read(path: Path) -> Iterator[BulkRow]:
    """The rows of a file."""
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            yield BulkRow(*read_row(row))


def _index() -> MpiApplication:
    return MpiApplication(load_region(_TABLE), default_french(), LinkPolicy.calibrated())


def _peak_mib() -> int:
    # Kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def load(url: str, path: Path) -> Bulk:
    """Load a file in bulk, as ``traitdunion load`` does."""
    engine = create_engine(url)
    with Database(engine).unit(REGION) as uow:
        result: BulkResult = bulk_load(uow, _index(), read(path))
    engine.dispose()
    linking = sum(result.seconds.get(phase, 0.0) for phase in LINKING)
    rate = result.created / sum(result.seconds.values())
    return Bulk(result.created, result.compared, result.seconds, linking, rate, _peak_mib())


def link_with_splink(path: Path) -> Splink:
    """Link the same file with Splink, with DuckDB's default number of threads."""
    from bench.baselines import splink_linker  # noqa: PLC0415 - heavy, and only this needs it

    times = splink_linker.time_linking(path)
    return Splink(times.training_seconds, times.predicting_seconds + times.clustering_seconds, _peak_mib())


def feed(url: str, records: int, path: Path, limit: int) -> Online:
    """Feed records one by one, each durably; the first tenth warms up and does not count."""
    engine, index = create_engine(url), _index()
    database = Database(engine)
    latencies: list[float] = []
    candidates: list[int] = []
    for row in islice(read(path), limit):
        with engine.connect() as connection:
            candidates.append(len(blocking.candidates(connection, 0, blocking_rules.keys(clean(row.traits)))))
        began = time.perf_counter()
        with database.unit(REGION) as uow:
            feed_record(uow, index, row.key, row.traits, source_updated_at=row.source_updated_at)
        latencies.append(time.perf_counter() - began)
    engine.dispose()
    counted = latencies[len(latencies) // _WARM_SHARE :]
    candidates.sort()
    return Online(
        records,
        summarise(counted, sum(counted), 0),
        candidates[len(candidates) // 2],
        candidates[len(candidates) * 95 // 100],
    )


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    with EmbeddedPostgres(folder) as server:
        url = server.url(server.ensure_database("bench"))
        upgrade(url)
        yield url


def run(
    sizes: list[int], incoming: int, seed: int, with_splink: bool
) -> tuple[list[Bulk], list[Online], Splink | None]:
    """Everything, smallest size first; each load and Splink in a process of its own, so that memory is theirs."""
    apart = multiprocessing.get_context("spawn")
    loads: list[Bulk] = []
    feeds: list[Online] = []
    splink: Splink | None = None
    with tempfile.TemporaryDirectory() as name:
        for size in sorted(sizes):
            path, held_back = write_population(Path(name), size, incoming, seed)
            if with_splink and size == max(sizes):
                with apart.Pool(1) as pool:
                    splink = pool.apply(link_with_splink, (path,))
            with _database(Path(name) / f"postgres{size}") as url:
                with apart.Pool(1) as pool:
                    loads.append(pool.apply(load, (url, path)))
                feeds.append(feed(url, size, held_back, incoming))
    return loads, feeds, splink


def table(loads: list[Bulk], feeds: list[Online], splink: Splink | None) -> str:
    """What was measured, in lines."""
    lines = []
    for each in loads:
        phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in each.seconds.items())
        lines.append(
            f"bulk {each.records}: {each.records_per_second:.0f} records/s, peak {each.peak_mib} MiB ({phases})"
        )
        lines.append(f"  linking alone {each.linking_seconds:.1f} s, {each.compared} pairs compared")
    if splink is not None:
        ours = loads[-1].linking_seconds
        lines.append(
            f"Splink on the same file: {splink.seconds:.1f} s (training {splink.training_seconds:.1f} s, predicting and"
            f" clustering {splink.linking_seconds:.1f} s), peak {splink.peak_mib} MiB;"
            f" ours needs {ours / splink.seconds:.2f} of its time, {ours / splink.linking_seconds:.2f} without training"
        )
    for found in feeds:
        seen = found.latency
        lines.append(
            f"online {found.records}: p50 {seen.p50_ms} ms, p95 {seen.p95_ms} ms, p99 {seen.p99_ms} ms;"
            f" candidates median {found.candidates_median}, p95 {found.candidates_p95}"
        )
    lines.append(f"p95 largest/smallest: {feeds[-1].latency.p95_ms / feeds[0].latency.p95_ms:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.linking", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 1_000_000], help="sizes of the index")
    parser.add_argument("--incoming", type=int, default=2000, help="records fed one by one at each size")
    parser.add_argument("--seed", type=int, default=31, help="of the population")
    parser.add_argument("--no-splink", action="store_true", help="leave Splink out")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    chosen = parser.parse_args()
    loads, feeds, splink = run(chosen.records, chosen.incoming, chosen.seed, not chosen.no_splink)
    print(table(loads, feeds, splink))
    if chosen.output is not None:
        figures = {
            "bulk": [asdict(each) for each in loads],
            "online": [asdict(each) for each in feeds],
            "splink": asdict(splink) if splink else None,
        }
        chosen.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
