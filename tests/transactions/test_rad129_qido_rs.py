"""RAD-129: a viewer lists studies by its own patient id, sees that id, and nobody else's studies."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from ihe.audit import AuditTrail
from ihe.errors import InvalidElement, MissingElement, NotFound, UnknownAuthority
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from tests.xds_repository import house, make
from tests.xds_wire import alone
from xds.application import XdsApplication
from xds.domain.study_query import DateRange
from xds.transactions import rad129_qido_rs_query as rad129
from xds.translate.qido_query import read_qido

__all__ = ["house", "make"]

FIRMINY = "2.25.1002"


def ask(house: Any, path: str = "/studies", **parameters: str) -> tuple[list[Dataset], HttpReply, AuditTrail]:
    parts = path.strip("/").split("/")
    named = {"study": parts[1]} if len(parts) > 2 else {}
    if len(parts) > 4:
        named["series"] = parts[3]
    request = HttpRequest(
        "GET",
        f"/dicom-web{path}",
        named,
        tuple((name.replace("__", "."), value) for name, value in parameters.items()),
        base_url="http://viewer.example",
    )
    trail = AuditTrail()
    question = rad129.decode(request)
    with house.unit() as uow:
        application = XdsApplication(house.registry, house.repository, house.studies, alone())
        answer = rad129.serve(question, Context(uow, application, rad129.TRANSACTION, trail))
        reply = rad129.encode(answer, request)
    assert isinstance(reply.body, bytes)
    assert reply.media_type == "application/dicom+json"
    return [Dataset.from_json(item) for item in orjson.loads(reply.body)], reply, trail


@pytest.fixture
def history(house: Any, make: Any) -> tuple[Any, Any]:
    """P1 has a CT at ROANNE in 2024 and an MR at FIRMINY in 2025; P2 has one at ROANNE."""
    roanne = make.study()
    series = replace(roanne.series[0], uid="2.25.71", modality="MR", retrieve_location_uid="2.25.3002")
    firminy = make.study(series=(series,), date=date(2025, 1, 2), description="IRM [cérébrale]", accessions=())
    make.published_study(house, roanne)
    make.published_study(house, firminy, source_patient_id=make.patient("FIRMINY", "FIR1"), service_start_time=None)
    make.published_study(
        house, make.study(), patient_id=make.patient("REGION", "P2"), source_patient_id=make.patient("ROANNE", "ROA2")
    )
    return roanne, firminy


def uids(found: list[Dataset]) -> list[str]:
    return [str(each.StudyInstanceUID) for each in found]


def test_the_whole_history_is_listed_under_the_askers_own_id(house: Any, history: Any) -> None:
    roanne, firminy = history
    found, reply, trail = ask(house, PatientID="FIR1", IssuerOfPatientID="FIRMINY")
    assert uids(found) == [firminy.uid, roanne.uid]
    assert {each.PatientID for each in found} == {"FIR1"}
    assert {each.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID for each in found} == {FIRMINY}
    older = found[1]
    assert [each.PatientID for each in older.OtherPatientIDsSequence] == ["ROA1"]
    assert (older.StudyDate, older.StudyTime, older.ModalitiesInStudy) == ("20240714", "083000", "CT")
    assert older.StudyDescription == "Scanner cérébral"
    assert (older.AccessionNumber, older.NumberOfStudyRelatedInstances) == ("A-1", 2)
    assert older.PatientName == "ESSAI^ANNE"
    assert older.InstitutionName == "Roanne"
    assert older.RetrieveURL == f"http://viewer.example/dicom-web/studies/{roanne.uid}"
    assert reply.headers == {"Cache-Control": "no-store"}
    assert [noted["id"] for noted in trail.objects if noted["kind"] == "patient"] == ["FIR1^^^&2.25.1002&ISO"]


@pytest.mark.parametrize("issuer", ["FIRMINY", FIRMINY, f"urn:oid:{FIRMINY}"])
def test_the_issuer_is_a_site_or_an_oid(house: Any, history: Any, issuer: str) -> None:
    assert len(ask(house, PatientID="FIR1", IssuerOfPatientID=issuer)[0]) == 2
    qualified = {"IssuerOfPatientIDQualifiersSequence__UniversalEntityID": issuer}
    assert len(ask(house, **{"00100020": "FIR1"}, **qualified)[0]) == 2


def test_without_an_issuer_the_id_is_the_callers_own(house: Any, history: Any) -> None:
    with pytest.raises(MissingElement):
        ask(house, PatientID="FIR1")
    house.caller = replace(house.caller, site="FIRMINY")
    assert len(ask(house, PatientID="FIR1")[0]) == 2


def test_nobodys_studies_are_listed_to_who_names_nobody(house: Any, history: Any) -> None:
    with pytest.raises(MissingElement):
        ask(house)
    with pytest.raises(MissingElement):
        ask(house, StudyDate="20240101-", limit="100")
    with pytest.raises(InvalidElement):
        ask(house, PatientID="*ROA*", IssuerOfPatientID="ROANNE")


def test_an_unknown_patient_has_no_studies_and_an_unknown_domain_is_said(house: Any, history: Any) -> None:
    assert ask(house, PatientID="nobody", IssuerOfPatientID="ROANNE")[0] == []
    with pytest.raises(UnknownAuthority):
        ask(house, PatientID="ROA1", IssuerOfPatientID="2.25.9")


def test_a_study_or_accession_is_found_under_the_id_of_the_callers_site(house: Any, history: Any) -> None:
    roanne, _ = history
    house.caller = replace(house.caller, site="FIRMINY")
    (by_study,), _, trail = ask(house, StudyInstanceUID=roanne.uid)
    assert by_study.PatientID == "FIR1"
    assert [noted["id"] for noted in trail.objects if noted["kind"] == "patient"] == ["ROA1^^^&2.25.1001&ISO"]
    by_accession = ask(house, AccessionNumber="A-1")[0]
    assert roanne.uid in uids(by_accession)
    house.caller = replace(house.caller, site=None)
    (unbound,), _, _ = ask(house, StudyInstanceUID=roanne.uid)
    assert unbound.PatientID == "ROA1"


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"StudyDate": "20250102"}, 1),
        ({"StudyDate": "20240714-20250102"}, 2),
        ({"StudyDate": "-20241231"}, 1),
        ({"StudyDate": "20260101-"}, 0),
        ({"ModalitiesInStudy": "mr"}, 1),
        ({"ModalitiesInStudy": "MR,CT"}, 2),
        ({"ModalitiesInStudy": "MR\\CT"}, 2),
        ({"ModalitiesInStudy": "US"}, 0),
        ({"StudyDescription": "*CÉRÉBRAL*"}, 2),
        ({"StudyDescription": "IRM [*"}, 1),
        ({"AccessionNumber": "A-1"}, 1),
        ({"limit": "1"}, 1),
        ({"offset": "1"}, 1),
        ({"offset": "5"}, 0),
    ],
)
def test_each_filter_narrows_the_history(house: Any, history: Any, parameters: dict[str, str], count: int) -> None:
    assert len(ask(house, PatientID="ROA1", IssuerOfPatientID="ROANNE", **parameters)[0]) == count


def test_what_is_not_matched_and_what_is_left_out_is_said(house: Any, history: Any) -> None:
    _, reply, _ = ask(
        house, PatientID="ROA1", IssuerOfPatientID="ROANNE", limit="1", includefield="all", PatientSex='F"'
    )
    assert reply.headers["Warning"] == (
        '299 http://viewer.example "not matched here: PatientSex", '
        '299 http://viewer.example "there are more studies; ask with offset"'
    )


def test_series_and_instances_are_those_of_the_manifest(house: Any, history: Any) -> None:
    roanne, firminy = history
    (series,), _, _ = ask(house, f"/studies/{firminy.uid}/series")
    assert (series.SeriesInstanceUID, series.Modality, series.NumberOfSeriesRelatedInstances) == ("2.25.71", "MR", 2)
    listed = [instance.sop_instance_uid for instance in firminy.series[0].instances]
    for path in (f"/studies/{firminy.uid}/instances", f"/studies/{firminy.uid}/series/2.25.71/instances"):
        instances = ask(house, path)[0]
        assert [each.SOPInstanceUID for each in instances] == listed
    assert instances[0].RetrieveURL == (
        f"http://viewer.example/dicom-web/studies/{firminy.uid}/series/2.25.71/instances/{listed[0]}"
    )
    assert ask(house, f"/studies/{roanne.uid}/series/2.25.71/instances")[0] == []


def test_a_study_is_not_seen_through_another_patients_id(house: Any, history: Any) -> None:
    roanne, _ = history
    assert ask(house, f"/studies/{roanne.uid}/series", PatientID="ROA1", IssuerOfPatientID="ROANNE")[0]
    with pytest.raises(NotFound):
        ask(house, f"/studies/{roanne.uid}/series", PatientID="ROA2", IssuerOfPatientID="ROANNE")
    with pytest.raises(NotFound):
        ask(house, "/studies/1.2.3/series")


def test_unlinked_studies_are_gone_from_the_next_answer(house: Any, make: Any, history: Any) -> None:
    roanne, _ = history
    house.people.link("P3", make.patient("FIRMINY", "FIR1"))
    assert uids(ask(house, PatientID="ROA1", IssuerOfPatientID="ROANNE")[0]) == [roanne.uid]


def test_a_masked_study_is_not_there(house: Any, history: Any) -> None:
    house.permit(lambda uow, facts: False)
    assert ask(house, PatientID="ROA1", IssuerOfPatientID="ROANNE")[0] == []
    with pytest.raises(NotFound):
        ask(house, f"/studies/{history[0].uid}/series")


@pytest.mark.parametrize(
    "parameters",
    [
        {"StudyDate": "2024"},
        {"StudyDate": "-"},
        {"StudyDate": "20241301"},
        {"StudyInstanceUID": "x"},
        {"limit": "-1"},
        {"offset": "1e3"},
    ],
)
def test_impossible_values_are_refused_by_name(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidElement) as refused:
        read_qido(parameters.items())
    assert refused.value.location in parameters


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InvalidElement):
        read_qido([("PatientID", "1"), ("00100020", "2")])


def test_a_range_holds_its_ends_and_no_unknown_day() -> None:
    year = DateRange(date(2024, 1, 1), date(2024, 12, 31))
    assert year.holds(date(2024, 1, 1))
    assert year.holds(date(2024, 12, 31))
    assert not year.holds(date(2025, 1, 1))
    assert not year.holds(None)


@given(st.lists(st.tuples(st.sampled_from(["StudyDate", "limit", "PatientID", "x"]), st.text()), max_size=4))
def test_any_parameters_are_read_or_refused(parameters: list[tuple[str, str]]) -> None:
    with contextlib.suppress(InvalidElement):
        read_qido(parameters)
