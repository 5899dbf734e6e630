"""The one way XML is read and written: no document type, no entities, no network, bounded, and in pieces.

A prolog guard reads up to the first start tag with the same parser as the document itself, so that a DOCTYPE is met,
and refused, in whatever encoding it hides and before any of it takes effect. Only then the document is built, and every
limit is asked after each piece, so that a hostile document is refused long before its end.

Text that is large by nature (a document as base64 inside a SOAP body) can be taken out of the tree while it
arrives: see ``capture`` of :class:`XmlReader`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

from lxml import etree

from ihe.errors import MalformedRequest, TooLarge

Element = etree._Element

_PIECE = 64 * 1024
"""Bytes given to the parser at once: bounds what it can build before the limits are asked."""

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
        depth: nesting of elements, the root being 1.
        elements: number of elements.
        attributes: attributes of one element.
        text: characters between two tags, captured text not counted; at most 10 million.
    """

    bytes: int = 16 * 1024 * 1024
    depth: int = 200
    elements: int = 500_000
    attributes: int = 200
    text: int = 1_000_000


DEFAULT_LIMITS: Final = XmlLimits()


class TextSink(Protocol):
    """Takes the text of one captured element, in order."""

    def write(self, text: str) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """The end tag was met; the children of the element are known now."""


Capture = Callable[[Element], TextSink | None]
"""Asked at every start tag; a sink means: the text of this element goes there and not into the tree."""


