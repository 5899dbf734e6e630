"""XDS objects → ebRIM text, in schema order.

An object's *body* is everything inside its element that never changes once it is registered. It is rendered once, at
registration, and kept; an answer only adds what depends on the moment: status, and the patient identifier under which
it is asked for. So a large answer costs the joining of ready pieces.

The pieces are unprefixed; whoever places them makes ebRIM the default namespace.

Source: ITI TF-3: 4.2.3 and Table 4.2.3.1.7-2; ebRIM 3.0 schema for the order of elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import count
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ihe.values import Code, PatientId, escape_hl7, format_dtm
from xds.domain.datatypes import is_symbolic
from xds.domain.model import Association, Author, Described, DocumentEntry, DocumentKind, Folder, SubmissionSet, Texts
from xds.domain.registered import RegisteredAssociation, RegisteredEntry, RegisteredFolder, RegisteredSet
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

_PATIENT_PART = 1
_IDENTIFIER_PARTS = 2
_CLASSIFICATION_PARTS = 16
"""Numbers of the parts of an object, see :func:`_part_id`."""


def body_of(item: Described | Association) -> bytes:
    """The unchanging inner ebRIM of an object, in UTF-8.

    Without the patient identifier and, of a folder, without ``lastUpdateTime``: these depend on the moment.
    """
    return _body_text(item).encode()


def layout_of(item: Described) -> Layout:
    """Where the attributes of this kind of object stand."""
    if isinstance(item, DocumentEntry):
        return DOCUMENT_ENTRY
    return SUBMISSION_SET if isinstance(item, SubmissionSet) else FOLDER


def extrinsic_object(item: RegisteredEntry, patient_id: str) -> bytes:
    """A document entry as returned by a query.

    Args:
        patient_id: CX under which it is returned, quoted as an attribute value.
    """
    object_id = item.id
    fixed = _entry_attributes(item.on_demand, item.status, item.mime_type, item.home)
    before, between, behind = _entry_patient(patient_id)
    head = f'<ExtrinsicObject id="{object_id}" lid="{item.logical_id}"{fixed}>'
    tail = f"{before}{_patient_part_id(object_id)}{between}{object_id}{behind}"
    return b"".join((head.encode(), item.body(), tail.encode()))


@lru_cache(maxsize=256)
def _entry_attributes(on_demand: bool, status: str, mime_type: str, home: str | None) -> str:
    """The attributes of an entry that many share."""
    kind = DocumentKind.ON_DEMAND if on_demand else DocumentKind.STABLE
    return f'{_home(home)} objectType="{kind}" status="{status}" mimeType={quoteattr(mime_type)}'


@lru_cache(maxsize=256)
def _entry_patient(patient_id: str) -> tuple[str, str, str]:
    """What stands before, between and behind the two ids of the patient identifier that ends an entry."""
    part, owner = "\0", "\1"
    place = DOCUMENT_ENTRY.identifiers[-1]
    text = _identifier(DOCUMENT_ENTRY, place, owner, part, patient_id) + "</ExtrinsicObject>"
    before, _, rest = text.partition(part)
    between, _, behind = rest.partition(owner)
    return before, between, behind


def registry_package(item: RegisteredSet | RegisteredFolder, patient_id: str) -> bytes:
    """A submission set or folder as returned by a query; ``patient_id`` as in :func:`extrinsic_object`."""
    layout, updated = SUBMISSION_SET, ""
    if isinstance(item, RegisteredFolder):
        layout, updated = FOLDER, _slot("lastUpdateTime", (format_dtm(item.last_update_time),))
    head = (
        f'<RegistryPackage id="{item.id}" lid="{item.logical_id}"{_home(item.home)}'
        f' objectType="{PACKAGE_TYPE}" status="{item.status}">{updated}'
    )
    tail = f"{_patient_identifier(layout, item.id, patient_id)}</RegistryPackage>"
    return b"%b%b%b" % (head.encode(), item.body(), tail.encode())


def association(item: RegisteredAssociation) -> bytes:
    """An association as returned by a query."""
    head = (
        f'<Association id="{item.id}" lid="{item.id}" objectType="{ASSOCIATION_TYPE}" status="{item.status}"'
        f' associationType="{item.type}" sourceObject="{item.source}" targetObject="{item.target}">'
    )
    return b"%b%b</Association>" % (head.encode(), item.body())


def submitted(item: Described | Association) -> str:
    """An object as a source submits it: ids may be symbolic, status and logicalID only if the object has them."""
    if isinstance(item, Association):
        return (
            f"<Association id={quoteattr(item.id)}{_optional('status', item.status)}"
            f" objectType={quoteattr(ASSOCIATION_TYPE)} associationType={quoteattr(item.type)}"
            f" sourceObject={quoteattr(item.source)} targetObject={quoteattr(item.target)}>"
            f"{_body_text(item)}</Association>"
        )
    layout = layout_of(item)
    patient_id = "" if item.patient_id is None else quoteattr(item.patient_id.xds_cx)
    identifier = _patient_identifier(layout, item.id, patient_id) if patient_id else ""
    name, own = "RegistryPackage", f" objectType={quoteattr(PACKAGE_TYPE)}"
    if isinstance(item, DocumentEntry):
        name = "ExtrinsicObject"
        own = f"{_optional('mimeType', item.mime_type)} objectType={quoteattr(item.object_type)}"
    return (
        f"<{name} id={quoteattr(item.id)}{_optional('lid', item.logical_id)}{_optional('status', item.status)}"
        f"{_home(item.home)}{own}>{_body_text(item)}{identifier}</{name}>"
    )


def object_ref(id: str, home: str | None = None) -> bytes:  # noqa: A002 - the attribute's name
    """A reference to an object."""
    return f'<ObjectRef id="{id}"{_home(home)}/>'.encode()


def _body_text(item: Described | Association) -> str:
    if isinstance(item, Association):
        return _association_body(item)
    return "".join(_body(item, layout_of(item)))


def _body(item: Described, layout: Layout) -> Iterable[str]:
    for place in layout.slots:
        if place.field != "last_update_time":
            yield _slot(place.key, _values(getattr(item, place.field)))
    yield _extra(item.extra)
    yield _texts("Name", item.title)
    yield _texts("Description", item.comments)
    yield f'<VersionInfo versionName="{item.version}"/>'
    yield from _classifications(item, layout)
    for position, place in enumerate(layout.identifiers[:-1]):
        value = getattr(item, place.field)
        if value:
            part = _part_id(item.id, _IDENTIFIER_PARTS + position)
            yield _identifier(layout, place, item.id, part, quoteattr(value))


def _classifications(item: Described, layout: Layout) -> Iterable[str]:
    parts = (_part_id(item.id, number) for number in count(_CLASSIFICATION_PARTS))
    if layout.author is not None and not isinstance(item, Folder):
        for author in item.authors:
            yield _author(author, layout.author, item.id, next(parts))
    for place in layout.codes:
        value = getattr(item, place.field)
        for code in value if place.many else (value,) if value else ():
            yield _coded(code, place.key, item.id, next(parts))
    if layout is not DOCUMENT_ENTRY:
        yield _node(SUBMISSION_SET_NODE if layout is SUBMISSION_SET else FOLDER_NODE, item.id, next(parts))
    if item.limited_metadata:
        yield _node(layout.limited_metadata, item.id, next(parts))


def _association_body(item: Association) -> str:
    documentation = ""
    if item.documentation is not None:
        part = _part_id(item.id, _CLASSIFICATION_PARTS)
        documentation = _coded(item.documentation, ASSOCIATION_DOCUMENTATION, item.id, part)
    texts = _texts("Name", item.title) + _texts("Description", item.comments)
    return _extra(item.slots) + texts + documentation


def _author(author: Author, scheme: str, owner: str, part: str) -> str:
    slots = "".join(_slot(place.key, _values(getattr(author, place.field))) for place in AUTHOR_SLOTS)
    return (
        f'<Classification id="{part}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationScheme="{scheme}" classifiedObject="{owner}" nodeRepresentation="">'
        f"{slots}{_extra(author.extra)}</Classification>"
    )


def _coded(code: Code, scheme: str, owner: str, part: str) -> str:
    name = f"<Name><LocalizedString value={quoteattr(code.display)}/></Name>" if code.display else ""
    return (
        f'<Classification id="{part}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationScheme="{scheme}" classifiedObject="{owner}"'
        f" nodeRepresentation={quoteattr(code.code)}>"
        f"{_slot('codingScheme', (code.scheme,))}{name}</Classification>"
    )


def _node(node: str, owner: str, part: str) -> str:
    return (
        f'<Classification id="{part}" objectType="{CLASSIFICATION_TYPE}"'
        f' classificationNode="{node}" classifiedObject="{owner}"/>'
    )


def _identifier(layout: Layout, place: Place, owner: str, part: str, quoted: str) -> str:
    return (
        f'<ExternalIdentifier id="{part}" objectType="{EXTERNAL_IDENTIFIER_TYPE}"'
        f' registryObject="{owner}" identificationScheme="{place.key}" value={quoted}>'
        f'<Name><LocalizedString value="XDS{layout.kind}.{place.attribute}"/></Name></ExternalIdentifier>'
    )


def _patient_identifier(layout: Layout, owner: str, quoted: str) -> str:
    return _identifier(layout, layout.identifiers[-1], owner, _part_id(owner, _PATIENT_PART), quoted)


def _slot(name: str, values: Iterable[str]) -> str:
    inner = "".join([f"<Value>{escape(value)}</Value>" for value in values])
    if not inner:
        return ""
    return f"<Slot name={quoteattr(name)}><ValueList>{inner}</ValueList></Slot>"


def _extra(slots: Mapping[str, tuple[str, ...]]) -> str:
    return "".join([_slot(name, values) for name, values in slots.items()])


def _texts(name: str, texts: Texts) -> str:
    if not texts:
        return ""
    inner = "".join(
        [
            f"<LocalizedString{_optional('xml:lang', text.language)}{_optional('charset', text.charset)}"
            f" value={quoteattr(text.value)}/>"
            for text in texts
        ]
    )
    return f"<{name}>{inner}</{name}>"


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


def _part_id(owner: str, number: int) -> str:
    """An id for a part of an object: the object's own UUID with its last four digits changed.

    It is the same each time, costs no search, and is no other object's: those differ in the other 112 bits. The
    parts of an object with a symbolic name get symbolic names.
    """
    if is_symbolic(owner):
        return f"{owner}.{number}"
    return f"{owner[:-4]}{int(owner[-4:], 16) ^ number:04x}"


def _patient_part_id(owner: str) -> str:
    """``_part_id(owner, _PATIENT_PART)`` of an object that has its UUID, at a fraction of the cost."""
    return owner[:-1] + _LAST_DIGIT_OF_PATIENT_PART[owner[-1]]


_LAST_DIGIT_OF_PATIENT_PART = {f"{digit:x}": f"{digit ^ _PATIENT_PART:x}" for digit in range(16)}
