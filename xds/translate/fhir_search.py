"""Search parameters → criteria, and the searchset Bundle with its pages.

Source: FHIR R4 3.1.1 (search); MHD 4.2 (ITI TF-2: 3.66.4.1.2, 3.67.4.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from ihe.errors import InvalidElement, UnsupportedRequest
from ihe.http import HttpRequest
from ihe.values import PatientId
from xds.domain.criteria import Period
from xds.domain.datatypes import dtm_start
from xds.translate.fhir_terms import URI_SYSTEM, Json, dtm_of, is_text, patient_id_of, scheme_of, unique_id_of

DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 200
RESULT_PARAMETERS: Final = (("_count", "number"), ("_offset", "number"), ("_sort", "string"), ("_format", "string"))
"""Parameters that say which part of the answer is wanted and how it is written, with their types."""

_WRITTEN: Final = frozenset({"_format", "_pretty"})
_FAR_PAST, _FAR_FUTURE = 0, 10**14


@dataclass(frozen=True, slots=True)
class PatientQuestion:
    """Whose resources are asked for: by identifier, or by the Patient of this server.

    Attributes:
        identifier: from ``patient.identifier``; ``None`` with no ``resource_id`` means: an identifier that no domain
            can have, so nobody.
        resource_id: from ``patient``.
    """

    identifier: PatientId | None = None
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the answer is wanted.

    Attributes:
        count: most resources, 0 to :data:`MAX_COUNT`.
        offset: resources before them.
        newest_first: order by registration, descending.
    """

    count: int = DEFAULT_COUNT
    offset: int = 0
    newest_first: bool = False


FIRST_PAGE: Final = Page()
ANY_TIME: Final = Period()


@dataclass(frozen=True, slots=True)
class Token:
    """``code``, ``system|code``, ``|code`` or ``system|`` of a search by token.

    Attributes:
        scheme: coding scheme; ``None`` any, empty none.
        code: ``None`` any.
    """

    scheme: str | None
    code: str | None

    @property
    def key(self) -> str | None:
        """``code^^scheme`` where both are known, as criteria have it."""
        return f"{self.code}^^{self.scheme}" if self.scheme and self.code else None


def form_parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """The parameters of a search, by GET or by POST as a form; both together with POST.

    Raises:
        UnsupportedRequest: the body is no form.
        InvalidElement: it cannot be read.
    """
    found = list(request.query)
    if request.method != "POST" or not request.body:
        return found
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise UnsupportedRequest("a search is sent as application/x-www-form-urlencoded", "Content-Type")
    try:
        form = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200)
    except ValueError as error:
        raise InvalidElement("the body is not application/x-www-form-urlencoded") from error
    return found + form


def alternatives(value: str, name: str) -> tuple[str, ...]:
    """The values that a comma separates.

    Raises:
        InvalidElement: there is none.
    """
    found = tuple(part.strip() for part in value.split(",") if part.strip())
    if not found:
        raise InvalidElement(f"{name} has no value", name)
    return found


def token_of(text: str) -> Token:
    """Read a token; systems become coding schemes."""
    system, separator, code = text.partition("|")
    if not separator:
        return Token(None, system)
    return Token(scheme_of(system) if system else "", code or None)


def unique_ids_of(value: str, name: str) -> frozenset[str]:
    """The uniqueIds and entryUUIDs that tokens of ``identifier`` can mean."""
    found: set[str] = set()
    for text in alternatives(value, name):
        system, separator, code = text.partition("|")
        known = unique_id_of({"system": system, "value": code} if separator else {"value": system})
        if known is not None:
            found |= {known, known.lower()}
    return frozenset(found)


def patient_question(name: str, value: str) -> PatientQuestion:
    """Read ``patient`` or ``patient.identifier``.

    Raises:
        InvalidElement: several patients, a malformed token, or a reference to another kind of resource.
    """
    if "," in value or not value.strip():
        raise InvalidElement("a search names exactly one patient", name)
    if name == "patient":
        *path, resource_id = value.strip().split("/")
        if path and path[-1] != "Patient":
            raise InvalidElement("patient is a reference to a Patient", name)
        return PatientQuestion(resource_id=resource_id)
    system, separator, code = value.partition("|")
    if not separator or not system.strip() or not code.strip():
        raise InvalidElement("a patient identifier is written system|value", name)
    return PatientQuestion(identifier=patient_id_of({"system": system.strip(), "value": code.strip()}))


def period_of(value: str, name: str) -> Period:
    """The instants that a date parameter asks for.

    Raises:
        InvalidElement: no date, or a prefix other than eq, ge, gt, le, lt, sa and eb.
    """
    text = value.strip().replace(" ", "+")
    prefix, text = (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)
    try:
        dtm = dtm_of(text)
        start, stop = dtm_start(dtm), dtm_stop(dtm)
    except (ValueError, OverflowError) as error:
        raise InvalidElement(f"{name} is a date or date-time with an optional prefix", name) from error
    match prefix:
        case "eq":
            return Period(start, stop)
        case "ge":
            return Period(start, None)
        case "gt" | "sa":
            return Period(stop, None)
        case "le":
            return Period(None, stop)
        case "lt" | "eb":
            return Period(None, start)
    raise InvalidElement(f"the prefix {prefix} is not supported", name)


