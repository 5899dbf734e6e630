"""What patients want of the sharing of their data, and which identities are shown to nobody."""

from alembic import op

revision = "mpi_0301"
down_revision = "mpi_0204"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of statements; let each record say whether its patient opposes."""
    op.execute(
        """
        CREATE TABLE consent (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            patient_id text NOT NULL,
            subject text NOT NULL CHECK (subject IN ('indexing', 'feeding', 'consultation', 'professional')),
            professional text NOT NULL DEFAULT '',
            stance text NOT NULL CHECK (stance IN ('agrees', 'opposes', 'unknown')),
            since timestamptz NOT NULL,
            is_dated boolean NOT NULL,
            how text NOT NULL CHECK (how IN ('feed', 'steward', 'fhir', 'command')),
            stated_at timestamptz NOT NULL,
            stated_by text NOT NULL,
            stated_for text,
            ended_at timestamptz,
            ended_by text,
            CHECK ((subject = 'professional') = (professional <> ''))
        );
        CREATE UNIQUE INDEX consent_in_force ON consent (patient_id, subject, professional) WHERE ended_at IS NULL;
        CREATE INDEX consent_patient ON consent (patient_id, id);

        ALTER TABLE record ADD COLUMN opposes_indexing boolean NOT NULL DEFAULT false;

        -- What the registry kept until now is taken over; its table stays for the version before.
        DO $$ BEGIN
            IF to_regclass('opposition') IS NOT NULL THEN
                INSERT INTO consent (patient_id, subject, stance, since, is_dated, how, stated_at, stated_by, ended_at,
                    ended_by)
                SELECT patient_id, 'consultation', 'opposes', stated_at, true, 'command', stated_at, stated_by,
                    withdrawn_at, withdrawn_by FROM opposition;
            END IF;
        END $$;
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        """
        ALTER TABLE record DROP COLUMN opposes_indexing;
        DROP TABLE consent;
        """
    )
