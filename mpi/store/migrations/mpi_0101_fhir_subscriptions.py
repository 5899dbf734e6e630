"""Subscriptions to patients over FHIR, and under which logical ids sources tell of theirs."""

from alembic import op

revision = "mpi_0101"
down_revision = "mpi_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        """
        CREATE TABLE fhir_subscription (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            owner text NOT NULL,
            version integer NOT NULL,
            status text NOT NULL CHECK (status IN ('active', 'off')),
            channel text NOT NULL CHECK (channel IN ('message', 'rest-hook')),
            endpoint text NOT NULL,
            payload text NOT NULL,
            headers text[] NOT NULL,
            domains text[] NOT NULL,
            local_id text,
            resource jsonb NOT NULL,
            updated_at timestamptz NOT NULL
        );

        CREATE TABLE source_patient (
            source text NOT NULL,
            logical_id text NOT NULL,
            domain text NOT NULL,
            local_id text NOT NULL,
            PRIMARY KEY (source, logical_id)
        );
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE fhir_subscription; DROP TABLE source_patient")
