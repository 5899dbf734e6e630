"""Views of the worklist that a steward keeps: their own and nobody else's."""

from __future__ import annotations

from ihe.errors import InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.store import saved_views as store
from mpi.store.saved_views import SavedView

_MOST = 30


def saved_views(uow: UnitOfWork) -> list[SavedView]:
    """The caller's views, by name."""
    return store.of_owner(uow.connection, uow.caller.label)


def save_view(uow: UnitOfWork, name: str, query: str) -> None:
    """Keep a view; one of the same name is replaced.

    Raises:
        InvalidElement: the name is empty or long, or there are too many.
    """
    if not 0 < len(name) <= 60 or len(query) > 1000:
        raise InvalidElement("a view has a name of 1 to 60 characters", "name")
    if len(saved_views(uow)) >= _MOST:
        raise InvalidElement("nobody keeps more than 30 views", "name")
    store.save(uow.connection, uow.caller.label, name, query)


def delete_view(uow: UnitOfWork, view_id: int) -> None:
    """Forget one of the caller's views."""
    store.delete(uow.connection, uow.caller.label, view_id)
