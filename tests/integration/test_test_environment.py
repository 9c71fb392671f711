"""What tests/conftest.py promises every test, tried from outside: a pytest of its own with a test of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_THE_TEST = """
import os, time

def test_it(shared_folder):
    assert shared_folder.is_dir()

def test_environment():
    assert not [name for name in os.environ if name.startswith("FULLSTEAM_")]
    assert time.localtime(0).tm_gmtoff == -12600
"""


@pytest.fixture
def run(tmp_path: Path, repository: Path):
    """Runs the test above with our conftest and the given environment, and returns what pytest said."""
    (tmp_path / "test_it.py").write_text(_THE_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run_with(**environment: str) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("PYTEST_", "FULLSTEAM_"))
        }
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "tests.conftest",
                "-p",
                "no:cacheprovider",
                "-ra",
                str(tmp_path),
            ],
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": str(repository), **environment},
            check=False,
            capture_output=True,
            text=True,
        )

    return run_with


def test_shared_data_that_is_there_is_found_and_no_setting_leaks_in(run, tmp_path: Path) -> None:
    done = run(FULLSTEAM_SHARED=str(tmp_path), FULLSTEAM_SECRET="of the person who runs the tests")
    assert "2 passed" in done.stdout


def test_absent_shared_data_is_skipped_with_the_reason(run, tmp_path: Path) -> None:
    done = run(FULLSTEAM_SHARED=str(tmp_path / "absent"))
    assert done.returncode == 0
    assert "1 passed, 1 skipped" in done.stdout
    assert "FULLSTEAM_SHARED" in done.stdout


def test_absent_shared_data_is_a_failure_in_ci(run, tmp_path: Path) -> None:
    done = run(FULLSTEAM_SHARED=str(tmp_path / "absent"), CI="true")
    assert done.returncode == 1
    assert "1 passed, 1 error" in done.stdout
