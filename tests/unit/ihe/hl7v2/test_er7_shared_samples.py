"""Every HL7 v2 sample of other projects, when present, is read and written again byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ihe.hl7v2.er7 import Message, Segment

SHARED = Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).parents[5] / "shared"))


def samples() -> Iterator[Path]:
    for folder in (SHARED / "testdata", SHARED / "data"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".er7", ".hl7"):
                yield path
            elif path.suffix in (".txt", "") and path.is_file():
                with path.open("rb") as file:
                    if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"MSH"):
                        yield path


def from_parts(segment: Segment) -> str:
    marks = segment.delimiters
    texts = [segment.name]
    for number in range(1, segment.field_count + 1):
        repetitions = segment.field(number).repetitions
        components = [marks.component.join(part.raw for part in each.components) for each in repetitions]
        texts.append(marks.repetition.join(components))
    if segment.name == "MSH":
        del texts[1]
    return marks.field.join(texts)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the folder of shared samples is absent: {SHARED}")
def test_every_shared_sample_survives_reading_and_writing() -> None:
    paths = list(samples())
    assert len(paths) > 100
    for path in paths:
        data = path.read_bytes()
        message = Message.parse(data)
        assert bytes(message) == data, path
        rest = message.raw
        for segment in message:
            before, found, rest = rest.partition(from_parts(segment))
            assert found, (path, segment.name)
            assert not before.strip("\ufeff \t\r\n"), (path, segment.name)
        assert not rest.strip(" \t\r\n"), path
