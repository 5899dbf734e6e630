"""Which records are one person does not depend on the order in which they came, nor on who feeds at once."""

from __future__ import annotations

import threading
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from ihe.caller import Caller
from ihe.unit_of_work import Database
from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.feed_record import feed_record
from mpi.store import invariants

_DATES = (PartialDate(1961, 4, 9), PartialDate(1961, 9, 4))
_GIVEN = (("JEAN", "PIERRE"), ("JEAN-PIERRE",), ("PAUL",))


def _population():
    """A handful of look-alikes: compound and plain names, swapped dates, with and without proof."""
    records = []
    for number, (date, names, proof) in enumerate(product(_DATES, _GIVEN, (True, False))):
        traits = Traits(
            birth_family_name="MODELE",
            birth_given_names=names,
            first_birth_given_name=names[0],
            sex=Sex.MALE,
            birth_date=date,
            birth_place_code="42218" if proof else None,
            phone="0477000001" if number % 3 == 0 else None,
            identity_status=IdentityStatus.VALI if proof else IdentityStatus.PROV,
        )
        records.append((RecordKey(("CHUSE", "ROANNE", "ICL", "FEURS")[number % 4], f"N{number}"), traits))
    return records


RECORDS = _population()


def _partition(connection):
    groups = {}
    for row in connection.execute(text("SELECT domain, local_id, person_id FROM record WHERE state = 'active'")):
        groups.setdefault(row.person_id, set()).add(f"{row.domain}/{row.local_id}")
    tasks = connection.execute(
        text(
            "SELECT t.kind, least(a.local_id, b.local_id), greatest(a.local_id, b.local_id) FROM task t"
            " JOIN record a ON a.id = t.record_a JOIN record b ON b.id = t.record_b WHERE t.state = 'open'"
        )
    )
    return {frozenset(group) for group in groups.values()}, {tuple(row) for row in tasks}


def _wipe(connection):
    names = [
        row.tablename
        for row in connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        if row.tablename != "alembic_version"
    ]
    connection.execute(text("TRUNCATE " + ", ".join(names) + " RESTART IDENTITY CASCADE"))


@pytest.fixture(scope="module")
def database(module_database_url):
    engine = create_engine(module_database_url)
    yield Database(engine)
    engine.dispose()


def _feed(database, index, order):
    with database.engine.begin() as connection:
        _wipe(connection)
    for position in order:
        key, traits = RECORDS[position]
        with database.unit(Caller("test")) as uow:
            feed_record(uow, index, key, traits)
    with database.engine.connect() as connection:
        assert invariants.violations(connection) == []
        return _partition(connection)


@pytest.fixture(scope="module")
def expected(database, index):
    return _feed(database, index, range(len(RECORDS)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(RECORDS))))
def test_any_order_ends_in_the_same_persons_and_tasks(database, index, expected, order):
    assert _feed(database, index, order) == expected


def test_two_feeders_at_once_end_in_the_same_persons(database, index, expected):
    with database.engine.begin() as connection:
        _wipe(connection)
    failures = []

    def feed(order):
        for position in order:
            key, traits = RECORDS[position]
            for attempt in range(10):
                try:
                    with database.unit(Caller("test")) as uow:
                        feed_record(uow, index, key, traits)
                    break
                except Exception as error:  # deadlocks are run again, as the pipeline does
                    if getattr(getattr(error, "orig", None), "sqlstate", "") != "40P01" or attempt == 9:
                        failures.append(error)
                        break

    size = range(len(RECORDS))
    threads = [threading.Thread(target=feed, args=(order,)) for order in (size, reversed(size), [*size[6:], *size[:6]])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.engine.connect() as connection:
        assert _partition(connection) == expected
        assert invariants.violations(connection) == []
