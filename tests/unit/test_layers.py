"""What import-linter (pyproject.toml) cannot say about the house: third-party packages, and files placed nowhere.

The layers among our own modules are contracts of import-linter, which `make lint` runs; the last test here runs them on a
house with a forbidden import in it, so that a contract that stopped biting is noticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.source import PACKAGES, REPOSITORY, SourceFile, source_files

# Where each third-party package may be imported: a folder (ends in "/") or a file. What is not in this table may be imported
# nowhere; the reason for each package is in docs/decisions/dependencies.md.
PLACES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("bot/delivery/", "bot/handlers/", "bot/wiring.py", "bot/connectors/wire.py", "sandbox/"),
    "alembic": ("store/",),
    "apscheduler": ("bot/schedule.py",),
    "babel": ("bot/rendering.py", "bot/content/", "bot/connectors/dynamics/rows.py"),
    "cryptography": ("bot/vault.py", "bot/connectors/"),
    "defusedxml": ("bot/connectors/",),
    "dotenv": ("bot/config.py",),
    "holidays": ("bot/workdays.py", "bot/content/programme.py", "bot/connectors/countries.py"),
    "httpx": ("bot/connectors/", "bot/delivery/webhooks.py", "sandbox/"),
    "jwt": ("bot/connectors/", "sandbox/"),
    "jinja2": ("bot/rendering.py", "bot/content/"),
    "openpyxl": ("bot/connectors/",),
    "prometheus_client": ("bot/handlers/", "bot/logs.py", "bot/wiring.py"),
    "psycopg": ("store/",),
    "pydantic": ("bot/config.py", "bot/connectors/", "bot/content/", "bot/handlers/"),
    "pydantic_settings": ("bot/config.py",),
    "rich": ("bot/cli.py", "bot/progress.py", "bot/replay.py", "bot/transcript.py", "sandbox/"),
    "slack_bolt": ("bot/delivery/", "bot/handlers/", "bot/wiring.py"),
    "slack_sdk": ("bot/delivery/", "bot/handlers/", "bot/wiring.py"),
    "sqlalchemy": ("store/", "bot/connectors/sql.py"),
    "starlette": ("bot/handlers/", "bot/wiring.py", "sandbox/"),
    "typer": ("bot/cli.py", "sandbox/"),
    "uvicorn": ("bot/cli.py", "bot/wiring.py", "sandbox/"),
    "uvloop": ("bot/loop.py", "sandbox/"),
}

# The folders of the repository that hold Python, and what belongs at the root.
FOLDERS = {"bot", "store", "sandbox", "tests", "bench", "docs", "examples"}


def misplaced(file: SourceFile) -> list[str]:
    """The third-party imports of a file that PLACES does not allow, as "path:line package"."""
    faults = []
    for line, package in file.third_party_imports():
        places = PLACES.get(package, ())
        if not any(
            file.path.startswith(place) if place.endswith("/") else file.path == place for place in places
        ):
            faults.append(
                f"{file.path}:{line} {package}: allowed in {', '.join(places) or 'no place (see PLACES)'}"
            )
    return faults


def test_every_third_party_package_stays_in_its_place() -> None:
    assert [fault for file in source_files(*PACKAGES) for fault in misplaced(file)] == []


@pytest.mark.parametrize(
    ("path", "text", "package"),
    [
        ("bot/services/send.py", "import httpx", "httpx"),
        ("bot/services/send.py", "def f():\n    from sqlalchemy import text", "sqlalchemy"),
        ("bot/connectors/hubspot.py", "import sqlalchemy as sa", "sqlalchemy"),
        ("bot/nudges/late.py", "from slack_sdk.web import client", "slack_sdk"),
        ("store/outbox.py", "import requests", "requests"),
    ],
)
def test_a_package_out_of_its_place_is_named(path: str, text: str, package: str) -> None:
    [fault] = misplaced(SourceFile(path, text))
    assert package in fault
    assert path in fault


def test_the_domain_stands_on_the_standard_library_alone() -> None:
    own = [
        (file.path, name)
        for file in source_files("bot/domain")
        for _, name in file.imports()
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("bot.domain")
    ]
    assert own == []


def test_every_python_file_has_its_place() -> None:
    found = {
        path.relative_to(REPOSITORY).parts[0]
        for path in REPOSITORY.rglob("*.py")
        if not path.relative_to(REPOSITORY).parts[0].startswith(".")
        and path.relative_to(REPOSITORY).parts[0] not in {"build", "dist"}
    }
    assert found <= FOLDERS


def test_every_folder_with_code_is_a_package_that_the_contracts_see() -> None:
    blind = {
        path.parent.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    # Alembic loads these by their path; nobody imports them.
    assert blind <= {"store/migrations", "store/migrations/versions"}


MODULES = [
    *(
        f"bot/{name}.py"
        for name in (
            "cli",
            "wiring",
            "schedule",
            "config",
            "clock",
            "logs",
            "loop",
            "plugins",
            "progress",
            "sandboxed",
            "transcript",
            "vault",
            "workdays",
            "rendering",
        )
    ),
    *(
        f"bot/{name}/__init__.py"
        for name in ("handlers", "services", "delivery", "connectors", "nudges", "recognition")
    ),
    "bot/replay.py",
    "bot/demo.py",
    "bot/doctor.py",
    "bot/commands.py",
    *(f"bot/{name}/__init__.py" for name in ("surveys", "digests", "content", "domain")),
    "bot/__init__.py",
    "store/__init__.py",
    "sandbox/__init__.py",
]


def _lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The design's modules, all empty, under the contracts of pyproject.toml."""
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    for module in MODULES:
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / module).touch()
    return tmp_path


def test_the_contracts_hold_for_an_allowed_import(house: Path) -> None:
    (house / "bot/services/send.py").write_text("import store\nimport bot.content\nimport bot.domain\n")
    (house / "store/outbox.py").write_text("import bot.domain\nimport bot.domain.people\n")
    (house / "bot/domain/people.py").touch()
    (house / "bot/wiring.py").write_text("import store\nimport bot.handlers\nimport bot.config\n")
    done = _lint_imports(house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("bot/domain/people.py", "bot.rendering"),
        ("bot/services/send.py", "bot.delivery"),
        ("bot/services/send.py", "bot.config"),
        ("bot/handlers/door.py", "store"),
        ("bot/handlers/door.py", "bot.schedule"),
        ("bot/nudges/late.py", "bot.surveys"),
        ("store/outbox.py", "bot.rendering"),
        ("bot/wiring.py", "bot.replay"),
        ("sandbox/state.py", "bot.domain"),
        ("bot/wiring.py", "sandbox"),
        ("bot/elsewhere.py", "bot.domain"),
    ],
)
def test_a_forbidden_import_or_a_module_placed_nowhere_breaks_a_contract(
    house: Path, importer: str, imported: str
) -> None:
    (house / importer).write_text(f"import {imported}\n")
    done = _lint_imports(house)
    assert done.returncode == 1, done.stdout + done.stderr
