"""The index of names also holds how they sound: parts f (family) and g (given)."""

from alembic import op
from sqlalchemy import text

from mpi.domain.phonetics_fr import sound

revision = "mpi_0204"
down_revision = "mpi_0203"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow the parts, and add the sounds of the names that are there."""
    op.execute("ALTER TABLE record_name DROP CONSTRAINT record_name_part_check")
    op.execute("ALTER TABLE record_name ADD CHECK (part IN ('F', 'G', 'f', 'g'))")
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
        "INSERT INTO record_name (part, name, record_id) SELECT DISTINCT lower(n.part), s.sound, n.record_id"
        " FROM record_name n JOIN name_sound s ON s.name = n.name"
    )


def downgrade() -> None:
    """Take them out."""
    op.execute("DELETE FROM record_name WHERE part IN ('f', 'g')")
    op.execute("ALTER TABLE record_name DROP CONSTRAINT record_name_part_check")
    op.execute("ALTER TABLE record_name ADD CHECK (part IN ('F', 'G'))")
