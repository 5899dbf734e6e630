"""What may not be read is not there: no entry, no reference, no association that names it, no other count."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from ihe.caller import REGION
from ihe.errors import TooMany
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import Code
from tests.xds_samples import SampleDirectory, entry, folder, member, pid, relation, submission
from xds.domain.criteria import DocumentCriteria, FolderCriteria, SetCriteria
from xds.domain.model import AssociationType
from xds.domain.registered import RegisteredAssociation
from xds.services import find, get
from xds.services.access import DocumentFacts
from xds.services.get import Named
from xds.services.register import register
from xds.services.registry import Registry
from xds.services.visibility import readable_ids, visible

ANNE = pid("A-1")
SECRET = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13")


def not_masked(uow: UnitOfWork, document: DocumentFacts) -> bool:
    return "MASQUE_PS^^1.2.250.1.213.1.1.4.13" not in document.confidentiality_codes


@pytest.mark.parametrize("leaf_class", [True, False])
def test_a_masked_document_leaves_no_trace(database_url: str, leaf_class: bool) -> None:
    engine = create_engine(database_url)
    registry = Registry(SampleDirectory(anne=[ANNE]), may_read=not_masked)
    plain = entry("plain", ANNE)
    masked = entry("masked", ANNE, confidentiality_codes=(*plain.confidentiality_codes, SECRET))
    link = relation(AssociationType.APPENDS, "masked", "plain")
    with Database(engine).unit(REGION) as uow:
        register(uow, submission(ANNE, plain, masked, associations=[link]), registry)
        criteria = DocumentCriteria()
        (found,) = find.find_documents(uow, registry, ANNE, criteria)
        assert found.object.unique_id == plain.unique_id
        (reference,) = find.find_document_references(uow, registry, ANNE, criteria)
        assert reference.id == found.object.id

        both = get.entries_and_associations(
            uow, Named(unique_ids=[plain.unique_id or "", masked.unique_id or ""]), ("Approved",)
        )
        answered = [each.object for each in get.returned(uow, registry, both, leaf_class=leaf_class)]
        assert [each.id for each in answered if not isinstance(each, RegisteredAssociation)] == [reference.id]
        (membership,) = [each for each in answered if isinstance(each, RegisteredAssociation)]
        assert membership.target == reference.id
    engine.dispose()


def test_what_is_withheld_does_not_count_towards_the_bound_on_results(database_url: str) -> None:
    engine = create_engine(database_url)
    registry = Registry(SampleDirectory(anne=[ANNE]), may_read=not_masked, max_results=2)
    plain = [entry(f"plain{number}", ANNE) for number in range(2)]
    codes = (*plain[0].confidentiality_codes, SECRET)
    masked = [entry(f"masked{number}", ANNE, confidentiality_codes=codes) for number in range(9)]
    criteria = DocumentCriteria()
    with Database(engine).unit(REGION) as uow:
        register(uow, submission(ANNE, *masked, *plain), registry)
        found = find.find_documents(uow, registry, ANNE, criteria)
        assert {each.object.unique_id for each in found} == {each.unique_id for each in plain}
        assert len(find.find_document_references(uow, registry, ANNE, criteria)) == 2
        named = get.entries(uow, Named(unique_ids=[each.unique_id or "" for each in (*masked, *plain)]))
        assert len(get.returned(uow, registry, named, leaf_class=True)) == 2
        register(uow, submission(ANNE, entry("third", ANNE)), registry)
        with pytest.raises(TooMany):
            find.find_documents(uow, registry, ANNE, criteria)
    engine.dispose()


def test_a_submission_set_of_masked_documents_only_is_not_there(database_url: str) -> None:
    engine = create_engine(database_url)
    registry = Registry(SampleDirectory(anne=[ANNE]), may_read=not_masked)
    plain = entry("plain", ANNE)
    masked = [entry(f"masked{n}", ANNE, confidentiality_codes=(*plain.confidentiality_codes, SECRET)) for n in range(2)]
    hidden, mixed = submission(ANNE, masked[0]), submission(ANNE, masked[1], plain)
    with Database(engine).unit(REGION) as uow:
        register(uow, hidden, registry)
        register(uow, mixed, registry)
        (found,) = find.find_submission_sets(uow, registry, ANNE, SetCriteria())
        assert found.object.unique_id == mixed.submission_set.unique_id
        named = Named(unique_ids=[hidden.submission_set.unique_id or "", mixed.submission_set.unique_id or ""])
        (listed,) = get.returned(uow, registry, get.lists(uow, named), leaf_class=True)
        assert listed.object.id == found.object.id
    engine.dispose()


def test_a_folder_of_masked_documents_only_is_not_there_nor_what_leads_to_it(database_url: str) -> None:
    engine = create_engine(database_url)
    registry = Registry(SampleDirectory(anne=[ANNE]), may_read=not_masked)
    plain = entry("plain", ANNE)
    masked = entry("masked", ANNE, confidentiality_codes=(*plain.confidentiality_codes, SECRET))
    full, secret, bare = folder("full", ANNE), folder("secret", ANNE), folder("bare", ANNE)
    links = [member("full", "plain"), member("full", "masked"), member("secret", "masked")]
    members = [member("set", each.id) for each in links]
    sent = submission(ANNE, plain, masked, folders=[full, secret, bare], associations=[*links, *members])
    with Database(engine).unit(REGION) as uow:
        register(uow, sent, registry)
        found = find.find_folders(uow, registry, ANNE, FolderCriteria(statuses=("Approved",)))
        assert {each.object.unique_id for each in found} == {full.unique_id, bare.unique_id}

        whole = get.submission_set_and_contents(
            uow, Named(unique_ids=[sent.submission_set.unique_id or ""]), DocumentCriteria(), ("Approved",)
        )
        answered = {each.object.id: each.object for each in get.returned(uow, registry, whole, leaf_class=True)}
        told = [each for each in answered.values() if isinstance(each, RegisteredAssociation)]
        # The set holds a document, two folders and one membership between them: four memberships, and that one.
        assert len(told) == 5
        assert {end for each in told for end in (each.source, each.target)} <= answered.keys()

        hidden = [each.id for each in get.lists(uow, Named(unique_ids=[secret.unique_id or ""]))]
        assert len(hidden) == 1
        assert readable_ids(uow, registry, hidden) == []
        named = get.folders(uow, Named(unique_ids=[full.unique_id or ""]))
        around = get.associations(uow, [each.id for each in named], ("Approved",))
        assert len(visible(uow, registry, around)) < len(around)
    engine.dispose()
