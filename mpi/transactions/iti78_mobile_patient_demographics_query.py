"""ITI-78 Mobile Patient Demographics Query: search and read of FHIR Patient.

Source: ITI TF-2: 3.78 (PDQm).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ihe.errors import InvalidElement, NotFound, UnknownTargetAuthority
from ihe.fhir.formats import answer_format, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import AssigningAuthority, PartialDate, PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey, Sex
from mpi.domain.record import Record
from mpi.domain.search import NameCriterion, PatientSearch, fold
from mpi.services.find_patients import find_patients, read_patient
from mpi.services.identifiers import find, ins_ids, patient_id_of, regional_patient_id
from mpi.translate.fhir_patient import parse_system, parse_token, patient_resource, record_of_resource_id

_SEARCH_PARAMETERS = (
    ("_id", "token"),
    ("identifier", "token"),
    ("family", "string"),
    ("given", "string"),
    ("birthdate", "date"),
    ("gender", "token"),
    ("address-postalcode", "string"),
    ("address-city", "string"),
)

TRANSACTION = Transaction(
    number="ITI-78",
    name="Mobile Patient Demographics Query",
    actor="Patient Demographics Supplier",
    profile="PDQm",
    bindings=(
        HttpBinding("GET", "/fhir/Patient", interaction="search-type", search_parameters=_SEARCH_PARAMETERS),
        HttpBinding("POST", "/fhir/Patient/_search", interaction="search-type"),
        HttpBinding("GET", "/fhir/Patient/{id}", interaction="read"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("JSON and XML", "paging by _count and _offset"),
    source="ITI TF-2: 3.78",
)

_DEFAULT_COUNT = 50
_MAX_COUNT = 200
_SEXES = {"male": Sex.MALE, "female": Sex.FEMALE, "other": Sex.OTHER, "unknown": Sex.UNKNOWN}


@dataclass(frozen=True, slots=True)
class PdqmQuery:
    """The question: either one resource or a search.

    Attributes:
        resource_id: logical id to read, or ``None`` for a search.
        identifiers: identifiers of which any may match.
        domains: authorities to which the answer is restricted.
        unknown_system: an identifier's system is no OID, so nothing can match.
    """

    resource_id: str | None
    search: PatientSearch
    identifiers: tuple[PatientId, ...] = ()
    domains: tuple[AssigningAuthority, ...] = ()
    unknown_system: bool = False


@dataclass(frozen=True, slots=True)
class PdqmAnswer:
    """Patients found, each with the identifiers to show."""

    patients: tuple[tuple[Record, tuple[PatientId, ...]], ...]
    more: bool
    is_read: bool


def decode(request: HttpRequest) -> PdqmQuery:
    """Read the search parameters.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        NotAcceptable: a format that is not offered.
    """
    answer_format(request)
    if "id" in request.path_parameters:
        return PdqmQuery(request.path_parameters["id"], PatientSearch())
    reader = _Reader()
    for name, value in _parameters(request):
        reader.read(name, value)
    return reader.query()


def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    found = list(request.query)
    if request.method == "POST":
        try:
            found += parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=100)
        except (UnicodeDecodeError, ValueError) as error:
            raise InvalidElement("the body is not application/x-www-form-urlencoded") from error
    return found


class _Reader:
    """Collects the criteria of a search."""

    def __init__(self) -> None:
        self._search = PatientSearch(limit=_DEFAULT_COUNT)
        self._identifiers: list[PatientId] = []
        self._domains: list[AssigningAuthority] = []
        self._asks_identifier = False

    def read(self, name: str, value: str) -> None:
        base, _, modifier = name.partition(":")
        if modifier and not (modifier == "exact" and base in ("family", "given")):
            raise InvalidElement(f"the modifier of {base} is not supported", name)
        match base:
            case "_format" | "_pretty":
                pass
            case "identifier":
                self._identifier(value)
            case "_id":
                ids = tuple(i for t in value.split(",") if (i := record_of_resource_id(t)) is not None)
                self._search = replace(self._search, record_ids=ids or (0,))
            case "family":
                self._search = replace(self._search, families=self._names(value, modifier))
            case "given":
                givens = (*self._search.givens, *self._names(value, modifier)[:1])
                self._search = replace(self._search, givens=givens)
            case "birthdate":
                self._search = replace(self._search, birth_dates=tuple(_birth_date(v) for v in value.split(",")))
            case "gender":
                self._search = replace(self._search, sexes=tuple(_sex(v) for v in value.split(",")))
            case "address-postalcode":
                self._search = replace(self._search, postal_codes=tuple(value.split(",")))
            case "address-city":
                self._search = replace(self._search, cities=self._names(value, modifier))
            case "_count":
                self._search = replace(self._search, limit=min(_natural(value, "_count"), _MAX_COUNT))
            case "_offset":
                self._search = replace(self._search, offset=_natural(value, "_offset"))
            case _:
                raise InvalidElement("the search parameter is not supported", name)

    def _names(self, value: str, modifier: str) -> tuple[NameCriterion, ...]:
        names = (fold(v) for v in value.split(","))
        criteria = tuple(NameCriterion(name, modifier == "exact") for name in names if name)
        if not criteria:
            raise InvalidElement("a name to search for is empty")
        return criteria

    def _identifier(self, value: str) -> None:
        self._asks_identifier = self._asks_identifier or not value.endswith("|")
        for token in value.split(","):
            if token.endswith("|") and token.count("|") == 1:
                self._domains.append(_domain(token[:-1]))
                continue
            try:
                self._identifiers.append(parse_token(token))
            except LookupError:
                continue
            except ValueError as error:
                raise InvalidElement(f"identifier is malformed: {error}", "identifier") from error

    def query(self) -> PdqmQuery:
        unknown = self._asks_identifier and not self._identifiers
        return PdqmQuery(None, self._search, tuple(self._identifiers), tuple(self._domains), unknown)


def _domain(system: str) -> AssigningAuthority:
    try:
        return parse_system(system)
    except ValueError:
        raise UnknownTargetAuthority("the domain asked for is no domain of the region", ("identifier",)) from None


def _birth_date(value: str) -> PartialDate:
    try:
        return PartialDate.parse(value.removeprefix("eq"))
    except ValueError as error:
        raise InvalidElement("birthdate is written YYYY, YYYY-MM or YYYY-MM-DD", "birthdate") from error


def _sex(value: str) -> Sex:
    if value not in _SEXES:
        raise InvalidElement("gender is one of male, female, other, unknown", "gender")
    return _SEXES[value]


def _natural(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        raise InvalidElement(f"{name} is a whole number", name)
    return int(value)


def serve(query: PdqmQuery, context: Context[MpiApplication]) -> PdqmAnswer:
    """Find or read.

    Raises:
        UnknownTargetAuthority: a domain asked for is none of the region.
        NotFound: no such resource.
        MissingElement: the search has no criterion that bounds it.
    """
    app, uow = context.application, context.uow
    context.trail.query(TRANSACTION.name)
    if query.resource_id is not None:
        record_id = record_of_resource_id(query.resource_id)
        record = read_patient(uow, app, record_id) if record_id is not None else None
        if record is None:
            raise NotFound("there is no such Patient")
        context.trail.patient(patient_id_of(app, record.key).xds_cx)
        return PdqmAnswer(((record, _shown_ids(app, record)),), more=False, is_read=True)
    domains = []
    for authority in query.domains:
        domain = app.domains.by_authority(authority)
        if domain is None:
            raise UnknownTargetAuthority("the domain asked for is no domain of the region", ("identifier",))
        domains.append(domain.code)
    search = replace(query.search, domains=tuple(domains))
    if query.unknown_system:
        return PdqmAnswer((), more=False, is_read=False)
    if query.identifiers:
        keys = _keys(query.identifiers, context)
        if not keys:
            return PdqmAnswer((), more=False, is_read=False)
        search = replace(search, keys=keys)
    found = find_patients(uow, app, search)
    for record in found.records:
        context.trail.patient(patient_id_of(app, record.key).xds_cx)
    return PdqmAnswer(tuple((r, _shown_ids(app, r)) for r in found.records), found.more, is_read=False)


def _keys(identifiers: tuple[PatientId, ...], context: Context[MpiApplication]) -> tuple[RecordKey, ...]:
    """The records that the identifiers designate; an identifier of another region's domain designates none."""
    app = context.application
    known = [i for i in identifiers if app.domains.by_authority(i.authority) is not None]
    return tuple({r.key for i in known for r in find(context.uow, app, i)})


