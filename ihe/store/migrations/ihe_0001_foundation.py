"""Audit trail, outbox and received messages."""

from alembic import op

revision = "ihe_0001"
down_revision = None
branch_labels = ("ihe",)
depends_on = None


def upgrade() -> None:
    """Create the tables that every transaction writes."""
    op.execute(
        """
        CREATE TABLE audit_event (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL,
            transaction text NOT NULL,
            event_code text NOT NULL,
            event_action text NOT NULL,
            outcome smallint NOT NULL,
            node text NOT NULL,
            site text,
            user_id text,
            purpose text NOT NULL,
            correlation_id text NOT NULL,
            objects jsonb NOT NULL,
            reason text
        );
        CREATE INDEX audit_event_at ON audit_event USING brin (at);

        CREATE TABLE outbox_event (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL,
            kind text NOT NULL,
            subject text NOT NULL,
            payload jsonb NOT NULL,
            distributed boolean NOT NULL DEFAULT false
        );
        CREATE INDEX outbox_event_waiting ON outbox_event (id) WHERE NOT distributed;

        CREATE TABLE outbox_delivery (
            event_id bigint NOT NULL REFERENCES outbox_event,
            subscriber text NOT NULL,
            subject text NOT NULL,
            state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
            attempts integer NOT NULL DEFAULT 0,
            next_attempt_at timestamptz NOT NULL,
            delivered_at timestamptz,
            last_error text,
            PRIMARY KEY (subscriber, event_id)
        );
        CREATE INDEX outbox_delivery_waiting ON outbox_delivery (subscriber, subject, event_id)
            WHERE state = 'waiting';
        CREATE INDEX outbox_delivery_dead ON outbox_delivery (subscriber, event_id) WHERE state = 'dead';

        CREATE TABLE received_message (
            sender text NOT NULL,
            control_id text NOT NULL,
            content_hash bytea NOT NULL,
            received_at timestamptz NOT NULL,
            answer bytea NOT NULL,
            PRIMARY KEY (sender, control_id, content_hash)
        );
        CREATE INDEX received_message_at ON received_message USING brin (received_at);
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE received_message, outbox_delivery, outbox_event, audit_event")
