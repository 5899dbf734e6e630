"""SOAP messages with documents: MTOM/XOP, and base64 in the body, read as one and the same (Source: XOP 1.0; MTOM 1.0).

Bytes in, and at the end an envelope and its attachments; documents go to sinks while they arrive, in whatever order and
encoding, so that memory stays the same for any size. A plain ``application/soap+xml`` message is read by the same
reader. Whatever the sender chose, a document element (``xdsb:Document``) of the envelope holds an ``xop:Include``
afterwards.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import quote

from lxml import etree

from ihe.errors import MalformedRequest, TooLarge
from ihe.soap.envelope import content_id_of
from ihe.soap.fault import FaultCode, SoapFault, version_mismatch
from ihe.soap.multipart import (
    ContentType,
    MultipartBody,
    MultipartReader,
    OutgoingPart,
    PartData,
    PartEnd,
    PartStart,
    read_content_type,
)
from ihe.soap.sinks import Attachment, DocumentSink, SinkFactory
from ihe.soap.transfer_encoding import Base64, Decoder, decoder_for
from ihe.xml import DEFAULT_LIMITS, NS, Element, XmlLimits, XmlReader, qname, serialize

DOCUMENT_ELEMENTS: Final = frozenset({qname(NS.XDSB, "Document")})
"""Elements of type ``xs:base64Binary`` that may be large."""

_INCLUDE: Final = qname(NS.XOP, "Include")
_BATCH: Final = 64 * 1024
"""Characters of base64 decoded at once: an XML parser gives text line by line."""


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What a message may be at most.

    Attributes:
        xml: limits of the envelope, documents not counted.
        documents: documents in one message.
        part_header_bytes: header block of one MIME part.
        total_bytes: the whole message as transferred.
    """

    xml: XmlLimits = DEFAULT_LIMITS
    documents: int = 10_000
    part_header_bytes: int = 16 * 1024
    total_bytes: int = 8 * 1024 * 1024 * 1024


DEFAULT_MESSAGE_LIMITS: Final = MessageLimits()


class ReceivedMessage(NamedTuple):
    """A message as it came over the wire.

    Attributes:
        root: document element, documents taken out.
        attachments: the documents by content id.
        action: ``action`` that its content types name, empty when none does.
        is_mtom: whether it was a multipart message.
    """

    root: Element
    attachments: dict[str, Attachment]
    action: str
    is_mtom: bool


