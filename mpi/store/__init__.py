"""PostgreSQL behind the index: the only place of the package that knows SQL."""
