"""Answers of registry and repository: status, findings, objects.

Each answer declares the namespaces it uses, so that it can stand in any envelope. Answers to queries are bytes: they
may be large.

Source: ITI TF-3: 4.2.4; ebRS 3.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from xml.sax.saxutils import quoteattr

from ihe.errors import Finding
from ihe.values import PatientId
from xds.domain.answers import QueryAnswer, Returned
from xds.domain.communities import CommunityAnswer
from xds.domain.registered import RegisteredAssociation, RegisteredEntry
from xds.translate import ebxml_writer
from xds.translate.ebxml_vocabulary import QUERY, RIM, RS

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"

_SEVERITY = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"


def status_of(findings: Iterable[Finding], *, results: bool = False) -> str:
    """The status that findings amount to.

    Args:
        results: whether something is returned or done beside the errors: then they make a partial success.
    """
    if all(finding.severity != "Error" for finding in findings):
        return SUCCESS
    return PARTIAL_SUCCESS if results else FAILURE


def registry_response(findings: Sequence[Finding], status: str | None = None) -> str:
    """``rs:RegistryResponse``; without ``status`` any error makes it a failure."""
    status = status or status_of(findings)
    return f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status}">{error_list(findings)}</rs:RegistryResponse>'


def query_response(answer: QueryAnswer, findings: Sequence[Finding] = ()) -> bytes:
    """``query:AdhocQueryResponse`` with objects or references, in UTF-8."""
    pieces = (
        [object_text(each) for each in answer.objects]
        if answer.leaf_class
        else [ebxml_writer.object_ref(each.id, each.home) for each in answer.references]
    )
    return _query_response(status_of(findings, results=bool(pieces)), findings, pieces)


def communities_response(answer: CommunityAnswer) -> bytes:
    """``query:AdhocQueryResponse`` of a gateway that asked communities: a failure only if all of them failed."""
    status = FAILURE if answer.is_failure else status_of(answer.findings, results=True)
    return _query_response(status, answer.findings, answer.objects)


def query_failure(findings: Sequence[Finding]) -> bytes:
    """``query:AdhocQueryResponse`` of a query that was refused."""
    return _query_response(FAILURE, findings, [])


def error_list(findings: Sequence[Finding]) -> str:
    """``rs:RegistryErrorList``, or nothing when there is no finding."""
    if not findings:
        return ""
    worst = "Error" if any(finding.severity == "Error" for finding in findings) else "Warning"
    errors = "".join(
        f"<rs:RegistryError errorCode={quoteattr(finding.code)} codeContext={quoteattr(finding.context)}"
        f"{_location(finding.location)} severity={quoteattr(_SEVERITY + finding.severity)}/>"
        for finding in findings
    )
    return f'<rs:RegistryErrorList xmlns:rs="{RS}" highestSeverity="{_SEVERITY}{worst}">{errors}</rs:RegistryErrorList>'


def _query_response(status: str, findings: Sequence[Finding], objects: Sequence[bytes]) -> bytes:
    head = (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" status="{status}">{error_list(findings)}'
        f'<RegistryObjectList xmlns="{RIM}">'
    )
    return b"".join((head.encode(), *objects, b"</RegistryObjectList></query:AdhocQueryResponse>"))


def object_text(returned: Returned) -> bytes:
    """An object as it stands in an answer, in UTF-8, for a place where ebRIM is the default namespace."""
    item = returned.object
    if isinstance(item, RegisteredAssociation):
        return ebxml_writer.association(item)
    assert returned.patient_id is not None
    patient_id = _quoted(returned.patient_id)
    if isinstance(item, RegisteredEntry):
        return ebxml_writer.extrinsic_object(item, patient_id)
    return ebxml_writer.registry_package(item, patient_id)


@lru_cache(maxsize=256)
def _quoted(patient_id: PatientId) -> str:
    return quoteattr(patient_id.xds_cx)


def _location(location: str | None) -> str:
    return "" if location is None else f" location={quoteattr(location)}"
