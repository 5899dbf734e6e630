"""Read one person with the records that the caller may see of it."""

from __future__ import annotations

from ihe.confidentiality import sight_of
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.person import Person
from mpi.domain.survivorship import Statement, derive
from mpi.store import records


def read_person(uow: UnitOfWork, app: MpiApplication, person_id: int) -> Person | None:
    """The person that a founder's id names, or ``None`` when nothing of it may be shown.

    Only links of the grades that the caller's domain is answered with hold records together.
    """
    founder = next(iter(records.by_ids(uow.connection, [person_id])), None)
    if founder is None:
        return None
    sight = sight_of(uow.caller)
    grades = app.grades_for(uow.caller.site)
    members = tuple(
        r
        for r in records.by_persons(uow.connection, [founder.person_id])
        if r.is_active and sight.sees(r.key.domain, is_hidden=r.is_hidden) and (r.grade is None or r.grade in grades)
    )
    if not members:
        return None
    displayed = derive([Statement(r.key, r.traits, r.source_updated_at or r.created_at) for r in members])
    return Person(person_id, founder.person_id, members, displayed)
