"""What a manifest's header calls the patient, for viewers that show it beside their own."""

from alembic import op

revision = "xds_imaging_0001"
down_revision = "xds_content_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add name, birth date and sex as the archive wrote them."""
    op.execute(
        """
        ALTER TABLE imaging_study
            ADD COLUMN patient_name text,
            ADD COLUMN patient_birth_date date,
            ADD COLUMN patient_sex text
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        "ALTER TABLE imaging_study DROP COLUMN patient_name, DROP COLUMN patient_birth_date, DROP COLUMN patient_sex"
    )
