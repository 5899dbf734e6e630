"""XDS metadata → FHIR and back: every attribute has its element, and what is written is read as it was."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.list import List
from hypothesis import given
from hypothesis import strategies as st

from ihe.values import Code
from tests import xds_samples
from xds.domain.model import Author, Availability, DocumentEntry, Folder, LocalizedText, SubmissionSet
from xds.translate import fhir_terms
from xds.translate.fhir_document import document_reference
from xds.translate.fhir_document_reader import ResourceReader, Surroundings
from xds.translate.fhir_elements import DOCUMENT_ELEMENTS, FOLDER_ELEMENTS, SUBMISSION_SET_ELEMENTS
from xds.translate.fhir_list import folder_list, submission_set_list
from xds.translate.fhir_search import dtm_stop, period_of
from xds.translate.fhir_submission import Server, read_bundle

MOMENT = datetime(2026, 1, 15, 10, 15, tzinfo=UTC)
PATIENT = xds_samples.pid("C1")
STATED = {"id": "urn:uuid:00000000-0000-4000-8000-000000000001", "status": Availability.APPROVED}
AUTHORS = (
    Author(
        person="10001^DOCTEUR^Fictif^^^^^^&1.2.250.1.71.4.2.1&ISO",
        institutions=("Hôpital fictif^^^^^&1.2.250.1.71.4.2.2&ISO^^^^420000000",),
        roles=("Médecin",),
        specialties=("SM44^Radiologie^1.2.250.1.71.4.2.5",),
        telecommunications=("^^Internet^docteur@example.org",),
    ),
)
ENTRY = replace(
    xds_samples.entry("x", PATIENT),
    **STATED,
    authors=AUTHORS,
    legal_authenticator="10002^SIGNATAIRE^Fictif^^^^^^&1.2.250.1.71.4.2.1&ISO",
    comments=(LocalizedText("commentaire"),),
    source_patient_info=("PID-5|EXEMPLE^Fictif", "PID-7|19700101", "PID-8|F"),
    service_stop_time="20250311",
    creation_time="20250310101500",
    title=(LocalizedText("Scanner thoracique"),),
)
SET = SubmissionSet(
    **STATED,
    unique_id="2.25.1",
    source_id="2.25.2",
    patient_id=PATIENT,
    submission_time="20260115101500",
    title=(LocalizedText("Envoi"),),
    comments=(LocalizedText("note"),),
    authors=AUTHORS,
    content_type_code=Code("04", "1.2.250.1.213.2.2", "Hospitalisation"),
    intended_recipients=("Hôpital^^^^^&2.25.9&ISO^^^^1|10003^AUTRE^Fictif|^^Internet^autre@example.org",),
)
FOLDER = Folder(
    **STATED,
    unique_id="2.25.3",
    patient_id=PATIENT,
    title=(LocalizedText("Dossier"),),
    comments=(LocalizedText("note"),),
    codes=(Code("225728007", "2.16.840.1.113883.6.96"),),
    last_update_time="20260115101500",
)


def written(item):
    """The resource of an object."""
    if isinstance(item, DocumentEntry):
        return document_reference(
            item, subject_reference="Patient/r1", relations=[], registered_at=MOMENT, base_url="http://x/fhir"
        )
    write = submission_set_list if isinstance(item, SubmissionSet) else folder_list
    return write(item, subject_reference="Patient/r1", members=["DocumentReference/1"], registered_at=MOMENT)


def at(resource, path):
    """The value at a path of the mapping tables, or ``None``."""
    found = resource
    for step in re.findall(r"(\w+)(?:\[([^\]]*)\])?", path.replace("$=", "$")):
        name, condition = step
        found = (found or {}).get(name)
        if condition.isdigit():
            found = found[int(condition)] if found else None
        elif condition:
            key, _, value = condition.replace("$", "=").partition("=")
            found = next((each for each in found or () if str(each.get(key, "")).endswith(value)), None)
    return found


CASES = [
    pytest.param(item, field, paths, id=f"{type(item).__name__}-{field}")
    for item, elements in ((ENTRY, DOCUMENT_ELEMENTS), (SET, SUBMISSION_SET_ELEMENTS), (FOLDER, FOLDER_ELEMENTS))
    for field, paths in elements
]
OTHERS = {"id": "urn:uuid:00000000-0000-4000-8000-000000000002", "version": 7, "limited_metadata": True}


@pytest.mark.parametrize(("item", "field", "paths"), CASES)
def test_each_attribute_has_its_element_and_not_without_it(item, field, paths):
    value = {"status": Availability.DEPRECATED, **OTHERS}.get(field)
    if value is None and isinstance(getattr(item, field), tuple):
        value = ()
    changed = replace(item, **{field: value}) if field not in ("extra",) else item
    for path in paths:
        assert at(written(item), path) is not None, path
        assert at(written(changed), path) != at(written(item), path), path


@pytest.mark.parametrize(
    ("kind", "elements"),
    [(DocumentEntry, DOCUMENT_ELEMENTS), (SubmissionSet, SUBMISSION_SET_ELEMENTS), (Folder, FOLDER_ELEMENTS)],
)
def test_every_attribute_stands_in_the_table(kind, elements):
    assert [field for field, _ in elements] == [each.name for each in fields(kind)]


def reader(contained_in=None):
    def resolve(reference, holder):
        address = str(reference.get("reference", ""))
        return next((each for each in holder.get("contained", ()) if f"#{each['id']}" == address), None)

    return ResourceReader(
        Surroundings(
            resolve=resolve,
            patient=lambda _: PATIENT,
            knows=lambda _: True,
            new_id=lambda: uuid4().urn,
            limited=False,
        )
    )


def test_what_is_written_is_read_as_it_was():
    found = reader()
    read = found.entry(written(ENTRY), "DocumentReference")
    assert found.findings == []
    registered = {"status": None, "repository_unique_id": None}
    assert replace(read, authors=(), reference_id_list=()) == replace(
        ENTRY, **registered, authors=(), reference_id_list=()
    )
    assert read.authors == AUTHORS
    assert read.reference_id_list == ENTRY.reference_id_list
    the_set = found.submission_set(written(SET), "List")
    assert replace(the_set, authors=()) == replace(SET, status=None, authors=())
    assert the_set.authors[0].person == AUTHORS[0].person
    assert the_set.authors[0].institutions == AUTHORS[0].institutions
    assert found.folder(written(FOLDER), "List") == replace(FOLDER, status=None, last_update_time=None)
    DocumentReference.model_validate(written(ENTRY))
    List.model_validate(written(SET))
    List.model_validate(written(FOLDER))


codes = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
oids = st.lists(st.integers(0, 10**6), min_size=1, max_size=5).map(lambda arcs: ".".join(["2.25", *map(str, arcs)]))
schemes = st.one_of(oids, codes, st.sampled_from([scheme for scheme, _ in fhir_terms.CODE_SYSTEMS]))


@given(codes, schemes)
def test_codes_return(code, scheme):
    read = fhir_terms.code_of(fhir_terms.concept(Code(code, scheme)))
    french = (code in ("N", "R", "V")) and scheme == "1.2.250.1.213.1.1.4.13"
    known = dict(map(reversed, fhir_terms.CODE_SYSTEMS))
    expected = known.get(scheme, scheme.removeprefix("urn:oid:"))
    assert read == Code(code, "2.16.840.1.113883.5.25" if french else expected)


@given(st.binary(min_size=20, max_size=20))
def test_hashes_return(digest):
    assert fhir_terms.hash_of_base64(fhir_terms.hash_to_base64(digest.hex())) == digest.hex()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1)), st.sampled_from([4, 6, 8, 12, 14]))
def test_times_return_with_their_precision(moment, digits):
    dtm = moment.strftime("%Y%m%d%H%M%S")[:digits]
    read = fhir_terms.dtm_of(fhir_terms.date_time(dtm))
    assert read == (dtm if digits != 12 else dtm + "00")
    assert dtm_stop(dtm) > int(dtm + "00000101000000"[len(dtm) :])


rooted = st.builds("{}^{}".format, oids, codes.filter(lambda code: "^" not in code))


@given(st.one_of(oids, rooted, st.uuids().map(lambda each: each.urn)))
def test_unique_ids_return(unique_id):
    assert fhir_terms.unique_id_of(fhir_terms.unique_identifier(unique_id)) == unique_id


values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).filter(
    lambda text: not text.startswith("urn:oid:")
)


@given(values, oids)
def test_reference_ids_return(value, oid):
    for kind in ("urn:ihe:iti:xds:2013:accession", "urn:ihe:iti:xds:2016:studyInstanceUID"):
        cxi = f"{fhir_terms.escape_hl7(value)}^^^&{oid}&ISO^{kind}"
        assert fhir_terms.reference_id_of(fhir_terms.reference_identifier(cxi)) == cxi
        plain = f"{oid}^^^^{kind}"
        assert fhir_terms.reference_id_of(fhir_terms.reference_identifier(plain)) == plain


def test_a_time_with_a_zone_is_told_in_utc():
    assert fhir_terms.dtm_of("2026-01-15T00:30:00.250+01:00") == "20260114233000"
    assert period_of("lt2026-01-15T00:30:00 01:00", "date").stop == 20260114233000
    for wrong in ("15/01/2026", "2026-13", "2026-02-30", "2026-01-15T25:00:00Z"):
        with pytest.raises(ValueError):
            fhir_terms.dtm_of(wrong)


EXAMPLES = (
    Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).resolve().parents[5] / "shared")) / "testdata" / "ihe-igs"
)
PROVIDED = sorted(EXAMPLES.glob("ITI.MHD/derived-json/Bundle-ex-*rovideDocumentBundle*.json"))


@pytest.mark.skipif(not PROVIDED, reason="the examples of the MHD guide are not beside this checkout")
def test_the_guides_own_bundles_are_read():
    server = Server(
        patient=lambda _: PATIENT,
        knows=lambda _: True,
        document=lambda _: None,
        members=lambda _: frozenset(),
        new_id=lambda: uuid4().urn,
    )
    read = 0
    for path in PROVIDED:
        bundle = json.loads(path.read_text())
        if bundle["type"] != "transaction":
            continue
        received = read_bundle(bundle, server)
        assert received.submission.entries, path.name
        assert received.documents.keys() <= {each.id for each in received.submission.entries}
        # Some of the guide's patients have no identifier with an OID; the region could not know them.
        errors = {finding.code for finding in received.submission.findings if finding.severity == "Error"}
        assert errors <= {"XDSUnknownPatientId"}, path.name
        assert len(received.locations) == len(bundle["entry"])
        read += 1
    assert read >= 6
