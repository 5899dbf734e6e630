"""Messages between the gateways of communities: what a gateway asks, and what it was answered.

Source: ITI TF-2: 3.38, 3.39 (XCA).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import BinaryIO

from ihe.communities import Community
from ihe.errors import Finding, IheError, MalformedRequest, Refused
from ihe.soap.envelope import content_id_of
from ihe.soap.sinks import Attachment, SpoolSink
from ihe.values import PatientId
from ihe.xml import NS, Element, qname, serialize
from xds.domain.answers import QueryAnswer
from xds.domain.communities import CommunityAnswer, located
from xds.domain.document_set import DocumentRequest, Retrieval, RetrievedDocument
from xds.translate import ebxml_writer
from xds.translate.ebxml_document_set import XDSB
from xds.translate.ebxml_response import FAILURE, object_text, status_of
from xds.translate.ebxml_soap import findings_of
from xds.translate.ebxml_vocabulary import RIM, RS

_HOMED = frozenset(qname(RIM, name) for name in ("ExtrinsicObject", "RegistryPackage", "ObjectRef"))
_PATIENT_SLOTS = frozenset(
    {"$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId"}
)
_BLOCK_BYTES = 256 * 1024


def request_to(body: Element, home: str, patient_id: PatientId | None) -> bytes:
    """A consumer's query as it is sent to another community.

    Args:
        body: ``query:AdhocQueryRequest`` of the consumer.
        patient_id: by which the community knows the patient.
    """
    request = deepcopy(body)
    query = request.find(qname(RIM, "AdhocQuery"))
    if query is None:
        raise MalformedRequest("the request holds no rim:AdhocQuery", "AdhocQueryRequest")
    query.set("home", home)
    for slot in query.iterchildren(qname(RIM, "Slot")):
        if patient_id is not None and slot.get("name") in _PATIENT_SLOTS:
            for value in slot.iter(qname(RIM, "Value")):
                value.text = f"'{patient_id.xds_cx}'"
    return serialize(request, declaration=False)


def own_answer(found: QueryAnswer) -> CommunityAnswer:
    """What our own registry answers."""
    if found.leaf_class:
        return CommunityAnswer(False, (), [object_text(each) for each in found.objects])
    return CommunityAnswer(False, (), [ebxml_writer.object_ref(each.id, each.home) for each in found.references])


def refusal_of(error: IheError, home: str, actor: str) -> IheError:
    """An error as a community's: each of its findings carries the homeCommunityId; one that is a fault stays as it is.

    Args:
        actor: ``Registry`` or ``Repository``.
    """
    findings = findings_of(error, actor)
    return error if findings is None else Refused(located(findings, home))


def read_query_answer(answer: Element, community: Community) -> CommunityAnswer:
    """Read ``query:AdhocQueryResponse`` of a community's gateway.

    That a patient is unknown there is no news for the consumer (ITI TF-2: 3.38.4.1.3). An object without
    homeCommunityId could not be retrieved later: it is left out and named.

    Raises:
        MalformedRequest: it is none.
    """
    if answer.tag != qname(NS.QUERY, "AdhocQueryResponse"):
        raise MalformedRequest("the answer is no AdhocQueryResponse")
    errors = [each for each in _errors(answer, community) if each.code != "XDSUnknownPatientId"]
    is_failure = answer.get("status") == FAILURE and bool(errors)
    objects: list[bytes] = []
    for each in answer.iterfind(f"{qname(RIM, 'RegistryObjectList')}/*"):
        if each.tag in _HOMED and not each.get("home"):
            errors.append(_without_home(each, community))
        else:
            objects.append(serialize(each, declaration=False))
    return CommunityAnswer(is_failure, tuple(errors), objects)


def read_documents(answer: Element, attachments: Mapping[str, Attachment], community: Community) -> Retrieval:
    """Read ``xdsb:RetrieveDocumentSetResponse`` of a community's gateway.

    Args:
        attachments: the documents, spooled; who read one to its end, or closed it, has discarded it.

    Raises:
        MalformedRequest: it is none.
    """
    if answer.tag != qname(XDSB, "RetrieveDocumentSetResponse"):
        raise MalformedRequest("the answer is no RetrieveDocumentSetResponse")
    findings = tuple(_errors(answer, community))
    documents = tuple(
        _document(each, attachments, community) for each in answer.iterchildren(qname(XDSB, "DocumentResponse"))
    )
    if not documents and status_of(findings) != FAILURE:
        findings = (*findings, Finding("XDSRepositoryError", f"community {community.name} sent no document", None))
    return Retrieval(documents, located(findings, community.home_community_id.urn))


class SpooledBlocks:
    """The bytes of a spooled document; it is discarded at its end."""

    def __init__(self, sink: SpoolSink) -> None:
        self._sink = sink
        self._file: BinaryIO | None = None  # opened when it is read: an answer may bring thousands

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._file is None:
            self._file = self._sink.path.open("rb")
        block = self._file.read(_BLOCK_BYTES)
        if not block:
            self.close()
            raise StopIteration
        return block

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
        self._sink.discard()


def _document(element: Element, attachments: Mapping[str, Attachment], community: Community) -> RetrievedDocument:
    include = element.find(f"{qname(XDSB, 'Document')}/{qname(NS.XOP, 'Include')}")
    attachment = None if include is None else attachments.get(content_id_of(include))
    named = [element.findtext(qname(XDSB, name)) for name in ("RepositoryUniqueId", "DocumentUniqueId", "mimeType")]
    if attachment is None or not all(named) or not isinstance(attachment.sink, SpoolSink):
        raise MalformedRequest("a document of the answer is not whole")
    repository, unique_id, mime_type = ((each or "").strip() for each in named)
    home = (element.findtext(qname(XDSB, "HomeCommunityId")) or community.home_community_id.urn).strip()
    request = DocumentRequest(repository, unique_id, home)
    new_id, new_repository = (
        (element.findtext(qname(XDSB, name)) or "").strip() or None
        for name in ("NewDocumentUniqueId", "NewRepositoryUniqueId")
    )
    blocks = SpooledBlocks(attachment.sink)
    return RetrievedDocument(request, mime_type, attachment.facts.size, frozenset(), blocks, new_id, new_repository)


def _errors(answer: Element, community: Community) -> list[Finding]:
    home = community.home_community_id.urn
    return [
        Finding(
            each.get("errorCode", "XDSRegistryError"),
            f"community {community.name}: {each.get('codeContext', '')}",
            each.get("location") or home,
            each.get("severity", "").rpartition(":")[2] or "Error",
        )
        for each in answer.iter(qname(RS, "RegistryError"))
    ]


def _without_home(element: Element, community: Community) -> Finding:
    context = f"community {community.name} answered {element.get('id', '')} without a homeCommunityId"
    return Finding("XDSMissingHomeCommunityId", context, community.home_community_id.urn)
