"""Follows what changes in an Orthanc, so that a study is published as soon as it rests: DICOMweb has no such thing.

Source: Orthanc's REST interface, ``/changes``.
"""

from __future__ import annotations

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
    """

    def __init__(self, site: str, url: str) -> None:
        self._site = site
        self._url = url
        self._root = url.rstrip("/").removesuffix("/changes")
        self._since: int | None = None
        self._http = httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)

    def follow(self) -> Changes:
        """What happened since the last call; the first one says: everything.

        Raises:
            Unavailable: the archive does not answer; nothing is forgotten.
        """
        last = self._last()
        if self._since is None or last < self._since:  # the first call, or the archive began anew
            self._since = last
            return Changes(everything=True)
        studies: dict[str, None] = {}
        is_gone = False
        while self._since < last:
            page = self._get(f"{self._url}?since={self._since}&limit={_PAGE}")
            for change in page.get("Changes", ()):
                if change.get("ResourceType") != "Study":
                    continue
                if change.get("ChangeType") == "StableStudy" and (uid := self._study_uid(str(change.get("ID")))):
                    studies[uid] = None
                is_gone = is_gone or change.get("ChangeType") == "Deleted"
            reached = int(page.get("Last", last))
            if reached <= self._since:
                break
            self._since = reached
        return Changes(tuple(studies), is_gone)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _last(self) -> int:
        return int(self._get(f"{self._url}?last").get("Last", 0))

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
