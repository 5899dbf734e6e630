"""From an identifier on a wire to a record of the index, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ihe.confidentiality import Sight, sight_of
from ihe.errors import AccessDenied, InvalidElement, UnknownAuthority, UnknownPatient, UnknownTargetAuthority
from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record, person_of_regional_id, regional_id
from mpi.ports import Domain
from mpi.store import records, successions


def domain_of(app: MpiApplication, authority: AssigningAuthority, location: str | None = None) -> Domain:
    """The domain of an assigning authority.

    Raises:
        UnknownAuthority: it is none of the region.
    """
    domain = app.domains.by_authority(authority)
    if domain is None:
        raise UnknownAuthority("the assigning authority is no domain of the region", location)
    return domain


def target_domains(app: MpiApplication, targets: Sequence[tuple[AssigningAuthority, str]]) -> tuple[str, ...]:
    """Codes of the domains asked for in an answer.

    Args:
        targets: each authority with its location in the request.

    Raises:
        UnknownTargetAuthority: some are no domain of the region; their locations are all named.
    """
    if not targets:
        return ()
    found = [(app.domains.by_authority(authority), location) for authority, location in targets]
    unknown = [location for domain, location in found if domain is None]
    if unknown:
        raise UnknownTargetAuthority("a domain asked for is no domain of the region", unknown)
    return tuple(domain.code for domain, _ in found if domain is not None)


def find(
    uow: UnitOfWork,
    app: MpiApplication,
    patient_id: PatientId,
    location: str | None = None,
    sight: Sight | None = None,
) -> list[Record]:
    """Active records that an identifier designates: one for a local id (also a former one of a domain that ended, see
    :mod:`mpi.services.succeed_domain`), all of the person's for a regional id, those that carry it qualified for an
    INS. Empty when nothing active carries it, or nothing that is shown.

    Args:
        sight: what is shown; by default what the caller may see.

    Raises:
        UnknownAuthority: the authority is no domain of the region.
    """
    seen = sight or sight_of(uow.caller)
    found = _designated(uow, app, patient_id, location)
    return [r for r in found if seen.sees(r.key.domain, is_hidden=r.is_hidden)]


def _designated(uow: UnitOfWork, app: MpiApplication, patient_id: PatientId, location: str | None) -> list[Record]:
    domain = domain_of(app, patient_id.authority, location)
    if domain.code == app.regional_domain:
        founder = person_of_regional_id(patient_id.value)
        named = records.by_ids(uow.connection, [founder]) if founder is not None else []
        return [r for r in records.by_persons(uow.connection, [n.person_id for n in named]) if r.is_active]
    if domain.code in app.ins_domains:
        oid = domain.authority.oid
        found = records.by_ins(uow.connection, patient_id.value, oid) if oid is not None else []
        return [r for r in found if r.traits.has_qualified_ins]
    record = records.by_key(uow.connection, RecordKey(domain.code, patient_id.value))
    if record is not None and not record.is_active:
        record = _renumbered(uow, record)
    return [record] if record is not None and record.is_active else []


def _renumbered(uow: UnitOfWork, record: Record) -> Record | None:
    """Whom an identifier of a domain that ended designates since its successor renumbered the patient; ``None`` for
    one that was merged within its own domain, and designates nobody any more.
    """
    standing, is_first = record, True
    while standing.merged_into is not None:
        (into,) = records.by_ids(uow.connection, [standing.merged_into])
        if is_first and into.key.domain == record.key.domain:
            return None
        standing, is_first = into, False
    return standing


def find_one_person(
    uow: UnitOfWork,
    app: MpiApplication,
    patient_id: PatientId,
    location: str | None = None,
    sight: Sight | None = None,
) -> Record:
    """One active record of the person that an identifier designates.

    Raises:
        UnknownAuthority: the authority is no domain of the region.
        UnknownPatient: nothing active carries it, or (an INS in conflict) it designates several persons.
    """
    found = find(uow, app, patient_id, location, sight)
    if len({r.person_id for r in found}) != 1:
        raise UnknownPatient("no patient is known under that identifier", location)
    return found[0]


def patient_id_of(app: MpiApplication, key: RecordKey, type_code: str | None = "PI") -> PatientId:
    """The identifier of a record as wires write it."""
    return local_patient_id(app, key.domain, key.local_id, type_code)


def local_patient_id(app: MpiApplication, domain: str, local_id: str, type_code: str | None = "PI") -> PatientId:
    """The same, by the parts of its name."""
    return PatientId(local_id, app.domains.by_code(domain).authority, type_code)


def regional_patient_id(app: MpiApplication, person_id: int) -> PatientId:
    """The regional identifier of a person as wires write it."""
    return PatientId(regional_id(person_id), app.domains.by_code(app.regional_domain).authority, "RRI")


def ins_ids(app: MpiApplication, members: Sequence[Record]) -> list[PatientId]:
    """The qualified INS of a person's records, each once, only where its authority is a domain of the region."""
    stated = ((r.traits.ins, r.traits.ins_oid) for r in members if r.traits.has_qualified_ins)
    return [ins for _, ins in qualified_ins_ids(app, stated)]


