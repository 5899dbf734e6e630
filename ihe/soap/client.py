"""Sends SOAP 1.2 messages of our own and reads their answers (Source: ITI TF-2: Appendix V)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from ihe.callbacks import CallbackRule, Destination
from ihe.errors import Conflict, MalformedRequest, Unavailable
from ihe.soap.envelope import soap_request
from ihe.soap.fault import SoapFault
from ihe.soap.mtom import (
    DEFAULT_MESSAGE_LIMITS,
    MessageLimits,
    MessageReader,
    OutgoingMessage,
    ReceivedMessage,
    mtom_message,
    simple_message,
)
from ihe.soap.sinks import SinkFactory
from ihe.xml import NS, Element, XmlLimits, XmlReader, qname

_LIMITS: Final = XmlLimits(bytes=1024 * 1024)


class SoapClient:
    """One address. For one thread at a time.

    Args:
        url: of the endpoint; redirections are not followed.
        limits: of the answers.
        callbacks: which addresses may be written to, for one that a caller named.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float = 15.0,
        limits: XmlLimits = _LIMITS,
        callbacks: CallbackRule | None = None,
    ) -> None:
        self._url = url
        self._callbacks = callbacks
        self._limits = limits
        self._http = httpx.Client(timeout=timeout_seconds, follow_redirects=False)

    def __enter__(self) -> SoapClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, action: str, body: Element) -> Element:
        """Send one message and return the element in the body of its answer.

        Args:
            body: moved into the envelope.

        Raises:
            Unavailable: the endpoint cannot be reached, or cannot serve now.
            Conflict: it answered with a fault.
            MalformedRequest, TooLarge: its answer is not readable.
        """
        return body_of(self.exchange(action, body))

    def exchange(self, action: str, body: Element) -> Element:
        """As :meth:`send`, and return the whole envelope, which may be a fault's."""
        reader = XmlReader(self._limits)
        with self._posted(action, body) as answer:
            for piece in answer.iter_bytes():
                reader.feed(piece)
        return reader.close()

    def fetch(
        self, action: str, body: Element, open_sink: SinkFactory, limits: MessageLimits = DEFAULT_MESSAGE_LIMITS
    ) -> ReceivedMessage:
        """Send one message in MTOM form and return its answer, with the documents that it brings.

        Args:
            open_sink: where they go; whoever is done with them discards the sinks. None is left when this raises.

        Raises:
            Unavailable: the endpoint cannot be reached, or cannot serve now.
            Conflict: it answered with a fault.
            MalformedRequest, TooLarge: its answer is not readable.
        """
        reader: MessageReader | None = None
        try:
            with self._posted(action, body, is_mtom=True) as answer:
                reader = MessageReader(answer.headers.get("content-type", ""), open_sink, limits)
                for piece in answer.iter_bytes():
                    reader.feed(piece)
            message = reader.close()
            body_of(message.root)
        except SoapFault as fault:
            _discard(reader)
            raise MalformedRequest(f"the answer is not readable: {fault.reason}") from None
        except BaseException:
            _discard(reader)
            raise
        return message

    def notify(self, action: str, body: Element) -> None:
        """Send one message that has no answer; whatever comes with a success is not read.

        Raises:
            Unavailable: the endpoint cannot be reached, or cannot serve now.
            Conflict: it refused the message.
        """
        with self._posted(action, body) as answer:
            if not answer.is_success:
                raise Conflict(f"the endpoint refused the message with status {answer.status_code}")

    def deliver(self, message: OutgoingMessage) -> None:
        """Send a message as it is, and with it the documents that it brings; it has no answer.

        Raises:
            Unavailable: the endpoint cannot be reached, or cannot serve now.
            Conflict: it refused the message.
        """
        with self._sent(message) as answer:
            if not answer.is_success:
                raise Conflict(f"the endpoint refused the message with status {answer.status_code}")

    @contextmanager
    def _posted(self, action: str, body: Element, *, is_mtom: bool = False) -> Iterator[httpx.Response]:
        envelope = soap_request(action, self._url, body)
        message = mtom_message(envelope, (), action) if is_mtom else simple_message(envelope, action)
        with self._sent(message) as answer:
            yield answer

    @contextmanager
    def _sent(self, message: OutgoingMessage) -> Iterator[httpx.Response]:
        content = message.body if isinstance(message.body, bytes) else iter(message.body)
        headers = {"content-type": message.content_type}
        to = self._callbacks.destination(self._url) if self._callbacks is not None else Destination(self._url)
        headers |= to.headers
        try:
            with self._http.stream(
                "POST", to.url, content=content, headers=headers, extensions=dict(to.extensions)
            ) as answer:
                if answer.status_code >= 500:
                    raise Unavailable(f"the endpoint answers with status {answer.status_code}")
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the endpoint cannot be reached ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def body_of(root: Element) -> Element:
    """The element in the body of an answer.

    Raises:
        MalformedRequest: there isn't exactly one.
        Conflict: it is a fault.
    """
    children = root.findall(f"{qname(NS.SOAP, 'Body')}/*")
    if len(children) != 1:
        raise MalformedRequest("the answer is no SOAP message with one element")
    if children[0].tag == qname(NS.SOAP, "Fault"):
        raise Conflict("the endpoint refused the message with a fault")
    return children[0]


def _discard(reader: MessageReader | None) -> None:
    if reader is not None:
        reader.discard()
