"""Finds the merge that subsumed a record."""

from alembic import op

revision = "mpi_0205"
down_revision = "mpi_0204"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.execute(
        "CREATE INDEX identity_event_subsumed ON identity_event (((payload->>'subsumed')::bigint))"
        " WHERE kind = 'record.merged'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX identity_event_subsumed")
