"""Document entries, submission sets, folders, associations, and the history of their status."""

from alembic import op

revision = "xds_0001"
down_revision = None
branch_labels = ("xds",)
depends_on = "ihe_0001"


def upgrade() -> None:
    """Create the registry."""
    op.execute(
        """
        CREATE TABLE document_entry (
            id uuid PRIMARY KEY,
            logical_id uuid NOT NULL,
            version integer NOT NULL,
            status text NOT NULL,
            unique_id text NOT NULL,
            patient_id text NOT NULL,
            anchor text NOT NULL,
            home text,
            body bytea STORAGE MAIN NOT NULL,
            registered_at timestamptz NOT NULL,
            on_demand boolean NOT NULL,
            mime_type text NOT NULL,
            repository_unique_id text NOT NULL,
            hash text,
            size bigint,
            source_patient_id text,
            class_code text,
            type_code text,
            format_code text,
            healthcare_facility_type_code text,
            practice_setting_code text,
            confidentiality_codes text[] NOT NULL,
            event_code_list text[] NOT NULL,
            reference_id_list text[] NOT NULL,
            author_persons text[] NOT NULL,
            document_availability text,
            creation_time bigint,
            service_start_time bigint,
            service_stop_time bigint,
            UNIQUE (logical_id, version)
        );
        CREATE INDEX document_entry_anchor ON document_entry (anchor);
        CREATE INDEX document_entry_unique_id ON document_entry (unique_id);

        CREATE TABLE submission_set (
            id uuid PRIMARY KEY,
            logical_id uuid NOT NULL,
            version integer NOT NULL,
            status text NOT NULL,
            unique_id text NOT NULL,
            patient_id text NOT NULL,
            anchor text NOT NULL,
            home text,
            body bytea STORAGE MAIN NOT NULL,
            registered_at timestamptz NOT NULL,
            source_id text NOT NULL,
            submission_time bigint NOT NULL,
            content_type_code text,
            author_persons text[] NOT NULL,
            UNIQUE (logical_id, version)
        );
        CREATE INDEX submission_set_anchor ON submission_set (anchor);
        CREATE UNIQUE INDEX submission_set_unique_id ON submission_set (unique_id);

        CREATE TABLE folder (
            id uuid PRIMARY KEY,
            logical_id uuid NOT NULL,
            version integer NOT NULL,
            status text NOT NULL,
            unique_id text NOT NULL,
            patient_id text NOT NULL,
            anchor text NOT NULL,
            home text,
            body bytea STORAGE MAIN NOT NULL,
            registered_at timestamptz NOT NULL,
            codes text[] NOT NULL,
            last_update_time timestamptz NOT NULL,
            UNIQUE (logical_id, version)
        );
        CREATE INDEX folder_anchor ON folder (anchor);
        CREATE INDEX folder_unique_id ON folder (unique_id);

        CREATE TABLE association (
            id uuid PRIMARY KEY,
            type text NOT NULL,
            source uuid NOT NULL,
            target uuid NOT NULL,
            status text NOT NULL,
            body bytea STORAGE MAIN NOT NULL,
            registered_at timestamptz NOT NULL
        );
        CREATE INDEX association_source ON association (source);
        CREATE INDEX association_target ON association (target);

        CREATE TABLE status_change (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            object_id uuid NOT NULL,
            at timestamptz NOT NULL,
            status text NOT NULL,
            caller text NOT NULL
        );
        CREATE INDEX status_change_object ON status_change (object_id);

        CREATE TABLE removed_object (
            id uuid PRIMARY KEY,
            kind text NOT NULL,
            unique_id text,
            repository_unique_id text,
            removed_at timestamptz NOT NULL,
            caller text NOT NULL
        );
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE removed_object, status_change, association, folder, submission_set, document_entry")
