"""Registered objects → domain objects with all their metadata, for those who answer in another form than ebRIM."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from lxml import etree

from ihe.errors import Finding
from ihe.values import PatientId
from xds.domain.model import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredSet,
)
from xds.translate import ebxml_writer
from xds.translate.ebxml_reader import read_objects
from xds.translate.ebxml_vocabulary import RIM


def read_registered(item: Registered, patient_id: PatientId | None = None) -> RegistryObject:
    """The metadata of a registered object.

    Args:
        patient_id: under which it is returned; ``None`` for the submitted one.
    """
    if isinstance(item, RegisteredAssociation):
        text = ebxml_writer.association(item)
    else:
        quoted = quoteattr(patient_id.xds_cx if patient_id else item.patient_id)
        text = (
            ebxml_writer.extrinsic_object(item, quoted)
            if isinstance(item, RegisteredEntry)
            else ebxml_writer.registry_package(item, quoted)
        )
    findings: list[Finding] = []
    listing = etree.fromstring(b'<RegistryObjectList xmlns="%b">%b</RegistryObjectList>' % (RIM.encode(), text))
    (read,) = read_objects(listing, findings)
    return read


def entry_of(item: RegisteredEntry, patient_id: PatientId | None = None) -> DocumentEntry:
    """As :func:`read_registered`, of an entry."""
    read = read_registered(item, patient_id)
    assert isinstance(read, DocumentEntry)
    return read


def set_of(item: RegisteredSet, patient_id: PatientId | None = None) -> SubmissionSet:
    """As :func:`read_registered`, of a submission set."""
    read = read_registered(item, patient_id)
    assert isinstance(read, SubmissionSet)
    return read


def folder_of(item: RegisteredFolder, patient_id: PatientId | None = None) -> Folder:
    """As :func:`read_registered`, of a folder."""
    read = read_registered(item, patient_id)
    assert isinstance(read, Folder)
    return read


def association_of(item: RegisteredAssociation) -> Association:
    """As :func:`read_registered`, of an association."""
    read = read_registered(item)
    assert isinstance(read, Association)
    return read
