"""What an archive's list says of a study, not only the count of its instances, which a corrected patient leaves."""

from alembic import op

revision = "xds_published_0003"
down_revision = "xds_published_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Studies registered before are compared with their manifests once, and left as they are where nothing differs."""
    op.execute(
        """
        ALTER TABLE published_study ADD COLUMN listed text NOT NULL DEFAULT '', ADD COLUMN published_listed text;
        ALTER TABLE published_study DROP COLUMN published_instances
        """
    )


def downgrade() -> None:
    """Back to the count."""
    op.execute(
        """
        ALTER TABLE published_study ADD COLUMN published_instances integer;
        UPDATE published_study SET published_instances = instances WHERE listed = published_listed;
        ALTER TABLE published_study DROP COLUMN listed, DROP COLUMN published_listed
        """
    )
