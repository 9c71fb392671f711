"""Logs carry ids and never words; extensions are found by type, one file each."""

from __future__ import annotations

import io
import json
import logging
import sys
import types
from datetime import date
from pathlib import Path

import pytest

from bot import logs
from bot.plugins import discover
from bot.workdays import PublicHolidays


def test_a_log_line_is_json_with_a_constant_event_and_its_extras() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    log = logging.getLogger("bot.test")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.info("outbox.sent", extra={"delivery": "m1"})
    line = json.loads(stream.getvalue())
    assert line["event"] == "outbox.sent"
    assert line["delivery"] == "m1"


def test_an_exception_is_logged_without_its_message_which_may_quote_a_person() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    log = logging.getLogger("bot.test")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    try:
        int("my boss is on holiday")
    except ValueError:
        log.exception("job.broke")
    assert "holiday" not in stream.getvalue()
    assert json.loads(stream.getvalue())["error"] == "ValueError"


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name


def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> types.ModuleType:
    folder = tmp_path / "plugs"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, text in files.items():
        (folder / f"{name}.py").write_text("from tests_plugs_thing import Thing\n" + text)
    module = types.ModuleType("tests_plugs_thing")
    module.Thing = Thing  # type: ignore[attr-defined]  # a module made for this test
    monkeypatch.setitem(sys.modules, "tests_plugs_thing", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    for known in [name for name in sys.modules if name.split(".")[0] == "plugs"]:
        monkeypatch.delitem(sys.modules, known)
    import importlib

    return importlib.import_module("plugs")


def test_a_new_file_is_found_without_being_listed_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = _package(tmp_path, monkeypatch, b="IT = Thing('b')\n", a="IT = Thing('a')\n")
    assert [thing.name for thing in discover(package, Thing)] == ["a", "b"]


def test_two_extensions_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _package(tmp_path, monkeypatch, a="IT = Thing('x')\n", b="IT = Thing('x')\n")
    with pytest.raises(ValueError, match="both define 'x'"):
        discover(package, Thing)


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = _package(
        tmp_path,
        monkeypatch,
        a="IT = Thing('x')\n",
        b="IT = Thing('x')\n",
        c="def broken(:\n",
        d="import nothing_of_that_name\n",
        e="\nIT = Thing()\n",
        f="IT = 1\n",
        g="IT = Thing('g')\n",
    )
    left_out: dict[str, str] = {}
    found = discover(
        package,
        Thing,
        left_out=left_out,
        lacks=lambda module: "no IT is in it" if module.__name__ == "plugs.f" else "",
    )
    assert [thing.name for thing in found] == ["x", "g"]
    assert left_out["b"] == "plugs/b.py is left out: plugs.b and plugs.a both define 'x'; rename one"
    assert left_out["c"].startswith("plugs/c.py cannot be loaded: SyntaxError: ")
    assert "line 2" in left_out["c"]
    assert "line 2 of d.py, ModuleNotFoundError: No module named 'nothing_of_that_name'" in left_out["d"]
    assert "line 3 of e.py, TypeError: " in left_out["e"]
    assert left_out["f"] == "plugs/f.py is left out: no IT is in it"
    assert left_out.keys() == set("bcdef")


def test_public_holidays_come_by_country_and_state() -> None:
    calendar = PublicHolidays()
    whole = (date(2026, 1, 1), date(2026, 12, 31))
    assert date(2026, 7, 4) in calendar.between("US", *whole)
    assert date(2026, 10, 3) in calendar.between("DE", *whole)
    assert date(2026, 1, 6) in calendar.between("DE-BY", *whole)
    assert date(2026, 1, 6) not in calendar.between("DE", *whole)
    assert calendar.between("DE-XX", *whole) == calendar.between("DE", *whole)
    assert calendar.between("ZZ", *whole) == frozenset()
    assert calendar.between("ZZ-XX", *whole) == frozenset()
