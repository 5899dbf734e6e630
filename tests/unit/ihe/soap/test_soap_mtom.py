"""MTOM/XOP and its MIME parts: every way to send a document reads the same, and no way to send it wrong passes."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import quopri
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.errors import IheError, MalformedRequest, TooLarge, UnsupportedRequest
from ihe.soap.envelope import content_id_of, read_envelope
from ihe.soap.fault import FaultCode, SoapFault
from ihe.soap.mtom import (
    DEFAULT_MESSAGE_LIMITS,
    MessageLimits,
    MessageReader,
    OutgoingMessage,
    ReceivedMessage,
    mtom_message,
    simple_message,
    xop_include,
)
from ihe.soap.multipart import ContentType, MultipartReader, OutgoingPart, PartData, PartEnd, PartStart
from ihe.soap.transfer_encoding import decoder_for
from ihe.xml import NS, Element, XmlLimits, qname

ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
DOCUMENT = qname(NS.XDSB, "Document")
MTOM = 'multipart/related; boundary=b; type="application/xop+xml"; start="<root@x>"; start-info="application/soap+xml"'


class MemorySink:
    """A sink whose content a test can look at."""

    def __init__(self) -> None:
        self.content = b""
        self.discarded = False

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def write(self, data: bytes) -> None:
        self.content += data

    def facts(self) -> MemorySink:
        return self

    def discard(self) -> None:
        self.discarded = True


def envelope(*documents: str) -> str:
    held = "".join(f'<x:Document id="d{n}">{document}</x:Document>' for n, document in enumerate(documents))
    return (
        f'<s:Envelope xmlns:s="{NS.SOAP}" xmlns:x="{NS.XDSB}" xmlns:xop="{NS.XOP}" xmlns:wsa="{NS.WSA}"><s:Header>'
        f"<wsa:Action>{ACTION}</wsa:Action></s:Header><s:Body><x:Request>{held}</x:Request></s:Body></s:Envelope>"
    )


def include(content_id: str) -> str:
    return f'<xop:Include href="cid:{content_id}"/>'


def part(content_id: str, content: bytes, *headers: str, line: str = "\r\n") -> bytes:
    lines = ["--b", f"Content-ID: <{content_id}>", *headers, "", ""]
    return line.join(lines).encode() + content + line.encode()


def root_part(*documents: str) -> bytes:
    return part(
        "root@x", envelope(*documents).encode(), 'Content-Type: application/xop+xml; type="application/soap+xml"'
    )


def read(
    content_type: str, data: bytes, step: int = 0, limits: MessageLimits = DEFAULT_MESSAGE_LIMITS
) -> ReceivedMessage:
    sinks: list[MemorySink] = []

    def open_sink() -> MemorySink:
        sinks.append(MemorySink())
        return sinks[-1]

    reader = MessageReader(content_type, open_sink, limits)
    try:
        for start in range(0, len(data), step or len(data) or 1):
            reader.feed(data[start : start + (step or len(data))])
        return reader.close()
    except BaseException:
        reader.discard()
        assert all(sink.discarded for sink in sinks)
        raise


def documents(message: ReceivedMessage) -> list[bytes]:
    """The content of the documents in the order of the envelope."""
    request = read_envelope(message.root, message.action, message.attachments)
    found = [request.attachment(element) for element in request.body_element.iter(DOCUMENT)]
    for attachment in found:
        assert attachment.facts.sha1 == hashlib.sha1(content_of(attachment.sink)).hexdigest()
    return [content_of(attachment.sink) for attachment in found]


def content_of(sink: object) -> bytes:
    assert isinstance(sink, MemorySink)
    return sink.content


def sent(message: OutgoingMessage) -> bytes:
    data = message.body if isinstance(message.body, bytes) else b"".join(message.body)
    assert message.size in (None, len(data))
    return data


def test_a_document_beside_the_envelope_is_read() -> None:
    data = root_part(include("d@x")) + part("d@x", b"\x00\r\n--\r\n", "Content-Type: text/plain") + b"--b--\r\n"
    message = read(MTOM, data)
    assert documents(message) == [b"\x00\r\n--\r\n"]
    assert message.attachments["d@x"].mime_type == "text/plain"
    assert message.is_mtom


def test_the_root_may_come_last_and_without_start_it_comes_first() -> None:
    document = part("d@x", b"content")
    assert documents(read(MTOM, document + root_part(include("d@x")) + b"--b--")) == [b"content"]
    unnamed = "multipart/related; boundary=b"
    assert documents(read(unnamed, root_part(include("d@x")) + document + b"--b--")) == [b"content"]
    with pytest.raises(IheError):
        read(unnamed, document + root_part(include("d@x")) + b"--b--")


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("binary", bytes),
        ("8bit", bytes),
        ("7bit", bytes),
        ("BASE64", base64.encodebytes),
        ("base64", base64.b64encode),
        ("quoted-printable", quopri.encodestring),
    ],
)
def test_every_transfer_encoding_is_undone(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    content = bytes(range(256)) * 3
    data = root_part(include("d@x")) + part("d@x", encode(content), f"Content-Transfer-Encoding: {encoding}") + b"--b--"
    for step in (0, 1, 7):
        assert documents(read(MTOM, data, step)) == [content]


def test_base64_in_the_body_is_the_same_as_a_part() -> None:
    content = bytes(range(256)) * 100
    text = base64.encodebytes(content).decode()
    mixed = root_part(f"\n{text}\n", include("d@x")) + part("d@x", b"other") + b"--b--"
    assert documents(read(MTOM, mixed, 100)) == [content, b"other"]
    message = read("application/soap+xml; charset=utf-8", envelope(text, "", "QQ==").encode(), 100)
    assert documents(message) == [content, b"", b"A"]
    assert not message.is_mtom


def test_base64_in_the_body_may_be_larger_than_any_text_limit() -> None:
    content = bytes(range(256)) * 4096
    limits = MessageLimits(XmlLimits(bytes=10_000, text=1000))
    message = read("application/soap+xml", envelope(base64.b64encode(content).decode()).encode(), 50_000, limits)
    assert documents(message) == [content]


@pytest.mark.parametrize("text", ["QQ=", "QQ==QQ==", "Q?==", "é", "QQ==<x/>", "<x/>", "<x/><x/>", "QQ=== "])
def test_what_is_no_document_in_the_body_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read("application/soap+xml", envelope(text).encode())


def test_content_ids_are_compared_decoded() -> None:
    data = root_part(include("a%2Bb%25@x")) + part("a+b%@x", b"content") + b"--b--"
    assert documents(read(MTOM, data)) == [b"content"]


def test_line_feeds_preamble_epilogue_and_padding_are_read() -> None:
    data = (
        b"This is a MIME message\r\n--bb\r\n"
        + root_part(include("d@x")).replace(b"--b\r\n", b"--b  \t\r\n", 1)
        + part("d@x", b"one\n--bee\r\n--b no", line="\n")
        + b"--b--\r\nepilogue --b\r\n--b\r\n"
    )
    for step in (0, 1, 3, 1000):
        assert documents(read(MTOM, data, step)) == [b"one\n--bee\r\n--b no"]


@pytest.mark.parametrize(
    ("boundary", "written"),
    [
        ("----=_Part_1.2", "----=_Part_1.2"),
        ('"----=_Part;1:2"', "----=_Part;1:2"),
        ('"a b\'c(d)"', "a b'c(d)"),
        ('"a\\"b"', 'a"b'),
        ("a.+*b", "a.+*b"),
        ("é", "é"),
    ],
)
def test_boundaries_with_odd_characters(boundary: str, written: str) -> None:
    body = (root_part(include("d@x")) + part("d@x", b"content")).replace(b"--b\r", f"--{written}\r".encode("latin-1"))
    data = body + f"--{written}--".encode("latin-1")
    assert documents(read(f"multipart/related; boundary={boundary}; start=<root@x>", data)) == [b"content"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (root_part(include("d@x")) + part("d@x", b"content"), "closing boundary"),
        (root_part(include("d@x")) + part("d@x", b"content") + b"--b-", "closing boundary"),
        (b"", "closing boundary"),
        (part("d@x", b"content") + b"--b--", "root part"),
        (b"--b--", "root part"),
        (root_part(include("d@x")) + b"--b--", "names a part"),
        (root_part() + part("d@x", b"content") + b"--b--", "named by no"),
        (root_part(include("d@x")) + part("d@x", b"1") + part("d@x", b"2") + b"--b--", "one Content-ID"),
        (root_part() + part("", b"1") + b"--b--", "no Content-ID"),
        (root_part() + b"--b\r\nno header\r\n\r\n--b--", "headers"),
        (root_part('<xop:Include href="http://127.0.0.1/x"/>') + b"--b--", "cid:"),
        (root_part("<xop:Include/>") + b"--b--", "cid:"),
        (root_part() + root_part() + b"--b--", "named by no"),
    ],
)
def test_incomplete_and_contradictory_messages_are_refused(data: bytes, sentence: str) -> None:
    for step in (0, 1):
        with pytest.raises(MalformedRequest, match=sentence):
            read(MTOM, data, step)


def test_an_unknown_transfer_encoding_is_refused() -> None:
    data = root_part(include("d@x")) + part("d@x", b"", "Content-Transfer-Encoding: x-uuencode") + b"--b--"
    with pytest.raises(UnsupportedRequest):
        read(MTOM, data)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (MessageLimits(documents=1), "more than 2 MIME parts"),
        (MessageLimits(part_header_bytes=100), "headers"),
        (MessageLimits(total_bytes=500), "500 bytes"),
        (MessageLimits(XmlLimits(bytes=300)), "300 bytes"),
    ],
)
def test_limits_are_refused(limits: MessageLimits, sentence: str) -> None:
    data = (
        root_part(include("d@x"), include("e@x"))
        + part("d@x", b"content")
        + part("e@x", b"content", "X-Long: " + "x" * 100)
        + b"--b--"
    )
    with pytest.raises(TooLarge, match=sentence):
        read(MTOM, data, 50, limits)
    assert len(documents(read(MTOM, data, 50))) == 2


def test_inline_documents_count_too() -> None:
    with pytest.raises(TooLarge, match="documents"):
        read("application/soap+xml", envelope("QQ==", "QQ==").encode(), limits=MessageLimits(documents=1))


@pytest.mark.parametrize("boundary", ["", '; boundary=""', "; boundary=" + "x" * 300])
def test_a_boundary_is_needed(boundary: str) -> None:
    with pytest.raises(MalformedRequest, match="boundary"):
        read(f"multipart/related{boundary}", b"")


@pytest.mark.parametrize("content_type", ["text/xml", 'multipart/related; boundary=b; type="text/xml"'])
def test_the_content_type_of_older_envelopes_is_a_version_mismatch(content_type: str) -> None:
    with pytest.raises(SoapFault) as raised:
        read(content_type, b"")
    assert raised.value.code is FaultCode.VERSION_MISMATCH


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data; boundary=b"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(SoapFault) as raised:
        read(content_type, b"")
    assert raised.value.http_status == 415


@pytest.mark.parametrize(
    "content_type",
    [
        f'application/soap+xml; charset=UTF-8; action="{ACTION}"',
        f"application/soap+xml;action={ACTION}",
        f'application/soap+xml; type="x; action=\\"{ACTION}\\""',
    ],
)
def test_the_action_of_the_content_type_is_read(content_type: str) -> None:
    assert read(content_type, envelope().encode()).action == ACTION


def test_the_action_of_a_multipart_message_is_read_wherever_it_stands() -> None:
    data = root_part() + b"--b--"
    assert read(f'{MTOM}; action="{ACTION}"', data).action == ACTION
    info = 'multipart/related; boundary=b; start-info="application/soap+xml; action=\\"urn:a\\""'
    assert read(info, data).action == "urn:a"
    inner = data.replace(b'type="application/soap+xml"', b'type="application/soap+xml"; action="urn:b"')
    assert read(MTOM, inner).action == "urn:b"


def test_parameters_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(MalformedRequest):
        ContentType("multipart/related; a*=x; a*0=y").parameter("a")


_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="<>"), min_size=1, max_size=20)


@given(st.dictionaries(_ids, st.binary(max_size=300), max_size=5), st.integers(1, 400))
def test_what_is_written_is_read_back(contents: dict[str, bytes], step: int) -> None:
    root = etree.fromstring(envelope("").encode())
    holder = root.find(f".//{DOCUMENT}")
    assert holder is not None
    request = holder.getparent()
    assert request is not None
    request.remove(holder)
    for content_id in contents:
        etree.SubElement(request, DOCUMENT).append(xop_include(content_id))
    parts = [OutgoingPart(name, "a/b", [data[:7], data[7:]], len(data)) for name, data in contents.items()]
    message = mtom_message(root, parts, ACTION)
    received = read(message.content_type, sent(message), step)
    assert documents(received) == list(contents.values())
    assert received.action == ACTION
    assert [content_id_of(i) for i in received.root.iter(qname(NS.XOP, "Include"))] == list(contents)


def test_a_size_that_is_not_known_leaves_the_message_without() -> None:
    root: Element = etree.fromstring(envelope())
    assert mtom_message(root, [OutgoingPart("d", "a/b", [b"x"])]).size is None
    assert read(simple_message(root).content_type, sent(simple_message(root))).attachments == {}


def test_every_part_is_closed_though_not_sent() -> None:
    closed: list[str] = []

    class Chunks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            closed.append("closed")

    body = mtom_message(
        etree.fromstring(envelope()), [OutgoingPart("d", "a/b", Chunks(), 1), OutgoingPart("e", "a/b", [])]
    ).body
    assert not isinstance(body, bytes)
    body.close()
    assert closed == ["closed"]


_pieces = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                b"--b",
                b"--b\r\n",
                b"--b--",
                b"\r\n",
                b"\n",
                b"\r",
                b"\r\n\r\n",
                b"\r\n--b\r\n",
                b"Content-ID: <root@x>\r\n",
                b"Content-ID: <d@x>\r\n",
                b"Content-Type: application/xop+xml\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"Content-Transfer-Encoding: quoted-printable\r\n",
                b"Content-Type: a; charset*=x; charset*0=y\r\n",
                envelope(include("d@x")).encode(),
                envelope("QQ==").encode(),
            ]
        ),
    ),
    max_size=25,
)


@given(_pieces, st.integers(1, 60))
def test_any_bytes_are_read_or_refused(pieces: list[bytes], step: int) -> None:
    for content_type in (MTOM, "multipart/related; boundary=b", "application/soap+xml"):
        with contextlib.suppress(IheError):
            read(content_type, b"".join(pieces), step)


@given(
    st.text(max_size=60) | st.from_regex(r"(multipart/related|application/soap\+xml)(; ?[a-z*0-9-]{1,8}=.{0,20}){0,4}")
)
def test_any_content_type_is_read_or_refused(content_type: str) -> None:
    with contextlib.suppress(IheError, SoapFault):
        read(content_type, root_part() + b"--b--")


@given(_pieces, st.integers(1, 40))
def test_any_fragmentation_gives_the_same_parts(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)

    def parts(step: int) -> list[tuple[PartStart | None, bytes]] | str:
        reader = MultipartReader("b")
        found: list[tuple[PartStart | None, bytes]] = []
        try:
            for start in range(0, len(data), step):
                for event in reader.feed(data[start : start + step]):
                    match event:
                        case PartStart():
                            found.append((event, b""))
                        case PartData(content):
                            found[-1] = (found[-1][0], found[-1][1] + content)
                        case PartEnd():
                            pass
            reader.close()
        except IheError as error:
            return error.message
        return found

    assert parts(step) == parts(len(data) or 1)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary"])
@given(content=st.binary(max_size=500), step=st.integers(1, 100))
def test_any_fragmentation_decodes_the_same(encoding: str, content: bytes, step: int) -> None:
    encoders: dict[str, Callable[[bytes], bytes]] = {
        "base64": base64.encodebytes,
        # quopri.encodestring takes its input for text and turns all its line ends into one kind.
        "quoted-printable": lambda data: binascii.b2a_qp(data, istext=False),
        "binary": bytes,
    }
    data = encoders[encoding](content)
    decoder = decoder_for(encoding)
    pieces = [decoder.feed(data[start : start + step]) for start in range(0, len(data), step)]
    assert b"".join(pieces) + decoder.close() == content


def test_a_line_without_end_is_decoded_before_its_end() -> None:
    decoder = decoder_for("quoted-printable")
    content = "é".encode() * 100_000
    data = b"".join(b"=%02X" % byte for byte in content)
    first = decoder.feed(data)
    assert len(first) > len(content) // 2
    assert first + decoder.close() == content


def test_base64_that_goes_on_behind_its_padding_is_refused_across_pieces() -> None:
    decoder = decoder_for("base64")
    assert decoder.feed(b"QQ==\r\n") == b"A"
    with pytest.raises(MalformedRequest, match="padding"):
        decoder.feed(b"QQ==")
