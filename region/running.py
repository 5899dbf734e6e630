"""What the commands have in common: a database that runs and is migrated, and a service over it."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from ihe.callbacks import CallbackRule
from ihe.caller import REGION
from ihe.confidentiality import ReadingRules
from ihe.syslog import Collector
from mpi.domain.grades import CALIBRATED, STRICT, Grade, LinkPolicy
from mpi.domain.stewardship import BallotPolicy
from mpi.store import invariants
from region import access_settings, beside
from region.bootstrap import Replica, Service, build_service
from region.demo import run_story
from region.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from region.log_output import set_up_logging
from region.metrics import Watched, counted_together
from region.migrations import SchemaFault, upgrade
from region.officer_mail import Officer
from region.pacs.demonstration import archives_of_story
from region.region_table import RegionTable, RegionTableError, load_region
from region.server import Listening, SharedListeners, bind, end_with_parent, listener_of, supervise
from region.server import serve as listen
from region.settings import Settings, describe
from region.synthetic.population import build
from region.viewer_commands import installed
from web.application import Workbench
from web.oidc import OidcClient, OidcSettings
from web.people import People, PeopleFault, load_people
from xds.application import ValueSetFault, load_value_sets
from xds.archive.client import ArchiveLimits
from xds.domain.value_sets import ValueSets
from xds.services import integrity, upkeep
from xds.store.content import BlobStore, DiskContent

_DATABASE = "traitdunion"
_DEMO_PEOPLE = Path(__file__).resolve().parent.parent / "fixtures" / "people.toml"
_MOST_WORKERS = 64
_NICE = 5
"""How far what nobody waits for stands back where processors are short."""


class StartFault(Exception):
    """The service cannot start; one sentence for the operator."""


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """A migrated database: the configured one, or the embedded server's while the block runs."""
    if settings.sqlalchemy_url is not None:
        try:
            upgrade(settings.sqlalchemy_url)
        except OperationalError as error:
            raise StartFault("the database of TRAITDUNION_DATABASE_URL does not answer") from error
        except SchemaFault as error:
            raise StartFault(str(error)) from error
        yield settings.sqlalchemy_url
        return
    try:
        with EmbeddedPostgres(settings.data_dir / "postgres") as server:
            url = server.url(server.ensure_database(_DATABASE))
            upgrade(url)
            with server.kept_running():
                yield url
    except (EmbeddedPostgresError, SchemaFault) as error:
        raise StartFault(str(error)) from error


@contextmanager
def replication_url(settings: Settings) -> Iterator[str]:
    """Where a backup is read: the configured server, or the embedded one while the block runs; nothing is migrated."""
    if settings.sqlalchemy_url is not None:
        yield settings.sqlalchemy_url
        return
    try:
        with EmbeddedPostgres(settings.data_dir / "postgres") as server:
            server.ensure_database(_DATABASE)
            yield server.superuser_url(_DATABASE)
    except EmbeddedPostgresError as error:
        raise StartFault(str(error)) from error


@contextmanager
def service(settings: Settings) -> Iterator[Service]:
    """A wired service that does not listen."""
    with database(settings) as url, service_over(settings, url) as built:
        yield built


@contextmanager
def service_over(settings: Settings, url: str) -> Iterator[Service]:
    """A wired service over a migrated database."""
    built = _build(settings, url)
    try:
        yield built
    finally:
        built.close()


