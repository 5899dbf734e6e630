"""A DICOM file under another patient id, while it passes: only the header up to (0400,0561) is held and rewritten.

What the archive wrote moves to OtherPatientIDsSequence and OriginalAttributesSequence; every byte after the header,
the pixels among them, is passed on as it came.

Source: DICOM PS3.3 C.12.1.1.9; PS3.5 7.1, 7.5; PS3.18 8.6.1 (coercion).
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from ihe.errors import MalformedRequest, NotAcceptable, TooLarge
from ihe.values import AssigningAuthority, PatientId

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
_IMPLICIT: Final = "1.2.840.10008.1.2"
_UNCHANGEABLE: Final = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Big endian, and deflated: an archive is asked for another transfer syntax."""
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_CHARACTER_SET, _LAST = 0x00080005, 0x04000561
_PATIENT_ID, _ISSUER, _QUALIFIERS, _OTHER_IDS = 0x00100020, 0x00100021, 0x00100024, 0x00101002
_REPLACED: Final = frozenset({_PATIENT_ID, _ISSUER, _QUALIFIERS, _OTHER_IDS, _LAST})
_ITEM_END: Final = 0xFFFEE00D
_UNDEFINED: Final = 0xFFFFFFFF
_DEPTH: Final = 24
_SHORT_HEAD, _LONG_HEAD = struct.Struct("<HH2sH"), struct.Struct("<HH2sHI")
_IMPLICIT_HEAD, _WORD = struct.Struct("<HHI"), struct.Struct("<I")


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
        change.AttributeModificationDateTime = now.strftime("%Y%m%d%H%M%S+0000")
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
        known: headers rewritten before, of the same answer; one is much like the next.
    """

    def __init__(self, patient: ShownPatient, known: dict[bytes, list[tuple[int, bytes]]]) -> None:
        self._patient = patient
        self._known = known
        self._held: bytearray | None = bytearray()
        self._next_try = 1

    def feed(self, data: bytes) -> bytes:
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
        tags, ends = _elements(data, start, explicit, is_whole)
        stated = b"".join(
            data[ends[at] : ends[at + 1]] for at, tag in enumerate(tags) if tag in _REPLACED or tag == _CHARACTER_SET
        )
        key = (b"E" if explicit else b"I") + stated
        if (new := self._known.get(key)) is None:
            try:
                new = self._known[key] = self._replacement(stated, explicit)
            except Exception:
                # pydicom decodes late and fails in many ways on damaged elements.
                raise MalformedRequest("an archive sent a DICOM file whose patient cannot be read") from None
        return _merged(data, tags, ends, new) if new else data

    def _replacement(self, raw: bytes, explicit: bool) -> list[tuple[int, bytes]]:
        """The new elements in order, each as bytes; none when the header already says the right thing."""
        dataset = read_dataset(io.BytesIO(raw), not explicit, True)
        if self._patient.is_original(dataset):
            return []
        self._patient.apply(dataset, datetime.now(UTC))
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
        return found


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


def _merged(data: bytes, tags: list[int], ends: list[int], new: list[tuple[int, bytes]]) -> bytes:
    """The file with the replaced elements left out and the new ones in their places.

    Args:
        tags: of the elements up to the last that matters.
        ends: where each begins, and where the last ends.
    """
    places = ((ends[bisect_left(tags, tag)], content) for tag, content in new)
    edits = [(at, at, content) for at, content in places]
    edits += [(ends[at], ends[at + 1], b"") for at, tag in enumerate(tags) if tag in _REPLACED]
    out, cursor = [], 0
    for begin, end, content in sorted(edits, key=lambda edit: edit[:2]):
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


def _elements(data: bytes, position: int, explicit: bool, is_whole: bool) -> tuple[list[int], list[int]]:
    """The tags up to the last that matters; where each element begins, and where the last one ends."""
    tags: list[int] = []
    ends = [position]
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
            return tags, ends
        position = _after_items(data, value, explicit and vr != b"UN", 0) if length == _UNDEFINED else value + length
        if position > size:
            raise IndexError
        tags.append(tag)
        ends.append(position)
    if not is_whole:
        raise IndexError
    return tags, ends


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
