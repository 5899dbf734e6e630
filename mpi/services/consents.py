"""Write down and tell what patients want of the sharing of their data.

A statement is made for one identifier and follows identity, as documents do. An opposition of any of a person's
identifiers counts for the person, so that a wrong link never lifts one; only who stated it, or a word for the whole
person, ends it. An opposition to indexing hides the record of one domain from everybody who may not see hidden ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ihe.errors import AccessDenied, NotFound, UnknownAuthority, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.consent import Consent, Stance, Statement, Subject, Way, is_news
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record
from mpi.services.identifiers import find, patient_id_of
from mpi.services.relink import announce
from mpi.store import consents, events, records


def take_in(uow: UnitOfWork, app: MpiApplication, key: RecordKey, statements: Iterable[Statement]) -> None:
    """Take in what a site's message says of its patient, where it is news."""
    patient_id = cx_of(app, key)
    for said in statements:
        statement = replace(said, since=min(said.since, uow.now)) if said.since is not None else said
        if is_news(statement, consents.told(uow.connection, patient_id, statement)):
            _add(uow, patient_id, statement, Way.FEED, key.domain)


def state(uow: UnitOfWork, app: MpiApplication, patient_id: PatientId, statement: Statement, how: Way) -> Consent:
    """Write down what a patient says of the record that an identifier names, or of all of the person's.

    Said by a site, it is about the site's own record. An opposition is kept once; agreement ends every opposition.

    Raises:
        UnknownPatient: the identifier designates nobody.
        AccessDenied: it is another site's.
    """
    found = find(uow, app, patient_id)
    if not found:
        raise UnknownPatient("no patient is known under that identifier")
    members = [r for r in records.by_persons(uow.connection, {r.person_id for r in found}) if r.is_active]
    site = uow.caller.site
    if site is not None:
        members = [r for r in members if r.key.domain == site]
        if not members:
            raise AccessDenied("a site writes down what its own patients say")
    said = replace(statement, since=statement.since or uow.now)
    if said.subject is Subject.INDEXING:
        indexed = [_index(uow, app, record, said, how) for record in members]
        return indexed[0]
    domains = {r.key.domain for r in members}
    everybody = records.by_persons(uow.connection, {r.person_id for r in members})
    named = next((r for r in members if r in found), members[0])
    identifiers = [cx_of(app, r.key) for r in everybody if r.key.domain in domains]
    return state_for(uow, cx_of(app, named.key), identifiers, said, how)


def state_for(uow: UnitOfWork, patient_id: str, identifiers: Iterable[str], statement: Statement, how: Way) -> Consent:
    """Write down what a patient says who has these identifiers (CX), the one it is said for among them."""
    about = {patient_id}
    if statement.stance is not Stance.OPPOSES:
        about |= {
            each.patient_id
            for each in consents.in_force(uow.connection, list(identifiers))
            if (each.subject, each.professional) == (statement.subject, statement.professional)
        }
    kept = {each: _add(uow, each, statement, how, uow.caller.site) for each in sorted(about)}
    return kept[patient_id]


def refresh_indexing(uow: UnitOfWork, app: MpiApplication, record: Record) -> None:
    """Hide a record whose patient opposes to indexing, under its own number or one that was merged into it."""
    if record.is_active:
        members = records.by_persons(uow.connection, [record.person_id])
        merged = [r for r in members if record.id in (r.merged_into, r.id)]
        stated = consents.in_force(uow.connection, [cx_of(app, r.key) for r in merged])
        opposes = any(c.subject is Subject.INDEXING and c.stance is Stance.OPPOSES for c in stated)
        consents.set_opposes_indexing(uow.connection, record.id, opposes=opposes)


def consents_of(uow: UnitOfWork, app: MpiApplication, members: Sequence[Record]) -> list[Consent]:
    """Everything that was ever stated for a person's records, latest first."""
    return consents.history(uow.connection, [cx_of(app, r.key) for r in members])


def consents_in_sight(uow: UnitOfWork, app: MpiApplication, patient_id: PatientId) -> list[Consent]:
    """What holds for a person, oldest first: all of it for the region, for a site what concerns its own records.

    An identifier that designates nobody has no consents.
    """
    try:
        found = find(uow, app, patient_id)
    except UnknownAuthority:
        return []
    members = records.by_persons(uow.connection, {r.person_id for r in found})
    return consents.in_force(uow.connection, [cx_of(app, r.key) for r in members if _concerns(uow, r.key.domain)])


def consent_in_sight(uow: UnitOfWork, app: MpiApplication, consent_id: int) -> Consent:
    """What holds about one matter.

    Args:
        consent_id: of any statement about it.

    Raises:
        NotFound: there is none, or it is of another site's patient.
    """
    stated = consents.by_id(uow.connection, consent_id)
    domain = app.domains.by_authority(PatientId.from_xds_cx(stated.patient_id).authority) if stated else None
    if stated is None or not _concerns(uow, domain.code if domain is not None else ""):
        raise NotFound("there is no such consent")
    about = Statement(stated.subject, stated.stance, professional=stated.professional)
    return consents.told(uow.connection, stated.patient_id, about)[-1]


def _concerns(uow: UnitOfWork, domain: str) -> bool:
    return uow.caller.site in (None, domain)


def cx_of(app: MpiApplication, key: RecordKey) -> str:
    """The identifier of a record as statements are kept under it."""
    return patient_id_of(app, key, None).xds_cx


def _index(uow: UnitOfWork, app: MpiApplication, record: Record, said: Statement, how: Way) -> Consent:
    """Indexing is each record's own matter; those who were told of a record that is hidden now are told again."""
    site = uow.caller.site
    if said.stance is not Stance.OPPOSES:
        members = records.by_persons(uow.connection, [record.person_id])
        for merged in (r for r in members if r.merged_into == record.id):
            _add(uow, cx_of(app, merged.key), said, how, site)
    kept = _add(uow, cx_of(app, record.key), said, how, site)
    refresh_indexing(uow, app, record)
    event_id = events.append(
        uow.connection, uow.now, uow.caller, "record.consent", {"record_id": record.id, "stance": str(said.stance)}
    )
    announce(uow, app, [record.person_id], "person.updated", event_id)
    return kept


def _add(uow: UnitOfWork, patient_id: str, said: Statement, how: Way, site: str | None) -> Consent:
    consents.told(uow.connection, patient_id, said)
    added = consents.add(uow.connection, patient_id, said, how=how, now=uow.now, by=uow.caller.label, site=site)
    kept = consents.by_id(uow.connection, added)
    assert kept is not None
    return kept
