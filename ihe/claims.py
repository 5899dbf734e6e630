"""What an issuer says of who asks, whichever way it came: a SAML assertion or an OAuth token."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Coded(NamedTuple):
    """A code; its system is empty where none was given."""

    code: str
    system: str = ""

    @classmethod
    def read(cls, value: str) -> Coded:
        """Of ``code^system``, or of a code alone."""
        code, _, system = value.strip().partition("^")
        return cls(code.strip(), system.strip().removeprefix("urn:oid:"))


@dataclass(frozen=True, slots=True)
class SingleUse:
    """The name of a token that counts once.

    Attributes:
        until: when the token has expired anyway (UTC).
    """

    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What is said of who asks, verified.

    Attributes:
        issuer: who says so.
        subject: whom; ``None`` for a system that acts by itself.
        alias: another name of the subject, or empty.
        roles: what the subject is.
        purpose: what for; ``None`` where nothing is said.
        organisations: for whom the subject acts: FINESS numbers, OIDs, codes of domains.
        patient: about which patient (CX), or ``None``.
        scopes: what the token is for; ``None`` where its kind has none.
        single_use: of a token that counts once.
    """

    issuer: str
    subject: str | None
    alias: str = ""
    roles: tuple[Coded, ...] = ()
    purpose: Coded | None = None
    organisations: frozenset[str] = frozenset()
    patient: str | None = None
    scopes: frozenset[str] | None = None
    single_use: SingleUse | None = None

    @property
    def vouched(self) -> str | None:
        """The user as an audit trail names one: ``alias<user@issuer>`` (Source: ITI TF-2: 3.40.4.2)."""
        return None if self.subject is None else f"{self.alias}<{self.subject}@{self.issuer}>"


class Recent(Generic[Value]):
    """Keeps what was found out last, so that the same token is not verified again with each request.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """What is kept under a key, else what is found now; what ``find`` raises is kept of nothing."""
        with self._guard:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = find()
        with self._guard:
            self._kept[key] = found
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def forget(self, key: Hashable) -> None:
        """Find it out anew the next time."""
        with self._guard:
            self._kept.pop(key, None)
