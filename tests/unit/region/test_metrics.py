"""Figures are told whatever the database does meanwhile."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from region.metrics import Metrics

GONE = OperationalError("SELECT", {}, Exception("gone"))


def figures(url, subscribers=tuple):
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        return Metrics(engine, subscribers).render().decode()
    finally:
        engine.dispose()


def test_a_database_that_answers(database_url):
    text = figures(database_url, lambda: ["SISRA"])
    assert "traitdunion_database_answers 1.0" in text
    assert 'traitdunion_subscriber_lag_seconds{subscriber="SISRA"} 0.0' in text


def test_a_database_that_is_away():
    assert "traitdunion_database_answers 0.0" in figures("postgresql+psycopg://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize("error", [GONE, psycopg.OperationalError("gone")])
def test_a_database_that_goes_while_it_is_asked(database_url, error):
    def subscribers():
        raise error

    assert "traitdunion_database_answers 0.0" in figures(database_url, subscribers)
