"""Charts are well-formed, say what they show, and escape what they are given."""

from __future__ import annotations

from xml.dom.minidom import parseString

from web.charts import bar_chart, line_chart, meter, waterfall

EVIDENCE = {
    "fields": [
        {"field": "family", "level": "SAME", "bits": 12.0, "rarity_bits": 2.5},
        {"field": "birth", "level": "DIFFERENT", "bits": -4.0, "rarity_bits": 0.0},
        {"field": "ins", "level": "MISSING", "bits": 0.0, "rarity_bits": 0.0},
    ],
    "weight_bits": 10.5,
    "thresholds": {"automatic_bits": 28.0, "possible_bits": 17.0},
}


def number(value: float) -> str:
    return f"{value:.1f}"


def test_a_waterfall_has_a_bar_for_each_field_that_speaks() -> None:
    drawn = parseString(waterfall(EVIDENCE, lambda text: text, number))
    kinds = [bar.getAttribute("class") for bar in drawn.getElementsByTagName("rect")]
    assert kinds == ["for", "against", "total"]
    assert drawn.documentElement.getAttribute("aria-label") == "Weight 10.5 bits"


def test_names_are_escaped() -> None:
    drawn = bar_chart([("<b>&", 1.0), ("FEURS", 0.0)], "title", number)
    assert "<b>" not in drawn
    parseString(drawn)


def test_a_trend_needs_two_days() -> None:
    assert line_chart([("2026-01-01", 1.0)], "t", number) == ""
    parseString(line_chart([("2026-01-01", 1.0), ("2026-01-02", 1.0)], "t", number))


def test_a_meter_says_its_share() -> None:
    assert parseString(meter(0.5, "50 %")).documentElement.getAttribute("aria-label") == "50 %"
