"""``query:AdhocQueryRequest`` → stored query.

Source: ITI TF-2: 3.18.4.1.2.3.4 and 3.18.4.1.2.3.5 (coding of values).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml.etree import _Element

from ihe.errors import Finding, MalformedRequest, Refused
from xds.domain.stored_query import Groups, QueryDefinition, StoredQuery, check_query
from xds.translate.ebxml_vocabulary import QUERY, RIM

_ITEM = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^\s',()]+))\s*")
_RETURN_TYPES = {"LeafClass": True, "ObjectRef": False}
_STATUS_PREFIX = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
_STATUSES = ("Approved", "Deprecated")


def read_query(request: _Element, definitions: Mapping[str, QueryDefinition]) -> StoredQuery:
    """Read a request for one of the stored queries offered.

    Raises:
        MalformedRequest: there is no ``rim:AdhocQuery``.
        Refused: unknown query, missing or wrong parameters; carries every finding.
    """
    query = request.find(f"{{{RIM}}}AdhocQuery")
    if query is None:
        raise MalformedRequest("the request holds no rim:AdhocQuery", "AdhocQueryRequest")
    option = request.find(f"{{{QUERY}}}ResponseOption")
    return_type = "LeafClass" if option is None else option.get("returnType", "RegistryObject")
    query_id = query.get("id", "").strip().lower()
    definition = definitions.get(query_id)
    if definition is None:
        raise Refused([Finding("XDSUnknownStoredQuery", f"query {query_id[:100]} is not offered here", "id")])
    findings: list[Finding] = []
    if return_type not in _RETURN_TYPES:
        context = f"returnType {return_type[:50]} is not offered; use LeafClass or ObjectRef"
        findings.append(Finding("XDSRegistryError", context, "returnType"))
    values = _read_parameters(query, findings)
    findings += check_query(definition, values)
    if findings:
        raise Refused(findings)
    return StoredQuery(definition, values, _RETURN_TYPES[return_type], query.get("home"))


def _read_parameters(query: _Element, findings: list[Finding]) -> dict[str, Groups]:
    values: dict[str, Groups] = {}
    for slot in query.iterchildren(f"{{{RIM}}}Slot"):
        name = slot.get("name", "").strip()
        if not name.startswith("$"):
            continue
        try:
            alternatives = tuple(
                item
                for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value")
                for item in read_value(value.text or "")
            )
        except ValueError as error:
            findings.append(Finding("XDSRegistryError", f"{name}: {error}", name))
            continue
        if name.endswith("Status"):
            alternatives = _known_statuses(alternatives)
        if alternatives:
            values[name] = (*values.get(name, ()), alternatives)
    return values


def read_value(text: str) -> tuple[str, ...]:
    """The values that one ``rim:Value`` holds: a number, ``'text'``, or ``('text','text')``.

    A quote inside a text is doubled. Nothing is ever split inside a text.

    Raises:
        ValueError: another form.
    """
    body = text.strip()
    if not body:
        return ()
    if body.startswith("("):
        if not body.endswith(")"):
            raise ValueError("a list that starts with a parenthesis must end with one")
        body = body[1:-1]
    items: list[str] = []
    position = 0
    while True:
        found = _ITEM.match(body, position)
        if not found:
            raise ValueError("values are written 'text', ('text','text') or as a number")
        quoted, bare = found.groups()
        items.append(bare if quoted is None else quoted.replace("''", "'").strip())
        position = found.end()
        if position == len(body):
            return tuple(item for item in items if item)
        if body[position] != ",":
            raise ValueError("values of a list are separated by commas")
        position += 1


def _known_statuses(values: tuple[str, ...]) -> tuple[str, ...]:
    """Unknown status values are ignored (ITI TF-2: 3.18.4.1.2.3.7.1, note on status)."""
    names = (value.removeprefix(_STATUS_PREFIX) for value in values if value.startswith(_STATUS_PREFIX))
    return tuple(name for name in names if name in _STATUSES)
