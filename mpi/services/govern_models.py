"""Match models for the administrator: which are kept, which is in force, put another in force, take that back."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import Conflict, InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.services.change_model import activate_model, find_model
from mpi.services.undo_event import undo_event
from mpi.store import events, models
from mpi.store.events import IdentityEvent
from mpi.store.models import StoredModel

ACTIVATED = "model.activated"


@dataclass(frozen=True, slots=True)
class Models:
    """What the administrator sees.

    Attributes:
        kept: every model, the latest first.
        in_force: version that services use from their next start; ``None``: the one set by hand.
        running: version that this service uses now.
        last: the last activation that nothing took back, or ``None``.
    """

    kept: tuple[StoredModel, ...]
    in_force: str | None
    running: str
    last: IdentityEvent | None


def read_models(uow: UnitOfWork, app: MpiApplication) -> Models:
    """All of it."""
    kept = tuple(models.listed(uow.connection))
    in_force = next((model.version for model in kept if model.active), None)
    last = events.last_in_force(uow.connection, ACTIVATED)
    return Models(kept, in_force, app.model.version, last)


def put_in_force(uow: UnitOfWork, version: str, *, reason: str) -> None:
    """Put a kept model in force.

    Raises:
        InvalidElement: no reason is given.
        IheError: there is no such model.
        Conflict: it is in force already.
    """
    if not reason:
        raise InvalidElement("a reason is due", "reason")
    present = models.active(uow.connection)
    if present is not None and present.version == version:
        raise Conflict("this model is in force already")
    activate_model(uow, find_model(uow, version), reason)


def take_activation_back(uow: UnitOfWork, app: MpiApplication, event_id: int, *, reason: str) -> None:
    """The model in force before is in force again.

    Raises:
        InvalidElement: the event is no activation.
        Conflict: it was taken back already, or another activation followed.
    """
    event = events.get(uow.connection, event_id)
    if event is None or event.kind != ACTIVATED:
        raise InvalidElement("this is no activation of a model", "event")
    undo_event(uow, app, event_id, reason=reason)
