"""The safe XML reader: what it refuses, when it refuses it, and what it leaves as it was."""

from __future__ import annotations

import base64
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.errors import IheError, MalformedRequest, TooLarge
from ihe.xml import Capture, Element, XmlLimits, XmlReader, parse_xml, serialize


def read_in_steps(data: bytes, step: int, capture: Capture | None = None) -> Element:
    reader = XmlReader(capture=capture or {})
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.close()


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        b'<?xml version="1.0"?><!-- first --><!DOCTYPE a><a/>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16-le"),
        '<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16-be"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
        b"\xef\xbb\xbf<!DOCTYPE a><a/>",
    ],
)
def test_a_document_type_is_refused_in_any_encoding(document: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"DOCTYPE|charset"):
        parse_xml(document)
    with pytest.raises(MalformedRequest, match=r"DOCTYPE|charset"):
        read_in_steps(document, 1)


def test_entities_that_would_expand_are_never_expanded() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "ha">{levels}]><a b="&e9;">&e9;</a>'.encode()
    started = time.perf_counter()
    with pytest.raises(MalformedRequest, match="DOCTYPE"):
        parse_xml(bomb)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "document", [b"", b"   ", b"<a>", b"<a/>x", b"<a>&x;</a>", b'<a b="&x;"/>', b"<a>\xff</a>", b"<a:b/>", b"\x00"]
)
def test_what_is_not_well_formed_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_xml(document)


@pytest.mark.parametrize(
    "document",
    [b"<a>&x;</a>", b"<a:b/>", b'<a b:c=""/>', b'<a xmlns:xml="u"/>', b'<a xmlns:xmlns="u"/>', b"<a>]]></a>"],
)
def test_what_lxml_would_let_pass_or_name_otherwise_is_refused_in_the_words_of_expat(document: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"^not well-formed XML: .* \(line 1, column \d+\)$"):
        parse_xml(document)


def test_a_refusal_does_not_quote_the_document() -> None:
    with pytest.raises(MalformedRequest) as refused:
        parse_xml(b"<a><DUPONT></b></a>")
    assert "DUPONT" not in refused.value.message
    assert "line 1" in refused.value.message


@pytest.mark.parametrize("closing", [b"", b"</a>" * 10_000])
def test_nesting_of_ten_thousand_is_refused(closing: bytes) -> None:
    with pytest.raises(TooLarge):
        parse_xml(b"<a>" * 10_000 + closing)


def test_depth_is_refused_one_beyond_the_limit() -> None:
    limits = XmlLimits(depth=10)
    parse_xml(b"<a>" * 10 + b"</a>" * 10, limits)
    with pytest.raises(TooLarge, match="deeper than 10"):
        parse_xml(b"<a>" * 11 + b"</a>" * 11, limits)


def test_the_other_limits_are_refused_one_beyond() -> None:
    limits = XmlLimits(bytes=1000, elements=5, attributes=3, text=20)
    parse_xml(b'<a x="" y="" z="">' + b"<b/>" * 4 + b"t" * 20 + b"</a>", limits)
    for document, sentence in [
        (b'<a w="" x="" y="" z=""/>', "3 attributes"),
        (b"<a>" + b"<b/>" * 5 + b"</a>", "5 elements"),
        (b"<a>" + b"t" * 21 + b"</a>", "20 characters"),
        (b"<a><b/>" + b"t" * 21 + b"<b/></a>", "20 characters"),
        (b"<a>" + b"<!--c-->" * 125 + b"</a>", "1000 bytes"),
    ]:
        with pytest.raises(TooLarge, match=sentence):
            parse_xml(document, limits)


def test_limits_bite_before_the_document_ends() -> None:
    reader = XmlReader(XmlLimits(text=1000))
    reader.feed(b"<a>")
    for _ in range(10):
        reader.feed(b"x" * 100)
    with pytest.raises(TooLarge):
        reader.feed(b"x" * 500)


def test_half_a_million_siblings_take_linear_time() -> None:
    started = time.perf_counter()
    with pytest.raises(TooLarge, match="elements"):
        parse_xml(b"<a>" + b"<b/>" * 500_001 + b"</a>")
    assert time.perf_counter() - started < 20


def test_the_charset_of_the_transport_goes_before_the_declaration() -> None:
    document = '<?xml version="1.0" encoding="utf-8"?><a>é</a>'.encode("iso-8859-1")
    assert parse_xml(document, charset="ISO-8859-1").text == "é"
    with pytest.raises(MalformedRequest):
        parse_xml(document)
    with pytest.raises(MalformedRequest, match="charset"):
        parse_xml(b"<a/>", charset="utf-7")


def test_comments_and_instructions_do_not_split_text() -> None:
    assert parse_xml(b"<a>DU<!-- x -->PO<?y z?>NT</a>").text == "DUPONT"


def test_prefixes_stay_as_they_were() -> None:
    document = b'<p:a xmlns:p="urn:u" xmlns:q="urn:u"><q:b p:c="1" q:d="2"/></p:a>'
    assert serialize(parse_xml(document), declaration=False) == document


