"""Patients as resource-based transactions name them: by identifier or by Patient resource."""

from __future__ import annotations

from collections.abc import Iterable

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import Returned
from xds.ports import PatientResources


def patient_references(
    uow: UnitOfWork, patients: PatientResources, found: Iterable[Returned]
) -> dict[PatientId, str | None]:
    """``Patient/<id>`` for each identifier under which objects are returned; ``None`` where there is no Patient."""
    references: dict[PatientId, str | None] = {}
    for each in found:
        if each.patient_id is not None and each.patient_id not in references:
            resource_id = patients.resource_id_of(uow, each.patient_id)
            references[each.patient_id] = f"Patient/{resource_id}" if resource_id else None
    return references
