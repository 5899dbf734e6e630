"""The workbench on HTTP: every page runs through the one pipeline (caller, unit of work, audit in the same commit).

Rules of this surface: scripts come from our own files only, a form carries the token of its session, a page is never
kept by a cache, and nothing of a patient stands in an address.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ihe.audit import Audited
from ihe.caller import REGION, Caller
from ihe.confidentiality import BREAK_GLASS
from ihe.errors import AccessDenied, IheError, NotAuthenticated, TooLarge, TooMany
from ihe.fhir.error_codes import error_code
from ihe.http import HttpReply, HttpRequest
from ihe.peer import Peer, peer_of
from ihe.serving import Context, Pipeline
from ihe.store.messages import MessageKey
from ihe.transaction import Endpoint, Transaction
from ihe.unit_of_work import Database
from web.application import WebApplication
from web.catalogue import chosen, translator
from web.page import Download, Page, Redirect, View, Visit, discover, form_field
from web.rendering import render, static_file
from web.roles import ADMINISTRATOR, AUDITOR, STEWARDS
from web.session import COOKIE, IDLE, LONGEST, Session, form_token
from web.store import sessions

log = logging.getLogger(__name__)

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_LANGUAGE_COOKIE: Final = "traitdunion_language"
_NOTICE_COOKIE: Final = "traitdunion_notice"
_MAX_FORM_BYTES: Final = 256 * 1024
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; form-action 'self'{provider}; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Asked:
    """A request on its way to become a visit."""

    page: Page
    http: HttpRequest
    peer: Peer
    token: str
    language: str
    session: Session = field(default_factory=Session)

    @property
    def is_secure(self) -> bool:
        """Whether cookies may be limited to TLS: always, save on this machine itself."""
        return urlsplit(self.http.base_url).hostname not in _LOOPBACK


class RateLimit:
    """At most so many requests of one origin in a minute, by this process."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def check(self, origin: str) -> None:
        """Count one.

        Raises:
            TooMany: it was one too many.
        """
        now = time.monotonic()
        seen = self._seen[origin]
        while seen and seen[0] < now - 60:
            seen.popleft()
        if len(seen) >= self._per_minute:
            raise TooMany("too many requests in a minute")
        seen.append(now)
        if len(self._seen) > 10_000:
            self._seen = defaultdict(
                deque, {origin: seen for origin, seen in self._seen.items() if seen[-1] > now - 60}
            )


class WorkbenchWire:
    """The pipeline's view of a page: refusals are pages, too."""

    def __init__(self, app: WebApplication) -> None:
        self._app = app

    def refuse(self, request: Asked, error: IheError, correlation_id: str) -> HttpReply:
        """The page that says no; who is not logged in is sent to do so."""
        if isinstance(error, NotAuthenticated) and request.page.roles:
            there = quote(request.http.path) if request.http.method == "GET" else "/"
            if request.http.headers.get("hx-request") == "true":
                return HttpReply(204, "text/plain", headers={"HX-Redirect": f"/login?next={there}"})
            return HttpReply(303, "text/plain", headers={"Location": f"/login?next={there}"})
        status = 429 if isinstance(error, TooMany) else error_code(error).status
        values = {"status": status, "reference": correlation_id, "message": error.message}
        return HttpReply(status, "text/html; charset=utf-8", _page(request, self._app, "refused.html", values))

    def audited(self, request: Asked) -> Audited:
        """Nothing: pages note what they show."""
        return Audited()

    def message_key(self, request: Asked) -> MessageKey | None:
        """Pages have no message ids."""
        return None

    def reply_to_bytes(self, reply: HttpReply) -> bytes:
        """Never asked."""
        return b"".join(reply.chunks())

    def reply_from_bytes(self, stored: bytes) -> HttpReply:
        """Never asked."""
        return HttpReply(200, "text/html", stored)


