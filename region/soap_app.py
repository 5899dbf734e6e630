"""The SOAP endpoints and their descriptions: every transaction's SOAP binding, one endpoint for each path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from starlette.routing import Route

from ihe.callbacks import CallbackRule
from ihe.caller import Caller
from ihe.peer import Peer
from ihe.serving import Pipeline
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.http import SoapEndpoint
from ihe.soap.mtom import MessageLimits
from ihe.soap.sinks import SinkFactory
from ihe.soap.wire import SoapWire
from ihe.soap.wsdl import WsdlEndpoint, services_of
from ihe.transaction import Endpoint, SoapBinding
from region.asynchronous_answers import AnsweringLater, operations


def soap_routes(
    endpoints: Iterable[Endpoint],
    pipeline: Pipeline,
    *,
    executor: Executor,
    waiting: Executor,
    authenticate: Callable[[SoapRequest, Peer], Caller],
    callbacks: CallbackRule,
    open_sink: SinkFactory,
    limits: MessageLimits,
) -> list[Route]:
    """The routes.

    Args:
        waiting: threads for paths whose answers wait for systems elsewhere.
        authenticate: who calls, from the message and the connection's peer.
        callbacks: to which addresses answers may be sent by themselves.
        open_sink: where documents go while they arrive.
        limits: what is refused.

    Raises:
        UndescribedElement: a binding names a body element that no schema declares.
    """
    known = list(endpoints)
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    bindings: dict[str, list[SoapBinding]] = defaultdict(list)
    for endpoint in known:
        for binding in endpoint.transaction.bindings:
            if isinstance(binding, SoapBinding):
                by_path[binding.path][binding.action] = endpoint
                bindings[binding.path].append(binding)
    later = AnsweringLater(operations(known), pipeline, authenticate, callbacks)
    routes = [
        Route(
            path,
            SoapEndpoint(
                bindings[path],
                _handler(by_action, pipeline, authenticate),
                waiting if any(each.transaction.waits for each in by_action.values()) else executor,
                open_sink,
                limits,
                later.take,
                is_brief=any(each.transaction.is_brief for each in by_action.values()),
            ),
            methods=["POST"],
        )
        for path, by_action in by_path.items()
    ]
    descriptions = WsdlEndpoint(services_of(endpoint.transaction for endpoint in known))
    return [*routes, Route("/wsdl/{name}", descriptions, methods=["GET", "HEAD"])]


def _handler(
    by_action: dict[str, Endpoint], pipeline: Pipeline, authenticate: Callable[[SoapRequest, Peer], Caller]
) -> Callable[[SoapRequest, Peer], SoapReply]:
    wire = SoapWire()

    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        return pipeline.run(by_action[request.action], wire, request, lambda: authenticate(request, peer))

    return handle
