"""Documents follow identity: after any sequence of links and submissions each person has what its records submitted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine

from ihe.caller import REGION
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from tests.xds_samples import REGION_OID, SITE_A_OID, SITE_B_OID, SampleDirectory, entry, pid, submission
from xds.domain.criteria import DocumentCriteria
from xds.services.find import find_documents
from xds.services.register import register
from xds.services.registry import Registry

PERSONS = ("anne", "berthe", "claire")
RECORDS = [
    pid(f"{letter}-{number}", oid) for letter, oid in (("A", SITE_A_OID), ("B", SITE_B_OID)) for number in (1, 2)
]
_LINK = st.tuples(st.just("link"), st.sampled_from(RECORDS), st.sampled_from(PERSONS))
_SUBMIT = st.tuples(st.just("submit"), st.sampled_from(RECORDS), st.sampled_from(["local", "regional"]))


@pytest.fixture(scope="module")
def engine(module_database_url: str) -> Iterator[Engine]:
    made = create_engine(module_database_url)
    yield made
    made.dispose()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(_LINK, _SUBMIT), max_size=12))
def test_every_person_has_what_its_records_submitted(engine: Engine, steps: list[tuple[str, PatientId, str]]) -> None:
    directory = SampleDirectory()
    for position, record in enumerate(RECORDS):
        directory.link(record, PERSONS[position % len(PERSONS)])
    registry = Registry(directory)
    submitted: dict[PatientId, set[str]] = {record: set() for record in RECORDS}
    with engine.connect() as connection:  # closing it without a commit undoes the example
        uow = UnitOfWork(connection, REGION, datetime.now(UTC))
        for step, record, argument in steps:
            if step == "link":
                directory.link(record, argument)
            else:
                person = directory.resolve(uow, record)
                assert person is not None
                named = record if argument == "local" else person.regional_id
                document = entry("doc", named, source_patient_id=record)
                register(uow, submission(named, document), registry)
                submitted[record].add(document.unique_id or "")
            for name in PERSONS:
                records = directory.persons.get(name, set())
                expected = set().union(*(submitted[each] for each in records))
                for patient_id in (*records, pid(name, REGION_OID)):
                    found = find_documents(uow, registry, patient_id, DocumentCriteria())
                    assert {each.object.unique_id for each in found} == expected
