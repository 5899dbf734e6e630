"""Many clients at once: no update is lost, nothing is seen half, and the registry stays whole."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from ihe.caller import REGION
from ihe.errors import Refused
from ihe.unit_of_work import Database, UnitOfWork
from tests.xds_samples import SampleDirectory, entry, fresh_oid, pid, relation, submission
from tests.xds_wire_updates import new_version
from xds.domain.criteria import DocumentCriteria, SetCriteria
from xds.domain.model import AssociationType
from xds.domain.registered import RegisteredEntry
from xds.services import find, get, integrity
from xds.services.get import Named
from xds.services.register import register
from xds.services.registry import Registry
from xds.services.remove import remove
from xds.services.update import update

ANNE = pid("A-1")
EXPECTED = {
    "XDSRegistryDeprecatedDocumentError",
    "XDSMetadataVersionError",
    "XDSMetadataUpdateError",
    "UnresolvedReferenceException",
    "ReferencesExistException",
    "XDSUnreferencedObjectException",
    "XDSDuplicateUniqueIdInRegistry",
    "XDSRegistryMetadataError",
}


class Clients:
    """Eight clients over one person's documents, and two who only look."""

    def __init__(self, url: str, seconds: float) -> None:
        self.engine = create_engine(url, pool_size=10)
        self.database = Database(self.engine)
        self.registry = Registry(SampleDirectory(anne=[ANNE]))
        self.sets = [fresh_oid() for _ in range(40)]
        self.done: dict[str, int] = {}
        self.versions: dict[tuple[str, int], int] = {}
        self.lock = threading.Lock()
        self.until = time.monotonic() + seconds

    def work(self, seed: int) -> None:
        dice = random.Random(seed)
        while time.monotonic() < self.until:
            step = dice.choice([self.submit, self.submit, self.replace, self.update, self.remove])
            try:
                with self.database.unit(REGION) as uow:
                    step(uow, dice)
                outcome = step.__name__
            except Refused as refused:
                outcome = "refused" if {each.code for each in refused.findings} <= EXPECTED else str(refused.findings)
            except OperationalError as error:  # a deadlock is undone whole; the pipeline tries again
                deadlock = getattr(error.orig, "sqlstate", None) == "40P01"
                outcome = "deadlock" if deadlock else str(error)
            with self.lock:
                self.done[outcome] = self.done.get(outcome, 0) + 1

    def look(self, _: int) -> None:
        while time.monotonic() < self.until:
            with self.database.unit(REGION, isolation="REPEATABLE READ") as uow:
                for found in find.find_submission_sets(uow, self.registry, ANNE, SetCriteria())[-5:]:
                    whole = get.submission_set_and_contents(
                        uow,
                        Named(ids=[found.object.id]),
                        DocumentCriteria(statuses=("Approved", "Deprecated")),
                        ("Approved",),
                    )
                    assert len(whole) >= 3, "a set is seen with its entry and their association, or not at all"

    def submit(self, uow: UnitOfWork, dice: random.Random) -> None:
        register(uow, submission(ANNE, entry("doc", ANNE), unique_id=dice.choice(self.sets)), self.registry)

    def replace(self, uow: UnitOfWork, dice: random.Random) -> None:
        target = self._any(uow, dice)
        link = relation(AssociationType.REPLACES, "doc", target.id)
        register(uow, submission(ANNE, entry("doc", ANNE), associations=[link]), self.registry)

    def update(self, uow: UnitOfWork, dice: random.Random) -> None:
        target = self._any(uow, dice)
        made = new_version(entry("doc", ANNE, unique_id=target.unique_id), target.logical_id, str(target.version))
        update(uow, made, self.registry)
        with self.lock:
            key = (target.logical_id, target.version)
            self.versions[key] = self.versions.get(key, 0) + 1

    def remove(self, uow: UnitOfWork, dice: random.Random) -> None:
        target = self._any(uow, dice)
        links = get.associations(uow, [target.id], ("Approved", "Deprecated"))
        remove(uow, [target.id, *(each.id for each in links), *(each.source for each in links)])

    def _any(self, uow: UnitOfWork, dice: random.Random) -> RegisteredEntry:
        found = find.find_documents(uow, self.registry, ANNE, DocumentCriteria())
        if not found:
            document = entry("doc", ANNE)
            register(uow, submission(ANNE, document), self.registry)
            found = find.find_documents(uow, self.registry, ANNE, DocumentCriteria())
        chosen = dice.choice(found).object
        assert isinstance(chosen, RegisteredEntry)
        return chosen


@pytest.mark.parametrize("seconds", [6, pytest.param(300, marks=pytest.mark.soak)])
def test_eight_clients_at_once_leave_a_whole_registry(database_url: str, seconds: float) -> None:
    clients = Clients(database_url, seconds)
    jobs: list[Callable[[int], None]] = [clients.work] * 8 + [clients.look] * 2
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job, number) for number, job in enumerate(jobs)]:
            future.result()
    with clients.database.unit(REGION) as uow:
        assert list(integrity.check(uow)) == []
    usual = {"submit", "replace", "update", "refused"}
    assert usual <= set(clients.done) <= {*usual, "remove", "deadlock"}, clients.done
    assert all(count == 1 for count in clients.versions.values()), "two updates followed the same version"
    clients.engine.dispose()
