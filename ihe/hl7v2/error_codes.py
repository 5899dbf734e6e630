"""What each refusal is called on HL7 v2: MSA-1 and HL7 table 0357.

``AR`` refuses the message for what it is or for the state of the system, ``AE`` for what it says.
Table 0357 has no code for access or size; such refusals are 207 with the reason in the text.

Source: HL7 v2.5: tables 0008 and 0357, 2.9.2, 2.9.3.
"""

from __future__ import annotations

from typing import NamedTuple

from ihe import errors


class Condition(NamedTuple):
    """A row of HL7 table 0357."""

    code: str
    text: str


ACCEPTED = Condition("0", "Message accepted")
SEGMENT_SEQUENCE = Condition("100", "Segment sequence error")
REQUIRED_FIELD_MISSING = Condition("101", "Required field missing")
DATA_TYPE = Condition("102", "Data type error")
TABLE_VALUE_NOT_FOUND = Condition("103", "Table value not found")
UNSUPPORTED_MESSAGE_TYPE = Condition("200", "Unsupported message type")
UNSUPPORTED_EVENT = Condition("201", "Unsupported event code")
UNSUPPORTED_PROCESSING_ID = Condition("202", "Unsupported processing id")
UNSUPPORTED_VERSION = Condition("203", "Unsupported version id")
UNKNOWN_KEY_IDENTIFIER = Condition("204", "Unknown key identifier")
DUPLICATE_KEY_IDENTIFIER = Condition("205", "Duplicate key identifier")
RECORD_LOCKED = Condition("206", "Application record locked")
INTERNAL_ERROR = Condition("207", "Application internal error")


class ErrorCode(NamedTuple):
    """How a refusal is answered.

    Attributes:
        acknowledgement: MSA-1 in original mode, ``AE`` or ``AR``.
        condition: ERR-3.
    """

    acknowledgement: str
    condition: Condition


ERROR_CODES: dict[type[errors.IheError], ErrorCode] = {
    errors.IheError: ErrorCode("AE", INTERNAL_ERROR),
    errors.MalformedRequest: ErrorCode("AR", SEGMENT_SEQUENCE),
    errors.UnsupportedRequest: ErrorCode("AR", UNSUPPORTED_MESSAGE_TYPE),
    errors.MissingElement: ErrorCode("AE", REQUIRED_FIELD_MISSING),
    errors.InvalidElement: ErrorCode("AE", DATA_TYPE),
    errors.UnknownAuthority: ErrorCode("AE", UNKNOWN_KEY_IDENTIFIER),
    errors.UnknownTargetAuthority: ErrorCode("AE", UNKNOWN_KEY_IDENTIFIER),
    errors.UnknownPatient: ErrorCode("AE", UNKNOWN_KEY_IDENTIFIER),
    errors.PatientMismatch: ErrorCode("AE", UNKNOWN_KEY_IDENTIFIER),
    errors.Conflict: ErrorCode("AE", DUPLICATE_KEY_IDENTIFIER),
    errors.PreconditionFailed: ErrorCode("AE", DUPLICATE_KEY_IDENTIFIER),
    errors.AccessDenied: ErrorCode("AR", INTERNAL_ERROR),
    errors.InsufficientScope: ErrorCode("AR", INTERNAL_ERROR),
    errors.NotAuthenticated: ErrorCode("AR", INTERNAL_ERROR),
    errors.InvalidToken: ErrorCode("AR", INTERNAL_ERROR),
    errors.NotFound: ErrorCode("AE", UNKNOWN_KEY_IDENTIFIER),
    errors.NotAcceptable: ErrorCode("AR", UNSUPPORTED_MESSAGE_TYPE),
    errors.UnsupportedMediaType: ErrorCode("AR", UNSUPPORTED_MESSAGE_TYPE),
    errors.TooMany: ErrorCode("AE", INTERNAL_ERROR),
    errors.TooLarge: ErrorCode("AR", INTERNAL_ERROR),
    errors.Unavailable: ErrorCode("AR", RECORD_LOCKED),
    errors.Refused: ErrorCode("AE", INTERNAL_ERROR),
}
"""One row for each error class; a subclass without a row has its parent's."""

_UNSUPPORTED_AT = {
    "MSH-9.2": UNSUPPORTED_EVENT,
    "MSH-11": UNSUPPORTED_PROCESSING_ID,
    "MSH-11.1": UNSUPPORTED_PROCESSING_ID,
    "MSH-12": UNSUPPORTED_VERSION,
    "MSH-12.1": UNSUPPORTED_VERSION,
}


def error_code(error: errors.IheError) -> ErrorCode:
    """The row for an error; what is unsupported in the header, and a missing segment, have codes of their own."""
    kind = next(parent for parent in type(error).__mro__ if parent in ERROR_CODES)
    code = ERROR_CODES[kind]
    location = error.location or ""
    if kind is errors.UnsupportedRequest and location in _UNSUPPORTED_AT:
        return ErrorCode(code.acknowledgement, _UNSUPPORTED_AT[location])
    if kind is errors.MissingElement and len(location) == 3:
        return ErrorCode(code.acknowledgement, SEGMENT_SEQUENCE)
    return code
