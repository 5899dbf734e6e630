"""Prior studies follow the person: by any identifier, over all sites, and never another's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from ihe.errors import UnknownAuthority, UnknownPatient
from xds.domain.imaging import ImagingSeries, Instance
from xds.domain.priors import PriorStudy
from xds.services.studies import priors, series_of
from xds.store import imaging
from xds.translate.kos_writer import build_kos


def ask(house: Any, make: Any, site: str, value: str) -> list[PriorStudy]:
    with house.unit() as uow:
        return priors(uow, make.patient(site, value), house.studies)


def uids(found: list[PriorStudy]) -> list[str]:
    return [study.uid for study in found]


def at_firminy(make: Any, **changes: Any) -> Any:
    series = replace(make.study().series[0], retrieve_location_uid="2.25.3002")
    return make.study(series=(series,), **changes)


@pytest.fixture
def two_sites(house: Any, make: Any) -> tuple[Any, Any]:
    """Two studies of P1, the later one at FIRMINY, and one of P2."""
    roanne, firminy = make.study(), at_firminy(make, date=date(2025, 1, 2))
    make.published_study(house, roanne)
    make.published_study(
        house,
        firminy,
        patient_id=make.patient("REGION", "P1"),
        source_patient_id=make.patient("FIRMINY", "FIR1"),
        service_start_time=None,
    )
    make.published_study(
        house,
        make.study(),
        patient_id=make.patient("REGION", "P2"),
        source_patient_id=make.patient("ROANNE", "ROA2"),
    )
    return roanne, firminy


@pytest.mark.parametrize(("site", "value"), [("REGION", "P1"), ("ROANNE", "ROA1"), ("FIRMINY", "FIR1")])
def test_any_identifier_finds_the_whole_history_latest_first(
    house: Any, make: Any, two_sites: Any, site: str, value: str
) -> None:
    roanne, firminy = two_sites
    found = ask(house, make, site, value)
    assert uids(found) == [firminy.uid, roanne.uid]
    assert [study.copies[0].source.site for study in found] == ["FIRMINY", "ROANNE"]
    assert found[1].facts.started_at == datetime(2024, 7, 14, 6, 30, tzinfo=UTC)
    assert found[1].facts.modalities == ("CT",)
    assert found[1].facts.header.ids[0].value == "ROA1"


def test_unlinking_takes_studies_away_at_once_and_linking_brings_them_back(
    house: Any, make: Any, two_sites: Any
) -> None:
    roanne, firminy = two_sites
    house.people.link("P3", make.patient("FIRMINY", "FIR1"))
    assert uids(ask(house, make, "ROANNE", "ROA1")) == [roanne.uid]
    assert uids(ask(house, make, "FIRMINY", "FIR1")) == [firminy.uid]
    house.people.link("P1", make.patient("FIRMINY", "FIR1"))
    assert uids(ask(house, make, "ROANNE", "ROA1")) == [firminy.uid, roanne.uid]


def test_an_unknown_patient_and_an_unknown_domain_are_said(house: Any, make: Any) -> None:
    with pytest.raises(UnknownPatient):
        ask(house, make, "ROANNE", "nobody")
    with pytest.raises(UnknownAuthority):
        ask(house, make, "ELSEWHERE", "ROA1")


def test_a_patient_without_studies_has_none(house: Any, make: Any) -> None:
    assert ask(house, make, "REGION", "P2") == []


def test_a_deprecated_manifest_says_nothing(house: Any, make: Any, two_sites: Any) -> None:
    with house.unit() as uow:
        uow.connection.execute(text("UPDATE document_entry SET status = 'Deprecated'"))
    assert ask(house, make, "ROANNE", "ROA1") == []


def test_a_source_that_forgets_to_replace_has_one_current_manifest(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    longer = replace(study, series=(*study.series, ImagingSeries(uid="2.25.7", instances=(Instance("1.2", "2.25.8"),))))
    newer = make.manifest(longer, created_at=datetime(2024, 7, 15, tzinfo=UTC))
    house.provide((make.manifest_entry(newer), build_kos(newer)))
    (found,) = ask(house, make, "ROANNE", "ROA1")
    assert len(found.copies) == 1
    assert (found.facts.series_count, found.facts.document_unique_id) == (2, newer.uid)


def test_an_empty_newer_manifest_takes_the_study_away(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    empty = make.manifest(replace(study, series=()), created_at=datetime(2024, 7, 15, tzinfo=UTC))
    house.provide((make.manifest_entry(empty), build_kos(empty)))

    assert ask(house, make, "ROANNE", "ROA1") == []


def test_a_study_at_two_sites_is_one_study_with_two_copies(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    copy = at_firminy(make, uid=study.uid)
    make.published_study(house, copy, source_patient_id=make.patient("FIRMINY", "FIR1"))
    (found,) = ask(house, make, "ROANNE", "ROA1")
    assert {each.source.site for each in found.copies if each.source} == {"ROANNE", "FIRMINY"}


def test_where_to_fetch_comes_from_the_manifest_else_from_the_table_of_sites(house: Any, make: Any) -> None:
    series = replace(make.study().series[0], retrieve_location_uid=None)
    url = "https://firminy.example.org/dicom-web/studies/1.2/series/3.4"
    silent, stated = make.study(series=(series,)), make.study(series=(replace(series, retrieve_url=url),))
    make.published_study(house, silent)
    make.published_study(house, stated)
    copies = {study.uid: study.copies[0] for study in ask(house, make, "ROANNE", "ROA1")}
    assert copies[silent.uid].retrieve_url == f"https://roanne.example.org/dicom-web/studies/{silent.uid}"
    assert copies[silent.uid].retrieve_location_uid == "2.25.3001"
    assert copies[stated.uid].source.site == "FIRMINY"
    assert copies[stated.uid].retrieve_url == "https://firminy.example.org/dicom-web/studies/1.2"


def test_a_masked_newest_manifest_is_not_replaced_by_an_older_one(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    newer = make.manifest(study, created_at=datetime(2024, 7, 15, tzinfo=UTC))
    house.provide((make.manifest_entry(newer), build_kos(newer)))
    house.permit(lambda uow, facts: facts.unique_id != newer.uid)
    assert ask(house, make, "ROANNE", "ROA1") == []


def test_one_round_trip_whatever_the_number_of_studies(
    house: Any, make: Any, two_sites: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[Any] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: Any, statement: Any, *arguments: Any, **named: Any) -> Any:
        statements.append(statement)
        return execute(cursor, statement, *arguments, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    assert len(ask(house, make, "ROANNE", "ROA1")) == 2
    assert len(statements) == 1


def test_series_come_as_the_manifest_lists_them(house: Any, make: Any, two_sites: Any) -> None:
    roanne, firminy = two_sites
    with house.unit() as uow:
        found = priors(uow, make.patient("ROANNE", "ROA1"), house.studies)
        series = series_of(uow, found)
    assert series == {roanne.uid: roanne.series, firminy.uid: firminy.series}


def test_only_the_series_and_instances_of_a_manifest_are_listed(house: Any, make: Any, two_sites: Any) -> None:
    roanne, firminy = two_sites
    with house.unit() as uow:
        found = {study.uid: study.facts.row_id for study in priors(uow, make.patient("ROANNE", "ROA1"), house.studies)}
        series = roanne.series[0]
        instance = series.instances[-1].sop_instance_uid
        row = found[roanne.uid]
        assert imaging.is_listed(uow, row, series.uid, None)
        assert imaging.is_listed(uow, row, series.uid, instance)
        assert not imaging.is_listed(uow, row, series.uid, "2.25.999")
        assert not imaging.is_listed(uow, row, "2.25.999", instance)
        assert not imaging.is_listed(uow, found[firminy.uid], series.uid, None)
