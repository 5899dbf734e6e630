"""Answers and refusals of the ebRS transactions as SOAP replies, and what their audit events name.

What is wrong with a request's content is answered in the transaction's own response element, with a code of
ITI TF-3: Table 4.2.4.1-2; only what concerns the message itself or its sender is a SOAP fault.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from ihe import errors
from ihe.audit import AuditTrail
from ihe.errors import Finding, IheError, Refused
from ihe.soap.envelope import SoapReply
from ihe.soap.error_codes import fault_for
from ihe.soap.multipart import OutgoingPart
from xds.domain.document_set import DocumentAnswer, Retrieval
from xds.domain.model import Submission
from xds.domain.stored_query import StoredQuery
from xds.translate.ebxml_document_set import retrieve_response
from xds.translate.ebxml_response import query_failure, registry_response

EBXML_CODES: Final[dict[type[IheError], str | None]] = {
    IheError: "XDS{actor}Error",
    errors.MalformedRequest: "XDS{actor}MetadataError",
    errors.UnsupportedRequest: "XDS{actor}Error",
    errors.MissingElement: "XDS{actor}MetadataError",
    errors.InvalidElement: "XDS{actor}MetadataError",
    errors.UnknownAuthority: "XDSUnknownPatientId",
    errors.UnknownTargetAuthority: "XDS{actor}Error",
    errors.UnknownPatient: "XDSUnknownPatientId",
    errors.PatientMismatch: "XDSPatientIdDoesNotMatch",
    errors.Conflict: "XDS{actor}Error",
    errors.PreconditionFailed: "XDS{actor}Error",
    errors.AccessDenied: None,
    errors.InsufficientScope: None,
    errors.NotAuthenticated: None,
    errors.InvalidToken: None,
    errors.NotFound: "XDSDocumentUniqueIdError",
    errors.NotAcceptable: "XDS{actor}Error",
    errors.UnsupportedMediaType: "XDS{actor}Error",
    errors.TooMany: "XDSTooManyResults",
    errors.TooLarge: "XDS{actor}OutOfResources",
    errors.Unavailable: "XDS{actor}Busy",
    errors.Refused: "XDS{actor}Error",
}
"""The code of each error, ``{actor}`` standing for Registry or Repository; ``None`` is a SOAP fault."""


def soap_reply(text: str) -> SoapReply:
    """A reply whose body is an answer made by :mod:`xds.translate.ebxml_response`."""
    return SoapReply(body_element=etree.fromstring(text))


def soap_query_reply(answer: bytes) -> SoapReply:
    """A reply to a query: the answer may be large, so it is sent as it is."""
    return SoapReply(body_text=answer)


def refused_submission(error: IheError, actor: str = "Registry") -> SoapReply:
    """``rs:RegistryResponse`` with the findings of a refusal, or a fault."""
    findings = findings_of(error, actor)
    return SoapReply(fault=fault_for(error)) if findings is None else soap_reply(registry_response(findings))


def refused_query(error: IheError) -> SoapReply:
    """``query:AdhocQueryResponse`` with the findings of a refusal, or a fault."""
    findings = findings_of(error, "Registry")
    return SoapReply(fault=fault_for(error)) if findings is None else soap_query_reply(query_failure(findings))


def retrieval_reply(found: Retrieval) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with a MIME part for each document."""
    answers = [
        DocumentAnswer(
            document.request,
            document.mime_type,
            f"document-{number}@traitdunion",
            document.new_unique_id,
            document.new_repository_unique_id,
        )
        for number, document in enumerate(found.documents, 1)
    ]
    parts = tuple(
        OutgoingPart(answer.content_id, document.mime_type, document.blocks, document.size)
        for answer, document in zip(answers, found.documents, strict=True)
    )
    return soap_reply(retrieve_response(answers, found.findings))._replace(attachments=parts)


def refused_retrieval(error: IheError) -> SoapReply:
    """``xdsb:RetrieveDocumentSetResponse`` with the findings of a refusal, or a fault."""
    findings = findings_of(error, "Repository")
    return SoapReply(fault=fault_for(error)) if findings is None else soap_reply(retrieve_response((), findings))


def findings_of(error: IheError, actor: str) -> tuple[Finding, ...] | None:
    """What an error says as findings; ``None`` when it is to be a SOAP fault.

    Args:
        actor: ``Registry`` or ``Repository``.
    """
    if isinstance(error, Refused):
        return error.findings
    code = next(EBXML_CODES[cls] for cls in type(error).__mro__ if cls in EBXML_CODES)
    return None if code is None else (Finding(code.format(actor=actor), error.message, error.location),)


def note_submission(submission: Submission, trail: AuditTrail) -> None:
    """Note patient and submission set (Source: ITI TF-2: 3.42.5.1)."""
    submission_set = submission.submission_set
    if submission_set.patient_id is not None:
        trail.patient(submission_set.patient_id.xds_cx)
    trail.document(submission_set.unique_id or "", role="submission set")


def note_retrieval(found: Retrieval, trail: AuditTrail) -> None:
    """Note documents and patients (Source: ITI TF-2: 3.43.5.1)."""
    for patient_id in sorted({each for document in found.documents for each in document.patient_ids}):
        trail.patient(patient_id)
    for document in found.documents:
        home = {"home": document.request.home} if document.request.home else {}
        trail.document(document.request.unique_id, repository=document.request.repository_unique_id, **home)


def note_query(query: StoredQuery, trail: AuditTrail) -> None:
    """Note query and patients (Source: ITI TF-2: 3.18.5.1)."""
    for patient_id in query.patients:
        trail.patient(patient_id)
    trail.query(query.definition.id, name=query.definition.name)
