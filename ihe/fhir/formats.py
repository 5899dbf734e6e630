"""FHIR JSON and XML: what the client accepts, and the resource written so.

Source: FHIR R4: 2.21.0.6 (content types, ``_format``), 2.6.2 (JSON), 2.6.1 (XML).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from lxml import etree

from ihe.errors import NotAcceptable
from ihe.http import HttpRequest

JSON: Final = "application/fhir+json"
XML: Final = "application/fhir+xml"
FHIR_NAMESPACE: Final = "http://hl7.org/fhir"
_XHTML: Final = "http://www.w3.org/1999/xhtml"

_FORMATS: Final = {
    "json": JSON,
    "application/json": JSON,
    "application/fhir+json": JSON,
    "text/json": JSON,
    "xml": XML,
    "text/xml": XML,
    "application/xml": XML,
    "application/fhir+xml": XML,
}


def answer_format(request: HttpRequest) -> str:
    """The media type to answer with: ``_format`` decides, else ``Accept``, else JSON.

    Raises:
        NotAcceptable: neither JSON nor XML is accepted.
    """
    asked = request.one("_format")
    if asked:
        # An unescaped "+" of a query string arrives as a blank.
        chosen = _FORMATS.get(asked.partition(";")[0].strip().replace(" ", "+"))
        if chosen is None:
            raise NotAcceptable("the formats offered are application/fhir+json and application/fhir+xml", "_format")
        return chosen
    accept = request.headers.get("accept", "")
    if not accept.strip():
        return JSON
    ranges = sorted(_ranges(accept), key=lambda r: -r[1])
    for media_range, quality in ranges:
        if quality <= 0:
            continue
        if media_range in ("*/*", "application/*"):
            return JSON
        if media_range in _FORMATS:
            return _FORMATS[media_range]
    raise NotAcceptable("the formats offered are application/fhir+json and application/fhir+xml", "Accept")


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        found.append((media_range.lower(), quality))
    return found


def render(resource: Mapping[str, Any], media_type: str) -> bytes:
    """A resource (as its JSON structure) in one of the formats."""
    if media_type == XML:
        return to_xml(resource)
    return orjson.dumps(resource)


def to_xml(resource: Mapping[str, Any]) -> bytes:
    """A resource in FHIR XML. Elements are written in the order of the mapping, which must be the schema's."""
    root = etree.Element(f"{{{FHIR_NAMESPACE}}}{resource['resourceType']}", nsmap={None: FHIR_NAMESPACE})  # type: ignore[dict-item]
    _fill(root, resource)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _fill(parent: etree._Element, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if name == "resourceType" or (name.startswith("_") and name[1:] in content):
            continue
        if name in ("id", "url") and parent.tag in _ATTRIBUTE_PARENTS and not isinstance(value, list):
            parent.set(name, str(value))
            continue
        base = name.removeprefix("_")
        extras = content.get(f"_{base}")
        values = value if isinstance(value, list) else [value]
        companions = extras if isinstance(extras, list) else [extras] * len(values)
        for item, extra in zip(values, companions, strict=False):
            _append(parent, base, None if name.startswith("_") else item, item if name.startswith("_") else extra)


_ATTRIBUTE_PARENTS: Final = frozenset({f"{{{FHIR_NAMESPACE}}}extension", f"{{{FHIR_NAMESPACE}}}modifierExtension"})


def _append(parent: etree._Element, name: str, value: Any, extra: Any) -> None:
    if name == "div" and isinstance(value, str):
        parent.append(etree.fromstring(value, etree.XMLParser(resolve_entities=False, no_network=True)))
        return
    element = etree.SubElement(parent, f"{{{FHIR_NAMESPACE}}}{name}")
    if isinstance(value, Mapping):
        if "resourceType" in value:
            child = etree.SubElement(element, f"{{{FHIR_NAMESPACE}}}{value['resourceType']}")
            _fill(child, value)
        else:
            _fill(element, value)
    elif value is not None:
        element.set("value", str(value).lower() if isinstance(value, bool) else str(value))
    if isinstance(extra, Mapping):
        _fill(element, extra)
