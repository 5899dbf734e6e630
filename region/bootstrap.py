"""Wires the service together, once: database, applications, pipeline, routers.

The only place where the packages meet; everything below gets what it needs handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine

from ihe.audit_export import AuditTrailKeeper
from ihe.audit_message import AuditSource
from ihe.callbacks import CallbackRule
from ihe.caller import Caller
from ihe.confidentiality import ReadingRules, Wishes
from ihe.database_copy import DatabaseCopy
from ihe.hl7v2.wire import Hl7v2Router
from ihe.housekeeping import Chore, Housekeeping
from ihe.outbox import Dispatcher, Subscriber
from ihe.serving import Pipeline
from ihe.store import audit_chain, emergencies, messages, outbox, single_use
from ihe.syslog import Collector
from ihe.transaction import Binding, Endpoint, HttpBinding, discover, refuse_lone_claims, refuse_shared_bindings
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import Oid, PatientId
from mpi.api import Directory, wishes_for
from mpi.application import ALL_GRADES, MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.domain.model import MatchModel
from mpi.domain.stewardship import BallotPolicy
from mpi.store import correlations, models, names, quality, snapshots
from region import document_notifications, fhir_subscriptions, notifications
from region.access import Access, Demonstration
from region.asynchronous_answers import AsynchronousAnswers, operations
from region.communities import SoapCommunities
from region.deferred_discovery import DeferredDiscovery
from region.fhir_metadata import metadata_endpoint, smart_configuration_endpoint
from region.fhir_patients import IndexPatients
from region.gateways import KnownAs, PatientsElsewhere, SoapGateways
from region.metrics import Metrics, Watched
from region.officer_mail import Officer, OfficerSubscriber
from region.region_table import Domain, RegionTable, RegionTableError
from region.registry_feed import with_own_feed
from web import fhir_imaging_study, json_api, prior_studies
from web.application import WebApplication, Workbench
from web.page import discover as pages
from web.session import LONGEST
from web.store import sessions
from web.workbench import page_number
from xds.application import XdsApplication, load_value_sets
from xds.archive.client import DEFAULT_LIMITS, ArchiveLimits, Archives
from xds.domain.communities import Communities
from xds.domain.imaging_sources import ImagingSource, ImagingSources
from xds.domain.value_sets import ValueSets
from xds.ports import Person
from xds.services import upkeep
from xds.services.gateway import Gateway
from xds.services.history_document import HistoryCreator
from xds.services.one_patient import OnePatient
from xds.services.patient_feed import FedDirectory
from xds.services.publish_archive import PublishedSite
from xds.services.publisher import Publisher
from xds.services.reading import RegionPolicy
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.studies import Studies
from xds.store.content import BlobStore


@dataclass(frozen=True, slots=True)
class Replica:
    """A database that replicates ours.

    Attributes:
        most_seconds: how far it may be behind when it is asked.
    """

    url: str
    most_seconds: float


@dataclass(frozen=True, slots=True)
class Service:
    """The service, wired and not yet listening.

    Attributes:
        table: domains of the region.
        copy: the replica from which questions are answered while it is fresh, watched once it is started.
        endpoints: all transactions and JSON calls.
        subscribers: who gets outbox events at this moment.
        access: who calls, for each wire.
        outbound: connections for deliveries, apart from those of requests, so that neither waits for the other.
    """

    table: RegionTable
    engine: Engine
    database: Database
    copy: DatabaseCopy | None
    mpi: MpiApplication
    directory: Directory
    xds: XdsApplication
    endpoints: tuple[Endpoint, ...]
    pipeline: Pipeline
    metrics: Metrics
    hl7v2: Hl7v2Router
    dispatcher: Dispatcher
    subscribers: Callable[[], list[Subscriber]]
    outbound: Engine
    housekeeping: Housekeeping
    audit: AuditTrailKeeper
    publisher: Publisher
    access: Access
    web: WebApplication

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()
        self.outbound.dispose()


def build_service(
    database_url: str,
    table: RegionTable,
    content: BlobStore,
    *,
    policy: LinkPolicy | None = None,
    answered_grades: frozenset[str] = ALL_GRADES,
    answer_grades: Mapping[str, frozenset[str]] | None = None,
    pool_size: int = 20,
    subscribers: Callable[[], list[Subscriber]] = list,
    reading: ReadingRules | None = None,
    has_other_index: bool = False,
    max_attempts: int = 20,
    keep_events: timedelta = timedelta(days=30),
    keep_answers: timedelta = timedelta(days=30),
    workbench: Workbench | None = None,
    ballot: BallotPolicy | None = None,
    sources_unmerge: bool = False,
    archive_limits: ArchiveLimits = DEFAULT_LIMITS,
    coerce_patient_ids: bool = True,
    keep_audit: timedelta | None = None,
    audit_collector: Collector | None = None,
    callbacks: CallbackRule | None = None,
    value_sets: ValueSets | None = None,
    viewer: Path | None = None,
    keeps_on_demand: bool = False,
    access: Access | None = None,
    replica: Replica | None = None,
    watched: Watched | None = None,
    officer: Officer | None = None,
) -> Service:
    """Wire the service over a migrated database.

    Args:
        content: where documents are kept.
        answered_grades: grades of links with which domains are answered.
        answer_grades: the same for some domains, by code.
        pool_size: connections kept open; the threads that serve need one each.
        subscribers: further subscribers of outbox events, beside those of the table.
        has_other_index: the region's index is another system, which feeds the registry.
        reading: who may read which document; by default the national rules.
        max_attempts: an event that a subscriber refused so often becomes a dead letter.
        keep_events: how long events can be replayed.
        keep_answers: how long a repeated message is recognised.
        ballot: how stewards' answers become decisions; default votes of both sites, and four-eyes.
        sources_unmerge: whether a source may take merges of its own records back by message.
        workbench: who may work in it and how they log in; ``None`` for nobody.
        keep_audit: how long audit events are kept; ``None`` for ever.
        audit_collector: where audit events are sent, beside the database.
        callbacks: which addresses that callers name may be written to; by default any.
        value_sets: codes of the affinity domain; by default the French ones.
        viewer: folder of the installed image viewer, or ``None``.
        keeps_on_demand: whether documents made on demand are kept and registered.
        access: who calls; ``None`` for the demonstration, which authenticates nobody.
        replica: from which questions may be answered.
        watched: what metrics tell of files and disks.
        officer: who is told of emergencies by e-mail; ``None`` for nobody.

    Raises:
        TransactionFault: a transaction file is misnamed or broken, or two share a binding.
    """
    transactions = discover("mpi.transactions", "xds.transactions")
    if has_other_index:
        transactions = tuple(with_own_feed(transactions))
    resources = (*transactions, fhir_imaging_study.ENDPOINT)
    access = access or Demonstration(table)
    metadata = metadata_endpoint(resources, access.authorization_servers)
    tokens = smart_configuration_endpoint(access.authorization_servers)
    endpoints = (*resources, *json_api.ENDPOINTS, prior_studies.ENDPOINT, metadata, tokens)
    refuse_shared_bindings(endpoints)
    refuse_lone_claims(endpoints)
    audit_source = _audit_source(table, endpoints)
    engine = create_engine(database_url, pool_size=pool_size, max_overflow=10, pool_timeout=30)
    copy = None
    if replica is not None:
        following = create_engine(replica.url, pool_size=pool_size, max_overflow=10, pool_timeout=5)
        copy = DatabaseCopy(engine, following, replica.most_seconds)
    database = Database(engine, copy.engine) if copy else Database(engine)
    mpi = MpiApplication(
        table,
        _model(engine),
        policy or LinkPolicy.calibrated(),
        answered_grades=answered_grades,
        answer_grades=answer_grades or {},
        ballot=ballot or BallotPolicy(),
        sources_unmerge=sources_unmerge,
        callbacks=callbacks or CallbackRule(),
        home_community_id=table.home_community_id,
        communities=SoapCommunities(table.home_community_id, table.communities, database),
        audit_source=audit_source,
    )
    directory = Directory(mpi)
    metrics = Metrics(engine, lambda: [each.name for each in present_subscribers()], copy, watched)
    patients = _fed_directory(table) if has_other_index else IndexDirectory(directory)
    rules = reading or ReadingRules()
    policy_point = RegionPolicy(rules, patients, metrics.withheld)
    readable = OnePatient(policy_point, patients, metrics.withheld)
    xds = _xds(
        table,
        Registry(patients, value_sets or load_value_sets(), readable),
        IndexPatients(mpi),
        content,
        archive_limits,
        mpi.callbacks,
        _known_nowhere if has_other_index else directory.known_as,
        coerce_patient_ids=coerce_patient_ids,
        keeps_on_demand=keeps_on_demand,
    )
    web = WebApplication(mpi, xds, workbench or Workbench(), viewer)
    applications: dict[str, Any] = {"mpi": mpi, "xds": xds, "web": web}

    def authorise(caller: Caller, transaction: str) -> None:
        access.authorise(caller, transaction)
        rules.check_purpose(caller)

    pipeline = Pipeline(database, applications, metrics.observe, authorise)
    outbound = create_engine(database_url, pool_size=5, max_overflow=60)
    outbound_database = Database(outbound)

    asynchronous = AsynchronousAnswers(operations(endpoints), pipeline, mpi.callbacks)

    def present_subscribers() -> list[Subscriber]:
        return [
            *notifications.subscribers(table, outbound_database, mpi),
            DeferredDiscovery(outbound_database, mpi),
            asynchronous,
            *fhir_subscriptions.subscribers(table, outbound_database, mpi),
            *document_notifications.subscribers(outbound_database, xds),
            *([OfficerSubscriber(outbound_database, officer)] if officer else []),
            *subscribers(),
        ]

    return Service(
        table=table,
        engine=engine,
        database=database,
        copy=copy,
        mpi=mpi,
        directory=directory,
        xds=xds,
        endpoints=endpoints,
        pipeline=pipeline,
        metrics=metrics,
        hl7v2=Hl7v2Router(endpoints, pipeline, access.hl7v2),
        dispatcher=Dispatcher(outbound, present_subscribers, max_attempts=max_attempts),
        subscribers=present_subscribers,
        outbound=outbound,
        housekeeping=Housekeeping(
            outbound,
            {
                **_chores(mpi.model, keep_events, keep_answers, keep_audit),
                "documents": _sweeping(database, xds.repository),
            },
        ),
        audit=AuditTrailKeeper(outbound, audit_source, audit_collector),
        publisher=Publisher(
            outbound_database,
            published_sites((each for each in table.establishments if each.publish), xds.studies.archives),
            xds.repository,
            metrics.published,
        ),
        access=access,
        web=web,
    )


def _model(engine: Engine) -> MatchModel:
    """The match model in force: the one last activated, else the one set by hand; kept, as each decision names it."""
    with engine.begin() as connection:
        found = models.active(connection) or default_french()
        models.add(connection, found, note="built in", now=datetime.now(UTC))
        return found


@dataclass(frozen=True, slots=True)
class IndexDirectory:
    """The index in the shape that the registry asks for (``xds.ports.PatientDirectory``)."""

    index: Directory

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> Person | None:
        """The person that the identifier designates, or ``None``."""
        found = self.index.resolve(uow, patient_id, to_write=to_write)
        return None if found is None else Person(found.regional_id, found.identifiers)

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> Mapping[str, Wishes]:
        """What the person wants."""
        return self.index.wishes(uow, patient_id)

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> Person | None:
        """The person as far as the domain of the identifier is answered."""
        found = self.index.answered(uow, patient_id)
        return None if found is None else Person(found.regional_id, found.identifiers)

    def knows_authority(self, patient_id: PatientId) -> bool:
        """Whether the authority is a domain of the region."""
        return self.index.knows_authority(patient_id)


def _fed_directory(table: RegionTable) -> FedDirectory:
    return FedDirectory(table.region.authority, lambda each: table.by_authority(each.authority) is not None, wishes_for)


def _known_nowhere(_uow: UnitOfWork, _patient_id: PatientId, _home: Oid) -> PatientId | None:
    """Of a registry beside which there is no index that asks other communities."""
    return None


def _xds(
    table: RegionTable,
    registry: Registry,
    patients: IndexPatients,
    content: BlobStore,
    archive_limits: ArchiveLimits,
    callbacks: CallbackRule,
    known_as: KnownAs,
    *,
    coerce_patient_ids: bool,
    keeps_on_demand: bool,
) -> XdsApplication:
    repository_id = table.region.repository_unique_id
    if repository_id is None:
        raise RegionTableError(["the regional domain needs a repository_unique_id, under which documents are kept"])
    site_ids = {d.code: d.repository_unique_id for d in table if d.repository_unique_id is not None}
    sources = ImagingSources(
        ImagingSource(
            site=domain.code,
            name=domain.name,
            patient_authority=domain.oid,
            pacs_url=domain.pacs_url,
            location_uid=domain.imaging_source_id,
            accession_authority=domain.accession_authority,
        )
        for domain in table.establishments
    )
    gateway = Gateway(
        Communities(table.home_community_id, table.communities),
        SoapGateways(),
        PatientsElsewhere(table, registry.directory, known_as),
    )
    studies = Studies(registry, sources, Archives(sources, archive_limits), coerces=coerce_patient_ids)
    creator = HistoryCreator(studies, repository_id, table.name)
    repository = Repository(
        registry, content, repository_id, site_ids, creator=creator, keeps_on_demand=keeps_on_demand
    )
    return XdsApplication(registry, repository, studies, gateway, patients, callbacks=callbacks)


def published_sites(
    domains: Iterable[Domain], archives: Archives, settle_seconds: float | None = None
) -> list[PublishedSite]:
    """Domains as the publisher sees them; those without an archive are left out.

    Args:
        settle_seconds: how long a study rests before it is registered; ``None``: as its archive's feed of changes
            says, else five seconds.
    """
    found = []
    for domain in domains:
        archive = archives.of(domain.code)
        if archive is not None:
            rest = settle_seconds if settle_seconds is not None else 0.0 if domain.change_feed else 5.0
            found.append(PublishedSite(archive, domain.facility_type or "SA01", rest, domain.change_feed))
    return found


def _audit_source(table: RegionTable, endpoints: Iterable[Endpoint]) -> AuditSource:
    told = [endpoint.transaction for endpoint in endpoints]
    names = {each.number: each.name for each in told} | {page_number(page): page.name for page in pages()}
    rest = {each.number for each in told if any(_is_rest(binding) for binding in each.bindings)}
    return AuditSource("traitdunion", str(table.home_community_id), names, frozenset(rest))


def _is_rest(binding: Binding) -> bool:
    return isinstance(binding, HttpBinding) and binding.path.startswith("/fhir")


def _chores(
    model: MatchModel, keep_events: timedelta, keep_answers: timedelta, keep_audit: timedelta | None
) -> dict[str, Chore]:
    chores: dict[str, Chore] = {
        "outbox": lambda connection, now: outbox.forget_before(connection, now - keep_events),
        "answers": lambda connection, now: messages.forget_before(connection, now - keep_answers),
        "correlations": correlations.forget_before,
        "used assertions": single_use.forget_expired,
        "snapshots": snapshots.forget_before,
        "search names": names.fill,
        "quality": partial(quality.measure_daily, model),
        "sessions": lambda connection, now: sessions.forget_before(connection, now - LONGEST),
    }
    if keep_audit is not None:
        chores["audit"] = lambda connection, now: audit_chain.forget_before(connection, now - keep_audit)
        chores["emergencies"] = lambda connection, now: emergencies.forget_before(connection, now - keep_audit)
    return chores


def _sweeping(database: Database, repository: Repository) -> Chore:
    """Removes bytes that no document has named for a day."""

    def sweep(_connection: Connection, _now: datetime) -> int:
        swept = upkeep.sweep(database, repository)
        return swept.objects + swept.staged

    return sweep
