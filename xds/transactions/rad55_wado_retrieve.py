"""RAD-55 WADO Retrieve: one object by the older WADO-URI, answered from the archives' WADO-RS.

Source: RAD TF-2: 4.55; DICOM PS3.18 9.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ihe.errors import InvalidElement, NotAcceptable, NotFound
from ihe.http import HttpReply, HttpRequest
from ihe.serving import AfterCommit, Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.services.wado import Located
from xds.transactions import rad107_wado_rs_retrieve as wado_rs
from xds.transactions.rad107_wado_rs_retrieve import Question
from xds.translate.dicom_web import ROOTS

TRANSACTION = Transaction(
    number="RAD-55",
    name="WADO Retrieve",
    actor="Imaging Document Responder",
    profile="XDS-I.b",
    bindings=tuple(HttpBinding("GET", f"{root}/wado") for root in ROOTS),
    writes=False,
    event_code="110104",
    event_action="R",
    options=(
        "contentType application/dicom (with transferSyntax) or image/jpeg, image/png (with frameNumber)",
        "an object that is not in the named series and study is 404",
    ),
    source="RAD TF-2: 4.55; DICOM PS3.18 9",
    waits=True,
)


def decode(request: HttpRequest) -> Question:
    """The object, and in what form."""
    if request.one("requestType") != "WADO":
        raise InvalidElement("requestType is WADO", "requestType")
    study, series, instance = (request.one(name) or "" for name in ("studyUID", "seriesUID", "objectUID"))
    if not (study and series and instance):
        raise NotFound("an object is named by studyUID, seriesUID and objectUID")
    wanted = {"study": study, "series": series, "instance": instance}
    kind = (request.one("contentType") or "image/jpeg").partition(";")[0].strip().lower()
    path = f"/studies/{study}"
    if kind == "application/dicom":
        accept = "application/dicom"
    elif kind in ("image/jpeg", "image/png", "image/gif"):
        accept, path = kind, f"{path}/rendered"
        if frame := request.one("frameNumber"):
            wanted["frames"] = frame
    else:
        raise NotAcceptable("an object is sent as application/dicom, image/jpeg or image/png")
    if "domain" in request.path_parameters:
        wanted["domain"] = request.path_parameters["domain"]
    question = wado_rs.decode(
        replace(request, path=path, path_parameters=wanted, query=(), headers={**request.headers, "accept": accept})
    )
    syntax = request.one("transferSyntax") or ""
    if question.is_single and re.fullmatch(r"[0-9.]{1,64}", syntax):
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
        question = replace(question, accept=accept)
    return question


def serve(question: Question, context: Context[XdsApplication]) -> tuple[Question, Located]:
    """Find it, as far as the asker may see it."""
    return wado_rs.serve(question, context)


def encode(found: tuple[Question, Located], request: HttpRequest) -> AfterCommit[HttpReply]:
    """The archive's answer, opened when this unit of work is over."""
    return wado_rs.encode(found, request)
