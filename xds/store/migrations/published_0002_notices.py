"""What an operator should know of manifests."""

from alembic import op

revision = "xds_published_0002"
down_revision = "xds_published_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and let the studies that wait be found."""
    op.execute(
        """
        CREATE TABLE imaging_notice (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL,
            site text,
            document_unique_id text NOT NULL REFERENCES repository_document (unique_id) ON DELETE CASCADE,
            problem text NOT NULL,
            UNIQUE (document_unique_id, problem)
        );
        CREATE INDEX imaging_notice_at ON imaging_notice (at);
        CREATE INDEX published_study_waiting ON published_study (site, since) WHERE waits_for IS NOT NULL
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX published_study_waiting; DROP TABLE imaging_notice")
