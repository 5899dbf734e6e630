"""What an archive's list says of a study, not only the count of its instances, which a corrected patient leaves."""

from alembic import op

revision = "xds_published_0003"
down_revision = "xds_published_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Studies registered before are compared with their manifests once, and left as they are where nothing differs.

    ``published_instances`` is not read any more; it stays for the version before, which may still be serving.
    """
    op.execute(
        "ALTER TABLE published_study ADD COLUMN listed text NOT NULL DEFAULT '', ADD COLUMN published_listed text"
    )


def downgrade() -> None:
    """Back to the count."""
    op.execute("ALTER TABLE published_study DROP COLUMN listed, DROP COLUMN published_listed")
