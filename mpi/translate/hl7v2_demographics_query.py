"""Queries by demographics and visit (QBP^Q22, QBP^ZV1): what QPD, RCP and DSC ask for.

A criterion in QPD-3 names a field (``@PID.5.1.1``) and a value. A value must be met whole, unless an asterisk ends it;
an asterisk alone asks for nothing. With the algorithm ``PHONETIC`` or ``FUZZY`` (QPD-5) a name that is asked for whole
is met by names like it, from the confidence in QPD-4 on. A field that cannot be searched is refused, never passed
over: the answer would hold patients that were not asked for.

Source: ITI TF-2: 3.21.4.1.2, 3.22.4.1.2; HL7 v2.5: 5.3.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ihe.caller import Caller
from ihe.errors import InvalidElement, MissingElement
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.er7 import Message, Repetition, Segment
from ihe.values import AssigningAuthority, Oid, PartialDate
from mpi.domain.identity import Sex
from mpi.domain.query import Criteria, Page, QueryTag
from mpi.domain.search import Likeness, NameCriterion, PatientSearch, fold, phone_key
from mpi.domain.visit import VisitId, VisitSearch
from mpi.translate.hl7v2_query import asked_authorities, required_qpd
from mpi.translate.hl7v2_visit import PRACTITIONER_FIELDS

_NAME = re.compile(r"@(?P<segment>PID|PV1)\.(?P<field>\d{1,2})(?:\.(?P<component>\d{1,2})(?:\.(?P<sub>\d))?)?")
_LOCATION_PARTS = {1: "point_of_care", 2: "room", 3: "bed", 4: "facility"}
_PRACTITIONER_PARTS = {1: "id", 2: "family", 3: "given"}
_SEXES = {"M": Sex.MALE, "F": Sex.FEMALE, "U": Sex.UNKNOWN, "O": Sex.OTHER}


@dataclass(frozen=True, slots=True)
class DemographicsQuery:
    """The question.

    Attributes:
        tag: QPD-2.
        sender: MSH-3 and MSH-4.
        patients: criteria of PID, without identifiers and accounts.
        identifiers: of which any may match; one without authority is looked for under any.
        visits: criteria of PV1 and account numbers.
        domains: QPD-8 with the location of each repetition; empty asks for all.
        quantity: most patients in one answer (RCP-2), or ``None``.
        pointer: what to continue (DSC-1), or ``None``.
    """

    tag: str
    sender: str
    patients: PatientSearch
    identifiers: tuple[VisitId, ...]
    visits: VisitSearch
    domains: tuple[tuple[AssigningAuthority, str], ...]
    quantity: int | None
    pointer: str | None


def decode_demographics_query(message: Message) -> DemographicsQuery:
    """Read the question.

    Raises:
        MissingElement: QPD, or every criterion, is missing.
        InvalidElement: a criterion, the quantity or a domain is malformed or cannot be searched.
    """
    qpd = required_qpd(message)
    reader = _Criteria()
    for number, repetition in enumerate(qpd.field(3).repetitions, 1):
        if repetition:
            reader.read(repetition, f"QPD-3[{number}]")
    dsc = message.segment("DSC")
    pointer = (dsc.text(1) if dsc else "") or None
    if not reader.is_asked and pointer is None:
        raise MissingElement("the query holds no criterion", "QPD-3")
    return DemographicsQuery(
        tag=qpd.written(2),
        sender="|".join(message.sender),
        patients=_as_preferred(PatientSearch(**reader.patients), qpd),
        identifiers=reader.identifiers.found,
        visits=VisitSearch(facts=tuple(reader.facts), numbers=reader.numbers.found, accounts=reader.accounts.found),
        domains=asked_authorities(qpd.field(8), "QPD-8"),
        quantity=_quantity(message),
        pointer=pointer,
    )


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The asker wants no more of an answer (QCN^J01).

    Attributes:
        tag: QID-1, the query's tag.
        sender: MSH-3 and MSH-4.
    """

    tag: str
    sender: str


