"""HL7 v3 messages written as text: instance identifiers, and what an answer repeats of its question.

An answer is mostly words that never change: they stand in the code as they stand on the wire. What is no literal is
escaped where it is put in, by :func:`~ihe.xml.quoted` or :func:`~ihe.xml.escaped`. All pieces are unprefixed and stand
in an element that makes HL7 v3 the default namespace and declares ``xsi`` (:data:`NAMESPACES`).

Source: HL7 v3 Data Types XML ITS R1; ITI TF-2: Appendix O, Appendix E.
"""

from __future__ import annotations

import re
from typing import Final

from ihe.values import PatientId
from ihe.xml import NS, Element, escaped, local_name, qname, quoted

NAMESPACES: Final = f'xmlns="{NS.HL7V3}" xmlns:xsi="{NS.XSI}"'
"""Of the outermost element of a message."""

_XSI_TYPE: Final = qname(NS.XSI, "type")
_UID: Final = re.compile(
    r"[0-2](?:\.(?:0|[1-9][0-9]*))*"
    r"|[0-9a-zA-Z]{8}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{12}"
    r"|[A-Za-z][A-Za-z0-9\-]*"
)
_TYPES: Final = frozenset({"PN", "II", "CE", "CV", "CS", "AD", "TEL", "TS", "IVL_TS", "INT", "ST"})
_TEXTS: Final = frozenset(
    {"family", "given", "prefix", "suffix", "streetAddressLine", "streetName", "city", "county", "postalCode"}
    | {"country"}
)
_REPEATED: Final = frozenset(qname(NS.HL7V3, name) for name in (*_TEXTS, "low", "high", "center"))
"""Elements inside a value that are repeated in answers."""
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


def element(start: str, inside: str) -> str:
    """An element, written as one tag when it is empty.

    Args:
        start: its name and attributes.
        inside: its content, written.
    """
    return f"<{start}>{inside}</{start.partition(' ')[0]}>" if inside else f"<{start}/>"


def id_text(identifier: PatientId, name: str = "id") -> str:
    """A patient identifier as II."""
    authority = identifier.authority
    root = f' root="{authority.oid}"' if authority.oid is not None else ""
    namespace = f" assigningAuthorityName={quoted(authority.namespace)}" if authority.namespace else ""
    return f"<{name}{root} extension={quoted(identifier.value)}{namespace}/>"


def repeated_id(source: Element | None, name: str = "id") -> str:
    """An II of a question as its answer has it; one that is absent or not valid becomes null."""
    root = source.get("root", "").strip() if source is not None else ""
    if source is None or len(root) > 128 or not _UID.fullmatch(root):
        return f'<{name} nullFlavor="UNK"/>'
    extension = source.get("extension", "").strip()
    return f'<{name} root="{root}" extension={quoted(extension)}/>' if extension else f'<{name} root="{root}"/>'


def repeated(source: Element) -> str:
    """A part of a query as its answer has it.

    Written anew, so that prefixes inside values (``xsi:type="urn:PN"``), which are declared somewhere above, keep their
    meaning. What is foreign or not allowed by its data type is left out, for the answer must be valid where the
    question was not.
    """
    name = local_name(source)
    attributes = inside = ""
    for key, value in source.items():
        allowed = _ATTRIBUTES.get(str(key))
        if allowed is not None and allowed.fullmatch(str(value)):
            attributes += f" {key!s}={quoted(str(value))}"
        elif key == _XSI_TYPE:
            attributes += _type(source, str(value))
    if name in _TEXTS and (text := source.text):
        inside = escaped(text)
    for child in source:
        if child.tag in _REPEATED:
            inside += repeated(child)
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


def _type(source: Element, value: str) -> str:
    prefix, _, name = value.rpartition(":")
    is_known = source.nsmap.get(prefix or None) == NS.HL7V3 and name in _TYPES
    return f' xsi:type="{name}"' if is_known else ""
