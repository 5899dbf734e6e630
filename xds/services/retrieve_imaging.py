"""Retrieve pictures by their imaging document source: each one that can be had, an error that names each other.

Pictures are fetched into one file on disk before the answer begins, so that its list of errors is true and memory stays
flat.

Source: RAD TF-2: 4.69.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from ihe.errors import Finding, IheError, NotAcceptable, TooMany, Unavailable
from ihe.unit_of_work import UnitOfWork
from xds.domain.document_set import ImagingRequest, Retrieval, RetrievedDocument
from xds.domain.study_query import StudyQuery
from xds.services.studies import Studies, series_of
from xds.services.study_search import search_studies
from xds.services.wado import Located, Place, Wanted, open_first, places_of
from xds.translate.dicom_coercion import instance_uid, transfer_syntax
from xds.translate.wado_parts import ManyFiles, OnlyPart

MAX_INSTANCES = 2000
"""Most instances in one request."""
_PIECE = 256 * 1024
_TOGETHER = 8
"""So many pictures of one series are asked for in one question, when they are more than half of it."""
_FILES = 'multipart/related; type="application/dicom"; transfer-syntax={}'
_AS_STORED = _FILES.format("*")
_NO_SUCH_SYNTAX = "urn:dicom:wado:0007"


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be fetched, and what is already known to be wrong.

    Attributes:
        series_sizes: how many pictures the series have, by study and series UID.
    """

    instances: tuple[tuple[ImagingRequest, Located], ...]
    findings: tuple[Finding, ...]
    syntaxes: tuple[str, ...]
    series_sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)


def plan(uow: UnitOfWork, requests: Sequence[ImagingRequest], syntaxes: tuple[str, ...], studies: Studies) -> Planned:
    """Decide what the caller may have and where it is.

    Raises:
        TooMany: more than :data:`MAX_INSTANCES`.
    """
    bounded(requests)
    if not requests:
        return Planned((), (), syntaxes)
    uids = frozenset(request.study for request in requests)
    found = {each.study.uid: each for each in search_studies(uow, StudyQuery(study_uids=uids), studies).studies}
    listed = {
        (uid, series.uid, instance.sop_instance_uid)
        for uid, all_series in series_of(uow, [each.study for each in found.values()]).items()
        for series in all_series
        for instance in series.instances
    }
    known = {str(source.location_uid): source.site for source in studies.sources if source.location_uid}
    planned: list[tuple[ImagingRequest, Located]] = []
    findings: list[Finding] = []
    for request in requests:
        uid, repository = request.document.unique_id, request.document.repository_unique_id
        places: tuple[Place, ...] = ()
        if repository in known and (request.study, request.series, uid) in listed:
            places = tuple(
                each for each in places_of(found[request.study], studies) if each.archive.site == known[repository]
            )
        if places:
            wanted = Wanted(request.study, request.series, uid)
            planned.append((request, Located(wanted, found[request.study], places, studies.coerces)))
        elif repository not in known:
            problem = f"{repository} is no imaging document source of this region"
            findings.append(Finding("XDSUnknownRepositoryId", problem, uid))
        else:
            findings.append(Finding("XDSDocumentUniqueIdError", f"no instance {uid} can be retrieved here", uid))
    sizes = Counter((study, series) for study, series, _ in listed)
    return Planned(tuple(planned), tuple(findings), syntaxes, sizes)


def bounded(requests: Sequence[ImagingRequest]) -> None:
    """Refuse more than one request may name.

    Raises:
        TooMany: more than :data:`MAX_INSTANCES`.
    """
    if len(requests) > MAX_INSTANCES:
        raise TooMany(f"at most {MAX_INSTANCES} instances are answered at once; ask in slices")


def fetch(planned: Planned) -> Retrieval:
    """Fetch the instances; outside a unit of work."""
    spool = tempfile.TemporaryFile(prefix="pictures-")  # noqa: SIM115 - closed by the last reader
    documents: list[RetrievedDocument] = []
    findings = list(planned.findings)
    readers = _Readers(spool)
    together = _fetch_together(planned, spool)
    for request, located in planned.instances:
        if (place := together.get((request.series, request.document.unique_id))) is not None:
            start, size = place
        else:
            start = spool.seek(0, 2)
            try:
                _fetch_one(located, planned.syntaxes, spool)
            except IheError as error:
                spool.truncate(start)
                findings.append(_finding(request, error))
                continue
            size = spool.tell() - start
        anchor = located.found.study.facts.anchor
        blocks = _Slice(readers, start, size)
        documents.append(RetrievedDocument(request.document, "application/dicom", size, frozenset({anchor}), blocks))
    readers.opened(len(documents))
    return Retrieval(tuple(documents), tuple(findings))


