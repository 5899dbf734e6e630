"""The one way XML is read and written: no document type, no entities, no network, bounded, and in pieces.

Two parsers share the work. Expat reads the pieces as they arrive, builds nothing, and refuses: a DOCTYPE in whatever
encoding it hides, anything not well-formed, and every excess, long before the end of the document. What has passed is
then built in one go by lxml, which has its own nets (no entities, no network, no huge trees). The split has a second
reason: an lxml parser shares its table of names with its thread, and must not be fed by one thread after another.

Text that is large by nature (a document as base64 inside a SOAP body) can be taken out of the document while it
arrives: see ``capture`` of :class:`XmlReader`.

What is refused as an excess is counted element by element, each of which calls back into Python. A small document whose
bytes hold fewer ``<`` and ``=`` than there may be levels and attributes can exceed nothing, and waits for its end. In
plain UTF-8 without ``<!`` it has no document type either: then lxml reads it alone, and Expat judges what lxml found
fault with.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol
from xml.parsers import expat

from lxml import etree

from ihe.errors import MalformedRequest, TooLarge

Element = etree._Element

_PIECE = 64 * 1024
"""Bytes read at once: bounds what may be held of a captured text."""

_CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252", "utf-16"}
)


class NS:
    """Namespaces of the IHE SOAP wires (Source: ITI TF-2: Appendix V; ITI TF-3: 4.2.3)."""

    SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
    SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
    WSA: Final = "http://www.w3.org/2005/08/addressing"
    WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    XOP: Final = "http://www.w3.org/2004/08/xop/include"
    XML: Final = "http://www.w3.org/XML/1998/namespace"
    XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
    RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
    RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
    LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
    QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
    XDSB: Final = "urn:ihe:iti:xds-b:2007"
    XDSI: Final = "urn:ihe:rad:xdsi-b:2009"
    RMD: Final = "urn:ihe:iti:rmd:2017"
    HL7V3: Final = "urn:hl7-org:v3"
    XCPD: Final = "urn:ihe:iti:xcpd:2009"
    WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
    DSUB: Final = "urn:ihe:iti:dsub:2009"


PREFIXES: Final[Mapping[str, str]] = {
    "soap": NS.SOAP,
    "wsa": NS.WSA,
    "wsse": NS.WSSE,
    "xop": NS.XOP,
    "rim": NS.RIM,
    "rs": NS.RS,
    "lcm": NS.LCM,
    "query": NS.QUERY,
    "xdsb": NS.XDSB,
    "xdsi": NS.XDSI,
    "rmd": NS.RMD,
    "hl7": NS.HL7V3,
    "xcpd": NS.XCPD,
    "wsnt": NS.WSNT,
    "dsub": NS.DSUB,
}
"""Prefix → namespace, for XPath and for building elements."""

_PREFIX_OF: Final = {namespace: prefix for prefix, namespace in PREFIXES.items()}


def prefix_of(namespace: str) -> str:
    """The prefix that our documents use for a namespace, ``other`` for one that is none of ours.

    A name in text (a fault code) must be written with this one: moving an element into a tree that has the namespace
    under another prefix drops the element's own declaration.
    """
    return _PREFIX_OF.get(namespace, "other")


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What a document may be at most.

    Attributes:
        bytes: encoded size, captured text not counted.
        depth: nesting of elements, the root being 1; at most 255.
        elements: number of elements.
        attributes: attributes and namespace declarations of one element.
        text: characters between two tags, captured text not counted; at most 10 million.
    """

    bytes: int = 16 * 1024 * 1024
    depth: int = 200
    elements: int = 500_000
    attributes: int = 200
    text: int = 1_000_000


DEFAULT_LIMITS: Final = XmlLimits()


class TextSink(Protocol):
    """Takes the content of one captured element, in order."""

    def write(self, text: str) -> None:
        """Take the next piece of text."""

    def child(self, tag: str) -> None:
        """An element begins inside; it stays in the document, with its own text."""

    def end(self) -> None:
        """The end tag was met."""


Capture = Mapping[str, Callable[[], TextSink]]
"""Opens, by the qualified names of elements (in ASCII), the sink to which the text of each goes, and not into the
document. Captured elements do not nest."""


_NOTHING: Final[Capture] = {}


