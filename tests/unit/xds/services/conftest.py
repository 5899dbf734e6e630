"""A repository over a real database, for the tests of its services."""

from tests.xds_repository import house, make

__all__ = ["house", "make"]
