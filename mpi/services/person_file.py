"""A person as stewards see them: records and why they are together, the history of every step, and any past state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ihe.confidentiality import sight_of
from ihe.errors import AccessDenied, NotFound
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.identity import Traits
from mpi.domain.record import Record, shown
from mpi.domain.stewardship import REGION_DESK
from mpi.domain.survivorship import Displayed, Statement, derive
from mpi.services.read_worklist import desk_of
from mpi.services.take_back import may_take_back
from mpi.store import events, links, pairs, records, tasks
from mpi.store.events import IdentityEvent
from mpi.store.links import LinkHistory
from mpi.store.pairs import Decision, ScoredPair
from mpi.store.tasks import Task


@dataclass(frozen=True, slots=True)
class Happening:
    """A step of the history, and whether the caller may take it back."""

    event: IdentityEvent
    may_undo: bool


@dataclass(frozen=True, slots=True)
class PersonFile:
    """Everything about a person.

    Attributes:
        id: founder's id now; another than the one asked for after a link.
        records: active, subsumed and withdrawn ones, by id, as far as the caller may see their traits.
        displayed: derived traits with their sources; ``None`` when nothing is active.
        links: the present link of each record, by record id.
        happenings: latest first.
        moment: of the past state shown, or ``None`` for now.
    """

    id: int
    records: tuple[Record, ...]
    displayed: Displayed | None
    links: Mapping[int, LinkHistory]
    pairs: tuple[ScoredPair, ...]
    decisions: tuple[Decision, ...]
    tasks: tuple[Task, ...]
    happenings: tuple[Happening, ...]
    moment: datetime | None


def read_person_file(
    uow: UnitOfWork, app: MpiApplication, person_id: int, *, opened: bool = False, moment: datetime | None = None
) -> PersonFile:
    """Read it.

    Args:
        opened: the caller broke the glass for this person, with a reason.
        moment: show who was together then, and what the records said.

    Raises:
        NotFound: there is no such person, or nothing of it is shown to the caller.
        AccessDenied: no record is of the caller's establishment, and the glass was not broken.
    """
    founder = next(iter(records.by_ids(uow.connection, [person_id])), None)
    if founder is None:
        raise NotFound("there is no such person")
    desk = desk_of(uow.caller)
    now_id = founder.person_id
    if moment is None:
        members = records.by_persons(uow.connection, [now_id])
    else:
        members = _then(uow, person_id, moment)
    members = shown(members, sight_of(uow.caller))
    if not members:
        raise NotFound("there is no such person")
    if desk != REGION_DESK and not opened and all(r.key.domain != desk for r in members):
        raise AccessDenied("no record of this person is of your establishment")
    told = tuple(r if desk in (REGION_DESK, r.key.domain) else _without_contact(r) for r in members)
    active = [r for r in told if r.is_active]
    ids = [r.id for r in members]
    present = {i: h[-1] for i in ids if (h := links.history(uow.connection, i))}
    found = events.by_ids(uow.connection, events.touching(uow.connection, ids))
    return PersonFile(
        now_id,
        told,
        derive([Statement(r.key, r.traits, r.source_updated_at or r.created_at) for r in active]) if active else None,
        present,
        tuple(pairs.among(uow.connection, ids)),
        tuple(pairs.decisions_among(uow.connection, ids)),
        tuple(tasks.open_among(uow.connection, ids)),
        tuple(Happening(event, may_take_back(uow, event)) for event in reversed(found)),
        moment,
    )


def _then(uow: UnitOfWork, person_id: int, moment: datetime) -> list[Record]:
    """The records that were this person at a past moment, as they were then."""
    ids = links.members_at(uow.connection, person_id, moment)
    found = []
    for record in records.by_ids(uow.connection, ids):
        traits, stated = records.version_at(uow.connection, record.id, moment)
        found.append(replace(record, traits=traits, source_updated_at=stated, person_id=person_id))
    return found


def _without_contact(record: Record) -> Record:
    """Another establishment's record, without what a steward does not need to know who somebody is."""
    hidden: Traits = replace(record.traits, address=None, phone=None, email=None, postal_code=None, city=None)
    return replace(record, traits=hidden)
