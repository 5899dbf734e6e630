"""The database folds text as the search does, so that a criterion and a trait meet."""

from __future__ import annotations

import string

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from mpi.domain.search import fold

LATIN = st.text(string.ascii_letters + string.digits + "àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊËÎÏÔÙÛŒÆßñÑøØłŁ '-.,/_", max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(LATIN, min_size=1, max_size=20))
@example(texts=["Saint-Étienne", "L'HORME", "12, rue de l’Œuvre", "ẞ", "  ", "Le--Bœuf"])
def test_the_database_folds_as_the_search_does(module_database_url, texts):
    engine = create_engine(module_database_url)
    with engine.connect() as connection:
        statement = text(
            "SELECT fold_text(t) FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS u(t, n) ORDER BY n"
        )
        folded = connection.execute(statement, {"texts": texts}).scalars().all()
    engine.dispose()
    assert folded == [fold(each) for each in texts]
