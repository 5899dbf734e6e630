"""The search parameters of FHIR Patient, read as criteria of the index.

Source: FHIR R4: 3.1.1 (search), Patient search parameters; ITI TF-2: 3.78.4.1.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ihe.errors import InvalidElement, NotFound
from ihe.fhir.subset import WHOLE, Subset, read_subset
from ihe.values import AssigningAuthority, PartialDate, PatientId
from mpi.domain.identity import Sex
from mpi.domain.search import (
    BirthBound,
    ContactGroup,
    Likeness,
    NameCriterion,
    NameGroup,
    PatientSearch,
    TextGroup,
    fold,
    phone_key,
)
from mpi.translate.fhir_patient import parse_system, parse_token, person_of_resource_id, record_of_resource_id

SEARCH_PARAMETERS: Final = (
    ("_id", "token"),
    ("active", "token"),
    ("address", "string"),
    ("address-city", "string"),
    ("address-country", "string"),
    ("address-postalcode", "string"),
    ("address-state", "string"),
    ("birthdate", "date"),
    ("email", "token"),
    ("family", "string"),
    ("gender", "token"),
    ("given", "string"),
    ("identifier", "token"),
    ("mothersMaidenName", "string"),
    ("name", "string"),
    ("phone", "token"),
    ("phonetic", "string"),
    ("telecom", "token"),
)
RESULT_PARAMETERS: Final = (
    ("_count", "number"),
    ("_elements", "string"),
    ("_format", "string"),
    ("_page", "string"),
    ("_summary", "string"),
    ("_total", "string"),
)

EVERYBODY: Final = PatientSearch()
DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 200
_SEXES: Final = {"male": Sex.MALE, "female": Sex.FEMALE, "other": Sex.OTHER, "unknown": Sex.UNKNOWN}
_NAME_PARTS: Final = {"family": "F", "given": "G", "name": "FG"}
_TEXTS: Final = {
    "address": ("address", "city", "postal_code"),
    "address-city": ("city",),
    "address-postalcode": ("postal_code",),
    "mothersMaidenName": ("mother_family_name",),
}
_LIKENESSES: Final = frozenset(Likeness)
_OF_STRINGS: Final = frozenset({"exact", "contains"})
_MODIFIERS: Final = {
    **{name: _OF_STRINGS for name, kind in SEARCH_PARAMETERS if kind == "string" and name != "phonetic"},
    **dict.fromkeys(_NAME_PARTS, _OF_STRINGS | _LIKENESSES),
}
_COMPARISONS: Final = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "sa", "eb", "ap"})
_TOTALS: Final = ("none", "estimate", "accurate")


@dataclass(frozen=True, slots=True)
class PatientQuery:
    """A search as asked.

    Attributes:
        search: demographic criteria.
        identifiers: groups of identifiers; of each group one must be the patient's.
        domains: authorities to which the answer is restricted.
        persons: persons asked for by ``_id``.
        finds_nothing: a criterion that nothing in the index can meet.
        count: resources on a page.
        page: names a later page of a search made before; criteria are of no account then.
        with_total: whether the number of all matches is wanted.
        ignored: parameters that were left out of account.
        likeness: the parameters that ask for names like others, as sent.
    """

    search: PatientSearch = EVERYBODY
    identifiers: tuple[tuple[PatientId, ...], ...] = ()
    domains: tuple[AssigningAuthority, ...] = ()
    persons: tuple[int, ...] = ()
    finds_nothing: bool = False
    subset: Subset = WHOLE
    count: int = DEFAULT_COUNT
    page: str | None = None
    with_total: bool = True
    ignored: tuple[str, ...] = ()
    likeness: tuple[tuple[str, str], ...] = ()


def read_query(parameters: Iterable[tuple[str, str]], *, lenient: bool = False) -> PatientQuery:
    """Read the parameters of a search.

    A parameter with an empty value counts as absent. Values of one parameter that are separated by commas are
    alternatives; a parameter given twice must hold twice.

    Args:
        lenient: leave unknown parameters and modifiers out of account, instead of refusing them.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        NotFound: a domain asked for is no OID.
    """
    reader = _Reader()
    ignored: list[str] = []
    for name, value in parameters:
        base, _, modifier = name.partition(":")
        if not value.strip():
            continue
        try:
            reader.read(base, modifier, value)
        except _Unsupported as error:
            if not lenient:
                raise InvalidElement(str(error), name[:60]) from None
            ignored.append(name[:60])
    return reader.query(tuple(ignored))


class _Unsupported(Exception):
    """A parameter or modifier that the index does not know."""


class _Reader:
    """Collects the criteria of a search."""

    def __init__(self) -> None:
        self._criteria: dict[str, Any] = {}
        """Of :class:`~mpi.domain.search.PatientSearch`, by name."""
        self._asked: dict[str, Any] = {}
        """Of :class:`PatientQuery` beside them."""
        self._result: dict[str, str] = {}

    def read(self, name: str, modifier: str, value: str) -> None:
        if modifier and modifier not in _MODIFIERS.get(name, ()):
            raise _Unsupported(f"the modifier {modifier[:20]} is not supported here")
        match name:
            case "_format" | "_pretty":
                pass
            case "_count" | "_elements" | "_page" | "_summary" | "_total":
                self._result[name] = value
            case "_id":
                self._id(value)
            case "active":
                self._active(value)
            case "birthdate":
                bounds = tuple([bound for v in _alternatives(value) for bound in _bounds(v)])
                _add(self._criteria, "birth_bounds", bounds)
            case "family" | "given" | "name":
                names = NameGroup(_NAME_PARTS[name], _names(value, modifier, name))
                _add(self._criteria, "name_groups", names)
                if modifier in _LIKENESSES:
                    _add(self._asked, "likeness", (f"{name}:{modifier}", value))
            case "phonetic":
                self.read("name", Likeness.PHONETIC, value)
            case "gender":
                self._gender(value)
            case "identifier":
                self._identifier(value)
            case "address" | "address-city" | "address-postalcode" | "mothersMaidenName":
                texts = TextGroup(_TEXTS[name], _names(value, modifier, name))
                _add(self._criteria, "text_groups", texts)
            case "telecom" | "phone" | "email":
                self._telecom(name, value)
            case "address-country" | "address-state":
                self._nothing()  # no address of the index says either
            case _:
                raise _Unsupported("the search parameter is not supported")

    def query(self, ignored: tuple[str, ...]) -> PatientQuery:
        total = self._result.get("_total", "accurate")
        if total not in _TOTALS:
            raise InvalidElement("_total is one of " + ", ".join(_TOTALS), "_total")
        return PatientQuery(
            PatientSearch(**self._criteria) if self._criteria else EVERYBODY,
            **self._asked,
            subset=read_subset(self._result.get("_summary"), self._result.get("_elements")),
            count=min(_natural(self._result.get("_count", str(DEFAULT_COUNT)), "_count"), MAX_COUNT),
            page=self._result.get("_page"),
            with_total=total != "none",
            ignored=ignored,
        )

    def _nothing(self) -> None:
        self._asked["finds_nothing"] = True

    def _id(self, value: str) -> None:
        ids = _alternatives(value)
        record_ids = {i for text in ids if (i := record_of_resource_id(text)) is not None}
        persons = {i for text in ids if (i := person_of_resource_id(text)) is not None}
        if self._criteria.get("record_ids") or self._asked.get("persons"):
            record_ids &= set(self._criteria["record_ids"])
            persons &= set(self._asked["persons"])
        self._criteria["record_ids"] = tuple(sorted(record_ids))
        self._asked["persons"] = tuple(sorted(persons))
        if not record_ids and not persons:
            self._nothing()

    def _telecom(self, name: str, value: str) -> None:
        phones, emails = [], []
        for text in _alternatives(value):
            system, _, contact = text.rpartition("|")
            system = system or (name if name != "telecom" else "email" if "@" in contact else "phone")
            if system == "email":
                emails.append(contact.lower())
            elif system == "phone" and phone_key(contact):
                phones.append(phone_key(contact))
        if not phones and not emails:
            self._nothing()  # the index holds telephone numbers and electronic mail only
        _add(self._criteria, "contact_groups", ContactGroup(tuple(phones), tuple(emails)))

    def _active(self, value: str) -> None:
        wanted = {text.rpartition("|")[2] for text in _alternatives(value)}
        if not wanted <= {"true", "false"}:
            raise InvalidElement("active is true or false", "active")
        if "true" not in wanted:
            self._nothing()  # inactive records are not answered

    def _gender(self, value: str) -> None:
        codes = [text.rpartition("|")[2] for text in _alternatives(value)]
        if not set(codes) <= _SEXES.keys():
            raise InvalidElement("gender is one of male, female, other, unknown", "gender")
        sexes = {_SEXES[code] for code in codes}
        if already := self._criteria.get("sexes"):
            sexes &= set(already)
        self._criteria["sexes"] = tuple(sorted(sexes))
        if not sexes:
            self._nothing()

    def _identifier(self, value: str) -> None:
        tokens = _alternatives(value)
        domains = [token[:-1] for token in tokens if token.endswith("|") and token.count("|") == 1]
        for system in domains:
            try:
                authority = parse_system(system)
            except ValueError:
                raise NotFound("the domain asked for is no domain of the region", "identifier") from None
            _add(self._asked, "domains", authority)
        if len(domains) == len(tokens):
            return
        group = []
        for token in tokens:
            if token[:-1] in domains:
                continue
            try:
                group.append(parse_token(token))
            except LookupError:
                continue
            except ValueError as error:
                raise InvalidElement(f"identifier is malformed: {error}", "identifier") from error
        _add(self._asked, "identifiers", tuple(group))
        if not group:
            self._nothing()


def _add(found: dict[str, Any], name: str, value: object) -> None:
    found[name] = (*found.get(name, ()), value)


def _alternatives(value: str) -> list[str]:
    """The values separated by commas; a backslash takes a separator's meaning away."""
    if "\\" not in value:
        return [text for each in value.split(",") if (text := each.strip())]
    found = [""]
    characters = iter(value)
    for character in characters:
        if character == "\\":
            found[-1] += next(characters, "")
        elif character == ",":
            found.append("")
        else:
            found[-1] += character
    return [text.strip() for text in found if text.strip()]


