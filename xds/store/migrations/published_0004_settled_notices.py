"""Somebody takes what is odd about a manifest in hand, and says what became of it."""

from alembic import op

revision = "xds_published_0004"
down_revision = "xds_published_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        """
        ALTER TABLE imaging_notice
            ADD COLUMN taken_by text,
            ADD COLUMN settled_by text,
            ADD COLUMN settled_at timestamptz,
            ADD COLUMN words text NOT NULL DEFAULT '';
        CREATE INDEX imaging_notice_site ON imaging_notice (site) WHERE settled_at IS NULL
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        """
        DROP INDEX imaging_notice_site;
        ALTER TABLE imaging_notice DROP COLUMN taken_by, DROP COLUMN settled_by, DROP COLUMN settled_at,
            DROP COLUMN words
        """
    )
