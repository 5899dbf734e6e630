"""What this machine can do at all, measured in the same run: a bare endpoint, and the floor of every query.

The floor is the service without its work: the same HTTP and MLLP listeners in as many processes, the same threads and
connections, and for each request one prepared SELECT by primary key and one committed INSERT of an audit event; the
answer is always the same. It answers in both of the service's ways: in the event loop, as brief transactions are
answered (:mod:`ihe.fibers`), and in a thread, as all others are. Its events stand in a table of their own, like the
trail's: the service beside it, which is measured in turns with the floor, would seal them. ``python -m bench.floor
URL`` serves it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from fastapi import FastAPI
from sqlalchemy import create_engine
from starlette.requests import Request
from starlette.responses import Response

from bench.load import HttpConnection
from ihe import fibers
from ihe.hl7v2.listener import Limits, MllpListener
from ihe.peer import Peer
from ihe.unit_of_work import Database
from region.http_app import NO_TELEMETRY, PlainRoute
from region.server import Listening, SharedListeners, end_with_parent, run, server_of, supervise

IN_THREAD = "in-thread"
"""A request that names it is answered in a thread."""
_SELECT = "SELECT domain, local_id, person_id FROM record WHERE id = %s"
_TABLE = "CREATE TABLE IF NOT EXISTS floor_event (LIKE audit_event INCLUDING ALL)"
_INSERT = """INSERT INTO floor_event (at, transaction, event_code, event_action, outcome, node, site, user_id, purpose,
    correlation_id, objects, reason) VALUES (%s, 'FLOOR', '110112', 'E', 0, %s, NULL, NULL, 'normal', %s, '[]', NULL)"""
_ANSWER = b"MSH|^~\\&|||||20260101||RSP^K23^RSP_K23|1|P|2.5\rMSA|AA|1\r"

bare = FastAPI()


@bare.get("/")
async def _nothing() -> Response:
    """Nothing but the server and the framework."""
    return Response(b"{}", media_type="application/json")


def floor_app(url: str, listening: Listening) -> FastAPI:
    """The floor over both wires."""
    database = Database(create_engine(url, pool_size=2 * listening.threads + 5))
    numbers = itertools.count()

    def work() -> None:
        number = next(numbers)
        database.ask(_SELECT, (number * 7919 % 10_000 + 1,))
        database.ask(_INSERT, (datetime.now(UTC).isoformat(), "bench", str(number)))

    def answer(message: bytes, _peer: Peer) -> Sequence[bytes]:
        if IN_THREAD.encode() in message:
            fibers.in_thread(work)
        else:
            work()
        return (_ANSWER,)

    executor = ThreadPoolExecutor(listening.threads)
    mllp = MllpListener(
        answer,
        listening.host,
        listening.mllp_port,
        limits=Limits(threads=listening.threads),
        shared=listening.shared.mllp if listening.shared else None,
        begins_in_loop=True,
    )

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await mllp.start()
        yield
        await mllp.stop()
        executor.shutdown()

    async def serve(_request: Request) -> Response:
        await fibers.serve(executor, work)
        return Response(b"{}", media_type="application/json")

    async def serve_in_thread(_request: Request) -> Response:
        await asyncio.get_running_loop().run_in_executor(executor, work)
        return Response(b"{}", media_type="application/json")

    app = FastAPI(lifespan=life, telemetry=NO_TELEMETRY)
    app.router.route_class = PlainRoute
    app.add_api_route("/", serve, response_model=None)
    app.add_api_route(f"/{IN_THREAD}", serve_in_thread, response_model=None)
    return app


def _work(url: str, listening: Listening, shared: SharedListeners, number: int) -> None:
    end_with_parent()
    listening = replace(listening, shared=shared.of(number))
    run(server_of(floor_app(url, listening), listening), listening)


@contextmanager
def serving_floor(url: str, http_port: int, mllp_port: int, workers: int) -> Iterator[None]:
    """The floor over a database, served by processes of its own.

    Args:
        url: SQLAlchemy URL.
    """
    ports = ["--port", str(http_port), "--mllp-port", str(mllp_port), "--workers", str(workers)]
    with _started([sys.executable, "-m", "bench.floor", url, *ports], http_port):
        yield


@contextmanager
def bare_endpoint(port: int, workers: int) -> Iterator[None]:
    """The bare endpoint, served by processes of its own."""
    options = ["--port", str(port), "--workers", str(workers), "--log-level", "error", "--no-access-log"]
    with _started([sys.executable, "-m", "uvicorn", "bench.floor:bare", *options], port):
        yield


@contextmanager
def _started(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command) as process:
        try:
            for _ in range(600):
                try:
                    HttpConnection("127.0.0.1", port).close()
                    break
                except OSError:
                    time.sleep(0.1)
            time.sleep(1)  # of several workers, the others follow
            yield
        finally:
            process.terminate()


def pgbench(programs: Path, url: str, script: str, seconds: int, clients: int) -> float:
    """Transactions a second of a pgbench script on the benchmark's own database.

    Args:
        programs: folder of the PostgreSQL programs.
        url: libpq connection string.
    """
    file = Path("build") / "pgbench.sql"
    file.parent.mkdir(exist_ok=True)
    file.write_text(script)
    done = subprocess.run(
        [programs / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds), "-f", file, url],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if not found:
        raise RuntimeError(f"pgbench failed: {done.stderr[-500:]}")
    return round(float(found.group(1)), 1)


def main() -> None:
    """Serve the floor until stopped."""
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.add_argument("url", help="SQLAlchemy URL of a loaded database")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--mllp-port", type=int, default=2575)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    listening = Listening(http_port=chosen.port, mllp_port=chosen.mllp_port)
    with psycopg.connect(chosen.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(_TABLE)
    shared = SharedListeners.bound(listening, chosen.workers)
    supervise(partial(_work, chosen.url, listening, shared), chosen.workers, shared.close)


if __name__ == "__main__":
    main()
