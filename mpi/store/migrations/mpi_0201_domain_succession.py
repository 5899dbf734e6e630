"""Domains that were taken over by others."""

from alembic import op

revision = "mpi_0201"
down_revision = "mpi_0104"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE domain_succession (
            event_id bigint PRIMARY KEY REFERENCES identity_event (id),
            domain text NOT NULL,
            successor text NOT NULL CHECK (successor <> domain),
            effective_at timestamptz NOT NULL,
            revoked_by bigint REFERENCES identity_event (id)
        );
        CREATE UNIQUE INDEX domain_succession_current ON domain_succession (domain) WHERE revoked_by IS NULL;
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE domain_succession")
