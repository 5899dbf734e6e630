"""Subscriptions to documents."""

from alembic import op

revision = "xds_subscriptions_0001"
down_revision = "xds_imaging_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE document_subscription (
            id uuid PRIMARY KEY,
            owner jsonb NOT NULL,
            version integer NOT NULL,
            manager text NOT NULL,
            channel text NOT NULL CHECK (channel IN ('wsn', 'rest-hook')),
            topic text NOT NULL,
            endpoint text NOT NULL,
            criteria text NOT NULL,
            ends_at timestamptz,
            payload text NOT NULL,
            headers text[] NOT NULL,
            is_active boolean NOT NULL,
            resource jsonb NOT NULL,
            updated_at timestamptz NOT NULL
        )
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE document_subscription")
