"""Let one domain answer for the patients of another from a moment on, because a site became part of another.

Nothing moves at that moment. The former identifiers go on designating their patients; what changes is who speaks for
them: feeds under the former domain are refused, the successor may renumber its patients (a merge across both domains,
after which the former identifier designates whom the new one does), and it is told of what becomes of them.
"""

from __future__ import annotations

from datetime import datetime

from ihe.errors import Conflict, InvalidElement, NotFound
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.succession import Succession, Successions
from mpi.services.identifiers import feedable_domain
from mpi.services.undo_event import undo_event
from mpi.store import events, successions


def succeed_domain(
    uow: UnitOfWork, app: MpiApplication, domain: str, successor: str, effective_at: datetime, *, reason: str
) -> int:
    """Record a succession; returns the event, by which it can be undone.

    Raises:
        UnknownAuthority: one of both is no domain that is fed.
        InvalidElement: both are the same.
        Conflict: the domain has a successor already, or the succession would lead back to it.
    """
    for code in (domain, successor):
        feedable_domain(app, code)
    if domain == successor:
        raise InvalidElement("a domain is succeeded by another one")
    successions.lock(uow.connection)
    known = successions.current(uow.connection)
    if any(each.domain == domain for each in known):
        raise Conflict(f"{domain} has a successor already; undo that succession first")
    if known and Successions(known, max(each.effective_at for each in known)).heir(successor) == domain:
        raise Conflict(f"{successor} is itself succeeded by {domain}")
    payload = {
        "domain": domain,
        "successor": successor,
        "effective_at": effective_at.isoformat(),
        "reason": reason,
    }
    event_id = events.append(uow.connection, uow.now, uow.caller, "domain.succeeded", payload)
    successions.insert(uow.connection, Succession(domain, successor, effective_at, event_id))
    return event_id


def undo_succession(uow: UnitOfWork, app: MpiApplication, domain: str, *, reason: str) -> int:
    """Take the succession of a domain back; returns the undoing event.

    Raises:
        NotFound: it has no successor.
        Conflict: its patients were renumbered since.
    """
    for each in successions.current(uow.connection):
        if each.domain == domain:
            return undo_event(uow, app, each.event_id, reason=reason)
    raise NotFound(f"{domain} has no successor")
