"""Two publishers never register one study: whoever holds it goes on, the other leaves it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import create_engine

from xds.store import published

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_study_is_held_by_one_and_only_as_it_was_seen(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        published.saw(connection, "ICL", "1.2.3", 5, "a", NOW)
    with engine.connect() as one, engine.connect() as other:
        seen = published.of_site(one, "ICL")["1.2.3"]
        assert published.hold(one, "ICL", seen)
        assert not published.hold(other, "ICL", seen)
        published.registered(one, "ICL", "1.2.3", "a", "1.9")
        one.commit()
        other.rollback()
        assert not published.hold(other, "ICL", seen), "it was registered meanwhile"
        assert published.hold(other, "ICL", published.of_site(other, "ICL")["1.2.3"])
    engine.dispose()
