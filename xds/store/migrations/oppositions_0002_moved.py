"""Oppositions are consents of the index now: what was stated is taken over, the table stays until the next version."""

from alembic import op

revision = "xds_oppositions_0002"
down_revision = "xds_published_0002"
branch_labels = None
depends_on = "mpi_0301"


def upgrade() -> None:
    """Copy them."""
    op.execute(
        """
        INSERT INTO consent
            (patient_id, subject, stance, since, is_dated, how, stated_at, stated_by, ended_at, ended_by)
        SELECT patient_id, 'consultation', 'opposes', stated_at, true, 'command', stated_at, stated_by, withdrawn_at,
            withdrawn_by FROM opposition
        """
    )


def downgrade() -> None:
    """Nothing: the former table still holds them."""
