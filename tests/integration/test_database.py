"""The database: units of work, group commit, locks, migration at the same time; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bot.domain.errors import Permanent
from store import jobs
from store.database import Database, UnitOfWork, migrate, normal_url, open_database
from store.tables import audit, control, job, metadata

NOW = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def database(database_url: str):
    opened = open_database(database_url)
    yield opened
    opened.close()


def put(uow: UnitOfWork, name: str) -> str:
    uow.execute(sa.insert(control).values(name=name, value={"n": name}, at=NOW))
    return name


def names(uow: UnitOfWork) -> list[str]:
    return [row.name for row in uow.rows(sa.select(control.c.name).order_by(control.c.name))]


@pytest.mark.anyio
async def test_a_write_is_there_after_it_returns(database: Database) -> None:
    assert await database.write(put, "a") == "a"
    assert await database.read(names) == ["a"]


@pytest.mark.anyio
async def test_a_unit_that_fails_leaves_nothing_and_its_neighbours_stay(database: Database) -> None:
    def half(uow: UnitOfWork) -> None:
        put(uow, "half")
        raise ValueError("stop here")

    results = await asyncio.gather(
        *[database.write(put, f"n{i:02}") for i in range(20)],
        database.write(half),
        *[database.write(put, f"m{i:02}") for i in range(20)],
        return_exceptions=True,
    )
    assert sum(isinstance(result, ValueError) for result in results) == 1
    kept = await database.read(names)
    assert len(kept) == 40
    assert "half" not in kept


def test_times_come_back_as_the_same_utc_instant(database: Database) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-5)))

    def write(uow: UnitOfWork) -> None:
        uow.execute(sa.insert(control).values(name="t", value=[1], at=there))

    database.write_now(write)
    row = database.read_now(lambda uow: uow.one(sa.select(control.c.at, control.c.value)))
    assert row is not None
    assert row[0] == NOW
    assert row[0].utcoffset() == timedelta(0)
    assert row[1] == [1]


def test_a_naive_time_never_reaches_the_database(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        uow.execute(sa.insert(control).values(name="t", value=1, at=datetime(2026, 1, 1)))

    with pytest.raises(sa.exc.StatementError, match="naive"):
        database.write_now(write)


def test_reads_cannot_write_on_sqlite(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with pytest.raises(Exception, match=r"does not answer|readonly"):
        database.read_now(put, "x")
    database.close()


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_the_audit_log_is_append_only(database: Database, verb: str) -> None:
    def add(uow: UnitOfWork) -> None:
        uow.execute(
            sa.insert(audit).values(
                at=NOW, actor="a", action="b", subject="c", detail={}, previous="", hash="h"
            )
        )

    database.write_now(add)
    change = sa.update(audit).values(actor="x") if verb == "update" else sa.delete(audit)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database.write_now(lambda uow: uow.execute(change))
    assert database.read_now(lambda uow: len(uow.rows(sa.select(audit)))) == 1


def test_many_processes_may_migrate_at_once(empty_database_url: str) -> None:
    code = "import sys; from store.database import migrate; migrate(sys.argv[1])"
    running = [subprocess.Popen([sys.executable, "-c", code, empty_database_url]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    migrate(empty_database_url)


def test_only_one_holds_a_lock_of_a_name(database: Database) -> None:
    with database.only_one("run") as first:
        other = open_database(database.url.replace("+psycopg", ""))
        with other.only_one("run") as second, other.only_one("else") as different:
            assert (first, second, different) == (True, False, True)
        other.close()


def test_a_locked_file_is_waited_for_and_said_once(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    import store.database as module

    database = open_database(sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waiting = threading.Thread(target=lambda: database.write_now(put, "later"))
    assert module.BUSY_MILLISECONDS > 0
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive(), "it waits and loses nothing"
    other.execute("COMMIT")
    waiting.join(30)
    other.close()
    assert database.read_now(names) == ["later"]
    database.close()


def test_deleted_text_leaves_no_bytes_in_the_file(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    database.write_now(put, "a-very-personal-word")
    database.write_now(lambda uow: uow.execute(sa.delete(control)))
    database.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a-very-personal-word" not in path.read_bytes()


def test_two_clocks_do_not_take_one_job_twice(database: Database) -> None:
    lease = timedelta(minutes=5)
    assert database.write_now(jobs.claim, "poll", NOW, lease)
    assert not database.write_now(jobs.claim, "poll", NOW, lease)
    assert database.write_now(jobs.claim, "poll", NOW + lease, lease), "a dead process holds nothing"
    database.write_now(jobs.settle, "poll", next_at=NOW + timedelta(hours=1), now=NOW, error="crm-away")
    row = database.read_now(jobs.get, "poll")
    assert row is not None
    assert (row.failures, row.last_error) == (1, "crm-away")
    assert database.read_now(lambda uow: len(uow.rows(sa.select(job)))) == 1


def test_a_notified_process_wakes_on_postgresql(postgres_url: str) -> None:
    database, other = open_database(postgres_url), open_database(postgres_url)
    heard = threading.Event()
    with database.listening("fullsteam_test", heard.set):
        for _ in range(200):  # LISTEN may not be in force yet: notify until it is
            other.notify("fullsteam_test")
            if heard.wait(0.05):
                break
    assert heard.is_set()
    database.close()
    other.close()


def test_a_database_without_tables_says_what_to_do(empty_database_url: str) -> None:
    with pytest.raises(Permanent, match="fullsteam migrate"):  # noqa: PT012 - SQLite refuses to open what is not there
        database = open_database(empty_database_url)
        try:
            database.read_now(names)
        finally:
            database.close()


def test_the_migrations_make_exactly_the_schema_on_the_page(database_url: str) -> None:
    engine = sa.create_engine(normal_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