class XmlReader:
    """Reads one XML document from pieces of bytes.

    Args:
        limits: what is refused.
        charset: charset of the transport (``Content-Type``), which goes before the document's own declaration;
            ``None`` leaves it to the document.
        capture: see :data:`Capture`; ``None`` captures nothing.

    Raises:
        MalformedRequest: the charset is not one of those read here.
    """

    def __init__(
        self, limits: XmlLimits = DEFAULT_LIMITS, charset: str | None = None, capture: Capture | None = None
    ) -> None:
        if charset is not None and charset.lower() not in _CHARSETS:
            raise MalformedRequest("the charset of the XML document is not supported")
        self._limits = limits
        self._guard: _PrologGuard | None = _PrologGuard(charset)
        self._parser: etree.XMLPullParser = etree.XMLPullParser(
            events=("start", "end"),
            encoding=charset,
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._capture = capture
        self._sinks: dict[Element, TextSink] = {}
        self._open: list[Element] = []
        self._bytes = 0
        self._captured = 0
        self._elements = 0
        self._root: Element | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            MalformedRequest: not well-formed, or with a document type.
            TooLarge: a limit is exceeded.
        """
        for start in range(0, len(data), _PIECE):
            self._feed(data[start : start + _PIECE])

    def close(self) -> Element:
        """End the document and return its root.

        Raises:
            MalformedRequest: nothing, or not the whole document, has been fed.
            TooLarge: a limit is exceeded.
        """
        try:
            self._parser.close()
        except etree.XMLSyntaxError as error:
            raise _refusal(error) from None
        self._follow()
        if self._root is None:
            raise MalformedRequest("the XML document is empty")
        return self._root

    def _feed(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._guard is not None and self._guard.passed(piece):
            self._guard = None
        try:
            self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            raise _refusal(error) from None
        self._follow()
        if self._bytes - self._captured > self._limits.bytes:
            raise TooLarge(f"the XML document exceeds {self._limits.bytes} bytes")

    def _follow(self) -> None:
        for event, element in cast("Iterator[tuple[str, Element]]", self._parser.read_events()):
            if event == "start":
                self._started(element)
            else:
                self._ended(element)
        if self._open:
            self._pass_text(self._open[-1], before=None)

    def _started(self, element: Element) -> None:
        limits = self._limits
        self._elements += 1
        if self._open:
            self._pass_text(self._open[-1], before=element)
        else:
            self._root = element
        self._open.append(element)
        if len(self._open) > limits.depth:
            raise TooLarge(f"the XML document is nested deeper than {limits.depth} elements")
        if self._elements > limits.elements:
            raise TooLarge(f"the XML document has more than {limits.elements} elements")
        if len(element.attrib) > limits.attributes:
            raise TooLarge(f"an XML element has more than {limits.attributes} attributes")
        if self._capture is not None and (sink := self._capture(element)) is not None:
            self._sinks[element] = sink

    def _ended(self, element: Element) -> None:
        self._pass_text(element, before=None)
        self._open.pop()
        if (sink := self._sinks.pop(element, None)) is not None:
            sink.end()

    def _pass_text(self, parent: Element, before: Element | None) -> None:
        """Capture or measure the text in ``parent`` that stands before that child, or at its end so far."""
        sink = self._sinks.get(parent)
        if sink is not None:
            if parent.text:
                self._captured += len(parent.text)
                sink.write(parent.text)
                parent.text = None
            return
        previous = next(parent.iterchildren(reversed=True), None) if before is None else before.getprevious()
        text = parent.text if previous is None else previous.tail
        if text is not None and len(text) > self._limits.text:
            raise TooLarge(f"a text in the XML document exceeds {self._limits.text} characters")


class _Started(Exception):
    """The first start tag was met."""


class _PrologTarget:
    """Parser target that stops at a DOCTYPE and at the first start tag, whichever is first."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise MalformedRequest("an XML document type (DOCTYPE) is not allowed")

    def start(self, tag: str | bytes, attrib: dict[str | bytes, str | bytes]) -> None:
        raise _Started

    def end(self, tag: str | bytes) -> None:
        return None

    def data(self, data: str | bytes) -> None:
        return None

    def comment(self, text: str | bytes) -> None:
        return None

    def close(self) -> None:
        return None


class _PrologGuard:
    """Reads what stands before the first start tag."""

    def __init__(self, charset: str | None) -> None:
        self._parser = etree.XMLParser(
            target=_PrologTarget(),
            encoding=charset,
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            load_dtd=False,
        )

    def passed(self, piece: bytes) -> bool:
        """Take the next bytes; whether the first start tag was met.

        Raises:
            MalformedRequest: a DOCTYPE, or no XML.
        """
        try:
            self._parser.feed(piece)
        except _Started:
            return True
        except etree.XMLSyntaxError as error:
            raise _refusal(error) from None
        return False


def _refusal(error: etree.XMLSyntaxError) -> MalformedRequest | TooLarge:
    """The error without libxml2's own sentence, which may quote the document."""
    code: int | None = getattr(error, "code", None)
    line, column = error.position
    where = f" (line {line}, column {column})" if line else ""
    if code in _RESOURCE_LIMITS:
        return TooLarge(f"the XML document exceeds a limit of the parser{where}")
    if not where:
        return MalformedRequest("not well-formed XML: the document is empty or ends too early")
    return MalformedRequest(f"not well-formed XML: {_ERROR_NAMES.get(code, 'SYNTAX')}{where}")


_RESOURCE_LIMITS: Final = frozenset({etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG})
_ERROR_NAMES: Final[Mapping[int | None, str]] = {
    code: name.removeprefix("ERR_") for name, code in vars(etree.ErrorTypes).items() if isinstance(code, int)
}


def parse_xml(data: bytes, limits: XmlLimits = DEFAULT_LIMITS, charset: str | None = None) -> Element:
    """Read a whole document.

    Raises:
        MalformedRequest: not well-formed, empty, or with a document type.
        TooLarge: a limit is exceeded.
    """
    reader = XmlReader(limits, charset)
    reader.feed(data)
    return reader.close()


def serialize(element: Element, *, declaration: bool = True, pretty: bool = False) -> bytes:
    """Write an element as UTF-8, without what follows it in its document."""
    data: bytes = etree.tostring(
        element, encoding="UTF-8", xml_declaration=declaration, pretty_print=pretty, with_tail=False
    )
    return data


def qname(namespace: str, local: str) -> str:
    """The qualified name as lxml writes it, ``{namespace}local``."""
    return f"{{{namespace}}}{local}"


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(etree.QName(element).localname)


def namespace_of(element: Element) -> str:
    """The namespace of an element, empty when it has none."""
    return str(etree.QName(element).namespace or "")
