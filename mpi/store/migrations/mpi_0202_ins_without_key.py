"""Index the INS as it is asked for: by its first 13 characters, since the key behind them is optional."""

from alembic import op

revision = "mpi_0202"
down_revision = "mpi_0201"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index over the whole INS, which no question could use."""
    op.execute(
        "DROP INDEX record_ins; CREATE INDEX record_ins ON record (left(ins, 13), ins_oid) WHERE ins IS NOT NULL"
    )


def downgrade() -> None:
    """Bring the former index back."""
    op.execute("DROP INDEX record_ins; CREATE INDEX record_ins ON record (ins, ins_oid) WHERE ins IS NOT NULL")