def _fetch_together(planned: Planned, spool: BinaryIO) -> dict[tuple[str, str], tuple[int, int]]:
    """Series of which much is asked for, each in one question: where each picture that will do begins, and its size.

    What does not come so is asked for by itself.
    """
    wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_series: dict[tuple[str, str], Located] = {}
    for request, located in planned.instances:
        wanted[request.study, request.series].add(request.document.unique_id)
        by_series[request.study, request.series] = located
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for (study, series), located in by_series.items():
        uids = wanted[study, series]
        if len(uids) >= _TOGETHER and 2 * len(uids) > planned.series_sizes.get((study, series), 0):
            whole = replace(located, wanted=Wanted(study, series))
            for uid, place in _fetch_series(whole, uids, planned.syntaxes, spool):
                found[series, uid] = place
    return found


def _fetch_series(
    located: Located, uids: Collection[str], syntaxes: tuple[str, ...], spool: BinaryIO
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Write the wanted pictures of a series as they are stored, as far as the archive's answer goes."""
    start, head, is_wanted = spool.seek(0, 2), b"", False
    try:
        opened = open_first(located, "", _AS_STORED)
        files = ManyFiles(opened.answer, opened.answer.content_type, located.shown_by(opened.place))
        try:
            for piece in files:
                if piece is None:
                    if is_wanted:
                        yield instance_uid(head), (start, spool.tell() - start)
                    start, head, is_wanted = spool.seek(0, 2), b"", False
                elif is_wanted:
                    spool.write(piece)
                elif piece and not head:
                    head = bytes(piece)
                    is_wanted = instance_uid(head) in uids and transfer_syntax(head) in syntaxes
                    if is_wanted:
                        spool.write(head)
        finally:
            files.close()
    except IheError:
        spool.truncate(start)  # the rest of the series is asked for picture by picture


def _fetch_one(located: Located, syntaxes: tuple[str, ...], spool: BinaryIO) -> None:
    """Write one instance: as stored when that is asked for, else in the first syntax that the archive can make."""
    start = spool.tell()
    for asked in ("*", *syntaxes):
        accept = _FILES.format(asked)
        try:
            opened = open_first(located, "", accept)
        except NotAcceptable:
            continue
        part = OnlyPart(opened.answer, opened.answer.content_type, located.shown_by(opened.place))
        try:
            pieces = iter(part)
            first = next(pieces, b"")
            if transfer_syntax(first) in syntaxes:
                spool.write(first)
                for piece in pieces:
                    spool.write(piece)
                return
        finally:
            part.close()
        spool.seek(start)
    raise NotAcceptable("the picture can be had in none of the transfer syntaxes asked for")


def _finding(request: ImagingRequest, error: IheError) -> Finding:
    code = "XDSDocumentUniqueIdError"
    if isinstance(error, NotAcceptable):
        code = _NO_SUCH_SYNTAX
    elif isinstance(error, Unavailable):
        code = "XDSRepositoryBusy"
    return Finding(code, error.message, request.document.unique_id)


class _Readers:
    """Closes the spool when its last part is done with."""

    def __init__(self, spool: BinaryIO) -> None:
        self.spool = spool
        self._left = 0

    def opened(self, count: int) -> None:
        self._left = count
        if count == 0:
            self.spool.close()

    def done(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.spool.close()


class _Slice:
    """A part of the spool; read once, or closed."""

    def __init__(self, readers: _Readers, start: int, size: int) -> None:
        self._readers = readers
        self._start = start
        self._size = size
        self._is_done = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._size == 0:
            raise StopIteration
        self._readers.spool.seek(self._start)
        piece = self._readers.spool.read(min(_PIECE, self._size))
        self._start += len(piece)
        self._size -= len(piece)
        return piece

    def close(self) -> None:
        if not self._is_done:
            self._is_done = True
            self._readers.done()
