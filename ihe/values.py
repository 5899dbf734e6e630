"""Values that every IHE wire shares: OIDs, assigning authorities, patient identifiers, codes, dates.

Each value is immutable, compares by content and refuses to exist when malformed (``ValueError``); the
wires turn that refusal into their own error with the location they know.
"""

from __future__ import annotations

import calendar
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

_OID = re.compile(r"^[0-2](\.(0|[1-9][0-9]*))+$")


class Oid(str):
    """An ISO object identifier in dotted form, at most 64 characters.

    A first arc of 0 is accepted although some validators refuse it.

    Raises:
        ValueError: the text is not a dotted OID or is longer than 64 characters.

    Source: ITI TF-2: Appendix B; ITU-T X.660.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Oid:
        value = text.removeprefix("urn:oid:")
        if len(value) > 64 or not _OID.fullmatch(value):
            raise ValueError("not a dotted OID of at most 64 characters")
        return super().__new__(cls, value)

    @property
    def urn(self) -> str:
        """The OID as URN, ``urn:oid:…``."""
        return f"urn:oid:{self}"

    @classmethod
    def from_uuid(cls, value: uuid.UUID) -> Oid:
        """An OID under the arc ``2.25`` for a UUID (Source: ITU-T X.667)."""
        return cls(f"2.25.{value.int}")


@dataclass(frozen=True, slots=True)
class AssigningAuthority:
    """Who assigned an identifier: HL7 v2 HD, HL7 v3 ``II.root``, FHIR ``Identifier.system``.

    At least one of both parts is present; ``oid`` decides equality of authorities where both sides have it.

    Attributes:
        namespace: HD.1, the local name, or ``None``.
        oid: HD.2 with HD.3 = ISO, or ``None``.
    """

    namespace: str | None = None
    oid: Oid | None = None

    def __post_init__(self) -> None:
        if not self.namespace and self.oid is None:
            raise ValueError("an assigning authority needs a namespace or an OID")


@dataclass(frozen=True, slots=True)
class PatientId:
    """A patient identifier with its assigning authority (HL7 CX, HL7 v3 II, FHIR Identifier).

    Attributes:
        value: CX.1, verbatim, not empty, without surrounding blanks.
        authority: CX.4.
        type_code: CX.5 (``PI``, ``INS``, ``NH``…), or ``None``; no part of the identity of an identifier.

    Source: ITI TF-2: Appendix E.
    """

    value: str
    authority: AssigningAuthority
    type_code: str | None = None

    def __post_init__(self) -> None:
        if not self.value or self.value != self.value.strip():
            raise ValueError("an identifier value must not be empty or surrounded by blanks")

    @property
    def xds_cx(self) -> str:
        """The identifier as XDS metadata writes it, ``value^^^&oid&ISO``.

        Raises:
            ValueError: the authority has no OID.

        Source: ITI TF-3: Table 4.2.3.1.7-2, CX.
        """
        if self.authority.oid is None:
            raise ValueError("XDS metadata needs an authority with an OID")
        return f"{escape_hl7(self.value)}^^^&{self.authority.oid}&ISO"

    @classmethod
    def from_xds_cx(cls, text: str) -> PatientId:
        """Read ``value^^^&oid&ISO``; a namespace, type code or further components are tolerated when reading.

        Raises:
            ValueError: no value, or no OID with type ISO in the fourth component.
        """
        parts = text.strip().split("^")
        if len(parts) < 4:
            raise ValueError("a CX needs an assigning authority in its fourth component")
        authority = parts[3].split("&")
        if len(authority) != 3 or authority[2] != "ISO":
            raise ValueError("the assigning authority must be written &OID&ISO")
        type_code = parts[4] if len(parts) > 4 and parts[4] else None
        return cls(
            unescape_hl7(parts[0]),
            AssigningAuthority(unescape_hl7(authority[0]) or None, Oid(authority[1])),
            type_code,
        )


_HL7_ESCAPES = (("\\", "\\E\\"), ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"))


def escape_hl7(text: str) -> str:
    """Escape the default HL7 delimiters ``| ^ & ~ \\`` (Source: HL7 v2.5: 2.7)."""
    if text.isalnum():  # no delimiter is a letter or digit
        return text
    for plain, escaped in _HL7_ESCAPES:
        text = text.replace(plain, escaped)
    return text


def unescape_hl7(text: str) -> str:
    """Undo :func:`escape_hl7`; other escape sequences stay as they are."""
    if "\\" not in text:
        return text
    for plain, escaped in reversed(_HL7_ESCAPES):
        text = text.replace(escaped, plain)
    return text


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: code, coding scheme, display name.

    The display name never takes part in comparison.

    Attributes:
        scheme: OID or URI of the coding scheme, or its designator.
    """

    code: str
    scheme: str
    display: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and (self.code, self.scheme) == (other.code, other.scheme)

    def __hash__(self) -> int:
        return hash((self.code, self.scheme))


