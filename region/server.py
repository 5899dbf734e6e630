"""The listening service: HTTP and MLLP in one event loop, requests served in one pool of threads.

Several worker processes may accept from the same sockets (:mod:`ihe.shared_listener`); they share nothing else but the
database.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import ssl
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import FrameType
from typing import cast

import psycopg
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import APPLICATION_START, APPLICATION_STOP
from ihe.handshake import Handshaking, Refused, ignored, serve_accepted
from ihe.hl7v2.listener import Limits, MllpListener
from ihe.shared_listener import Accepting, SharedListener
from ihe.soap.mtom import DEFAULT_MESSAGE_LIMITS
from region import beside
from region.bootstrap import Service
from region.handshake_alerts import HandshakeAlerts
from region.http_app import build_http_app
from region.http_protocol import CONNECTIONS, BoundedHttpProtocol
from region.huge_pages import use_huge_pages
from region.soap_app import soap_routes
from web.viewer import viewer_routes
from web.workbench import workbench_routes

_WAITING = 64
"""Threads for requests whose answers wait for archives and other communities."""
_OBJECTS_BETWEEN_COLLECTIONS = 20_000
_STREAMS = 64
"""Pieces of streamed answers fetched at once; each thread may wait for an archive."""


@dataclass(frozen=True, slots=True)
class SharedListeners:
    """The sockets of both listeners, as one of the processes has them that accept from them."""

    http: SharedListener
    mllp: SharedListener

    @classmethod
    def bound(cls, listening: Listening, processes: int) -> SharedListeners:
        """Listen for some processes.

        Raises:
            OSError: an address cannot be had.
        """
        ports = (listening.http_port, listening.mllp_port)
        http, mllp = (SharedListener.of(bind(replace(listening, http_port=port)), processes) for port in ports)
        return cls(http, mllp)

    def of(self, number: int) -> SharedListeners:
        """As the process with this number has them."""
        return SharedListeners(replace(self.http, number=number), replace(self.mllp, number=number))

    def close(self) -> None:
        """Listen no more, in none of the processes."""
        self.http.close()
        self.mllp.close()


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how to listen.

    Attributes:
        host: address for both listeners.
        http_port, mllp_port: 0 lets the system choose.
        threads: requests served at once, by each listener.
        max_message_bytes: longest MLLP message and longest HTTP body outside the SOAP endpoints.
        shared: the sockets to accept from, which other processes have too; ``None`` for own ones.
        is_alone: whether this process also does what nobody waits for (:mod:`region.beside`).
        http_tls, mllp_tls: TLS of the listener; ``None`` for none.
    """

    host: str = "127.0.0.1"
    http_port: int = 8080
    mllp_port: int = 2575
    threads: int = 16
    max_message_bytes: int = 16 * 1024 * 1024
    max_document_bytes: int = 4 * 1024**3
    idle_seconds: float = 600.0
    shared: SharedListeners | None = None
    is_alone: bool = True
    http_tls: ssl.SSLContext | None = None
    mllp_tls: ssl.SSLContext | None = None


def http_app(service: Service, listening: Listening) -> FastAPI:
    """The ASGI application with both listeners' life cycle."""
    executor = ThreadPoolExecutor(listening.threads, thread_name_prefix="http")
    waiting = ThreadPoolExecutor(_WAITING, thread_name_prefix="waiting")
    mllp = MllpListener(
        service.hl7v2.handle,
        listening.host,
        listening.mllp_port,
        limits=Limits(
            frame_bytes=listening.max_message_bytes, threads=listening.threads, idle_seconds=listening.idle_seconds
        ),
        ssl=listening.mllp_tls,
        refused=HandshakeAlerts(service.database.audit.write),
        shared=listening.shared.mllp if listening.shared else None,
        begins_in_loop=True,
    )

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_STREAMS, thread_name_prefix="stream"))
        if service.copy is not None:
            service.copy.start()
        await asyncio.to_thread(_note, service, APPLICATION_START)
        await mllp.start()
        service.xds.studies.archives.start()
        if listening.is_alone:
            beside.start(service)
        # What is loaded by now stays: looking through it at each collection took half the time of large answers.
        gc.collect()
        gc.freeze()
        # An answer makes some thousand objects, hardly any of them in cycles: they were looked through for each.
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        try:
            yield
        finally:
            await mllp.stop()
            with suppress(DBAPIError, PoolTimeout, psycopg.Error):  # a database that is gone keeps nobody from ending
                await asyncio.to_thread(_note, service, APPLICATION_STOP)
            if listening.is_alone:
                beside.stop(service)
            service.xds.studies.archives.stop()
            executor.shutdown(wait=True)
            waiting.shutdown(wait=True)
            if service.copy is not None:
                service.copy.stop()

    return build_http_app(
        service.endpoints,
        service.pipeline,
        executor=executor,
        waiting=waiting,
        authenticate=service.access.http,
        max_body_bytes=listening.max_message_bytes,
        routes=[
            *soap_routes(
                service.endpoints,
                service.pipeline,
                executor=executor,
                waiting=waiting,
                callbacks=service.mpi.callbacks,
                authenticate=service.access.soap,
                open_sink=service.xds.repository.content.stage,
                limits=replace(DEFAULT_MESSAGE_LIMITS, total_bytes=listening.max_document_bytes),
            ),
            *workbench_routes(
                service.web, service.database, service.pipeline, executor=executor, name_node=service.access.node
            ),
            *viewer_routes(service.web.viewer, service.xds.studies.sources),
        ],
        is_ready=service.database.is_ready,
        render_metrics=service.metrics.render,
        may_watch=service.access.may_watch,
        lifespan=life,
    )


