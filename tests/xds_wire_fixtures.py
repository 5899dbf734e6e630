"""A registry with two known patients behind its transactions, for the tests of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree
from sqlalchemy import create_engine

from ihe.unit_of_work import Database
from ihe.values import PatientId
from tests.xds_samples import REGION_OID, SITE_A_OID, SITE_B_OID, SampleDirectory, pid
from tests.xds_wire import RegistryClient, application
from xds.application import load_value_sets
from xds.domain.model import Submission
from xds.services.registry import Registry
from xds.translate.ebxml_request import submission_request
from xds.translate.ebxml_vocabulary import QUERY, RIM, RS

ANNE = pid("anne", REGION_OID)
ANNE_A = pid("A-1", SITE_A_OID)
ANNE_B = pid("B-1", SITE_B_OID)
BERTHE_A = pid("A-2", SITE_A_OID)
APPROVED = "'urn:oasis:names:tc:ebxml-regrep:StatusType:Approved'"
DEPRECATED = "'urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated'"

REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
REGISTER_ON_DEMAND = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"
UPDATE = "urn:ihe:iti:2010:UpdateDocumentSet"
RESTRICTED_UPDATE = "urn:ihe:iti:2018:RestrictedUpdateDocumentSet"
REMOVE = "urn:ihe:iti:2010:DeleteDocumentSet"
ASK = "urn:ihe:iti:2007:RegistryStoredQuery"
ASK_SEVERAL = "urn:ihe:iti:2009:MultiPatientStoredQuery"

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"


@dataclass
class Wire:
    """What the tests of the registry's transactions send and read."""

    client: RegistryClient
    directory: SampleDirectory

    def submit(self, submission: Submission, action: str = REGISTER) -> list[tuple[str, str]]:
        """The errors and warnings of the answer; a success has none of severity Error."""
        answer = self.client.send(action, submission_request(submission))
        errors = [
            (each.get("errorCode", ""), each.get("location", "")) for each in answer.iter(f"{{{RS}}}RegistryError")
        ]
        assert (answer.get("status", "").endswith(":Success")) == (not errors)
        return errors

    def ask(
        self,
        query: str,
        *parameters: tuple[str, str],
        return_type: str = "LeafClass",
        action: str = ASK,
    ) -> etree._Element:
        """The answer to a stored query."""
        body = etree.Element(f"{{{QUERY}}}AdhocQueryRequest")
        etree.SubElement(body, f"{{{QUERY}}}ResponseOption", returnType=return_type, returnComposedObjects="true")
        inner = etree.SubElement(body, f"{{{RIM}}}AdhocQuery", id=query)
        for name, value in parameters:
            slot = etree.SubElement(inner, f"{{{RIM}}}Slot", name=name)
            etree.SubElement(etree.SubElement(slot, f"{{{RIM}}}ValueList"), f"{{{RIM}}}Value").text = value
        return self.client.send(action, body)

    def documents_of(self, patient_id: PatientId, status: str = APPROVED) -> list[etree._Element]:
        """The entries that FindDocuments answers."""
        answer = self.ask(
            FIND_DOCUMENTS,
            ("$XDSDocumentEntryPatientId", f"'{patient_id.xds_cx}'"),
            ("$XDSDocumentEntryStatus", f"({status})"),
        )
        assert answer.get("status", "").endswith(":Success")
        return list(answer.iter(f"{{{RIM}}}ExtrinsicObject"))


def identifier_of(entry: etree._Element, attribute: str) -> str:
    """The value of an external identifier, by its attribute's name."""
    (value,) = [
        each.get("value", "")
        for each in entry.iterchildren(f"{{{RIM}}}ExternalIdentifier")
        if each.findtext(f"{{{RIM}}}Name") is not None
        and each.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString").get("value").endswith(f".{attribute}")
    ]
    return value


@pytest.fixture
def wire(database_url: str, tmp_path: Path) -> Iterator[Wire]:
    engine = create_engine(database_url)
    directory = SampleDirectory(anne=[ANNE_A, ANNE_B], berthe=[BERTHE_A])
    registry = Registry(directory, load_value_sets())
    yield Wire(RegistryClient(Database(engine), application(registry, tmp_path)), directory)
    engine.dispose()
