"""Every HL7 v2 message of the shared samples is answered: as its domains are none of the region, and as if they were.

Messages that are requests of this service must get the answer of their kind; all others the refusal of table 0357.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ihe.hl7v2.er7 import Message
from tests.hl7v2_desk import desk, said

__all__ = ["desk"]

OFFERED = re.compile(
    r"ADT\^A(01|04|05|08|40) 2\.[234](\.1)?"  # ITI-8
    r"|ADT\^A(24|28|31|37|40|47) 2\.5|ADT\^A(01|02|03|04|05|06|07|08|11|12|13|38) 2\.5"  # ITI-30, ITI-31
    r"|QBP\^(Q22|Q23|ZV1) 2\.5"
)
REFUSED = {"200", "201", "203"}
"""What is not offered: the type, the event, or the version."""

WITHOUT_AUTHORITY = "101"
LACKING = {
    "iti8/iti8-a01-incomplete.hl7": "100",  # no PID segment
    "xds-registry-to-fhir/src/test/resources/messages/msg-01.hl7": "102",  # a template without its authority
}
"""Samples that are no whole messages, and the row of table 0357."""

NO_PARAMETERS = "102"
NOBODY = "NF"


def samples(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Each message once, with segments that end as HL7 wants."""
    seen: set[bytes] = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".er7", ".hl7", ".txt", "") and path.is_file():
            data = path.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n")
            if data.startswith(b"MSH") and data not in seen:
                seen.add(data)
                yield path, data


def condition(answer: Message) -> str:
    """The row of table 0357, wherever the version has it."""
    err = answer.segment("ERR")
    return "" if err is None else err.text(3) or err.text(1, 4)


def answer_of(desk, data: bytes) -> Message:
    found = desk.answers(data)
    assert found, "a message that nobody answers"
    return found[-1]


def in_our_domain(data: bytes, authority: str, number: int) -> bytes:
    """The message with the identifiers of its patients in a domain of the region, and a control id of its own."""

    def moved(line: str) -> str:
        fields = line.split("|")
        place = {"PID": 3, "MRG": 1}.get(fields[0])
        if fields[0] == "MSH":
            fields[9] = f"OWN{number}"
        elif place is not None and len(fields) > place:
            values = [each.split("^")[0] for each in fields[place].split("~")]
            value = next((each for each in values if each not in ("", '""')), "") or f"NEW{number}"
            fields[place] = f"{value}^^^{authority}"
        return "|".join(fields)

    lines = re.split("[\r\n]+", data.decode("latin-1"))
    return "\r".join(moved(line) for line in lines if line.strip()).encode("latin-1") + b"\r"


def lacking(path: Path) -> str | None:
    return next((row for name, row in LACKING.items() if str(path).endswith(name)), None)


def kind(message: Message) -> str:
    return f"{message.type_code}^{message.trigger_event} {message.version.partition('^')[0]}"


@pytest.fixture
def folder(shared_folder):
    return shared_folder / "testdata"


def test_every_sample_as_it_is(desk, folder):
    outcomes: Counter[str] = Counter()
    for path, data in samples(folder):
        message = Message.parse(data)
        if message.msh.text(15) == message.msh.text(16) == "NE":
            assert desk.answers(data) == [], "it wants no answer"
            continue
        answer = answer_of(desk, data)
        code, row = said(answer, "MSA", 1), condition(answer)
        assert said(answer, "MSA", 2) == message.control_id, path
        if not OFFERED.fullmatch(kind(message)):
            assert (answer.type_code, row in REFUSED) == ("ACK", True), (path, row)
            assert code in ("AR", "CR"), path
        elif message.type_code == "QBP":
            assert answer.type_code == "RSP", path
            assert (code, said(answer, "QAK", 2), row) in {
                ("AA", NOBODY, ""),
                ("AE", "AE", "204"),
                ("AE", "AE", NO_PARAMETERS),
            }, path
        else:
            assert (answer.type_code, code) == ("ACK", "AE"), path
            assert row in {lacking(path)} if lacking(path) else {"204", WITHOUT_AUTHORITY}, (path, row)
        outcomes[code] += 1
    assert outcomes["AR"] > 30
    assert outcomes["AE"] > 15
    assert outcomes["AA"] > 0


def test_every_feed_in_a_domain_of_the_region(desk, folder):
    fed = 0
    for number, (path, data) in enumerate(samples(folder)):
        if kind(Message.parse(data)).startswith("ADT") and OFFERED.fullmatch(kind(Message.parse(data))):
            answer = answer_of(desk, in_our_domain(data, desk.hd("IRMAS"), number))
            expected = ("AE", "100") if lacking(path) == "100" else ("AA", "")
            assert (said(answer, "MSA", 1), condition(answer)) == expected, path
            fed += 1
    assert fed > 20
    assert desk.count("SELECT count(*) FROM record WHERE domain = 'IRMAS' AND state = 'active'") > 10
