"""Asks the gateways of other communities over SOAP (``xds.ports.Gateways``), and by which identifier.

Source: ITI TF-2: 3.38, 3.39; RAD TF-2: 4.75.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ihe.communities import Community
from ihe.errors import IheError
from ihe.soap.client import SoapClient, body_of
from ihe.soap.mtom import MessageLimits
from ihe.soap.sinks import SpoolSink
from ihe.unit_of_work import UnitOfWork
from ihe.values import Oid, PatientId
from ihe.xml import Element, XmlLimits, parse_xml
from region.region_table import RegionTable
from xds.domain.communities import CommunityAnswer
from xds.domain.document_set import DocumentRequest, ImagingRequest, Retrieval
from xds.ports import PatientDirectory
from xds.services.gateway import unavailable
from xds.transactions import iti38_cross_gateway_query as iti38
from xds.transactions import iti39_cross_gateway_retrieve as iti39
from xds.transactions import rad75_cross_gateway_retrieve_imaging_document_set as rad75
from xds.translate.ebxml_document_set import retrieve_request
from xds.translate.imaging_request import imaging_request
from xds.translate.xca import read_documents, read_query_answer

_QUERY_LIMITS: Final = XmlLimits(bytes=64 * 1024 * 1024)
_RETRIEVE_LIMITS: Final = MessageLimits(documents=1000)
_NO_ADDRESS: Final = "it has no address for this"
_NO_ANSWER: Final = "it could not be asked, or its answer could not be read"


class SoapGateways:
    """One message for each question."""

    def query(self, community: Community, request: bytes) -> CommunityAnswer:
        """Cross Gateway Query (ITI-38)."""
        if community.xca_query is None:
            return CommunityAnswer(True, (unavailable(community, _NO_ADDRESS),))
        try:
            with SoapClient(community.xca_query, community.timeout_seconds, _QUERY_LIMITS) as client:
                return read_query_answer(client.send(iti38.ACTION, parse_xml(request)), community)
        except IheError:
            return CommunityAnswer(True, (unavailable(community, _NO_ANSWER),))

    def retrieve(self, community: Community, requests: Sequence[DocumentRequest]) -> Retrieval:
        """Cross Gateway Retrieve (ITI-39); documents are spooled."""
        return self._fetched(community, community.xca_retrieve, iti39.ACTION, retrieve_request(requests))

    def retrieve_pictures(
        self, community: Community, requests: Sequence[ImagingRequest], syntaxes: Sequence[str]
    ) -> Retrieval:
        """Cross Gateway Retrieve Imaging Document Set (RAD-75); pictures are spooled."""
        request = imaging_request(requests, syntaxes)
        return self._fetched(community, community.xcai_retrieve, rad75.ACTION, request)

    def _fetched(self, community: Community, address: str | None, action: str, request: Element) -> Retrieval:
        """The documents that come as the answer to one message."""
        if address is None:
            return Retrieval((), (unavailable(community, _NO_ADDRESS),))
        sinks: list[SpoolSink] = []

        def open_sink() -> SpoolSink:
            sinks.append(SpoolSink())
            return sinks[-1]

        try:
            with SoapClient(address, community.timeout_seconds) as client:
                message = client.fetch(action, request, open_sink, _RETRIEVE_LIMITS)
            return read_documents(body_of(message.root), message.attachments, community)
        except IheError:
            for sink in sinks:
                sink.discard()
            return Retrieval((), (unavailable(community, _NO_ANSWER),))


KnownAs = Callable[[UnitOfWork, PatientId, Oid], PatientId | None]
"""The identifier by which the community of a homeCommunityId said that it knows a patient, or ``None``."""


@dataclass(frozen=True, slots=True)
class PatientsElsewhere:
    """Asks another community by the identifier that it told of (ITI-55); without one by the patient's INS, which all
    communities share; without that by the identifier asked.
    """

    table: RegionTable
    directory: PatientDirectory
    known_as: KnownAs

    def identifier_in(self, uow: UnitOfWork, community: Community, patient_id: PatientId) -> PatientId | None:
        """The identifier to ask with."""
        told = self.known_as(uow, patient_id, community.home_community_id)
        if told is not None:
            return told
        if patient_id.authority.oid is None or not self.directory.knows_authority(patient_id):
            return patient_id
        person = self.directory.resolve(uow, patient_id)
        national = sorted(
            (each for each in (person.identifiers if person else ()) if self._is_national(each)),
            key=lambda each: each.xds_cx,
        )
        return national[0] if national else patient_id

    def _is_national(self, patient_id: PatientId) -> bool:
        domain = self.table.by_authority(patient_id.authority)
        return domain is not None and domain.is_ins
