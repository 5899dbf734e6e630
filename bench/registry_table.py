"""What the registry must reach, beside what :mod:`bench.registry` measured, as a readable table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.bars import Bar

FEW, MANY = 10, 1000
"""Entries of a patient with few, and of one with many."""

ASKED: Final = "FindDocuments, {} entries, {}"
PROVIDED: Final = "provide and register one document, durable"
_P99_MS = {
    (FEW, "LeafClass"): 10.0,
    (FEW, "ObjectRef"): 10 / 3,
    (MANY, "LeafClass"): 60.0,
    (MANY, "ObjectRef"): 20.0,
}
_GROWTH: Final = 1.3
_PEER_PER_HOUR: Final = {PROVIDED: 400, ASKED.format(FEW, "LeafClass"): 600}
"""The only figures a peer has published: submissions and queries an hour."""


def bars(figures: Sequence[Mapping[str, Any]]) -> Iterator[Bar]:
    """The demands: latencies at each size, and the growth from the first size to the last.

    Args:
        figures: of each size as :func:`bench.registry.run` returns them, smallest first.
    """
    for found in figures:
        for (count, return_type), most in _P99_MS.items():
            p99 = found[ASKED.format(count, return_type)]["p99_ms"]
            name = f"{count:,} entries {return_type} p99 ms, {found['entries']:,}"
            yield Bar(name, p99, None, f"<= {most:.3g} ms", p99 <= most)
    first, last = figures[0], figures[-1]
    if first is not last:
        for count, return_type in _P99_MS:
            asked = ASKED.format(count, return_type)
            growth = last[asked]["p50_ms"] / first[asked]["p50_ms"]
            yield Bar(
                f"growth of p50, {count:,} entries {return_type}", growth, None, f"<= {_GROWTH}", growth <= _GROWTH
            )


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Figures, demands and the peer's figures as a readable table."""
    lines = []
    for found in figures:
        size, seconds = found["table_bytes"] / 1e9, found["filled_seconds"]
        lines += ["", f"{found['entries']:,} entries ({size:.2f} GB, filled in {seconds:,.0f} s)"]
        lines += [f"{'':48}{'/s':>10}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}"]
        for name, each in found.items():
            if isinstance(each, Mapping) and "p50_ms" in each:
                times = "".join(f"{each[key]:>10,.2f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
                lines.append(f"{name:48}{each['per_second']:>10,.1f}{times}")
        moved = found["retrieve"]
        plain = moved["plain_file_mb_per_second"]
        lines.append(f"{'retrieve, MB/s':48}{moved['mb_per_second']:>10,.1f}   plain file {plain:,.1f}")
    lines += ["", "demands" + f"{'measured':>51}"]
    for bar in bars(figures):
        lines.append(f"{bar.name:48}{bar.measured:>10,.2f}  {bar.demand:14}{'holds' if bar.holds else 'does not hold'}")
    lines += ["", f"{'an hour':48}{'ours':>12}{'published peer':>18}"]
    for name, peer in _PEER_PER_HOUR.items():
        lines.append(f"{name:48}{figures[-1][name]['per_second'] * 3600:>12,.0f}{peer:>18,}")
    return "\n".join(lines)
