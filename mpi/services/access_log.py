"""Everything that was done with a person's data, on every wire, as the person may ask to be told."""

from __future__ import annotations

from ihe.audit import AuditEvent
from ihe.confidentiality import sight_of
from ihe.errors import NotFound
from ihe.store import audit_search
from ihe.store.audit_search import AuditSearch
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import RecordState, shown
from mpi.services.identifiers import ins_ids, patient_id_of, regional_patient_id
from mpi.store import records


def access_log(
    uow: UnitOfWork, app: MpiApplication, person_id: int, limit: int, before: int | None = None
) -> list[tuple[int, AuditEvent]]:
    """The audit events that name any identifier of a person, latest first, with their ids.

    Args:
        before: only events with a lower id.

    Raises:
        NotFound: there is no such person, or nothing of it is shown to the caller.
    """
    founder = next(iter(records.by_ids(uow.connection, [person_id])), None)
    members = records.by_persons(uow.connection, [founder.person_id]) if founder is not None else []
    members = shown(members, sight_of(uow.caller))
    if not members:
        raise NotFound("there is no such person")
    names = {f"{r.key.domain}/{r.key.local_id}" for r in members}
    names |= {patient_id_of(app, r.key, None).xds_cx for r in members}
    names |= {regional_patient_id(app, r.id).xds_cx for r in members if r.state is not RecordState.WITHDRAWN}
    names |= {each.xds_cx for each in ins_ids(app, [r for r in members if r.is_active])}
    return audit_search.find(uow.connection, AuditSearch(patients=tuple(sorted(names)), before=before), limit)
