"""Requests and answers about documents: provide, retrieve, remove.

Source: ITI TF-2: 3.41.4.1.2, 3.43.4, 3.86.4; the schema IHEXDS.xsd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from lxml import etree
from lxml.etree import _Element

from ihe.errors import Finding, InvalidElement, MissingElement
from ihe.xml import Element
from xds.domain.document_set import DocumentAnswer, DocumentRequest
from xds.translate.ebxml_response import registry_response, status_of
from xds.translate.ebxml_vocabulary import LCM

XDSB: Final = "urn:ihe:iti:xds-b:2007"
RMD: Final = "urn:ihe:iti:rmd:2017"
XOP: Final = "http://www.w3.org/2004/08/xop/include"


def submission_in(request: _Element) -> _Element:
    """The ``lcm:SubmitObjectsRequest`` inside ``xdsb:ProvideAndRegisterDocumentSetRequest``.

    Raises:
        MissingElement: there is none.
    """
    found = request.find(f"{{{LCM}}}SubmitObjectsRequest")
    if found is None:
        raise MissingElement("the request holds no lcm:SubmitObjectsRequest", "ProvideAndRegisterDocumentSetRequest")
    return found


def document_elements(request: _Element) -> Mapping[str, _Element]:
    """The ``xdsb:Document`` elements by the ``id`` of their document entry.

    Raises:
        MissingElement: a document has no ``id``.
        InvalidElement: two documents have one ``id``.
    """
    found: dict[str, _Element] = {}
    for element in request.findall(f"{{{XDSB}}}Document"):
        entry_id = (element.get("id") or "").strip()
        if not entry_id:
            raise MissingElement("a document doesn't name its DocumentEntry", "Document/@id")
        if entry_id in found:
            raise InvalidElement("two documents name the same DocumentEntry", "Document/@id")
        found[entry_id] = element
    return MappingProxyType(found)


def read_document_requests(request: _Element) -> tuple[DocumentRequest, ...]:
    """The documents named in ``xdsb:RetrieveDocumentSetRequest`` or ``rmd:RemoveDocumentsRequest``, in their order.

    Raises:
        MissingElement: no document, or one without repository or document identifier.
    """
    found = tuple(map(_document_request, request.findall(f"{{{XDSB}}}DocumentRequest")))
    if not found:
        raise MissingElement("the request names no document", "DocumentRequest")
    return found


def retrieve_request(requests: Sequence[DocumentRequest]) -> Element:
    """``xdsb:RetrieveDocumentSetRequest``."""
    root = etree.Element(f"{{{XDSB}}}RetrieveDocumentSetRequest", nsmap={"xdsb": XDSB})
    for request in requests:
        write_document_request(root, request)
    return root


def write_document_request(parent: _Element, request: DocumentRequest) -> None:
    """``xdsb:DocumentRequest`` as the next child."""
    document = etree.SubElement(parent, f"{{{XDSB}}}DocumentRequest")
    for name, text in (
        ("HomeCommunityId", request.home),
        ("RepositoryUniqueId", request.repository_unique_id),
        ("DocumentUniqueId", request.unique_id),
    ):
        if text:
            etree.SubElement(document, f"{{{XDSB}}}{name}").text = text


def retrieve_response(documents: Sequence[DocumentAnswer], findings: Sequence[Finding]) -> str:
    """``xdsb:RetrieveDocumentSetResponse``; each document is named by an ``xop:Include``."""
    status = status_of(findings, results=bool(documents))
    return (
        f'<xdsb:RetrieveDocumentSetResponse xmlns:xdsb="{XDSB}" xmlns:xop="{XOP}">'
        f"{registry_response(findings, status)}{''.join(map(_document_response, documents))}"
        "</xdsb:RetrieveDocumentSetResponse>"
    )


def _document_request(element: _Element) -> DocumentRequest:
    repository, document = (_text(element, name) for name in ("RepositoryUniqueId", "DocumentUniqueId"))
    if repository is None or document is None:
        raise MissingElement("a document is named by RepositoryUniqueId and DocumentUniqueId", "DocumentRequest")
    return DocumentRequest(repository, document, _text(element, "HomeCommunityId"))


def _text(element: _Element, name: str) -> str | None:
    return (element.findtext(f"{{{XDSB}}}{name}") or "").strip() or None


def _document_response(document: DocumentAnswer) -> str:
    request = document.request
    href = f"cid:{quote(document.content_id, safe='@')}"
    return (
        "<xdsb:DocumentResponse>"
        f"{_optional('HomeCommunityId', request.home)}"
        f"{_element('RepositoryUniqueId', request.repository_unique_id)}"
        f"{_element('DocumentUniqueId', request.unique_id)}"
        f"{_optional('NewRepositoryUniqueId', document.new_repository_unique_id)}"
        f"{_optional('NewDocumentUniqueId', document.new_unique_id)}"
        f"{_element('mimeType', document.mime_type)}"
        f'<xdsb:Document><xop:Include href="{href}"/></xdsb:Document>'
        "</xdsb:DocumentResponse>"
    )


def _element(name: str, text: str) -> str:
    return f"<xdsb:{name}>{escape(text)}</xdsb:{name}>"


def _optional(name: str, text: str | None) -> str:
    return _element(name, text) if text else ""
