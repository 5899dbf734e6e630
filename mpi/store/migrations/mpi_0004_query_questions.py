"""What a snapshot's question was and how far it was answered, for wires whose continuation says neither."""

from alembic import op

revision = "mpi_0004"
down_revision = "mpi_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute("ALTER TABLE query_snapshot ADD COLUMN question text, ADD COLUMN delivered integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE query_snapshot DROP COLUMN question, DROP COLUMN delivered")
