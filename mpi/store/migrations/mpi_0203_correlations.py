"""Identifiers by which other communities know our patients."""

from alembic import op

revision = "mpi_0203"
down_revision = "mpi_0202"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE correlation (
            record_id bigint NOT NULL REFERENCES record (id) ON DELETE CASCADE,
            home text NOT NULL,
            authority text NOT NULL,
            value text NOT NULL,
            found_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (record_id, home)
        );
        CREATE INDEX correlation_expires_at ON correlation (expires_at);
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE correlation")
