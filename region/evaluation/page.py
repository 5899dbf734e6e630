"""One self-contained HTML page about a linkage: figures side by side, plots, calibration, gallery of errors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mpi.domain.quality import Metrics
from region.evaluation.measures import CalibrationBin, CurvePoint
from region.evaluation.plots import histogram, lines

Row = Mapping[str, str]

GALLERY_COLUMNS = (
    "domain",
    "birth_family_name",
    "birth_given_names",
    "used_family_name",
    "sex",
    "birth_date",
    "birth_place_code",
    "address",
    "postal_code",
    "phone",
    "ins",
    "identity_status",
    "kinds",
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One linker's result on a file.

    Attributes:
        curve: precision and recall over thresholds; empty for a linker without a score.
        seconds: wall time of linking, loading apart.
    """

    name: str
    metrics: Metrics
    curve: Sequence[CurvePoint] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Specimen:
    """An error for the gallery: two rows of the file, and what the linker thought of them."""

    kind: str
    a: Row
    b: Row
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Results on one file.

    Attributes:
        title: profile, size and seed.
        matches, others: weights in bits of our scored pairs of one human and of two.
        wanted_false_share: what the automatic threshold was derived for, or ``None``.
        expected_false_share: what the learner expects at the thresholds, or ``None`` for a model set by hand.
        false_links, missed: our errors.
    """

    title: str
    contenders: Sequence[Contender]
    matches: Sequence[float] = ()
    others: Sequence[float] = ()
    calibration: Sequence[CalibrationBin] = ()
    wanted_false_share: float | None = None
    expected_false_share: float | None = None
    false_links: Sequence[Specimen] = field(default_factory=tuple)
    missed: Sequence[Specimen] = field(default_factory=tuple)


_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --paper: #fff; --soft: #667; --rule: #d8dce5; --mark: #ffe9b8;
  --s0: #1464c0; --s1: #c2571a; --s2: #2f8f4e; --s3: #8a4fb5; --s4: #777; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --paper: #14171f; --soft: #9aa3b5; --rule: #333a49;
  --mark: #5a4713; --s0: #6cb0ff; --s1: #ff9d5c; --s2: #6fd08c; --s3: #c99bf0; --s4: #aaa; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
svg { width: 100%; font-size: 11px; } svg text { fill: var(--ink); }
.plot { fill: none; stroke: var(--rule); } .grid { stroke: var(--rule); stroke-width: .5; }
.line { fill: none !important; stroke-width: 2; } .bar { opacity: .55; }
.series-0 { fill: var(--s0); stroke: var(--s0); } .series-1 { fill: var(--s1); stroke: var(--s1); }
.series-2 { fill: var(--s2); stroke: var(--s2); } .series-3 { fill: var(--s3); stroke: var(--s3); }
.series-4 { fill: var(--s4); stroke: var(--s4); }
.gallery { overflow-x: auto; font-size: 12px; } .gallery td { text-align: left; white-space: nowrap; }
.differs { background: var(--mark); } .note { color: var(--soft); } summary { cursor: pointer; margin: .4rem 0; }
"""


def render(
    title: str,
    sections: Iterable[Section],
    introduction: str = "",
    summary: Sequence[Sequence[str]] = (),
    note: str = "All people are made up by a generator.",
) -> str:
    """The whole page.

    Args:
        introduction: plain text below the title.
        summary: rows of a table over all files, its heading first.
        note: what is to be known of the people shown.
    """
    body = (_table(summary) if summary else "") + "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{escape(introduction)}</p><p class=note>{escape(note)}</p>{body}</body></html>\n"
    )


_HEADING = (
    "linker",
    "precision",
    "recall",
    "F1",
    "mixed persons",
    "split people",
    "linked or waiting",
    "records with task",
    "right tasks",
    "seconds",
)


