"""The way of a request: one commit for work, audit and answer; failures audited; nothing of a patient in the log."""

from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy import create_engine, text

from ihe.audit import Audited
from ihe.caller import Caller
from ihe.errors import IheError, InvalidElement, NotAuthenticated, Unavailable
from ihe.serving import Pipeline
from ihe.store.messages import MessageKey
from ihe.transaction import Endpoint, HttpBinding, Transaction
from ihe.unit_of_work import Database

SECRET = "DUPONT-SECRET"


class TextWire:
    """A wire whose requests and replies are text."""

    def refuse(self, request, error, correlation_id):
        return f"REFUSED {type(error).__name__} {error.message}"

    def audited(self, request):
        return Audited()

    def message_key(self, request):
        return MessageKey.of("sender", "1", request.encode()) if request.startswith("write") else None

    def reply_to_bytes(self, reply):
        return reply.encode()

    def reply_from_bytes(self, stored):
        return stored.decode()


@pytest.fixture
def database(database_url):
    engine = create_engine(database_url, pool_size=10)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (line text)"))
    yield Database(engine)
    engine.dispose()


def endpoint(
    serve, *, decode=lambda request: request, encode=lambda result, request: f"OK {result}", refuse=None, writes=True
):
    transaction = Transaction("ITI-0", "Note", "a", "p", (HttpBinding("POST", "/x"),), writes, "110110", "U")
    return Endpoint(transaction, decode, serve, encode, refuse, "mpi.test")


def write(question, context):
    context.uow.connection.execute(text("INSERT INTO note VALUES (:line)"), {"line": question})
    context.trail.patient("1^^^&1.2.3&ISO")
    context.uow.publish("noted", "note/1", {"line": question})
    return question


def run(database, served, request, caller=None, observed=None):
    outcomes = observed if observed is not None else []
    pipeline = Pipeline(database, {"mpi": None}, lambda number, outcome, seconds, site: outcomes.append(outcome))
    return pipeline.run(served, TextWire(), request, lambda: caller or Caller("node", "CHUSE", "user"))


def rows(database, query):
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_work_audit_event_and_answer_stand_together(database):
    observed = []
    assert run(database, endpoint(write), "write a", observed=observed) == "OK write a"
    assert rows(database, "SELECT line FROM note") == [("write a",)]
    assert rows(database, "SELECT kind, subject FROM outbox_event") == [("noted", "note/1")]
    assert rows(database, "SELECT transaction, outcome, node, site, user_id, objects->0->>'id' FROM audit_event") == [
        ("ITI-0", 0, "node", "CHUSE", "user", "1^^^&1.2.3&ISO")
    ]
    assert observed == ["success"]


def test_a_repeated_message_changes_nothing_and_gets_the_same_answer(database):
    observed = []
    answers = [run(database, endpoint(write), "write a", observed=observed) for _ in range(3)]
    assert answers == ["OK write a"] * 3
    assert rows(database, "SELECT count(*) FROM note") == [(1,)]
    assert observed == ["success", "repeated", "repeated"]


def test_the_same_message_many_times_at_once_is_served_once(database):
    answers = []

    def send():
        answers.append(run(database, endpoint(write), "write a"))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["OK write a"] * 6
    assert rows(database, "SELECT count(*) FROM note") == [(1,)]
    assert rows(database, "SELECT count(*) FROM outbox_event") == [(1,)]


@pytest.mark.parametrize("step", ["decode", "serve", "encode"])
def test_a_refusal_leaves_only_its_audit(database, step):
    def refuse(*_):
        raise InvalidElement("PID-7 is not a date", "PID-7")

    def serve(question, context):
        write(question, context)
        return refuse() if step == "serve" else question

    parts = {step: refuse} if step != "serve" else {}
    assert run(database, endpoint(serve, **parts), "write a") == "REFUSED InvalidElement PID-7 is not a date"
    assert rows(database, "SELECT count(*) FROM note") == [(0,)]
    assert rows(database, "SELECT count(*) FROM outbox_event") == [(0,)]
    assert rows(database, "SELECT count(*) FROM received_message") == [(0,)]
    assert rows(database, "SELECT outcome, reason FROM audit_event") == [(4, "InvalidElement")]


def test_the_unforeseen_is_refused_in_general_words_and_logged_without_values(database, caplog):
    def serve(question, context):
        raise RuntimeError(f"cannot digest {SECRET}")

    with caplog.at_level(logging.ERROR):
        answer = run(database, endpoint(serve), "write a")
    assert answer.startswith("REFUSED UnforeseenFailure internal error; reference ")
    assert SECRET not in answer
    assert SECRET not in caplog.text
    (record,) = caplog.records
    assert record.error_type == "RuntimeError"
    assert answer.endswith(record.correlation_id)
    assert rows(database, "SELECT outcome, reason FROM audit_event") == [(12, "UnforeseenFailure")]


def test_who_is_not_let_in_is_audited(database):
    def nobody():
        raise NotAuthenticated("the certificate is not known")

    pipeline = Pipeline(database, {"mpi": None})
    answer = pipeline.run(endpoint(write), TextWire(), "write a", nobody)
    assert answer == "REFUSED NotAuthenticated the certificate is not known"
    assert rows(database, "SELECT outcome, reason FROM audit_event") == [(8, "NotAuthenticated")]


def test_a_serialisation_failure_is_run_again(database):
    attempts = []

    def serve(question, context):
        attempts.append(1)
        if len(attempts) < 3:
            context.uow.connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
        return write(question, context)

    assert run(database, endpoint(serve), "write a") == "OK write a"
    assert (len(attempts), rows(database, "SELECT count(*) FROM note")) == (3, [(1,)])


def test_a_database_that_is_gone_is_said(database_url):
    engine = create_engine("postgresql+psycopg://nobody@/nowhere?host=/nonexistent")
    answer = run(Database(engine), endpoint(write), "write a")
    assert answer.startswith(f"REFUSED {Unavailable.__name__}")
    engine.dispose()


def test_a_transaction_may_refuse_in_its_own_form(database):
    def serve(question, context):
        raise IheError("no")

    assert run(database, endpoint(serve, refuse=lambda error, request: f"OWN {error.message}"), "x") == "OWN no"
