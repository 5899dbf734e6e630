"""What a query of the registry answers."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.values import PatientId
from xds.domain.registered import Registered


@dataclass(frozen=True, slots=True)
class Reference:
    """An object by its id, with its homeCommunityId if it has one."""

    id: str
    home: str | None = None


@dataclass(slots=True)
class Returned:
    """An object with the patient identifier under which it is returned; an association has none.

    Not frozen, as :class:`~xds.domain.registered.RegisteredEntry` is not; nobody changes it.
    """

    object: Registered
    patient_id: PatientId | None = None


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The objects found, whole or as references.

    Attributes:
        leaf_class: whether ``objects`` are to be returned whole; else ``references``.
    """

    leaf_class: bool
    objects: tuple[Returned, ...] = ()
    references: tuple[Reference, ...] = ()
