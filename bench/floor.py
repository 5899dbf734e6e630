"""What this machine can do at all, measured in the same run: a bare endpoint, and PostgreSQL alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response

from bench.load import HttpConnection

app = FastAPI()


@app.get("/")
async def bare() -> Response:
    """Nothing but the server and the framework."""
    return Response(b"{}", media_type="application/json")


@contextmanager
def bare_endpoint(port: int) -> Iterator[None]:
    """The bare endpoint, served by a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "bench.floor:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen([*command, "--no-access-log"]) as process:
        for _ in range(200):
            try:
                HttpConnection("127.0.0.1", port).close()
                break
            except OSError:
                process.poll()
                __import__("time").sleep(0.05)
        try:
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
