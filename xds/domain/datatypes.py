"""Formats of XDS attribute values, as predicates on text.

Source: ITI TF-3: Table 4.2.3.1.7-2; RFC 5646 for languages.
"""

from __future__ import annotations

import re

from ihe.values import Code, PartialDate

_DTM = re.compile(r"\d{4}(?:\d\d){0,5}", re.ASCII)
_OID = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+", re.ASCII)
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UNIQUE_ID = re.compile(r"[!-~]{1,128}")
_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;.*)?")

SLOT_LENGTH = 256
"""Characters that one value of a slot may have (Source: ebRIM 3.0 schema, LongName)."""

EMPTY_SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
"""Hash of no bytes: with size 0 it marks a document that is assembled later."""


def is_dtm(text: str) -> bool:
    """Whether ``text`` is ``YYYY[MM[DD[hh[mm[ss]]]]]``, no fraction, no zone, and exists in the calendar."""
    if not _DTM.fullmatch(text):
        return False
    try:
        PartialDate.parse(text[:8])
    except ValueError:
        return False
    hour, minute, second = text[8:10], text[10:12], text[12:14]
    return (not hour or int(hour) < 24) and (not minute or int(minute) < 60) and (not second or int(second) < 60)


def dtm_start(text: str) -> int:
    """The first second that a DTM can mean, as the number ``YYYYMMDDhhmmss``: numbers compare as instants do.

    Args:
        text: a value that :func:`is_dtm` accepts.
    """
    return int(text + "00000101000000"[len(text) :])


def is_sha1(text: str) -> bool:
    """Whether ``text`` is a SHA-1 in hexadecimal, either case."""
    return bool(_SHA1.fullmatch(text))


def is_language(text: str) -> bool:
    """Whether ``text`` has the shape of a language tag."""
    return bool(_LANGUAGE.fullmatch(text))


def is_oid(text: str) -> bool:
    """Whether ``text`` is written as an OID of at most 64 characters, without ``urn:oid:``.

    Any first arc is accepted, as in ITI TF-3: sources are known to number themselves outside the arcs 0 to 2.
    """
    return len(text) <= 64 and bool(_OID.fullmatch(text))


def is_uuid(text: str) -> bool:
    """Whether ``text`` is ``urn:uuid:`` with a lower-case UUID."""
    return bool(_UUID.fullmatch(text))


def is_symbolic(text: str) -> bool:
    """Whether ``text`` is a name that only means something inside one submission."""
    return not text.startswith("urn:uuid:")


def is_unique_id(text: str) -> bool:
    """Whether ``text`` can be a DocumentEntry.uniqueId: 1 to 128 printable ASCII characters without blanks."""
    return bool(_UNIQUE_ID.fullmatch(text))


def is_mime_type(text: str) -> bool:
    """Whether ``text`` has the shape ``type/subtype``."""
    return bool(_MIME_TYPE.fullmatch(text))


def is_home(text: str) -> bool:
    """Whether ``text`` is a homeCommunityId, an OID with ``urn:oid:``."""
    return text.startswith("urn:oid:") and is_oid(text.removeprefix("urn:oid:"))


def is_reference_id(text: str) -> bool:
    """Whether ``text`` is a CXi: an identifier, an optional authority, and a type code.

    Source: ITI TF-3: Table 4.2.3.1.7-2, CXi.
    """
    parts = text.split("^")
    return len(parts) in (5, 6) and bool(parts[0]) and not parts[1] and not parts[2] and bool(parts[4])


def code_key(code: Code) -> str:
    """A code as stored queries write it, ``code^^scheme``."""
    return f"{code.code}^^{code.scheme}"
