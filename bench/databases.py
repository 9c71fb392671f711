"""Fresh migrated databases that sync to disk, as production does."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from store.database import migrate
from tests.databases import NoPostgresError, RunFolder, start_postgres

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
KINDS = (SQLITE, POSTGRESQL)


@contextlib.contextmanager
def fresh(kind: str) -> Iterator[str]:
    """The URL of an empty migrated database. Raises NoPostgresError where no server can be brought up."""
    if kind == SQLITE:
        with tempfile.TemporaryDirectory(prefix="fullsteam-bench-") as folder:
            url = f"sqlite:///{folder}/bench.db"
            migrate(url)
            yield url
        return
    run = RunFolder(Path(tempfile.gettempdir()))
    try:
        server = start_postgres(run.path)
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            # The tests' server does without: their data can be made again.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = on".encode())
            connection.execute("SELECT pg_reload_conf()")
        url = server.create("bench")
        migrate(url)
        yield url
    finally:
        run.remove()


def available(kind: str) -> str | None:
    """Why there is no database of that kind on this machine; None when there is."""
    try:
        with fresh(kind):
            return None
    except NoPostgresError as error:
        return str(error)
