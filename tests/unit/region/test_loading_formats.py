"""Bulk files in each format: what loads, what is rejected with its reason, what is no such file."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import create_engine, text

from bench.population import generate
from mpi.services import bulk_load
from mpi.store import invariants
from mpi.translate.bulk_row import COLUMNS
from region.bootstrap import build_service
from region.loading import LoadFault, load_file
from region.region_table import load_region
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[3] / "fixtures" / "region.toml"
SAMPLE = REGION.parent / "sample" / "feed.hl7"
ROW = {
    "domain": "CHUSE",
    "local_id": "1",
    "birth_family_name": "EXEMPLE",
    "birth_given_names": "MARIE LOUISE",
    "first_birth_given_name": "MARIE",
    "sex": "F",
    "birth_date": "1948-03-17",
    "birth_place_code": "42218",
    "identity_status": "VALI",
}
ROWS = [
    ROW,
    {**ROW, "domain": "ROANNE", "local_id": "9"},
    {**ROW, "domain": "NOWHERE"},
    {**ROW, "local_id": "3", "birth_date": "1948-13-45"},
    {**ROW, "local_id": ""},
]


@pytest.fixture
def service(database_url, tmp_path):
    built = build_service(database_url, load_region(REGION), DiskContent(tmp_path / "documents"))
    yield built
    built.close()


def write_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_ndjson(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path, rows):
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


WRITERS = {"csv": write_csv, "ndjson": write_ndjson, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
def test_good_rows_load_and_bad_ones_are_rejected_with_their_reason(service, tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    WRITERS[kind](path, ROWS)
    report = load_file(service, path)
    assert (report.read, report.created, report.linked, report.rejected) == (5, 2, 2, 3)
    with path.with_name(path.name + ".rejected.csv").open() as stream:
        rejected = list(csv.DictReader(stream))
    assert [row["location"] for row in rejected] == ["domain", "birth_date", "local_id"]
    assert [row["row"] for row in rejected] == ["3", "4", "5"]
    again = load_file(service, path)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


@pytest.mark.parametrize("kind", WRITERS)
def test_unknown_columns_are_refused_by_name(service, tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    WRITERS[kind](path, [{**ROW, "shoe_size": "39"}])
    with pytest.raises(LoadFault, match="unknown column shoe_size"):
        load_file(service, path)


@pytest.mark.parametrize("kind", ["parquet", "ndjson", "csv"])
def test_a_file_of_another_kind_is_said(service, tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(b"\xff\x00garbage\x00\xff")
    with pytest.raises(LoadFault, match="cannot be read"):
        load_file(service, path)


def test_a_file_of_messages(service):
    report = load_file(service, SAMPLE)
    assert report.rejected == 0
    assert report.read > 50
    assert report.created > 20
    assert report.created + report.updated == report.read
    assert report.linked > 10


def test_a_name_that_tells_nothing_needs_the_format(service, tmp_path):
    path = tmp_path / "rows"
    write_csv(path, [ROW])
    with pytest.raises(LoadFault, match="--format"):
        load_file(service, path)
    assert load_file(service, path, "csv").created == 1


@pytest.mark.parametrize("rows", [1, 2100])
def test_values_that_no_store_takes_are_rejected_and_the_others_load(service, tmp_path, rows):
    path = tmp_path / "feed.ndjson"
    first = date(1900, 1, 1)
    good = [
        {"domain": "CHUSE", "local_id": f"G{n}", "birth_date": (first + timedelta(20 * n)).isoformat()}
        for n in range(rows)
    ]
    bad = [{**ROW, "local_id": "B1", "city": "X" * 1001}, {**ROW, "local_id": "B2", "email": "a\0b"}]
    write_ndjson(path, [*bad, *good])
    report = load_file(service, path)
    assert (report.created, report.rejected) == (rows, 2)
    with Path(f"{path}.rejected.csv").open(newline="") as stream:
        assert [row["location"] for row in csv.DictReader(stream)] == ["city", "email"]


def test_what_is_known_already_is_passed_over_at_once_and_the_rest_keeps_its_order(service, tmp_path, monkeypatch):
    """A load of several files that was stopped is run again: those that were loaded cost little."""
    path = tmp_path / "feed.csv"
    first = date(1900, 1, 1)
    rows = [
        {"domain": "CHUSE", "local_id": f"G{n}", "birth_date": (first + timedelta(20 * n)).isoformat(), "city": "FEURS"}
        for n in range(2100)
    ]
    write_csv(path, rows)
    assert load_file(service, path).created == 2100
    fed = []
    feed = bulk_load.feed_record
    monkeypatch.setattr(bulk_load, "feed_record", lambda *args, **more: fed.append(args[2]) or feed(*args, **more))
    assert load_file(service, path).unchanged == 2100
    assert fed == []
    # One goes away and comes back within the file: both rows are fed, in order; one is new, one changes.
    there, back = {**rows[5], "city": "ROANNE"}, rows[5]
    write_csv(path, [*rows, there, back, {**rows[7], "city": "GIER"}, {**rows[0], "local_id": "NEW"}])
    report = load_file(service, path)
    assert (report.created, report.updated, report.unchanged) == (1, 3, 2100)
    assert [key.local_id for key in fed] == ["G5", "G5", "G7"]
    with service.engine.connect() as connection:
        cities = dict(
            connection.execute(
                text("SELECT local_id, traits->>'city' FROM record WHERE local_id IN ('G5', 'G7') ORDER BY 1")
            ).all()
        )
    assert cities == {"G5": "FEURS", "G7": "GIER"}


def test_a_load_that_is_killed_leaves_nothing_and_is_run_again(database_url, tmp_path):
    path = tmp_path / "people.csv"
    rows = [{name: row[name] for name in COLUMNS} for row in generate(2500, seed=6)]
    write_csv(path, rows)
    command = [sys.executable, "-c", "from region.cli import main; main()", "load", str(path)]
    environment = {**os.environ, "TRAITDUNION_DATABASE_URL": database_url, "TRAITDUNION_DATA_DIR": str(tmp_path)}
    killed = subprocess.Popen(command, env=environment, cwd=REGION.parents[1], stderr=subprocess.PIPE, text=True)
    for line in killed.stderr:
        if "writing links" in line:
            break
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM record")).scalar() == 0
    again = subprocess.run(command, env=environment, cwd=REGION.parents[1], capture_output=True, text=True, check=True)
    assert "created: 2500" in again.stdout
    assert "a second" in again.stderr
    with engine.connect() as connection:
        assert invariants.violations(connection) == []
        assert connection.execute(text("SELECT count(*) FROM record")).scalar() == 2500
    engine.dispose()
