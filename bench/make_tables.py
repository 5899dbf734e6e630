"""Re-tabulate public facts (INSEE names, communes and countries) into the compact tables of ``bench/data``.

Run once when the source folder is at hand: ``python -m bench.make_tables SOURCE_FOLDER``. The tables are
committed, so nobody else needs the sources. Only facts are kept: a name and how often it was given, a
commune and its code, postal code and population.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

DATA = Path(__file__).parent / "data"
NEAR_DEPARTMENTS = frozenset({"42", "07", "69", "43", "38", "26", "01", "71", "63", "03"})
DECADES = [f"{year}s" for year in range(1900, 2030, 10)]
SURNAME_BYTES = 390_000
GIVEN_NAME_MINIMUM = 330
TOWN_POPULATION_MINIMUM = 9_000


def make_surnames(source: Path) -> None:
    """Write ``surnames.csv``: one line for each number of births, commonest first, names by ``|``.

    Grouping names with equal counts keeps three times more names in the same size. What does not fit is
    summed under the name ``*``: the mass of rare names, which the generator makes up.
    """
    groups: dict[int, list[str]] = {}
    with (source / "insee_noms_1891_2000_total.csv").open(encoding="utf-8", newline="") as file:
        ranked = sorted(((int(count), name) for name, count in csv.reader(file)), reverse=True)
    rest = size = 0
    for count, name in ranked:
        # Tail counts are rounded: the shape matters, and equal counts share a line.
        rounded = count if count < 100 else round(count, -1 if count < 10_000 else -2)
        if name == "AUTRES NOMS" or size > SURNAME_BYTES:
            rest += count
            continue
        size += len(name) + 1 + (6 if rounded not in groups else 0)
        groups.setdefault(rounded, []).append(name)
    with (DATA / "surnames.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["births", "names"])
        out.writerow([rest, "*"])
        out.writerows([count, "|".join(sorted(names))] for count, names in groups.items())


def make_given_names(source: Path) -> None:
    """Write ``given_names.csv``: name, sex, births in each decade (empty: none)."""
    with (source / "insee_prenoms_sexe_decennie.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["total"]) >= GIVEN_NAME_MINIMUM]
    with (DATA / "given_names.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["name", "sex", *DECADES])
        out.writerows([row["prenom"], row["sexe"], *(row[d] if row[d] != "0" else "" for d in DECADES)] for row in rows)


def make_communes(source: Path) -> None:
    """Write ``communes.csv``: every commune of the region and its neighbours, and the larger French towns."""
    with (source / "cog2026_communes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (DATA / "communes.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["code", "name", "population", "postal_codes", "former_codes", "parent"])
        for row in rows:
            population = int(row["population"] or 0)
            near = row["departement"] in NEAR_DEPARTMENTS and row["type"] == "A"
            town = row["type"] in "AM" and population >= TOWN_POPULATION_MINIMUM
            if near or town:
                parent = row["commune_parente"] if row["type"] == "M" else ""
                out.writerow([row["code"], row["nom"], population, row["codes_postaux"], row["anciens_codes"], parent])


def make_countries(source: Path) -> None:
    """Write ``countries.csv``: code, name, and whether the code is retired."""
    with (source / "cog_pays_99xxx.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (DATA / "countries.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["code", "name", "retired"])
        out.writerows([row["cog"], row["libelle"], "1" if row["fin"] else ""] for row in rows)


def main() -> None:
    """Make all tables from the folder named on the command line."""
    source = Path(sys.argv[1])
    DATA.mkdir(exist_ok=True)
    make_surnames(source)
    make_given_names(source)
    make_communes(source)
    make_countries(source)


if __name__ == "__main__":
    main()
