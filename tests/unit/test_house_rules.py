"""Rules of the house that no linter has: each is a function over a source file, tried on a file that breaks it."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable

import pytest

from tests.unit.source import PACKAGES, REPOSITORY, SourceFile, source_files

CATCHES_EVERYTHING = {"bot/schedule.py", "bot/handlers/errors.py"}
READS_THE_ENVIRONMENT = {"bot/config.py"}
VAGUE = re.compile(r"(Manager|Helper|Util|Utils|Processor|Data|Info|Base)$")
VAGUE_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes", "processor"}
# The present, and chance: they come in as arguments (`now`, a port), never from within.
CLOCKS_AND_DICE = re.compile(
    r"^((datetime|date|dt|datetime\.datetime|datetime\.date)\.(now|today|utcnow)"
    r"|time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|sleep|localtime)"
    r"|uuid\.uuid[14]|uuid[14]|random\.\w+|secrets\.\w+|os\.urandom|asyncio\.sleep)$"
)
PAGE = re.compile(r"(?<![\w*/])(?:\w[\w.-]*/|\.\./)*\w[\w-]*\.md\b")
DECISION = re.compile(r"docs/decisions/(\d{4})")
TEXTS = ("bot", "store", "sandbox", "docs", "examples", "bench", "tests/browser")
THIS = "tests/unit/test_house_rules.py"
"""It breaks the rules to try them."""
DECISIONS = REPOSITORY / "docs/decisions"
ELSEWHERE = re.compile(r"(?<![\w./])(?:reference|product)/[\w*]+|\b[Ii]ssue #?\d+|\w+\.md §")
PLANNED = re.compile(r"\([A-Z]\d{1,2}(?:-[A-Z]\d{1,2})?(?:, [A-Z]\d{1,2})*[):]")
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def _hands_on(handler: ast.ExceptHandler) -> bool:
    """True when what was caught is raised again, or given to whoever waits for the result: nothing is swallowed."""
    raises = any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)
    gives = handler.name is not None and any(
        isinstance(node, ast.Expr) and ast.unparse(node).endswith(f".set_exception({handler.name})")
        for node in handler.body
    )
    return raises or gives


def catches_everything(file: SourceFile) -> list[str]:
    """Clauses that catch Exception or BaseException, or anything at all, and do not hand it on."""
    if file.path in CATCHES_EVERYTHING:
        return []
    faults = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if (node.type is None or re.search(r"\b(Base)?Exception\b", caught)) and not _hands_on(node):
                faults.append(f"{file.path}:{node.lineno} except {caught}")
    return faults


def reads_the_environment(file: SourceFile) -> list[str]:
    """Uses of os.environ and os.getenv outside bot/config.py. The sandbox is a program of its own."""
    if file.path in READS_THE_ENVIRONMENT or file.path.startswith("sandbox/"):
        return []
    return [
        f"{file.path}:{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    ]


def is_vaguely_named(file: SourceFile) -> list[str]:
    """Classes and modules whose name says nothing about what they are."""
    faults = [
        f"{file.path}:{node.lineno} class {node.name}"
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef) and VAGUE.search(node.name)
    ]
    module = file.path.rpartition("/")[2].removesuffix(".py")
    return [*faults, file.path] if module in VAGUE_MODULES else faults


def asks_clock_or_dice(file: SourceFile) -> list[str]:
    """Calls for the present, for chance, or to wait, in the domain, in services and in what decides."""
    decides = (
        "bot/domain/",
        "bot/services/",
        "bot/nudges/",
        "bot/recognition/",
        "bot/surveys/",
        "bot/digests/",
    )
    pure = (*decides, "bot/content/", "bot/rendering.py")
    if not file.path.startswith(pure):
        return []
    return [f"{file.path}:{line} {name}" for line, name in file.calls() if CLOCKS_AND_DICE.match(name)]


def logs_more_than_an_event(file: SourceFile) -> list[str]:
    """Log calls whose message is composed: an event is a constant, with ids in `extra`."""
    faults = []
    for node in ast.walk(file.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = ast.unparse(node.func.value)
        if node.func.attr in LOG_METHODS and re.search(
            r"(^|[._])(log|logger|logging)$", owner, re.IGNORECASE
        ):
            constant = len(node.args) == 1 and isinstance(node.args[0], ast.Constant)
            if not constant:
                faults.append(f"{file.path}:{node.lineno} {ast.unparse(node)}")
    return faults


def ignores_types_without_a_reason(file: SourceFile) -> list[str]:
    """`type: ignore` with no code, or with no words after it."""
    return [
        f"{file.path}:{number} {line.strip()}"
        for number, line in enumerate(file.text.splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore", line)
        and not re.search(r"#\s*type:\s*ignore\[[\w, -]+\]\s*#\s*\w+", line)
    ]


def cites_what_nobody_can_read(file: SourceFile) -> list[str]:
    """Pages, folders, decisions and numbers of a plan that are not in the repository."""
    faults = []
    for number, line in enumerate(file.text.splitlines(), 1):
        cited = [found for found in PAGE.findall(line) if not _is_page(found, file.path)]
        cited += [found for found in DECISION.findall(line) if not list(DECISIONS.glob(f"{found}-*.md"))]
        cited += [found[0] for found in ELSEWHERE.finditer(line)]
        faults += [f"{file.path}:{number} {found}" for found in cited]
    return faults


def _is_page(named: str, path: str) -> bool:
    return (REPOSITORY / named).is_file() or (REPOSITORY / path).parent.joinpath(named).is_file()


def cites_a_number_of_a_plan(file: SourceFile) -> list[str]:
    """Comments and docstrings with an id that only a list elsewhere explains: "(D6)", "(D1-D8, J6)"."""
    if not PLANNED.search(file.text):
        return []
    said = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(file.text).readline)
        if token.type == tokenize.COMMENT
    ]
    said += [
        (node.lineno, node.value.value)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return [f"{file.path}:{line} {found}" for line, text in said for found in PLANNED.findall(text)]


RULES: list[tuple[Callable[[SourceFile], list[str]], str, str]] = [
    (catches_everything, "bot/services/x.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (catches_everything, "store/x.py", "try:\n    f()\nexcept:\n    pass\n"),
    (catches_everything, "bot/cli.py", "try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n"),
    (reads_the_environment, "bot/wiring.py", "import os\nport = os.environ['PORT']\n"),
    (is_vaguely_named, "bot/services/x.py", "class OutboxManager:\n    pass\n"),
    (is_vaguely_named, "store/utils.py", ""),
    (
        asks_clock_or_dice,
        "bot/services/x.py",
        "from datetime import datetime, UTC\nnow = datetime.now(UTC)\n",
    ),
    (asks_clock_or_dice, "bot/domain/x.py", "import random\nx = random.random()\n"),
    (logs_more_than_an_event, "bot/services/x.py", "log.info(f'sent to {person}')\n"),
    (logs_more_than_an_event, "bot/services/x.py", "logger.warning('sent to %s', person)\n"),
    (ignores_types_without_a_reason, "bot/services/x.py", "x = f()  # type: ignore\n"),
    (ignores_types_without_a_reason, "bot/services/x.py", "x = f()  # type: ignore[misc]\n"),
    (cites_what_nobody_can_read, "bot/services/x.py", '"""As the plan has it (plan.md, chapter 3)."""\n'),
    (cites_what_nobody_can_read, "bot/services/x.py", "# see ../plans/plan.md\n"),
    (cites_what_nobody_can_read, "bot/services/x.py", "# see docs/decisions/9999\n"),
    (cites_what_nobody_can_read, "bot/services/x.py", "# reference/science, chapter 3\n"),
    (cites_what_nobody_can_read, "bot/services/x.py", "# as issue 3 asks\n"),
    (cites_a_number_of_a_plan, "bot/services/x.py", "x = 1  # theirs to tell (D6)\n"),
    (cites_a_number_of_a_plan, "bot/services/x.py", '"""One budget (D1-D8, J6)."""\n'),
]
SPEAK_EVERYWHERE = (cites_what_nobody_can_read, cites_a_number_of_a_plan)
"""Rules about words: they hold for tests and measurements as well."""


@pytest.mark.parametrize("rule", list(dict.fromkeys(rule for rule, _, _ in RULES)))
def test_no_file_of_ours(rule: Callable[[SourceFile], list[str]]) -> None:
    assert [fault for file in source_files(*PACKAGES) for fault in rule(file)] == []


@pytest.mark.parametrize("rule", SPEAK_EVERYWHERE)
def test_no_test_and_no_measurement_of_ours(rule: Callable[[SourceFile], list[str]]) -> None:
    files = [file for file in source_files("tests", "bench", "docs") if file.path != THIS]
    assert [fault for file in files for fault in rule(file)] == []


def test_no_page_and_no_setting_of_ours_cites_what_nobody_can_read() -> None:
    files = [
        SourceFile(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8"))
        for kind in ("*.md", "*.toml", "*.js", "*.css", "*.html")
        for folder in (REPOSITORY, *(REPOSITORY / name for name in TEXTS))
        for path in sorted(folder.glob(kind) if folder == REPOSITORY else folder.rglob(kind))
    ]
    assert len(files) > 50
    assert [fault for file in files for fault in cites_what_nobody_can_read(file)] == []


@pytest.mark.parametrize(("rule", "path", "text"), RULES)
def test_the_rule_bites(rule: Callable[[SourceFile], list[str]], path: str, text: str) -> None:
    assert len(rule(SourceFile(path, text))) == 1


_REFUSE_EFFECTS = """
import importlib, os, pkgutil, sys, threading
sys.dont_write_bytecode = True

