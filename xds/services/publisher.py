"""Keeps the registry abreast of the archives that cannot register their studies themselves, for as long as it runs.

An archive with a feed of changes is asked every second what rests; it is looked at as a whole at the start, after a
deletion, and from time to time, because an arrival may hide a deletion from its counts. One without is looked at as a
whole again and again. Studies that wait (for a patient to be fed, for the registry to accept them) are tried anew from
time to time. Of several processes one publishes.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from ihe.errors import Unavailable
from ihe.serving import log_unforeseen
from ihe.unit_of_work import Database
from xds.archive.change_feed import ChangeFeed, Changes
from xds.services.publish_archive import PublishedSite, Round, publish_round
from xds.services.repository import Repository
from xds.store import published

_FEED_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 15.0
_WHOLE_SECONDS: Final = 600.0
_LEAD_SECONDS: Final = 5.0
_EVERYTHING: Final = Changes(everything=True)

Observer = Callable[[str, Round], None]
"""Is told of each look at an archive: the site, and what it led to."""


class Publisher:
    """Publishes some sites' archives while :meth:`start` is in force.

    Args:
        observe: told of every look (metrics).
    """

    def __init__(
        self,
        database: Database,
        sites: Sequence[PublishedSite],
        repository: Repository,
        observe: Observer = lambda _site, _round: None,
    ) -> None:
        self._database = database
        self._sites = tuple(sites)
        self._repository = repository
        self._observe = observe
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Publish from now on; does nothing without sites."""
        if self._sites:
            self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the study in hand and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        """Be the one process that publishes, or wait until the other one is gone."""
        while not self._stopping.is_set():
            try:
                with published.lead(self._database.engine) as connection:
                    if connection is not None:
                        self._publish_while(lambda: published.check_lead(connection))
            except Exception as error:
                log_unforeseen(error, "RAD-68", uuid.uuid4().hex)
            self._stopping.wait(_LEAD_SECONDS)

    def _publish_while(self, check_lead: Callable[[], None]) -> None:
        done = threading.Event()
        threads = [
            threading.Thread(target=self._watch, args=(site, done), name=f"publisher {site.archive.site}", daemon=True)
            for site in self._sites
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._stopping.wait(_LEAD_SECONDS):
                check_lead()
        finally:
            done.set()
            for thread in threads:
                thread.join(20)

    def _watch(self, site: PublishedSite, done: threading.Event) -> None:
        watch = _Watch(site)
        while not (done.is_set() or self._stopping.is_set()):
            try:
                self._look(site, watch.changes())
                if watch.is_time_to_retry():
                    self._look(site, Changes(self._waiting(site)))
            except Unavailable:
                watch.missed()
            except Exception as error:
                log_unforeseen(error, "RAD-68", uuid.uuid4().hex)
                watch.missed()
            self._stopping.wait(watch.pause_seconds)
        watch.close()

    def _look(self, site: PublishedSite, changes: Changes) -> None:
        if changes.everything or changes.studies:
            only = None if changes.everything else changes.studies
            self._observe(site.archive.site, publish_round(self._database, site, self._repository, only))

    def _waiting(self, site: PublishedSite) -> tuple[str, ...]:
        with self._database.unit(site.caller) as uow:
            return published.waiting(uow.connection, site.archive.site)


class _Watch:
    """When an archive is looked at, and at what of it."""

    def __init__(self, site: PublishedSite) -> None:
        self._feed = ChangeFeed(site.archive.site, site.change_feed) if site.change_feed else None
        self._is_behind = False
        self._retried = time.monotonic()
        self._looked = time.monotonic()

    @property
    def pause_seconds(self) -> float:
        """Until the next look."""
        return _FEED_SECONDS if self._feed is not None else _LOOK_SECONDS

    def changes(self) -> Changes:
        """What to look at now.

        Raises:
            Unavailable: the archive does not answer.
        """
        found = _EVERYTHING if self._feed is None else self._feed.follow()
        if self._is_behind or time.monotonic() > self._looked + _WHOLE_SECONDS:
            found = _EVERYTHING
        if found.everything:
            self._is_behind = False
            self._looked = time.monotonic()
        return found

    def missed(self) -> None:
        """The last look failed: what it should have seen is found by a look at everything."""
        self._is_behind = True

    def is_time_to_retry(self) -> bool:
        """Whether studies that wait are tried anew now."""
        if time.monotonic() < self._retried + _RETRY_SECONDS:
            return False
        self._retried = time.monotonic()
        return True

    def close(self) -> None:
        """Close its connections."""
        if self._feed is not None:
            self._feed.close()
