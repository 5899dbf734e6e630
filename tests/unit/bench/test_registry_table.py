"""What the registry must reach is judged at each size, and its growth between them."""

from __future__ import annotations

from bench import registry_table
from bench.registry_table import ASKED, FEW, MANY, PROVIDED


def _figures(entries, slower=1.0):
    p99 = {(FEW, "LeafClass"): 9.0, (FEW, "ObjectRef"): 3.0, (MANY, "LeafClass"): 59.0, (MANY, "ObjectRef"): 21.0}
    asked = {
        ASKED.format(count, kind): {"per_second": 500.0, "p50_ms": ms / 2 * slower, "p95_ms": ms, "p99_ms": ms}
        for (count, kind), ms in p99.items()
    }
    times = {"per_second": 100.0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    return {
        "entries": entries,
        "table_bytes": 1_000_000,
        "filled_seconds": 2.0,
        **asked,
        PROVIDED: times,
        "retrieve": {"mb_per_second": 300.0, "plain_file_mb_per_second": 900.0},
    }


def test_latencies_are_judged_at_each_size_and_growth_between_them():
    held = {bar.name: bar.holds for bar in registry_table.bars([_figures(1_000_000), _figures(10_000_000, 1.31)])}
    for entries in ("1,000,000", "10,000,000"):
        assert held[f"10 entries LeafClass p99 ms, {entries}"]
        assert held[f"10 entries ObjectRef p99 ms, {entries}"]
        assert held[f"1,000 entries LeafClass p99 ms, {entries}"]
        assert not held[f"1,000 entries ObjectRef p99 ms, {entries}"]
    assert not any(holds for name, holds in held.items() if name.startswith("growth"))
    assert len(held) == 12
    assert len(list(registry_table.bars([_figures(1_000_000)]))) == 4


def test_the_table_has_the_peers_figures_beside_ours():
    lines = registry_table.table([_figures(1_000_000)]).splitlines()
    provided, asked = lines[-2:]
    assert provided.split()[-2:] == ["360,000", "400"]
    assert asked.split()[-2:] == ["1,800,000", "600"]
