"""``lcm:RemoveObjectsRequest`` → ids.

Source: IHE ITI Remove Metadata and Documents supplement, 3.62.4.1.2.
"""

from __future__ import annotations

from lxml.etree import QName, _Element

from ihe.errors import MalformedRequest
from xds.translate.ebxml_vocabulary import RIM


def read_removal(request: _Element) -> tuple[str, ...]:
    """The ids of the objects to remove, UUIDs in lower case.

    Raises:
        MalformedRequest: no reference, or something else than references.
    """
    listing = request.find(f"{{{RIM}}}ObjectRefList")
    others = [QName(each).localname for each in request.iterchildren("*") if each is not listing]
    if others:
        raise MalformedRequest(f"{others[0]} must not stand in a RemoveObjectsRequest", others[0])
    ids = (
        ()
        if listing is None
        else tuple(each.get("id", "").strip().lower() for each in listing.iterchildren(f"{{{RIM}}}ObjectRef"))
    )
    if not ids:
        raise MalformedRequest("the request names no object (rim:ObjectRef)", "ObjectRefList")
    return ids
