"""Asks one site's archive over DICOMweb, within bounds: only the address of the table of domains, so many at once, so
long, and not at all while it is known not to answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ihe.errors import NotAcceptable, NotFound, Unavailable
from xds.archive.breaker import CircuitBreaker
from xds.archive.connections import FAULTS, Answer, Connections
from xds.domain.imaging_sources import ImagingSource

_CHUNK: Final = 1024 * 1024
_JSON: Final = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds on what is asked of one archive by one process.

    Attributes:
        streams: answers being read at once.
        wait_seconds: how long a further one waits for its turn.
        connect_seconds: to reach it.
        answer_seconds: until its answer begins, and between two pieces of it.
        probe_seconds: how soon it must answer when it is only asked whether it is there.
        probe_every_seconds: pause between two such questions.
    """

    streams: int = 16
    wait_seconds: float = 2.0
    connect_seconds: float = 1.0
    answer_seconds: float = 10.0
    probe_seconds: float = 1.0
    probe_every_seconds: float = 3.0


DEFAULT_LIMITS: Final = ArchiveLimits()


class ArchiveAnswer:
    """An answer whose body is read once, piece by piece; it is closed at the end, or by :meth:`close` before.

    Attributes:
        status: 200.
        headers: by lower-case name.
    """

    def __init__(self, answer: Answer, archive: Archive) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._archive = archive
        self._closing = threading.Lock()
        self._is_closed = False

    @property
    def content_type(self) -> str:
        """As the archive says."""
        return self.headers.get("content-type", "application/octet-stream")

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._answer.read_some(_CHUNK):
                yield piece
        except FAULTS as error:
            self._archive.breaker.failed()
            site = self._archive.site
            raise Unavailable(f"the archive of {site} broke off its answer", site) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection; harmless when done before."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._archive.release(self._answer)


class Archive:
    """One site's archive.

    Attributes:
        site: domain code.
        source: as the table of domains names it; it has a ``pacs_url``.
        breaker: what is known of whether it answers.
    """

    def __init__(self, source: ImagingSource, limits: ArchiveLimits) -> None:
        self.site = source.site
        self.source = source
        self.breaker = CircuitBreaker(pause_seconds=limits.probe_every_seconds)
        self._limits = limits
        self._free = threading.BoundedSemaphore(limits.streams)
        self._connections = Connections(
            source.pacs_url or "", limits.connect_seconds, limits.answer_seconds, keep=limits.streams
        )

    def get(self, path: str, accept: str) -> ArchiveAnswer:
        """Ask for something below its DICOMweb root.

        Args:
            path: begins with a slash; made of checked UIDs and our own words.

        Raises:
            NotFound: it has no such thing.
            NotAcceptable: it has it, but not in that form.
            Unavailable: it does not answer, or too much is being asked of it.
        """
        if not self.breaker.allows():
            raise self._unavailable("does not answer")
        if not self._free.acquire(timeout=self._limits.wait_seconds):
            raise self._unavailable("is asked too much at once; try again")
        try:
            begun = self._connections.get(path, {"Accept": accept, "Accept-Encoding": "identity"})
        except FAULTS as error:
            self._free.release()
            self.breaker.failed()
            raise self._unavailable("does not answer") from error
        answer = ArchiveAnswer(begun, self)
        if answer.status == 200:
            self.breaker.succeeded()
            return answer
        answer.close()
        if answer.status in (404, 410):
            raise NotFound("the archive has no such object")
        if answer.status < 500:
            raise NotAcceptable(f"the archive of {self.site} does not give it in this form")
        self.breaker.failed()
        raise self._unavailable(f"answers with status {answer.status}")

    def probe(self) -> bool:
        """Ask whether it is there; what comes out decides whether it is asked for pictures."""
        try:
            answer = self._connections.get("/studies?limit=1", {"Accept": _JSON}, self._limits.probe_seconds)
            answer.read()
            is_there = answer.status < 500
            self._connections.give_back(answer)
        except FAULTS:
            is_there = False
        if is_there:
            self.breaker.succeeded()
        else:
            self.breaker.failed(surely=True)
        return is_there

    def release(self, answer: Answer) -> None:
        """An answer is done with."""
        self._connections.give_back(answer)
        self._free.release()

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    def _unavailable(self, how: str) -> Unavailable:
        return Unavailable(f"the archive of {self.site} {how}", self.site)


class Archives:
    """The archives of the region, watched in the background while :meth:`start` is in force.

    Args:
        sources: those without an address are left out.
    """

    def __init__(self, sources: Iterable[ImagingSource], limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
        self._by_site = {source.site: Archive(source, limits) for source in sources if source.pacs_url}
        self._every_seconds = limits.probe_every_seconds
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def of(self, site: str) -> Archive | None:
        """The archive of a site, or ``None`` when the table names none."""
        return self._by_site.get(site)

    def unreachable(self, sites: Iterable[str]) -> tuple[str, ...]:
        """Which of some sites' archives are known not to answer now, each once, in order."""
        found = ((site, self._by_site.get(site)) for site in dict.fromkeys(sites))
        return tuple(site for site, archive in found if archive is not None and archive.breaker.is_open)

    def start(self) -> None:
        """Ask each archive every few seconds whether it is there; each in a thread of its own: one may be slow."""
        for archive in self._by_site.values():
            thread = threading.Thread(target=self._watch, args=(archive,), name=f"archive {archive.site}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop asking, and close all connections."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        for archive in self._by_site.values():
            archive.close()

    def _watch(self, archive: Archive) -> None:
        while not self._stopping.is_set():
            archive.probe()
            self._stopping.wait(self._every_seconds)
