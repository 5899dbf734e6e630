"""ebRIM → XDS objects.

Reads tolerantly what senders get wrong without harm (element order, blanks around values, the marking classification
inside or beside a package, missing ``objectType`` of parts) and notes as findings what cannot be represented.
Whether the metadata is complete and allowed is decided in :mod:`xds.domain.checks`.

Source: ITI TF-3: 4.2.1.4 to 4.2.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lxml.etree import QName, _Element

from ihe.errors import Finding, MalformedRequest, Refused
from ihe.values import Code, PatientId
from xds.domain.model import (
    Association,
    Author,
    DocumentEntry,
    Folder,
    LocalizedText,
    RegistryObject,
    Submission,
    SubmissionSet,
    Texts,
)
from xds.translate.ebxml_vocabulary import (
    ASSOCIATION_DOCUMENTATION,
    AUTHOR_SLOTS,
    DOCUMENT_ENTRY,
    FOLDER,
    FOLDER_NODE,
    RIM,
    SUBMISSION_SET,
    SUBMISSION_SET_NODE,
    Layout,
    Place,
)

METADATA_ERROR = "XDSRegistryMetadataError"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_MARKS = {SUBMISSION_SET_NODE: SUBMISSION_SET, FOLDER_NODE: FOLDER}
_PATIENT_FIELDS = frozenset({"patient_id", "source_patient_id"})


def read_submission(request: _Element) -> Submission:
    """Read ``lcm:SubmitObjectsRequest``.

    Raises:
        MalformedRequest: there is no ``rim:RegistryObjectList``.
        Refused: there is not exactly one submission set; carries every finding made on the way.
    """
    listing = request.find(f"{{{RIM}}}RegistryObjectList")
    if listing is None:
        raise MalformedRequest("the request holds no rim:RegistryObjectList", "SubmitObjectsRequest")
    findings: list[Finding] = []
    objects = read_objects(listing, findings)
    sets = [each for each in objects if isinstance(each, SubmissionSet)]
    if len(sets) != 1:
        findings.insert(0, _error(f"a submission holds exactly one SubmissionSet; found {len(sets)}", None))
        raise Refused(findings)
    return Submission(
        submission_set=sets[0],
        entries=tuple(each for each in objects if isinstance(each, DocumentEntry)),
        folders=tuple(each for each in objects if isinstance(each, Folder)),
        associations=tuple(each for each in objects if isinstance(each, Association)),
        findings=tuple(findings),
    )


def read_objects(listing: _Element, findings: list[Finding]) -> list[RegistryObject]:
    """Read the objects of a ``rim:RegistryObjectList`` in their order.

    Args:
        findings: what cannot be represented is appended here.
    """
    marks = {
        element.get("classifiedObject", ""): _MARKS[node]
        for element in listing.iter(f"{{{RIM}}}Classification")
        if (node := element.get("classificationNode", "")) in _MARKS
    }
    objects: list[RegistryObject] = []
    for element in _children(listing):
        name = QName(element).localname
        if name == "ExtrinsicObject":
            objects.append(_read_entry(element, findings))
        elif name == "RegistryPackage":
            layout = marks.get(element.get("id", "")) or _own_mark(element)
            if layout is None:
                where = f"RegistryPackage({element.get('id')})"
                findings.append(_error(f"{where} is classified neither as SubmissionSet nor as Folder", where))
            else:
                objects.append(_read_package(element, layout, findings))
        elif name == "Association":
            objects.append(_read_association(element, findings))
        elif name not in ("Classification", "ObjectRef"):
            context = f"element {name} is no XDS object and is not kept"
            findings.append(Finding("XDSExtraMetadataNotSaved", context, name, "Warning"))
    return objects


def _read_entry(element: _Element, findings: list[Finding]) -> DocumentEntry:
    return DocumentEntry(
        object_type=element.get("objectType", "").strip(),
        mime_type=element.get("mimeType", "").strip() or None,
        **_read_common(element, DOCUMENT_ENTRY, findings),
    )


def _read_package(element: _Element, layout: Layout, findings: list[Finding]) -> SubmissionSet | Folder:
    fields = _read_common(element, layout, findings)
    return SubmissionSet(**fields) if layout is SUBMISSION_SET else Folder(**fields)


def _read_association(element: _Element, findings: list[Finding]) -> Association:
    reader = _Parts(element, "Association", findings)
    documentation = [
        _code(part)
        for part in _children(element, "Classification")
        if part.get("classificationScheme") == ASSOCIATION_DOCUMENTATION
    ]
    return Association(
        id=reader.id,
        type=element.get("associationType", "").strip(),
        source=_normal_id(element.get("sourceObject", "")),
        target=_normal_id(element.get("targetObject", "")),
        status=element.get("status"),
        slots=reader.slots,
        title=_texts(element, "Name"),
        comments=_texts(element, "Description"),
        documentation=documentation[0] if documentation else None,
    )


def _read_common(element: _Element, layout: Layout, findings: list[Finding]) -> dict[str, Any]:
    reader = _Parts(element, layout.kind, findings)
    fields: dict[str, Any] = {
        "id": reader.id,
        "logical_id": _normal_id(element.get("lid", "")) or None,
        "version": reader.version(),
        "status": element.get("status"),
        "home": element.get("home", "").strip() or None,
        "title": _texts(element, "Name"),
        "comments": _texts(element, "Description"),
    }
    reader.read_slots(layout.slots, fields)
    reader.read_classifications(layout, fields)
    reader.read_identifiers(layout.identifiers, fields)
    fields["extra"] = reader.slots
    return fields


class _Parts:
    """Takes one registry object apart; what remains in ``slots`` at the end are its extra slots."""

    def __init__(self, element: _Element, kind: str, findings: list[Finding]) -> None:
        self.element = element
        self.kind = kind
        self.findings = findings
        self.id = _normal_id(element.get("id", ""))
        self.slots = _slots(element, self)

    def note(self, attribute: str, problem: str) -> None:
        """Note a finding about one attribute of this object."""
        where = f"{self.kind}({self.id})"
        self.findings.append(_error(f"{where}: {attribute} {problem}", f"{where}/{attribute}"))

    def version(self) -> int:
        info = self.element.find(f"{{{RIM}}}VersionInfo")
        name = "" if info is None else info.get("versionName", "").strip()
        return int(name) if name.isdecimal() and len(name) < 10 else 1

    def read_slots(self, places: Sequence[Place], fields: dict[str, Any]) -> None:
        for place in places:
            values = self.slots.pop(place.key, ())
            if not values:
                continue
            if place.many:
                fields[place.field] = values
                continue
            if len(values) > 1:
                self.note(place.attribute, f"must have one value; found {len(values)}")
            self._set(fields, place, values[0])

    def read_identifiers(self, places: Sequence[Place], fields: dict[str, Any]) -> None:
        by_key = {place.key: place for place in places}
        for part in _children(self.element, "ExternalIdentifier"):
            place = by_key.get(part.get("identificationScheme", ""))
            if place is None:
                self._not_kept("ExternalIdentifier", part.get("identificationScheme", ""))
                continue
            self._check_parent(part, "registryObject", place.attribute)
            value = part.get("value", "").strip()
            if place.field in fields:
                self.note(place.attribute, "stands more than once")
            elif value:
                self._set(fields, place, value)

    def read_classifications(self, layout: Layout, fields: dict[str, Any]) -> None:
        by_key = {place.key: place for place in layout.codes}
        codes: dict[str, list[Code]] = {}
        authors: list[Author] = []
        for part in _children(self.element, "Classification"):
            scheme = part.get("classificationScheme", "")
            node = part.get("classificationNode", "")
            if place := by_key.get(scheme):
                self._check_parent(part, "classifiedObject", place.attribute)
                codes.setdefault(scheme, []).append(_code(part))
            elif scheme and scheme == layout.author:
                authors.append(self._author(part))
            elif node == layout.limited_metadata:
                fields["limited_metadata"] = True
            elif node not in _MARKS:
                self._not_kept("Classification", scheme or node)
        for scheme, found in codes.items():
            place = by_key[scheme]
            if place.many:
                fields[place.field] = tuple(found)
                continue
            if len(found) > 1:
                self.note(place.attribute, f"must have one code; found {len(found)}")
            fields[place.field] = found[0]
        if authors:
            fields["authors"] = tuple(authors)

    def _author(self, part: _Element) -> Author:
        inner = _Parts(part, f"{self.kind}({self.id})/author", self.findings)
        fields: dict[str, Any] = {}
        inner.read_slots(AUTHOR_SLOTS, fields)
        return Author(**fields, extra=inner.slots)

    def _set(self, fields: dict[str, Any], place: Place, text: str) -> None:
        if place.field in _PATIENT_FIELDS:
            try:
                fields[place.field] = PatientId.from_xds_cx(text)
            except ValueError as error:
                self.note(place.attribute, f"is no patient identifier: {error}")
        elif place.field == "size":
            if text.isdecimal() and len(text) < 19:
                fields[place.field] = int(text)
            else:
                self.note(place.attribute, "is no number of bytes")
        else:
            fields[place.field] = text

    def _check_parent(self, part: _Element, reference: str, attribute: str) -> None:
        parent = part.get(reference)
        if parent is not None and _normal_id(parent) != self.id:
            self.note(attribute, f"has {reference}={parent!r}, which is not the object it stands in")

    def _not_kept(self, what: str, scheme: str) -> None:
        where = f"{self.kind}({self.id})"
        context = f"{where}: {what} of scheme {scheme} is no XDS attribute and is not kept"
        self.findings.append(Finding("XDSExtraMetadataNotSaved", context, where, "Warning"))


def _slots(element: _Element, parts: _Parts | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for slot in _children(element, "Slot"):
        name = slot.get("name", "").strip()
        values = tuple(
            text
            for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value")
            if (text := (value.text or "").strip())
        )
        if name in found and parts is not None:
            parts.note(name, "stands in more than one Slot of the same name")
        found[name] = found.get(name, ()) + values
    return found


def _code(part: _Element) -> Code:
    scheme = _slots(part, None).get("codingScheme", ())
    names = _texts(part, "Name")
    return Code(
        part.get("nodeRepresentation", "").strip(),
        scheme[0] if len(scheme) == 1 else "",
        names[0].value if names else None,
    )


def _texts(element: _Element, name: str) -> Texts:
    return tuple(
        LocalizedText(value, part.get(_LANGUAGE), part.get("charset"))
        for part in element.iterfind(f"{{{RIM}}}{name}/{{{RIM}}}LocalizedString")
        if (value := part.get("value", "").strip())
    )


def _own_mark(element: _Element) -> Layout | None:
    for part in _children(element, "Classification"):
        if layout := _MARKS.get(part.get("classificationNode", "")):
            return layout
    return None


def _normal_id(text: str) -> str:
    """UUIDs compare without regard to case; symbolic names stay as they are."""
    value = text.strip()
    return value.lower() if value[:9].lower() == "urn:uuid:" else value


def _children(element: _Element, name: str | None = None) -> Iterable[_Element]:
    if name is not None:
        return element.iterchildren(f"{{{RIM}}}{name}")
    return (child for child in element.iterchildren() if isinstance(child.tag, str))


def _error(context: str, location: str | None) -> Finding:
    return Finding(METADATA_ERROR, context, location)