def test_captured_text_leaves_no_trace_in_the_tree_and_counts_for_no_limit() -> None:
    class Sink:
        def write(self, text: str) -> None:
            taken.append(text)

        def child(self, tag: str) -> None:
            taken.append(f"<{tag}>")

        def end(self) -> None:
            ended.append(len(taken))

    taken: list[str] = []
    ended: list[int] = []
    reader = XmlReader(XmlLimits(bytes=200, text=20), capture={"d": Sink})
    text = base64.b64encode(bytes(range(256)) * 1000)
    reader.feed(b"<a><d>" + text[:7])
    for start in range(7, len(text), 1000):
        reader.feed(text[start : start + 1000])
    reader.feed(b"</d><e>kept</e></a>")
    root = reader.close()
    assert "".join(taken).encode() == text
    assert ended == [len(taken)]
    assert serialize(root, declaration=False) == b"<a><d/><e>kept</e></a>"


_pieces = [
    "<a>",
    "</a>",
    "<b/>",
    '<c d="" e=""/>',
    '<f xmlns="urn:f">',
    "</f>",
    "t=t",
    "&lt;",
    "&x;",
    "é",
    "<!--c-->",
    "<![CDATA[<=]]>",
    "<?p =?>\n",
    "<!DOCTYPE a>",
    "<d>",
    "</d>",
]
_documents = st.lists(st.sampled_from(_pieces), max_size=12).map(lambda parts: f"<r>{''.join(parts)}</r>")


@given(
    _documents,
    st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]),
    st.builds(XmlLimits, *(st.integers(low, high) for low, high in ((20, 200), (1, 5), (1, 9), (0, 3), (0, 12)))),
    st.integers(1, 60),
)
def test_what_is_not_counted_exceeds_nothing(document: str, encoding: str, limits: XmlLimits, step: int) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?>{document}'.encode(encoding)

    def outcome() -> tuple[object, ...]:
        taken: list[Taken] = []

        def take() -> Taken:
            taken.append(Taken())
            return taken[-1]

        reader = XmlReader(limits, capture={"d": take})
        try:
            for start in range(0, len(data), step):
                reader.feed(data[start : start + step])
            return serialize(reader.close()), [(each.text, each.children, each.ended) for each in taken]
        except IheError as error:
            return type(error), error.message

    found = outcome()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ihe.xml.XmlReader._is_harmless", lambda *_: False)
        assert outcome() == found


def test_a_name_that_arrives_in_pieces_is_captured_all_the_same() -> None:
    taken = Taken()
    data = b"<r><a/><document>text</document></r>"
    assert serialize(read_in_steps(data, 3, {"document": lambda: taken}), declaration=False) == (
        b"<r><a/><document/></r>"
    )
    assert (taken.text, taken.ended) == ("text", True)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_read_or_refused(data: bytes, step: int) -> None:
    with contextlib.suppress(IheError):
        read_in_steps(data, step)


_texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@given(st.lists(st.tuples(st.sampled_from("abc"), _texts, _texts), max_size=8), st.integers(1, 40))
def test_any_fragmentation_reads_the_same(children: list[tuple[str, str, str]], step: int) -> None:
    root = etree.Element("root")
    for tag, value, text in children:
        etree.SubElement(root, tag, value=value).text = text
    data = serialize(root)
    assert serialize(read_in_steps(data, step)) == serialize(parse_xml(data))


class Taken:
    """What was captured of one element."""

    def __init__(self) -> None:
        self.text = ""
        self.children: list[str] = []
        self.ended = False

    def write(self, text: str) -> None:
        self.text += text

    def child(self, tag: str) -> None:
        self.children.append(tag)

    def end(self) -> None:
        self.ended = True


_contents = st.lists(
    st.sampled_from(
        [
            "abc",
            "\n",
            "é",
            "&#65;",
            "&#xD;",
            "&amp;",
            "<![CDATA[<x>&]]>",
            "<![CDATA[]]>",
            "<!--c-->",
            "<?p i?>",
            "<k>in</k>",
        ]
    ),
    max_size=6,
).map("".join)


@given(
    st.lists(st.tuples(st.booleans(), _contents), max_size=5),
    st.sampled_from(["utf-8", "utf-16", "iso-8859-1", "windows-1252"]),
    st.integers(1, 60),
)
def test_captured_and_kept_make_up_the_document(pieces: list[tuple[bool, str]], encoding: str, step: int) -> None:
    body = "".join(f"<d>{content}</d>" if captured else f"<e>{content}</e>" for captured, content in pieces)
    data = f'<?xml version="1.0" encoding="{encoding}"?><r xmlns="urn:r">{body}</r>'.encode(encoding)
    whole = etree.fromstring(data, etree.XMLParser(remove_comments=True, remove_pis=True))
    taken: list[Taken] = []

    def take() -> Taken:
        taken.append(Taken())
        return taken[-1]

    root = read_in_steps(data, step, {"{urn:r}d": take})
    for element, found in zip(whole.iter("{urn:r}d"), taken, strict=True):
        assert found.ended
        assert found.children == [child.tag for child in element]
        assert found.text == "".join([element.text or "", *(child.tail or "" for child in element)])
        element.text = None
        for child in element:
            child.tail = None
    assert etree.tostring(root, method="c14n") == etree.tostring(whole, method="c14n")
