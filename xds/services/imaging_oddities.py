"""What is odd about manifests in force, as work for people: listed by site, taken in hand, dealt with, taken back.

An oddity goes by itself when its manifest does: replaced, deprecated or removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ihe.errors import Conflict, InvalidElement, NotFound
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.ports import PatientDirectory
from xds.store import imaging_notices
from xds.store.imaging_notices import Notice

_MOST = 200


@dataclass(frozen=True, slots=True)
class Oddity:
    """A notice, and the patient whose manifest it is: the regional id, ``None`` when nobody is known."""

    notice: Notice
    patient: PatientId | None


def oddities(uow: UnitOfWork, directory: PatientDirectory, site: str | None, *, settled: bool) -> list[Oddity]:
    """Those that wait or those that are dealt with, the latest first, at most two hundred.

    Args:
        site: whose; ``None`` for all.
    """
    found = imaging_notices.current(uow.connection, _MOST, site=site, settled=settled)
    patients = {anchor: _patient(uow, directory, anchor) for anchor in {notice.anchor for notice in found}}
    return [Oddity(notice, patients[notice.anchor]) for notice in found]


def _patient(uow: UnitOfWork, directory: PatientDirectory, anchor: str) -> PatientId | None:
    try:
        person = directory.resolve(uow, PatientId.from_xds_cx(anchor))
    except ValueError:
        return None
    return person.regional_id if person else None


def count_oddities(uow: UnitOfWork) -> Mapping[str | None, int]:
    """How many wait, by site (``None``: the sender is of none)."""
    return imaging_notices.waiting(uow.connection)


def take_oddity(uow: UnitOfWork, notice_id: int, site: str | None) -> None:
    """Take one in hand, or let it go when the caller has it.

    Raises:
        Conflict: a colleague has it.
        NotFound: there is none that waits at this site.
    """
    holder = imaging_notices.take(uow.connection, notice_id, site, uow.caller.label)
    if holder is None:
        raise NotFound("there is no such oddity, or it is not one of yours")
    if holder != uow.caller.label:
        raise Conflict("a colleague has this in hand")


def release_oddity(uow: UnitOfWork, notice_id: int, site: str | None) -> None:
    """Let go of one."""
    imaging_notices.release(uow.connection, notice_id, site)


def settle_oddity(uow: UnitOfWork, notice_id: int, site: str | None, words: str) -> None:
    """Say what became of one.

    Raises:
        InvalidElement: nothing is said, or too much.
        Conflict: it does not wait any more, a colleague has it in hand, or it is another site's.
    """
    if not 0 < len(words) <= 500:
        raise InvalidElement("a reason has 1 to 500 characters", "words")
    if not imaging_notices.settle(uow.connection, notice_id, site, uow.caller.label, words, uow.now):
        raise Conflict("this was dealt with meanwhile, or a colleague has it in hand")


def reopen_oddity(uow: UnitOfWork, notice_id: int, site: str | None) -> None:
    """Take back that one is dealt with.

    Raises:
        Conflict: it waits already, or it is another site's.
    """
    if not imaging_notices.reopen(uow.connection, notice_id, site):
        raise Conflict("this waits already")
