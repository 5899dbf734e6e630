"""The search names of a record in its own row, beside the table of names (:mod:`mpi.store.names`).

Nobody waits for it: names stay looked up in their table until housekeeping has filled the column, part after part.

The version before writes ``record_name`` alone. It deletes the names of a record before it writes others: then the row
says no more that it knows them, and they are looked up in their table until this version writes them.
"""

from alembic import op

revision = "mpi_0303"
down_revision = "mpi_0302"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and let go of names that are deleted."""
    op.execute(
        """
        ALTER TABLE record ADD COLUMN search_names text COLLATE "C";
        CREATE INDEX record_without_search_names ON record (id) WHERE search_names IS NULL;

        CREATE FUNCTION forget_search_names() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE record SET search_names = NULL WHERE id IN (SELECT record_id FROM deleted);
                RETURN NULL;
            END
        $$;
        CREATE TRIGGER record_name_deleted AFTER DELETE ON record_name REFERENCING OLD TABLE AS deleted
            FOR EACH STATEMENT EXECUTE FUNCTION forget_search_names();
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        """
        DROP TRIGGER record_name_deleted ON record_name;
        DROP FUNCTION forget_search_names();
        ALTER TABLE record DROP COLUMN search_names;
        """
    )
