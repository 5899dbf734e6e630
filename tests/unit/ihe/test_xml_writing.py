"""Text for XML by hand is what lxml would write of the same values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.xml import escaped, quoted, serialize

text = st.text(st.characters() | st.sampled_from("<>&\"'\r\n\t ]"))


def allowed(value: str) -> str:
    """Without the characters that lxml refuses."""
    kept = ""
    for character in value:
        try:
            etree.Element("a").text = character
        except ValueError:
            continue
        kept += character
    return kept


@given(text)
def test_character_data(value: str) -> None:
    element = etree.Element("a")
    element.text = allowed(value)
    assert f"<a>{escaped(value)}</a>".encode() == serialize(element, declaration=False)


@given(text)
def test_values_of_attributes(value: str) -> None:
    element = etree.Element("a", b=allowed(value))
    assert f"<a b={quoted(value)}/>".encode() == serialize(element, declaration=False)
