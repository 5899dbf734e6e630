"""What each refusal is called on HL7 v3: acknowledgement, condition, query response.

The conditions are those of HL7 table 0357, as the profiles have it (``204`` for an identifier or a domain that is not
known). What concerns the sender, and what cannot be read at all, is a SOAP fault (:mod:`ihe.soap.error_codes`).

Source: ITI TF-2: 3.44.4.1.3, 3.45.4.2.3, 3.47.4.2.3; HL7 v3 vocabularies AcknowledgementType, QueryResponse.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ihe import errors

CONDITIONS: Final = "2.16.840.1.113883.12.357"
"""Code system of HL7 table 0357."""

ACKNOWLEDGEMENT_DETAILS: Final = "2.16.840.1.113883.5.1100"
"""Code system AcknowledgementDetailCode."""


class Hl7v3Code(NamedTuple):
    """How a refusal is answered.

    Attributes:
        condition: code of ``acknowledgementDetail``.
        text: its name.
        query_response: ``queryResponseCode``: ``AE`` an error of the application, ``QE`` an error in the query.
        acknowledgement: ``acknowledgement.typeCode``: ``AE``, or ``AR`` for what may be tried again.
        system: code system of the condition.
    """

    condition: str
    text: str
    query_response: str
    acknowledgement: str = "AE"
    system: str = CONDITIONS


_UNKNOWN_KEY = Hl7v3Code("204", "Unknown key identifier", "AE")
_INTERNAL_ERROR = Hl7v3Code("207", "Application internal error", "AE")

ERROR_CODES: Final[dict[type[errors.IheError], Hl7v3Code | None]] = {
    errors.IheError: _INTERNAL_ERROR,
    errors.MalformedRequest: None,
    errors.UnsupportedRequest: Hl7v3Code("200", "Unsupported message type", "QE"),
    errors.MissingElement: Hl7v3Code("101", "Required field missing", "QE"),
    errors.InvalidElement: Hl7v3Code("102", "Data type error", "QE"),
    errors.UnknownAuthority: _UNKNOWN_KEY,
    errors.UnknownTargetAuthority: _UNKNOWN_KEY,
    errors.UnknownPatient: _UNKNOWN_KEY,
    errors.PatientMismatch: _UNKNOWN_KEY,
    errors.Conflict: Hl7v3Code("205", "Duplicate key identifier", "AE"),
    errors.PreconditionFailed: Hl7v3Code("205", "Duplicate key identifier", "AE"),
    errors.AccessDenied: None,
    errors.InsufficientScope: None,
    errors.NotAuthenticated: None,
    errors.InvalidToken: None,
    errors.NotFound: _UNKNOWN_KEY,
    errors.NotAcceptable: Hl7v3Code("200", "Unsupported message type", "QE"),
    errors.UnsupportedMediaType: Hl7v3Code("200", "Unsupported message type", "QE"),
    errors.TooMany: Hl7v3Code("207", "Application internal error", "QE"),
    errors.TooLarge: None,
    errors.Unavailable: Hl7v3Code("206", "Application record locked", "AE", "AR"),
    errors.Refused: _INTERNAL_ERROR,
}
"""One row for each error class; ``None`` is a SOAP fault. A subclass without a row has its parent's."""


_UNSUPPORTED_MODE: Final = Hl7v3Code("NS250", "Unsupported processing mode", "QE", system=ACKNOWLEDGEMENT_DETAILS)


def error_code(error: errors.IheError) -> Hl7v3Code | None:
    """The row for an error; ``None`` when it is to be a SOAP fault. An answer wanted later has a code of its own
    (Source: ITI TF-2: 3.55.4.1.3).
    """
    if isinstance(error, errors.UnsupportedRequest) and (error.location or "").endswith("/responsePriorityCode"):
        return _UNSUPPORTED_MODE
    return ERROR_CODES[next(parent for parent in type(error).__mro__ if parent in ERROR_CODES)]
