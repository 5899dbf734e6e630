"""The error form of the JSON calls: problem details.

Source: RFC 9457.
"""

from __future__ import annotations

import orjson

from ihe.errors import IheError
from ihe.fhir.error_codes import error_code
from ihe.http import HttpReply, HttpRequest, challenge


def refuse(request: HttpRequest, error: IheError, correlation_id: str | None) -> HttpReply:
    """The error answer."""
    status = error_code(error).status
    body: dict[str, object] = {"title": type(error).__name__, "status": status, "detail": error.message}
    if error.location:
        body["location"] = error.location
    if correlation_id:
        body["instance"] = f"urn:uuid:{correlation_id}"
    return HttpReply(status, "application/problem+json", orjson.dumps(body), challenge(error))
