"""The HTML report: self-contained, escaped, well-formed plots."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.evaluation import calibration, curve, evaluate
from region.evaluation.page import Contender, Section, Specimen, render, table
from region.evaluation.plots import histogram, lines

TRUTH = {"1": "a", "2": "a", "3": "b"}
ROW = {"domain": "CHUSE", "birth_family_name": "FAVER<JON", "kinds": "surname_ocr"}


def section() -> Section:
    contender = Contender("ours", evaluate(TRUTH, TRUTH, [("1", "3")]), curve(TRUTH, [(9.0, "1", "2")]), 1.5)
    return Section(
        "realistic",
        [contender],
        matches=[30.0, 40.0],
        others=[3.0],
        calibration=calibration([(0.99, True)]),
        wanted_false_share=0.0005,
        false_links=[Specimen("twins", ROW, {**ROW, "birth_family_name": "FAVERJON"}, "41 bits")],
    )


def test_the_page_needs_nothing_but_itself_and_escapes_what_it_shows() -> None:
    page = render("Matching <bench>", [section()], "All & sundry")
    assert "<script" not in page
    assert "http" not in page
    assert "FAVER&lt;JON" in page
    assert "FAVER<JON" not in page
    assert "prefers-color-scheme: dark" in page
    assert 'class="differs"' in page


def test_plots_are_well_formed() -> None:
    curves = lines("t & t", ("x", "y"), {"a": [(0.9, 0.99), (1.0, 1.0)]}, {"a": (1.0, 1.0)}, ((0.9, 1), (0.9, 1)))
    bars = histogram("weights", "bits", {"same": [1.0, 1.5, 30.0], "other": []}, 2.0)
    for text in (curves, bars, histogram("empty", "bits", {"same": []}, 2.0)):
        assert ElementTree.fromstring(text).tag == "svg"


def test_the_table_says_what_there_is_not() -> None:
    heading, row = table([Contender("none", evaluate(TRUTH, {}))])
    assert len(heading) == len(row)
    assert row[-2:] == ("–", "–")
