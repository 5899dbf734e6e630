"""The registry's own patients, when another index is the region's: fed by ITI-8 or ITI-44, moved by ITI-64.

Source: ITI TF-2: 3.8, 3.44 (Document Registry), 3.64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ihe.confidentiality import Wishes
from ihe.errors import Conflict, MissingElement, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority, PatientId
from xds.ports import Person
from xds.store import fed_patients


@dataclass(frozen=True, slots=True)
class FedDirectory:
    """Who a patient identifier designates, as the other index told (:class:`xds.ports.PatientDirectory`).

    Attributes:
        affinity_domain: its authority; identifiers of others that a feed names are ignored.
        is_of_region: whether an identifier's authority is a domain of the region.
        wanted: what a person wants who has some identifiers (CX).
    """

    affinity_domain: AssigningAuthority
    is_of_region: Callable[[PatientId], bool]
    wanted: Callable[[UnitOfWork, Iterable[str]], Wishes]

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> dict[str, Wishes]:
        """What the person wants; no identity is hidden that another index shows."""
        person = self.resolve(uow, patient_id)
        identifiers = {patient_id.xds_cx, *(each.xds_cx for each in (person.identifiers if person is not None else ()))}
        return dict.fromkeys(identifiers, self.wanted(uow, identifiers))

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> Person | None:
        """The person: by an active identifier of the affinity domain, or a local id linked to one.

        A subsumed identifier designates nobody (ITI TF-2: 3.8.4.2.4); its documents are its survivor's.
        """
        connection = uow.connection
        if patient_id.authority.oid == self.affinity_domain.oid:
            known = fed_patients.find(connection, patient_id.xds_cx)
            found = known.patient_id if known is not None and known.merged_into is None else None
        else:
            found = fed_patients.linked_to(connection, patient_id.xds_cx)
        if found is None:
            return None
        identifiers = fed_patients.identifiers_of(connection, found)
        return Person(PatientId.from_xds_cx(found), frozenset(map(PatientId.from_xds_cx, identifiers)))

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> Person | None:
        """The person: how sure the other index is of a link is not told."""
        return self.resolve(uow, patient_id)

    def knows_authority(self, patient_id: PatientId) -> bool:
        """Whether the authority is a domain of the region."""
        return self.is_of_region(patient_id)

    def own(self, identifiers: Iterable[PatientId], location: str) -> PatientId:
        """The one of the affinity domain among the identifiers of a message.

        Raises:
            MissingElement: there is none.
        """
        for each in identifiers:
            by_name = each.authority.oid is None and each.authority.namespace == self.affinity_domain.namespace
            if by_name or each.authority.oid == self.affinity_domain.oid:
                return PatientId(each.value, AssigningAuthority(None, self.affinity_domain.oid))
        raise MissingElement("the message names no identifier of the affinity domain", location)


def add_patient(uow: UnitOfWork, patient_id: PatientId) -> None:
    """Take in an identifier of the affinity domain; once known, it stays as it is."""
    fed_patients.add(uow.connection, patient_id.xds_cx, uow.now)


def merge_patients(uow: UnitOfWork, survivor: PatientId, subsumed: PatientId) -> None:
    """Let one identifier take in another (A40).

    Raises:
        Conflict: they are one, or one of them was taken in before.
        UnknownPatient: one of them was never fed.
    """
    if survivor.xds_cx == subsumed.xds_cx:
        raise Conflict("a patient can't take in itself", "MRG-1")
    ends = sorted([(survivor.xds_cx, "PID-3"), (subsumed.xds_cx, "MRG-1")])
    for patient_id, location in ends:
        found = fed_patients.find(uow.connection, patient_id, lock=True)
        if found is None:
            raise UnknownPatient("the identifier was never fed to this registry", location)
        if found.merged_into is not None:
            raise Conflict("the identifier was merged into another before", location)
    fed_patients.merge(uow.connection, subsumed.xds_cx, survivor.xds_cx, uow.now)
    uow.publish("patient.merged", survivor.xds_cx, {"survivor": survivor.xds_cx, "subsumed": subsumed.xds_cx})


def move_patient(uow: UnitOfWork, patient_id: PatientId, local_ids: Iterable[PatientId]) -> None:
    """Link local ids to a patient of the affinity domain: what came from them belongs there now (ITI-64).

    Args:
        local_ids: the local id, and the one it took in where a message names it.

    Raises:
        UnknownPatient: the patient was never fed, or was merged into another.
    """
    found = fed_patients.find(uow.connection, patient_id.xds_cx, lock=True)
    if found is None or found.merged_into is not None:
        raise UnknownPatient("the new identifier designates no patient of this registry", "PID-3")
    followers = [PatientId(each.value, AssigningAuthority(None, each.authority.oid)).xds_cx for each in local_ids]
    fed_patients.link(uow.connection, followers, patient_id.xds_cx, uow.now)
