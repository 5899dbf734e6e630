"""What the commands have in common: a database that runs and is migrated, and a service over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine, text

from mpi.domain.grades import STRICT, LinkPolicy
from mpi.store import invariants
from region.bootstrap import Service, build_service
from region.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from region.migrations import upgrade
from region.region_table import RegionTable, RegionTableError, load_region
from region.server import Listening, supervise
from region.server import serve as listen
from region.settings import Settings
from xds.store.content import DiskContent

_DATABASE = "traitdunion"


class StartFault(Exception):
    """The service cannot start; one sentence for the operator."""


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """A migrated database: the configured one, or the embedded server's while the block runs."""
    if settings.database_url:
        url = settings.database_url.get_secret_value().replace("postgresql://", "postgresql+psycopg://", 1)
        upgrade(url)
        yield url
        return
    try:
        with EmbeddedPostgres(settings.data_dir / "postgres") as server:
            url = server.url(server.ensure_database(_DATABASE))
            upgrade(url)
            yield url
    except EmbeddedPostgresError as error:
        raise StartFault(str(error)) from error


@contextmanager
def service(settings: Settings) -> Iterator[Service]:
    """A wired service that does not listen."""
    with database(settings) as url:
        built = _build(settings, url)
        try:
            yield built
        finally:
            built.close()


def _build(settings: Settings, url: str) -> Service:
    content = DiskContent(content_folder(settings))
    return build_service(url, region_table(settings), content, policy=_policy(settings), pool_size=settings.threads + 5)


def region_table(settings: Settings) -> RegionTable:
    """The table of domains that the settings name."""
    try:
        return load_region(settings.region_table, production=settings.production)
    except RegionTableError as error:
        raise StartFault(str(error)) from error


def _policy(settings: Settings) -> LinkPolicy:
    policy = LinkPolicy.strict() if settings.link_policy == "strict" else LinkPolicy.calibrated()
    return replace(policy, by_domain=dict.fromkeys(settings.strict_domains, STRICT))


def _listening(settings: Settings) -> Listening:
    return Listening(
        host=settings.http_host,
        http_port=settings.http_port,
        mllp_port=settings.mllp_port,
        threads=settings.threads,
        max_message_bytes=settings.max_message_bytes,
        max_document_bytes=settings.max_document_bytes,
        idle_seconds=settings.idle_timeout_seconds,
        shared=settings.workers > 1,
    )


def serve(settings: Settings, on_listening: Callable[[], None]) -> None:
    """Listen until stopped, in as many processes as the settings say."""
    with database(settings) as url:
        try:
            if settings.workers == 1:
                listen(_build(settings, url), _listening(settings), on_listening)
            else:
                on_listening()
                supervise(partial(_work, settings, url), settings.workers)
        except OSError as error:
            raise StartFault(f"cannot listen: {error.strerror or error}") from error


def _work(settings: Settings, url: str, _number: int) -> None:
    listen(_build(settings, url), _listening(settings))


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
    """Violated invariants, a sentence each."""
    with built.engine.connect() as connection:
        return invariants.violations(connection)
