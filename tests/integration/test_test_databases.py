"""The test set-up itself: what every other database test relies on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from tests.databases import Databases, RunFolder, find_packaged_programs, start_postgres


def _tables(url: str) -> set[str]:
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
        finally:
            connection.close()
    with psycopg.connect(url) as session:
        rows = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def test_a_migrated_database_has_the_schema(database_url: str) -> None:
    assert "alembic_version" in _tables(database_url)
    assert len(_tables(database_url)) > 5


def test_an_empty_database_has_nothing(empty_database_url: str) -> None:
    assert _tables(empty_database_url) == set()


def test_what_one_test_writes_no_other_sees(databases: Databases) -> None:
    with databases.postgres(migrated=False) as one, databases.postgres(migrated=False) as other:
        with psycopg.connect(one) as session:
            session.execute("CREATE TABLE mine (id int)")
        assert _tables(one) == {"mine"}
        assert _tables(other) == set()


def test_a_dropped_database_is_gone_though_someone_was_connected(databases: Databases) -> None:
    with databases.postgres(migrated=False) as url:
        session = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    session.close()


def test_the_packaged_server_starts_where_the_machine_has_none(tmp_path: Path) -> None:
    run_folder = RunFolder(Path("/tmp"))
    try:
        server = start_postgres(run_folder.path, find_packaged_programs())
        assert _tables(server.create("there")) == set()
    finally:
        run_folder.remove()
    assert not run_folder.path.exists()


def test_a_run_that_was_killed_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    killed = RunFolder(tmp_path)
    living = RunFolder(tmp_path)
    assert killed.path.exists()

    killed._alive.close()  # what the kernel does for a killed process
    RunFolder(tmp_path).remove()

    assert not killed.path.exists()
    assert living.path.exists()
    living.remove()
