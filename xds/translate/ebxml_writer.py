"""XDS objects → ebRIM text, in schema order.

An object's *body* is everything inside its element that never changes once it is registered. It is rendered once, at
registration, and kept; an answer only adds what depends on the moment: status, and the patient identifier under which
it is asked for. So a large answer costs the joining of ready pieces.

The pieces use the prefix ``rim`` for the ebRIM namespace; whoever places them declares it.

Source: ITI TF-3: 4.2.3 and Table 4.2.3.1.7-2; ebRIM 3.0 schema for the order of elements.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ihe.values import Code, PatientId, escape_hl7
from xds.domain.model import Association, Author, DocumentEntry, Folder, SubmissionSet, Texts
from xds.translate.ebxml_vocabulary import (
    ASSOCIATION_DOCUMENTATION,
    ASSOCIATION_TYPE,
    AUTHOR_SLOTS,
    CLASSIFICATION_TYPE,
    DOCUMENT_ENTRY,
    EXTERNAL_IDENTIFIER_TYPE,
    FOLDER,
    FOLDER_NODE,
    PACKAGE_TYPE,
    SUBMISSION_SET,
    SUBMISSION_SET_NODE,
    Layout,
    Place,
)

Described = DocumentEntry | SubmissionSet | Folder


def body_of(item: Described | Association) -> str:
    """The unchanging inner ebRIM of an object whose ``id`` is final.

    Without the patient identifier and, of a folder, without ``lastUpdateTime``: these depend on the moment.
    """
    if isinstance(item, Association):
        return _association_body(item)
    layout = layout_of(item)
    return "".join(_body(item, layout))


def layout_of(item: Described) -> Layout:
    """Where the attributes of this kind of object stand."""
    if isinstance(item, DocumentEntry):
        return DOCUMENT_ENTRY
    return SUBMISSION_SET if isinstance(item, SubmissionSet) else FOLDER


def extrinsic_object(
    body: str,
    *,
    id: str,  # noqa: A002 - the attribute's name
    logical_id: str,
    object_type: str,
    mime_type: str,
    status: str,
    home: str | None,
    patient_id: PatientId,
) -> str:
    """A document entry as returned by a query."""
    return (
        f'<rim:ExtrinsicObject id="{id}" lid="{logical_id}"{_home(home)} objectType="{object_type}"'
        f' status="{status}" mimeType={quoteattr(mime_type)}>'
        f"{body}{_patient_identifier(DOCUMENT_ENTRY, id, patient_id)}</rim:ExtrinsicObject>"
    )


def registry_package(
    body: str,
    *,
    layout: Layout,
    id: str,  # noqa: A002 - the attribute's name
    logical_id: str,
    status: str,
    home: str | None,
    patient_id: PatientId,
    last_update_time: str | None = None,
) -> str:
    """A submission set or folder as returned by a query."""
    updated = _slot("lastUpdateTime", (last_update_time,)) if last_update_time else ""
    return (
        f'<rim:RegistryPackage id="{id}" lid="{logical_id}"{_home(home)} objectType="{PACKAGE_TYPE}"'
        f' status="{status}">'
        f"{updated}{body}{_patient_identifier(layout, id, patient_id)}</rim:RegistryPackage>"
    )


def association(
    body: str,
    *,
    id: str,  # noqa: A002 - the attribute's name
    type: str,  # noqa: A002 - the attribute's name
    source: str,
    target: str,
    status: str,
) -> str:
    """An association as returned by a query."""
    return (
        f'<rim:Association id="{id}" lid="{id}" objectType="{ASSOCIATION_TYPE}" status="{status}"'
        f' associationType="{type}" sourceObject="{source}" targetObject="{target}">{body}</rim:Association>'
    )


def object_ref(id: str, home: str | None = None) -> str:  # noqa: A002 - the attribute's name
    """A reference to an object."""
    return f'<rim:ObjectRef id="{id}"{_home(home)}/>'


def _body(item: Described, layout: Layout) -> Iterable[str]:
    for place in layout.slots:
        if place.field != "last_update_time":
            yield _slot(place.key, _values(getattr(item, place.field)))
    yield _extra(item.extra)
    yield _texts("Name", item.title)
    yield _texts("Description", item.comments)
    yield f'<rim:VersionInfo versionName="{item.version}"/>'
    yield from _classifications(item, layout)
    for place in layout.identifiers:
        if place.field != "patient_id":
            value = getattr(item, place.field)
            if value:
                yield _identifier(layout, place, item.id, value)


def _classifications(item: Described, layout: Layout) -> Iterable[str]:
    if layout.author is not None and not isinstance(item, Folder):
        for position, author in enumerate(item.authors):
            yield _author(author, layout.author, item.id, position)
    for place in layout.codes:
        value = getattr(item, place.field)
        codes = value if place.many else (value,) if value else ()
        for position, code in enumerate(codes):
            yield _coded(code, place.key, item.id, position)
    if layout is not DOCUMENT_ENTRY:
        yield _node(SUBMISSION_SET_NODE if layout is SUBMISSION_SET else FOLDER_NODE, item.id)
    if item.limited_metadata:
        yield _node(layout.limited_metadata, item.id)


def _association_body(item: Association) -> str:
    documentation = _coded(item.documentation, ASSOCIATION_DOCUMENTATION, item.id, 0) if item.documentation else ""
    texts = _texts("Name", item.title) + _texts("Description", item.comments)
    return _extra(item.slots) + texts + documentation


def _author(author: Author, scheme: str, owner: str, position: int) -> str:
    slots = "".join(_slot(place.key, _values(getattr(author, place.field))) for place in AUTHOR_SLOTS)
    return (
        f'<rim:Classification id="{_part_id(owner, scheme, position)}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationScheme="{scheme}" classifiedObject="{owner}" nodeRepresentation="">'
        f"{slots}{_extra(author.extra)}</rim:Classification>"
    )


def _coded(code: Code, scheme: str, owner: str, position: int) -> str:
    name = f"<rim:Name><rim:LocalizedString value={quoteattr(code.display)}/></rim:Name>" if code.display else ""
    return (
        f'<rim:Classification id="{_part_id(owner, scheme, position)}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationScheme="{scheme}" classifiedObject="{owner}"'
        f" nodeRepresentation={quoteattr(code.code)}>"
        f"{_slot('codingScheme', (code.scheme,))}{name}</rim:Classification>"
    )


def _node(node: str, owner: str) -> str:
    return (
        f'<rim:Classification id="{_part_id(owner, node, 0)}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationNode="{node}" classifiedObject="{owner}"/>'
    )


def _identifier(layout: Layout, place: Place, owner: str, value: str) -> str:
    name = f"XDS{layout.kind}.{place.attribute}"
    return (
        f'<rim:ExternalIdentifier id="{_part_id(owner, place.key, 0)}" objectType="{EXTERNAL_IDENTIFIER_TYPE}"'
        f' registryObject="{owner}" identificationScheme="{place.key}" value={quoteattr(value)}>'
        f'<rim:Name><rim:LocalizedString value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    )


def _patient_identifier(layout: Layout, owner: str, patient_id: PatientId) -> str:
    place = layout.identifiers[-1]
    return _identifier(layout, place, owner, patient_id.xds_cx)


def _slot(name: str, values: Iterable[str]) -> str:
    inner = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    if not inner:
        return ""
    return f"<rim:Slot name={quoteattr(name)}><rim:ValueList>{inner}</rim:ValueList></rim:Slot>"


def _extra(slots: Mapping[str, tuple[str, ...]]) -> str:
    return "".join([_slot(name, values) for name, values in slots.items()])


def _texts(name: str, texts: Texts) -> str:
    if not texts:
        return ""
    inner = "".join(
        [
            f"<rim:LocalizedString{_optional('xml:lang', text.language)}{_optional('charset', text.charset)}"
            f" value={quoteattr(text.value)}/>"
            for text in texts
        ]
    )
    return f"<rim:{name}>{inner}</rim:{name}>"


def _values(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    return (_submitted_cx(value),) if isinstance(value, PatientId) else (str(value),)


def _submitted_cx(patient_id: PatientId) -> str:
    """The CX with its namespace and type code, if it was submitted with them."""
    authority = patient_id.authority
    text = f"{escape_hl7(patient_id.value)}^^^{escape_hl7(authority.namespace or '')}&{authority.oid}&ISO"
    return f"{text}^{patient_id.type_code}" if patient_id.type_code else text


def _home(home: str | None) -> str:
    return _optional("home", home)


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"


def _part_id(owner: str, scheme: str, position: int) -> str:
    """A UUID for a part of an object, the same each time the object is rendered."""
    return uuid.uuid5(uuid.UUID(owner.removeprefix("urn:uuid:")), f"{scheme}/{position}").urn
