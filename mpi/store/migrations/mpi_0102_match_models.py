"""Match models that were put in force, and which one is."""

from alembic import op

revision = "mpi_0102"
down_revision = "mpi_0101"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE match_model (
            version text PRIMARY KEY,
            content jsonb NOT NULL,
            note text NOT NULL,
            created_at timestamptz NOT NULL,
            activated_at timestamptz,
            activated_by text,
            active boolean NOT NULL DEFAULT false
        );
        CREATE UNIQUE INDEX match_model_active ON match_model (active) WHERE active;
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE match_model")
