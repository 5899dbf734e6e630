"""Follows what changes in an Orthanc, so that a study is published as soon as it rests: DICOMweb has no such thing.

Its feed does not tell of deletions (and forgets the changes of what is deleted): they show in its counts.

Source: Orthanc's REST interface, ``/changes``, ``/statistics``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import httpx

from ihe.errors import Unavailable

_PAGE: Final = 500
_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened since the last question.

    Attributes:
        studies: UIDs of studies of which nothing has arrived for a while, as the archive is configured.
        everything: what happened is not known in detail: the whole archive must be looked at.
    """

    studies: tuple[str, ...] = ()
    everything: bool = False


class ChangeFeed:
    """The changes of one archive.

    Args:
        site: domain code, for messages.
        url: of its ``/changes``, in the table of domains.
        count_seconds: pause between two looks at its counts, which may cost it much.
    """

    def __init__(self, site: str, url: str, count_seconds: float = 5.0) -> None:
        self._site = site
        self._url = url
        self._root = url.rstrip("/").removesuffix("/changes")
        self._since: int | None = None
        self._counts = (0, 0)
        self._count_seconds = count_seconds
        self._counted: float | None = None
        self._http = httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)

    def follow(self) -> Changes:
        """What happened since the last call; the first one says: everything.

        Raises:
            Unavailable: the archive does not answer; nothing is forgotten.
        """
        last, counts = self._last(), self._count()
        is_gone = any(now < before for now, before in zip(counts, self._counts, strict=True))
        if self._since is None or last < self._since:  # the first call, or the archive began anew
            self._since, self._counts = last, counts
            return Changes(everything=True)
        studies: dict[str, None] = {}
        while self._since < last:
            page = self._get(f"{self._url}?since={self._since}&limit={_PAGE}")
            for change in page.get("Changes", ()):
                if change.get("ResourceType") != "Study":
                    continue
                if change.get("ChangeType") == "StableStudy" and (uid := self._study_uid(str(change.get("ID")))):
                    studies[uid] = None
            reached = int(page.get("Last", last))
            if reached <= self._since:
                break
            self._since = reached
        self._counts = counts
        return Changes(tuple(studies), is_gone)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _last(self) -> int:
        return int(self._get(f"{self._url}?last").get("Last", 0))

    def _count(self) -> tuple[int, int]:
        """Studies and instances that it has, or had a moment ago."""
        if self._counted is not None and time.monotonic() < self._counted + self._count_seconds:
            return self._counts
        found = self._get(f"{self._root}/statistics")
        self._counted = time.monotonic()
        return int(found.get("CountStudies", 0)), int(found.get("CountInstances", 0))

    def _study_uid(self, name: str) -> str | None:
        """The study that Orthanc calls so; ``None`` when it is gone again."""
        try:
            found = self._get(f"{self._root}/studies/{name}").get("MainDicomTags", {})
        except _NotThere:
            return None
        uid = found.get("StudyInstanceUID")
        return str(uid) if uid else None

    def _get(self, url: str) -> Any:
        try:
            answer = self._http.get(url)
            if answer.status_code == 404:
                raise _NotThere
            if answer.status_code == 200 and isinstance(body := answer.json(), dict):
                return body
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"the archive of {self._site} does not tell what changes", self._site) from error
        raise Unavailable(f"the archive of {self._site} does not tell what changes", self._site)


class _NotThere(Exception):
    """The archive has no such resource."""
