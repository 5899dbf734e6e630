"""The authorisation matrix: its file, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ihe.authorisation import Cell, Matrix, MatrixFault, Reach, read_matrix
from ihe.caller import Caller
from ihe.errors import AccessDenied
from ihe.transaction import HttpBinding, discover
from region.authorisation import TABLE, load_matrix
from region.issuers import Trust, load_issuers
from region.nodes import NodesFault, load_nodes
from region.region_table import load_region
from region.users import granted, load_scopes

ROOT = Path(__file__).resolve().parents[2]


def test_nodes_have_roles_that_the_matrix_knows() -> None:
    for file in (ROOT / "fixtures" / "region.toml", ROOT / "docker" / "region.toml"):
        nodes = load_nodes(file, [domain.code for domain in load_region(file)])
        assert nodes
        assert {role for node in nodes for role in node.roles} <= set(load_matrix().roles)


@pytest.mark.parametrize(
    "row",
    [
        'name = "a"',
        'name = "a"\nsubject = "no name"',
        'name = "a"\nsubject = "CN=A"\nsites = ["NOWHERE"]',
        'name = "a"\nsubject = "CN=A"\nrole = "system"',
        'name = "a"\nsubject = "CN=A"\nroles = "system"',
        'name = "a"\nsubject = "CN=A"\n[[node]]\nname = "b"\nsubject = "CN=A"',
    ],
)
def test_a_node_that_is_wrong_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "region.toml").write_text(f"[[node]]\n{row}\n")
    with pytest.raises(NodesFault, match=r"region.toml: node \d"):
        load_nodes(tmp_path / "region.toml", ["CHUSE"])


@pytest.mark.parametrize(
    "content",
    [
        "transaction,purpose,system\nITI-9,often,region\n",
        "transaction,purpose,system\nITI-9,any,perhaps\n",
        "transaction,purpose,system\nITI-9,any,region\nITI-9,normal,own\n",
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(MatrixFault):
        read_matrix(tmp_path / "table.csv")


def test_every_transaction_of_http_can_be_named_in_a_scope() -> None:
    """By number; and those of FHIR and pictures as SMART does, with the actions that they are."""
    known = {each.transaction for each in load_scopes()}
    served = {
        endpoint.transaction.number
        for endpoint in discover("mpi.transactions", "xds.transactions")
        if any(isinstance(binding, HttpBinding) for binding in endpoint.transaction.bindings)
    }
    assert served <= known
    assert known <= load_matrix().transactions
    assert granted(read_matrix(TABLE).transactions, ()) == read_matrix(TABLE).transactions
    writing = {"c", "u", "d"}
    of_fhir = {each.transaction.number: each.transaction for each in discover("mpi.transactions", "xds.transactions")}
    for scope in load_scopes():
        if scope.transaction in of_fhir:
            assert of_fhir[scope.transaction].writes == bool(scope.actions & writing), scope


def test_the_example_of_a_table_of_issuers_can_be_used() -> None:
    file = ROOT / "fixtures" / "issuers.toml"
    codes = [domain.code for domain in load_region(ROOT / "fixtures" / "region.toml")]
    found = load_issuers(file, Trust(frozenset({"urn:x"}), 60.0, False, load_matrix().roles, codes))
    assert found.authorization_servers


def test_what_no_cell_allows_is_denied() -> None:
    matrix = Matrix([Cell("ITI-9", "normal", "system", Reach.OWN), Cell("ITI-9", "centre_15", "doctor", Reach.REGION)])
    matrix.authorise(Caller("n", "CHUSE", roles=frozenset({"system"})), "ITI-9")
    matrix.authorise(Caller("n", roles=frozenset({"doctor", "other"}), purpose="centre_15"), "ITI-9")
    for caller, transaction in (
        (Caller("n", roles=frozenset({"system"})), "ITI-9"),
        (Caller("n", "CHUSE", roles=frozenset({"system"})), "ITI-8"),
        (Caller("n", "CHUSE"), "ITI-9"),
        (Caller("n", "CHUSE", roles=frozenset({"system"}), purpose="curiosity"), "ITI-9"),
        (Caller("n", "CHUSE", roles=frozenset({"doctor"})), "ITI-9"),
        (Caller("n", "CHUSE", roles=frozenset({"system"}), scopes=frozenset({"ITI-8"})), "ITI-9"),
    ):
        with pytest.raises(AccessDenied):
            matrix.authorise(caller, transaction)
