"""Searches by what selects few are answered from an index, also when there are many records."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from ihe.values import PartialDate
from mpi.domain.search import BirthBound, ContactGroup, Likeness, NameCriterion, NameGroup, PatientSearch
from mpi.store import search

DAY = PartialDate(1958, 3, 17)
MARTIN, ZOE = NameCriterion("MARTIN"), NameCriterion("ZOE", exact=True)
SOUNDS, NEARLY = (NameCriterion("MARTIN", like=like) for like in Likeness)


class Explained:
    """A unit of work that says how statements would be answered if reading everything were no choice."""

    def __init__(self, connection):
        self.connection = connection
        self.plan = ""

    def ask(self, statement, parameters, *, prepare=True):
        self.connection.execute("SET enable_seqscan = off")
        rows = self.connection.execute(f"EXPLAIN {statement}", parameters).fetchall()
        self.plan = "\n".join(line for (line,) in rows)
        return []


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (PatientSearch(birth_dates=(DAY,), families=(MARTIN,)), "record_birth_date"),
        (PatientSearch(birth_bounds=((BirthBound("eq", DAY),),)), "record_birth_date"),
        (PatientSearch(families=(MARTIN, ZOE)), "record_name_pkey"),
        (PatientSearch(name_groups=(NameGroup("FG", (MARTIN, ZOE)),)), "record_name_pkey"),
        (PatientSearch(families=(SOUNDS,)), "record_sound_pkey"),
        (PatientSearch(name_groups=(NameGroup("FG", (NEARLY,)),)), "record_name_pkey"),
        (PatientSearch(birth_dates=(DAY,), families=(NEARLY,)), "record_birth_date"),
        (PatientSearch(phones=("102030405",)), "record_phone"),
        (PatientSearch(contact_groups=(ContactGroup(("102030405",)),)), "record_phone"),
    ],
)
def test_an_index_selects(module_database_url, asked, index):
    engine = create_engine(module_database_url)
    with engine.connect() as connection:
        explained = Explained(connection.connection.driver_connection)
        if asked.is_by_likeness:
            search.find_candidates(explained, asked, sees_hidden=False)
        else:
            search.find(explained, asked, 10, sees_hidden=False)
    engine.dispose()
    assert index in explained.plan