def _build(settings: Settings, url: str, *, demo: bool = False) -> Service:
    content = _content(settings)
    table = region_table(settings)
    policy, answered, answered_by_domain = policies(settings, table)
    return build_service(
        url,
        table,
        content,
        policy=policy,
        answered_grades=answered,
        answer_grades=answered_by_domain,
        pool_size=settings.threads + 5,
        has_other_index=settings.patient_index == "other",
        reading=ReadingRules(
            frozenset(settings.hidden_from_professionals),
            frozenset(settings.hidden_from_patients),
            frozenset(settings.hidden_from_representatives),
            frozenset(settings.emergency_purposes),
            frozenset(settings.emergency_centres) or None,
        ),
        max_attempts=settings.outbox_max_attempts,
        keep_events=timedelta(days=settings.outbox_keep_days),
        keep_answers=timedelta(days=settings.repeat_window_days),
        keep_audit=timedelta(days=settings.audit_keep_days) if settings.audit_keep_days else None,
        audit_collector=_audit_collector(settings),
        callbacks=CallbackRule(settings.callback_urls, public_only=settings.production),
        workbench=_workbench(settings, table, demo=demo),
        ballot=BallotPolicy(settings.both_sites_vote, settings.four_eyes),
        sources_unmerge=settings.sources_unmerge,
        archive_limits=ArchiveLimits(streams=settings.archive_streams, answer_seconds=settings.archive_timeout_seconds),
        coerce_patient_ids=settings.coerce_patient_ids,
        value_sets=_value_sets(settings),
        viewer=installed(settings.data_dir),
        keeps_on_demand=settings.keep_on_demand,
        access=access_settings.access(settings, table),
        replica=_replica(settings),
        watched=_watched(settings),
        officer=_officer(settings),
    )


def _replica(settings: Settings) -> Replica | None:
    url = settings.sqlalchemy_replica_url
    return Replica(url, settings.replica_seconds) if url else None


def _watched(settings: Settings) -> Watched:
    """What operators see of the machine that we run on."""
    return Watched(partial(access_settings.expiries, settings), {"data": settings.data_dir})


def _value_sets(settings: Settings) -> ValueSets:
    try:
        return load_value_sets(settings.code_table, settings.lenient_codes)
    except (ValueSetFault, OSError) as error:
        raise StartFault(f"the codes of the affinity domain cannot be used: {error}") from error


def _workbench(settings: Settings, table: RegionTable, *, demo: bool) -> Workbench:
    """The workbench; in the demonstration, on loopback alone, its invented people may enter by a click."""
    clicked = demo and settings.http_host in ("127.0.0.1", "localhost", "::1")
    file = settings.people_table or (_DEMO_PEOPLE if demo else None)
    codes = [domain.code for domain in table.establishments]
    try:
        people = load_people(file, codes) if file else People()
    except PeopleFault as error:
        raise StartFault(str(error)) from error
    secret = settings.oidc_client_secret
    oidc = None
    if settings.oidc_issuer is not None:
        oidc = OidcClient(
            OidcSettings(
                settings.oidc_issuer,
                settings.oidc_client_id,
                secret.get_secret_value() if secret else "",
                settings.oidc_scope,
                settings.oidc_acr_values,
            )
        )
    return Workbench(
        region=table.name,
        site_names={domain.code: domain.name for domain in table},
        site_finess={domain.code: domain.finess for domain in table if domain.finess},
        people=people,
        oidc=oidc,
        demo_login=clicked,
        settings=tuple((row.name, row.value, row.help) for row in describe(settings)),
    )


def _officer(settings: Settings) -> Officer | None:
    if settings.officer_address is None:
        return None
    host, _, port = settings.mail_server.rpartition(":")
    if not host or not port.isdigit():
        raise StartFault("TRAITDUNION_MAIL_SERVER is written HOST:PORT")
    return Officer(
        settings.officer_address,
        settings.mail_sender,
        host,
        int(port),
        settings.mail_tls,
        settings.public_url.rstrip("/"),
    )


