"""``xdsi:RetrieveImagingDocumentSetRequest`` ⇄ the instances and transfer syntaxes asked for.

Source: RAD TF-2: 4.69.4.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lxml import etree

from ihe.errors import Finding, MissingElement, Refused
from ihe.xml import Element
from xds.domain.document_set import ImagingRequest
from xds.domain.imaging import is_uid
from xds.translate.ebxml_document_set import XDSB, read_document_requests, write_document_request

XDSI: Final = "urn:ihe:rad:xdsi-b:2009"


def read_imaging_request(body: Element) -> tuple[tuple[ImagingRequest, ...], tuple[str, ...]]:
    """The instances, in their order, and the transfer syntaxes.

    Raises:
        MissingElement: no instance is named.
        Refused: a UID is missing or none, or no transfer syntax is named.
    """
    found: list[ImagingRequest] = []
    for study in body.findall(f"{{{XDSI}}}StudyRequest"):
        study_uid = _uid(study, "studyInstanceUID")
        for series in study.findall(f"{{{XDSI}}}SeriesRequest"):
            series_uid = _uid(series, "seriesInstanceUID")
            found += [ImagingRequest(study_uid, series_uid, each) for each in read_document_requests(series)]
    if not found:
        raise MissingElement("the request names no instance", "StudyRequest")
    named = body.findall(f"{{{XDSI}}}TransferSyntaxUIDList/{{{XDSI}}}TransferSyntaxUID")
    syntaxes = tuple((each.text or "").strip() for each in named)
    if not syntaxes or not all(map(is_uid, syntaxes)):
        raise Refused([Finding("XDSIRequestError", "a transfer syntax is missing or none", "TransferSyntaxUIDList")])
    return tuple(found), syntaxes


def imaging_request(requests: Sequence[ImagingRequest], syntaxes: Sequence[str]) -> Element:
    """The request for instances, grouped by study and series."""
    root = etree.Element(f"{{{XDSI}}}RetrieveImagingDocumentSetRequest", nsmap={"xdsi": XDSI, "xdsb": XDSB})
    studies: dict[str, Element] = {}
    series: dict[tuple[str, str], Element] = {}
    for each in requests:
        if each.study not in studies:
            studies[each.study] = etree.SubElement(root, f"{{{XDSI}}}StudyRequest", studyInstanceUID=each.study)
        if (each.study, each.series) not in series:
            series[each.study, each.series] = etree.SubElement(
                studies[each.study], f"{{{XDSI}}}SeriesRequest", seriesInstanceUID=each.series
            )
        write_document_request(series[each.study, each.series], each.document)
    listed = etree.SubElement(root, f"{{{XDSI}}}TransferSyntaxUIDList")
    for syntax in syntaxes:
        etree.SubElement(listed, f"{{{XDSI}}}TransferSyntaxUID").text = syntax
    return root


def _uid(element: Element, name: str) -> str:
    uid = (element.get(name) or "").strip()
    if not is_uid(uid):
        raise Refused([Finding("XDSIRequestError", f"{name} is missing or no UID", f"@{name}")])
    return uid