def refuse(event, arguments):
    if event in {"socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "sqlite3.connect", "os.mkdir", "os.remove"}:
        raise SystemExit(f"{module}: {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"{module}: opens {arguments[0]} for writing")

modules = sys.argv[1:]
module = ""
sys.addaudithook(refuse)
for module in modules:
    importlib.import_module(module)
    if threading.active_count() > 1:
        raise SystemExit(f"{module}: started {threading.enumerate()}")
"""


def test_importing_a_module_does_nothing() -> None:
    names = [
        file.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for file in source_files(*PACKAGES)
        if not file.path.startswith("store/migrations/") and not file.path.endswith("__main__.py")
    ]
    done = subprocess.run(
        [sys.executable, "-c", _REFUSE_EFFECTS, *names],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


def test_every_dependency_has_its_reason_written_down() -> None:
    reasons = (REPOSITORY / "docs/decisions/dependencies.md").read_text(encoding="utf-8").lower()
    named = [
        re.split(r"[\[<>=;~! ]", line.strip())[0].lower()
        for name in ("runtime.in", "dev.in")
        for line in (REPOSITORY / "requirements" / name).read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith(("#", "-"))
    ]
    assert len(named) > 20
    assert [name for name in named if f"`{name}`" not in reasons] == []


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_a_lock_file_names_no_machine_and_no_index(name: str) -> None:
    text = (REPOSITORY / f"requirements/{name}.txt").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") > 100
    assert re.findall(r"://|--index-url|--find-links|(?:^|\s)/\w+", text) == []


def test_the_development_lock_holds_the_runtime_lock_at_the_same_versions() -> None:
    runtime, dev = (
        set(
            re.findall(
                r"^[\w.-]+==\S+",
                (REPOSITORY / f"requirements/{name}.txt").read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        for name in ("runtime", "dev")
    )
    assert runtime <= dev


def test_the_slack_manifest_asks_for_the_least_scopes() -> None:
    manifest = json.loads((REPOSITORY / "slack-manifest.json").read_text(encoding="utf-8"))
    assert sorted(manifest["oauth_config"]["scopes"]) == ["bot"]
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == {
        "chat:write",
        "commands",
        "dnd:read",
        "im:history",
        "im:write",
        "users:read",
        "users:read.email",
    }
    assert manifest["features"]["app_home"]["messages_tab_read_only_enabled"] is False


def test_the_processes_are_those_of_the_design() -> None:
    lines = (REPOSITORY / "Procfile").read_text(encoding="utf-8").splitlines()
    assert dict(line.split(": ") for line in lines) == {
        "release": "fullsteam migrate",
        "web": "fullsteam web",
        "worker": "fullsteam worker",
        "clock": "fullsteam clock",
    }


def test_the_command_fullsteam_is_the_one_of_the_bot() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"fullsteam": "bot.cli:main"}
