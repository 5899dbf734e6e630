"""Patients who oppose that their documents are shared."""

from alembic import op

revision = "xds_oppositions_0001"
down_revision = "xds_subscriptions_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE opposition (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            patient_id text NOT NULL,
            stated_at timestamptz NOT NULL,
            stated_by text NOT NULL,
            withdrawn_at timestamptz,
            withdrawn_by text
        );
        CREATE UNIQUE INDEX opposition_in_force ON opposition (patient_id) WHERE withdrawn_at IS NULL
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE opposition")
