"""Elements of HL7 v3 messages, read and written: instance identifiers, names in the one namespace, copies.

Source: HL7 v3 Data Types XML ITS R1; ITI TF-2: Appendix O, Appendix E.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from ihe.errors import InvalidElement, MissingElement
from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import NS, Element, local_name, namespace_of, qname

XSI_TYPE: Final = qname(NS.XSI, "type")
_NSMAP: Final[Any] = {None: NS.HL7V3, "xsi": NS.XSI}
_PREFIX: Final = f"{{{NS.HL7V3}}}"
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_UID: Final = re.compile(
    r"[0-2](\.(0|[1-9][0-9]*))*"
    r"|[0-9a-zA-Z]{8}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{12}"
    r"|[A-Za-z][A-Za-z0-9\-]*"
)
_TYPES: Final = frozenset({"PN", "II", "CE", "CV", "CS", "AD", "TEL", "TS", "IVL_TS", "INT", "ST"})
_TEXTS: Final = frozenset(
    {"family", "given", "prefix", "suffix", "streetAddressLine", "streetName", "city", "county", "postalCode"}
    | {"country"}
)
_BOUNDS: Final = frozenset({"low", "high", "center"})
_ATTRIBUTES: Final = {
    "root": _UID,
    "codeSystem": _UID,
    "extension": re.compile(r"(?s).+"),
    "assigningAuthorityName": re.compile(r"(?s).+"),
    "code": re.compile(r"[^\s]+"),
    "value": re.compile(r"[0-9]+(\.[0-9]+)?([+-][0-9]{1,4})?|(tel|fax|mailto|http|https):[A-Za-z0-9+.@()/_-]+"),
    "use": re.compile(r"(L|SRCH|H|HP|HV|WP|MC)( (L|SRCH|H|HP|HV|WP|MC))*"),
    "qualifier": re.compile(r"(BR|SP|CL|AD|IN|AC)( (BR|SP|CL|AD|IN|AC))*"),
}
"""Attributes that are repeated in answers, and the values that their data types allow."""


def new_root(name: str) -> Element:
    """An element that stands at the top, with the HL7 namespace as default."""
    return etree.Element(_PREFIX + name, nsmap=_NSMAP)


def add(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """Append an element.

    Args:
        attributes: ``xsi_type`` becomes ``xsi:type``.

    Characters that XML does not allow are left out.
    """
    if "xsi_type" in attributes:
        attributes[XSI_TYPE] = attributes.pop("xsi_type")
    try:
        element = etree.SubElement(parent, _PREFIX + name, attributes)
    except ValueError:
        allowed = {key: _NO_XML.sub("", value) for key, value in attributes.items()}
        element = etree.SubElement(parent, _PREFIX + name, allowed)
    if text is not None:
        element.text = _NO_XML.sub("", text)
    return element


def first(parent: Element | None, path: str) -> Element | None:
    """The first element at a path of local names (``sender/device/id``) that is not null; ``None`` without one."""
    if parent is None:
        return None
    name, _, rest = path.partition("/")
    for element in parent.iterchildren(_PREFIX + name):
        if element.get("nullFlavor") is None:
            found = first(element, rest) if rest else element
            if found is not None:
                return found
    return None


def every(parent: Element | None, path: str) -> Iterator[Element]:
    """All elements at a path, in order, without those that are null (``nullFlavor``) or stand in a null one.

    Args:
        path: of local names; ``*`` for any.
    """
    if parent is None:
        return
    name, _, rest = path.partition("/")
    for element in parent.iterchildren(_PREFIX + name):
        if element.get("nullFlavor") is None:
            if rest:
                yield from every(element, rest)
            else:
                yield element


def attribute(parent: Element | None, path: str, name: str = "value") -> str | None:
    """An attribute of the first element at a path, without surrounding blanks; ``None`` when absent or empty."""
    element = first(parent, path)
    return (element.get(name) or "").strip() or None if element is not None else None


def content(element: Element | None) -> str | None:
    """The text of an element with one blank between words; ``None`` when there is none."""
    return (" ".join("".join(map(str, element.itertext())).split()) or None) if element is not None else None


def location(*names: str) -> str:
    """An XPath as acknowledgement details have it, of names with their positions (``dataSource[2]``)."""
    return "/" + "/".join(names)


def patient_id(element: Element, where: str) -> PatientId | None:
    """The patient identifier that an II holds; ``None`` when it is null or names no authority.

    Raises:
        InvalidElement: the root is not an OID.
    """
    value = (element.get("extension") or "").strip()
    authority = authority_of(element, where)
    return PatientId(value, authority) if value and authority is not None else None


def authority_of(element: Element, where: str) -> AssigningAuthority | None:
    """The authority that an II names by its root, or by name alone; ``None`` when it names none.

    Raises:
        InvalidElement: the root is not an OID.
    """
    root = (element.get("root") or "").strip()
    name = (element.get("assigningAuthorityName") or "").strip() or None
    if element.get("nullFlavor") is not None or not (root or name):
        return None
    try:
        return AssigningAuthority(name, Oid(root) if root else None)
    except ValueError as error:
        raise InvalidElement("the root of the identifier is not an OID", where) from error


def required_patient_id(element: Element, where: str) -> PatientId:
    """The patient identifier that an II holds.

    Raises:
        MissingElement: it lacks its root or extension.
        InvalidElement: the root is not an OID.
    """
    found = patient_id(element, where)
    if found is None:
        raise MissingElement("an identifier has a root and an extension", where)
    return found


def add_patient_id(parent: Element, identifier: PatientId, name: str = "id") -> Element:
    """Append a patient identifier as II."""
    authority = identifier.authority
    attributes = {"root": str(authority.oid)} if authority.oid is not None else {}
    attributes["extension"] = identifier.value
    if authority.namespace:
        attributes["assigningAuthorityName"] = authority.namespace
    return add(parent, name, **attributes)


def add_copied_id(parent: Element, source: Element | None, name: str = "id") -> None:
    """Append an II of a question to its answer; one that is absent or not valid becomes null."""
    root = (source.get("root") or "").strip() if source is not None else ""
    if source is None or len(root) > 128 or not _UID.fullmatch(root):
        add(parent, name, nullFlavor="UNK")
        return
    attributes = {"root": root}
    if extension := (source.get("extension") or "").strip():
        attributes["extension"] = extension
    add(parent, name, **attributes)


def copy_into(parent: Element, source: Element) -> None:
    """Append a copy of a part of a query to its answer.

    Written anew and not moved, so that prefixes inside values (``xsi:type="urn:PN"``), which are declared somewhere
    above, keep their meaning. What is foreign or not allowed by its data type is left out, for the answer must be
    valid where the question was not.
    """
    element = add(parent, local_name(source), source.text if local_name(source) in _TEXTS else None)
    for key, value in source.attrib.items():
        if key == XSI_TYPE:
            prefix, _, name = str(value).rpartition(":")
            if source.nsmap.get(prefix or None) == NS.HL7V3 and name in _TYPES:
                element.set(XSI_TYPE, name)
        elif (allowed := _ATTRIBUTES.get(str(key))) is not None and allowed.fullmatch(str(value)):
            element.set(key, value)
    for child in source.iterchildren("*"):
        if namespace_of(child) == NS.HL7V3 and (local_name(child) in _TEXTS or local_name(child) in _BOUNDS):
            copy_into(element, child)
