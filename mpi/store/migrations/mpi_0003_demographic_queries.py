"""Visits, snapshots of long answers, and what a search by address or telephone needs."""

from alembic import op

revision = "mpi_0003"
down_revision = "mpi_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    op.execute(
        r"""
        CREATE FUNCTION fold_text(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT upper(btrim(regexp_replace(regexp_replace(normalize(
                replace(replace(replace(replace(replace(translate(given, 'ØøŁł', 'OoLl'),
                    'æ', 'ae'), 'Æ', 'ae'), 'œ', 'oe'), 'Œ', 'oe'), 'ß', 'ss'),
                NFKD), '[\u0300-\u036f]', '', 'g'), '[^[:alnum:]]+', ' ', 'g')))
        $$;

        CREATE INDEX record_phone ON record (right(regexp_replace(traits->>'phone', '[^0-9]', '', 'g'), 9))
            WHERE state = 'active' AND traits ? 'phone';

        CREATE TABLE visit (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            record_id bigint NOT NULL REFERENCES record,
            number text NOT NULL,
            number_authority text NOT NULL,
            account text,
            account_authority text,
            facts jsonb NOT NULL,
            keys text[] NOT NULL,
            source_updated_at timestamptz,
            UNIQUE (record_id, number, number_authority)
        );
        CREATE INDEX visit_number ON visit (number);
        CREATE INDEX visit_account ON visit (account) WHERE account IS NOT NULL;
        CREATE INDEX visit_keys ON visit USING gin (keys);

        CREATE TABLE query_snapshot (
            pointer text PRIMARY KEY,
            owner text NOT NULL,
            tag text NOT NULL,
            kind text NOT NULL,
            ids bigint[] NOT NULL,
            expires_at timestamptz NOT NULL
        );
        CREATE INDEX query_snapshot_owner ON query_snapshot (owner, tag);
        CREATE INDEX query_snapshot_expiry ON query_snapshot (expires_at);
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE query_snapshot, visit; DROP INDEX record_phone; DROP FUNCTION fold_text(text)")
