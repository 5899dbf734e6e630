"""Take in what a source tells of its patients."""

from __future__ import annotations

from collections.abc import Sequence

from ihe.errors import UnknownAuthority
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.feed import Feed, FeedKind
from mpi.domain.identity import RecordKey
from mpi.services.change_identifier import change_identifier
from mpi.services.consents import take_in
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import FeedOutcome, feed_record
from mpi.services.identifiers import own_key, patient_id_of
from mpi.services.merge_records import merge_records
from mpi.services.move_account import move_account
from mpi.services.record_visit import record_visit
from mpi.services.withdraw_record import withdraw_record
from mpi.store import successions


def receive_feed(uow: UnitOfWork, app: MpiApplication, feed: Feed) -> RecordKey:
    """Do what the message says; returns the record it is about.

    Raises:
        UnknownAuthority: no identifier is of a domain that can be fed.
        IheError: what the use case refuses.
    """
    key = feed_key(uow, app, feed.identifiers, "PID-3")
    when = feed.source_updated_at
    match feed.kind:
        case FeedKind.IDENTITY:
            fed = feed_record(uow, app, key, feed.traits, source_updated_at=when, only_if_newer=True)
            _note(uow, "C" if fed.outcome is FeedOutcome.CREATED else "U")
        case FeedKind.ENCOUNTER:
            fed = feed_record(uow, app, key, feed.traits, source_updated_at=when, only_if_newer=True, partial=True)
            _note(uow, "C" if fed.outcome is FeedOutcome.CREATED else "U")
            if feed.visit is not None:
                record_visit(uow, key, feed.visit)
        case FeedKind.MERGE:
            other = _merged_key(uow, app, feed.others, key.domain)
            merge_records(uow, app, key, other, feed.traits, source_updated_at=when)
            _note(uow, "U")
            uow.trail.apart.append(("D", {"kind": "patient", "id": patient_id_of(app, other).xds_cx}))
        case FeedKind.CHANGE_IDENTIFIER:
            other = feed_key(uow, app, feed.others, "MRG-1", domain=key.domain)
            change_identifier(uow, app, other, key, feed.traits, source_updated_at=when)
        case FeedKind.LINK | FeedKind.UNLINK:
            other = _any_key(app, feed.others, "PID[2]-3")
            verdict = "same" if feed.kind is FeedKind.LINK else "different"
            decide_pair(uow, app, key, other, verdict, reason="declared by the source", how="message")
        case FeedKind.MOVE_ACCOUNT:
            other = feed_key(uow, app, feed.others, "MRG-1", domain=key.domain)
            feed_record(uow, app, key, feed.traits, source_updated_at=when, only_if_newer=True, partial=True)
            if feed.account is not None:
                move_account(uow, key, other, feed.account)
        case FeedKind.WITHDRAW:
            withdraw_record(uow, app, key)
            _note(uow, "D")
    take_in(uow, app, key, feed.statements)
    return key


def _note(uow: UnitOfWork, action: str) -> None:
    """Say in the audit event what was done (Source: ITI TF-2: 3.8.5.1); of several things, that something changed."""
    uow.trail.action = action if uow.trail.action in (None, action) else "U"


def feed_key(
    uow: UnitOfWork,
    app: MpiApplication,
    identifiers: Sequence[PatientId],
    location: str,
    domain: str | None = None,
) -> RecordKey:
    """The record that a message is about: its first identifier in a domain that can be fed.

    Args:
        domain: take only an identifier of this domain.

    Raises:
        UnknownAuthority: there is none.
        AccessDenied: the caller acts for another site.
    """
    for identifier in identifiers:
        found = app.domains.by_authority(identifier.authority)
        if found is None or found.code == app.regional_domain or found.kind == "national":
            continue
        if domain is None or found.code == domain:
            return own_key(uow, app, identifier, location)
    raise UnknownAuthority("no identifier is of a domain that can be fed", location)


def _merged_key(uow: UnitOfWork, app: MpiApplication, identifiers: Sequence[PatientId], survivor: str) -> RecordKey:
    """The record to subsume: of the survivor's domain, else of one to which that is the successor."""
    estate = successions.in_force(uow.connection, uow.now).estate(survivor) - {survivor}
    for identifier in identifiers:
        found = app.domains.by_authority(identifier.authority)
        if found is not None and found.code in estate:
            return own_key(uow, app, identifier, "MRG-1", survivor_domain=survivor)
    return feed_key(uow, app, identifiers, "MRG-1", domain=survivor)


def _any_key(app: MpiApplication, identifiers: Sequence[PatientId], location: str) -> RecordKey:
    for identifier in identifiers:
        found = app.domains.by_authority(identifier.authority)
        if found is not None and found.kind in ("establishment", "platform"):
            return RecordKey(found.code, identifier.value)
    raise UnknownAuthority("no identifier of the second patient is of a domain of the region", location)
