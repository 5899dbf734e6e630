"""The registry's transactions as a client sees them: an action and a body in, a body out; no sockets."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from ihe.caller import REGION
from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import Endpoint, SoapBinding, discover
from ihe.unit_of_work import Database
from ihe.values import Oid
from region.gateways import SoapGateways
from tests.xds_samples import REPOSITORY
from xds.application import XdsApplication
from xds.domain.communities import Communities
from xds.domain.imaging_sources import ImagingSources
from xds.ports import SameIdentifiers
from xds.services.gateway import Gateway
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.studies import Studies
from xds.store.content import DiskContent

HOME = "2.25.70"
"""homeCommunityId of the sample community."""


def application(registry: Registry, folder: Path) -> XdsApplication:
    """The registry with a repository beside it that keeps its bytes in ``folder``."""
    repository = Repository(registry, DiskContent(folder), Oid(REPOSITORY))
    return XdsApplication(registry, repository, Studies(registry, ImagingSources([])), alone())


def alone() -> Gateway:
    """The gateway of a community that knows no other."""
    return Gateway(Communities(Oid(HOME)), SoapGateways(), SameIdentifiers())


class RegistryClient:
    """Plays requests against the transaction files, each in a unit of work of its own, as the pipeline does."""

    def __init__(self, database: Database, application: XdsApplication) -> None:
        self.database = database
        self.application = application
        self.endpoints: dict[str, Endpoint] = {
            binding.action: endpoint
            for endpoint in discover("xds.transactions")
            for binding in endpoint.transaction.bindings
            if isinstance(binding, SoapBinding) and binding.path != "/ihe/gateway"
        }

    def send(self, action: str, body: etree._Element | str | bytes) -> etree._Element:
        """The body of the answer."""
        element = etree.fromstring(body) if isinstance(body, str | bytes) else body
        request = SoapRequest(action=action, body_element=element)
        endpoint = self.endpoints[action]
        try:
            question = endpoint.decode(request)
            with self.database.unit(REGION) as uow:
                context = Context(uow, self.application, endpoint.transaction)
                reply = endpoint.encode(endpoint.serve(question, context), request)
        except IheError as error:
            assert endpoint.refuse is not None
            reply = endpoint.refuse(error, request)
        return _body(reply)


def _body(reply: SoapReply) -> etree._Element:
    if reply.body_text is not None:
        return etree.fromstring(reply.body_text)
    assert reply.body_element is not None, reply.fault
    return reply.body_element
