"""A real browser for the page: Debian's Chromium, driven by Playwright. A window per person; what breaks in one is told.

Fixtures:
    browser      one Chromium for the tests of this folder (one for each worker of xdist)
    windows      opens windows: each has cookies, theme and width of its own; a JavaScript error in any fails the test
    bench        a bare page of the sandbox's with its modules and styles, to draw single blocks on
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.drawing import Bench
from tests.browser.windows import Windows
from tests.installation import SlackOnThisMachine, free_port, slack_on_this_machine

_IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
_INSTALL = "there is no Chromium for the page's tests: apt-get install -y chromium"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Absent it is a reason to skip, in CI a failure."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if _IN_CI:
            pytest.fail(_INSTALL)
        pytest.skip(_INSTALL)
    # A sandboxed Chromium does not start for root, as whom containers run.
    options = ["--disable-dev-shm-usage", "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    # Not for the whole session: as long as Playwright runs, no other test of this process can have an event loop.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=options)
        yield started
        started.close()


@pytest.fixture
def windows(browser: Browser) -> Iterator[Windows]:
    """Windows of the browser, closed at the end; no page may have had an error."""
    opened = Windows(browser)
    yield opened
    faults = opened.close()
    assert not faults, faults


@pytest.fixture(scope="package")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackOnThisMachine]:
    """A sandbox in which nobody has said anything, and no bot behind it."""
    folder: Path = tmp_path_factory.mktemp("slack")
    people: list[Mapping[str, Any]] = [
        {"id": "U00000001", "name": "Ada Marsh", "email": "ada@example.com", "tz": "Europe/Berlin"}
    ]
    with slack_on_this_machine(folder, people, free_port()) as slack:
        yield slack


@pytest.fixture
def bench(windows: Windows, empty_workspace: SlackOnThisMachine) -> Bench:
    """A bare page with the page's modules, styles and policy."""
    return Bench(windows.open(), empty_workspace.url)
