"""Packs object bodies: raw deflate with a preset dictionary of what every body repeats.

A body is five or six kilobytes of ebRIM of which a few hundred bytes are its own. Packed it stays within its table row,
so that a person's thousand entries are read without a detour, and ten million of them fit a tenth of the space. The
first byte names the dictionary; a dictionary that was ever used must never change or go.

Source: RFC 1951; zlib manual, deflateSetDictionary.
"""

from __future__ import annotations

import zlib
from importlib.resources import files

_PRESENT = 1
_DICTIONARIES = {number: files("xds.store").joinpath(f"body_dictionary_{number}.txt").read_bytes() for number in (1,)}
_RAW_DEFLATE = -15
_USUAL_BODY = 8 * 1024
_LARGEST_BODY = 16 * 1024 * 1024
_PRIMED = zlib.compressobj(wbits=_RAW_DEFLATE, zdict=_DICTIONARIES[_PRESENT])
"""Knows the dictionary already: learning it takes half as long again as the body."""


class BodyFault(Exception):
    """A stored body that cannot be unpacked; the row is damaged."""


def pack(body: bytes) -> bytes:
    """The body as it is stored."""
    packer = _PRIMED.copy()
    return bytes((_PRESENT,)) + packer.compress(body) + packer.flush()


def unpack(stored: bytes) -> bytes:
    """The body that was packed, in UTF-8.

    Raises:
        BodyFault: the bytes are not what :func:`pack` made.
    """
    dictionary = _DICTIONARIES.get(stored[0]) if stored else None
    if dictionary is None:
        raise BodyFault("a stored body names no known dictionary")
    unpacker = zlib.decompressobj(wbits=_RAW_DEFLATE, zdict=dictionary)
    try:
        body = unpacker.decompress(memoryview(stored)[1:], _USUAL_BODY)  # makes room for so much, and no more
        if not unpacker.eof:
            body += unpacker.decompress(unpacker.unconsumed_tail, _LARGEST_BODY - _USUAL_BODY)
    except zlib.error as error:
        raise BodyFault("a stored body is damaged") from error
    if not unpacker.eof:
        raise BodyFault("a stored body ends too early or is too large")
    return body
