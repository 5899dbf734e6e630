"""What was fed before names were kept by their sound is found by it after the migration."""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, text

from mpi.store.migrations import mpi_0204_name_sounds as revision


def test_names_that_are_there_get_their_sounds(database_url):
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE record_sound"))
        connection.execute(
            text("INSERT INTO record_name VALUES ('F', 'DUPONT', 1), ('F', 'DUPOND', 2), ('G', 'JEAN', 1)")
        )
        with Operations.context(MigrationContext.configure(connection)):
            revision.upgrade()
        found = connection.execute(text("SELECT part, sound, record_id FROM record_sound ORDER BY record_id, part"))
        (first, given, second) = found.all()
    engine.dispose()
    assert (first.part, first.record_id, given.part, second.record_id) == ("f", 1, "g", 2)
    assert first.sound == second.sound != given.sound
