"""The command ``xds check``: what is wrong with the documents, what to do about it, and the repair of what can be."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from region import running as running_commands
from region import xds_commands
from tests.e2e.test_documents_by_zeep import MARIE, SUCCESS, Site


@pytest.fixture
def site(running, monkeypatch):
    @contextmanager
    def service(_settings):
        yield running.service

    monkeypatch.setattr(running_commands, "service", service)
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE)
    return found


def check(*options):
    return CliRunner().invoke(xds_commands.commands(lambda: None), ["check", *options])


def test_problems_are_named_with_what_to_do_and_repaired_where_that_is_possible(site):
    content = site.running.service.xds.repository.content
    for data in (b"sound", b"lost", b"flipped"):
        assert site.provide("CHUSE", "C1", data)[1].status == SUCCESS
    assert (check().exit_code, check().output) == (0, "")

    addresses = {path.read_bytes(): path for path in content._objects.rglob("*") if path.is_file()}
    addresses[b"lost"].unlink()
    addresses[b"flipped"].write_bytes(b"Flipped")
    with content.stage() as staged:
        staged.write(b"left behind")
        orphan = content.publish(staged).sha256
    assert f"unnamed: {orphan}" not in check().output  # young: a submission may be about to name it
    found = check("--grace-hours", "0")
    assert found.exit_code == 1
    assert sorted(line.partition(": ")[0] for line in found.output.splitlines()) == [
        "1 damaged",
        "1 missing",
        "1 unnamed",
        "damaged",
        "missing",
        "unnamed",
    ]
    assert "backup" in found.output

    repaired = check("--repair", "--grace-hours", "0")
    assert repaired.output.startswith("removed: 1 objects that no document named, 0 staged files\n")
    assert "unnamed" not in repaired.output
    # The same bytes provided again heal what was lost or damaged.
    for data in (b"lost", b"flipped"):
        assert site.provide("CHUSE", "C1", data)[1].status == SUCCESS
    assert (check("--grace-hours", "0").exit_code, check("--grace-hours", "0").output) == (0, "")