def workbench_routes(
    app: WebApplication,
    database: Database,
    pipeline: Pipeline,
    *,
    executor: Executor,
    name_node: Callable[[Peer], str] = lambda peer: peer.host,
    pages: Iterable[Page] | None = None,
) -> list[BaseRoute]:
    """The routes of all pages, and of the static files.

    Args:
        executor: threads in which pages are served.
        name_node: the system at the other end; raises what the pipeline knows where it must not be served.
        pages: default those of :mod:`web.pages`.
    """
    handling = _Handling(app, database, pipeline, executor, name_node)
    found = sorted(discover() if pages is None else pages, key=lambda p: [s.startswith("{") for s in p.path.split("/")])
    return [
        Route("/static/{name}", _static, methods=["GET", "HEAD"]),
        *(Route(page.path, handling.handler(page), methods=[page.method]) for page in found),
    ]


async def _static(request: Request) -> Response:
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "png": "image/png"}
    name = request.path_params["name"]
    try:
        body = static_file(name)
    except (FileNotFoundError, IsADirectoryError):
        return Response(status_code=404)
    kind = kinds.get(name.rpartition(".")[2], "application/octet-stream")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(body, media_type=kind, headers=headers)


class _Handling:
    """What all pages share."""

    def __init__(
        self,
        app: WebApplication,
        database: Database,
        pipeline: Pipeline,
        executor: Executor,
        name_node: Callable[[Peer], str],
    ) -> None:
        self._app, self._database, self._pipeline, self._executor = app, database, pipeline, executor
        self._name_node = name_node
        self._wire = WorkbenchWire(app)
        self._by_session = RateLimit(600)
        self._logins = RateLimit(60)
        # Logging out submits a form that leads on to the provider, which a browser counts as its destination.
        oidc = app.workbench.oidc
        provider = f" {_origin(oidc.settings.issuer)}" if oidc else ""
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(provider=provider)}

    def handler(self, page: Page) -> Callable[[Request], Any]:
        endpoint = _endpoint(page)

        async def handle(request: Request) -> Response:
            asked = await _asked(page, request)
            if isinstance(asked, Response):
                return asked
            named = uuid.uuid4().hex
            run = partial(self._pipeline.run, endpoint, self._wire, asked, partial(self._authenticate, asked), named)
            reply: HttpReply = await asyncio.get_running_loop().run_in_executor(self._executor, run)
            return _response(asked, reply, self._headers)

        return handle

    def _authenticate(self, asked: Asked) -> Caller:
        """Who visits.

        Raises:
            NotAuthenticated: nobody is logged in, and the page is not for nobody.
            AccessDenied: the page is for others, or the form did not come from a page of ours.
            TooMany: too many requests.
        """
        page = asked.page
        if not page.roles:
            self._logins.check(asked.peer.host)
        if asked.token:
            self._by_session.check(asked.token)
            asked.session = self._session_of(asked.token) or Session()
        if page.method == "POST":
            _check_origin(asked)
        if page.roles:
            if not asked.session.is_open:
                raise NotAuthenticated("log in first")
            if not page.roles & asked.session.roles:
                raise AccessDenied("this page is for other roles")
        reason = asked.session.opened.get(asked.http.path_parameters.get("person", ""))
        return asked.session.caller(self._name_node(asked.peer), BREAK_GLASS if reason else "normal", reason)

    def _session_of(self, token: str) -> Session | None:
        with self._database.unit(REGION) as uow:
            content = sessions.find(uow.connection, token, begun_after=uow.now - LONGEST, seen_after=uow.now - IDLE)
            if content is None:
                return None
            sessions.touch(uow.connection, token, uow.now, not_since=uow.now - timedelta(minutes=1))
        return Session.from_json(content)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _check_origin(asked: Asked) -> None:
    given = asked.http.headers.get("x-form-token") or form_field(asked.http, "form_token")
    if (asked.token or asked.page.roles) and not hmac.compare_digest(given, form_token(asked.token)):
        raise AccessDenied("the form is too old or did not come from here")
    if asked.http.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise AccessDenied("the form did not come from here")


def page_number(page: Page) -> str:
    """What stands for a page where a transaction has its number."""
    return f"workbench {page.method} {page.path}"


