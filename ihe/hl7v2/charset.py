"""Character sets of HL7 v2 messages: what MSH-18 declares, and what the bytes really are.

Rules:

- MSH-18 names the charset (HL7 table 0211). Nothing declared means UTF-8 here.
- Senders lie. Bytes that contradict the declaration are read as UTF-8 if they are valid UTF-8, else as
  windows-1252, and the reading is flagged. Text in a Latin charset is practically never valid UTF-8 by
  accident, so valid UTF-8 under a Latin declaration counts as a lie, and so do the bytes 0x80-0x9F.
- Every reading is lossless: encoding the text again gives the bytes that came.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Charset:
    """How the bytes of one message were, or will be, encoded.

    Attributes:
        codec: Python codec name.
        name: what MSH-18 says for it in a message of our own (HL7 table 0211).
    """

    codec: str
    name: str


UTF_8 = Charset("utf-8", "UNICODE UTF-8")
ASCII = Charset("ascii", "ASCII")
LATIN_1 = Charset("iso8859-1", "8859/1")
LATIN_9 = Charset("iso8859-15", "8859/15")
WINDOWS_1252 = Charset("cp1252", "8859/1")

_BY_NAME = {
    "UNICODE UTF-8": UTF_8,
    "UNICODEUTF8": UTF_8,
    "UTF8": UTF_8,
    "ASCII": ASCII,
    "USASCII": ASCII,
    "8859/1": LATIN_1,
    "88591": LATIN_1,
    "ISO88591": LATIN_1,
    "LATIN1": LATIN_1,
    "885915": LATIN_9,
    "ISO885915": LATIN_9,
    "LATIN9": LATIN_9,
    "WINDOWS1252": WINDOWS_1252,
    "CP1252": WINDOWS_1252,
}
_NOISE = re.compile(r"[^A-Z0-9]")
_C1_BYTES = bytes(range(0x80, 0xA0))


def declared_charset(msh_18: str) -> Charset | None:
    """The charset that the text of MSH-18 names, or ``None`` when it is empty or not known here.

    Spellings seen in the field (``UTF-8``, ``ISO-8859-1``) are understood beside those of table 0211.
    """
    if not msh_18:
        return None
    return _BY_NAME.get(msh_18) or _BY_NAME.get(_NOISE.sub("", msh_18.upper()))


def decode(data: bytes, msh_18: str) -> tuple[str, Charset, bool]:
    """Decode a message; never fails, always reversible.

    Args:
        data: the whole message.
        msh_18: first repetition of MSH-18, may be empty.

    Returns:
        The text, the charset really used, and whether it is another than the declared one.
    """
    declared = declared_charset(msh_18)
    if data.isascii():
        return data.decode("ascii"), declared or UTF_8, False
    honest = declared is UTF_8 or not msh_18
    try:
        return data.decode("utf-8"), UTF_8, not honest
    except UnicodeDecodeError:
        pass
    if declared in (LATIN_1, LATIN_9) and len(data.translate(None, _C1_BYTES)) == len(data):
        return data.decode(declared.codec), declared, False
    try:
        return data.decode("cp1252"), WINDOWS_1252, declared is not WINDOWS_1252
    except UnicodeDecodeError:  # five bytes mean nothing in windows-1252; ISO 8859-1 reads any byte
        return data.decode("iso8859-1"), LATIN_1, True


def can_write(text: str, charset: Charset) -> bool:
    """Whether the charset has every character of the text."""
    try:
        text.encode(charset.codec)
    except UnicodeEncodeError:
        return False
    return True


def answer_charset(msh_18: str, used: Charset) -> Charset:
    """The charset for an answer: what the question declared, else the nearest to what it was written in.

    MSH-18 has no name for windows-1252, so an undeclared one is answered in ISO 8859-1, its subset.
    """
    declared = declared_charset(msh_18)
    if declared is not None and declared is not ASCII:
        return declared
    return UTF_8 if used in (UTF_8, ASCII) else LATIN_1


_PLAIN = str.maketrans(
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
        "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i",
        "‘": "'", "’": "'", "“": "'", "”": "'", "–": "-", "—": "-", "…": "...", "€": "EUR",
    }
)  # fmt: skip


def encode(text: str, charset: Charset, reserved: str = "") -> bytes:
    """Encode a message of our own.

    A character the charset lacks is written without its accent, or by its customary Latin spelling (Œ as OE),
    and as a question mark when it has none.

    Args:
        reserved: characters that a replacement must not bring in, because they mean something (delimiters).
    """
    try:
        return text.encode(charset.codec)
    except UnicodeEncodeError:
        return "".join(_writable(char, charset, reserved) for char in text).encode(charset.codec)


def _writable(char: str, charset: Charset, reserved: str) -> str:
    if can_write(char, charset):
        return char
    plain = unicodedata.normalize("NFKD", char.translate(_PLAIN))
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    if plain and plain.isprintable() and can_write(plain, charset) and not set(plain) & set(reserved):
        return plain
    return " " if "?" in reserved else "?"
