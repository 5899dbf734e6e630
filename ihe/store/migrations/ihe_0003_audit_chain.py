"""Chain the audit trail: each event's digest covers the one before it; what is written stays as it is."""

from alembic import op

revision = "ihe_0003"
down_revision = "ihe_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add position and digest, the head of the chain, its daily anchors, and how far each collector was served."""
    op.execute(
        """
        ALTER TABLE audit_event ADD COLUMN position bigint, ADD COLUMN digest bytea;
        CREATE UNIQUE INDEX audit_event_position ON audit_event (position) WHERE position IS NOT NULL;
        CREATE INDEX audit_event_unsealed ON audit_event (id) WHERE position IS NULL;

        CREATE TABLE audit_head (
            is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
            position bigint NOT NULL,
            digest bytea NOT NULL,
            kept_after_position bigint NOT NULL,
            kept_after_digest bytea NOT NULL
        );

        CREATE TABLE audit_anchor (
            day date PRIMARY KEY,
            position bigint NOT NULL,
            digest bytea NOT NULL
        );

        CREATE TABLE audit_collector (
            name text PRIMARY KEY,
            position bigint NOT NULL,
            previous_position bigint NOT NULL
        );

        CREATE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND NEW.position IS NOT NULL
                AND (to_jsonb(NEW) - ARRAY['position', 'digest']) = (to_jsonb(OLD) - ARRAY['position', 'digest']) THEN
                RETURN NEW;
            END IF;
            IF TG_OP = 'DELETE' AND current_setting('traitdunion.audit_retention', true) = 'on' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'audit events are not changed' USING ERRCODE = 'insufficient_privilege';
        END
        $$;
        CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON audit_event
            FOR EACH ROW EXECUTE FUNCTION audit_event_stays();
        """
    )


def downgrade() -> None:
    """Remove the chain; the events stay."""
    op.execute(
        """
        DROP TRIGGER audit_event_stays ON audit_event;
        DROP FUNCTION audit_event_stays();
        DROP TABLE audit_head, audit_anchor, audit_collector;
        ALTER TABLE audit_event DROP COLUMN position, DROP COLUMN digest;
        """
    )
