"""The index behind its HL7 v3 transactions, without sockets; every answer is held to the published schemas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from ihe.caller import Caller
from ihe.serving import Pipeline
from ihe.soap.envelope import SoapReply
from ihe.soap.wire import SoapWire
from ihe.transaction import discover
from ihe.unit_of_work import Database
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from region.region_table import load_region
from tests.hl7v3_wire import Answer, read, request

ROOT = Path(__file__).resolve().parents[1]
TABLE = load_region(ROOT / "fixtures" / "region.toml")
SHARED = Path(os.environ.get("TRAITDUNION_SHARED") or ROOT.parent / "shared")


def oid(code: str) -> str:
    """OID of a domain's authority."""
    return str(TABLE.by_code(code).authority.oid)


class Desk:
    """Serves one message at a time."""

    def __init__(self, engine: Engine) -> None:
        self.app = MpiApplication(
            TABLE, default_french(), LinkPolicy.calibrated(), home_community_id=TABLE.home_community_id
        )
        self.engine = engine
        self.database = Database(engine)
        found = discover("mpi.transactions")
        # Of a transaction with two actors the number alone means the one who answers.
        self.endpoints = {f"{e.transaction.number} {e.transaction.actor}": e for e in found}
        self.endpoints |= {e.transaction.number: e for e in found if e.transaction.actor != "Initiating Gateway"}
        self.pipeline = Pipeline(self.database, {"mpi": self.app})

    def run(self, number: str, data: bytes, caller: Caller | None = None) -> SoapReply:
        return self.pipeline.run(self.endpoints[number], SoapWire(), request(data), lambda: caller or Caller("desk"))

    def ask(self, number: str, data: bytes, caller: Caller | None = None) -> Answer:
        answer = read(self.run(number, data, caller))
        if SHARED.is_dir():
            assert answer.faults(SHARED) == []
        return answer


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = create_engine(database_url)
    yield Desk(engine)
    engine.dispose()