def table(contenders: Sequence[Contender]) -> list[tuple[str, ...]]:
    """Heading and one row of text per contender, for the page and for a terminal."""
    rows: list[tuple[str, ...]] = [_HEADING]
    for contender in contenders:
        found = contender.metrics
        rows.append(
            (
                contender.name,
                f"{found.precision:.5f}",
                f"{found.recall:.4f}",
                f"{found.f1:.4f}",
                f"{found.mixed_clusters:,}",
                f"{found.split_people:,}",
                f"{found.linked_or_waiting:.4f}",
                f"{found.task_share:.2%}",
                f"{found.task_precision:.1%}" if found.tasks else "–",
                f"{contender.seconds:.1f}" if contender.seconds else "–",
            )
        )
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    heading, *body = ("".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in row) for kind, row in _kinds(rows))
    return f"<table><tr>{heading}</tr>" + "".join(f"<tr>{cells}</tr>" for cells in body) + "</table>"


def _kinds(rows: Sequence[Sequence[str]]) -> Iterable[tuple[str, Sequence[str]]]:
    return zip(("th", *("td" for _ in rows[1:])), rows, strict=True)


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>", _table(table(section.contenders)), "<div class=plots>"]
    parts.append(_precision_recall(section.contenders))
    if section.matches:
        named = {"one human": section.matches, "two": section.others}
        parts.append(histogram("Weights of candidate pairs", "bits", named, width=2.0))
    parts.append("</div>")
    parts.append(_calibration(section))
    parts.append(_gallery("False links", section.false_links))
    parts.append(_gallery("Missed links", section.missed))
    return "".join(parts)


def _precision_recall(contenders: Sequence[Contender]) -> str:
    curves = {c.name: [(point.recall, point.precision) for point in c.curve] for c in contenders}
    dots = {c.name: (c.metrics.recall, c.metrics.precision) for c in contenders}
    ranges = ((0.9, 1.0), (min(0.98, *(y for _, y in dots.values())) - 0.002, 1.0))
    title = "Precision and recall over thresholds, linking transitively; the dot is what each decides"
    return lines(title, ("recall", "precision"), curves, dots, ranges)


def _calibration(section: Section) -> str:
    if not section.calibration:
        return ""
    rows = "".join(
        f"<tr><td>from {found.lowest:g}</td><td>{found.pairs:,}</td><td>{found.expected_false:,.1f}</td>"
        f"<td>{found.measured_false:,}</td></tr>"
        for found in section.calibration
    )
    metrics = section.contenders[0].metrics
    wanted, expected = (
        "not stated" if share is None else f"{share:.2g}"
        for share in (section.wanted_false_share, section.expected_false_share)
    )
    return (
        "<h3>Calibration</h3><p>Share of false links: "
        f"wanted {wanted}, expected {expected}, measured {1 - metrics.precision:.2g}.</p>"
        f"<table><tr><th>probability</th><th>pairs</th><th>false, expected</th><th>false, measured</th></tr>"
        f"{rows}</table>"
    )


def _gallery(title: str, specimens: Sequence[Specimen], shown: int = 5) -> str:
    if not specimens:
        return ""
    counts = Counter(specimen.kind for specimen in specimens)
    by_kind: defaultdict[str, list[Specimen]] = defaultdict(list)
    for specimen in specimens:
        by_kind[specimen.kind].append(specimen)
    parts = [f"<h3>{escape(title)}: {len(specimens):,}</h3>"]
    for kind, count in counts.most_common():
        parts.append(f"<details><summary>{escape(kind)}: {count:,}</summary><div class=gallery><table>")
        parts.append("<tr>" + "".join(f"<td>{escape(column)}</td>" for column in GALLERY_COLUMNS) + "</tr>")
        for specimen in by_kind[kind][:shown]:
            for mine, other in ((specimen.a, specimen.b), (specimen.b, specimen.a)):
                cells = "".join(_cell(column, mine, other) for column in GALLERY_COLUMNS)
                parts.append(f"<tr>{cells}</tr>")
            note = escape(specimen.note)
            parts.append(f"<tr><td class=note colspan={len(GALLERY_COLUMNS)}>{note}</td></tr>")
        parts.append("</table></div></details>")
    return "".join(parts)


def _cell(column: str, mine: Row, other: Row) -> str:
    a, b = mine.get(column, ""), other.get(column, "")
    differs = ' class="differs"' if a and b and a.upper() != b.upper() and column not in ("domain", "kinds") else ""
    return f"<td{differs}>{escape(a)}</td>"
