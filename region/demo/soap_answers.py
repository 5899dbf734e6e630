"""SOAP answers of the service as a client reads them: plain or MTOM, accepted or refused."""

from __future__ import annotations

from collections.abc import Mapping
from email import message_from_bytes
from email.policy import HTTP
from typing import Final, cast

import httpx
from lxml import etree

NAMES: Final = {
    "rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "xdsb": "urn:ihe:iti:xds-b:2007",
    "xop": "http://www.w3.org/2004/08/xop/include",
    "soap": "http://www.w3.org/2003/05/soap-envelope",
}
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


class Refused(Exception):
    """The service answered that it cannot; the sentence is the service's.

    Args:
        codes: error codes of the answer, none when it is a fault.
    """

    def __init__(self, sentence: str, codes: frozenset[str] = frozenset()) -> None:
        super().__init__(sentence)
        self.codes = codes


def read_answer(answer: httpx.Response) -> tuple[etree._Element, Mapping[str, bytes]]:
    """The envelope of an accepted request, and the documents that came with it by content id.

    Raises:
        Refused: a fault, another status than Success, or no SOAP message.
    """
    kind = answer.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return _checked(answer.content), {}
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=HTTP)
    parts = {part["Content-ID"].strip("<>"): part.get_payload(decode=True) for part in message.iter_parts()}
    start = str(message.get_param("start") or next(iter(parts))).strip("<>")
    return _checked(cast(bytes, parts[start])), cast(Mapping[str, bytes], parts)


def _checked(envelope: bytes) -> etree._Element:
    try:
        root = etree.fromstring(envelope, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Refused("the answer is no XML") from error
    fault = root.findtext(".//soap:Fault/soap:Reason/soap:Text", namespaces=NAMES)
    if fault:
        raise Refused(fault)
    statuses = [item.get("status", "") for item in root.iter() if "ResponseStatusType:" in item.get("status", "")]
    if not statuses:
        raise Refused("the answer holds no status")
    if not statuses[0].endswith(":Success"):
        errors = list(root.iterfind(".//rs:RegistryError", NAMES))
        raise Refused(
            "; ".join(f"{error.get('errorCode')}: {error.get('codeContext')}" for error in errors) or statuses[0],
            frozenset(error.get("errorCode", "") for error in errors),
        )
    return root
