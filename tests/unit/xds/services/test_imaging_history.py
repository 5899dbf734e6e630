"""The imaging history of a patient: most relevant first, with reports, and with the reason why each study is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ihe.errors import InvalidElement, MissingElement, NotFound, UnknownPatient
from ihe.values import AssigningAuthority, Code, Oid
from xds.domain.imaging import IssuedId
from xds.domain.relevance import Interest
from xds.services.history import History, HistoryQuestion, history

CHEST = Code("67734004", "2.16.840.1.113883.6.96", "Thorax")
HEAD = Code("774007", "2.16.840.1.113883.6.96", "Tête et cou")


def ask(house: Any, **question: Any) -> History:
    with house.unit() as uow:
        return history(uow, HistoryQuestion(**question), house.studies)


def accession(number: str, issuer: str = "2.25.1001") -> IssuedId:
    return IssuedId(number, AssigningAuthority(oid=Oid(issuer)))


def published(house: Any, make: Any, day: date, modality: str, region: Code, source: str = "ROANNE") -> Any:
    made = make.study()
    location = "2.25.3001" if source == "ROANNE" else "2.25.3002"
    series = replace(made.series[0], modality=modality, retrieve_location_uid=location)
    study = replace(made, date=day, series=(series,), regions=(region,), accessions=(accession(f"A-{day.year}"),))
    number = {"ROANNE": "ROA1", "FIRMINY": "FIR1"}[source]
    make.published_study(
        house, study, source_patient_id=make.patient(source, number), service_start_time=None, event_code_list=(region,)
    )
    return study


@pytest.fixture
def studies(house: Any, make: Any) -> dict[str, Any]:
    return {
        "old chest CT": published(house, make, date(2019, 3, 1), "CT", CHEST),
        "new chest X-ray": published(house, make, date(2025, 3, 1), "CR", CHEST, "FIRMINY"),
        "head CT": published(house, make, date(2024, 3, 1), "CT", HEAD),
        "head MR": published(house, make, date(2026, 1, 1), "MR", HEAD),
    }


def names(found: History, studies: dict[str, Any]) -> list[str]:
    by_uid = {study.uid: name for name, study in studies.items()}
    return [by_uid[each.study.uid] for each in found.studies]


def test_same_region_and_modality_come_first_then_the_latest(house: Any, make: Any, studies: dict[str, Any]) -> None:
    interest = Interest(frozenset({"CT"}), frozenset({CHEST.code}))
    found = ask(house, patient_id=make.patient("ROANNE", "ROA1"), interest=interest)
    assert names(found, studies) == ["old chest CT", "new chest X-ray", "head CT", "head MR"]
    assert [each.relevance for each in found.studies] == ["region-and-modality", "region", "modality", "neither"]


def test_without_interest_the_latest_comes_first(house: Any, make: Any, studies: dict[str, Any]) -> None:
    found = ask(house, patient_id=make.patient("FIRMINY", "FIR1"))
    assert names(found, studies) == ["head MR", "new chest X-ray", "head CT", "old chest CT"]


@pytest.mark.parametrize("by", ["study", "accession"])
def test_what_a_viewer_has_open_names_the_patient_and_what_is_read(
    house: Any, studies: dict[str, Any], by: str
) -> None:
    opened = {"study_uid": studies["head CT"].uid} if by == "study" else {"accession": accession("A-2024")}
    found = ask(house, shown_in="FIRMINY", **opened)
    assert names(found, studies) == ["head CT", "head MR", "old chest CT", "new chest X-ray"]
    assert found.interest == Interest(frozenset({"CT"}), frozenset({HEAD.code}))
    assert found.shown_id.value == "FIR1"


def test_each_study_says_which_identifiers_join_it(house: Any, make: Any, studies: dict[str, Any]) -> None:
    found = ask(house, patient_id=make.patient("ROANNE", "ROA1"))
    joined = {each.study.uid: [by.value for by in each.joined_by] for each in found.studies}
    assert joined[studies["new chest X-ray"].uid] == ["ROA1", "P1", "FIR1"]
    assert joined[studies["head CT"].uid] == ["ROA1", "P1"]


def test_reports_stand_with_the_study_that_they_refer_to(house: Any, make: Any, studies: dict[str, Any]) -> None:
    head, chest = studies["head CT"], studies["old chest CT"]
    by_study = make.entry(reference_id_list=(f"{head.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",))
    by_accession = make.entry(
        reference_id_list=("A-2019^^^&2.25.1001&ISO^urn:ihe:iti:xds:2013:accession",),
        source_patient_id=make.patient("FIRMINY", "FIR1"),
    )
    elsewhere = make.entry(reference_id_list=("A-2019^^^&2.25.9&ISO^urn:ihe:iti:xds:2013:accession",))
    house.provide((by_study, b"report"), (by_accession, b"report"), (elsewhere, b"report"))
    found = ask(house, patient_id=make.patient("ROANNE", "ROA1"))
    reports = {each.study.uid: [report.unique_id for report in each.reports] for each in found.studies}
    assert reports[head.uid] == [by_study.unique_id]
    assert reports[chest.uid] == [by_accession.unique_id]
    assert sum(map(len, reports.values())) == 2
    house.permit(lambda uow, facts: facts.unique_id != by_study.unique_id)
    assert not any(
        each.reports
        for each in ask(house, patient_id=make.patient("ROANNE", "ROA1")).studies
        if each.study.uid == head.uid
    )


def test_a_link_undone_takes_studies_and_reports_away(house: Any, make: Any, studies: dict[str, Any]) -> None:
    house.people.link("P3", make.patient("FIRMINY", "FIR1"))
    found = ask(house, patient_id=make.patient("ROANNE", "ROA1"))
    assert "new chest X-ray" not in names(found, studies)
    assert names(ask(house, study_uid=studies["new chest X-ray"].uid), studies) == ["new chest X-ray"]


def test_an_accession_number_of_another_issuer_names_nobody(house: Any, studies: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        ask(house, accession=accession("A-2024", "2.25.9"))


def test_a_study_that_two_patients_have_is_refused_and_not_guessed(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    series = replace(study.series[0], retrieve_location_uid="2.25.3002")
    make.published_study(
        house,
        replace(study, series=(series,)),
        patient_id=make.patient("REGION", "P2"),
        source_patient_id=make.patient("ROANNE", "ROA2"),
    )
    with pytest.raises(InvalidElement):
        ask(house, study_uid=study.uid)


def test_nothing_named_nothing_known_and_nothing_to_be_seen(house: Any, make: Any, studies: dict[str, Any]) -> None:
    with pytest.raises(MissingElement):
        ask(house)
    with pytest.raises(UnknownPatient):
        ask(house, patient_id=make.patient("ROANNE", "nobody"))
    with pytest.raises(NotFound):
        ask(house, study_uid="1.2.3")
    house.permit(lambda uow, facts: False)
    with pytest.raises(NotFound):
        ask(house, study_uid=studies["head CT"].uid)
