"""Many clients at once: no update is lost, nothing is seen half, and registry and repository stay whole."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from ihe.caller import REGION
from ihe.errors import Refused
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import Oid
from tests.xds_samples import REPOSITORY, SampleDirectory, entry, fresh_oid, pid, relation, submission
from tests.xds_wire_updates import new_version
from xds.domain.criteria import DocumentCriteria, SetCriteria
from xds.domain.document_set import DocumentRequest
from xds.domain.model import AssociationType
from xds.domain.registered import RegisteredEntry
from xds.services import find, get, integrity
from xds.services.get import Named
from xds.services.provide_bytes import provide_bytes
from xds.services.registry import Registry
from xds.services.remove import remove
from xds.services.remove_documents import remove as remove_documents
from xds.services.repository import Repository
from xds.services.update import update
from xds.services.upkeep import check, sweep
from xds.store.content import DiskContent

ANNE = pid("A-1")
CONTENTS = [f"%PDF-1.4 document {number}".encode() for number in range(50)]
"""Few enough that submissions share them."""
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

    def __init__(self, url: str, folder: Path, seconds: float) -> None:
        self.engine = create_engine(url, pool_size=10)
        self.database = Database(self.engine)
        self.registry = Registry(SampleDirectory(anne=[ANNE]))
        self.repository = Repository(self.registry, DiskContent(folder), Oid(REPOSITORY))
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
        self._provide(uow, dice, unique_id=dice.choice(self.sets))

    def replace(self, uow: UnitOfWork, dice: random.Random) -> None:
        target = self._any(uow, dice)
        self._provide(uow, dice, associations=[relation(AssociationType.REPLACES, "doc", target.id)])

    def update(self, uow: UnitOfWork, dice: random.Random) -> None:
        target = self._any(uow, dice)
        changed = entry("doc", ANNE, unique_id=target.unique_id, hash=target.hash, size=target.size)
        made = new_version(changed, target.logical_id, str(target.version))
        update(uow, made, self.registry)
        with self.lock:
            key = (target.logical_id, target.version)
            self.versions[key] = self.versions.get(key, 0) + 1

    def remove(self, uow: UnitOfWork, dice: random.Random) -> None:
        """All versions of an entry with their sets, and its document with the last entry of it."""
        target = self._any(uow, dice)
        versions = [each.id for each in get.entries(uow, Named(logical_ids=[target.logical_id]))]
        if not versions:  # removed by another client since it was found
            return
        links = get.associations(uow, versions, ("Approved", "Deprecated"))
        remove(uow, [*versions, *(each.id for each in links), *(each.source for each in links)])
        if not get.entries(uow, Named(unique_ids=[target.unique_id])):
            remove_documents(uow, [DocumentRequest(REPOSITORY, target.unique_id)], self.repository)

    def _provide(self, uow: UnitOfWork, dice: random.Random, **changes: Any) -> None:
        made = submission(ANNE, entry("doc", ANNE, hash=None, size=None), **changes)
        provide_bytes(uow, made, {"doc": dice.choice(CONTENTS)}, self.repository)

    def problems(self, **options: Any) -> list[object]:
        """What ``traitdunion xds check`` finds."""
        with self.database.unit(REGION) as uow:
            return [*integrity.check(uow), *check(self.database, self.repository, **options)]

    def _any(self, uow: UnitOfWork, dice: random.Random) -> RegisteredEntry:
        found = find.find_documents(uow, self.registry, ANNE, DocumentCriteria())
        if not found:
            self._provide(uow, dice)
            found = find.find_documents(uow, self.registry, ANNE, DocumentCriteria())
        chosen = dice.choice(found).object
        assert isinstance(chosen, RegisteredEntry)
        return chosen


@pytest.mark.parametrize("seconds", [6, pytest.param(300, marks=pytest.mark.soak)])
def test_eight_clients_at_once_leave_a_whole_registry(database_url: str, tmp_path: Path, seconds: float) -> None:
    clients = Clients(database_url, tmp_path, seconds)
    jobs: list[Callable[[int], None]] = [clients.work] * 8 + [clients.look] * 2
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job, number) for number, job in enumerate(jobs)]:
            future.result()
    assert clients.problems() == []
    sweep(clients.database, clients.repository, grace=timedelta())
    assert clients.problems(grace=timedelta()) == []
    usual = {"submit", "replace", "update", "refused"}
    print(clients.done)
    assert usual <= set(clients.done) <= {*usual, "remove", "deadlock"}, clients.done
    assert all(count == 1 for count in clients.versions.values()), "two updates followed the same version"
    clients.engine.dispose()
