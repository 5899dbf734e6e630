"""Documents made at retrieval: each time anew, kept as snapshots where wanted, or assembled once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
from lxml import etree

from ihe.caller import Caller
from ihe.errors import UnknownPatient
from ihe.values import Code
from tests.xds_repository import REPOSITORY
from xds.domain.criteria import DocumentCriteria
from xds.domain.document_set import DocumentRequest, MadeContent
from xds.domain.model import AssociationType, DocumentKind
from xds.services import find, get
from xds.services.get import Named
from xds.services.history_document import FORMAT, HistoryCreator, offer_history
from xds.services.register import register
from xds.services.retrieve import retrieve
from xds.services.upkeep import check
from xds.translate.ebxml_stored import entry_of

NOTHING = hashlib.sha1(b"").hexdigest()
SECRET = Code("R", "2.16.840.1.113883.5.25")
V3 = {"c": "urn:hl7-org:v3"}


@dataclass
class Scribe:
    """Writes each document differently."""

    codes: tuple[Code, ...] = ()
    written: list[tuple[str, bytes]] = field(default_factory=list)

    def make(self, uow: Any, entry: Any, unique_id: str) -> MadeContent:
        data = b"edition %d" % (len(self.written) + 1)
        self.written.append((unique_id, data))
        return MadeContent(data, self.codes)


@pytest.fixture
def scribe(house: Any) -> Scribe:
    made = Scribe()
    house.repository = replace(house.repository, creator=made)
    return made


def registered(house: Any, make: Any, **changes: Any) -> str:
    """uniqueId of a document without bytes."""
    kind = changes.get("object_type", DocumentKind.STABLE)
    entry = make.entry(repository_unique_id=str(REPOSITORY), **changes)
    with house.unit() as uow:
        register(uow, make.submission(entry), house.registry, kind)
    return entry.unique_id


def on_demand(house: Any, make: Any) -> str:
    return registered(house, make, object_type=DocumentKind.ON_DEMAND, creation_time=None, hash=None, size=None)


def retrieved(house: Any, unique_id: str) -> Any:
    """The document and its bytes, or the code of the error."""
    with house.database.question(house.caller) as uow:
        found = retrieve(uow, [DocumentRequest(str(REPOSITORY), unique_id)], house.repository)
        if found.findings:
            return found.findings[0].code
        (document,) = found.documents
        return document, b"".join(document.blocks)


def entries(house: Any, unique_id: str) -> list[Any]:
    with house.unit() as uow:
        return [(each, entry_of(each)) for each in get.entries(uow, Named(unique_ids=[unique_id]))]


def links_to(house: Any, entry_id: str) -> list[Any]:
    with house.unit() as uow:
        return get.associations(uow, [entry_id], ("Approved",))


def test_an_on_demand_document_is_another_one_each_time(house: Any, make: Any, scribe: Scribe) -> None:
    unique_id = on_demand(house, make)
    first, second = retrieved(house, unique_id), retrieved(house, unique_id)
    assert [data for _, data in (first, second)] == [b"edition 1", b"edition 2"]
    ids = [document.new_unique_id for document, _ in (first, second)]
    assert ids == [new_id for new_id, _ in scribe.written]
    assert len({unique_id, *ids}) == 3
    assert {document.new_repository_unique_id for document, _ in (first, second)} == {None}
    assert retrieved(house, ids[0]) == "XDSDocumentUniqueIdError", "it was not kept"


def test_a_kept_one_is_a_snapshot_that_replaces_the_one_before(house: Any, make: Any, scribe: Scribe) -> None:
    house.repository = replace(house.repository, keeps_on_demand=True)
    house.caller = Caller("test", site="ROANNE")
    unique_id = on_demand(house, make)
    ((wanted, _),) = entries(house, unique_id)
    (first, _), (second, _) = retrieved(house, unique_id), retrieved(house, unique_id)
    assert {first.new_repository_unique_id, second.new_repository_unique_id} == {str(REPOSITORY)}
    again, data = retrieved(house, second.new_unique_id)
    assert (again.new_unique_id, data) == (None, b"edition 2")
    assert retrieved(house, first.new_unique_id)[1] == b"edition 1"
    ((old, _),), ((new, described),) = entries(house, first.new_unique_id), entries(house, second.new_unique_id)
    assert [each.status.rpartition(":")[2] for each in (old, new)] == ["Deprecated", "Approved"]
    assert (described.size, described.hash) == (9, hashlib.sha1(b"edition 2").hexdigest())
    assert described.creation_time is not None
    of_new = {(each.type, each.target) for each in links_to(house, new.id) if each.source == new.id}
    assert of_new == {(AssociationType.SNAPSHOT_OF, wanted.id), (AssociationType.REPLACES, old.id)}
    assert list(check(house.database, house.repository)) == []


def test_a_snapshot_is_as_confidential_as_what_went_into_it(house: Any, make: Any, scribe: Scribe) -> None:
    house.repository = replace(house.repository, keeps_on_demand=True)
    scribe.codes = (SECRET,)
    document, _ = retrieved(house, on_demand(house, make))
    ((_, described),) = entries(house, document.new_unique_id)
    assert SECRET in described.confidentiality_codes
    assert len(described.confidentiality_codes) == 2


def test_a_late_document_is_assembled_once_and_its_entry_updated(house: Any, make: Any, scribe: Scribe) -> None:
    unique_id = registered(house, make, hash=NOTHING.upper(), size=0)
    assert list(check(house.database, house.repository)) == []
    for _ in "twice":
        document, data = retrieved(house, unique_id)
        assert (document.new_unique_id, data) == (None, b"edition 1")
    versions = sorted(entries(house, unique_id), key=lambda each: each[0].version)
    assert [(each.size, each.status.rpartition(":")[2]) for each, _ in versions] == [(0, "Deprecated"), (9, "Approved")]
    assert versions[1][0].hash == hashlib.sha1(b"edition 1").hexdigest()
    assert list(check(house.database, house.repository)) == []


def test_nothing_is_made_for_who_may_not_read_it_or_of_what_nobody_makes(house: Any, make: Any, scribe: Scribe) -> None:
    unique_id = on_demand(house, make)
    allowed = house.repository
    house.permit(lambda uow, document: False)
    assert retrieved(house, unique_id) == "XDSDocumentUniqueIdError"
    assert scribe.written == []
    house.repository = replace(allowed, creator=HistoryCreator(house.studies, REPOSITORY, "Region"))
    assert retrieved(house, unique_id) == "XDSDocumentUniqueIdError"


@pytest.fixture
def historian(house: Any) -> Iterator[None]:
    house.repository = replace(house.repository, creator=HistoryCreator(house.studies, REPOSITORY, "Region"))
    return


def rows(data: bytes) -> list[list[str]]:
    root = etree.fromstring(data)
    return [[cell.text or "" for cell in row] for row in root.xpath("//c:tbody/c:tr", namespaces=V3)]


@pytest.mark.usefixtures("historian")
def test_the_imaging_history_is_of_the_moment_and_follows_identity(house: Any, make: Any) -> None:
    with house.unit() as uow:
        unique_id = offer_history(uow, make.patient("ROANNE", "ROA1"), house.repository, house.studies)
        assert offer_history(uow, make.patient("FIRMINY", "FIR1"), house.repository, house.studies) == unique_id
    _, data = retrieved(house, unique_id)
    assert rows(data) == []
    assert "Aucun examen" in data.decode()
    ours = replace(make.study(), date=date(2024, 3, 1), description="Scanner <thorax>")
    theirs = replace(make.study(), date=date(2026, 1, 5))
    make.published_study(house, ours, source_patient_id=make.patient("ROANNE", "ROA1"))
    make.published_study(house, theirs, source_patient_id=make.patient("FIRMINY", "FIR1"))
    document, data = retrieved(house, unique_id)
    assert sorted(row[-1] for row in rows(data)) == sorted([ours.uid, theirs.uid])
    assert {"01/03/2024", "05/01/2026"} == {row[0] for row in rows(data)}
    assert "Scanner <thorax>" in {row[3] for row in rows(data)}
    root = etree.fromstring(data)
    assert root.findtext("c:title", namespaces=V3) == "Historique d'imagerie"
    assert root.find("c:id", V3).get("root") == document.new_unique_id
    with house.unit() as uow:
        approved = DocumentCriteria(statuses=("Approved",))
        stable = find.find_documents(uow, house.registry, make.patient("ROANNE", "ROA1"), approved)
    assert unique_id not in {each.object.unique_id for each in stable}


@pytest.mark.usefixtures("historian")
def test_the_history_tells_nobody_of_studies_that_may_not_be_read(house: Any, make: Any) -> None:
    with house.unit() as uow:
        unique_id = offer_history(uow, make.patient("ROANNE", "ROA1"), house.repository, house.studies)
    shown, hidden = make.study(), make.study()
    make.published_study(house, shown, source_patient_id=make.patient("ROANNE", "ROA1"))
    code = (SECRET,)
    make.published_study(house, hidden, source_patient_id=make.patient("ROANNE", "ROA1"), confidentiality_codes=code)
    house.permit(lambda uow, document: "R^^2.16.840.1.113883.5.25" not in document.confidentiality_codes)
    creator = HistoryCreator(house.studies, REPOSITORY, "Region")
    house.repository = replace(house.repository, creator=creator, keeps_on_demand=True)
    document, data = retrieved(house, unique_id)
    assert [row[-1] for row in rows(data)] == [shown.uid]
    ((_, described),) = entries(house, document.new_unique_id)
    assert SECRET not in described.confidentiality_codes
    assert described.format_code == FORMAT


@pytest.mark.usefixtures("historian")
def test_a_history_is_offered_of_known_patients_only(house: Any, make: Any) -> None:
    with house.unit() as uow, pytest.raises(UnknownPatient):
        offer_history(uow, make.patient("ROANNE", "NOBODY"), house.repository, house.studies)
