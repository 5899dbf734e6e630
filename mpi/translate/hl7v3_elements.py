"""Elements of HL7 v3 messages, read: names in the one namespace, null elements, instance identifiers.

Source: HL7 v3 Data Types XML ITS R1; ITI TF-2: Appendix O, Appendix E.
"""

from __future__ import annotations

from typing import Final

from ihe.errors import InvalidElement, MissingElement
from ihe.values import AssigningAuthority, Oid, PatientId
from ihe.xml import NS, Element

_PREFIX: Final = f"{{{NS.HL7V3}}}"


def hl7(name: str) -> str:
    """The qualified name of an element."""
    return _PREFIX + name


def first(parent: Element | None, path: str) -> Element | None:
    """The first element at a path of local names (``sender/device/id``) that is not null; ``None`` without one."""
    if parent is None:
        return None
    name, _, rest = path.partition("/")
    tag = _PREFIX + name
    for element in parent:  # they are few: to let lxml look for the tag takes longer
        if element.tag == tag and element.get("nullFlavor") is None:
            found = first(element, rest) if rest else element
            if found is not None:
                return found
    return None


def every(parent: Element | None, path: str) -> list[Element]:
    """All elements at a path, in order, without those that are null (``nullFlavor``) or stand in a null one."""
    found = [] if parent is None else [parent]
    for name in path.split("/"):
        tag = _PREFIX + name
        found = [each for element in found for each in element if each.tag == tag and each.get("nullFlavor") is None]
    return found


def first_children(parent: Element) -> dict[str, Element]:
    """The first child of each qualified name that is not null; where many are wanted, in one pass."""
    found: dict[str, Element] = {}
    for element in parent:
        if (tag := element.tag) not in found and element.get("nullFlavor") is None:
            found[tag] = element
    return found


def attribute(parent: Element | None, path: str, name: str = "value") -> str | None:
    """An attribute of the first element at a path, without surrounding blanks; ``None`` when absent or empty."""
    return stated(first(parent, path), name)


def stated(element: Element | None, name: str = "value") -> str | None:
    """An attribute of an element, without surrounding blanks; ``None`` when absent or empty."""
    return (element.get(name) or "").strip() or None if element is not None else None


def content(element: Element | None) -> str | None:
    """The text of an element with one blank between words; ``None`` when there is none."""
    if element is None:
        return None
    text = "".join(map(str, element.itertext())) if len(element) else element.text or ""
    return " ".join(text.split()) or None


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
