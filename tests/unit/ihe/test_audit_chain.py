"""The audit trail is chained: whatever is changed, inserted or removed afterwards shows."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from ihe.audit import AuditEvent, Outcome
from ihe.store import audit, audit_chain

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(number, at=NOW):
    return AuditEvent(
        at=at,
        transaction="ITI-9",
        event_code="110112",
        event_action="E",
        outcome=Outcome.SUCCESS,
        node="10.0.0.1",
        site="ROANNE",
        user=None,
        purpose="normal",
        correlation_id=f"c{number}",
        objects=({"kind": "patient", "id": f"{number}^^^&1.2.3&ISO", "note": "é"},),
    )


@pytest.fixture
def connection(database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def sealed(connection, count, at=NOW):
    for number in range(count):
        audit.append(connection, event(number, at))
    while audit_chain.seal(connection, NOW, limit=7):
        pass


def findings(connection, kept=None):
    return list(audit_chain.verify(connection, NOW, kept))


def bypassing(connection, statement):
    """What somebody does who owns the database."""
    connection.execute(text("ALTER TABLE audit_event DISABLE TRIGGER audit_event_stays"))
    connection.execute(text(statement))
    connection.execute(text("ALTER TABLE audit_event ENABLE TRIGGER audit_event_stays"))


def test_an_untouched_trail_has_no_findings(connection):
    assert findings(connection) == []
    sealed(connection, 20)
    assert findings(connection) == []
    assert audit_chain.length(connection) == 20
    assert [e.event for e in audit_chain.sealed_after(connection, 18, 10)] == [event(18), event(19)]


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET node = 'x'", "DELETE FROM audit_event"])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_the_service_itself_cannot_change_an_event(connection, statement, is_sealed):
    audit.append(connection, event(1))
    if is_sealed:
        audit_chain.seal(connection, NOW)
    with pytest.raises(ProgrammingError, match="audit events are not changed"):
        connection.execute(text(statement))


_COLUMNS = (
    *("at", "transaction", "event_code", "event_action", "outcome", "node", "site", "user_id"),
    *("purpose", "correlation_id", "objects", "reason", "digest"),
)
_OTHER = {
    "at": "at + interval '1 microsecond'",
    "outcome": "4",
    "objects": """jsonb_set(objects, '{0,id}', '"8^^^&1.2.3&ISO"')""",
    "digest": "decode(repeat('ab', 32), 'hex')",
}


@pytest.mark.parametrize("column", _COLUMNS)
def test_a_change_of_any_column_shows_once(connection, column):
    sealed(connection, 12)
    other = _OTHER.get(column, "'x'")
    bypassing(connection, f"UPDATE audit_event SET {column} = {other} WHERE position = 5")
    found = findings(connection)
    assert found[0].startswith("position 5 (event")
    # A changed digest also breaks what was built on it.
    assert len(found) == (2 if column == "digest" else 1)


@pytest.mark.parametrize("column", ["id", *_COLUMNS[:-1]])
def test_sealing_changes_nothing_else(connection, column):
    audit.append(connection, event(1))
    other = {"id": "DEFAULT"}.get(column) or _OTHER.get(column, "'x'")
    with pytest.raises(ProgrammingError, match="audit events are not changed"):
        connection.execute(text(f"UPDATE audit_event SET position = 1, digest = '', {column} = {other}"))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 12), st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_of_what_is_chained_shows(connection, position, at, by):
    with connection.begin_nested() as attempt:
        sealed(connection, 12)
        stored = connection.execute(
            text("SELECT convert_to(correlation_id || objects::text, 'UTF8') FROM audit_event WHERE position = :p"),
            {"p": position},
        ).scalar_one()
        changed = bytearray(stored)
        changed[at % len(changed)] ^= by
        row = dict(
            connection.execute(text("SELECT * FROM audit_event WHERE position = :p"), {"p": position}).mappings().one()
        )
        before = (
            connection.execute(text("SELECT digest FROM audit_event WHERE position = :p"), {"p": position - 1}).scalar()
            or audit_chain.START
        )
        assert audit_chain.digest_of(before, row) == row["digest"]
        row["correlation_id"] = bytes(changed).decode("latin-1")
        assert audit_chain.digest_of(before, row) != row["digest"]
        attempt.rollback()


@given(
    st.lists(
        st.none()
        | st.integers(-(2**63), 2**63 - 1)
        | st.datetimes(timezones=st.just(UTC))
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        | st.lists(st.dictionaries(st.text("abcxyzé", max_size=3), st.text('aé"\\\n\x1f\x7f ', max_size=5))),
        max_size=6,
    )
)
def test_the_form_in_which_events_are_chained_is_json_as_everybody_writes_it(content):
    def plain(moment):
        return moment.isoformat(timespec="microseconds")

    form = json.dumps(content, default=plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert audit_chain._digest(b"before", content) == hashlib.sha256(b"before" + form.encode()).digest()


def test_a_removed_event_shows_in_the_middle_and_at_the_end(connection):
    sealed(connection, 12)
    bypassing(connection, "DELETE FROM audit_event WHERE position IN (5, 6)")
    assert findings(connection) == ["positions 5 to 6 are missing"]
    bypassing(connection, "DELETE FROM audit_event WHERE position >= 11")
    assert findings(connection)[1:] == ["the chain ends at position 10, its head is 12"]


def test_an_inserted_event_shows(connection):
    sealed(connection, 12)
    bypassing(connection, "DELETE FROM audit_event WHERE position = 5")
    audit.append(connection, event(99))
    bypassing(connection, "UPDATE audit_event SET position = 5, digest = repeat('x', 32)::bytea WHERE position IS NULL")
    assert findings(connection)[0].startswith("position 5 (event 13) is not what was sealed")


def test_an_event_that_nobody_sealed_shows_after_an_hour(connection):
    audit.append(connection, event(1, NOW - timedelta(hours=2)))
    audit.append(connection, event(2))
    assert findings(connection) == ["event 1 was never sealed"]


def test_a_chain_rewritten_as_a_whole_shows_against_an_anchor_kept_elsewhere(connection):
    sealed(connection, 4)
    audit_chain.seal(connection, NOW + timedelta(days=1))
    (first, anchor) = audit_chain.anchors(connection)
    assert (first.position, anchor.position, anchor.day) == (0, 4, NOW.date())
    kept = {anchor.position: anchor.digest}
    assert findings(connection, kept) == []
    bypassing(connection, "UPDATE audit_event SET node = 'x', position = NULL, digest = NULL")
    connection.execute(text("DELETE FROM audit_head"))
    connection.execute(text("DELETE FROM audit_anchor"))
    audit_chain.seal(connection, NOW)
    assert findings(connection) == []
    assert findings(connection, kept) == ["position 4 does not agree with the anchor kept elsewhere"]


def test_old_events_go_and_the_chain_holds(connection):
    sealed(connection, 6, at=NOW - timedelta(days=400))
    sealed(connection, 6)
    assert audit_chain.forget_before(connection, NOW - timedelta(days=365), limit=4) == 4
    assert audit_chain.forget_before(connection, NOW - timedelta(days=365)) == 2
    assert audit_chain.forget_before(connection, NOW - timedelta(days=365)) == 0
    assert findings(connection) == []
    sealed(connection, 3)
    assert audit_chain.length(connection) == 9
    assert findings(connection) == []
    with pytest.raises(ProgrammingError):
        connection.execute(text("DELETE FROM audit_event"))
