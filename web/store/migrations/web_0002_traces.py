"""Find who looked at a patient in the workbench, and what was sent about a person."""

from alembic import op

revision = "web_0002"
down_revision = "web_0001"
branch_labels = None
depends_on = "ihe_0002"


def upgrade() -> None:
    """Add the indexes; of audit events only those of people, so that systems' reading costs nothing more."""
    op.execute(
        """
        CREATE INDEX audit_event_people ON audit_event USING gin (objects jsonb_path_ops) WHERE user_id IS NOT NULL;
        CREATE INDEX outbox_event_subject ON outbox_event (subject, id);
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX audit_event_people, outbox_event_subject")
