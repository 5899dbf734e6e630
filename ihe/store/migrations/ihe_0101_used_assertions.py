"""Assertions that count once, and have been used."""

from alembic import op

revision = "ihe_0101"
down_revision = "ihe_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE used_assertion (
            name text PRIMARY KEY,
            until timestamptz NOT NULL,
            used_at timestamptz NOT NULL
        );
        CREATE INDEX used_assertion_until ON used_assertion (until);
        """
    )


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE used_assertion")
