"""RAD-69 and RAD-75 requests of independent testers: each is read as its source means it, or refused by its code."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from ihe.errors import IheError, Refused
from xds.translate.imaging_request import XDSI, read_imaging_request

REQUEST = f"{{{XDSI}}}RetrieveImagingDocumentSetRequest"


@pytest.fixture
def requests(shared_folder: Path) -> dict[str, etree._Element]:
    folder = shared_folder / "testdata" / "toolkit2" / "testkit" / "tests"
    found = {}
    for path in sorted(folder.rglob("*.xml")):
        if "request" in path.name.lower() and b"RetrieveImagingDocumentSetRequest" in path.read_bytes():
            root = etree.parse(path).getroot()
            element = root if root.tag == REQUEST else root.find(f".//{REQUEST}")
            if element is not None:
                found[str(path.relative_to(folder))] = element
    if not found:
        pytest.skip(f"no sample requests under {folder}")
    return found


def test_every_sample_request_is_read_or_refused_as_its_source_expects(requests: dict[str, etree._Element]) -> None:
    wrong = {}
    for name, element in requests.items():
        is_bad = "Empty_Study" in name or "Empty_Series" in name or "Empty_Transfer" in name
        try:
            found, syntaxes = read_imaging_request(element)
            outcome = f"{len(found)} instances, {len(syntaxes)} syntaxes"
            is_refused = False
        except IheError as error:
            outcome = error.findings[0].code if isinstance(error, Refused) else type(error).__name__
            is_refused = True
        if is_bad != is_refused:
            wrong[name] = outcome
    assert wrong == {}
    assert len(requests) > 30
