"""What every test stands on: a clean environment, the shared data, and real databases.

Fixtures:
    shared_folder        the folder of data and conformance inputs beside the repository
    database_url         an empty migrated database, once on SQLite and once on PostgreSQL
    sqlite_url, postgres_url    one of the two, for a test about that one
    empty_database_url   without the schema, on both
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.databases import Databases, NoPostgresError, RunFolder

_SHARED = os.environ.get("FULLSTEAM_SHARED")
_IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
_RUN_FOLDER = pytest.StashKey[RunFolder]()

hypothesis.settings.register_profile("here", deadline=None)
# The same examples every time: a red CI run can be repeated, and a green one says the same tomorrow.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith("FULLSTEAM_")]:
        del os.environ[name]
    # A worker of pytest-xdist has one, and a console of rich keeps for ever the width that it is made with.
    os.environ.pop("COLUMNS", None)
    # A zone with a half-hour: code that takes the machine's zone for UTC, or for the person's, is found out.
    os.environ["TZ"] = "America/St_Johns"
    time.tzset()
    hypothesis.settings.load_profile("ci" if _IN_CI else "here")
    if not hasattr(config, "workerinput"):
        # Root has a server run as another account, which /tmp is open to, and a TMPDIR of root's may not be.
        config.stash[_RUN_FOLDER] = RunFolder(Path("/tmp" if os.geteuid() == 0 else tempfile.gettempdir()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if run_folder := config.stash.get(_RUN_FOLDER, None):
        run_folder.remove()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new worker of pytest-xdist where the run's folder is."""
    node.workerinput["run_folder"] = str(node.config.stash[_RUN_FOLDER].path)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_folder(repository: Path) -> Path:
    """The folder of shared data: FULLSTEAM_SHARED, else `shared` beside the repository. Absent in CI is a failure."""
    folder = Path(_SHARED) if _SHARED else repository.parent / "shared"
    if folder.is_dir():
        return folder
    reason = f"no shared data: put it into {repository.parent.name}/shared beside the repository, or name it in FULLSTEAM_SHARED"
    if _IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """Hands out databases beyond the one that `database_url` gives, e.g. for two workspaces in one test."""
    config = request.config
    folder: Any = getattr(config, "workerinput", {}).get("run_folder") or config.stash[_RUN_FOLDER].path
    return Databases(Path(folder), os.environ.get("PYTEST_XDIST_WORKER", "main"))


@pytest.fixture
def sqlite_url(databases: Databases, tmp_path: Path) -> str:
    """The URL of an empty migrated SQLite file of the test's own."""
    return databases.sqlite(tmp_path, migrated=True)


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty migrated PostgreSQL database of the test's own."""
    yield from _postgres(databases, migrated=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty migrated database: the test runs once on each of the two engines."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a schema, once on each of the two engines."""
    if request.param == "sqlite":
        yield databases.sqlite(tmp_path, migrated=False)
    else:
        yield from _postgres(databases, migrated=False)


def _postgres(databases: Databases, *, migrated: bool) -> Iterator[str]:
    try:
        with databases.postgres(migrated=migrated) as url:
            yield url
    except NoPostgresError as absent:
        if _IN_CI:
            pytest.fail(str(absent))
        pytest.skip(str(absent))
