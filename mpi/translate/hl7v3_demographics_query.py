"""Queries by demographics (PRPA_IN201305), their continuation and cancellation (QUQI_IN000003).

A name is asked for whole; with use ``SRCH``, or with an asterisk at its end, by its first letters; an asterisk alone
asks for nothing. With the algorithm ``PHONETIC`` or ``FUZZY`` (matchAlgorithm) a name that is asked for whole is met
by names like it, from the degree in minimumDegreeMatch on. A parameter that cannot be searched is refused, never
passed over: the answer would hold patients that were not asked for.

Source: ITI TF-2: 3.47.4.1.2, 3.47.4.3; HL7 v3 PRPA_MT201306UV02, QUQI_MT000001UV01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ihe.caller import Caller
from ihe.errors import InvalidElement, MissingElement
from ihe.values import AssigningAuthority
from ihe.xml import Element, local_name
from mpi.domain.identity import Sex
from mpi.domain.query import Criteria, QueryTag
from mpi.domain.search import Likeness, NameCriterion, PatientSearch, fold, phone_key
from mpi.domain.visit import VisitId
from mpi.translate.hl7v3_elements import (
    attribute,
    authority_of,
    content,
    every,
    first,
    location,
    required_patient_id,
)
from mpi.translate.hl7v3_message import parameter_location, read_control_act, read_query
from mpi.translate.hl7v3_patient import read_date, read_sex

CONTINUE: Final = "QUQI_IN000003UV01"
CANCEL: Final = "QUQI_IN000003UV01_Cancel"

_PASSED_OVER: Final = frozenset({"id"})


@dataclass(frozen=True, slots=True)
class QueryName:
    """What a query is called by its asker.

    Attributes:
        sender: root of the sending device's id.
        query_id: root and extension of the query's id.
    """

    sender: str
    query_id: str

    def owner(self, caller: Caller) -> str:
        """Who may continue and cancel the query: the system that asked, at the node it asked from."""
        return f"{caller.node}|{self.sender}"

    def tag(self, caller: Caller, kind: str, question: str | None = None) -> QueryTag:
        """Names the query for its pages.

        Args:
            question: the message, which its continuation does not repeat.
        """
        return QueryTag(self.owner(caller), self.query_id, kind, question)


@dataclass(frozen=True, slots=True)
class DemographicsQuery:
    """The question.

    Attributes:
        patients: criteria, without identifiers.
        identifiers: of which any may match.
        domains: to which the answer is restricted, each with its location; empty asks for all.
        quantity: most patients in one answer, or ``None``.
        message: what was read.
    """

    name: QueryName
    message: Element
    patients: PatientSearch
    identifiers: tuple[VisitId, ...]
    domains: tuple[tuple[AssigningAuthority, str], ...]
    quantity: int | None

    def criteria(self, domains: Sequence[str]) -> Criteria:
        """What is asked, for the services.

        Args:
            domains: codes of :attr:`domains`.
        """
        return Criteria(self.patients, self.identifiers, domains=domains, quantity=self.quantity)


@dataclass(frozen=True, slots=True)
class Continuation:
    """The asker wants more.

    Attributes:
        start: number of the first patient wanted, from 1; ``None`` goes on where the last answer ended.
        quantity: how many at most; ``None`` asks for all that follow.
    """

    name: QueryName
    start: int | None
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The asker wants no more."""

    name: QueryName


def decode_demographics_query(message: Element) -> DemographicsQuery:
    """Read a query.

    Raises:
        MissingElement: the query or every criterion is missing.
        InvalidElement: a criterion, the quantity or a domain is malformed or cannot be searched.
    """
    query, parameters = read_query(message)
    reader = _Criteria(message)
    positions: dict[str, int] = {}
    for parameter in parameters.iterchildren("*"):
        name = local_name(parameter)
        positions[name] = positions.get(name, 0) + 1
        if name not in _PASSED_OVER and parameter.get("nullFlavor") is None:
            reader.read(name, parameter, positions[name])
    if not reader.is_asked:
        raise MissingElement("the query holds no criterion", parameter_location(message, "*", rest=""))
    place = location(local_name(message), "controlActProcess", "queryByParameter", "initialQuantity")
    return DemographicsQuery(
        name=_query_name(message, query),
        message=message,
        patients=_as_preferred(reader.patients, message, query),
        identifiers=tuple(reader.identifiers),
        domains=tuple(reader.domains),
        quantity=_number(attribute(query, "initialQuantity"), place),
    )


def decode_continuation(message: Element) -> Continuation | Cancellation:
    """Read a continuation or cancellation.

    Raises:
        MissingElement: it names no query.
        InvalidElement: a quantity is no number above zero.
    """
    place = (local_name(message), "controlActProcess", "queryContinuation")
    wanted = first(read_control_act(message), "queryContinuation")
    if wanted is None or attribute(wanted, "queryId", "root") is None:
        raise MissingElement("the message names no query", location(*place, "queryId"))
    name = _query_name(message, wanted)
    if local_name(message) == CANCEL:
        return Cancellation(name)
    return Continuation(
        name,
        start=_number(attribute(wanted, "startResultNumber"), location(*place, "startResultNumber")),
        quantity=_number(attribute(wanted, "continuationQuantity"), location(*place, "continuationQuantity")),
    )


