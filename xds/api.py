"""What the workbench and the start-up may hold of this package."""

from __future__ import annotations

from xds.application import ValueSetFault, XdsApplication, load_value_sets
from xds.domain.answers import Returned
from xds.domain.criteria import DocumentCriteria, FolderCriteria, Period, SetCriteria
from xds.ports import PatientDirectory, Person
from xds.services.find import find_documents, find_folders, find_submission_sets
from xds.services.register import register
from xds.services.registry import Registry

__all__ = [
    "DocumentCriteria",
    "FolderCriteria",
    "PatientDirectory",
    "Period",
    "Person",
    "Registry",
    "Returned",
    "SetCriteria",
    "ValueSetFault",
    "XdsApplication",
    "find_documents",
    "find_folders",
    "find_submission_sets",
    "load_value_sets",
    "register",
]