def qualified_ins_ids(
    app: MpiApplication, stated: Iterable[tuple[str | None, str | None]]
) -> list[tuple[str, PatientId]]:
    """INS of qualified identities (value and OID) as wires write them, each once and with the code of its domain."""
    found: dict[tuple[str, str], tuple[str, PatientId]] = {}
    for ins, ins_oid in stated:
        if ins is None or ins_oid is None or (ins[:13], ins_oid) in found:
            continue
        authority = _authority(ins_oid)
        domain = app.domains.by_authority(authority) if authority is not None else None
        if domain is not None and domain.code in app.ins_domains:
            found[ins[:13], ins_oid] = domain.code, PatientId(ins, domain.authority, "INS")
    return list(found.values())


@lru_cache(maxsize=64)
def _authority(oid: str) -> AssigningAuthority | None:
    """The authority with an OID, read once: there are few; ``None`` when it is no OID."""
    try:
        return AssigningAuthority(oid=Oid(oid))
    except ValueError:
        return None


def feedable_domain(app: MpiApplication, code: str, location: str | None = None) -> None:
    """Check that records of a domain can be fed.

    Raises:
        UnknownAuthority: there is no such domain, or it is the regional or a national one.
    """
    try:
        domain = app.domains.by_code(code)
    except KeyError:
        raise UnknownAuthority("the domain is none of the region", location) from None
    if domain.code == app.regional_domain or domain.kind == "national":
        raise UnknownAuthority("records of the regional or a national domain cannot be fed", location)


def own_key(
    uow: UnitOfWork,
    app: MpiApplication,
    patient_id: PatientId,
    location: str | None = None,
    *,
    survivor_domain: str | None = None,
) -> RecordKey:
    """The record key that a feed may write: a local id in the caller's own domain.

    Args:
        survivor_domain: of the record into which this one is merged, which may be the successor of its domain.

    Raises:
        UnknownAuthority: the authority is no domain of the region, or one that was taken over by another.
        InvalidElement: it is the regional or a national domain, which no feed writes.
        AccessDenied: the caller acts for another site.
    """
    domain = domain_of(app, patient_id.authority, location)
    if domain.code == app.regional_domain or domain.code in app.ins_domains:
        raise InvalidElement("a feed cannot write identifiers of the regional or a national domain", location)
    heir = successions.in_force(uow.connection, uow.now).heir(domain.code)
    if heir not in (domain.code, survivor_domain):
        raise UnknownAuthority(f"the domain {domain.code} was taken over by {heir}, under which it is fed", location)
    if uow.caller.site is not None and uow.caller.site != heir:
        raise AccessDenied("a site feeds only its own domain", location)
    return RecordKey(domain.code, patient_id.value)
