"""A service without sockets for tests: HL7 v2 bytes in, bytes out. All persons are invented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from ihe.hl7v2.er7 import Message, Segment
from ihe.peer import Peer
from region.bootstrap import Service, build_service
from region.region_table import RegionTable, load_region
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
MARIE = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT-ÉTIENNE^^42100^FRA^H~^^^^^^BDL^^42218"
FRENCH = "2.5^FRA^2.11"
_numbers = count(1)


@dataclass
class Desk:
    """Where a partner's messages are taken."""

    service: Service
    peer: Peer = field(default_factory=lambda: Peer("partner.test", 1))

    @property
    def table(self) -> RegionTable:
        return self.service.table

    def answers(self, message: str | bytes) -> list[Message]:
        """What goes back for one message."""
        data = message if isinstance(message, bytes) else message.encode()
        return [Message.parse(answer) for answer in self.service.hl7v2.handle(data, self.peer)]

    def ask(self, message: str | bytes) -> Message:
        """The only answer to a message."""
        (answer,) = self.answers(message)
        return answer

    def feed(self, *messages: str) -> None:
        """Send messages that must be accepted."""
        for message in messages:
            answer = self.ask(message)
            assert said(answer, "MSA", 1) == "AA", str(answer)

    def cx(self, code: str, local_id: str, kind: str = "PI") -> str:
        """An identifier of a domain."""
        return f"{local_id}^^^{self.hd(code)}^{kind}"

    def hd(self, code: str) -> str:
        """The authority of a domain."""
        authority = self.table.by_code(code).authority
        return f"{authority.namespace}&{authority.oid}&ISO"

    def adt(
        self,
        event: str,
        code: str,
        local_id: str,
        person: str = MARIE,
        *,
        at: str = "20260115101500+0100",
        version: str = FRENCH,
        visit: Sequence[str] = (),
        account: str = "",
        extra: Sequence[str] = (),
        sender: str = "TEST|TEST",
    ) -> str:
        """An ADT message, by default in the French dialect.

        Args:
            visit: PV1 fields from PV1-2 on.
            account: PID-18.
        """
        number = f"N{next(_numbers)}"
        pid = f"PID|1||{self.cx(code, local_id)}||{person}|||||||{account}"
        lines = [
            f"MSH|^~\\&|{sender}|TRAITDUNION|REGION|{at}||ADT^{event}|{number}|P|{version}|||||FRA|UNICODE UTF-8",
            f"EVN||{at}||||{at}",
            pid,
            *([f"PV1|1|{'|'.join(visit)}"] if visit else []),
            *extra,
        ]
        return er7(*lines)

    def query(
        self,
        event: str,
        criteria: str,
        *,
        domains: str = "",
        rcp: str = "I",
        tag: str = "TAG1",
        version: str = "2.5",
        pointer: str = "",
        sender: str = "VIEWER|TEST",
        confidence: str = "",
        algorithm: str = "",
    ) -> str:
        """A QBP^Q22 or QBP^ZV1."""
        name = {"Q22": "IHE PDQ Query", "ZV1": "IHE PDVQ Query"}[event]
        return er7(
            f"MSH|^~\\&|{sender}|TRAITDUNION|REGION|20260115101500||QBP^{event}^QBP_Q21|Q{next(_numbers)}|P|{version}",
            f"QPD|{name}|{tag}|{criteria}|{confidence}|{algorithm}|||{domains}",
            f"RCP|{rcp}",
            *([f"DSC|{pointer}|I"] if pointer else []),
        )

    def count(self, statement: str) -> int:
        with self.service.engine.connect() as connection:
            return int(connection.execute(text(statement)).scalar_one())


def er7(*segments: str) -> str:
    return "".join(f"{segment}\r" for segment in segments)


def said(answer: Message, name: str, field_number: int, component: int = 1) -> str:
    """A value of the first segment with that name, ``""`` when there is none."""
    segment = answer.segment(name)
    return segment.text(field_number, component) if segment else ""


def ids(segment: Segment | None) -> list[str]:
    """The identifiers of PID-3, values only."""
    return [repetition.text(1) for repetition in segment.field(3).repetitions] if segment else []


def outcome(answer: Message) -> tuple[str, str, str, str]:
    """MSA-1, QAK-2, ERR-3 and the place in ERR-2."""
    err = answer.segment("ERR")
    place = err.field(2).raw if err else ""
    return said(answer, "MSA", 1), said(answer, "QAK", 2), said(answer, "ERR", 3), place


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A service with nothing in it."""
    service = build_service(database_url, load_region(REGION), DiskContent(tmp_path / "documents"))
    yield Desk(service)
    service.close()


@pytest.fixture(scope="module")
def shared_desk(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A service that the tests of a module share; they only ask."""
    documents = tmp_path_factory.mktemp("desk") / "documents"
    service = build_service(module_database_url, load_region(REGION), DiskContent(documents))
    yield Desk(service)
    service.close()