def _as_preferred(search: PatientSearch, message: Element, query: Element) -> PatientSearch:
    """By the degree and algorithm asked for; of an unknown algorithm names must be met."""
    place = (local_name(message), "controlActProcess", "queryByParameter", "matchCriterionList")
    least = attribute(query, "matchCriterionList/minimumDegreeMatch/value")
    if least is not None:
        if not (least.isascii() and least.isdigit() and len(least) < 4 and int(least) <= _WHOLE_QUALITY):
            raise InvalidElement("a degree is a whole number to 100", location(*place, "minimumDegreeMatch"))
        search = replace(search, least_quality=int(least))
    wanted = first(query, "matchCriterionList/matchAlgorithm/value")
    algorithm = (content(wanted) or "" if wanted is not None else "").strip().lower()
    return search.by_likeness(Likeness(algorithm)) if algorithm in _ALGORITHMS else search


_WHOLE_QUALITY: Final = 100
_ALGORITHMS: Final = frozenset(Likeness)


def _query_name(message: Element, query: Element) -> QueryName:
    root, extension = (attribute(query, "queryId", part) or "" for part in ("root", "extension"))
    return QueryName(attribute(message, "sender/device/id", "root") or "", f"{root}^{extension}")


def _number(text: str | None, place: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text)):
        raise InvalidElement("a quantity is a number above zero", place)
    return int(text)


class _Criteria:
    """Collects the parameters of a query."""

    def __init__(self, message: Element) -> None:
        self._message = message
        self.patients = PatientSearch()
        self.identifiers: list[VisitId] = []
        self.domains: list[tuple[AssigningAuthority, str]] = []
        self.is_asked = False

    def read(self, name: str, parameter: Element, position: int) -> None:
        readers: dict[str, Callable[[Element, str], None]] = {
            "livingSubjectAdministrativeGender": self._gender,
            "livingSubjectBirthTime": self._birth_time,
            "livingSubjectId": self._identifier,
            "livingSubjectName": self._name,
            "mothersMaidenName": self._mother,
            "otherIDsScopingOrganization": self._domain,
            "patientAddress": self._address,
            "patientTelecom": self._telecom,
        }
        if name not in readers:
            raise InvalidElement("this parameter cannot be searched", parameter_location(self._message, name, position))
        for value in every(parameter, "value"):
            readers[name](value, parameter_location(self._message, name, position))
            self.is_asked = self.is_asked or name != "otherIDsScopingOrganization"

    def _gender(self, value: Element, place: str) -> None:
        sex: Sex | None = read_sex(value, place)
        if sex is not None:
            self.patients = replace(self.patients, sexes=(*self.patients.sexes, sex))

    def _birth_time(self, value: Element, place: str) -> None:
        text = value.get("value") or attribute(value, "center")
        low, high = attribute(value, "low"), attribute(value, "high")
        if text is None and low is not None and low == high:
            text = low
        if text is None:
            raise InvalidElement("a birth time is asked for as one date, of any precision", place)
        date = read_date(text, place)
        self.patients = replace(self.patients, birth_dates=(*self.patients.birth_dates, date))

    def _identifier(self, value: Element, place: str) -> None:
        found = required_patient_id(value, place)
        self.identifiers.append(VisitId(found.value, found.authority))

    def _domain(self, value: Element, place: str) -> None:
        authority = authority_of(value, place)
        if authority is None:
            raise MissingElement("a domain is named by a root", place)
        self.domains.append((authority, place))

    def _name(self, value: Element, place: str) -> None:
        if not any(content(part) for name in ("family", "given") for part in every(value, name)):
            raise InvalidElement("a name is asked for by its family or given part", place)
        families = tuple(_criteria(value, "family", place))
        givens = tuple(_criteria(value, "given", place))
        search = self.patients
        self.patients = replace(search, families=(*search.families, *families), givens=(*search.givens, *givens))

    def _mother(self, value: Element, place: str) -> None:
        mothers = tuple(_criteria(value, "family", place))
        if not mothers:
            raise InvalidElement("a name is asked for by its family part", place)
        self.patients = replace(self.patients, mothers=(*self.patients.mothers, *mothers))

    def _address(self, value: Element, place: str) -> None:
        for part in value.iterchildren("*"):
            text = content(part)
            search = self.patients
            match local_name(part):
                case _ if not text:
                    pass
                case "streetAddressLine" | "streetName":
                    self.patients = replace(search, streets=(*search.streets, _criterion(text, place, whole=False)))
                case "city":
                    self.patients = replace(search, cities=(*search.cities, _criterion(text, place, whole=True)))
                case "postalCode":
                    self.patients = replace(search, postal_codes=(*search.postal_codes, text))
                case "country":
                    pass
                case _:
                    raise InvalidElement("this part of an address cannot be searched", place)

    def _telecom(self, value: Element, place: str) -> None:
        key = phone_key(value.get("value") or "")
        if not key:
            raise InvalidElement("a telephone number holds digits", place)
        self.patients = replace(self.patients, phones=(*self.patients.phones, key))


def _criteria(name: Element, part: str, place: str) -> Iterator[NameCriterion]:
    is_search = "SRCH" in (name.get("use") or "").split()
    for element in every(name, part):
        text = content(element)
        if text and text.strip("*"):
            yield _criterion(text, place, whole=not is_search)


def _criterion(text: str, place: str, *, whole: bool) -> NameCriterion:
    stem = text.rstrip("*")
    folded = fold(stem)
    if "*" in stem or not folded:
        raise InvalidElement("a value holds letters or digits, and an asterisk at its end only", place)
    return NameCriterion(folded, exact=whole and stem == text)
