"""Writes ``docs/mapping.md`` from the tables of the translators: ``python -m region.mapping_page``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from xds.translate.ebxml_vocabulary import DOCUMENT_ENTRY, FOLDER, SUBMISSION_SET, Layout
from xds.translate.fhir_document import RELATIONS
from xds.translate.fhir_document import STATUSES as DOCUMENT_STATUSES
from xds.translate.fhir_document_search import DOCUMENT_PARAMETERS
from xds.translate.fhir_elements import DOCUMENT_ELEMENTS, FOLDER_ELEMENTS, SUBMISSION_SET_ELEMENTS, Elements
from xds.translate.fhir_list import STATUSES as LIST_STATUSES
from xds.translate.fhir_list_search import LIST_PARAMETERS
from xds.translate.fhir_terms import CODE_SYSTEMS, REFERENCE_TYPES, UNIQUE_ID_TYPE

_HEAD = """# XDS metadata in ebRIM and in FHIR

How the registry's metadata stands in ebRIM (ITI-18, ITI-41, ITI-42) and in FHIR (MHD: ITI-65 to ITI-68, ITI-105,
ITI-106). Made from the tables of the code; do not edit, run `python -m region.mapping_page > docs/mapping.md`.

- UUIDs: the logical id of a resource is the entryUUID without `urn:uuid:`.
- uniqueId: `urn:oid:…` with system `urn:ietf:rfc:3986`; `root^extension` as system `urn:oid:root` with the extension.
- Times: DTM in UTC; a dateTime keeps the precision of year, month or day, and has seconds as soon as it has an hour.
- hash: hexadecimal in ebRIM, base64 of the same 20 bytes in FHIR; size above 2 147 483 647 has no place in FHIR.
- Persons and organisations: XCN, XON and XTN become contained Practitioner, Organization and PractitionerRole.
- DocumentReference.date and meta.lastUpdated: the moment of registration.
- Extra slots, homeCommunityId, URI, logicalID and documentAvailability have no place in FHIR; they stay in ebRIM.
- Minimal Metadata and Simplified Publish: what lacks attributes is kept as limited metadata, and said so in ebRIM.
"""


def page() -> str:
    """The page of this version."""
    return "".join(
        (
            _HEAD,
            _attributes("DocumentEntry", "DocumentReference", DOCUMENT_ENTRY, DOCUMENT_ELEMENTS),
            _attributes("SubmissionSet", "List (submissionset)", SUBMISSION_SET, SUBMISSION_SET_ELEMENTS),
            _attributes("Folder", "List (folder)", FOLDER, FOLDER_ELEMENTS),
            _table(
                "Relations",
                ("association", "relatesTo.code"),
                ((kind.rpartition(":")[2], " and ".join(codes)) for kind, codes in RELATIONS),
            ),
            _table(
                "Status",
                ("availabilityStatus", "DocumentReference.status", "List.status"),
                ((status.rpartition(":")[2], code, dict(LIST_STATUSES)[status]) for status, code in DOCUMENT_STATUSES),
            ),
            _table("Code systems", ("coding scheme", "FHIR system"), CODE_SYSTEMS),
            "\nAny other OID is written `urn:oid:…`; a scheme that is no OID and no URI as `urn:x-coding-scheme:…`.\n",
            _table("Types of reference identifiers", ("type in CXi", "also read from table 0203"), REFERENCE_TYPES),
            f"\nAn identifier without a type is read as `{UNIQUE_ID_TYPE}`.\n",
            _table("Search parameters of DocumentReference", ("parameter", "type", "attribute"), DOCUMENT_PARAMETERS),
            _table("Search parameters of List", ("parameter", "type", "attribute"), LIST_PARAMETERS),
        )
    )


def _attributes(kind: str, resource: str, layout: Layout, elements: Elements) -> str:
    places = {
        place.field: (place.attribute, f"{group} `{place.key}`")
        for group, listed in (
            ("Slot", layout.slots),
            ("Classification", layout.codes),
            ("ExternalIdentifier", layout.identifiers),
        )
        for place in listed
    }
    if layout.author:
        places["authors"] = ("author", f"Classification `{layout.author}`")
    places |= {
        "id": ("entryUUID", "`@id`"),
        "logical_id": ("logicalID", "`@lid`"),
        "version": ("version", "`VersionInfo/@versionName`"),
        "object_type": ("objectType", "`@objectType`"),
        "status": ("availabilityStatus", "`@status`"),
        "home": ("homeCommunityId", "`@home`"),
        "title": ("title", "`Name`"),
        "comments": ("comments", "`Description`"),
        "limited_metadata": ("limitedMetadata", f"Classification `{layout.limited_metadata}`"),
        "extra": ("extra metadata", "further Slots"),
    }
    places.setdefault("mime_type", ("mimeType", "`@mimeType`"))
    rows = ((*places[field], ", ".join(f"`{path}`" for path in paths) or "–") for field, paths in elements)
    return _table(f"{kind} and {resource}", ("attribute", "ebRIM", "FHIR element"), rows)


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"\n## {title}\n\n", f"| {' | '.join(header)} |\n", f"|{'---|' * len(header)}\n"]
    lines += [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
