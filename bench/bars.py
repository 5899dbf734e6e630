"""What queries must reach, beside what was measured and what the floor of the same run reached.

Rates are bound to the floor (see :mod:`bench.floor`): the same server that answers from one SELECT and one committed
INSERT, in the event loop and in threads. Latencies are bound absolutely. In a closed loop of sixteen connections on few
cores most of a latency is the queue that the connections make themselves, and the floor's own shows how long it is at
least; the same connections at a fixed rate (open loop) show what an answer takes where the machine is not the limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

CONNECTIONS: Final = 16
_RATES: Final = {"PIX query v2": 0.6, "PIX query FHIR": 0.6, "PIX query v3": 0.4}
"""At least this share of the floor's requests a second."""
_P99_MS: Final = {"PIX query": 10.0, "PDQ": 30.0}
"""At most, by the beginning of a query's name."""
_ADT_PER_SECOND: Final = 20_000.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand.

    Attributes:
        floor: what the floor reached, ``None`` where there is none.
        demand: as text.
    """

    name: str
    measured: float
    floor: float | None
    demand: str
    holds: bool

    @property
    def ratio(self) -> float | None:
        """Measured to floor."""
        return self.measured / self.floor if self.floor else None


def bars(found: Mapping[str, Any]) -> Iterator[Bar]:
    """The demands on queries.

    Args:
        found: of one size of the index, as :mod:`bench.service` writes it.
    """
    for name, load in found["loads"].items():
        query, _, how = name.partition(", ")
        wire = "MLLP" if "v2" in query else "HTTP"
        floor = found["floors"].get(f"floor {wire}, {how}")
        if floor is None or not how.startswith(f"{CONNECTIONS} connections"):
            continue
        least = _RATES.get(query)
        if least is not None and "at" not in how.split():
            rate = load["per_second"]
            for kind, beneath in (
                ("", floor),
                (", floor in threads", found["floors"].get(f"floor {wire} in threads, {how}")),
            ):
                if beneath is not None:
                    holds = rate >= least * beneath["per_second"]
                    yield Bar(f"{query}/s, {how}{kind}", rate, beneath["per_second"], f"{least:g} of floor", holds)
        for beginning, most in _P99_MS.items():
            if query.startswith(beginning):
                p99 = load["p99_ms"]
                yield Bar(f"{query} p99 ms, {how}", p99, floor["p99_ms"], f"<= {most:g} ms", p99 <= most)


def reading(adt_per_second: float) -> Bar:
    """The demand on reading ER7."""
    demand = f">= {_ADT_PER_SECOND:,.0f}/s"
    return Bar("ADT messages read/s, one core", adt_per_second, None, demand, adt_per_second >= _ADT_PER_SECOND)


def table(sizes: Mapping[str, Any], adt_per_second: float | None) -> str:
    """All demands as a readable table, rates first.

    Args:
        sizes: what :mod:`bench.service` writes; empty when it was not measured.
        adt_per_second: messages of :mod:`bench.hl7v2_parse`, ``None`` when it was not measured.
    """
    heading = f"{'bars':48}{'measured':>10}{'floor':>10}{'ratio':>7}  {'bar':14}"
    lines = []
    for size, found in sizes.items():
        lines += ["", f"{heading}({int(size):,} records)"]
        lines += [_line(bar) for bar in sorted(bars(found), key=lambda bar: "p99" in bar.name)]
    if adt_per_second is not None:
        lines += [*([] if lines else ["", heading]), _line(reading(adt_per_second))]
    return "\n".join(lines)


def _line(bar: Bar) -> str:
    floor = f"{bar.floor:,.1f}" if bar.floor is not None else ""
    ratio = f"{bar.ratio:.2f}" if bar.ratio is not None else ""
    holds = "holds" if bar.holds else "does not hold"
    return f"{bar.name:48}{bar.measured:>10,.1f}{floor:>10}{ratio:>7}  {bar.demand:14}{holds}"
