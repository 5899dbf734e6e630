"""Re-tabulate public INSEE facts into the frequency tables of ``mpi/domain/data``.

Run once when the sources are at hand: ``python -m bench.make_match_tables SOURCE_FOLDER``. The tables are
committed, so nobody else needs the sources. What is kept is how rare a value is (its surprisal, minus the
binary logarithm of its share), in eighths of a bit, and which commune took over which.
"""

from __future__ import annotations

import csv
import math
import sys
from collections import Counter, defaultdict
from pathlib import Path

from mpi.domain.names_fr import fold

DATA = Path(__file__).parent.parent / "mpi" / "domain" / "data"
SURNAMES_KEPT = 20_000
GIVEN_NAME_MINIMUM = 400
PLACES_KEPT = 2_500
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DEPARTMENT_PULL = {"42": 1.0, "43": 0.2, "07": 0.2, "69": 0.2, "63": 0.1, "38": 0.1, "26": 0.1, "01": 0.05, "71": 0.05}
"""How strongly the population of the ten sites was born in a department, beside the national share."""


def eighths(share: float) -> int:
    """Surprisal of a share in eighths of a bit."""
    return round(-8 * math.log2(share))


def make_surnames(source: Path) -> None:
    """Write ``surnames.csv``: surprisal in eighths of a bit, then the names that have it, by ``|``."""
    births: Counter[str] = Counter()
    with (source / "insee_noms_1891_2000_total.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            births["*" if row[0] == "AUTRES NOMS" else fold(row[0])] += int(row[1])
    total = births.total()
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for name, count in births.most_common(SURNAMES_KEPT + 1):
        if name != "*":
            groups[eighths(count / total)].append(name)
    with (DATA / "surnames.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["surprisal_eighths", "names"])
        out.writerows([value, "|".join(sorted(names))] for value, names in sorted(groups.items()))


def make_given_names(source: Path) -> None:
    """Write ``given_names.csv``: name, sex, one digit per decade 1900s to 2020s: surprisal in half bits."""
    rows: dict[tuple[str, str], list[float]] = {}
    with (source / "insee_prenoms_sexe_decennie.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts = [float(row[f"{year}s"] or 0) for year in range(1900, 2030, 10)]
            kept = rows.setdefault((fold(row["prenom"]), row["sexe"]), [0.0] * 13)
            for index, count in enumerate(counts):
                kept[index] += count
    totals = {sex: [sum(v[i] for k, v in rows.items() if k[1] == sex) for i in range(13)] for sex in "MF"}
    with (DATA / "given_names.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["name", "sex", "half_bits_by_decade"])
        for (name, sex), counts in sorted(rows.items()):
            if sum(counts) < GIVEN_NAME_MINIMUM:
                continue
            shares = [count / all_births for count, all_births in zip(counts, totals[sex], strict=True)]
            smooth = [0.8 * shares[i] + 0.1 * shares[max(i - 1, 0)] + 0.1 * shares[min(i + 1, 12)] for i in range(13)]
            digits = "".join(DIGITS[min(round(-2 * math.log2(max(share, 1e-6))), 61)] for share in smooth)
            out.writerow([name, sex, digits])


def make_places(source: Path) -> None:
    """Write ``communes_absorbed.csv`` (code now, former codes) and ``birthplaces.csv`` (surprisal, codes)."""
    absorbed: defaultdict[str, set[str]] = defaultdict(set)
    weight: Counter[str] = Counter()
    with (source / "cog2026_communes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["type"] == "A":
                absorbed[row["code"]] |= set(row["anciens_codes"].split())
                # Births gather where a maternity ward is: in the larger towns more than in proportion.
                births = float(row["population"] or 0) ** 1.3
                weight[row["code"]] += births * (0.002 + DEPARTMENT_PULL.get(row["departement"], 0))
            elif row["commune_parente"]:
                absorbed[row["commune_parente"]].add(row["code"])
    with (DATA / "communes_absorbed.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["code", "former_codes"])
        for code, former in sorted(absorbed.items()):
            if former - {code}:
                out.writerow([code, " ".join(sorted(former - {code}))])
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for code, births in weight.most_common(PLACES_KEPT):
        groups[eighths(0.85 * births / weight.total())].append(code)
    with (DATA / "birthplaces.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["surprisal_eighths", "codes"])
        out.writerows([value, "|".join(sorted(codes))] for value, codes in sorted(groups.items()))


if __name__ == "__main__":
    make_surnames(Path(sys.argv[1]))
    make_given_names(Path(sys.argv[1]))
    make_places(Path(sys.argv[1]))
