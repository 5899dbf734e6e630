"""Check cheaply that sealing leaves an event as it is: by comparing rows, instead of making JSON of both."""

from alembic import op

revision = "ihe_0102"
down_revision = "ihe_0101"
branch_labels = None
depends_on = None

_STAYS = """
    CREATE OR REPLACE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {seals}
        IF TG_OP = 'DELETE' AND current_setting('traitdunion.audit_retention', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit events are not changed' USING ERRCODE = 'insufficient_privilege';
    END
    $$;
    """


def upgrade() -> None:
    """Compare rows, byte by byte."""
    op.execute(
        _STAYS.format(
            seals="""
        IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND NEW.position IS NOT NULL THEN
            OLD.position := NEW.position;
            OLD.digest := NEW.digest;
            IF OLD *= NEW THEN
                RETURN NEW;
            END IF;
        END IF;"""
        )
    )


def downgrade() -> None:
    """Compare them as JSON."""
    op.execute(
        _STAYS.format(
            seals="""
        IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND NEW.position IS NOT NULL
            AND (to_jsonb(NEW) - ARRAY['position', 'digest']) = (to_jsonb(OLD) - ARRAY['position', 'digest']) THEN
            RETURN NEW;
        END IF;"""
        )
    )
