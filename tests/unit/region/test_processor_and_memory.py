"""How a serving process uses processor and memory, as the system tells it of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def said_by(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the system has no SCHED_BATCH")
def test_a_thread_of_a_server_that_wakes_waits_its_turn():
    program = """if True:
        import os, threading
        from region.server import Listening, run
        class Server:
            def run(self, sockets):
                threading.Thread(target=lambda: print(os.sched_getscheduler(0))).start()
        run(Server(), Listening(http_port=0))
    """
    assert int(said_by(program)) == os.SCHED_BATCH


def test_objects_move_to_huge_pages_and_stay_what_they_are():
    program = """if True:
        from pathlib import Path
        from region.huge_pages import use_huge_pages
        objects = [{str(n): [n]} for n in range(100_000)]
        use_huge_pages()
        assert objects == [{str(n): [n]} for n in range(100_000)]
        print(next(line for line in Path("/proc/self/smaps_rollup").open() if line.startswith("AnonHugePages")))
    """
    if int(said_by(program).split()[1]) == 0:
        pytest.skip("the system gives no huge pages (Linux 6.1, transparent_hugepage)")
