"""The way of every request: authenticate → authorise → decode → serve → encode → audit → commit → answer.

The answer is encoded before the commit, so that what is acknowledged and what is saved cannot differ; the audit
event of what was written stands in the same commit, that of a question or of a failure in one that it may share with
others. Every event is durable before its answer leaves. Errors become a wire's codes here and nowhere else. Anything
unforeseen gets a generic refusal with a correlation id, a failure audit, and a traceback in the log that names types
and places but no values.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ihe import fibers
from ihe.audit import Audited, AuditEvent, AuditTrail, Outcome
from ihe.caller import Caller
from ihe.confidentiality import EMERGENCIES
from ihe.errors import AccessDenied, IheError, InvalidElement, InvalidToken, NotAuthenticated, Unavailable
from ihe.names import fresh_name
from ihe.store import emergencies, messages, single_use
from ihe.store.messages import MessageKey
from ihe.transaction import Endpoint, Transaction
from ihe.unit_of_work import Database, UnitOfWork

log = logging.getLogger(__name__)

ApplicationT = TypeVar("ApplicationT")
Request = TypeVar("Request")
Request_contra = TypeVar("Request_contra", contravariant=True)
Reply = TypeVar("Reply")

_ATTEMPTS = 4
_QUERY = "110112"
_LONGEST_QUERY = 16 * 1024
_NO_ANSWER = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)
_RETRIED_SQLSTATES = frozenset({"40001", "40P01", "23505"})
"""Serialisation failure, deadlock, and a row that somebody else wrote first: the unit was rolled back whole and is
run again on what is there now."""

_UNSTORABLE_SQLSTATES = frozenset({"22021", "22P05"})
"""A byte sequence, or a Unicode escape, that no text may hold."""


@dataclass(slots=True)
class Context(Generic[ApplicationT]):
    """What ``serve`` gets beside the question.

    Attributes:
        uow: the open transaction, with caller and moment.
        application: the package's wired parts (settings, directories, models).
        transaction: the record of the transaction being served.
        trail: where ``serve`` notes the patients, documents and queries it touched.
    """

    uow: UnitOfWork
    application: ApplicationT
    transaction: Transaction
    trail: AuditTrail = field(default_factory=AuditTrail)


class Wire(Protocol[Request_contra, Reply]):
    """What the pipeline needs to know of a wire."""

    def refuse(self, request: Request_contra, error: IheError, correlation_id: str) -> Reply:
        """The wire's own error form, from its one table of codes."""

    def message_key(self, request: Request_contra) -> MessageKey | None:
        """What makes a repetition recognisable, or ``None`` where the wire has no such thing."""

    def reply_to_bytes(self, reply: Reply) -> bytes:
        """The reply to remember for a repeated message."""

    def reply_from_bytes(self, stored: bytes) -> Reply:
        """The remembered reply."""

    def audited(self, request: Request_contra) -> Audited:
        """What the audit event says of the request itself."""


@dataclass(frozen=True, slots=True)
class AfterCommit(Generic[Reply]):
    """A reply that needs another system: what ``encode`` returns instead of one.

    It is opened when the unit of work is committed, audit and all, and its connection given back, so that a slow system
    holds none. What opening raises is refused and audited like any failure.
    """

    open: Callable[[], Reply]


class Observer(Protocol):
    """Is told of every served transaction (metrics)."""

    def __call__(self, transaction: str, outcome: str, seconds: float, site: str | None) -> None:
        """``outcome`` is ``success``, ``repeated``, ``refused`` or ``failed``; ``site`` the caller's."""


def _allowed(caller: Caller, transaction: str) -> None:
    return None


def _unobserved(transaction: str, outcome: str, seconds: float, site: str | None) -> None:
    return None


