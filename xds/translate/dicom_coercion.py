"""A DICOM file under another patient id, while it passes: only the header up to (0400,0561) is held and rewritten.

What the archive wrote moves to OtherPatientIDsSequence and OriginalAttributesSequence; every byte after the header,
the pixels among them, is passed on as it came.

Source: DICOM PS3.3 C.12.1.1.9; PS3.5 7.1, 7.5; PS3.18 8.6.1 (coercion).
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from ihe.errors import MalformedRequest, NotAcceptable, TooLarge
from ihe.values import AssigningAuthority, PatientId

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
_HEAD_BYTES: Final = 16 * 1024
"""Of a file so much is looked at first: few headers are longer, and what is not looked at is not copied."""
_IMPLICIT: Final = "1.2.840.10008.1.2"
_UNCHANGEABLE: Final = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Big endian, and deflated: an archive is asked for another transfer syntax."""
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_CHARACTER_SET, _LAST = 0x00080005, 0x04000561
_PATIENT_ID, _ISSUER, _QUALIFIERS, _OTHER_IDS = 0x00100020, 0x00100021, 0x00100024, 0x00101002
_REPLACED: Final = frozenset({_PATIENT_ID, _ISSUER, _QUALIFIERS, _OTHER_IDS, _LAST})
_ITEM_END: Final = 0xFFFEE00D
_MATTERS: Final = _REPLACED | {_CHARACTER_SET}
_UNDEFINED: Final = 0xFFFFFFFF
_DEPTH: Final = 24
_SHORT_HEAD, _LONG_HEAD = struct.Struct("<HH2sH"), struct.Struct("<HH2sHI")
_IMPLICIT_HEAD, _WORD = struct.Struct("<HHI"), struct.Struct("<I")
_SOME_MOMENT: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_LONGEST_REMEMBERED: Final = 4096
Piece = bytes | memoryview
"""Bytes that pass, as they came where nothing is changed."""


@dataclass(frozen=True, slots=True)
class ShownPatient:
    """Under which id a patient is shown.

    Attributes:
        shown: the asker's own.
        home: authority of ids whose header names no issuer: the archive's own.
    """

    shown: PatientId
    home: AssigningAuthority

    def is_original(self, dataset: Dataset) -> bool:
        """Whether a header already names the patient so."""
        if dataset.get("PatientID") != self.shown.value:
            return False
        issuer = stated_issuer(dataset) or self.home
        mine = self.shown.authority
        if issuer.oid and mine.oid:
            return issuer.oid == mine.oid
        return issuer.namespace is not None and issuer.namespace == mine.namespace

    def apply(self, dataset: Dataset, now: datetime) -> None:
        """Show a header's patient under the asker's id, the originals beside it."""
        if self.is_original(dataset):
            return
        before = Dataset()
        for name in ("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"):
            if name in dataset:
                setattr(before, name, getattr(dataset, name))
                delattr(dataset, name)
        if before.get("PatientID"):
            other = Dataset()
            other.update(before)
            if stated_issuer(before) is None:
                _write_issuer(other, self.home)
            other.TypeOfPatientID = "TEXT"
            dataset.OtherPatientIDsSequence = [*dataset.get("OtherPatientIDsSequence", ()), other]
        change = Dataset()
        change.ModifiedAttributesSequence = [before]
        change.AttributeModificationDateTime = _text_of(now)
        change.ModifyingSystem = "TRAITDUNION"
        change.SourceOfPreviousValues = ""
        change.ReasonForTheAttributeModification = "COERCE"
        dataset.OriginalAttributesSequence = [*dataset.get("OriginalAttributesSequence", ()), change]
        dataset.PatientID = self.shown.value
        _write_issuer(dataset, self.shown.authority)


def stated_issuer(dataset: Dataset) -> AssigningAuthority | None:
    """The issuer that a header names for its patient id, or ``None``."""
    namespace = str(dataset.get("IssuerOfPatientID") or "").strip() or None
    for item in dataset.get("IssuerOfPatientIDQualifiersSequence") or ():
        oid = str(item.get("UniversalEntityID") or "").strip()
        if oid and item.get("UniversalEntityIDType") == "ISO":
            try:
                return AssigningAuthority(namespace, oid)  # type: ignore[arg-type]
            except ValueError:
                break
    return AssigningAuthority(namespace) if namespace else None


def _write_issuer(dataset: Dataset, authority: AssigningAuthority) -> None:
    dataset.IssuerOfPatientID = authority.namespace or str(authority.oid)
    if authority.oid:
        qualifier = Dataset()
        qualifier.UniversalEntityID = str(authority.oid)
        qualifier.UniversalEntityIDType = "ISO"
        dataset.IssuerOfPatientIDQualifiersSequence = [qualifier]