def _names(value: str, modifier: str, location: str) -> tuple[NameCriterion, ...]:
    criteria = tuple(
        NameCriterion(
            folded,
            exact=modifier == "exact",
            inside=modifier == "contains",
            verbatim=text if modifier == "exact" else None,
            like=Likeness(modifier) if modifier in _LIKENESSES else None,
        )
        for text in _alternatives(value)
        if (folded := fold(text))
    )
    if not criteria:
        raise InvalidElement("a name to search for is empty", location)
    return criteria


def _bounds(value: str) -> tuple[BirthBound, ...]:
    comparison, text = ("eq", value) if value[:2] not in _COMPARISONS else (value[:2], value[2:])
    try:
        if "T" in text or not text.isascii():
            raise ValueError("a time")
        date = PartialDate.parse(text)
    except ValueError as error:
        raise InvalidElement("birthdate is written YYYY, YYYY-MM or YYYY-MM-DD", "birthdate") from error
    if comparison == "ap":  # about that age: the year before and the year after as well
        years = (max(1, date.year - 1), date.year, min(9999, date.year + 1))
        return tuple(BirthBound("eq", PartialDate(year)) for year in years)
    return (BirthBound(comparison, date),)


def _natural(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        raise InvalidElement(f"{name} is a whole number", name)
    return int(value)
