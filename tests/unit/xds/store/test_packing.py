"""Packed bodies come back whole, stay small, and damage is told."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xds_samples import entry, pid
from xds.store.packing import BodyFault, pack, unpack
from xds.translate.ebxml_writer import body_of


@given(st.binary(max_size=3000))
def test_any_body_comes_back(body: bytes) -> None:
    assert unpack(pack(body)) == body


def test_a_usual_body_takes_a_tenth_of_its_size() -> None:
    body = body_of(entry("urn:uuid:0a1b2c3d-0001-4002-8003-0123456789ab", pid("A-1")))
    assert len(pack(body)) < len(body) / 10


@pytest.mark.parametrize("size", [0, 8191, 8192, 8193, 300_000, 16 * 1024 * 1024])
def test_a_body_of_any_size_comes_back(size: int) -> None:
    body = (b"<Slot>%d</Slot>" * (size // 10 + 1))[:size]
    assert unpack(pack(body)) == body


def test_a_body_beyond_the_bound_is_told() -> None:
    with pytest.raises(BodyFault):
        unpack(pack(bytes(16 * 1024 * 1024 + 1)))


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff\x00", b"\x01\x00\x01"])
def test_what_is_no_packed_body_is_told(damage: bytes) -> None:
    with pytest.raises(BodyFault):
        unpack(damage)


def test_a_body_cut_short_is_told() -> None:
    with pytest.raises(BodyFault):
        unpack(pack(b"<Slot>" * 100)[:-3])


def test_a_dictionary_never_changes() -> None:
    data = files("xds.store").joinpath("body_dictionary_1.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "7cdb736d8220ddf5b369f626f8c18a395c96be5bc67d00bb781692a417e63886"
