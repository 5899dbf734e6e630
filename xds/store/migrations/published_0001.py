"""Studies of archives that the publisher watches."""

from alembic import op

revision = "xds_published_0001"
down_revision = "xds_fed_patients_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE published_study (
            site text NOT NULL,
            study_uid text NOT NULL,
            instances integer NOT NULL,
            since timestamptz NOT NULL,
            published_instances integer,
            document_unique_id text,
            waits_for text,
            PRIMARY KEY (site, study_uid)
        )
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE published_study")
