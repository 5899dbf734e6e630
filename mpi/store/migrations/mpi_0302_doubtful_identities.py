"""Ask about identities that their sites doubt; find what renamed, merged or withdrew a record."""

from alembic import op

revision = "mpi_0302"
down_revision = "mpi_0301"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Open the tasks of what is known already, and add the indexes: only rare kinds of event stand in them."""
    op.execute(
        """
        INSERT INTO task
            (kind, state, record_a, record_b, domain_a, domain_b, risk, details, opened_event_id, opened_at)
        SELECT 'doubtful-identity', 'open', r.id, r.id, r.domain, r.domain, 0.5, '{}', v.event_id, v.valid_from
        FROM record r JOIN record_version v ON (v.record_id, v.version) = (r.id, r.version)
        WHERE r.state = 'active' AND r.traits->'identity_attributes' ? 'DOUT'
        ON CONFLICT (kind, record_a, record_b) WHERE state = 'open' DO NOTHING;
        CREATE INDEX identity_event_record ON identity_event (CAST(payload->>'record_id' AS bigint))
            WHERE kind IN ('record.renamed', 'record.renamed.undone', 'record.withdrawn');
        CREATE INDEX identity_event_survivor ON identity_event (CAST(payload->>'survivor' AS bigint))
            WHERE kind IN ('record.merged', 'record.merged.undone');
        CREATE INDEX identity_event_subsumed ON identity_event (CAST(payload->>'subsumed' AS bigint))
            WHERE kind IN ('record.merged', 'record.merged.undone');
        CREATE INDEX identity_event_model ON identity_event (id) WHERE kind = 'model.activated';
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        """
        DROP INDEX identity_event_record, identity_event_survivor, identity_event_subsumed,
            identity_event_model;
        DELETE FROM task_desk WHERE task_id IN (SELECT id FROM task WHERE kind = 'doubtful-identity');
        DELETE FROM task_vote WHERE task_id IN (SELECT id FROM task WHERE kind = 'doubtful-identity');
        DELETE FROM task_comment WHERE task_id IN (SELECT id FROM task WHERE kind = 'doubtful-identity');
        DELETE FROM task WHERE kind = 'doubtful-identity';
        """
    )
