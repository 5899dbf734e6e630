"""What all DICOMweb services of the region share: their roots, and how an answer warns.

A viewer that cannot name the issuer of a patient id asks below the root of its own domain; answers show patients under
that domain's ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ihe.http import HttpRequest

ROOTS: Final = ("/dicom-web", "/dicom-web/domains/{domain}")
"""Path templates of the service root."""


def root_of(request: HttpRequest) -> str:
    """Address of the root that the client used."""
    domain = request.path_parameters.get("domain")
    return f"{request.base_url}/dicom-web{f'/domains/{domain}' if domain else ''}"


def warning_header(base_url: str, warnings: Iterable[str]) -> Mapping[str, str]:
    """The ``Warning`` header; none without warnings (Source: PS3.18 8.5.3)."""
    found = [f'299 {base_url} "{_quotable(each)}"' for each in warnings]
    return {"Warning": ", ".join(found)} if found else {}


def unreachable(sites: Iterable[str]) -> list[str]:
    """The warning that some sites' pictures cannot be fetched now; none without sites."""
    named = ", ".join(sites)
    return [f"pictures cannot be fetched now: the archive of {named} does not answer"] if named else []


def _quotable(text: str) -> str:
    return "".join(character for character in text if " " <= character <= "~" and character not in '"\\')
