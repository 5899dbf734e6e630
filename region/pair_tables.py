"""Where Splink works: pairs as rows of DuckDB, in this process, or of Spark, on this machine or a cluster.

Each pair becomes two rows that share a number and the levels of every field; how often a pattern of levels occurs is
unfolded there, so that little is sent.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
PairTables = Callable[[Ints, tuple[str, ...]], AbstractContextManager[Any]]
"""Registers pairs with Splink: a row for each pattern, last how many pairs have it; and the names of the others."""
LOCAL = "local[*]"
"""Spark on every core of this machine."""
_JAVA = "java"


def has_java() -> bool:
    """Whether Spark finds a Java."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(_JAVA, path=os.path.join(home, "bin") if home else None) is not None  # noqa: PTH118


@contextmanager
def on_duckdb(pairs: Ints, names_of: tuple[str, ...]) -> Iterator[Any]:
    """In this process."""
    import duckdb  # noqa: PLC0415 - only training needs it
    from splink import DuckDBAPI  # noqa: PLC0415

    connection = duckdb.connect()
    try:
        columns = {name: pairs[:, column] for column, name in enumerate((*names_of, "pairs"))}
        names = ", ".join(names_of)
        connection.register("pattern", columns)
        connection.execute(
            f"CREATE TABLE pair AS SELECT {names}, row_number() OVER () AS pair"  # noqa: S608 - our own names
            " FROM (SELECT *, unnest(range(pairs)) FROM pattern)"
        )
        connection.execute(
            f"CREATE TABLE ends AS SELECT pair * 2 + side AS unique_id, pair, {names}"  # noqa: S608
            " FROM pair, (VALUES (0), (1)) AS sides(side)"
        )
        api = DuckDBAPI(connection=connection)
        yield api.register("ends")
    finally:
        connection.close()


def on_spark(master: str = LOCAL) -> PairTables:
    """In a Spark session of its own, which ends with the work.

    Args:
        master: URL of the cluster.
    """
    return partial(_on_spark, master)


@contextmanager
def _on_spark(master: str, pairs: Ints, names_of: tuple[str, ...]) -> Iterator[Any]:
    from splink import SparkAPI  # noqa: PLC0415 - only training needs it

    with tempfile.TemporaryDirectory() as folder, _session(master, folder) as session:
        first = np.cumsum(pairs[:, -1]) - pairs[:, -1]
        rows = np.column_stack([pairs, first]).tolist()
        pattern = session.createDataFrame(rows, [*names_of, "pair_count", "pair_first"])
        pattern.createOrReplaceTempView("pattern")
        names = ", ".join(names_of)
        ends = session.sql(
            f"SELECT (pair_first + pair_place) * 2 + side AS unique_id, pair_first + pair_place AS pair, {names}"  # noqa: S608 - our names
            " FROM pattern LATERAL VIEW posexplode(sequence(1, pair_count)) AS pair_place, pair_number"
            " LATERAL VIEW explode(array(0, 1)) AS side"
        ).persist()
        make: Any = SparkAPI  # it is not annotated
        api = make(spark_session=session, break_lineage_method="persist", register_udfs_automatically=False)
        yield api.register(ends)


@contextmanager
def _session(master: str, folder: str) -> Iterator[Any]:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - half a gigabyte, and only this engine needs it

    wanted = SparkSession.builder.master(master).appName("traitdunion train")
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.warehouse.dir": folder}
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    for name, value in settings.items():
        wanted = wanted.config(name, value)
    session = wanted.getOrCreate()
    try:
        session.sparkContext.setLogLevel("ERROR")
        if master.startswith("local"):
            # The default is made for clusters: hundreds of parts of a few rows each.
            session.conf.set("spark.sql.shuffle.partitions", session.sparkContext.defaultParallelism)
        yield session
    finally:
        session.stop()
