"""Values reach the database by COPY as they are, whatever characters they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mpi.store.bulk import escaped

ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@given(st.text(st.characters() | st.sampled_from(sorted(ESCAPES))))
def test_each_character_that_copy_reads_otherwise_is_escaped_and_no_other(value: str) -> None:
    assert escaped(value) == "".join(ESCAPES.get(character, character) for character in value)
