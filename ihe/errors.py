"""What can be refused, once for all wires.

A service raises one of these; ``ihe.serving`` alone turns it into a wire's code, from the table of that wire
(:mod:`ihe.wire_codes`). Messages are sentences for an operator and carry no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class IheError(Exception):
    """A request that cannot be served.

    Args:
        message: one sentence, no patient data.
        location: where in the request, in the wire's own notation (``PID-3``, an XPath, a FHIRPath,
            an ebRIM attribute), or ``None``.

    Attributes:
        node: the system that is refused before it is known as a caller, for the audit trail; ``None`` afterwards.
    """

    node: str | None = None

    def __init__(self, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location


class MalformedRequest(IheError):
    """The request is not readable as what it claims to be."""


class UnsupportedRequest(IheError):
    """The message type, action, query or version is not offered here."""


class MissingElement(IheError):
    """An element that the profile requires is absent or empty."""


class InvalidElement(IheError):
    """An element is present but its value is not allowed."""


class UnknownAuthority(IheError):
    """The assigning authority of an identifier is no domain of the region."""


class UnknownTargetAuthority(IheError):
    """A domain asked for in the answer is no domain of the region.

    Args:
        positions: one location for each unknown domain, in the order of the request.
    """

    def __init__(self, message: str, positions: Sequence[str] = ()) -> None:
        super().__init__(message, positions[0] if positions else None)
        self.positions = tuple(positions)


class UnknownPatient(IheError):
    """No active patient carries that identifier."""


class PatientMismatch(IheError):
    """Two identifiers that must belong to one patient do not."""


class Conflict(IheError):
    """The request contradicts the present state (version, merge already done, identifier in use)."""


class PreconditionFailed(IheError):
    """The state that the caller makes its request depend on is not the present one."""


class AccessDenied(IheError):
    """The caller may not do this."""


class InsufficientScope(AccessDenied):
    """The caller's token does not reach as far as this."""


class NotAuthenticated(IheError):
    """The caller is not who it must be."""


class InvalidToken(NotAuthenticated):
    """The assertion or token by which a user is vouched for does not hold."""


class NotFound(IheError):
    """The addressed resource does not exist or is not visible to the caller."""


class NotAcceptable(IheError):
    """None of the answer formats the caller accepts is offered."""


class UnsupportedMediaType(IheError):
    """What is sent is in a format that is not taken here."""


class TooMany(IheError):
    """The answer would exceed the bound on results."""


class TooLarge(IheError):
    """The request exceeds a size, depth, or part limit."""


class Unavailable(IheError):
    """A resource needed to serve the request cannot be reached now; the caller may try again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a submission or query check.

    Attributes:
        code: the profile's error code, for example ``XDSRegistryMetadataError``.
        context: a sentence that names the object, attribute and value at fault.
        location: where it was found (object id, attribute), or ``None``.
        severity: ``Error`` or ``Warning``.
    """

    code: str
    context: str
    location: str | None = None
    severity: str = "Error"


class Refused(IheError):
    """A registry or repository request refused with all its findings at once.

    Args:
        findings: at least one, each with its own code.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings[0].context, findings[0].location)
        self.findings = tuple(findings)
