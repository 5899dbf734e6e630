"""The index's Patient resources in the shape that the registry asks for (``xds.ports.PatientResources``)."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.services.find_patients import read_patient
from mpi.services.identifiers import find, patient_id_of, regional_patient_id
from mpi.translate.fhir_patient import (
    patient_resource_id,
    person_of_resource_id,
    person_resource_id,
    record_of_resource_id,
)


@dataclass(frozen=True, slots=True)
class IndexPatients:
    """Patients of the index: one resource for each record, and one for each person."""

    mpi: MpiApplication

    def identifier_of(self, uow: UnitOfWork, resource_id: str) -> PatientId | None:
        """The local id of the record, or the regional one of the person; ``None`` when it can be neither."""
        person_id = person_of_resource_id(resource_id)
        if person_id is not None:
            return regional_patient_id(self.mpi, person_id)
        record_id = record_of_resource_id(resource_id)
        record = read_patient(uow, self.mpi, record_id) if record_id is not None else None
        return patient_id_of(self.mpi, record.key) if record is not None else None

    def resource_id_of(self, uow: UnitOfWork, patient_id: PatientId) -> str | None:
        """The person's for a regional id, else the record's that has the identifier, of several the oldest."""
        try:
            found = find(uow, self.mpi, patient_id)
        except IheError:
            return None
        if not found:
            return None
        domain = self.mpi.domains.by_authority(patient_id.authority)
        if domain is not None and domain.code == self.mpi.regional_domain:
            return person_resource_id(found[0].person_id)
        return patient_resource_id(min(found, key=lambda record: record.id))
