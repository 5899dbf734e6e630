"""The bundles that the MHD guide publishes, and the DocumentReference of PDSm: each is provided and comes back.

They name patients, documents and people of another region; those are put in place of the guide's.
"""

from __future__ import annotations

import json
import re
from uuid import uuid4

import httpx
import pytest
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.list import List

from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_documents_by_zeep import MARIE, Site, uid
from tests.e2e.test_mhd_provide import created, item, one_document, post, read, submission_set
from xds.domain.value_sets import ValueSets

OTHER_DOCUMENT = re.compile(r"(?i)DocumentReference/ex-DocumentReference(Comprehensive)?(?=\")")
LONG_OID = re.compile(r"(?<=urn:oid:)[0-9.]{65,}")
"""The guide's uniqueIds of sets and folders are longer than an OID of XDS may be (64 characters)."""


@pytest.fixture(scope="module")
def site(module_database_url, tmp_path_factory):
    """A service that takes any code: the guide's are of no region."""
    folder = tmp_path_factory.mktemp("documents")
    with serving(module_database_url, load_region(REGION), folder, value_sets=ValueSets()) as running:
        found = Site(running)
        found.feed("CHUSE", "C1", MARIE)
        yield found


@pytest.fixture(scope="module")
def patient(site):
    token = f"{site.running.table.by_code('CHUSE').oid.urn}|C1"
    found = httpx.get(f"{site.running.base_url}/fhir/Patient", params={"identifier": token}).json()
    return f"Patient/{found['entry'][0]['resource']['id']}"


def examples(shared_folder, guide):
    folder = shared_folder / "testdata" / "ihe-igs" / guide / "derived-json"
    if not folder.is_dir():
        pytest.skip(f"the examples of {guide} are not at {folder}")
    return folder


def in_our_region(text, site, patient):
    """An example with our patient, uniqueIds that fit, and documents of ours in place of those it refers to."""
    known = created(post(site, one_document(patient)))[1].rpartition("/")[2]
    text = LONG_OID.sub(lambda _: uid(), text)
    text = re.sub(
        r"(?i)DocumentReference/ex-DocumentReference(Comprehensive)?(?=\")", f"DocumentReference/{known}", text
    )
    found = json.loads(text.replace("Patient/ex-patient", patient))
    for entry in found.get("entry", ()):
        if not entry["resource"].get("subject", {}).get("reference", patient).startswith("Patient/"):
            entry["resource"]["subject"] = {"reference": patient}
        if entry["resource"]["resourceType"] in ("DocumentReference", "List"):
            entry["resource"].setdefault("subject", {"reference": patient})
    return found, known


def check_resources(answer):
    """Each address of an answer leads to a resource that is valid; returns them by kind."""
    found = [read(address) for address in answer if address and "/Binary/" not in address]
    for each in found:
        {"DocumentReference": DocumentReference, "List": List}[each["resourceType"]].model_validate(each)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "comprehensiveProvideDocumentBundleComplete",
        "comprehensiveProvideDocumentBundleSimple",
        "minimalProvideDocumentBundleSimple",
        "minimalProvideDocumentBundleSimpleContained",
        "unContainedComprehensiveProvideDocumentBundleComplete",
    ],
)
def test_a_bundle_of_the_guide_is_kept_and_comes_back(site, patient, shared_folder, name):
    text = (examples(shared_folder, "ITI.MHD") / f"Bundle-ex-{name}.json").read_text(encoding="utf-8")
    sent, known = in_our_region(text, site, patient)
    answer = post(site, sent)
    found = check_resources(created(answer))
    provided = [each["resource"] for each in sent["entry"]]
    (asked,) = (each for each in provided if each["resourceType"] == "DocumentReference")
    (kept,) = (each for each in found if each["resourceType"] == "DocumentReference")
    assert kept["masterIdentifier"]["value"] == asked["masterIdentifier"]["value"]
    for element in ("type", "category", "securityLabel", "description"):
        assert strip(kept.get(element)) == strip(asked.get(element))
    for element in ("facilityType", "practiceSetting", "event"):
        assert strip(kept.get("context", {}).get(element)) == strip(asked.get("context", {}).get(element))
    if "relatesTo" in asked:
        assert kept["relatesTo"] == [{"code": "appends", "target": {"reference": f"DocumentReference/{known}"}}]
    codes = sorted(each["code"]["coding"][0]["code"] for each in found if each["resourceType"] == "List")
    assert codes == sorted(each["code"]["coding"][0]["code"] for each in provided if each["resourceType"] == "List")
    data = next(each for each in provided if each["resourceType"] == "Binary")
    raw = httpx.get(kept["content"][0]["attachment"]["url"], headers={"Accept": data["contentType"]})
    assert raw.status_code == 200
    assert raw.headers["content-type"].startswith(data["contentType"])


def test_the_guides_document_that_claims_another_size_is_refused_by_name(site, patient, shared_folder):
    """The example's Binary has 23 bytes, its DocumentReference says 24."""
    file = examples(shared_folder, "ITI.MHD") / "Bundle-ex-comprehensiveProvideDocumentBundleReplace.json"
    sent, known = in_our_region(file.read_text(encoding="utf-8"), site, patient)
    refused = post(site, sent)
    assert refused.status_code == 422
    assert "size is 24, the document has 23 bytes" in refused.text
    attachment = next(e["resource"] for e in sent["entry"] if e["resource"]["resourceType"] == "DocumentReference")
    del attachment["content"][0]["attachment"]["size"]
    attachment["content"][0]["attachment"].pop("hash", None)
    created(post(site, sent))
    address = f"{site.running.base_url}/fhir/DocumentReference/{known}"
    assert read(address)["status"] == "superseded"


def test_the_document_of_pdsm_is_kept_as_it_says(site, patient, shared_folder):
    file = examples(shared_folder, "ANS.PDSm") / "DocumentReference-exemple-pdsm-documentreference.json"
    asked = json.loads(file.read_text(encoding="utf-8"))
    asked["subject"] = {"reference": patient}
    asked["masterIdentifier"]["value"] = uuid4().urn
    for each in ("relatesTo", "id"):
        asked.pop(each, None)
    attachment = asked["content"][0]["attachment"]
    for each in ("size", "hash"):
        attachment.pop(each, None)
    binary, document = uuid4().urn, uuid4().urn
    attachment.pop("data", None)
    attachment["url"] = binary
    data = json.loads((file.parent / "Binary-6789.json").read_text(encoding="utf-8"))
    sent = one_document(patient)
    sent["entry"] = [item(submission_set(patient, document)), item(asked, document), item(data, binary)]
    (_, address, _) = created(post(site, sent))
    (kept,) = check_resources([address])
    for element in ("type", "category", "description", "masterIdentifier"):
        assert strip(kept.get(element)) == strip(asked.get(element))
    # N is of HL7 v3 in XDS and answered so; France writes it under TRE_A07 too.
    assert [each["coding"][0]["code"] for each in kept["securityLabel"]] == ["N"]
    assert kept["content"][0]["format"]["code"] == asked["content"][0]["format"]["code"]
    assert kept["content"][0]["attachment"]["title"] == attachment["title"]


def strip(value):
    """A value without display names, which are the server's own to give."""
    if isinstance(value, list):
        return [strip(each) for each in value]
    if isinstance(value, dict):
        return {name: strip(each) for name, each in value.items() if name not in ("display", "version", "text")}
    return value
