"""What a page is: a path, who may open it, and one function from a visit to a view.

A module of :mod:`web.pages` holds ``PAGES`` and registers its functions there; it is found by being there, and no other
file is edited. Pages call services of ``mpi`` and ``xds``; they hold no rules and no SQL.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from ihe.audit import AuditTrail
from ihe.errors import InvalidElement, MissingElement
from ihe.http import HttpRequest
from ihe.unit_of_work import UnitOfWork
from web.application import WebApplication
from web.roles import EVERYBODY
from web.session import Session

NOBODY = frozenset[str]()
"""Pages for people who are not logged in."""


@dataclass(frozen=True, slots=True)
class Template:
    """A page to be rendered."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go elsewhere.

    Attributes:
        notice: a message (already translated) shown once on the page that follows.
        cookies: to set, or to delete where the value is ``None``.
    """

    path: str
    notice: str = ""
    cookies: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Download:
    """A file."""

    name: str
    media_type: str
    body: bytes


View = Template | Redirect | Download


@dataclass
class Visit:
    """One request of one person.

    Attributes:
        token: of the session cookie; empty when there is none.
        t: translates a text of the catalogue into the visitor's language.
    """

    request: HttpRequest
    session: Session
    token: str
    language: str
    t: Callable[[str], str]
    uow: UnitOfWork
    app: WebApplication
    trail: AuditTrail

    @cached_property
    def form(self) -> Mapping[str, list[str]]:
        """Fields of the submitted form."""
        return _form_of(self.request)

    def field(self, name: str) -> str:
        """A form field without surrounding space; empty when absent."""
        return next(iter(self.form.get(name, ())), "").strip()

    def needed(self, name: str) -> str:
        """A form field that must be filled in.

        Raises:
            MissingElement: it is not.
        """
        value = self.field(name)
        if not value:
            raise MissingElement("a required field is empty", name)
        return value

    def number(self, name: str) -> int:
        """A number of the path.

        Raises:
            InvalidElement: it is none.
        """
        return _number(self.request.path_parameters.get(name, ""), name)

    def numbers(self, name: str) -> list[int]:
        """All values of a form field, as numbers."""
        return [_number(value, name) for value in self.form.get(name, ())]

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks for a part of the page."""
        return self.request.headers.get("hx-request") == "true" and "hx-boosted" not in self.request.headers


def _form_of(request: HttpRequest) -> dict[str, list[str]]:
    if request.method != "POST":
        return {}
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000)


def form_field(request: HttpRequest, name: str) -> str:
    """A form field of a request that is not yet a visit; empty when absent."""
    return next(iter(_form_of(request).get(name, ())), "")


def _number(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidElement("a number is needed", name)
    return int(value)


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        method: ``GET`` or ``POST``.
        path: template with ``{names}``.
        name: for the audit trail.
        roles: who may open it; empty for those who are not logged in.
        writes: whether it may change anything; a reading page sees one state of the database.
        event_code: DICOM code of the audit event (110110 patient record, 110112 query, 110114 login, 110101 audit log).
    """

    method: str
    path: str
    name: str
    serve: Callable[[Visit], View]
    roles: frozenset[str] = EVERYBODY
    writes: bool = False
    event_code: str = "110110"


class Pages:
    """Collects the pages of a module."""

    def __init__(self) -> None:
        self._pages: list[Page] = []

    def __iter__(self) -> Iterator[Page]:
        return iter(self._pages)

    def get(self, path: str, name: str, **more: Any) -> Callable[[Callable[[Visit], View]], Callable[[Visit], View]]:
        """Register a function that shows."""
        return self._registered("GET", path, name, {"writes": False, **more})

    def post(self, path: str, name: str, **more: Any) -> Callable[[Callable[[Visit], View]], Callable[[Visit], View]]:
        """Register a function that does."""
        return self._registered("POST", path, name, {"writes": True, **more})

    def _registered(
        self, method: str, path: str, name: str, more: Mapping[str, Any]
    ) -> Callable[[Callable[[Visit], View]], Callable[[Visit], View]]:
        def register(serve: Callable[[Visit], View]) -> Callable[[Visit], View]:
            self._pages.append(Page(method, path, name, serve, **more))
            return serve

        return register


def discover(package: str = "web.pages") -> list[Page]:
    """All pages of the modules of a package."""
    folder = importlib.import_module(package)
    found: list[Page] = []
    for module in pkgutil.iter_modules(folder.__path__):
        found.extend(importlib.import_module(f"{package}.{module.name}").PAGES)
    return found
