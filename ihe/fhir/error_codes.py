"""What each refusal is called on FHIR: HTTP status and issue type.

Source: FHIR R4: 2.21 (HTTP status), ValueSet issue-type; ITI TF-2: 3.83.4.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ihe import errors


class FhirCode(NamedTuple):
    """How a refusal is answered.

    Attributes:
        status: HTTP status.
        issue: ``OperationOutcome.issue.code``.
    """

    status: int
    issue: str


ERROR_CODES: dict[type[errors.IheError], FhirCode] = {
    errors.IheError: FhirCode(500, "exception"),
    errors.MalformedRequest: FhirCode(400, "structure"),
    errors.UnsupportedRequest: FhirCode(400, "not-supported"),
    errors.MissingElement: FhirCode(400, "required"),
    errors.InvalidElement: FhirCode(400, "invalid"),
    errors.UnknownAuthority: FhirCode(400, "code-invalid"),
    errors.UnknownTargetAuthority: FhirCode(403, "code-invalid"),
    errors.UnknownPatient: FhirCode(404, "not-found"),
    errors.PatientMismatch: FhirCode(422, "business-rule"),
    errors.Conflict: FhirCode(409, "conflict"),
    errors.PreconditionFailed: FhirCode(412, "conflict"),
    errors.AccessDenied: FhirCode(403, "forbidden"),
    errors.NotAuthenticated: FhirCode(401, "login"),
    errors.InsufficientScope: FhirCode(403, "forbidden"),
    errors.InvalidToken: FhirCode(401, "login"),
    errors.NotFound: FhirCode(404, "not-found"),
    errors.NotAcceptable: FhirCode(406, "not-supported"),
    errors.UnsupportedMediaType: FhirCode(415, "not-supported"),
    errors.TooMany: FhirCode(400, "too-costly"),
    errors.TooLarge: FhirCode(413, "too-long"),
    errors.Unavailable: FhirCode(503, "transient"),
    errors.Refused: FhirCode(422, "business-rule"),
}
"""One row for each error class; a subclass without a row has its parent's."""


def error_code(error: errors.IheError) -> FhirCode:
    """The row for an error."""
    return ERROR_CODES[next(parent for parent in type(error).__mro__ if parent in ERROR_CODES)]
