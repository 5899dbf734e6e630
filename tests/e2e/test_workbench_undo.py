"""A vote makes a link, its undo takes it back: cross-references, studies, tasks, and what consumers are told."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from ihe.caller import Caller
from ihe.values import AssigningAuthority, PatientId
from mpi.domain.identity import RecordKey
from mpi.services.feed_record import feed_record
from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_notifications_pix_update import with_consumers
from tests.imaging_region import CT, provide_manifest
from tests.mllp_consumer import Consumer, local, wait_for
from tests.unit.mpi.services.test_answer_task import MARIE, NEARLY
from tests.workbench_desk import enter
from tests.xds_repository import make_study, new_uid
from web.application import Workbench
from web.people import load_people
from xds.domain.imaging import ImagingSeries, Instance
from xds.services.studies import priors

CAMILLE, NOE = "899700000011", "899700000029"


class Steward:
    def __init__(self, base: str, subject: str) -> None:
        self.client = httpx.Client(base_url=base, headers={"accept-language": "fr"})
        enter(self.client, subject)

    def page(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **form: str) -> str:
        token = re.findall(r'name="form_token" value="(\w+)"', self.page("/worklist"))[0]
        answer = self.client.post(path, data={"form_token": token, **form})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


def test_a_vote_its_undo_and_another_vote(database_url: str, tmp_path: Path) -> None:
    with Consumer() as roanne, Consumer() as chuse:
        table = with_consumers(load_region(REGION), ROANNE=roanne.port, CHUSE=chuse.port)
        people = load_people(REGION.parent / "people.toml", [domain.code for domain in table])
        workbench = Workbench(region=table.name, people=people, demo_login=True)
        with serving(database_url, table, tmp_path / "documents", workbench=workbench) as running:
            service = running.service
            for key, traits in ((RecordKey("CHUSE", "C1"), MARIE), (RecordKey("ROANNE", "R1"), NEARLY)):
                with service.database.unit(Caller("test")) as uow:
                    feed_record(uow, service.mpi, key, traits)
            series = ImagingSeries(uid=new_uid(), instances=(Instance(CT, new_uid()),), modality="CT")
            study = make_study(series=(series,))
            provide_manifest(service, table.by_code("CHUSE"), "C1", study)

            def studies_at_roanne() -> list[str]:
                asked = PatientId("R1", AssigningAuthority(oid=table.by_code("ROANNE").oid))
                with service.database.unit(Caller("viewer", "ROANNE", roles=frozenset({"system"}))) as uow:
                    return [each.uid for each in priors(uow, asked, service.xds.studies)]

            noe, camille = Steward(running.base_url, NOE), Steward(running.base_url, CAMILLE)
            (task,) = re.findall(r'class="row" href="/tasks/(\d+)', camille.page("/worklist"))
            wait_for(lambda: bool(roanne.told()) and local(roanne.told()[-1]) == {"R1"})
            assert studies_at_roanne() == []

            camille.post(f"/tasks/{task}/answer", answer="same", reason="reason.papers")
            onward = noe.post(f"/tasks/{task}/answer", answer="same", reason="reason.papers")
            decided = re.findall(r"done=(\d+)", onward)[0]
            wait_for(lambda: local(roanne.told()[-1]) == local(chuse.told()[-1]) == {"R1", "C1"})
            assert studies_at_roanne() == [study.uid]
            assert "0</b>" in re.findall(r"Toutes <b>.*?</b>", camille.page("/worklist"))[0]

            noe.post(f"/steps/{decided}/undo", reason="mistaken", back="/worklist", with_dependants="1")
            wait_for(lambda: local(roanne.told()[-1]) == {"R1"} and local(chuse.told()[-1]) == {"C1"})
            assert studies_at_roanne() == []
            page = camille.page(f"/tasks/{task}")
            assert "Vote en cours" in page
            assert page.count('class="withdrawn"') == 1, (
                "the vote that completed the decision is withdrawn, the other counts"
            )

            person = re.findall(r'href="(/persons/\d+)"', noe.page(f"/tasks/{task}"))[0]
            history = noe.page(person)
            assert "Décision" in history
            wait_for(lambda: "waiting" not in noe.page(person))
            assert history.count("ITI-10") >= 3, "told of the first arrival, of the link, and of its undo"

            noe.post(f"/tasks/{task}/answer", answer="same", reason="reason.papers")
            wait_for(lambda: local(roanne.told()[-1]) == local(chuse.told()[-1]) == {"R1", "C1"})
            assert studies_at_roanne() == [study.uid]
            noe.client.close()
            camille.client.close()