class UnforeseenFailure(IheError):
    """Something unforeseen; the message carries the correlation id under which the log has the traceback."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Runs transactions over one database.

    Attributes:
        database: opens the unit of work.
        applications: each package's application by package name.
        observe: told of every outcome.
        authorise: refuses callers what they may not do, by :class:`~ihe.errors.AccessDenied`; gets the caller and the
            transaction's number. The one place where that is decided.
    """

    database: Database
    applications: Mapping[str, Any]
    observe: Observer = _unobserved
    authorise: Callable[[Caller, str], None] = _allowed

    def run(
        self,
        endpoint: Endpoint,
        wire: Wire[Request, Reply],
        request: Request,
        authenticate: Callable[[], Caller],
        correlation_id: str | None = None,
    ) -> Reply:
        """Serve one request and return its reply; never raises.

        What is begun in the event loop (:mod:`ihe.fibers`) stays there if it is brief, else it goes on in a thread.

        Args:
            correlation_id: names the exchange in audit trail and log; ``None`` makes one.
        """
        if endpoint.transaction.is_brief:
            reply: Reply = fibers.brief_or_in_thread(self._run, endpoint, wire, request, authenticate, correlation_id)
        else:
            reply = fibers.in_thread(self._run, endpoint, wire, request, authenticate, correlation_id)
        return reply

    def _run(
        self,
        endpoint: Endpoint,
        wire: Wire[Request, Reply],
        request: Request,
        authenticate: Callable[[], Caller],
        correlation_id: str | None,
    ) -> Reply:
        started = time.perf_counter()
        exchange = _Exchange(endpoint, wire, request, correlation_id or fresh_name())
        try:
            exchange.caller = authenticate()
            self.authorise(exchange.caller, endpoint.transaction.number)
            self._use_up(exchange.caller)
            outcome, served = self._serve(exchange)
            reply = served.open() if isinstance(served, AfterCommit) else served
        except IheError as error:
            if error.node is not None:
                exchange.caller = Caller(node=error.node)
            outcome, reply = "refused", self._refuse(exchange, error)
        except _NO_ANSWER as error:
            exchange.log(error)
            refusal = Unavailable(f"the database does not answer; reference {exchange.correlation_id}")
            outcome, reply = "failed", self._refuse(exchange, refusal)
        except Exception as error:
            exchange.log(error)
            failure = UnforeseenFailure(f"internal error; reference {exchange.correlation_id}")
            outcome, reply = "failed", self._refuse(exchange, failure)
        self.observe(endpoint.transaction.number, outcome, time.perf_counter() - started, exchange.caller.site)
        return reply

    def _use_up(self, caller: Caller) -> None:
        """Of an assertion that counts once, let this be the once; durably, before anything is done on its strength."""
        if caller.single_use is None:
            return
        with self.database.unit(caller) as uow:
            if not single_use.use(uow.connection, caller.single_use, uow.now):
                raise InvalidToken("the assertion has been used before, and counts once")

    def _serve(self, exchange: _Exchange[Request, Reply]) -> tuple[str, Reply | AfterCommit[Reply]]:
        endpoint, request = exchange.endpoint, exchange.request
        question = endpoint.decode(request)
        key = exchange.wire.message_key(request) if endpoint.transaction.writes else None
        attempt = 1
        writes = endpoint.transaction.writes or exchange.caller.purpose in EMERGENCIES  # which are noted
        copy = None if writes else self.database.copy()
        while True:
            exchange.trail.clear()
            try:
                return self._serve_once(exchange, question, key, copy)
            except (DBAPIError, PoolTimeout, psycopg.Error) as error:
                if _is_unstorable(error):
                    raise InvalidElement("a value holds a NUL, which no text may hold") from None
                if copy is not None:
                    # It writes after all, or the copy is gone or in the way of what it has to take over.
                    copy = None
                    continue
                if _sqlstate(error) not in _RETRIED_SQLSTATES or attempt == _ATTEMPTS:
                    raise
                fibers.keep_out()
                time.sleep(0.01 * 2**attempt)
                attempt += 1

    def _serve_once(
        self, exchange: _Exchange[Request, Reply], question: Any, key: MessageKey | None, copy: Engine | None
    ) -> tuple[str, Reply | AfterCommit[Reply]]:
        endpoint, wire = exchange.endpoint, exchange.wire
        application = self.applications[endpoint.module.partition(".")[0]]
        unit: AbstractContextManager[UnitOfWork]
        if endpoint.transaction.writes:
            unit = self.database.unit(exchange.caller, trail=exchange.trail)
        else:
            unit = self.database.question(exchange.caller, trail=exchange.trail, engine=copy)
        with unit as uow:
            if key is not None:
                stored = messages.stored_answer(uow.connection, key)
                if stored is not None:
                    return "repeated", wire.reply_from_bytes(stored)
            result = endpoint.serve(question, Context(uow, application, endpoint.transaction, exchange.trail))
            reply = endpoint.encode(result, exchange.request)
            if exchange.caller.purpose in EMERGENCIES:
                emergencies.note(uow)
            if key is not None:
                messages.remember(uow.connection, key, wire.reply_to_bytes(reply), uow.now)
            main = exchange.event(uow.now, Outcome.SUCCESS, None)
            uow.keep(main)
            for event in exchange.events_apart(main):
                uow.keep(event)
        return "success", reply

    def _refuse(self, exchange: _Exchange[Request, Reply], error: IheError) -> Reply:
        if isinstance(error, (AccessDenied, NotAuthenticated)):
            outcome = Outcome.SERIOUS_FAILURE
        elif isinstance(error, (UnforeseenFailure, Unavailable)):
            outcome = Outcome.MAJOR_FAILURE
        else:
            outcome = Outcome.MINOR_FAILURE
        try:
            with self.database.question(exchange.caller) as uow:
                uow.keep(exchange.event(uow.now, outcome, type(error).__name__))
        except Exception as failure:
            exchange.log(failure)
        if exchange.endpoint.refuse is not None:
            refusal: Reply = exchange.endpoint.refuse(error, exchange.request)
            return refusal
        return exchange.wire.refuse(exchange.request, error, exchange.correlation_id)