_PARTIAL_DATE = re.compile(r"^(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?$")
_DAYS_OF_EVERY_MONTH = 28


@dataclass(frozen=True, slots=True, order=True)
class PartialDate:
    """A calendar date known to the year, the month or the day; it keeps that precision.

    Attributes:
        year: 1 to 9999.
        month: 1 to 12, or ``None`` when only the year is known.
        day: 1 to 31, or ``None`` when the day is not known.

    Raises:
        ValueError: no such date.
    """

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.year <= 9999:
            raise ValueError("year out of range")
        if self.month is None:
            if self.day is not None:
                raise ValueError("a day needs a month")
            return
        if not 1 <= self.month <= 12:
            raise ValueError("month out of range")
        if self.day is None or 1 <= self.day <= _DAYS_OF_EVERY_MONTH:
            return
        if not 1 <= self.day <= calendar.monthrange(self.year, self.month)[1]:
            raise ValueError("day out of range")

    @classmethod
    def parse(cls, text: str) -> PartialDate:
        """Read ``YYYY``, ``YYYYMM``, ``YYYYMMDD`` or the same with hyphens; a time behind eight digits is cut.

        Raises:
            ValueError: none of these forms, or no such date.
        """
        head = text.strip()
        if "-" not in head and len(head) > 8 and head[:8].isdigit():
            head = head[:8]
        found = _PARTIAL_DATE.fullmatch(head)
        if not found:
            raise ValueError("a date is written YYYY, YYYYMM or YYYYMMDD")
        year, month, day = found.groups()
        return cls(int(year), int(month) if month else None, int(day) if day else None)

    @property
    def is_full(self) -> bool:
        """Whether the day is known."""
        return self.day is not None

    @property
    def iso(self) -> str:
        """``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``."""
        return self._join("-")

    @property
    def hl7(self) -> str:
        """``YYYY``, ``YYYYMM`` or ``YYYYMMDD`` (HL7 v2 TS, HL7 v3 TS, XDS DTM)."""
        return self._join("")

    def covers(self, other: PartialDate) -> bool:
        """Whether every date that ``other`` can mean lies within this one."""
        mine = (self.year, self.month, self.day)
        theirs = (other.year, other.month, other.day)
        return all(a is None or a == b for a, b in zip(mine, theirs, strict=True))

    def first_day(self) -> date:
        """The first date it can mean."""
        return date(self.year, self.month or 1, self.day or 1)

    def _join(self, separator: str) -> str:
        if self.month is None:
            return f"{self.year:04d}"
        if self.day is None:
            return f"{self.year:04d}{separator}{self.month:02d}"
        return f"{self.year:04d}{separator}{self.month:02d}{separator}{self.day:02d}"


_DTM = re.compile(r"^(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\.\d{1,6})?(Z|[+-]\d{4})?$")


def parse_dtm(text: str) -> datetime:
    """Read an HL7 date-time ``YYYY[MM[DD[hh[mm[ss[.ffff]]]]]][+/-ZZZZ]`` as an aware instant.

    Missing parts are taken as the start of the period; no zone means UTC.

    Raises:
        ValueError: another form, or no such date.

    Source: HL7 v2.5: 2.A.22; ITI TF-3: Table 4.2.3.1.7-2, DTM.
    """
    found = _DTM.fullmatch(text.strip())
    if not found:
        raise ValueError("a date-time is written YYYY[MM[DD[hh[mm[ss]]]]]")
    year, month, day, hour, minute, second, zone = found.groups()
    moment = datetime(
        int(year),
        int(month or 1),
        int(day or 1),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        tzinfo=UTC,
    )
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 60 + int(zone[3:5])
        moment = datetime.fromtimestamp(moment.timestamp() - (offset if zone[0] == "+" else -offset) * 60, UTC)
    return moment


def format_dtm(moment: datetime) -> str:
    """Write an instant as ``YYYYMMDDhhmmss`` in UTC."""
    at = moment.astimezone(UTC)
    return f"{at.year}{at.month:02d}{at.day:02d}{at.hour:02d}{at.minute:02d}{at.second:02d}"


def present_dtm() -> str:
    """The present second as DTM with its zone, ``YYYYMMDDhhmmss+0000``."""
    return _second_as_dtm(int(time.time()))


@lru_cache(maxsize=1)
def _second_as_dtm(second: int) -> str:
    return f"{format_dtm(datetime.fromtimestamp(second, UTC))}+0000"
