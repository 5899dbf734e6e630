"""Patients as another index feeds them to the registry."""

from alembic import op

revision = "xds_fed_patients_0001"
down_revision = "xds_oppositions_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        """
        CREATE TABLE fed_patient (
            patient_id text PRIMARY KEY,
            fed_at timestamptz NOT NULL,
            merged_into text REFERENCES fed_patient,
            merged_at timestamptz
        );
        CREATE INDEX fed_patient_merged ON fed_patient (merged_into) WHERE merged_into IS NOT NULL;

        CREATE TABLE fed_link (
            local_id text PRIMARY KEY,
            patient_id text NOT NULL REFERENCES fed_patient,
            told_at timestamptz NOT NULL
        );
        CREATE INDEX fed_link_patient ON fed_link (patient_id)
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE fed_link; DROP TABLE fed_patient")