class PassingFile:
    """One DICOM file on its way.

    Args:
        patient: under which id it is shown.
    """

    def __init__(self, patient: ShownPatient) -> None:
        self._patient = patient
        self._held: bytearray | None = bytearray()
        self._next_try = 1

    def pieces(self, data: memoryview) -> Iterator[Piece]:
        """As :meth:`feed`, in pieces: what stands behind the header is not copied."""
        if self._held is not None:
            yield self.feed(data[:_HEAD_BYTES])
            data = data[_HEAD_BYTES:]
        yield self.feed(data)

    def feed(self, data: Piece) -> Piece:
        """Take the next bytes and return those that may go on.

        Raises:
            MalformedRequest: it is no DICOM file.
            NotAcceptable: its transfer syntax cannot be rewritten while it passes.
            TooLarge: its header is longer than :data:`MAX_HEADER_BYTES`.
        """
        if self._held is None:
            return data
        self._held += data
        if len(self._held) < self._next_try:
            return b""
        return self._tried(is_whole=False)

    def close(self) -> bytes:
        """The file is complete; returns what was still held."""
        return b"" if self._held is None else self._tried(is_whole=True)

    def _tried(self, *, is_whole: bool) -> bytes:
        held = bytes(self._held or b"")
        try:
            done = self._rewritten(held, is_whole)
        except (struct.error, IndexError):
            if is_whole:
                raise MalformedRequest("an archive sent a damaged DICOM file") from None
            if len(held) > MAX_HEADER_BYTES:
                raise TooLarge("the header of a DICOM file is too long") from None
            self._next_try = 2 * len(held)
            return b""
        self._held = None
        return done

    def _rewritten(self, data: bytes, is_whole: bool) -> bytes:
        if len(data) < 144:
            raise IndexError
        if data[128:132] != b"DICM":
            raise MalformedRequest("an archive sent what is no DICOM file")
        start, syntax = _meta(data)
        if syntax in _UNCHANGEABLE:
            raise NotAcceptable("this transfer syntax cannot be shown under another patient id")
        explicit = syntax != _IMPLICIT
        header = _walk(data, start, explicit, is_whole)
        stated = b"".join([data[header.ends[at] : header.ends[at + 1]] for at in header.stated])
        elements_for = _remembered if len(stated) <= _LONGEST_REMEMBERED else _new_elements
        try:
            new = elements_for(self._patient, stated, explicit)
        except Exception:
            # pydicom decodes late and fails in many ways on damaged elements.
            raise MalformedRequest("an archive sent a DICOM file whose patient cannot be read") from None
        return _merged(data, header, _dated(new, datetime.now(UTC))) if new else data


Elements = tuple[tuple[int, bytes], ...]
"""Elements in order: tag, and the whole element as bytes."""


def _new_elements(patient: ShownPatient, stated: bytes, explicit: bool) -> Elements:
    """The new elements; none when the header already says the right thing.

    They follow from the arguments alone: the moment of the change is :data:`_SOME_MOMENT`, to be replaced.

    Args:
        stated: the elements of a header that say how its patient is called.
    """
    dataset = read_dataset(io.BytesIO(stated), not explicit, True)
    if patient.is_original(dataset):
        return ()
    patient.apply(dataset, _SOME_MOMENT)
    found = []
    for element in dataset:
        if element.tag != _CHARACTER_SET:
            alone = Dataset()
            alone.add(element)
            target = DicomBytesIO()
            target.is_little_endian, target.is_implicit_VR = True, not explicit
            charset = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
            write_dataset(target, alone, charset)
            found.append((int(element.tag), target.getvalue()))
    return tuple(found)


def _text_of(moment: datetime) -> str:
    """As a DT value (Source: PS3.5 6.2)."""
    at = moment.astimezone(UTC)
    return f"{at.year:04}{at.month:02}{at.day:02}{at.hour:02}{at.minute:02}{at.second:02}+0000"


_remembered = lru_cache(maxsize=1024)(_new_elements)
_SOME_TEXT: Final = _text_of(_SOME_MOMENT).encode()


def _dated(new: Elements, now: datetime) -> Elements:
    """The elements with the moment of the change.

    The change is the last item of the last element, and behind its moment stands nothing that an archive wrote.
    """
    *others, (tag, changes) = new
    before, _, after = changes.rpartition(_SOME_TEXT)
    return (*others, (tag, before + _text_of(now).encode() + after))


