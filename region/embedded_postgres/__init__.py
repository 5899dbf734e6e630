"""PostgreSQL without an installation: the server program of a wheel over a data folder of ours (ADR 0002).

with EmbeddedPostgres(Path(".traitdunion/postgres")) as server:
    engine = create_engine(server.url(server.ensure_database("traitdunion")))
"""

from __future__ import annotations

from region.embedded_postgres.binaries import EmbeddedPostgresError
from region.embedded_postgres.server import EmbeddedPostgres, ServerStatus

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "ServerStatus"]
