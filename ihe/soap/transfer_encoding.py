"""Content-Transfer-Encoding undone piece by piece (Source: RFC 2045: 6)."""

from __future__ import annotations

import binascii
from typing import Protocol

from ihe.errors import MalformedRequest, UnsupportedRequest

_BLANKS = b" \t\r\n"
_LONGEST_LINE = 64 * 1024


class Decoder(Protocol):
    """Undoes an encoding over pieces of any size."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what can be decoded now."""

    def close(self) -> bytes:
        """End the content and return what was left."""


class Identity:
    """``binary``, ``8bit`` and ``7bit``: the bytes are the content."""

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> bytes:
        return b""


class Base64:
    """``base64``, also as the lexical form of ``xs:base64Binary``; blanks between characters are skipped.

    Raises:
        MalformedRequest: another character, or padding that is absent or stands in the middle.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data.translate(None, _BLANKS)
        if not data:
            return b""
        whole = len(data) - len(data) % 4
        data, self._rest = data[:whole], data[whole:]
        if self._ended:
            raise MalformedRequest("base64 content goes on behind its padding")
        self._ended = data.endswith(b"=")
        try:
            return binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error:
            raise MalformedRequest("the content is not valid base64") from None

    def close(self) -> bytes:
        if self._rest:
            raise MalformedRequest("base64 content ends in the middle of a group")
        return b""


class QuotedPrintable:
    """``quoted-printable``; lines are decoded when they are whole, very long ones before that."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) > _LONGEST_LINE:
            whole = len(data) - 2
            if (escape := data.rfind(b"=", whole - 2, whole)) >= 0:
                whole = escape
        self._rest = data[whole:]
        return binascii.a2b_qp(data[:whole])

    def close(self) -> bytes:
        return binascii.a2b_qp(self._rest)


_DECODERS: dict[str, type[Decoder]] = {
    "": Identity,
    "binary": Identity,
    "8bit": Identity,
    "7bit": Identity,
    "base64": Base64,
    "quoted-printable": QuotedPrintable,
}


def decoder_for(encoding: str) -> Decoder:
    """The decoder of a ``Content-Transfer-Encoding``; an empty one means ``binary``, as HTTP has it.

    Raises:
        UnsupportedRequest: no such encoding.
    """
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise UnsupportedRequest("the transfer encoding of a MIME part is not supported", "Content-Transfer-Encoding")
    return decoder()
