"""How many ADT messages a second one core reads, beside python-hl7 on the same messages.

Run: ``python -m bench.hl7v2_parse``. The messages are synthetic: French A28 as a hospital's patient administration
sends it. Reading means parsing the bytes and taking the fifteen fields an index needs of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import hl7

from ihe.hl7v2.er7 import Message

_MESSAGES = 500
_SECONDS = 1.0


def messages() -> list[bytes]:
    """Synthetic A28 messages, all different."""
    return [
        (
            f"MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A28^ADT_A05|{number}|P|2.5^FRA^2.11|||||FRA|"
            "UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
            f"EVN||20260302101500||||20260302101459\r"
            f"PID|1||{number:08d}^^^SITE-A&2.25.1001&ISO^PI~27903285140{number % 1000:03d}^^^"
            "INS-NIR&1.2.250.1.213.1.4.8&ISO^INS||"
            f"FAMILLE{number}^ZOÉ^ZOÉ MARIE^^^^L~USAGE{number}^ZOÉ^^^^^D||19790328|F|||"
            "12 RUE DES ESSAIS^^SAINT-ÉTIENNE^^42000^FRA^H~^^^^^^BDL^^42218||"
            "^PRN^PH^^^^^^^^^0102030405~^NET^Internet^zoe@example.org|||S||||||||N||||||N||VALI|20260302101459\r"
            "PV1|1|N\r"
            "ZFD|||N|N|INSI|20260301|CN|20300101\r"
        ).encode()
        for number in range(_MESSAGES)
    ]


def read_here(data: bytes) -> tuple[object, ...]:
    """Parse with :mod:`ihe.hl7v2.er7`."""
    message = Message.parse(data)
    pid = message.segment("PID")
    if pid is None:
        raise ValueError("no PID")
    return (
        message.type_code,
        message.trigger_event,
        message.control_id,
        message.version,
        message.sender,
        [(each.text(1), each.text(4, 2), each.text(5)) for each in pid.field(3).repetitions],
        [(each.text(1), each.text(2), each.text(3), each.text(7)) for each in pid.field(5).repetitions],
        pid.text(7),
        pid.text(8),
        [(each.text(1), each.text(5), each.text(7), each.text(9)) for each in pid.field(11).repetitions],
        pid.text(13, 12),
        pid.text(16),
        pid.text(24),
        pid.text(32),
        pid.text(33),
    )


def read_python_hl7(data: bytes) -> tuple[object, ...]:
    """Parse with python-hl7 and take the same fields."""
    message = hl7.parse(data, encoding="utf-8")
    msh, pid = message.segment("MSH"), message.segment("PID")
    header = (str(msh[9][0][0]), str(msh[9][0][1]), str(msh[10]), str(msh[12][0][0]), (str(msh[3]), str(msh[4])))
    return (*header, *(str(pid[number]) for number in (3, 5, 7, 8, 11, 13, 16, 24, 32, 33)))


def per_second(read: Callable[[bytes], object], data: Sequence[bytes], seconds: float = _SECONDS) -> float:
    """Messages a second of one core's own time (process time, so that other load does not count)."""
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for each in data:
            read(each)
        done += len(data)
    return done / spent


def main() -> None:
    """Print both rates; write them."""
    parser = argparse.ArgumentParser(prog="python -m bench.hl7v2_parse", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    chosen = parser.parse_args()
    data = messages()
    here, there = per_second(read_here, data), per_second(read_python_hl7, data)
    print(f"messages of {len(data[0])} bytes, 15 fields read from each")
    print(f"ihe.hl7v2.er7  {here:10,.0f} ADT/s")
    print(f"python-hl7     {there:10,.0f} ADT/s   (x {here / there:.1f})")
    if chosen.output is not None:
        chosen.output.write_text(json.dumps({"ihe.hl7v2.er7": here, "python-hl7": there}, indent=2) + "\n")


if __name__ == "__main__":
    main()
