"""Names of messages and exchanges: never the same twice, in no process."""

from __future__ import annotations

import os
import re
import uuid

from ihe.names import fresh_name, fresh_uuid


def test_a_name_is_thirty_two_digits_and_a_uuid_a_random_one() -> None:
    for _ in range(2000):
        assert re.fullmatch("[0-9a-f]{32}", fresh_name())
        found = uuid.UUID(fresh_uuid())
        assert (found.version, found.variant) == (4, uuid.RFC_4122)


def test_no_name_comes_twice() -> None:
    assert len({fresh_name() for _ in range(10_000)} | {fresh_uuid() for _ in range(10_000)}) == 20_000


def test_a_process_that_was_forked_makes_names_of_its_own() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, fresh_name().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 32).decode() != fresh_name()
    os.close(reader)
    os.close(writer)
