"""What was read in the name of an emergency, and what the regional officer says of it."""

from alembic import op

revision = "ihe_0004"
down_revision = "ihe_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; let the sealed trail be searched by patient, so that writing it costs nothing."""
    op.execute(
        """
        CREATE TABLE emergency_access (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            day date NOT NULL,
            purpose text NOT NULL,
            node text NOT NULL,
            site text NOT NULL,
            user_id text NOT NULL,
            patient text NOT NULL,
            reason text NOT NULL,
            first_at timestamptz NOT NULL,
            last_at timestamptz NOT NULL,
            requests integer NOT NULL,
            verdict text CHECK (verdict IN ('justified', 'unjustified')),
            comment text,
            reviewed_at timestamptz,
            reviewed_by text,
            CHECK ((verdict IS NULL) = (reviewed_at IS NULL))
        );
        CREATE UNIQUE INDEX emergency_access_once
            ON emergency_access (day, purpose, user_id, site, patient, md5(reason));
        CREATE INDEX emergency_access_waiting ON emergency_access (id) WHERE verdict IS NULL;
        CREATE INDEX IF NOT EXISTS audit_event_patients ON audit_event USING gin (objects jsonb_path_ops)
            WHERE position IS NOT NULL;
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX audit_event_patients; DROP TABLE emergency_access")
