"""Sends SOAP 1.2 messages of our own and reads their answers (Source: ITI TF-2: Appendix V)."""

from __future__ import annotations

from typing import Final

import httpx

from ihe.errors import Conflict, MalformedRequest, Unavailable
from ihe.soap.envelope import soap_request
from ihe.xml import NS, Element, XmlLimits, XmlReader, qname, serialize

_LIMITS: Final = XmlLimits(bytes=1024 * 1024)


class SoapClient:
    """One address. For one thread at a time.

    Args:
        url: of the endpoint; redirections are not followed.
    """

    def __init__(self, url: str, timeout_seconds: float = 15.0) -> None:
        self._url = url
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
        content = serialize(soap_request(action, self._url, body))
        headers = {"content-type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        reader = XmlReader(_LIMITS)
        try:
            with self._http.stream("POST", self._url, content=content, headers=headers) as answer:
                if answer.status_code >= 500:
                    raise Unavailable(f"the endpoint answers with status {answer.status_code}")
                for piece in answer.iter_bytes():
                    reader.feed(piece)
        except httpx.HTTPError as error:
            raise Unavailable(f"the endpoint cannot be reached ({type(error).__name__})") from error
        children = reader.close().findall(f"{qname(NS.SOAP, 'Body')}/*")
        if len(children) != 1:
            raise MalformedRequest("the answer is no SOAP message with one element")
        if children[0].tag == qname(NS.SOAP, "Fault"):
            raise Conflict("the endpoint refused the message with a fault")
        return children[0]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
