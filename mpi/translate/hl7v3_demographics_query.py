"""Queries by demographics (PRPA_IN201305), their continuation and cancellation (QUQI_IN000003).

A name is asked for whole; with use ``SRCH``, or with an asterisk at its end, by its first letters; an asterisk alone
asks for nothing. With the algorithm ``PHONETIC`` or ``FUZZY`` (matchAlgorithm) a name that is asked for whole is met
by names like it, from the degree in minimumDegreeMatch on. A parameter that cannot be searched is refused, never
passed over: the answer would hold patients that were not asked for.

Source: ITI TF-2: 3.47.4.1.2, 3.47.4.3; HL7 v3 PRPA_MT201306UV02, QUQI_MT000001UV01.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ihe.caller import Caller
from ihe.errors import InvalidElement, MissingElement
from ihe.values import AssigningAuthority, PartialDate
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
    hl7,
    location,
    required_patient_id,
    stated,
)
from mpi.translate.hl7v3_interaction import (
    QUERY,
    QUERY_ID,
    Interaction,
    control_act,
    parameter_list,
    parameter_location,
    read_interaction,
)
from mpi.translate.hl7v3_patient import read_date, read_sex

CONTINUE: Final = "QUQI_IN000003UV01"
CANCEL: Final = "QUQI_IN000003UV01_Cancel"

_QUANTITY: Final = hl7("initialQuantity")
_PREFERRED: Final = hl7("matchCriterionList")

_PASSED_OVER: Final = frozenset({"id"})
_NAMES: Final = ("family", "given")


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
        interaction: the same, read.
    """

    name: QueryName
    message: Element
    interaction: Interaction
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
        interaction: what was read.
        start: number of the first patient wanted, from 1; ``None`` goes on where the last answer ended.
        quantity: how many at most; ``None`` asks for all that follow.
    """

    name: QueryName
    interaction: Interaction
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
    interaction = read_interaction(message)
    parameters = parameter_list(interaction)
    reader = _Criteria(interaction)
    positions: dict[str, int] = {}
    for parameter in parameters.iterchildren("*"):
        name = local_name(parameter)
        positions[name] = positions.get(name, 0) + 1
        if name not in _PASSED_OVER and parameter.get("nullFlavor") is None:
            reader.read(name, parameter, positions[name])
    if not reader.is_asked:
        raise MissingElement("the query holds no criterion", parameter_location(interaction, "*", rest=""))
    return DemographicsQuery(
        name=_query_name(interaction, interaction.parts.get(QUERY_ID)),
        message=message,
        interaction=interaction,
        patients=_as_preferred(reader.patients(), interaction),
        identifiers=tuple(reader.identifiers),
        domains=tuple(reader.domains),
        quantity=_number(
            stated(interaction.parts.get(_QUANTITY)), location(interaction.name, QUERY, "initialQuantity")
        ),
    )


def decode_continuation(message: Element) -> Continuation | Cancellation:
    """Read a continuation or cancellation.

    Raises:
        MissingElement: it names no query.
        InvalidElement: a quantity is no number above zero.
    """
    interaction = read_interaction(message)
    place = (interaction.name, "controlActProcess", "queryContinuation")
    wanted = first(control_act(interaction), "queryContinuation")
    query_id = first(wanted, "queryId")
    if wanted is None or stated(query_id, "root") is None:
        raise MissingElement("the message names no query", location(*place, "queryId"))
    name = _query_name(interaction, query_id)
    if interaction.name == CANCEL:
        return Cancellation(name)
    return Continuation(
        name,
        interaction,
        start=_number(attribute(wanted, "startResultNumber"), location(*place, "startResultNumber")),
        quantity=_number(attribute(wanted, "continuationQuantity"), location(*place, "continuationQuantity")),
    )


def _as_preferred(search: PatientSearch, interaction: Interaction) -> PatientSearch:
    """By the degree and algorithm asked for; of an unknown algorithm names must be met."""
    preferred = interaction.parts.get(_PREFERRED)
    if preferred is None:
        return search
    least = attribute(preferred, "minimumDegreeMatch/value")
    if least is not None:
        if not (least.isascii() and least.isdigit() and len(least) < 4 and int(least) <= _WHOLE_QUALITY):
            place = location(interaction.name, QUERY, "matchCriterionList", "minimumDegreeMatch")
            raise InvalidElement("a degree is a whole number to 100", place)
        search = replace(search, least_quality=int(least))
    wanted = first(preferred, "matchAlgorithm/value")
    algorithm = (content(wanted) or "" if wanted is not None else "").strip().lower()
    return search.by_likeness(Likeness(algorithm)) if algorithm in _ALGORITHMS else search


_WHOLE_QUALITY: Final = 100
_ALGORITHMS: Final = frozenset(Likeness)


def _query_name(interaction: Interaction, query_id: Element | None) -> QueryName:
    root, extension = stated(query_id, "root") or "", stated(query_id, "extension") or ""
    return QueryName(stated(interaction.sender.known_id, "root") or "", f"{root}^{extension}")


def _number(text: str | None, place: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text)):
        raise InvalidElement("a quantity is a number above zero", place)
    return int(text)


class _Criteria:
    """Collects the parameters of a query."""

    def __init__(self, interaction: Interaction) -> None:
        self._interaction = interaction
        self._sexes: list[Sex] = []
        self._birth_dates: list[PartialDate] = []
        self._families: list[NameCriterion] = []
        self._givens: list[NameCriterion] = []
        self._mothers: list[NameCriterion] = []
        self._streets: list[NameCriterion] = []
        self._cities: list[NameCriterion] = []
        self._postal_codes: list[str] = []
        self._phones: list[str] = []
        self.identifiers: list[VisitId] = []
        self.domains: list[tuple[AssigningAuthority, str]] = []
        self.is_asked = False

    def patients(self) -> PatientSearch:
        """What is asked of patients, without identifiers."""
        return PatientSearch(
            families=tuple(self._families),
            givens=tuple(self._givens),
            birth_dates=tuple(self._birth_dates),
            sexes=tuple(self._sexes),
            mothers=tuple(self._mothers),
            streets=tuple(self._streets),
            cities=tuple(self._cities),
            postal_codes=tuple(self._postal_codes),
            phones=tuple(self._phones),
        )

    def read(self, name: str, parameter: Element, position: int) -> None:
        place = parameter_location(self._interaction, name, position)
        reader = _READERS.get(name)
        if reader is None:
            raise InvalidElement("this parameter cannot be searched", place)
        for value in every(parameter, "value"):
            reader(self, value, place)
            self.is_asked = self.is_asked or name != "otherIDsScopingOrganization"

    def gender(self, value: Element, place: str) -> None:
        sex = read_sex(value, place)
        if sex is not None:
            self._sexes.append(sex)

    def birth_time(self, value: Element, place: str) -> None:
        text = value.get("value") or attribute(value, "center")
        if text is None and (low := attribute(value, "low")) == attribute(value, "high"):
            text = low
        if text is None:
            raise InvalidElement("a birth time is asked for as one date, of any precision", place)
        self._birth_dates.append(read_date(text, place))

    def identifier(self, value: Element, place: str) -> None:
        found = required_patient_id(value, place)
        self.identifiers.append(VisitId(found.value, found.authority))

    def domain(self, value: Element, place: str) -> None:
        authority = authority_of(value, place)
        if authority is None:
            raise MissingElement("a domain is named by a root", place)
        self.domains.append((authority, place))

    def name(self, value: Element, place: str) -> None:
        families, givens = _criteria(value, "family", place), _criteria(value, "given", place)
        if not (families or givens or any(content(part) for kind in _NAMES for part in every(value, kind))):
            raise InvalidElement("a name is asked for by its family or given part", place)
        self._families += families
        self._givens += givens

    def mother(self, value: Element, place: str) -> None:
        mothers = _criteria(value, "family", place)
        if not mothers:
            raise InvalidElement("a name is asked for by its family part", place)
        self._mothers += mothers

    def address(self, value: Element, place: str) -> None:
        for part in value.iterchildren("*"):
            text = content(part)
            match local_name(part):
                case _ if not text:
                    pass
                case "streetAddressLine" | "streetName":
                    self._streets.append(_criterion(text, place, whole=False))
                case "city":
                    self._cities.append(_criterion(text, place, whole=True))
                case "postalCode":
                    self._postal_codes.append(text)
                case "country":
                    pass
                case _:
                    raise InvalidElement("this part of an address cannot be searched", place)

    def telecom(self, value: Element, place: str) -> None:
        key = phone_key(value.get("value") or "")
        if not key:
            raise InvalidElement("a telephone number holds digits", place)
        self._phones.append(key)


_READERS: Final[dict[str, Callable[[_Criteria, Element, str], None]]] = {
    "livingSubjectAdministrativeGender": _Criteria.gender,
    "livingSubjectBirthTime": _Criteria.birth_time,
    "livingSubjectId": _Criteria.identifier,
    "livingSubjectName": _Criteria.name,
    "mothersMaidenName": _Criteria.mother,
    "otherIDsScopingOrganization": _Criteria.domain,
    "patientAddress": _Criteria.address,
    "patientTelecom": _Criteria.telecom,
}
"""Who reads a parameter."""


def _criteria(name: Element, part: str, place: str) -> list[NameCriterion]:
    is_search = "SRCH" in (name.get("use") or "").split()
    return [
        _criterion(text, place, whole=not is_search)
        for element in every(name, part)
        if (text := content(element)) and text.strip("*")
    ]


def _criterion(text: str, place: str, *, whole: bool) -> NameCriterion:
    stem = text.rstrip("*")
    folded = fold(stem)
    if "*" in stem or not folded:
        raise InvalidElement("a value holds letters or digits, and an asterisk at its end only", place)
    return NameCriterion(folded, exact=whole and stem == text)