def dtm_stop(dtm: str) -> int:
    """The first second after all that a DTM can mean, as :func:`xds.domain.datatypes.dtm_start` counts."""
    full = dtm + "00000101000000"[len(dtm) :]
    moment = datetime.strptime(full, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    match len(dtm):
        case 4:
            return int(f"{moment.year + 1:04d}0101000000")
        case 6:
            moment = (moment + timedelta(days=32)).replace(day=1)
        case 8:
            moment += timedelta(days=1)
        case 10:
            moment += timedelta(hours=1)
        case 12:
            moment += timedelta(minutes=1)
        case _:
            moment += timedelta(seconds=1)
    return int(moment.strftime("%Y%m%d%H%M%S"))


def narrower(one: Period, other: Period) -> Period:
    """What lies in both."""
    starts = [bound for bound in (one.start, other.start) if bound is not None]
    stops = [bound for bound in (one.stop, other.stop) if bound is not None]
    return Period(max(starts, default=None), min(stops, default=None))


def overlaps(period: Period, start: str | None, stop: str | None) -> bool:
    """Whether a time of service has an instant in the period; an absent end is open, two match nothing."""
    if not start and not stop:
        return False
    first = dtm_start(start) if start else _FAR_PAST
    after = dtm_stop(stop) if stop else _FAR_FUTURE
    return first < (period.stop or _FAR_FUTURE) and after > (period.start or _FAR_PAST)


def within(period: Period, number: int) -> bool:
    """Whether an instant lies in the period."""
    return (period.start or _FAR_PAST) <= number < (period.stop or _FAR_FUTURE)


def with_page_parameter(page: Page, name: str, value: str) -> Page:
    """The page with ``_count``, ``_offset`` or ``_sort`` read into it.

    Raises:
        InvalidElement: no whole number, or another order than by date.
    """
    if name == "_sort":
        if value.lstrip("-") not in ("date", "_lastUpdated"):
            raise InvalidElement("_sort is date or -date", name)
        return replace(page, newest_first=value.startswith("-"))
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        raise InvalidElement(f"{name} is a whole number", name)
    number = int(value)
    return replace(page, count=min(number, MAX_COUNT)) if name == "_count" else replace(page, offset=number)


PAGE_PARAMETERS: Final = frozenset({"_count", "_offset", "_sort"})


def is_ignored(name: str) -> bool:
    """Whether a parameter only says how the answer is written."""
    return name in _WRITTEN


def read_parameters(request: HttpRequest, readers: Mapping[str, Callable[[str, str], None]]) -> Page:
    """Give each parameter to its reader, by name; the page is read here.

    Raises:
        InvalidElement: a parameter without reader, or one that its reader refuses.
    """
    page = FIRST_PAGE
    for name, value in form_parameters(request):
        if not (is_text(name) and is_text(value)):
            raise InvalidElement("a search parameter holds control characters")
        if is_ignored(name):
            continue
        if name in PAGE_PARAMETERS:
            page = with_page_parameter(page, name, value)
            continue
        reader = readers.get(name) or readers.get(name.removesuffix(":Patient"))
        if reader is None:
            raise InvalidElement("the search parameter is not supported", name.partition("=")[0][:60])
        reader(name, value)
    return page


def searchset(
    request: HttpRequest, resource_type: str, resources: Sequence[Json], page: Page, total: int
) -> dict[str, Any]:
    """The Bundle of one page.

    Args:
        resources: of this page.
        total: resources that match in all.
    """
    links = [{"relation": "self", "url": _page_url(request, resource_type, page.offset)}]
    if page.count and page.offset + len(resources) < total:
        following = page.offset + page.count
        links.append({"relation": "next", "url": _page_url(request, resource_type, following)})
    if page.count and page.offset:
        before = max(page.offset - page.count, 0)
        links.append({"relation": "previous", "url": _page_url(request, resource_type, before)})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
    if resources:
        bundle["entry"] = [
            {
                "fullUrl": f"{request.base_url}/fhir/{resource_type}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ]
    return bundle


def _page_url(request: HttpRequest, resource_type: str, offset: int) -> str:
    parameters = [(name, value) for name, value in form_parameters(request) if name != "_offset"]
    if offset:
        parameters.append(("_offset", str(offset)))
    query = urlencode(parameters)
    return f"{request.base_url}/fhir/{resource_type}" + (f"?{query}" if query else "")


def reference_identifier_of(value: str, name: str) -> frozenset[tuple[str, str]]:
    """System and value of the identifiers that ``related`` asks for; without a system it is a URI's."""
    found = set()
    for text in alternatives(value, name):
        system, separator, code = text.partition("|")
        found.add((system, code) if separator else (URI_SYSTEM, system))
    return frozenset(found)
