"""Which SOAP fault each refusal becomes.

``Sender`` with HTTP 400 for all that the sender can correct, ``Receiver`` otherwise: 503 when a later try may help,
500 for what nobody foresaw. What is wrong with metadata is no fault: those transactions answer with their own response
element (Source: SOAP 1.2 Part 2: Table 20; ITI TF-2: Appendix V; WSS SOAP Message Security 1.1: 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from ihe import errors
from ihe.errors import IheError
from ihe.soap.fault import FaultCode, SoapFault
from ihe.xml import NS


@dataclass(frozen=True, slots=True)
class FaultForm:
    """Code, subcode and HTTP status of a fault.

    Attributes:
        code: whose fault.
        subcode: qualified name, or ``None`` where no standard has one.
        http_status: 400, 500 or 503.
    """

    code: FaultCode
    subcode: etree.QName | None = None
    http_status: int = 400


_SENDER = FaultForm(FaultCode.SENDER)

FAULT_FORMS: Final[dict[type[IheError], FaultForm]] = {
    IheError: FaultForm(FaultCode.RECEIVER, None, 500),
    errors.MalformedRequest: _SENDER,
    errors.UnsupportedRequest: _SENDER,
    errors.MissingElement: _SENDER,
    errors.InvalidElement: _SENDER,
    errors.UnknownAuthority: _SENDER,
    errors.UnknownTargetAuthority: _SENDER,
    errors.UnknownPatient: _SENDER,
    errors.PatientMismatch: _SENDER,
    errors.Conflict: _SENDER,
    errors.PreconditionFailed: _SENDER,
    errors.AccessDenied: FaultForm(FaultCode.SENDER, etree.QName(NS.WSSE, "FailedCheck")),
    errors.NotAuthenticated: FaultForm(FaultCode.SENDER, etree.QName(NS.WSSE, "FailedAuthentication")),
    errors.InsufficientScope: FaultForm(FaultCode.SENDER, etree.QName(NS.WSSE, "FailedCheck")),
    errors.InvalidToken: FaultForm(FaultCode.SENDER, etree.QName(NS.WSSE, "InvalidSecurityToken")),
    errors.NotFound: _SENDER,
    errors.NotAcceptable: _SENDER,
    errors.UnsupportedMediaType: _SENDER,
    errors.TooMany: _SENDER,
    errors.TooLarge: _SENDER,
    errors.Unavailable: FaultForm(FaultCode.RECEIVER, None, 503),
    errors.Refused: _SENDER,
}
"""The entry of :class:`~ihe.errors.IheError` itself serves what is unforeseen."""


def fault_for(error: IheError) -> SoapFault:
    """The fault that says what the error says, with the form of its nearest class in :data:`FAULT_FORMS`."""
    form = next(FAULT_FORMS[cls] for cls in type(error).__mro__ if cls in FAULT_FORMS)
    reason = error.message if error.location is None else f"{error.message} (at {error.location})"
    return SoapFault(form.code, reason, [form.subcode] if form.subcode else [], http_status=form.http_status)
