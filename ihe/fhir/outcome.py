"""OperationOutcome: the error form of everything below ``/fhir``.

Source: FHIR R4: 2.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ihe.errors import IheError, Refused
from ihe.fhir.error_codes import error_code
from ihe.fhir.formats import JSON, answer_format, render
from ihe.http import HttpReply, HttpRequest, challenge


def operation_outcome(error: IheError) -> dict[str, Any]:
    """The resource: one issue, or one for each finding of a refused submission."""
    issue = error_code(error).issue
    if isinstance(error, Refused):
        issues = [
            _issue("error" if f.severity == "Error" else "warning", issue, f"{f.code}: {f.context}", f.location, f.code)
            for f in error.findings
        ]
    else:
        issues = [_issue("error", issue, error.message, error.location)]
    return {"resourceType": "OperationOutcome", "issue": issues}


def done_outcome(sentence: str) -> dict[str, Any]:
    """A resource that says that something was done."""
    return {"resourceType": "OperationOutcome", "issue": [_issue("information", "informational", sentence, None)]}


def warnings_outcome(warnings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A resource that accompanies an answer: each warning with the place it is about."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue("warning", "not-supported", text, location) for text, location in warnings],
    }


def _issue(
    severity: str, code: str, diagnostics: str, location: str | None, profile_code: str | None = None
) -> dict[str, Any]:
    issue: dict[str, Any] = {"severity": severity, "code": code}
    if profile_code:
        issue["details"] = {"coding": [{"code": profile_code}]}
    issue["diagnostics"] = diagnostics
    if location:
        issue["expression"] = [location]
    return issue


def refuse(request: HttpRequest, error: IheError, correlation_id: str | None) -> HttpReply:
    """The error answer, in the format that the client accepts (JSON when it accepts none of ours)."""
    try:
        media_type = answer_format(request)
    except IheError:
        media_type = JSON
    headers = challenge(error) | ({"X-Request-Id": correlation_id} if correlation_id else {})
    return HttpReply(error_code(error).status, media_type, render(operation_outcome(error), media_type), headers)
