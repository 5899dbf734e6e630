"""JSON calls that belong to no IHE transaction: links made and undone by hand, tasks, explanations.

Each is an endpoint of the same pipeline as the transactions: caller, one unit of work, audit in the same commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ihe.errors import InvalidElement, MalformedRequest, MissingElement, NotFound
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import Endpoint, HttpBinding, Transaction
from mpi.domain.identity import RecordKey
from mpi.services.count_population import Population, count_population
from mpi.services.decide_pair import decide_pair
from mpi.services.explain_link import explain_pair, explain_record
from mpi.services.undo_event import undo_event
from web.application import WebApplication
from web.catalogue import chosen
from web.rendering import standing_waterfall

_CODE = "110110"


def _endpoint(
    number: str,
    name: str,
    binding: HttpBinding,
    decode: Callable[[HttpRequest], Any],
    serve: Callable[[Any, Context[WebApplication]], Any],
    *,
    writes: bool,
    encode: Callable[[Any, HttpRequest], HttpReply] | None = None,
) -> Endpoint:
    transaction = Transaction(
        number=number,
        name=name,
        actor="Workbench",
        profile="Trait d'Union",
        bindings=(binding,),
        writes=writes,
        event_code=_CODE,
        event_action="U" if writes else "R",
    )
    return Endpoint(transaction, decode, serve, encode or _encode, None, __name__)


def _encode(result: Any, request: HttpRequest) -> HttpReply:
    return HttpReply(200, "application/json", orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS))


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body)
    except ValueError as error:
        raise MalformedRequest("the body is not JSON") from error
    if not isinstance(body, dict):
        raise MalformedRequest("the body is not a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise MissingElement(f"{name} is missing or empty", name)
    return value.strip()


def _record_key(body: dict[str, Any], name: str) -> RecordKey:
    part = body.get(name)
    if not isinstance(part, dict):
        raise MissingElement(f"{name} is missing: an object with domain and local_id", name)
    return RecordKey(_text(part, "domain"), _text(part, "local_id"))


@dataclass(frozen=True, slots=True)
class PairDecision:
    """Somebody's word about two records."""

    first: RecordKey
    second: RecordKey
    verdict: str
    reason: str


def _decode_decision(request: HttpRequest) -> PairDecision:
    body = _json(request)
    verdict = body.get("verdict", "same")
    if verdict not in ("same", "different"):
        raise InvalidElement("verdict is same or different", "verdict")
    return PairDecision(_record_key(body, "a"), _record_key(body, "b"), verdict, _text(body, "reason"))


def _serve_decision(decision: PairDecision, context: Context[WebApplication]) -> dict[str, int]:
    event_id = decide_pair(
        context.uow,
        context.application.mpi,
        decision.first,
        decision.second,
        decision.verdict,
        reason=decision.reason,
    )
    for key in (decision.first, decision.second):
        context.trail.patient(f"{key.domain}/{key.local_id}")
    return {"event_id": event_id}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _decode_undo(request: HttpRequest) -> tuple[int, str]:
    number = request.path_parameters["event_id"]
    if not _is_number(number):
        raise InvalidElement("an event is named by its number", "event_id")
    return int(number), _text(_json(request), "reason")


def _serve_undo(question: tuple[int, str], context: Context[WebApplication]) -> dict[str, int]:
    event_id, reason = question
    return {"event_id": undo_event(context.uow, context.application.mpi, event_id, reason=reason)}


def _decode_explanation(request: HttpRequest) -> tuple[RecordKey, RecordKey | None, int | None]:
    named = [request.one(name) for name in ("domain", "local_id", "other_domain", "other_local_id")]
    if not named[0] or not named[1]:
        raise MissingElement("domain and local_id are required", "domain")
    if bool(named[2]) != bool(named[3]):
        raise MissingElement("a second record needs both other_domain and other_local_id", "other_domain")
    other = RecordKey(named[2], named[3]) if named[2] and named[3] else None
    event = request.one("event")
    if event is not None and (other is not None or not _is_number(event)):
        raise InvalidElement("event is the number of an event that linked one record", "event")
    if request.one("format") not in (None, "json", "svg"):
        raise InvalidElement("format is json or svg", "format")
    return RecordKey(named[0], named[1]), other, None if event is None else int(event)


def _serve_explanation(
    question: tuple[RecordKey, RecordKey | None, int | None], context: Context[WebApplication]
) -> dict[str, Any]:
    key, other, event = question
    app = context.application.mpi
    for each in (key, other):
        if each is not None:
            context.trail.patient(f"{each.domain}/{each.local_id}")
    if other is not None:
        return explain_pair(context.uow, app, key, other)
    return explain_record(context.uow, app, key, event)


def _encode_explanation(result: dict[str, Any], request: HttpRequest) -> HttpReply:
    """JSON; with ``format=svg`` the waterfall of the pair on which the link rests."""
    if request.one("format") != "svg":
        return _encode(result, request)
    pair = result.get("because", result)
    if pair is None:
        raise NotFound("the link rests on no pair; there is nothing to draw")
    language = chosen("", request.headers.get("accept-language", ""))
    return HttpReply(200, "image/svg+xml", standing_waterfall(pair, language).encode())


def _decode_nothing(_request: HttpRequest) -> None:
    return None


def _serve_summary(_question: None, context: Context[WebApplication]) -> Population:
    return count_population(context.uow)


_DECIDE = HttpBinding("POST", "/api/links")
_UNDO = HttpBinding("POST", "/api/events/{event_id}/undo")
_EXPLAIN = HttpBinding("GET", "/api/explain")
_SUMMARY = HttpBinding("GET", "/api/summary")

ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("TDU-1", "Decide Pair", _DECIDE, _decode_decision, _serve_decision, writes=True),
    _endpoint("TDU-2", "Undo Event", _UNDO, _decode_undo, _serve_undo, writes=True),
    _endpoint(
        "TDU-3",
        "Explain",
        _EXPLAIN,
        _decode_explanation,
        _serve_explanation,
        writes=False,
        encode=_encode_explanation,
    ),
    _endpoint("TDU-5", "Summary", _SUMMARY, _decode_nothing, _serve_summary, writes=False),
)
"""The JSON calls, for the pipeline."""
