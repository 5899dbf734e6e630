"""The HTTP surface: every transaction's binding, health, metrics, and the error form of each part.

``async`` stops here: a request is read in the event loop, and served in a bounded pool of threads, or, if it is brief,
in the loop (:mod:`ihe.fibers`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from ihe import fibers
from ihe.caller import Caller
from ihe.errors import IheError, NotFound, TooLarge, UnsupportedRequest
from ihe.fhir import outcome
from ihe.http import HttpReply, HttpRequest, HttpWire, Refuser
from ihe.names import fresh_name
from ihe.peer import Peer, peer_of
from ihe.serving import Pipeline
from ihe.transaction import Endpoint, HttpBinding
from region.streaming import StreamedReply
from web import problem


class PlainRoute(APIRoute):
    """Described on the OpenAPI page like any other, and called as it is: it has nothing to inject or convert."""

    def __init__(self, path: str, endpoint: Callable[[Request], Coroutine[Any, Any, Response]], **stated: Any) -> None:
        super().__init__(path, endpoint, **stated)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.endpoint(Request(scope, receive))
        await response(scope, receive, send)


NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""The framework's own would send addresses, which hold names and birth dates, wherever the environment says."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_http_app(
    endpoints: Iterable[Endpoint],
    pipeline: Pipeline,
    *,
    executor: Executor,
    waiting: Executor,
    authenticate: Callable[[HttpRequest, Peer], Caller],
    max_body_bytes: int,
    routes: Iterable[BaseRoute] = (),
    is_ready: Callable[[], bool],
    render_metrics: Callable[[], bytes],
    may_watch: Callable[[Peer], bool] = lambda _: True,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Put the routes together.

    Args:
        executor: threads in which requests are served.
        waiting: those of requests whose answers wait for systems elsewhere.
        authenticate: who calls, from the request and the connection's peer.
        routes: further ones (SOAP endpoints, the workbench).
        is_ready: whether the service can serve now.
        may_watch: who may read the metrics.
    """
    app = FastAPI(
        title="Trait d'Union",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
    )
    app.router.route_class = PlainRoute
    known = list(endpoints)
    for endpoint, binding in _most_literal_first(each for each in known if each.claims is None):
        sharing = [each for each in known if each.claims is not None and _shares(each, binding)]
        threads = waiting if endpoint.transaction.waits else executor
        wire = HttpWire(refuser_of(binding.path))
        most = binding.max_body_bytes or max_body_bytes
        handler = _handler(endpoint, sharing, pipeline, wire, threads, authenticate, most)
        app.add_api_route(
            binding.path,
            handler,
            methods=[binding.method],
            name=f"{endpoint.transaction.number} {endpoint.transaction.name} {binding.method} {binding.path}",
            response_class=Response,
            response_model=None,
            openapi_extra=_description(binding),
        )
    _add_operations(app, executor, is_ready, render_metrics, may_watch)
    app.router.routes.extend(routes)
    app.router.routes.insert(0, _WholePaths(app.router.routes))
    app.add_exception_handler(HTTPException, _refuse_path)
    return app


