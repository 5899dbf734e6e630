"""Find what is due, and what can be deleted, without reading what was delivered."""

from alembic import op

revision = "ihe_0002"
down_revision = "ihe_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.execute(
        """
        CREATE INDEX outbox_delivery_due ON outbox_delivery (subscriber, event_id) WHERE state = 'waiting';
        CREATE INDEX outbox_delivery_event ON outbox_delivery (event_id);
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX outbox_delivery_due, outbox_delivery_event")
