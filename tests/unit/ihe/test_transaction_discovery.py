"""Transactions are found by their files' names, and a faulty file stops the start-up."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from ihe.transaction import TransactionFault, discover, refuse_lone_claims

GOOD = """
from ihe.transaction import Hl7v2Binding, Transaction
TRANSACTION = Transaction(number="{number}", name="n", actor="a", profile="p",
    bindings=(Hl7v2Binding("ADT", "{event}", ("2.5",)),), writes=True, event_code="1", event_action="U")
def decode(m): ...
def serve(q, c): ...
def encode(r, m): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = f"planted_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(file: str, text: str) -> str:
        (folder / file).write_text(textwrap.dedent(text))
        return name

    yield write
    for module in [m for m in sys.modules if m.startswith(name)]:
        del sys.modules[module]


def test_files_are_found_in_order_of_number(package):
    package("iti30_b.py", GOOD.format(number="ITI-30", event="A28"))
    name = package("iti8_a.py", GOOD.format(number="ITI-8", event="A01"))
    assert [e.transaction.number for e in discover(name)] == ["ITI-8", "ITI-30"]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("pixquery.py", GOOD.format(number="ITI-9", event="A01"), "is named"),
        ("iti9_query.py", GOOD.format(number="ITI-10", event="A01"), "the file says ITI-9"),
        ("iti9_query.py", "TRANSACTION = None", "TRANSACTION is missing"),
        ("iti9_query.py", "import nothing_of_that_name", "cannot be imported"),
        ("iti9_query.py", GOOD.format(number="ITI-9", event="A01").replace("def encode", "def other"), "encode"),
    ],
)
def test_a_faulty_file_stops_the_start_up(package, file, text, says):
    with pytest.raises(TransactionFault, match=says):
        discover(package(file, text))


def test_two_files_with_one_binding_are_refused(package):
    package("iti8_a.py", GOOD.format(number="ITI-8", event="A01"))
    name = package("iti9_b.py", GOOD.format(number="ITI-9", event="A01"))
    with pytest.raises(TransactionFault, match="both bind"):
        discover(name)


def test_the_real_transactions_are_found():
    numbers = {e.transaction.number for e in discover("mpi.transactions", "xds.transactions")}
    assert {"ITI-8", "ITI-9", "ITI-30", "ITI-31", "ITI-78", "ITI-83"} <= numbers


def test_a_binding_is_shared_only_by_one_that_claims_its_requests(package):
    package("iti8_a.py", GOOD.format(number="ITI-8", event="A01"))
    name = package("iti9_b.py", GOOD.format(number="ITI-9", event="A01") + "def claims(m): ...\n")
    plain, claiming = discover(name)
    refuse_lone_claims([plain, claiming])
    with pytest.raises(TransactionFault, match="iti9_b claims hl7v2 ADT A01"):
        refuse_lone_claims([claiming])
