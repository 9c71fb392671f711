"""Every command starts, whatever it imports first: with nothing set it ends with its own words."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.source import REPOSITORY

COMMANDS = {
    "doctor": (1, "FULLSTEAM_SECRET is not set"),
    "run": (2, "FULLSTEAM_SLACK_BOT_TOKEN is not set"),
}
EACH_ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [each for each in sys.modules if each.partition(".")[0] in ("bot", "store")]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FULLSTEAM_")}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_command_in_a_fresh_process_with_nothing_set_says_what_is_missing(tmp_path: Path) -> None:
    running = {command: started("-m", "bot.cli", command, cwd=tmp_path) for command in COMMANDS}
    for command, (code, says) in COMMANDS.items():
        said = running[command].communicate(timeout=60)[0]
        assert (running[command].returncode, "Traceback" in said, says in said) == (code, False, True), said


def imported_when_asked() -> list[str]:
    """The modules that the command line imports only where a command needs them."""
    tree = ast.parse((REPOSITORY / "bot" / "cli.py").read_text(encoding="utf-8"))
    inside = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
    found = (node for each in inside for node in ast.walk(each) if isinstance(node, ast.ImportFrom))
    return sorted({str(node.module) for node in found if (node.module or "").startswith(("bot.", "store."))})


@pytest.mark.parametrize("broken", [False, True])
def test_what_a_command_imports_can_be_the_first_that_is_imported(tmp_path: Path, *, broken: bool) -> None:
    modules = imported_when_asked()
    assert {"bot.commands", "bot.doctor", "bot.wiring", "bot.config"} <= set(modules)
    if broken:  # two modules that need one another: it would be seen
        modules = ["one"]
        (tmp_path / "one.py").write_text("import two\nONE = 1\n")
        (tmp_path / "two.py").write_text("from one import ONE\n")
    process = started("-c", EACH_ALONE, *modules, cwd=tmp_path)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    assert ("one cannot import name 'ONE'" in said) is broken
    assert broken or said == ""
