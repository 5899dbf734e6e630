"""Stored content, the documents kept in it, and the imaging studies that manifests among them describe."""

from alembic import op

revision = "xds_content_0001"
down_revision = "xds_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the repository."""
    op.execute(
        """
        CREATE TABLE content (
            sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
            sha1 bytea NOT NULL CHECK (octet_length(sha1) = 20),
            size bigint NOT NULL CHECK (size >= 0),
            stored_at timestamptz NOT NULL
        );

        CREATE TABLE repository_document (
            unique_id text PRIMARY KEY,
            repository_unique_id text NOT NULL,
            sha256 bytea NOT NULL REFERENCES content,
            mime_type text NOT NULL,
            provided_by text,
            stored_at timestamptz NOT NULL
        );
        COMMENT ON COLUMN repository_document.provided_by IS 'domain code of the site; null: the region itself';
        CREATE INDEX repository_document_sha256 ON repository_document (sha256);

        CREATE TABLE imaging_study (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            document_unique_id text NOT NULL REFERENCES repository_document ON DELETE CASCADE,
            study_uid text NOT NULL,
            manifest_created_at timestamptz NOT NULL,
            started_at timestamptz,
            study_date date,
            study_time time,
            description text,
            modalities text[] NOT NULL,
            regions jsonb NOT NULL,
            accessions jsonb NOT NULL,
            accession_numbers text[] NOT NULL,
            patient_ids jsonb NOT NULL,
            retrieve_url text,
            retrieve_location_uid text,
            retrieve_ae_title text,
            series_count integer NOT NULL,
            instance_count integer NOT NULL,
            UNIQUE (document_unique_id, study_uid)
        );
        CREATE INDEX imaging_study_uid ON imaging_study (study_uid);
        CREATE INDEX imaging_study_accession ON imaging_study USING gin (accession_numbers);

        CREATE TABLE imaging_series (
            study_id bigint NOT NULL REFERENCES imaging_study ON DELETE CASCADE,
            position integer NOT NULL,
            series_uid text NOT NULL,
            modality text,
            description text,
            region jsonb,
            retrieve_url text,
            retrieve_location_uid text,
            retrieve_ae_title text,
            sop_class_uids text[] NOT NULL,
            sop_instance_uids text[] NOT NULL,
            PRIMARY KEY (study_id, position)
        );
        COMMENT ON COLUMN imaging_series.sop_class_uids IS 'one class for all instances, or one for each';
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE imaging_series, imaging_study, repository_document, content")