class _WholePaths(BaseRoute):
    """Finds the routes without parameters by their path at once, where a router asks one after the other."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_path: dict[str, list[BaseRoute]] = {}
        for route in routes:
            path = getattr(route, "path", "{")
            if "{" not in path:
                self._by_path.setdefault(path, []).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A route that takes the request; none of those that would refuse its method."""
        for route in self._by_path.get(scope["path"], ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, {**found, _FOUND: route}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the route found."""
        await scope[_FOUND].handle(scope, receive, send)


_FOUND = "traitdunion.route"


def _most_literal_first(endpoints: Iterable[Endpoint]) -> list[tuple[Endpoint, HttpBinding]]:
    """HTTP bindings so that ``/Patient/$ihe-pix`` is tried before ``/Patient/{id}``."""
    found = [(e, b) for e in endpoints for b in e.transaction.bindings if isinstance(b, HttpBinding)]
    return sorted(found, key=lambda item: [(part.startswith("{"), part) for part in item[1].path.split("/")])


def _shares(endpoint: Endpoint, binding: HttpBinding) -> bool:
    """Whether a transaction has a binding of the same method and path."""
    return any(binding.keys == each.keys for each in endpoint.transaction.bindings)


_SCHEMAS: dict[str, dict[str, Any]] = {
    "number": {"type": "integer", "minimum": 0},
    "date": {"type": "string", "pattern": "^(eq|ne|lt|le|gt|ge|sa|eb|ap)?[0-9]{4}(-(0[1-9]|1[0-2])(-[0-2][0-9])?)?$"},
    "_summary": {"type": "string", "enum": ["true", "text", "data", "count", "false"]},
    "_total": {"type": "string", "enum": ["none", "estimate", "accurate"]},
    "_format": {"type": "string", "enum": ["json", "xml", "application/fhir+json", "application/fhir+xml"]},
    "gender": {"type": "string", "enum": ["male", "female", "other", "unknown"]},
    "active": {"type": "string", "enum": ["true", "false"]},
    "identifier": {"type": "string", "pattern": "^urn:oid:[012](\\.(0|[1-9][0-9]{0,8})){1,6}\\|[A-Za-z0-9-]{0,20}$"},
}
"""Of parameters, by name where their values are few, else by FHIR type; any other is a text."""
_FHIR_JSON = "application/fhir+json"


def _description(binding: HttpBinding) -> dict[str, Any]:
    """What the OpenAPI page says of an interaction: its parameters, and the body it takes."""
    names = [part[1:-1].partition(":")[0] for part in binding.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            *(_query_parameter(*p) for p in (*binding.search_parameters, *binding.result_parameters)),
        ]
    }
    if binding.body == "form":
        content = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
        found["requestBody"] = {"content": content}
    elif binding.body:
        kind = {"type": "string", "enum": [binding.body]}
        schema = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": kind}}
        found["requestBody"] = {"required": True, "content": {_FHIR_JSON: {"schema": schema}}}
    return found


def _query_parameter(name: str, kind: str) -> dict[str, Any]:
    schema = _SCHEMAS.get(name) or _SCHEMAS.get(kind) or {"type": "string", "minLength": 1}
    return {"name": name, "in": "query", "schema": schema, "description": kind}


def refuser_of(path: str) -> Refuser:
    """The error form of a part of the HTTP surface."""
    return outcome.refuse if path.startswith("/fhir") else problem.refuse


def _handler(
    endpoint: Endpoint,
    sharing: Sequence[Endpoint],
    pipeline: Pipeline,
    wire: HttpWire,
    executor: Executor,
    authenticate: Callable[[HttpRequest, Peer], Caller],
    max_body_bytes: int,
) -> Callable[[Request], Any]:
    is_brief = endpoint.transaction.is_brief or any(each.transaction.is_brief for each in sharing)

    async def handle(request: Request) -> Response:
        peer = peer_of(request.scope)
        correlation_id = fresh_name()
        named = _request_ids(peer, correlation_id)
        try:
            asked = _request(request, peer, await _body(request, max_body_bytes))
        except TooLarge as error:
            return _response(wire.refuser(_request(request, peer), error, correlation_id), named)
        except ClientDisconnect:
            return Response(status_code=499)

        def serve() -> HttpReply:
            taker = endpoint
            if sharing:
                taker = next((each for each in sharing if each.claims is not None and each.claims(asked)), endpoint)
            return pipeline.run(taker, wire, asked, lambda: authenticate(asked, peer), correlation_id)

        if is_brief and len(asked.body) <= fibers.LONGEST:
            return _response(await fibers.serve(executor, serve), named)
        return _response(await asyncio.get_running_loop().run_in_executor(executor, serve), named)

    return handle


_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def _request_ids(peer: Peer, correlation_id: str) -> dict[str, str]:
    """The exchange by our name (as in audit trail and log), and by the client's, where it gave one.

    Source: FHIR R4: 3.1.0.1.3 (custom headers).
    """
    theirs = peer.headers.get("x-request-id", "")
    echoed = {"X-Correlation-Id": theirs} if _SANE_ID.fullmatch(theirs) else {}
    return {"X-Request-Id": correlation_id, **echoed}


async def _body(request: Request, max_body_bytes: int) -> bytes:
    body = bytearray()
    if request.method not in ("GET", "HEAD"):
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_body_bytes:
                raise TooLarge(f"a request body holds at most {max_body_bytes} bytes")
    return bytes(body)


def _request(request: Request, peer: Peer, body: bytes = b"") -> HttpRequest:
    scope = request.scope
    return HttpRequest(
        method=request.method,
        path=scope["path"].replace("?", "%3F"),
        path_parameters=request.path_params,
        query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=peer.headers,
        body=body,
        base_url=_base_url(scope["scheme"], peer.headers.get("host"), tuple(scope.get("server") or ())),
    )


@lru_cache(maxsize=64)
def _base_url(scheme: str, host: str | None, server: tuple[str, int | None] | tuple[()]) -> str:
    """Where requests are sent to, of which there are few: as clients name it, else as the listener does."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    url = URL(scope={"scheme": scheme, "server": server or None, "headers": headers, "path": "/"})
    return f"{url.scheme}://{url.netloc}"


def _response(reply: HttpReply, further_headers: Mapping[str, str]) -> Response:
    """The reply; no cache keeps it: what somebody may see changes with every link, opposition and right."""
    headers = {"Cache-Control": "no-store", **further_headers, **reply.headers}
    if isinstance(reply.body, bytes):
        return Response(reply.body, reply.status, headers, reply.media_type)
    return StreamedReply(reply, headers)


def _add_operations(
    app: FastAPI,
    executor: Executor,
    is_ready: Callable[[], bool],
    render_metrics: Callable[[], bytes],
    may_watch: Callable[[Peer], bool],
) -> None:
    async def live(_request: Request) -> Response:
        return Response("live\n", media_type="text/plain")

    async def ready(_request: Request) -> Response:
        try:
            answered = await asyncio.get_running_loop().run_in_executor(executor, is_ready)
        except Exception:
            answered = False
        return Response("ready\n" if answered else "not ready\n", 200 if answered else 503, media_type="text/plain")

    async def metrics(request: Request) -> Response:
        if not may_watch(peer_of(request.scope)):
            return Response("for operators\n", 403, media_type="text/plain")
        text = await asyncio.get_running_loop().run_in_executor(executor, render_metrics)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_api_route("/health/live", live, methods=["GET"], include_in_schema=False)
    app.add_api_route("/health/ready", ready, methods=["GET"], include_in_schema=False)
    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)


async def _refuse_path(request: Request, error: Exception) -> Response:
    """What no route answers: the error form of that part of the surface, with HTTP's own status."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    refusal: IheError
    if status == 405:
        refusal = UnsupportedRequest("this method is not offered here")
    else:
        refusal = NotFound("there is nothing at this address")
    asked = _request(request, peer_of(request.scope))
    reply = refuser_of(asked.path)(asked, refusal, None)
    headers = getattr(error, "headers", None) or {}
    return Response(reply.body if isinstance(reply.body, bytes) else b"", status, dict(headers), reply.media_type)