def _audit_collector(settings: Settings) -> Collector | None:
    if settings.audit_collector is None:
        return None
    address = urlsplit(settings.audit_collector)
    host, port = str(address.hostname), int(address.port or 0)
    if address.scheme == "syslog":
        if host not in {"localhost", "127.0.0.1"}:
            raise StartFault("TRAITDUNION_AUDIT_COLLECTOR: audit events leave this machine over syslog+tls:// only")
        return Collector(host, port, None)
    try:
        context = ssl.create_default_context(cafile=settings.audit_collector_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.audit_client_certificate is not None:
            context.load_cert_chain(settings.audit_client_certificate)
    except OSError as error:
        raise StartFault("the certificate files of the audit collector cannot be used") from error
    return Collector(host, port, context)


def _content(settings: Settings) -> BlobStore:
    folder = content_folder(settings)
    if settings.document_store is None:
        return DiskContent(folder)
    try:
        from xds.store.content_s3 import S3Content  # noqa: PLC0415 - its client is an extra
    except ImportError as error:
        raise StartFault("an object store needs the extra: pip install traitdunion[s3]") from error
    try:
        return S3Content.from_url(settings.document_store.get_secret_value(), folder / "staging")
    except ValueError as error:
        raise StartFault(f"TRAITDUNION_DOCUMENT_STORE: {error}") from error


def region_table(settings: Settings) -> RegionTable:
    """The table of domains that the settings name."""
    try:
        return load_region(settings.region_table, production=settings.production)
    except RegionTableError as error:
        raise StartFault(str(error)) from error


def policies(settings: Settings, table: RegionTable) -> tuple[LinkPolicy, frozenset[str], dict[str, frozenset[str]]]:
    """Which grades link by themselves; with which grades domains are answered, and some domains by code.

    Raises:
        StartFault: a setting names a domain that is not of the region, or two name the same.
    """
    linking = LinkPolicy.strict() if settings.link_policy == "strict" else LinkPolicy.calibrated()
    linking_of = _by_domain(table, settings, strict="strict_domains", calibrated="calibrated_domains")
    answered = STRICT if settings.answer_policy == "strict" else CALIBRATED
    answered_of = _by_domain(table, settings, strict="certain_only_answers", calibrated="probable_answers")
    by_domain = {code: _texts(grades) for code, grades in answered_of.items()}
    return replace(linking, by_domain=linking_of), _texts(answered), by_domain


def _by_domain(table: RegionTable, settings: Settings, *, strict: str, calibrated: str) -> dict[str, frozenset[Grade]]:
    """The grades of the domains that two settings name.

    Raises:
        StartFault: a domain is named by both, or is not of the region: a slip here would link or tell what must not be.
    """
    found: dict[str, frozenset[Grade]] = {}
    known = {domain.code for domain in table}
    for name, grades in ((strict, STRICT), (calibrated, CALIBRATED)):
        for code in getattr(settings, name):
            if code not in known:
                raise StartFault(f"{name}: {code} is no domain of the region")
            if found.get(code, grades) != grades:
                raise StartFault(f"{code} is named by both {strict} and {calibrated}")
            found[code] = grades
    return found


def _texts(grades: frozenset[Grade]) -> frozenset[str]:
    return frozenset(map(str, grades))


def _listening(settings: Settings, shared: SharedListeners | None = None, *, is_alone: bool = False) -> Listening:
    tls = access_settings.server_tls(settings)
    return Listening(
        host=settings.http_host,
        http_port=settings.http_port,
        mllp_port=settings.mllp_port,
        threads=settings.threads,
        max_message_bytes=settings.max_message_bytes,
        max_document_bytes=settings.max_document_bytes,
        idle_seconds=settings.idle_timeout_seconds,
        shared=shared,
        is_alone=is_alone,
        http_tls=None if settings.trusted_proxies else tls,
        mllp_tls=tls,
    )


def workers(settings: Settings) -> int:
    """Processes that listen; one alone where the system chooses a port, which the others would not know."""
    if 0 in (settings.http_port, settings.mllp_port):
        return 1
    return settings.workers or usual_workers(beside_database=settings.database_url is None)


def usual_workers(*, beside_database: bool) -> int:
    """How many processes this machine serves best with.

    Args:
        beside_database: whether the database runs here, too, which then has a core left.
    """
    cores = min(os.cpu_count() or 1, _MOST_WORKERS)
    return max(1, cores - 1) if beside_database else cores


def serve(settings: Settings, on_listening: Callable[[], None]) -> None:
    """Listen until stopped, in as many processes as the settings say."""
    with database(settings) as url:
        try:
            with counted_together(), beside.kept_running(partial(_work_beside, settings, url)):
                if workers(settings) == 1:
                    listen(_build(settings, url), _listening(settings), on_listening)
                else:
                    shared = SharedListeners.bound(_listening(settings), workers(settings))
                    on_listening()
                    supervise(partial(_work, settings, url, shared), workers(settings), shared.close)
        except OSError as error:
            raise StartFault(f"cannot listen: {error.strerror or error}") from error


def _work(settings: Settings, url: str, shared: SharedListeners, number: int) -> None:
    set_up_logging(settings.log_level, settings.log_format)
    end_with_parent()
    listen(_build(settings, url), _listening(settings, shared.of(number)))


def _work_beside(settings: Settings, url: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # it waits until it is asked for
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this process, and tells it to end
    os.nice(_NICE)
    set_up_logging(settings.log_level, settings.log_format)
    end_with_parent()
    with service_over(settings, url) as built:
        built.xds.studies.archives.start()
        beside.start(built)
        signal.sigwait([signal.SIGTERM])
        beside.stop(built)
        built.xds.studies.archives.stop()


def demo(settings: Settings, console: Console, *, exit_after: bool) -> None:
    """Tell the story of the demonstration against a service of this process, then serve until Ctrl-C.

    Raises:
        StoryFault: something did not happen as told.
    """
    scenario = build()
    with (
        archives_of_story(scenario, settings.data_dir / "pacs", console.print) as pictures,
        database(settings) as url,
        nullcontext(_build(settings, url, demo=True)) as built,
        _background(built, settings) as server,
    ):
        run_story(
            f"http://{settings.http_host}:{settings.http_port}",
            (settings.http_host, settings.mllp_port),
            console,
            folder=settings.data_dir / "demo",
            scenario=scenario,
            pictures=pictures,
        )
        built.housekeeping.run_once()
        if not exit_after:
            console.print("\nServing until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                while server.is_alive():
                    server.join(1)


@contextmanager
def _background(built: Service, settings: Settings) -> Iterator[threading.Thread]:
    """A service that listens in a thread while the block runs."""
    ready = threading.Event()
    server = listener_of(built, _listening(settings, is_alone=True), ready.set)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            server.run(sockets=[bound])
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    try:
        bound = bind(_listening(settings))
    except OSError as error:
        raise StartFault(f"cannot listen: {error.strerror or error}") from error
    thread = threading.Thread(target=run, name="demo service")
    thread.start()
    ready.wait()
    try:
        if failures or not thread.is_alive():
            raise StartFault(f"the service did not start: {failures[0] if failures else 'see the log'}")
        yield thread
    finally:
        server.should_exit = True
        thread.join(60)
        built.close()


def reset(settings: Settings) -> None:
    """Delete every row and every stored document; the schema stays."""
    with database(settings) as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            names = [
                row.tablename
                for row in connection.execute(
                    text(
                        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
                    )
                )
            ]
            if names:
                quoted = ", ".join(f'"{name}"' for name in names)
                connection.execute(text(f"TRUNCATE {quoted} RESTART IDENTITY CASCADE"))
        engine.dispose()
    documents = content_folder(settings)
    if documents.is_dir():
        shutil.rmtree(documents)


def content_folder(settings: Settings) -> Path:
    """Where documents are kept."""
    return settings.data_dir / "documents"


def check(built: Service) -> list[str]:
    """Violated invariants of identities, registry and repository, a sentence each."""
    with built.database.unit(REGION, isolation="REPEATABLE READ") as uow:
        found = invariants.violations(uow.connection)
    return [*found, *check_documents(built)]


def check_documents(built: Service, grace: timedelta = upkeep.GRACE) -> list[str]:
    """What is wrong with registry and repository, a sentence each.

    Args:
        grace: bytes that nothing names are no problem while younger.
    """
    with built.database.unit(REGION, isolation="REPEATABLE READ") as uow:
        found = [f"{flaw.kind}: {flaw.object_id}" for flaw in integrity.check(uow)]
    problems = upkeep.check(built.database, built.xds.repository, grace=grace)
    return [*found, *(f"{problem.kind}: {problem.subject}" for problem in problems)]