def instance_uid(data: bytes) -> str:
    """The SOP instance UID of a DICOM file from its first bytes, empty when they do not say."""
    try:
        position = 132
        while data[position : position + 2] == b"\x02\x00":
            _, element, _, value, position = _head(data, position, True)
            if element == 3:
                return data[value:position].rstrip(b"\0 ").decode("ascii", "replace")
    except (struct.error, IndexError):
        pass
    return ""


def transfer_syntax(data: bytes) -> str:
    """The transfer syntax of a DICOM file from its first bytes, empty when they do not say (Source: PS3.10 7.1)."""
    try:
        return _meta(data)[1]
    except (struct.error, IndexError):
        return ""


class _Header(NamedTuple):
    """The elements of a header up to the last that matters.

    Attributes:
        tags: of all elements.
        ends: where each begins, and where the last ends.
        stated: places among them of those that say how the patient is called.
    """

    tags: list[int]
    ends: list[int]
    stated: list[int]


def _merged(data: bytes, header: _Header, new: Elements) -> bytes:
    """The file with the replaced elements left out and the new ones in their places."""
    tags, ends = header.tags, header.ends
    edits = [(at := ends[bisect_left(tags, tag)], at, content) for tag, content in new]
    edits += [(ends[at], ends[at + 1], b"") for at in header.stated if tags[at] != _CHARACTER_SET]
    out, cursor = [], 0
    for begin, end, content in sorted(edits, key=itemgetter(0, 1)):
        out += [data[cursor:begin], content]
        cursor = max(cursor, end)
    out.append(data[cursor:])
    return b"".join(out)


def _meta(data: bytes) -> tuple[int, str]:
    """Where the dataset begins, and its transfer syntax (Source: PS3.10 7.1)."""
    position, syntax = 132, ""
    while data[position : position + 2] == b"\x02\x00":
        group, element, _, value, end = _head(data, position, True)
        if (group, element) == (2, 0x10):
            syntax = data[value:end].rstrip(b"\0 ").decode("ascii", "replace")
        position = end
        if position + 2 > len(data):
            raise IndexError
    return position, syntax


def _head(data: bytes, position: int, explicit: bool) -> tuple[int, int, bytes, int, int]:
    """Group, element, VR, and where the value begins and ends (behind the end of the data when it is undefined)."""
    if explicit and data[position : position + 2] != b"\xfe\xff":
        group, element, vr, length = _SHORT_HEAD.unpack_from(data, position)
        value = position + 8
        if vr in _LONG:
            length = _LONG_HEAD.unpack_from(data, position)[4]
            value = position + 12
    else:
        group, element, length = _IMPLICIT_HEAD.unpack_from(data, position)
        vr, value = b"", position + 8
    return group, element, vr, value, -1 if length == _UNDEFINED else value + length


def _walk(data: bytes, position: int, explicit: bool, is_whole: bool) -> _Header:
    """Find the elements up to the last that matters."""
    tags: list[int] = []
    ends = [position]
    stated: list[int] = []
    size = len(data)
    short, word, implicit = _SHORT_HEAD.unpack_from, _WORD.unpack_from, _IMPLICIT_HEAD.unpack_from
    while position < size:
        vr = b""
        if explicit:
            group, element, vr, length = short(data, position)
            value = position + 8
            if vr in _LONG:
                (length,) = word(data, value)
                value += 4
        else:
            group, element, length = implicit(data, position)
            value = position + 8
        tag = group << 16 | element
        if tag > _LAST:
            return _Header(tags, ends, stated)
        position = _after_items(data, value, explicit and vr != b"UN", 0) if length == _UNDEFINED else value + length
        if position > size:
            raise IndexError
        if tag in _MATTERS:
            stated.append(len(tags))
        tags.append(tag)
        ends.append(position)
    if not is_whole:
        raise IndexError
    return _Header(tags, ends, stated)


def _after_items(data: bytes, position: int, explicit: bool, depth: int) -> int:
    """The end of a sequence of undefined length that begins there (Source: PS3.5 7.5.2)."""
    if depth > _DEPTH:
        raise MalformedRequest("an archive sent a DICOM file with sequences too deep")
    while True:
        group, element, length = _IMPLICIT_HEAD.unpack_from(data, position)
        position += 8
        match group << 16 | element:
            case 0xFFFEE0DD:
                return position
            case 0xFFFEE000:
                position = position + length if length != _UNDEFINED else _after_item(data, position, explicit, depth)
            case _:
                raise MalformedRequest("an archive sent a damaged DICOM file")


def _after_item(data: bytes, position: int, explicit: bool, depth: int) -> int:
    while True:
        group, element, vr, value, end = _head(data, position, explicit)
        if group << 16 | element == _ITEM_END:
            return value
        position = end if end >= 0 else _after_items(data, value, explicit and vr != b"UN", depth + 1)