def _shown_ids(app: MpiApplication, record: Record) -> tuple[PatientId, ...]:
    return (
        patient_id_of(app, record.key),
        *ins_ids(app, [record]),
        regional_patient_id(app, record.person_id),
    )


def encode(answer: PdqmAnswer, request: HttpRequest) -> HttpReply:
    """The Patient, or a searchset Bundle with links to this page and the next."""
    media_type = answer_format(request)
    resources = [patient_resource(record, ids) for record, ids in answer.patients]
    if answer.is_read:
        headers = {"ETag": f'W/"{resources[0]["meta"]["versionId"]}"'}
        return HttpReply(200, media_type, render(resources[0], media_type), headers)
    links = [{"relation": "self", "url": _page(request, None)}]
    if answer.more:
        links.append({"relation": "next", "url": _page(request, len(resources))})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if not answer.more and not any(name == "_offset" for name, _ in _parameters(request)):
        bundle["total"] = len(resources)
    bundle["link"] = links
    if resources:
        bundle["entry"] = [
            {
                "fullUrl": f"{request.base_url}/fhir/Patient/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ]
    return HttpReply(200, media_type, render(bundle, media_type))


def _page(request: HttpRequest, advance: int | None) -> str:
    parameters = [(n, v) for n, v in _parameters(request) if n != "_offset"]
    offset = next((int(v) for n, v in _parameters(request) if n == "_offset"), 0)
    if advance is not None or offset:
        parameters.append(("_offset", str(offset + (advance or 0))))
    query = urlencode(parameters)
    return f"{request.base_url}/fhir/Patient" + (f"?{query}" if query else "")