class MessageReader:
    """Reads one SOAP message from pieces of bytes.

    Whoever does not come to a good end of :meth:`close` calls :meth:`discard`; so does who is done with the documents.

    Args:
        content_type: ``Content-Type`` of the message.
        open_sink: opens a sink for each document.
        limits: what is refused.
        document_elements: qualified names of elements whose base64 text is a document.

    Raises:
        SoapFault: the content type is not one of SOAP 1.2.
        MalformedRequest: its parameters are not usable.
    """

    def __init__(
        self,
        content_type: str,
        open_sink: SinkFactory,
        limits: MessageLimits = DEFAULT_MESSAGE_LIMITS,
        document_elements: frozenset[str] = DOCUMENT_ELEMENTS,
    ) -> None:
        self._documents = _Documents(open_sink, limits.documents)
        self._limits = limits
        self._document_elements = document_elements
        self._capture = dict.fromkeys(document_elements, partial(_InlineDocument, self._documents))
        self._received = 0
        kind = read_content_type(content_type)
        self._action = kind.action
        self._parts: _Parts | None = None
        self._xml: XmlReader | None = None
        if kind.media_type == "multipart/related":
            if kind.parameter("type").lower() == "text/xml" or "text/xml" in kind.parameter("start-info").lower():
                raise version_mismatch()
            self._parts = _Parts(kind, limits, self._open_root, self._documents)
        elif kind.media_type == "application/soap+xml":
            self._open_root(kind)
        elif kind.media_type == "text/xml":
            raise version_mismatch()
        else:
            raise SoapFault(
                FaultCode.SENDER,
                "a SOAP 1.2 message is application/soap+xml or multipart/related",
                http_status=415,
            )

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IheError: the message is malformed or exceeds a limit.
        """
        self._received += len(data)
        if self._received > self._limits.total_bytes:
            raise TooLarge(f"the message exceeds {self._limits.total_bytes} bytes")
        if self._parts is not None:
            self._parts.feed(data)
        elif self._xml is not None:
            self._xml.feed(data)

    def close(self) -> ReceivedMessage:
        """End the message; every document it names is there, and every document that is there it names.

        Raises:
            IheError: the message is malformed, incomplete or exceeds a limit.
        """
        if self._parts is not None:
            self._parts.close()
        if self._xml is None:
            raise MalformedRequest("the root part of the multipart message is missing")
        root = self._xml.close()
        attachments = self._documents.attachments
        if not attachments and next(root.iter(_INCLUDE, *self._document_elements), None) is None:
            return ReceivedMessage(root, attachments, self._action, self._parts is not None)
        self._documents.put_includes(root, self._document_elements)
        named = {content_id_of(include) for include in root.iter(_INCLUDE)}
        if not named <= attachments.keys():
            raise MalformedRequest("xop:Include names a part that is not in the message", "xop:Include/@href")
        if not attachments.keys() <= named:
            raise MalformedRequest("a MIME part is named by no xop:Include", "Content-ID")
        return ReceivedMessage(root, attachments, self._action, self._parts is not None)

    def discard(self) -> None:
        """Discard every document; harmless when done before."""
        self._documents.discard()

    def _open_root(self, kind: ContentType) -> XmlReader:
        self._action = self._action or kind.action
        self._xml = XmlReader(self._limits.xml, kind.parameter("charset") or None, self._capture)
        return self._xml


class _Documents:
    """The documents of one message: those that are whole, and those that are still arriving.

    Attributes:
        attachments: those that are whole, by content id.
        inline: for each document element so far, the content id of the document in it, or ``None`` when it names one.
    """

    def __init__(self, open_sink: SinkFactory, most: int) -> None:
        self.attachments: dict[str, Attachment] = {}
        self.inline: list[str | None] = []
        self._sinks: list[DocumentSink] = []
        self._open_sink = open_sink
        self._most = most

    def open(self) -> DocumentSink:
        if len(self._sinks) >= self._most:
            raise TooLarge(f"the message has more than {self._most} documents")
        sink = self._open_sink()
        self._sinks.append(sink)
        return sink

    def keep(self, content_id: str, mime_type: str, sink: DocumentSink) -> None:
        if content_id in self.attachments:
            raise MalformedRequest("two MIME parts have one Content-ID", "Content-ID")
        self.attachments[content_id] = Attachment(content_id, mime_type, sink.facts(), sink)

    def put_includes(self, root: Element, document_elements: frozenset[str]) -> None:
        """Let each document element whose text was taken out name its document."""
        for element, content_id in zip(root.iter(*document_elements), self.inline, strict=True):
            if content_id is not None:
                element.append(xop_include(content_id))

    def discard(self) -> None:
        for sink in self._sinks:
            sink.discard()


class _Parts:
    """The MIME parts of one message: the root goes to the XML reader, the others are documents."""

    def __init__(
        self,
        kind: ContentType,
        limits: MessageLimits,
        open_root: Callable[[ContentType], XmlReader],
        documents: _Documents,
    ) -> None:
        self._start = kind.parameter("start").removeprefix("<").removesuffix(">")
        self._reader = MultipartReader(kind.parameter("boundary"), limits.documents + 1, limits.part_header_bytes)
        self._open_root = open_root
        self._documents = documents
        self._has_root = False
        self._part = PartStart("", "", "")
        self._decoder: Decoder = decoder_for("")
        self._write: Callable[[bytes], None] = _nowhere
        self._sink: DocumentSink | None = None

    def feed(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            match event:
                case PartStart():
                    self._begin(event)
                case PartData(content):
                    self._write(self._decoder.feed(bytes(content)))
                case PartEnd():
                    self._end()

    def close(self) -> None:
        self._reader.close()

    def _begin(self, part: PartStart) -> None:
        self._part = part
        self._decoder = decoder_for(part.transfer_encoding)
        if not self._has_root and self._start in ("", part.content_id):
            self._has_root = True
            self._sink = None
            self._write = self._open_root(read_content_type(part.content_type)).feed
            return
        if not part.content_id:
            raise MalformedRequest("a MIME part has no Content-ID", "Content-ID")
        self._sink = self._documents.open()
        self._write = self._sink.write

    def _end(self) -> None:
        self._write(self._decoder.close())
        if self._sink is not None:
            self._documents.keep(
                self._part.content_id, read_content_type(self._part.content_type).media_type, self._sink
            )


def _nowhere(data: bytes) -> None:
    """Before the first part there is nothing to write."""


class _InlineDocument:
    """Decodes the base64 text of a document element while it arrives."""

    def __init__(self, documents: _Documents) -> None:
        self._documents = documents
        self._decoder = Base64()
        self._sink: DocumentSink | None = None
        self._children: list[str] = []
        self._held: list[str] = []
        self._held_size = 0

    def write(self, text: str) -> None:
        self._held.append(text)
        self._held_size += len(text)
        if self._held_size >= _BATCH:
            self._decode()

    def _decode(self) -> None:
        text = "".join(self._held)
        self._held, self._held_size = [], 0
        if not text.isascii():
            raise MalformedRequest("the content is not valid base64")
        content = self._decoder.feed(text.encode("ascii"))
        if self._sink is None and text.strip(" \t\r\n"):
            self._sink = self._documents.open()
        if self._sink is not None:
            self._sink.write(content)

    def child(self, tag: str) -> None:
        self._children.append(tag)

    def end(self) -> None:
        self._decode()
        if self._children:
            if self._sink is not None or self._children != [_INCLUDE]:
                raise MalformedRequest("a document element holds base64 text or one xop:Include")
            self._documents.inline.append(None)
            return
        sink = self._sink or self._documents.open()
        sink.write(self._decoder.close())
        content_id = f"{uuid.uuid4()}@inline"
        self._documents.keep(content_id, "application/octet-stream", sink)
        self._documents.inline.append(content_id)


def xop_include(content_id: str) -> Element:
    """The ``xop:Include`` that names a part."""
    include = etree.Element(_INCLUDE, nsmap={"xop": NS.XOP})
    include.set("href", f"cid:{quote(content_id, safe='@')}")
    return include


class OutgoingMessage(NamedTuple):
    """A message to send.

    Attributes:
        content_type: for the transport.
        body: its bytes; of an MTOM message to be read once, and closed.
        size: bytes, or ``None`` when not known.
    """

    content_type: str
    body: bytes | MultipartBody
    size: int | None


def simple_message(envelope: Element | bytes, action: str | None = None) -> OutgoingMessage:
    """A message without attachments.

    Args:
        envelope: document element, or the whole document.
        action: for the content type; requests name it, answers need not.
    """
    data = envelope if isinstance(envelope, bytes) else serialize(envelope)
    return OutgoingMessage(f"application/soap+xml; charset=UTF-8{_action_parameter(action)}", data, len(data))


def mtom_message(envelope: Element, parts: Sequence[OutgoingPart], action: str | None = None) -> OutgoingMessage:
    """An MTOM/XOP message; it may have no document (Source: ITI TF-2: V.3.6).

    Args:
        envelope: document element, with an ``xop:Include`` for each part.
        parts: the documents.
        action: for the content type; requests name it, answers need not.
    """
    data = serialize(envelope)
    identity = uuid.uuid4()
    root = OutgoingPart(
        f"{identity}@envelope", 'application/xop+xml; charset=UTF-8; type="application/soap+xml"', (data,), len(data)
    )
    body = MultipartBody([root, *parts], f"part-{identity}")
    content_type = (
        f'multipart/related; boundary="part-{identity}"; type="application/xop+xml"; start="<{root.content_id}>"; '
        f'start-info="application/soap+xml"{_action_parameter(action)}'
    )
    return OutgoingMessage(content_type, body, body.size)


def _action_parameter(action: str | None) -> str:
    return f'; action="{action}"' if action else ""