def serve(service: Service, listening: Listening, on_listening: Callable[[], None] | None = None) -> None:
    """Listen until SIGTERM or SIGINT, then finish what has come and return."""
    run(listener_of(service, listening, on_listening), listening)
    service.close()


def run(server: uvicorn.Server, listening: Listening) -> None:
    """Let a server listen until it is told to stop."""
    _let_threads_finish()
    server.run(sockets=[bind(listening)] if listening.shared is None else [])


def _let_threads_finish() -> None:
    """Ask the system that no thread of this process pushes aside one that works because it has just woken.

    Of a request's five waits each would else end with such a change, and each costs what the processor's caches held.
    Where the system has no such thing, all stays as it is.
    """
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _note(service: Service, activity: str) -> None:
    """Say in the audit trail that this process starts or stops serving."""
    service.database.audit.write(
        AuditEvent(
            at=datetime.now(UTC),
            transaction=activity,
            event_code="110100",
            event_action="E",
            outcome=Outcome.SUCCESS,
            node=service.mpi.audit_source.host,
            site=None,
            user=f"uid {os.getuid()}",
            purpose="normal",
            correlation_id=uuid.uuid4().hex,
            objects=(),
        )
    )


def listener_of(
    service: Service, listening: Listening, on_listening: Callable[[], None] | None = None
) -> uvicorn.Server:
    """The server, not yet running; setting ``should_exit`` lets it finish what has come and stop."""
    alerts = HandshakeAlerts(service.database.audit.write)
    return server_of(http_app(service, listening), listening, on_listening, alerts)


def server_of(
    app: FastAPI,
    listening: Listening,
    on_listening: Callable[[], None] | None = None,
    refused: Refused = ignored,
) -> uvicorn.Server:
    """The server of an application; it accepts from the socket that it shares, or from those that it is run with.

    Args:
        refused: hears of handshakes that failed.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
        http=cast(type[asyncio.Protocol], _protocols(listening.http_tls, refused)),
        ws="none",
        limit_concurrency=CONNECTIONS,
    )
    return _Server(config, listening, on_listening, refused)


def _protocols(tls: ssl.SSLContext | None, refused: Refused) -> Callable[..., asyncio.Protocol]:
    """What speaks over the connections that uvicorn itself accepts."""
    if tls is None:
        return BoundedHttpProtocol
    return lambda **named: Handshaking(tls, lambda: BoundedHttpProtocol(**named), refused)


class _Server(uvicorn.Server):
    """Says when it listens; accepts from a socket that it shares."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: Listening,
        on_listening: Callable[[], None] | None,
        refused: Refused,
    ) -> None:
        super().__init__(config)
        self._tls = listening.http_tls
        self._shared = listening.shared.http if listening.shared else None
        self._on_listening = on_listening
        self._refused = refused
        self._accepting: Accepting | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        use_huge_pages()  # all is loaded by now
        if self.started and self._shared is not None:
            self._accepting = Accepting(self._shared, lambda: len(self.server_state.connections), self._accepted)
        if self.started and self._on_listening is not None:
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            self._accepting.close()
        await super().shutdown(sockets)

    async def _accepted(self, connection: socket.socket) -> None:
        await serve_accepted(connection, self._protocol, self._tls, self._refused)

    def _protocol(self) -> asyncio.Protocol:
        return BoundedHttpProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def bind(listening: Listening) -> socket.socket:
    """The HTTP socket, bound.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((listening.host, listening.http_port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def end_with_parent() -> None:
    """Stop this worker process when the process that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def supervise(worker: Callable[[int], None], workers: int, on_stop: Callable[[], None] = lambda: None) -> None:
    """Run worker processes and start a new one for each that dies, until SIGTERM or SIGINT.

    Args:
        worker: picklable; gets the worker's number.
        on_stop: called before the processes are told to end.
    """
    context = multiprocessing.get_context("spawn")
    # A plain flag: the handler runs in the thread that waits, and would wait for itself at an event's lock.
    is_stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    running = [context.Process(target=worker, args=(number,)) for number in range(workers)]
    for process in running:
        process.start()
    while not is_stopping:
        time.sleep(0.5)
        for number, process in enumerate(running):
            if not process.is_alive():
                running[number] = context.Process(target=worker, args=(number,))
                running[number].start()
    on_stop()
    for process in running:
        process.terminate()
    for process in running:
        process.join(30)
        if process.is_alive():
            process.kill()
