"""Sessions of the workbench."""

from alembic import op

revision = "web_0001"
down_revision = None
branch_labels = ("web",)
depends_on = "ihe_0001"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE web_session (
            token_hash bytea PRIMARY KEY,
            content jsonb NOT NULL,
            begun_at timestamptz NOT NULL,
            seen_at timestamptz NOT NULL
        );
        CREATE INDEX web_session_seen ON web_session (seen_at);
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE web_session")
