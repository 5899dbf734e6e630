"""``xdsi:RetrieveImagingDocumentSetRequest`` → the instances and transfer syntaxes asked for.

Source: RAD TF-2: 4.69.4.1.2.
"""

from __future__ import annotations

from typing import Final

from ihe.errors import Finding, MissingElement, Refused
from ihe.xml import Element
from xds.domain.document_set import ImagingRequest
from xds.domain.imaging import is_uid
from xds.translate.ebxml_document_set import read_document_requests

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


def _uid(element: Element, name: str) -> str:
    uid = (element.get(name) or "").strip()
    if not is_uid(uid):
        raise Refused([Finding("XDSIRequestError", f"{name} is missing or no UID", f"@{name}")])
    return uid