def decode_cancellation(message: Message) -> Cancellation:
    """Read QID.

    Raises:
        MissingElement: it, or the tag in it, is missing.
    """
    qid = message.segment("QID")
    if qid is None or not qid.text(1):
        raise MissingElement("the query to cancel is named by its tag", "QID" if qid is None else "QID-1")
    return Cancellation(qid.written(1), "|".join(message.sender))


def owner(question: DemographicsQuery | Cancellation, caller: Caller) -> str:
    """Who may continue and cancel the query: the system that asked, at the node it asked from."""
    return f"{caller.node}|{question.sender}"


def query_tag(question: DemographicsQuery, caller: Caller, kind: str) -> QueryTag:
    """Names the query for its pages."""
    return QueryTag(owner(question, caller), question.tag, kind)


def criteria(question: DemographicsQuery, domains: Sequence[str]) -> Criteria:
    """What is asked, for the services.

    Args:
        domains: codes of the domains in QPD-8.
    """
    return Criteria(question.patients, question.identifiers, question.visits, domains, question.quantity)


def continuation(page: Page) -> list[SegmentBuilder]:
    """The DSC of an answer that is not the last one."""
    return [SegmentBuilder("DSC", page.pointer, "I")] if page.pointer is not None else []


def _as_preferred(search: PatientSearch, qpd: Segment) -> PatientSearch:
    """By the confidence (QPD-4) and algorithm (QPD-5) asked for; of an unknown algorithm names must be met."""
    least = qpd.text(4)
    if least:
        if not (least.isascii() and least.isdigit() and len(least) < 4 and int(least) <= _WHOLE_QUALITY):
            raise InvalidElement("the confidence asked for is a whole number to 100", "QPD-4")
        search = replace(search, least_quality=int(least))
    algorithm = qpd.text(5).strip().lower()
    return search.by_likeness(Likeness(algorithm)) if algorithm in _ALGORITHMS else search


_WHOLE_QUALITY = 100
_ALGORITHMS = frozenset(Likeness)


def _quantity(message: Message) -> int | None:
    rcp = message.segment("RCP")
    text = rcp.text(2) if rcp else ""
    if not text or rcp is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text)):
        raise InvalidElement("RCP-2 is a number of records above zero", "RCP-2.1")
    if rcp.text(2, 2) not in ("", "RD"):
        raise InvalidElement("RCP-2 counts records (RD)", "RCP-2.2")
    return int(text)


class _Ids:
    """Collects identifiers whose parts come in separate criteria; a part that comes again begins another one."""

    def __init__(self) -> None:
        self._ids: list[dict[tuple[int, int], str]] = []

    def add(self, component: int, sub: int, value: str, location: str) -> None:
        place = (component, sub)
        if not self._ids or place in self._ids[-1]:
            self._ids.append({})
        self._ids[-1][place] = value
        if component == 4 and sub == 2:
            try:
                Oid(value)
            except ValueError:
                raise InvalidElement("the universal id is not an OID", location) from None

    @property
    def found(self) -> tuple[VisitId, ...]:
        ids = []
        for parts in self._ids:
            if (1, 1) not in parts:
                raise InvalidElement("an authority is given without an identifier", "QPD-3")
            namespace, oid = parts.get((4, 1)), parts.get((4, 2))
            authority = AssigningAuthority(namespace, Oid(oid) if oid else None) if namespace or oid else None
            ids.append(VisitId(parts[1, 1], authority))
        return tuple(ids)


