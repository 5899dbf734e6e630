"""Documents follow identity through the real index: after any sequence of feeds, decisions, merges, undos and
submissions each person has exactly what its records submitted, under every identifier, and a past day can be asked for.

The oracle knows which record submitted what, and reads from the tables only who is who.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text

from ihe.caller import Caller
from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from ihe.values import PartialDate, PatientId
from mpi.api import Directory
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import feed_record
from mpi.services.identifiers import patient_id_of, regional_patient_id
from mpi.services.merge_records import merge_records
from mpi.services.undo_event import undo_event
from region.region_table import load_region
from tests.xds_samples import entry, submission
from xds.domain.criteria import DocumentCriteria
from xds.ports import Person
from xds.services.find import find_document_references, find_documents, find_documents_on
from xds.services.register import register
from xds.services.registry import Registry

REGION = Path(__file__).resolve().parents[3] / "fixtures" / "region.toml"
INS_OID = "1.2.250.1.213.1.4.8"
STEWARD = Caller("test", None, "regine", frozenset({"regional-steward", "region"}))
BOTH = DocumentCriteria(statuses=("Approved", "Deprecated"), on_demand=None)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

_MARIE = Traits(
    birth_family_name="EXEMPLE",
    birth_given_names=("MARIE", "LOUISE"),
    first_birth_given_name="MARIE",
    sex=Sex.FEMALE,
    birth_date=PartialDate(1948, 3, 17),
    birth_place_code="42218",
    identity_status=IdentityStatus.VALI,
)
_VARIANTS = (
    _MARIE,
    replace(_MARIE, identity_status=IdentityStatus.QUAL, ins="248034221800010", ins_oid=INS_OID),
    replace(_MARIE, first_birth_given_name="ANNE", birth_given_names=("ANNE",)),
    replace(_MARIE, birth_family_name="MODELE", birth_date=PartialDate(1971, 11, 2), birth_place_code="42187"),
)
_KEYS = tuple(RecordKey(domain, f"{domain[0]}{n}") for domain in ("CHUSE", "ROANNE") for n in (1, 2))
_KEY = st.sampled_from(_KEYS)
_STEPS = st.one_of(
    st.tuples(st.just("feed"), _KEY, st.integers(0, len(_VARIANTS) - 1)),
    st.tuples(st.just("submit"), _KEY, st.sampled_from(["local", "regional", "ins"])),
    st.tuples(st.just("submit"), _KEY, st.sampled_from(["local", "regional", "ins"])),
    st.tuples(st.just("decide"), st.permutations(_KEYS), st.sampled_from(["same", "different"])),
    st.tuples(st.just("merge"), st.permutations(_KEYS), st.none()),
    st.tuples(st.just("undo"), st.integers(0, 5), st.none()),
)


@pytest.fixture(scope="module")
def engine(module_database_url: str) -> Iterator[Engine]:
    made = create_engine(module_database_url)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def index() -> MpiApplication:
    return MpiApplication(load_region(REGION), default_french(), LinkPolicy.calibrated())


@dataclass
class World:
    """Index and registry in one transaction that nobody commits, and what the oracle remembers."""

    connection: Connection
    index: MpiApplication
    submitted: dict[RecordKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    done: list[int] = field(default_factory=list)
    past: list[tuple[datetime, dict[RecordKey, frozenset[str]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = Directory(self.index)
        self.registry = Registry(self.directory)
        self.now = BEGINNING

    def unit(self) -> UnitOfWork:
        self.now += timedelta(minutes=1)
        return UnitOfWork(self.connection, STEWARD, self.now)

    def play(self, step: tuple) -> None:
        """Do it; what the index or the registry refuses leaves nothing."""
        act, *arguments = step
        with suppress(IheError), self.connection.begin_nested():
            getattr(self, act)(self.unit(), *arguments)

    def feed(self, uow: UnitOfWork, key: RecordKey, variant: int) -> None:
        if feed_record(uow, self.index, key, _VARIANTS[variant]).outcome == "updated":
            self.done.append(uow.connection.execute(text("SELECT max(id) FROM identity_event")).scalar_one())

    def decide(self, uow: UnitOfWork, keys: list[RecordKey], verdict: str) -> None:
        self.done.append(decide_pair(uow, self.index, *sorted(keys[:2]), verdict, reason="test"))

    def merge(self, uow: UnitOfWork, keys: list[RecordKey], _: None) -> None:
        survivor, subsumed = [key for key in keys if key.domain == keys[0].domain]
        self.done.append(merge_records(uow, self.index, survivor, subsumed, None))

    def undo(self, uow: UnitOfWork, back: int, _: None) -> None:
        if back < len(self.done):
            undo_event(uow, self.index, self.done[-1 - back], reason="test")

    def submit(self, uow: UnitOfWork, key: RecordKey, named: str) -> None:
        local = patient_id_of(self.index, key, None)
        person = self.directory.resolve(uow, local)
        if person is None:
            return
        ins = next((each for each in person.identifiers if each.authority.oid == INS_OID), local)
        patient_id = {"local": local, "regional": person.regional_id, "ins": ins}[named]
        document = entry("doc", patient_id, source_patient_id=local)
        register(uow, submission(patient_id, document), self.registry)
        self.submitted[key].add(document.unique_id or "")

    def check(self) -> None:
        """Ask by every identifier, and remember the answers for later."""
        uow = self.unit()
        rows = uow.connection.execute(text("SELECT id, domain, local_id, state, person_id, traits FROM record")).all()
        keys = {row.id: RecordKey(row.domain, row.local_id) for row in rows}
        owned: dict[int, set[str]] = defaultdict(set)
        for row in rows:
            owned[row.person_id] |= self.submitted[keys[row.id]]
        answers: dict[RecordKey, frozenset[str]] = {}
        for row in rows:
            expected = owned[row.person_id]
            local = patient_id_of(self.index, keys[row.id], None)
            assert self.found(uow, local) == (expected if row.state == "active" else set())
            regional = regional_patient_id(self.index, row.id)
            assert self.found(uow, PatientId(regional.value, regional.authority)) == expected
            if row.state == "active":
                answers[keys[row.id]] = frozenset(expected)
        holders = {
            row.person_id
            for row in rows
            if row.state == "active" and row.traits.get("ins") and row.traits.get("identity_status") == "QUAL"
        }
        ins = PatientId("248034221800010", self.index.domains.by_code("INS-NIR").authority)
        assert self.found(uow, ins) == (owned[next(iter(holders))] if len(holders) == 1 else set())
        self.past.append((uow.now, answers))

    def found(self, uow: UnitOfWork, patient_id: PatientId) -> set[str]:
        """The uniqueIds of the whole objects, as many as the references."""
        whole = find_documents(uow, self.registry, patient_id, BOTH)
        assert len(find_document_references(uow, self.registry, patient_id, BOTH)) == len(whole)
        return {each.object.unique_id for each in whole}

    def check_past(self) -> None:
        """What was answered then is answered again for each record that is active then and now."""
        uow = self.unit()
        _, today = self.past[-1]
        for moment, answers in self.past:
            for key in answers.keys() & today.keys():
                then = self.directory.resolve_on(uow, patient_id_of(self.index, key, None), moment)
                assert then is not None
                person = Person(then.regional_id, then.identifiers)
                again = find_documents_on(uow, self.registry, person, BOTH, moment)
                assert {each.object.unique_id for each in again} == answers[key]


def play(engine: Engine, index: MpiApplication, steps: list[tuple]) -> None:
    with engine.connect() as connection:  # closing it without a commit undoes the example
        world = World(connection, index)
        for number, key in enumerate(_KEYS):
            world.play(("feed", key, number % len(_VARIANTS)))
        world.check()
        for step in steps:
            world.play(step)
            world.check()
        world.check_past()


_USUAL = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


# A failure is told as it was found, within seconds; the long run makes it small.
@settings(_USUAL, max_examples=15, phases=[Phase.generate])
@given(steps=st.lists(_STEPS, min_size=3, max_size=10))
def test_every_person_has_what_its_records_submitted(engine: Engine, index: MpiApplication, steps: list[tuple]) -> None:
    play(engine, index, steps)


@pytest.mark.soak
@settings(_USUAL, max_examples=1000)
@given(steps=st.lists(_STEPS, min_size=3, max_size=30))
def test_every_person_has_what_its_records_submitted_at_length(
    engine: Engine, index: MpiApplication, steps: list[tuple]
) -> None:
    play(engine, index, steps)