def _endpoint(page: Page) -> Endpoint:
    transaction = Transaction(
        number=page_number(page),
        name=page.name,
        actor="Workbench",
        profile="Trait d'Union",
        bindings=(),
        writes=page.writes,
        event_code=page.event_code,
        event_action="U" if page.writes else "R",
    )

    def serve(asked: Asked, context: Context[WebApplication]) -> tuple[View, WebApplication]:
        visit = Visit(
            asked.http,
            asked.session,
            asked.token,
            asked.language,
            translator(asked.language),
            context.uow,
            context.application,
            context.trail,
        )
        return page.serve(visit), context.application

    return Endpoint(transaction, _as_asked, serve, _encode, None, __name__)


def _as_asked(asked: Asked) -> Asked:
    return asked


def _encode(served: tuple[View, WebApplication], asked: Asked) -> HttpReply:
    view, app = served
    if isinstance(view, Download):
        headers = {"Content-Disposition": f'attachment; filename="{view.name}"'}
        return HttpReply(200, view.media_type, view.body, headers)
    if isinstance(view, Redirect):
        headers = {"Location": view.path}
        cookies = dict(view.cookies)
        if view.notice:
            cookies[_NOTICE_COOKIE] = quote(view.notice)
        return _Cookied(303, "text/plain", b"", headers, cookies=cookies)
    body = _page(asked, app, view.name, view.values)
    seen: dict[str, str | None] = {_NOTICE_COOKIE: None} if _notice(asked) else {}
    return _Cookied(view.status, "text/html; charset=utf-8", body, cookies=seen)


@dataclass(frozen=True)
class _Cookied(HttpReply):
    """A reply that sets cookies; ``None`` deletes one."""

    cookies: Mapping[str, str | None] = field(default_factory=dict)


def _page(asked: Asked, app: WebApplication, name: str, values: Mapping[str, Any]) -> bytes:
    session = asked.session
    everywhere = {
        "session": session,
        "site_name": app.workbench.site_names.get(session.site or "", app.workbench.region),
        "site_names": app.workbench.site_names,
        "name_of": app.workbench.people.name_of,
        "form_token": form_token(asked.token) if asked.token else "",
        "path": asked.http.path,
        "notice": _notice(asked),
        "now": datetime.now(UTC),
        "is_steward": bool(session.roles & STEWARDS),
        "is_regional": session.is_regional,
        "is_auditor": AUDITOR in session.roles,
        "is_administrator": ADMINISTRATOR in session.roles,
        "is_demo": app.workbench.demo_login,
    }
    return render(asked.language, name, {**everywhere, **values})


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}


def _notice(asked: Asked) -> str:
    return unquote(_cookies(asked.http.headers).get(_NOTICE_COOKIE, ""))[:300]


async def _asked(page: Page, request: Request) -> Asked | Response:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return Response(TooLarge.__doc__, 413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    http = HttpRequest(
        method=page.method,
        path=request.url.path,
        path_parameters={name: str(value) for name, value in request.path_params.items()},
        query=tuple(request.query_params.multi_items()),
        headers=headers,
        body=bytes(body),
        base_url=f"{request.url.scheme}://{request.url.netloc}",
    )
    cookies = _cookies(headers)
    language = chosen(cookies.get(_LANGUAGE_COOKIE, ""), headers.get("accept-language", ""))
    return Asked(page, http, peer_of(request.scope), cookies.get(COOKIE, ""), language)


def _response(asked: Asked, reply: HttpReply, everywhere: Mapping[str, str]) -> Response:
    headers = {**everywhere, **reply.headers}
    if asked.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    body = b"".join(reply.chunks())
    response: Response
    if "Location" in reply.headers:
        response = RedirectResponse(reply.headers["Location"], reply.status, headers=headers)
    else:
        response = Response(body, reply.status, headers, reply.media_type)
    for name, value in reply.cookies.items() if isinstance(reply, _Cookied) else ():
        if value is None:
            response.delete_cookie(name, path="/")
        else:
            keep = 365 * 86400 if name == _LANGUAGE_COOKIE else None
            response.set_cookie(
                name, value, max_age=keep, path="/", secure=asked.is_secure, httponly=True, samesite="lax"
            )
    return response
