"""Wires the service together, once: database, applications, pipeline, routers.

The only place where the packages meet; everything below gets what it needs handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine

from ihe.caller import Caller
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.listener import Peer
from ihe.hl7v2.wire import Hl7v2Router
from ihe.http import HttpRequest
from ihe.outbox import Dispatcher, Subscriber
from ihe.serving import Pipeline
from ihe.transaction import Endpoint, discover, refuse_shared_bindings
from ihe.unit_of_work import Database
from mpi.api import Directory
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from region.metrics import Metrics
from region.region_table import RegionTable
from web import json_api
from web.application import WebApplication


@dataclass(frozen=True, slots=True)
class Service:
    """The service, wired and not yet listening.

    Attributes:
        table: domains of the region.
        endpoints: all transactions and JSON calls.
        subscribers: who gets outbox events.
    """

    table: RegionTable
    engine: Engine
    database: Database
    mpi: MpiApplication
    directory: Directory
    endpoints: tuple[Endpoint, ...]
    pipeline: Pipeline
    metrics: Metrics
    hl7v2: Hl7v2Router
    dispatcher: Dispatcher
    authenticate_http: Callable[[HttpRequest, str], Caller]

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()


def build_service(
    database_url: str,
    table: RegionTable,
    *,
    policy: LinkPolicy | None = None,
    pool_size: int = 20,
    subscribers: Callable[[], list[Subscriber]] = list,
) -> Service:
    """Wire the service over a migrated database.

    Args:
        pool_size: connections kept open; the threads that serve need one each.

    Raises:
        TransactionFault: a transaction file is misnamed or broken, or two share a binding.
    """
    engine = create_engine(database_url, pool_size=pool_size, max_overflow=10, pool_timeout=30)
    database = Database(engine)
    mpi = MpiApplication(table, default_french(), policy or LinkPolicy.calibrated())
    directory = Directory(mpi)
    endpoints = (*discover("mpi.transactions", "xds.transactions"), *json_api.ENDPOINTS)
    refuse_shared_bindings(endpoints)
    metrics = Metrics(engine)
    applications: dict[str, Any] = {
        "mpi": mpi,
        "web": WebApplication(mpi),
    }
    pipeline = Pipeline(database, applications, metrics.observe)
    return Service(
        table=table,
        engine=engine,
        database=database,
        mpi=mpi,
        directory=directory,
        endpoints=endpoints,
        pipeline=pipeline,
        metrics=metrics,
        hl7v2=Hl7v2Router(endpoints, pipeline, _hl7v2_caller(table)),
        dispatcher=Dispatcher(engine, subscribers),
        authenticate_http=_http_caller,
    )


def _hl7v2_caller(table: RegionTable) -> Callable[[Message, Peer], Caller]:
    """A sender that the table names (MSH-3, MSH-4) acts for its domain; another acts for none."""

    def caller(message: Message, peer: Peer) -> Caller:
        domain = table.by_sender(*message.sender)
        return Caller(node=peer.host, site=domain.code if domain else None)

    return caller


def _http_caller(request: HttpRequest, peer: str) -> Caller:
    return Caller(node=peer)
