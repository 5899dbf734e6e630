"""The historical set: read in the form in which Splink publishes it, measured where it is at hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import csv, parquet

from bench.historical import NAME, find, load, measure
from mpi.domain.identity import RecordKey, Sex

PEOPLE = [
    ("ADA", "VALMONT", "female"),
    ("BERT", "ROCHER", "male"),
    ("CLEO", "DELORME", "female"),
    ("DAN", "MERLE", "male"),
]
ROWS = [
    {
        "unique_id": f"Q{n}-{copy}",
        "cluster": f"Q{n}",
        "full_name": f"{first} {last}",
        "first_and_surname": f"{first} {last}",
        "first_name": first.lower(),
        "surname": last if copy else f"{last}E",
        "dob": f"18{50 + n}-0{n + 1}-1{n}",
        "birth_place": f"town {n}",
        "postcode_fake": f"AB{n} 1CD",
        "gender": gender if copy else None,
        "occupation": "painter",
    }
    for n, (first, last, gender) in enumerate(PEOPLE)
    for copy in range(2)
]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_it_is_found_and_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "any" / f"{NAME}.{ending}"
    path.parent.mkdir()
    table = pyarrow.Table.from_pylist(ROWS)
    if ending == "csv":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table, path)
    assert find(tmp_path) == path
    data = load(path)
    assert len(data.records) == len(data.truth) == 8
    ada = data.records[RecordKey("CHUSE", "Q0-1")]
    assert (ada.first_birth_given_name, ada.birth_family_name, ada.sex) == ("ada", "VALMONT", Sex.FEMALE)
    assert (str(ada.birth_date.iso if ada.birth_date else ""), ada.postal_code) == ("1850-01-10", "AB0 1CD")
    metrics, _ = measure(data)
    assert (metrics.records, metrics.people, metrics.precision) == (8, 4, 1.0)


def test_where_it_is_not_there_is_none(tmp_path: Path) -> None:
    assert find(tmp_path) is None
