"""MLLP framing without sockets: bytes in, events out.

Rules:

- A frame is VT (0x0B), data, FS (0x1C), CR (0x0D). Line feed is taken for CR, and a missing CR is tolerated
  where the next frame, the end of the connection or a pause follows.
- FS before any other byte is data: to cut there could turn a message into a shorter valid one.
- VT followed by ``MSH`` inside a frame starts a new frame: the sender gave the first one up. Any other VT
  inside a frame is data.
- Between frames blanks and line ends count for nothing. Other bytes are noise and dropped, unless FS CR
  ends them: that was a frame whose start was lost, and it is refused.
- Data longer than the limit is dropped while it comes, never held; the frame is refused when it ends, and
  reading goes on behind it.
- Each refused frame is an event of its own with the first bytes of its data, so that its sender can be
  answered.

Source: HL7 v2.5: Appendix C (minimal lower layer protocol).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from ihe.errors import IheError, MalformedRequest, TooLarge

HEAD_BYTES = 4096
"""How much of a refused frame is kept: enough for any MSH."""

_END_OF_FRAME = re.compile(rb"\x1c(?:[\r\n]|(?=\x0b))|(?=\x0bMSH)")
_END_OF_GAP = re.compile(rb"\x0b|\x1c[\r\n]")
_LONGEST_UNDECIDED = 3  # bytes at the end of the buffer that may turn out to be part of an end mark (VT M S)
_BLANKS = b" \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Frame:
    """The data of a whole frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A frame that cannot be taken.

    Attributes:
        error: why: :class:`~ihe.errors.MalformedRequest` or :class:`~ihe.errors.TooLarge`.
        head: the first bytes of its data, at most :data:`HEAD_BYTES`.
    """

    error: IheError
    head: bytes


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes between frames that belong to none.

    Attributes:
        length: how many.
    """

    length: int


Event = Frame | RefusedFrame | Noise


def frame(data: bytes) -> bytes:
    """Wrap a message for sending.

    Raises:
        ValueError: the data holds a frame mark; an ER7 message escapes these characters.
    """
    if b"\x0b" in data or b"\x1c" in data:
        raise ValueError("the data holds a frame mark (VT or FS)")
    return b"\x0b%b\x1c\r" % data


class _State(Enum):
    GAP = auto()
    FRAME = auto()
    OVERSIZE = auto()


class FrameDecoder:
    """The receiving side of one connection.

    Args:
        limit_bytes: the longest data of a frame.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._state = _State.GAP
        self._head = b""
        self._dropped = 0

    @property
    def is_inside_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._state is not _State.GAP

    @property
    def awaits_final_cr(self) -> bool:
        """Whether a frame is complete but for the CR behind FS."""
        return self.is_inside_frame and self._buffer.endswith(b"\x1c")

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the connection; returns what they complete, in order."""
        self._buffer += data
        events: list[Event] = []
        while self._advance(events):
            pass
        return events

    def pause(self) -> list[Event]:
        """Tell that the sender has paused: a frame that lacks only its CR is taken."""
        return self.receive(b"\r") if self.awaits_final_cr else []

    def end(self, error: IheError | None = None) -> list[Event]:
        """Tell that no more bytes are taken from the connection; returns what was left open.

        Args:
            error: why an open frame is refused, by default that the connection ended inside it.
        """
        if self.awaits_final_cr:
            return self.pause()
        events: list[Event] = []
        self._drop(len(self._buffer))
        if self._state is not _State.GAP:
            events.append(self._refused(error or MalformedRequest("the connection ended inside a frame")))
        elif self._head.lstrip(_BLANKS).startswith(b"MSH"):
            events.append(RefusedFrame(MalformedRequest("the message is not framed"), self._head))
        elif self._dropped:
            events.append(Noise(self._dropped))
        self._enter(_State.GAP)
        return events

    def _advance(self, events: list[Event]) -> bool:
        """Work on the buffer up to the next mark; False when it holds no further one."""
        if self._state is _State.GAP:
            return self._leave_gap(events)
        found = _END_OF_FRAME.search(self._buffer, self._searched)
        if found is None:
            if self._state is _State.OVERSIZE or len(self._buffer) > self._limit + _LONGEST_UNDECIDED:
                self._state = _State.OVERSIZE
                self._drop(len(self._buffer) - _LONGEST_UNDECIDED)
            else:
                self._searched = max(0, len(self._buffer) - _LONGEST_UNDECIDED)
            return False
        length, after = found.span()
        if length > self._limit:
            self._state = _State.OVERSIZE
        if self._state is _State.FRAME and length < after:
            events.append(Frame(bytes(self._buffer[:length])))
        else:
            self._drop(length)
            events.append(self._refused(MalformedRequest("a new frame started inside the frame")))
            after -= length
        del self._buffer[:after]
        self._enter(_State.GAP)
        return True

    def _leave_gap(self, events: list[Event]) -> bool:
        found = _END_OF_GAP.search(self._buffer)
        if found is None:
            self._drop(len(self._buffer) - self._buffer.endswith(b"\x1c"))
            return False
        self._drop(found.start())
        opens = self._buffer[:1] == b"\x0b"
        del self._buffer[: 1 if opens else 2]
        if self._dropped:
            lost_start = RefusedFrame(MalformedRequest("the frame has no start block"), self._head)
            events.append(Noise(self._dropped) if opens else lost_start)
        self._enter(_State.FRAME if opens else _State.GAP)
        return True

    def _drop(self, length: int) -> None:
        """Forget bytes at the start of the buffer, but for the head; blanks that start a gap do not count."""
        if length > 0:
            room = HEAD_BYTES - len(self._head)
            piece = bytes(self._buffer[:length])
            if self._state is _State.GAP and not self._dropped:
                piece = piece.lstrip(_BLANKS)
            self._head += piece[:room]
            self._dropped += len(piece)
            del self._buffer[:length]
        self._searched = 0

    def _refused(self, error: IheError) -> RefusedFrame:
        if self._state is _State.OVERSIZE:
            error = TooLarge(f"the message is longer than {self._limit} bytes")
        return RefusedFrame(error, self._head)

    def _enter(self, state: _State) -> None:
        self._state = state
        self._searched = 0
        self._head = b""
        self._dropped = 0
