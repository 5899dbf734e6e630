"""What each consumer was last told of a patient's identifiers."""

from alembic import op

revision = "mpi_0002"
down_revision = "mpi_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE notified_reference (
            subscriber text NOT NULL,
            record_id bigint NOT NULL REFERENCES record,
            identifiers text[] NOT NULL,
            notified_at timestamptz NOT NULL,
            PRIMARY KEY (subscriber, record_id)
        );
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE notified_reference")
