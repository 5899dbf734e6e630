"""How the names of records sound, beside the names: parts f (family) and g (given).

A table of its own, so that the version before goes on writing names meanwhile. What it writes then is found by its
sound after its next change.
"""

from alembic import op
from sqlalchemy import text

from mpi.domain.phonetics_fr import sound

revision = "mpi_0204"
down_revision = "mpi_0203"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and fill it from the names that are there."""
    op.execute(
        """
        CREATE TABLE record_sound (
            part char(1) NOT NULL CHECK (part IN ('f', 'g')),
            sound text COLLATE "C" NOT NULL,
            record_id bigint NOT NULL,
            PRIMARY KEY (part, sound, record_id)
        );
        CREATE INDEX record_sound_record ON record_sound (record_id);
        """
    )
    connection = op.get_bind()
    names = connection.execute(text("SELECT DISTINCT name FROM record_name")).scalars().all()
    if not names:
        return
    op.execute('CREATE TEMP TABLE name_sound (name text COLLATE "C", sound text) ON COMMIT DROP')
    connection.execute(
        text("INSERT INTO name_sound SELECT * FROM unnest(CAST(:names AS text[]), CAST(:sounds AS text[]))"),
        {"names": list(names), "sounds": [sound(name) for name in names]},
    )
    op.execute(
        "INSERT INTO record_sound (part, sound, record_id) SELECT DISTINCT lower(n.part), s.sound, n.record_id"
        " FROM record_name n JOIN name_sound s ON s.name = n.name"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE record_sound")
