"""A search by whole birth date looks at names in the records' rows, and finds what the table of names finds."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from ihe.caller import Caller
from ihe.unit_of_work import Database
from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.domain.search import NameCriterion, NameGroup, PatientSearch, fold, search_names
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.services.feed_record import feed_record
from mpi.services.merge_records import merge_records
from mpi.services.undo_event import undo_event
from mpi.store import invariants, search
from mpi.store import names as stored_names
from mpi.store.migrations import mpi_0303_names_in_the_row as revision

DAY = PartialDate(1948, 3, 17)
FAMILIES = ("Exemple", "Le Bœuf-Exemple", "D'Exemple", "Lebeuf", "Éxem 100%", "Le_Beuf\\n", "伊藤")
GIVENS = (("Zoé",), ("Anne-Marie", "Zoé Jeanne"), ("Marie",), ("Ann", "Exemple"))


def named(family, givens=("Zoé",), **others):
    first = givens[0] if givens else None
    return Traits(
        birth_family_name=family,
        birth_given_names=givens,
        first_birth_given_name=first,
        sex=Sex.FEMALE,
        birth_date=DAY,
        **others,
    )


PATIENTS = [
    (RecordKey("CHUSE", f"C{n}"), named(FAMILIES[n % 7], GIVENS[n % 4], used_family_name=FAMILIES[n * 3 % 7]))
    for n in range(28)
] + [(RecordKey("CHUSE", "C99"), Traits(birth_date=DAY, sex=Sex.MALE))]


@contextmanager
def connected(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def region(module_database_url, index):
    engine = create_engine(module_database_url)
    database = Database(engine)
    for key, traits in PATIENTS:
        with database.unit(Caller("test")) as uow:
            feed_record(uow, index, key, traits)
    yield database
    engine.dispose()


def found(database, birth_date=DAY, **names):
    with database.question(Caller("test")) as uow:
        asked = PatientSearch(birth_dates=(birth_date,), limit=100, **names)
        return [each.record.key.local_id for each in search.find(uow, asked, 100, sees_hidden=True)[1]]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(
        st.tuples(
            st.sampled_from([*FAMILIES, *(name for names in GIVENS for name in names), "Beuf", "Nobody", "E"]),
            st.integers(1, 9),
            st.sampled_from(["begins", "exact", "inside", "verbatim"]),
        ),
        min_size=1,
        max_size=3,
    ),
    part=st.sampled_from(["F", "G", "FG"]),
)
def test_both_find_the_same(region, names, part):
    criteria = tuple(
        NameCriterion(
            folded,
            exact=how in ("exact", "verbatim"),
            inside=how == "inside",
            verbatim=stated if how == "verbatim" else None,
        )
        for stated, length, how in names
        if (folded := fold(stated)[: None if how in ("exact", "verbatim") else length].strip())
    )
    group = {"name_groups": (NameGroup(part, criteria),)}
    assert found(region, **group) == found(region, PartialDate(1948), **group)


@pytest.mark.parametrize(
    "asked", ["EXEMPLE", "EXEM", "XEMPLE", "LE BOEUF EX", "EXEM 100", "EXEM 10", "LE BEUF N", "ZOE"]
)
@pytest.mark.parametrize("exact", [True, False])
def test_whole_names_and_first_letters(region, asked, exact):
    expected = [
        key.local_id
        for key, traits in sorted(PATIENTS)
        if any(p == "F" and (n == asked if exact else n.startswith(asked)) for p, n in search_names(traits))
    ]
    assert found(region, families=(NameCriterion(asked, exact=exact),)) == expected


@pytest.mark.parametrize("text_asked", ["%", "_", "EX%", "EXEM_LE", "\\", "EXEMPLE\\", ".*", "[^X]", "'", "\x01"])
def test_characters_that_mean_something_elsewhere_are_letters_here(region, text_asked):
    """No wire lets them come so far; nothing is found by them if one did."""
    assert found(region, families=(NameCriterion(text_asked),)) == []
    assert found(region, families=(NameCriterion(text_asked, exact=True),)) == []


def test_every_given_name_must_be_found(region):
    both = found(region, givens=(NameCriterion("ANNE"), NameCriterion("JEANNE", exact=True)))
    assert both == [key.local_id for key, traits in sorted(PATIENTS) if "Anne-Marie" in traits.birth_given_names]
    assert found(region, givens=(NameCriterion("ANNE"), NameCriterion("NOBODY"))) == []


@pytest.fixture
def database(database_url):
    engine = create_engine(database_url)
    yield Database(engine)
    engine.dispose()


def test_changes_merges_and_undoing(database, index):
    one, other = RecordKey("CHUSE", "C1"), RecordKey("CHUSE", "C2")

    def by(family):
        with database.unit(Caller("test")) as uow:
            assert invariants.violations(uow.connection) == []
        return found(database, families=(NameCriterion(family),))

    def do(act, *arguments, **named_arguments):
        with database.unit(Caller("test", roles=frozenset({"regional-steward"}))) as uow:
            return act(uow, index, *arguments, **named_arguments)

    do(feed_record, one, named("EXEMPLE"))
    do(feed_record, other, named("MODELE"))
    do(feed_record, one, named("AUTRE"))
    assert (by("EXEMPLE"), by("AUTRE"), by("MODELE")) == ([], ["C1"], ["C2"])
    merged = do(merge_records, one, other, None)
    assert (by("AUTRE"), by("MODELE")) == (["C1"], [])
    do(undo_event, merged, reason="test")
    assert (by("AUTRE"), by("MODELE")) == (["C1"], ["C2"])
    with database.unit(Caller("test")) as uow:
        updated = uow.connection.scalar(text("SELECT max(id) FROM identity_event WHERE kind = 'record.updated'"))
    do(undo_event, updated, reason="test")
    assert (by("EXEMPLE"), by("AUTRE")) == (["C1"], [])


_ROWS = text("SELECT domain, local_id, search_names FROM record ORDER BY domain, local_id")


def test_a_bulk_load_writes_what_feeds_write(region, database, index):
    with database.unit(Caller("test")) as uow:
        bulk_load(uow, index, [BulkRow(key, traits, None) for key, traits in PATIENTS])
        loaded = uow.connection.execute(_ROWS).all()
        assert invariants.violations(uow.connection) == []
    with region.unit(Caller("test")) as uow:
        assert uow.connection.execute(_ROWS).all() == loaded
    assert None not in {row.search_names for row in loaded}


def test_rows_that_a_migration_finds_are_filled_by_and_by(database, index):
    for key, traits in PATIENTS:
        with database.unit(Caller("test")) as uow:
            feed_record(uow, index, key, traits)
    with database.unit(Caller("test")) as uow:
        fed = uow.connection.execute(_ROWS).all()
        with Operations.context(MigrationContext.configure(uow.connection)):
            revision.downgrade()
            revision.upgrade()
    before = found(database, families=(NameCriterion("EXEMPLE"),))
    with database.unit(Caller("test")) as uow:
        assert {row.search_names for row in uow.connection.execute(_ROWS)} == {None}
        assert stored_names.fill(uow.connection, uow.now) == len(PATIENTS)
        assert stored_names.fill(uow.connection, uow.now) == 0
        assert uow.connection.execute(_ROWS).all() == fed
    assert found(database, families=(NameCriterion("EXEMPLE"),)) == before != []


def test_a_row_that_is_being_written_is_not_waited_for(database, index):
    for local_id in ("C1", "C2"):
        with database.unit(Caller("test")) as uow:
            feed_record(uow, index, RecordKey("CHUSE", local_id), named("EXEMPLE"))
    with database.unit(Caller("test")) as uow:
        uow.connection.execute(text("UPDATE record SET search_names = NULL"))
    with database.unit(Caller("test")) as writing, database.unit(Caller("test")) as filling:
        writing.connection.execute(text("DELETE FROM record_name WHERE record_id = (SELECT min(id) FROM record)"))
        assert stored_names.fill(filling.connection, filling.now) == 1


def test_what_the_version_before_writes_is_found(database, index):
    """It writes the table of names alone, and deletes there before it writes another name."""
    with database.unit(Caller("test")) as uow:
        feed_record(uow, index, RecordKey("CHUSE", "C1"), named("EXEMPLE"))
        uow.connection.execute(text("DELETE FROM record_name"))
        uow.connection.execute(text("INSERT INTO record_name SELECT 'F', 'AUTRE', id FROM record"))
    assert found(database, families=(NameCriterion("EXEMPLE"),)) == []
    assert found(database, families=(NameCriterion("AUT"), NameCriterion("NOBODY"))) == ["C1"]


def test_a_row_that_says_otherwise_than_the_table_is_noticed(database, index):
    with database.unit(Caller("test")) as uow:
        feed_record(uow, index, RecordKey("CHUSE", "C1"), named("EXEMPLE"))
        assert invariants.violations(uow.connection) == []
        uow.connection.execute(text("INSERT INTO record_name SELECT 'F', 'AUTRE', id FROM record"))
        assert len(invariants.violations(uow.connection)) == 1
