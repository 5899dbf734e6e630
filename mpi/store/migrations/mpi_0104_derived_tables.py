"""Derived tables without references: blocking keys, search names and scored pairs are made from records.

A reference costs a look-up and a lock on the record for each row, ten to twenty of them for each record; records are
never deleted, and :mod:`mpi.store.invariants` asks whether each row has its record.
"""

from alembic import op

revision = "mpi_0104"
down_revision = "mpi_0103"
branch_labels = None
depends_on = None

_REFERENCES = (
    ("blocking_key", "record_id"),
    ("record_name", "record_id"),
    ("scored_pair", "record_a"),
    ("scored_pair", "record_b"),
)


def upgrade() -> None:
    """Drop the references."""
    for table, column in _REFERENCES:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey")


def downgrade() -> None:
    """Put them back."""
    for table, column in _REFERENCES:
        op.execute(f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES record")
