"""The database: engines, the unit of work, group commit on SQLite, migration under a lock.

    SQLite      one writer thread; units of work that wait together share one commit, each after the first in its own
                SAVEPOINT, inbox first, because Slack waits for it (docs/decisions/0002). Reads use a second,
                read-only engine.
    PostgreSQL  a pool of threads; every unit of work is a transaction of its own.

A unit of work is a synchronous function ``fn(uow, *args) -> result``. It never waits for a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

INBOX_FIRST = 0
NORMAL = 1
GROUP_UNITS = 2_000
GROUP_SECONDS = 0.05
BUSY_MILLISECONDS = 30_000
POOL_THREADS = 8
WRITE_CACHE_KIB, READ_CACHE_KIB = 32 * 1024, 8 * 1024
"""Pages that a SQLite connection keeps. A reader forgets its own whenever somebody has written since its last look
(https://sqlite.org/wal.html), so a large cache in each of them is memory for nothing; the system keeps the file anyway."""
LISTEN_SECONDS = 1.0
"""How long a listener waits before it looks whether it should stop."""


class UnitOfWork:
    """One transaction, or one SAVEPOINT of a group commit. Statements go through it; nobody commits by hand."""

    __slots__ = ("connection", "dialect")

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.dialect = connection.dialect.name

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run one statement, or many with a list of parameters."""
        return cast("sa.CursorResult[Any]", self.connection.execute(statement, parameters))

    def rows(self, statement: sa.Executable, parameters: Any = None) -> list[sa.Row[*tuple[Any, ...]]]:
        """All rows of a query."""
        return list(self.execute(statement, parameters).all())

    def one(self, statement: sa.Executable, parameters: Any = None) -> sa.Row[*tuple[Any, ...]] | None:
        """The first row of a query, or None."""
        return self.execute(statement, parameters).first()


class _Unit:
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[UnitOfWork], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()


def _locked(error: OperationalError) -> bool:
    text = str(error.orig).lower()
    return "locked" in text or "busy" in text


class _SqliteWriter:
    """The one thread that writes. Group commit: what waits together is committed together."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._queue: queue.PriorityQueue[tuple[int, int, _Unit | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._closed = False
        self._said_locked = False
        self._thread = threading.Thread(target=self._run, name="fullsteam-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[UnitOfWork], Any], first: bool) -> Future[Any]:
        if self._closed:
            raise Retryable("The database is closed.", code="database-closed")
        unit = _Unit(work)
        self._queue.put((INBOX_FIRST if first else NORMAL, next(self._order), unit))
        return unit.future

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put((NORMAL + 1, next(self._order), None))
            self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while True:
                _, _, unit = self._queue.get()
                if unit is None:
                    return
                self._group(connection, unit)

    def _begin(self, connection: sa.Connection) -> None:
        """BEGIN IMMEDIATE, waiting as long as another process holds the file. Says so once."""
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                connection.rollback()
                if not _locked(error) or self._closed:
                    raise
                if not self._said_locked:
                    self._said_locked = True
                    log.warning("database.locked", extra={"advice": "another process writes; waiting for it"})
                continue
            self._said_locked = False
            return

    def _group(self, connection: sa.Connection, first: _Unit) -> None:
        done: list[tuple[_Unit, Any]] = []
        unit: _Unit | None = first
        stop = False
        try:
            self._begin(connection)
            until = time.monotonic() + GROUP_SECONDS
            while unit is not None:
                self._one(connection, unit, done)
                unit = None
                if len(done) < GROUP_UNITS and time.monotonic() < until:
                    with contextlib.suppress(queue.Empty):
                        _, _, unit = self._queue.get_nowait()
                        stop = unit is None
            connection.exec_driver_sql("COMMIT")
            connection.rollback()  # ends SQLAlchemy's own idea of a transaction; the data is committed
        except DBAPIError as error:
            with contextlib.suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            connection.rollback()
            log.error("database.group_failed", extra={"units": len(done), "error": type(error.orig).__name__})
            failure = Retryable("The database could not keep this; nothing was written.", code="database")
            failure.__cause__ = error
            waiting = [entry[0] for entry in done] + ([unit] if unit is not None else [])
            for each in waiting:
                if not each.future.done():
                    each.future.set_exception(failure)
        else:
            for each, result in done:
                each.future.set_result(result)
        if stop:
            self._queue.put((NORMAL + 1, next(self._order), None))

    def _one(self, connection: sa.Connection, unit: _Unit, done: list[tuple[_Unit, Any]]) -> None:
        if not unit.future.set_running_or_notify_cancel():
            return
        alone = not done  # then the transaction holds nothing else, and is its SAVEPOINT
        if not alone:
            connection.exec_driver_sql("SAVEPOINT unit")
        try:
            result = unit.work(UnitOfWork(connection))
        except (
            BaseException
        ) as error:  # the unit's own failure belongs to whoever waits for it, whatever it is
            if alone:
                connection.exec_driver_sql("ROLLBACK")
                connection.rollback()
                unit.future.set_exception(error)
                self._begin(connection)
                return
            connection.exec_driver_sql("ROLLBACK TO unit")
            connection.exec_driver_sql("RELEASE unit")
            unit.future.set_exception(error)
            return
        if not alone:
            connection.exec_driver_sql("RELEASE unit")
        done.append((unit, result))


class Database:
    """Open with :func:`open_database`; close when done. Safe to use from any thread and any event loop."""

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self.url = normal_url(url)
        parsed = make_url(self.url)
        self.dialect = parsed.get_backend_name()
        self._sqlite: _SqliteWriter | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._said_away = False
        if self.dialect == "sqlite":
            self.path: Path | None = Path(cast("str", parsed.database))
            self._write_engine = _sqlite_engine(self.url, durable=durable, read_only=False)
            self._read_engine = _sqlite_engine(self.url, durable=durable, read_only=True)
        else:
            self.path = None
            self._write_engine = sa.create_engine(
                self.url, pool_size=POOL_THREADS, max_overflow=4, pool_pre_ping=True, pool_recycle=1800
            )
            self._read_engine = self._write_engine

    @property
    def shown(self) -> str:
        """The address as it may be shown: without a password."""
        return make_url(self.url).render_as_string(hide_password=True)

    # -- writing and reading -----------------------------------------------------------------------------------

    def submit(self, work: Callable[[UnitOfWork], R], *, first: bool = False) -> Future[R]:
        """Queue a unit of work; the future resolves after the commit. ``first``: before everything that waits."""
        if self.dialect == "sqlite":
            if self._sqlite is None:
                self._sqlite = _SqliteWriter(self._write_engine)
            return self._sqlite.submit(work, first)
        return self._threads().submit(self._transaction, work)

    async def write(
        self, fn: Callable[Concatenate[UnitOfWork, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run ``fn(uow, …)`` in a transaction; returns after the commit."""
        return await asyncio.wrap_future(self.submit(lambda uow: fn(uow, *args, **kwargs)))

    async def write_first(
        self, fn: Callable[Concatenate[UnitOfWork, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like :meth:`write`, before everything that waits: for the inbox, where Slack's 3 seconds run."""
        return await asyncio.wrap_future(self.submit(lambda uow: fn(uow, *args, **kwargs), first=True))

    async def read(self, fn: Callable[Concatenate[UnitOfWork, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``fn(uow, …)`` on a read-only connection, off the event loop."""
        return await asyncio.wrap_future(
            self._threads().submit(lambda: self._reading(lambda uow: fn(uow, *args, **kwargs)))
        )

    def write_now(self, fn: Callable[Concatenate[UnitOfWork, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """:meth:`write` for code without an event loop (CLI, tests)."""
        return self.submit(lambda uow: fn(uow, *args, **kwargs)).result()

    def read_now(self, fn: Callable[Concatenate[UnitOfWork, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """:meth:`read` for code without an event loop."""
        return self._reading(lambda uow: fn(uow, *args, **kwargs))

    def close(self) -> None:
        """Finish what waits, then let go of threads and connections."""
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
        self._write_engine.dispose()
        self._read_engine.dispose()

    # -- locks -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def only_one(self, name: str) -> Iterator[bool]:
        """Hold a lock of that name for the whole installation; yields False when somebody else holds it."""
        if self.path is not None:
            with _flock(self.path.with_name(f"{self.path.name}.{name}.lock"), wait=False) as held:
                yield held
            return
        with self._write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            key = _advisory_key(name)
            held = bool(connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
            try:
                yield held
            finally:
                if held:
                    connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    # -- waking others (PostgreSQL) --------------------------------------------------------------------------------

    def notify(self, channel: str) -> None:
        """Wake whoever listens on ``channel``. Only a short cut: rows are found by query all the same.

        On a connection of its own, after the commit: NOTIFY inside a transaction makes commits queue for one lock.
        """
        with self._write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("SELECT pg_notify(:channel, '')"), {"channel": channel})

    @contextlib.contextmanager
    def listening(self, channel: str, call: Callable[[], None]) -> Iterator[None]:
        """Run ``call`` in a thread whenever somebody notifies ``channel``. A lost connection is opened again."""
        stop = threading.Event()
        thread = threading.Thread(
            target=self._listen, args=(channel, call, stop), name="fullsteam-listen", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _listen(self, channel: str, call: Callable[[], None], stop: threading.Event) -> None:
        quoted = self._write_engine.dialect.identifier_preparer.quote_identifier(channel)
        while not stop.is_set():
            try:
                with self._write_engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                ) as connection:
                    connection.exec_driver_sql(f"LISTEN {quoted}")
                    heard: Any = connection.connection.driver_connection
                    while not stop.is_set():
                        for _ in heard.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                            call()
                    connection.exec_driver_sql(f"UNLISTEN {quoted}")
            except DBAPIError:
                log.warning("database.listen_lost", extra={"channel": channel})
                stop.wait(LISTEN_SECONDS)

    # -- inside ------------------------------------------------------------------------------------------------

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="fullsteam-db")
        return self._pool

    def _transaction(self, work: Callable[[UnitOfWork], R]) -> R:
        try:
            with self._write_engine.begin() as connection:
                result = work(UnitOfWork(connection))
        except (OperationalError, ProgrammingError) as error:
            raise self._meaning(error) from error
        self._said_away = False
        return result

    def _reading(self, work: Callable[[UnitOfWork], R]) -> R:
        try:
            with self._read_engine.connect() as connection:
                return work(UnitOfWork(connection))
        except (OperationalError, ProgrammingError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: OperationalError | ProgrammingError) -> FullsteamError | DBAPIError:
        """What the driver's error means to a use case: tables are missing, or the database is away."""
        text = str(error.orig).lower()
        if "no such table" in text or ("relation" in text and "does not exist" in text):
            return Permanent("The database has no tables yet: run `fullsteam migrate`.", code="not-migrated")
        return error if isinstance(error, ProgrammingError) else self._away(error)

    def _away(self, error: OperationalError) -> FullsteamError:
        if not self._said_away:
            self._said_away = True
            log.warning("database.away", extra={"error": type(error.orig).__name__})
        return _not_reached(self.url, error)


def _not_reached(url: str, error: OperationalError) -> Retryable:
    """What to do where a server cannot be reached, or does not let us in. Passwords are not shown."""
    said = str(error.orig).casefold()
    why = "does not answer"
    if "authentication failed" in said or "no password supplied" in said:
        why = "does not let us in"
    elif "does not exist" in said:
        why = "does not know that database or user"
    shown = make_url(url).render_as_string(hide_password=True).replace("+psycopg://", "://", 1)
    return Retryable(
        f"The database at {shown} {why}: check FULLSTEAM_DATABASE_URL, and whether it runs. Nothing was written.",
        code="database-away",
    )


def open_database(url: str, *, durable: bool = True) -> Database:
    """Open a migrated database. ``durable=False`` skips fsync: for replays and tests, whose data can be made again.

    Raises Permanent when there is no SQLite file of that name: opening would make an empty one.
    """
    database = Database(url, durable=durable)
    if database.path is not None and not database.path.is_file():
        database.close()
        raise Permanent(
            f"There is no database {database.path}: is FULLSTEAM_DATABASE_URL set? `fullsteam migrate` makes one.",
            code="not-migrated",
        )
    return database


def normal_url(url: str) -> str:
    """``postgresql://`` and ``postgres://`` mean psycopg 3; a plain path means SQLite. Faults name the setting."""
    if "://" not in url:
        url = f"sqlite:///{url}"
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url[len(plain) :]
    if url.startswith(("sqlite:///", "postgresql+psycopg://")):
        if url in ("sqlite:///", "sqlite:///:memory:"):
            raise ConfigurationError(["FULLSTEAM_DATABASE_URL names no file, e.g. sqlite:///fullsteam.db"])
        return url
    raise ConfigurationError(
        ["FULLSTEAM_DATABASE_URL must start with sqlite:/// or postgresql://, e.g. sqlite:///fullsteam.db"]
    )


def migrate(url: str) -> None:
    """Bring the schema to the newest version, under a lock (many processes may start at once). Safe to repeat.

    Raises Retryable when there is no way to the database, Permanent when the folder of a SQLite file is not there.
    """
    from alembic import command
    from alembic.config import Config

    url = normal_url(url)
    parsed = make_url(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if parsed.get_backend_name() == "sqlite":
        path = Path(cast("str", parsed.database))
        if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            wrong = "may not be written" if path.parent.is_dir() else "is not there"
            raise Permanent(
                f"FULLSTEAM_DATABASE_URL names a file in {path.parent}, which {wrong}: mend that, or correct the address.",
                code="no-folder",
            )
        engine = _sqlite_engine(url, durable=True, read_only=False)
        with _flock(path.with_name(path.name + ".migrate.lock"), wait=True), engine.connect() as connection:
            config.attributes["connection"] = connection
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the whole upgrade or nothing
            command.upgrade(config, "head")
            if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's own
                connection.exec_driver_sql("COMMIT")
        engine.dispose()
        return
    engine = sa.create_engine(url)
    try:
        connected = engine.connect()
    except OperationalError as error:
        raise _not_reached(url, error) from error
    with connected.execution_options(isolation_level="AUTOCOMMIT") as lock:
        key = {"key": _advisory_key("migrate")}
        lock.execute(sa.text("SELECT pg_advisory_lock(:key)"), key)
        try:
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            lock.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)
    engine.dispose()


def _sqlite_engine(url: str, *, durable: bool, read_only: bool) -> sa.Engine:
    pool: dict[str, Any] = (
        {"pool_size": POOL_THREADS, "max_overflow": 0} if read_only else {"pool_size": 1, "max_overflow": 1}
    )
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 30}, **pool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours: the driver's own is DEFERRED and comes too late
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{READ_CACHE_KIB if read_only else WRITE_CACHE_KIB}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    if read_only:

        @event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            # By the driver itself: through SQLAlchemy it takes as long as a small query.
            driver = connection.connection.driver_connection
            assert driver is not None, "a connection that begins is open"
            driver.execute("BEGIN")

    return engine


@contextlib.contextmanager
def _flock(path: Path, *, wait: bool) -> Iterator[bool]:
    """A lock file beside the database: the kernel lets go of it when the process dies."""
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


def _advisory_key(name: str) -> int:
    """A stable 63-bit key for pg_advisory_lock."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"fullsteam:{name}".encode()).digest()[:8]) >> 1
