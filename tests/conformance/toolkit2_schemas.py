"""Whether answers are valid by the schemas that the toolkit carries."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path

from lxml import etree

_SCHEMAS = {
    "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0": "query.xsd",
    "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0": "rs.xsd",
    "urn:ihe:iti:xds-b:2007": "XDS.b_DocumentRepository.xsd",
}
_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"


def invalidity(answer: etree._Element, folder: Path) -> str:
    """What the schema of an answer says against it; empty when it is valid."""
    schema = _schema(folder / _SCHEMAS[etree.QName(answer).namespace or ""])
    whole = etree.fromstring(etree.tostring(deepcopy(answer)))
    for include in list(whole.iter(_INCLUDE)):  # what stands there when the message is put together
        document = include.getparent()
        assert document is not None
        document.remove(include)
        document.text = "AA=="
    return "" if schema.validate(whole) else str(schema.error_log.last_error)


@cache
def _schema(file: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(file))