class XmlReader:
    """Reads one XML document from pieces of bytes, which may come from different threads one after another.

    Args:
        limits: what is refused.
        charset: charset of the transport (``Content-Type``), which goes before the document's own declaration;
            ``None`` leaves it to the document.
        capture: see :data:`Capture`; by default nothing is captured.

    Raises:
        MalformedRequest: the charset is not one of those read here.
    """

    def __init__(
        self, limits: XmlLimits = DEFAULT_LIMITS, charset: str | None = None, capture: Capture = _NOTHING
    ) -> None:
        if charset is not None:
            _check_charset(charset)
        self._limits = limits
        self._charset = charset
        self._capture = capture
        self._waiting = b""
        self._tags = 0
        self._equals = 0
        self._scan: _Scan | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            MalformedRequest: not well-formed, or with a document type.
            TooLarge: a limit is exceeded.
        """
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if self._scan is None:
                self._waiting += piece
                if self._is_harmless(piece):
                    if len(self._waiting) > self._limits.bytes:
                        raise _too_many_bytes(self._limits)
                    continue
                self._scan = _Scan(self._limits, self._charset, self._capture)
                piece, self._waiting = self._waiting, b""
            self._scan.feed(piece)

    def close(self) -> Element:
        """End the document and return its root, which belongs to the thread that asks for it.

        Raises:
            MalformedRequest: nothing, or not the whole document, has been fed.
            TooLarge: a limit is exceeded.
        """
        if self._scan is not None:
            return _build(self._scan.end(), self._charset)
        if self._charset in _UTF_8 and _is_plain(self._waiting):
            return _build(self._waiting, self._charset, is_judged=False)
        _judge(self._waiting, self._charset)
        return _build(self._waiting, self._charset)

    def _is_harmless(self, piece: bytes) -> bool:
        """Whether what has come, this piece last, can exceed no limit by its bytes, and holds nothing to capture."""
        limits, document = self._limits, self._waiting
        self._tags += piece.count(b"<")
        self._equals += piece.count(b"=")
        return (
            self._tags <= limits.depth
            and self._tags <= limits.elements
            and self._equals <= limits.attributes
            and len(document) <= limits.text
            and len(document) <= _PIECE
            and b"\0" not in document  # in a charset of two bytes a name looks different
            and not (self._capture and any(_as_written(name) in document for name in self._capture))
        )


def _builder(charset: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=charset,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )


class _OfThread(threading.local):
    """The parser of a thread for what is plain UTF-8."""

    def __init__(self) -> None:
        self.builder = _builder()


_of_thread: Final = _OfThread()


def _build(document: bytes, charset: str | None, *, is_judged: bool = True) -> Element:
    """The root of a document; of one that Expat has not judged yet, it does where lxml finds fault."""
    parser = _builder(charset) if is_judged else _of_thread.builder
    try:
        root = etree.fromstring(document, parser)
        if not is_judged and len(parser.error_log):  # names that have no namespace, which lxml lets pass
            _judge(document, charset)
    except etree.XMLSyntaxError as error:
        if not is_judged:
            _judge(document, charset)
        line, column = error.position
        raise MalformedRequest(f"not well-formed XML (line {line}, column {column})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedRequest(_NO_DOCTYPE)
    return root


_UTF_8: Final = frozenset({None, "utf-8", "UTF-8"})
_USUAL_DECLARATION: Final = re.compile(rb"""\s*<\?xml version=["']1\.0["'](?: encoding=["'](?:utf|UTF)-8["'])?\s*\?>""")


@lru_cache(maxsize=64)
def _as_written(name: str) -> bytes:
    """A qualified name without its namespace, as UTF-8 has it."""
    return name.rpartition("}")[2].encode()


def _is_plain(document: bytes) -> bool:
    """Whether a document is UTF-8 without ``<!``, and without ``<?`` but in the usual declaration.

    One in UTF-16 may be UTF-8 as well, but for its NULs, with which no document waits.
    """
    if b"<!" in document:
        return False
    if b"<?" in document and (document.count(b"<?") > 1 or not _USUAL_DECLARATION.match(document)):
        return False
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


_NO_DOCTYPE: Final = "an XML document type (DOCTYPE) is not allowed"


def _check_charset(charset: str) -> None:
    if charset.lower() not in _CHARSETS:
        raise MalformedRequest("the charset of the XML document is not supported")


