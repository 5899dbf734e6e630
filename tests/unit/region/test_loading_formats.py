"""Bulk files in each format: what loads, what is rejected with its reason, what is no such file."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

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
