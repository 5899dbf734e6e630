"""Plain HTTP interactions as values, so that transactions know no web framework.

Source: RFC 9110.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlencode

from ihe.audit import Audited
from ihe.errors import IheError, InsufficientScope, InvalidToken, NotAuthenticated
from ihe.store.messages import MessageKey


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        path: without the query.
        path_parameters: by the names in the binding's template.
        query: parameters in order, decoded.
        headers: by lower-case name.
        body: the whole body.
        base_url: scheme and authority as the client used them, without trailing slash.
    """

    method: str
    path: str
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a query parameter, in order."""
        return tuple(value for key, value in self.query if key == name)

    @property
    def if_match(self) -> tuple[str, ...]:
        """The entity tags of ``If-Match``, without quotes and weakness (RFC 9110: 13.1.1); empty when any will do."""
        stated = self.headers.get("if-match", "").split(",")
        tags = tuple(tag.strip().removeprefix("W/").strip('"') for tag in stated)
        return tuple(tag for tag in tags if tag and tag != "*")

    def one(self, name: str) -> str | None:
        """The first value of a query parameter, or ``None``."""
        return next(iter(self.all(name)), None)


Piece = bytes | memoryview
"""Of a body."""


@runtime_checkable
class Batched(Protocol):
    """A body of which several pieces may come at once, so that they can be sent at once."""

    def batches(self) -> Iterator[Sequence[Piece]]:
        """The body in pieces, those together that came together."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One answer.

    Attributes:
        body: bytes, or chunks that are sent as they come; these may be :class:`Batched`.
    """

    status: int
    media_type: str
    body: bytes | Iterable[Piece] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def chunks(self) -> Iterator[Piece]:
        """The body in pieces."""
        if isinstance(self.body, bytes):
            yield self.body
        else:
            yield from self.body

    def batches(self) -> Iterator[Sequence[Piece]]:
        """The body in pieces, those together that came together."""
        if isinstance(self.body, Batched):
            yield from self.body.batches()
        else:
            for piece in self.chunks():
                yield (piece,)


def challenge(error: IheError) -> dict[str, str]:
    """What a refusal says of the token that is wanted (Source: RFC 6750: 3; IHE IUA: 3.72.4.3)."""
    if isinstance(error, InvalidToken):
        said = f', error="invalid_token", error_description="{error.message}"'
    elif isinstance(error, InsufficientScope):
        said = f', error="insufficient_scope", error_description="{error.message}"'
    elif isinstance(error, NotAuthenticated):
        said = ""
    else:
        return {}
    return {"WWW-Authenticate": f'Bearer realm="traitdunion"{said}'}


class Refuser(Protocol):
    """Writes a wire's own error answer."""

    def __call__(self, request: HttpRequest, error: IheError, correlation_id: str | None) -> HttpReply: ...


@dataclass(frozen=True, slots=True)
class HttpWire:
    """The pipeline's view of an HTTP interaction; HTTP has no message ids, so repetitions are not recognised.

    Attributes:
        refuser: the error form of this part of the HTTP surface.
    """

    refuser: Refuser

    def refuse(self, request: HttpRequest, error: IheError, correlation_id: str) -> HttpReply:
        """The error answer."""
        return self.refuser(request, error, correlation_id)

    def audited(self, request: HttpRequest) -> Audited:
        """The path with its query, or the form that was posted (Source: IHE BALP, Query)."""

        def asked() -> str:
            is_form = "x-www-form-urlencoded" in request.headers.get("content-type", "")
            posted = request.body.decode("utf-8", "replace") if is_form else ""
            return f"{request.path}?{'&'.join(part for part in (urlencode(request.query), posted) if part)}"

        return Audited(asked)

    def message_key(self, request: HttpRequest) -> MessageKey | None:
        """Always ``None``."""
        return None

    def reply_to_bytes(self, reply: HttpReply) -> bytes:
        """Never asked, because there is no message key."""
        return b"".join(reply.chunks())

    def reply_from_bytes(self, stored: bytes) -> HttpReply:
        """Never asked, because there is no message key."""
        return HttpReply(200, "application/octet-stream", stored)
