"""One database transaction: what is read, decided, saved, announced and audited together.

A service gets a :class:`UnitOfWork`, never a connection of its own making. Domain events appended here stand in the
outbox of the same commit; nothing is announced that was not saved, and nothing saved stays unannounced.

A question that one statement answers needs no transaction: :meth:`UnitOfWork.ask` runs it alone. A :class:`Question`
begins a transaction when it is asked for more. Its audit event shares a commit with those of other questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Generic, LiteralString, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, text

from ihe import fibers
from ihe.audit import AuditEvent, AuditTrail
from ihe.caller import Caller
from ihe.single_statements import Cursor, Parameters, Rows, SingleStatements
from ihe.store import audit, outbox
from ihe.together import Together

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class LookUp(Generic[Item, Result]):
    """One statement that finds the same of several things, for what is asked very often.

    Attributes:
        statement: with parameters as psycopg has them.
        parameters: of the statement, for some things.
        results: what its rows say of each of so many things, in their order.
    """

    statement: LiteralString
    parameters: Callable[[Sequence[Item]], Parameters]
    results: Callable[[Rows, int], Sequence[Result]]


class UnitOfWork:
    """An open transaction with its caller and its moment.

    Attributes:
        caller: on whose behalf.
        now: the moment of the request (UTC), one for the whole unit.
        trail: what the audit event of the request will name.
    """

    def __init__(
        self, connection: Connection | None, caller: Caller, now: datetime, trail: AuditTrail | None = None
    ) -> None:
        self._connection = connection
        self.caller = caller
        self.now = now
        self.trail = AuditTrail() if trail is None else trail
        self._events: list[dict[str, Any]] = []

    @property
    def connection(self) -> Connection:
        """SQLAlchemy connection, for the store layers only."""
        assert self._connection is not None
        return self._connection

    def ask(self, statement: LiteralString, parameters: Parameters, *, prepare: bool = True) -> Rows:
        """The rows of one statement of psycopg; for what is asked very often.

        Args:
            prepare: keep the statement's plan for any values; else plan it anew for these.
        """
        connection = cast(psycopg.Connection, self.connection.connection.driver_connection)
        return connection.execute(statement, parameters, prepare=prepare).fetchall()

    def look_up(self, what: LookUp[Item, Result], item: Item) -> Result:
        """What a look-up finds of one thing."""
        (found,) = what.results(self.ask(what.statement, what.parameters([item])), 1)
        return found

    def keep(self, event: AuditEvent) -> None:
        """Write the audit event of the unit, in the same commit."""
        audit.append(self.connection, event)

    def release(self) -> None:
        """Give the connection back while the unit waits for others; of a question only, what is written is kept."""

    def publish(self, kind: str, subject: str, payload: Mapping[str, Any]) -> None:
        """Append a domain event to the outbox, delivered after the commit, in order per subject.

        Args:
            kind: what happened (``person.linked``, ``document.registered``…).
            subject: the ordering key, for example the person or record concerned.
            payload: JSON-serialisable facts.
        """
        self._events.append({"at": self.now, "kind": kind, "subject": subject, "payload": dict(payload)})

    def flush_events(self) -> None:
        """Write the events published so far; done once, before the commit."""
        if self._events:
            outbox.append_events(self.connection, self._events)
            self._events = []


class Question(UnitOfWork):
    """A unit that only reads: no transaction until :attr:`connection` is asked for, then one that sees one state."""

    def __init__(
        self,
        database: Database,
        caller: Caller,
        now: datetime,
        trail: AuditTrail | None = None,
        *,
        engine: Engine,
    ) -> None:
        super().__init__(None, caller, now, trail)
        self._database = database
        self._transaction: ExitStack | None = None
        self._engine = engine

    def __enter__(self) -> Question:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None and self._events:
            self._begin()  # they stand in a transaction, also where nothing was read in one
        if self._transaction is None:
            return
        if error is not None:
            self._transaction.__exit__(kind, error, at)
            return
        with self._transaction:
            self.flush_events()

    @property
    def connection(self) -> Connection:
        """SQLAlchemy connection in a transaction of its own (``REPEATABLE READ``), begun when first asked for."""
        return self._begin() if self._connection is None else self._connection

    def _begin(self) -> Connection:
        if self._connection is None:
            self._transaction = ExitStack()
            self._connection = self._transaction.enter_context(_transaction(self._engine, "REPEATABLE READ"))
        return self._connection

    def ask(self, statement: LiteralString, parameters: Parameters, *, prepare: bool = True) -> Rows:
        """The rows of one statement, alone or in the transaction where one has begun."""
        if self._connection is not None:
            return super().ask(statement, parameters, prepare=prepare)
        return self._database.ask(statement, parameters, prepare=prepare, engine=self._engine)

    def look_up(self, what: LookUp[Item, Result], item: Item) -> Result:
        """What a look-up finds of one thing: with what others look up at the same moment, or in the transaction where
        one has begun.
        """
        if self._connection is not None:
            return super().look_up(what, item)
        return self._database.look_up(what, item, self._engine)

    def keep(self, event: AuditEvent) -> None:
        """Write the audit event durably, in a commit that it may share.

        A transaction that has begun ends before, so that its connection is free for others. Where something is to be
        announced, the audit event stands in the commit that says so.
        """
        if self._events:
            super().keep(event)
            return
        self.release()
        self._database.audit.write(event)

    def release(self) -> None:
        """End the transaction, unless something is to be announced in it; what is asked later may see a later state."""
        if self._transaction is not None and not self._events:
            ending, self._transaction, self._connection = self._transaction, None, None
            ending.close()


class Database:
    """Opens units of work on one engine.

    Args:
        copy: the engine of a copy of the database that questions may be answered from at this moment, or ``None``.

    Attributes:
        audit: writes the audit events of units that have no transaction.
    """

    def __init__(self, engine: Engine, copy: Callable[[], Engine | None] = lambda: None) -> None:
        self.engine = engine
        self.copy = copy
        self._singles: dict[Engine, SingleStatements] = {}
        self._look_ups: dict[tuple[Engine, LookUp[Any, Any]], Together[Any, Any]] = {}
        self.audit = audit.SharedCommits(self.ask)

    @contextmanager
    def unit(
        self, caller: Caller, *, isolation: str | None = None, trail: AuditTrail | None = None
    ) -> Iterator[UnitOfWork]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Args:
            caller: on whose behalf.
            isolation: for example ``REPEATABLE READ`` for an export from one snapshot; default read committed.
            trail: where is noted what the audit event will name; ``None`` makes one that nobody reads.
        """
        with self.transaction(isolation) as connection:
            uow = UnitOfWork(connection, caller, datetime.now(UTC), trail)
            yield uow
            uow.flush_events()

    def question(self, caller: Caller, *, trail: AuditTrail | None = None, engine: Engine | None = None) -> Question:
        """A unit that only reads, and sees one state however many statements it takes; it ends with its block.

        Args:
            engine: where it reads; ``None`` for the one that everything is written to, where alone it may turn out
                that something is to be written.
        """
        return Question(self, caller, datetime.now(UTC), trail, engine=engine or self.engine)

    def transaction(self, isolation: str | None = None) -> AbstractContextManager[Connection]:
        """A connection in a transaction that ends with the block."""
        return _transaction(self.engine, isolation)

    def alone(self) -> AbstractContextManager[Cursor]:
        """A cursor on which each statement is committed by itself; whoever waits for it has a thread."""
        fibers.keep_out()
        return self._single_statements(self.engine).cursor()

    def ask(
        self,
        statement: LiteralString,
        parameters: Parameters,
        *,
        prepare: bool = True,
        engine: Engine | None = None,
    ) -> Rows:
        """The rows of one statement, which is committed by itself.

        Args:
            prepare: keep the statement's plan for any values; else plan it anew for these.
            engine: where; ``None`` for the one that everything is written to.
        """
        return self._single_statements(engine or self.engine).ask(statement, parameters, prepare=prepare)

    def look_up(self, what: LookUp[Item, Result], item: Item, engine: Engine | None = None) -> Result:
        """What a look-up finds of one thing, in one statement with those that others look up at the same moment.

        Args:
            engine: where; ``None`` for the one that everything is written to.
        """
        where = engine or self.engine
        together: Together[Item, Result] | None = self._look_ups.get((where, what))
        if together is None:

            def find(items: Sequence[Item]) -> Sequence[Result]:
                return what.results(self.ask(what.statement, what.parameters(items), engine=where), len(items))

            together = self._look_ups.setdefault((where, what), Together(find))
        return together.do(item)

    def _single_statements(self, engine: Engine) -> SingleStatements:
        return self._singles.get(engine) or self._singles.setdefault(engine, SingleStatements(engine))

    def is_ready(self) -> bool:
        """Whether the database answers."""
        with self.engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1")).scalar())


@contextmanager
def _transaction(engine: Engine, isolation: str | None) -> Iterator[Connection]:
    fibers.keep_out()
    chosen = engine.execution_options(isolation_level=isolation) if isolation else engine
    with chosen.connect() as connection, connection.begin():
        yield connection