class _KeptBytes:
    """The bytes of a document without the ranges that were cut, by positions in the whole document."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._cut = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def append(self, data: bytes) -> None:
        self._bytes += data

    def cut(self, start: int, end: int) -> None:
        """Forget a range behind every earlier one."""
        del self._bytes[start - self._cut : end - self._cut]
        self._cut += end - start

    def content(self) -> bytes:
        return bytes(self._bytes)


def _too_many_bytes(limits: XmlLimits) -> TooLarge:
    return TooLarge(f"the XML document exceeds {limits.bytes} bytes")


def _judge(document: bytes, charset: str | None) -> None:
    """Refuse a document that is not well-formed or has a document type."""
    _parse(_new_parser(charset), document, is_last=True)


def _new_parser(charset: str | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(charset, "}")
    parser.XmlDeclHandler = _declaration
    parser.StartDoctypeDeclHandler = _doctype
    return parser


def _parse(parser: expat.XMLParserType, piece: bytes, *, is_last: bool = False) -> None:
    try:
        parser.Parse(piece, is_last)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise MalformedRequest(f"not well-formed XML: {expat.ErrorString(error.code)} ({where})") from None


def _declaration(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None:
        _check_charset(encoding)


def _doctype(*_: Any) -> None:
    raise MalformedRequest(_NO_DOCTYPE)


class _Scan:
    """Reads a document for what is wrong with it, counts what may be in excess, and cuts captured text out of it."""

    def __init__(self, limits: XmlLimits, charset: str | None, capture: Capture) -> None:
        self._limits = limits
        self._capture = {name.removeprefix("{"): open_sink for name, open_sink in capture.items()}
        self._kept = _KeptBytes()
        self._depth = 0
        self._elements = 0
        self._declarations = 0
        self._text = 0
        self._sink: TextSink | None = None
        self._sink_depth = 0
        self._text_start: int | None = None
        self._text_end = 0
        self._parser = parser = _new_parser(charset)
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        for handler in ("CommentHandler", "ProcessingInstructionHandler", "StartCdataSectionHandler"):
            setattr(parser, handler, self._other)
        parser.EndCdataSectionHandler = self._other

    def feed(self, piece: bytes) -> None:
        """Take the next bytes; raises as :meth:`XmlReader.feed` does."""
        self._kept.append(piece)
        self._read(piece)
        pending = 0 if self._text_start is None else 2 * _PIECE  # what may still turn out to be captured text
        if len(self._kept) > self._limits.bytes + pending:
            raise _too_many_bytes(self._limits)

    def end(self) -> bytes:
        """Read to the end and return the document without what was captured; raises as :meth:`feed` does."""
        self._read(b"", is_last=True)
        return self._kept.content()

    def _read(self, piece: bytes, *, is_last: bool = False) -> None:
        _parse(self._parser, piece, is_last=is_last)
        self._cut_text()

    def _namespace(self, prefix: str | None, uri: str) -> None:
        self._declarations += 1

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._other()
        limits = self._limits
        self._depth += 1
        self._elements += 1
        if self._depth > limits.depth:
            raise TooLarge(f"the XML document is nested deeper than {limits.depth} elements")
        if self._elements > limits.elements:
            raise TooLarge(f"the XML document has more than {limits.elements} elements")
        if len(attributes) + self._declarations > limits.attributes:
            raise TooLarge(f"an XML element has more than {limits.attributes} attributes")
        self._declarations = self._text = 0
        if self._sink is not None:
            self._sink.child("{" + name if "}" in name else name)
        elif name in self._capture:
            self._sink = self._capture[name]()
            self._sink_depth = self._depth

    def _end(self, name: str) -> None:
        self._other()
        if self._sink is not None and self._depth == self._sink_depth:
            self._sink.end()
            self._sink = None
        self._depth -= 1
        self._text = 0

    def _characters(self, text: str) -> None:
        if self._sink is not None and self._depth == self._sink_depth:
            self._text_end = self._parser.CurrentByteIndex
            if self._text_start is None:
                self._text_start = self._text_end
            self._sink.write(text)
            return
        self._text += len(text)
        if self._text > self._limits.text:
            raise TooLarge(f"a text in the XML document exceeds {self._limits.text} characters")

    def _cut_text(self) -> None:
        """Cut captured text up to its last piece, whose own end is not known yet."""
        if self._text_start is not None:
            self._kept.cut(self._text_start, self._text_end)
            self._text_start = self._text_end

    def _other(self, *_: Any) -> None:
        """Whatever is no text ends it."""
        if self._text_start is not None:
            self._text_end = self._parser.CurrentByteIndex
            self._cut_text()
            self._text_start = None


def parse_xml(data: bytes, limits: XmlLimits = DEFAULT_LIMITS, charset: str | None = None) -> Element:
    """Read a whole document.

    Raises:
        MalformedRequest: not well-formed, empty, or with a document type.
        TooLarge: a limit is exceeded.
    """
    reader = XmlReader(limits, charset)
    reader.feed(data)
    return reader.close()


DECLARATION: Final = "<?xml version='1.0' encoding='UTF-8'?>\n"
"""What a document begins with that :func:`serialize` writes."""


def serialize(element: Element, *, declaration: bool = True, pretty: bool = False) -> bytes:
    """Write an element as UTF-8, without what follows it in its document."""
    data: bytes = etree.tostring(
        element, encoding="UTF-8", xml_declaration=declaration, pretty_print=pretty, with_tail=False
    )
    return data


_NO_XML: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_MARKED_IN_TEXT: Final = re.compile(f"[&<>\r{_NO_XML}]")
_MARKED_IN_VALUES: Final = re.compile(f'[&<>"\t\n\r{_NO_XML}]')
_ESCAPED: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


def escaped(text: str) -> str:
    """Character data as :func:`serialize` writes it; what XML does not allow is left out."""
    return text if text.isalnum() else _MARKED_IN_TEXT.sub(_escape, text)


def quoted(value: str) -> str:
    """The value of an attribute as :func:`serialize` writes it, in quotes; what XML does not allow is left out."""
    return f'"{value if value.isalnum() else _MARKED_IN_VALUES.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[0], "")


def qname(namespace: str, local: str) -> str:
    """The qualified name as lxml writes it, ``{namespace}local``."""
    return f"{{{namespace}}}{local}"


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def namespace_of(element: Element) -> str:
    """The namespace of an element, empty when it has none."""
    return str(element.tag).rpartition("}")[0][1:]
