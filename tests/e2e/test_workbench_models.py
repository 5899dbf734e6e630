"""The administrator puts a match model in force and takes that back; drift is measured; nobody else may."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from ihe.caller import REGION as REGION_CALLER
from mpi.domain.default_models import default_french, generic
from mpi.domain.identity import RecordKey, Traits
from mpi.services.feed_record import feed_record
from mpi.store import models, quality
from tests.workbench_browser import feed_look_alikes
from tests.workbench_desk import demonstration, enter

HUGO, MAUD = "899700000086", "899700000052"


def _token(client: httpx.Client) -> str:
    return str(re.findall(r'name="form_token" value="(\w+)"', client.get("/quality").text)[0])


def test_a_model_is_put_in_force_with_a_reason_and_taken_back(module_database_url: str, tmp_path: Path) -> None:
    with demonstration(module_database_url, tmp_path) as (base, service):
        with service.database.unit(REGION_CALLER) as uow:
            for model in (default_french(), generic()):
                models.add(uow.connection, model, note="kept by a test", now=uow.now)
        version = generic().version

        def in_force() -> str | None:
            with service.database.unit(REGION_CALLER) as uow:
                return next((m.version for m in models.listed(uow.connection) if m.active), None)

        with httpx.Client(base_url=base) as client:
            enter(client, MAUD)
            steward = {"form_token": _token(client), "version": version, "reason": "better"}
            assert client.post("/settings/model", data=steward).status_code == 403
        with httpx.Client(base_url=base) as client:
            enter(client, HUGO)
            form = {"form_token": _token(client), "version": version}
            assert client.post("/settings/model", data=form).status_code == 400
            for chosen in (default_french().version, version):
                asked = {**form, "version": chosen, "reason": "shadow run was good"}
                assert client.post("/settings/model", data=asked).status_code == 303
            assert in_force() == version
            page = client.get("/settings", headers={"accept-language": "fr"}).text
            assert "Un autre modèle sera en vigueur" in page
            (event,) = re.findall(r'name="event" value="(\d+)"', page)
            back = {"form_token": form["form_token"], "event": event}
            assert client.post("/settings/model/undo", data=back).status_code == 303
            assert in_force() == default_french().version
            assert client.post("/settings/model/undo", data=back).status_code == 409


def test_quality_is_measured_by_site_with_definitions_and_csv(database_url: str, tmp_path: Path) -> None:
    with demonstration(database_url, tmp_path) as (base, service):
        feed_look_alikes(service, 30)
        with service.database.unit(REGION_CALLER) as uow:
            stated = uow.now - timedelta(minutes=90)
            feed_record(uow, service.mpi, RecordKey("ICL", "I1"), Traits(), source_updated_at=stated)
        with service.engine.begin() as connection:
            quality.measure_daily(service.mpi.model, connection, datetime.now(UTC))
            quality.keep(connection, datetime.now(UTC).date(), {"drift": 0.04, "drift.family": 0.04})
        with httpx.Client(base_url=base, headers={"accept-language": "fr"}) as client:
            enter(client, MAUD)
            page = client.get("/quality").text
            told = client.get("/quality/measures.csv").text
        for text in (
            "Dérive du modèle",
            "Indice de stabilité",
            "Retard du flux",
            "Traits manquants",
            "Notifications abandonnées",
        ):
            assert text in page
        assert re.search(r"\d{4}-\d\d-\d\d,ROANNE,missing\.place,1\.0", told)
        assert re.search(r",REGION,missing\.place,0\.5\d", told)
        assert re.search(r",ICL,feed_delay_minutes,90\.0", told)
        assert re.search(r",REGION,drift\.family,0\.04", told)
