"""A registry whose region has another index: its own patient feed, merges, and ITI-64 that moves documents."""

from __future__ import annotations

import pytest
from hl7.client import MLLPClient

from ihe.soap.client import SoapClient
from ihe.xml import parse_xml
from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_documents_by_zeep import SUCCESS, submission, uid
from tests.e2e.test_documents_by_zeep import Site as WholeSite
from tests.hl7v3_wire import Answer, feed, ii


class Site(WholeSite):
    """A partner; the other index is one too."""

    def tell(self, event: str, ids: str, mrg: str = "", version: str = "2.3.1") -> str:
        """Send an ADT of the other index; returns MSA-1."""
        self.messages += 1
        segments = [
            f"MSH|^~\\&|INDEX|OTHER|REG|REGION|20260115||ADT^{event}|X{self.messages}|P|{version}",
            "EVN||20260115",
            f"PID|||{ids}||FICTIF^PATIENT",
            *([f"MRG|{mrg}"] if mrg else []),
            "",
        ]
        with MLLPClient(self.running.host, self.running.mllp_port) as client:
            answer = client.send_message("\r".join(segments)).decode()
        return answer.split("MSA|")[1][:2]

    def rid(self, value: str) -> str:
        return self.cx("REGION", value)

    def register(self, patient_id: str, source_id: str) -> tuple[str, str]:
        unique_id = uid()
        answer = self.repository["DocumentRepository_ProvideAndRegisterDocumentSet-b"](
            SubmitObjectsRequest=submission(patient_id, source_id, unique_id),
            Document=[{"_value_1": unique_id.encode(), "id": "doc"}],
        )
        return unique_id, answer.status if answer.status == SUCCESS else self.code_of(answer)

    @staticmethod
    def code_of(answer: object) -> str:
        return answer.RegistryErrorList.RegistryError[0].errorCode


@pytest.fixture
def site(database_url, tmp_path):
    with serving(database_url, load_region(REGION), tmp_path / "documents", has_other_index=True) as running:
        yield Site(running)


def test_a_fed_patient_has_documents_and_a_merge_joins_them(site):
    assert site.register(site.rid("X1"), site.cx("CHUSE", "C1"))[1] == "XDSUnknownPatientId"
    local = "C1^^^CHUSE&2.25.263951644046489990395051064802102456825&ISO"
    assert site.tell("A01", f"{local}~{site.rid('X1')}") == "AA"
    assert site.tell("A04", site.rid("X2")) == "AA"
    assert site.tell("A08", site.rid("X3")) == "AA"  # an update tells the registry nothing
    assert site.register(site.rid("X3"), site.cx("CHUSE", "C1"))[1] == "XDSUnknownPatientId"
    first, status = site.register(site.rid("X1"), site.cx("CHUSE", "C1"))
    assert status == SUCCESS
    second, _ = site.register(site.rid("X2"), site.cx("ROANNE", "R1"))
    assert site.found_ids(site.rid("X1")) == {first}

    for ids, mrg in ((site.rid("X1"), site.rid("X1")), (site.rid("X1"), site.rid("NEVER")), (local, site.rid("X2"))):
        assert site.tell("A40", ids, mrg) == "AE"
    assert site.tell("A40", site.rid("X1"), site.rid("X2")) == "AA"
    assert site.found_ids(site.rid("X1")) == {first, second}
    assert site.found_ids(site.rid("X2")) == set()
    assert site.register(site.rid("X2"), site.cx("ROANNE", "R1"))[1] == "XDSUnknownPatientId"
    assert site.tell("A40", site.rid("X1"), site.rid("X2")) == "AE"
    assert site.tell("A05", site.rid("X4")) == "AA"
    assert site.tell("A40", site.rid("X4"), site.rid("X1")) == "AA"
    assert site.found_ids(site.rid("X4")) == {first, second}


def test_a_link_change_moves_what_came_from_a_local_patient_and_moves_it_back(site):
    for each in ("X1", "X2"):
        assert site.tell("A01", site.rid(each)) == "AA"
    moved, _ = site.register(site.rid("X1"), site.cx("CHUSE", "C1"))
    stays, _ = site.register(site.rid("X1"), site.cx("ROANNE", "R1"))
    change = f"{site.rid('X2')}~{site.cx('CHUSE', 'C1')}"
    assert site.tell("A43", f"{site.rid('X9')}~{site.cx('CHUSE', 'C1')}", site.rid("X1"), "2.5") == "AE"
    assert site.tell("A43", change, site.rid("X1"), "2.5") == "AA"
    assert site.found_ids(site.rid("X1")) == {stays}
    assert site.found_ids(site.rid("X2")) == {moved}
    assert site.found_ids(site.cx("CHUSE", "C1")) == {moved}
    back = f"{site.rid('X1')}~{site.cx('CHUSE', 'C1')}"
    assert site.tell("A43", back, site.rid("X2"), "2.5") == "AA"
    assert site.found_ids(site.rid("X1")) == {moved, stays}
    assert site.found_ids(site.rid("X2")) == set()


def test_a_v3_feed_reaches_the_registry(site):
    region = str(site.running.table.region.oid)
    with SoapClient(f"{site.running.base_url}/ihe/registry") as client:
        for name, value, kind in (("PRPA_IN201301UV02", "V1", "AA"), ("PRPA_IN201302UV02", "V2", "AA")):
            answer = client.send(f"urn:hl7-org:v3:{name}", parse_xml(feed(name, ii(region, value))))
            assert Answer(answer).status == (kind, "")
    assert site.register(site.rid("V1"), site.cx("CHUSE", "C1"))[1] == SUCCESS
    assert site.register(site.rid("V2"), site.cx("CHUSE", "C1"))[1] == "XDSUnknownPatientId"