_NOBODY = Caller(node="unknown")
"""Until the caller is authenticated."""


@dataclass(slots=True)
class _Exchange(Generic[Request, Reply]):
    """One request on its way."""

    endpoint: Endpoint
    wire: Wire[Request, Reply]
    request: Request
    correlation_id: str
    caller: Caller = _NOBODY
    trail: AuditTrail = field(default_factory=AuditTrail)

    def event(self, at: datetime, outcome: Outcome, reason: str | None) -> AuditEvent:
        """The audit event of this exchange."""
        transaction, caller = self.endpoint.transaction, self.caller
        return AuditEvent(
            at=at,
            transaction=transaction.number,
            event_code=transaction.event_code,
            event_action=self.trail.action or transaction.event_action,
            outcome=outcome,
            node=caller.node,
            site=caller.site,
            user=caller.named_user,
            purpose=caller.purpose,
            correlation_id=self.correlation_id,
            objects=tuple(self._objects()),
            reason=reason,
        )

    def events_apart(self, main: AuditEvent) -> Sequence[AuditEvent]:
        """The audit events of a success beside its main one: one for each thing done apart."""
        if not self.trail.apart:
            return ()
        details = self.wire.audited(self.request).details
        return [main._replace(event_action=action, objects=({**each, **details},)) for action, each in self.trail.apart]

    def _objects(self) -> list[Mapping[str, Any]]:
        """What the transaction noted, with what the wire says of the request."""
        said, noted = self.wire.audited(self.request), self.trail.objects
        asked: dict[str, str] = {}
        if said.query is not None:
            asked["text"] = said.query()[:_LONGEST_QUERY]
            if self.endpoint.transaction.event_code == _QUERY and "query" not in [each["kind"] for each in noted]:
                noted = [{"kind": "query", "id": self.endpoint.transaction.name}, *noted]
        found: list[Mapping[str, Any]] = []
        for each in noted:
            if each["kind"] == "query":
                found.append({**asked, **each, **said.details})
            elif each["kind"] == "patient":
                found.append({**each, **said.details})
            else:
                found.append(each)
        return found

    def log(self, error: BaseException) -> None:
        """Log an unforeseen failure of this exchange."""
        log_unforeseen(error, self.endpoint.transaction.number, self.correlation_id)


def log_unforeseen(error: BaseException, where: str, correlation_id: str) -> None:
    """Log an unforeseen failure: exception types and code places, no values (they may be a patient's)."""
    places = [
        f"{frame.filename.rsplit('/', 2)[-2]}/{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/" in frame.filename
    ]
    log.error(
        "unforeseen failure",
        extra={
            "transaction": where,
            "correlation_id": correlation_id,
            "error_type": type(error).__name__,
            "sqlstate": _sqlstate(error),
            "places": places,
        },
    )


def _is_unstorable(error: BaseException) -> bool:
    """Whether a value was at fault: PostgreSQL has no text with a NUL, and psycopg sends none."""
    origin = getattr(error, "orig", None) or error
    return isinstance(origin, psycopg.DataError) and origin.sqlstate in (None, *_UNSTORABLE_SQLSTATES)


def _sqlstate(error: BaseException) -> str | None:
    """The code that PostgreSQL gave, of its own error or of one that SQLAlchemy wraps."""
    sqlstate: str | None = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return sqlstate
