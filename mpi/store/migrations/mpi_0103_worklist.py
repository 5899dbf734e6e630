"""What stewards keep about tasks: desks, votes, comments, saved views; sampled reviews and daily measures."""

from alembic import op

revision = "mpi_0103"
down_revision = "mpi_0102"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns to tasks, and the tables."""
    op.execute(
        """
        ALTER TABLE task
            ADD COLUMN domain_a text,
            ADD COLUMN domain_b text,
            ADD COLUMN risk double precision NOT NULL DEFAULT 0.5,
            ADD COLUMN stage text NOT NULL DEFAULT 'new';
        UPDATE task t SET
            domain_a = (SELECT domain FROM record WHERE id = t.record_a),
            domain_b = (SELECT domain FROM record WHERE id = t.record_b),
            risk = CASE t.kind
                WHEN 'suspected-overlay' THEN 1.0
                WHEN 'ins-conflict' THEN 0.9
                WHEN 'decision-conflict' THEN 0.7
                ELSE least(0.6, greatest(0.1, coalesce(t.weight_bits, 0) / 60)) END;
        CREATE INDEX task_open_sites ON task (domain_a, domain_b, kind) WHERE state = 'open';
        CREATE INDEX task_opened_event ON task (opened_event_id);
        CREATE INDEX task_closed_event ON task (closed_event_id) WHERE closed_event_id IS NOT NULL;
        CREATE INDEX task_pair ON task (record_a, record_b);
        CREATE INDEX decision_pair ON decision (record_a, record_b);
        CREATE INDEX decision_event ON decision (event_id);
        CREATE INDEX link_event ON link (event_id);

        CREATE TABLE task_desk (
            task_id bigint NOT NULL REFERENCES task,
            site text NOT NULL,
            assigned_to text,
            claimed_by text,
            claimed_until timestamptz,
            PRIMARY KEY (task_id, site)
        );
        CREATE INDEX task_desk_assigned ON task_desk (assigned_to) WHERE assigned_to IS NOT NULL;

        CREATE TABLE task_vote (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            task_id bigint NOT NULL REFERENCES task,
            site text NOT NULL,
            by text NOT NULL,
            at timestamptz NOT NULL,
            answer text NOT NULL CHECK (answer IN ('same', 'different', 'unknown')),
            reason text NOT NULL,
            event_id bigint NOT NULL REFERENCES identity_event,
            withdrawn_event_id bigint REFERENCES identity_event
        );
        CREATE INDEX task_vote_task ON task_vote (task_id);
        CREATE INDEX task_vote_event ON task_vote (event_id);

        CREATE TABLE task_comment (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            task_id bigint NOT NULL REFERENCES task,
            at timestamptz NOT NULL,
            by text NOT NULL,
            site text NOT NULL,
            words text NOT NULL
        );
        CREATE INDEX task_comment_task ON task_comment (task_id);

        CREATE TABLE saved_view (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            owner text NOT NULL,
            name text NOT NULL,
            query text NOT NULL,
            UNIQUE (owner, name)
        );

        CREATE TABLE link_review (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            record_a bigint NOT NULL REFERENCES record,
            record_b bigint NOT NULL REFERENCES record,
            grade text NOT NULL,
            weight_bits double precision NOT NULL,
            sampled_at timestamptz NOT NULL,
            domain_a text NOT NULL,
            domain_b text NOT NULL,
            answer text CHECK (answer IN ('same', 'different', 'unknown')),
            answered_by text,
            answered_at timestamptz,
            UNIQUE (record_a, record_b),
            CHECK (record_a < record_b)
        );
        CREATE INDEX link_review_waiting ON link_review (sampled_at) WHERE answer IS NULL;

        CREATE TABLE quality_measure (
            day date NOT NULL,
            domain text NOT NULL,
            measure text NOT NULL,
            value double precision NOT NULL,
            PRIMARY KEY (day, domain, measure)
        );
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        """
        DROP TABLE quality_measure, link_review, saved_view, task_comment, task_vote, task_desk;
        DROP INDEX task_open_sites, task_opened_event, task_closed_event, task_pair, decision_pair, decision_event,
            link_event;
        ALTER TABLE task DROP COLUMN domain_a, DROP COLUMN domain_b, DROP COLUMN risk, DROP COLUMN stage;
        """
    )