class _Criteria:
    """Collects the criteria of QPD-3.

    Attributes:
        patients: of :class:`~mpi.domain.search.PatientSearch`, by name.
        facts: of :class:`~mpi.domain.visit.VisitSearch`.
    """

    def __init__(self) -> None:
        self.patients: dict[str, Any] = {}
        self.facts: list[tuple[str, NameCriterion]] = []
        self.identifiers, self.accounts, self.numbers = _Ids(), _Ids(), _Ids()
        self.is_asked = False

    def read(self, repetition: Repetition, location: str) -> None:
        named = _NAME.fullmatch(repetition.text(1).strip())
        if named is None:
            raise InvalidElement("a criterion names its field as @PID.f.c.s or @PV1.f.c.s", f"{location}.1")
        segment, field, component, sub = named.groups("1")
        place = segment, int(field), int(component), int(sub)
        value = repetition.text(2).strip()
        if not value:
            return
        self.is_asked = True
        if value.strip("*"):
            self._read(place, value, location)

    def _read(self, place: tuple[str, int, int, int], value: str, location: str) -> None:
        match place:
            case ("PID", 3, 1, 1) | ("PID", 3, 4, 1 | 2 | 3):
                self.identifiers.add(place[2], place[3], _whole(value, location), location)
            case ("PID", 18, 1, 1) | ("PID", 18, 4, 1 | 2 | 3):
                self.accounts.add(place[2], place[3], _whole(value, location), location)
            case ("PV1", 19, 1, 1) | ("PV1", 19, 4, 1 | 2 | 3):
                self.numbers.add(place[2], place[3], _whole(value, location), location)
            case ("PID", 5, 1, 1):
                self._add("families", _criterion(value, location))
            case ("PID", 5, 2 | 3, 1):
                self._add("givens", _criterion(value, location))
            case ("PID", 6, 1, 1):
                self._add("mothers", _criterion(value, location))
            case ("PID", 7, 1, 1):
                self._add("birth_dates", _date(value, location))
            case ("PID", 8, 1, 1):
                if value not in _SEXES:
                    raise InvalidElement("the sex is one of M, F, U, O", f"{location}.2")
                self._add("sexes", _SEXES[value])
            case ("PID", 11, 1, 1):
                self._add("streets", _criterion(value, location))
            case ("PID", 11, 3, 1):
                self._add("cities", _criterion(value, location))
            case ("PID", 11, 5, 1):
                self._add("postal_codes", _whole(value, location))
            case ("PID", 13, 1 | 7 | 12, 1):
                if not phone_key(value):
                    raise InvalidElement("a telephone number holds digits", f"{location}.2")
                self._add("phones", phone_key(value))
            case ("PV1", 2, 1, 1):
                self._visit_fact("patient_class", value, location)
            case ("PV1", 3, 1 | 2 | 3 | 4, 1):
                self._visit_fact(_LOCATION_PARTS[place[2]], value, location)
            case ("PV1", 7 | 8 | 9 | 17, 1 | 2 | 3, 1):
                self._visit_fact(f"{PRACTITIONER_FIELDS[place[1]]}.{_PRACTITIONER_PARTS[place[2]]}", value, location)
            case ("PV1", 10, 1, 1):
                self._visit_fact("hospital_service", value, location)
            case _:
                raise InvalidElement("this field cannot be searched", f"{location}.1")

    def _visit_fact(self, name: str, value: str, location: str) -> None:
        self.facts.append((name, _criterion(value, location)))

    def _add(self, name: str, value: object) -> None:
        self.patients[name] = (*self.patients.get(name, ()), value)


def _whole(value: str, location: str) -> str:
    if "*" in value:
        raise InvalidElement("this field is asked for whole, without asterisk", f"{location}.2")
    if not value.isprintable():
        raise InvalidElement("the value is no line of printable text", f"{location}.2")
    return value


def _criterion(value: str, location: str) -> NameCriterion:
    stem = value.rstrip("*")
    if "*" in stem:
        raise InvalidElement("an asterisk stands at the end of a value only", f"{location}.2")
    folded = fold(stem)
    if not folded:
        raise InvalidElement("the value holds no letter or digit", f"{location}.2")
    return NameCriterion(folded, exact=stem == value)


def _date(value: str, location: str) -> PartialDate:
    try:
        return PartialDate.parse(value.rstrip("*"))
    except ValueError as error:
        raise InvalidElement(f"the value is not a date: {error}", f"{location}.2") from error
