"""A client that nobody here wrote: Slack's own for Node (`tests/foreign`) works against the sandbox as against Slack.

It needs Node 20 or newer; `make foreign` installs what is locked. Without Node the test is skipped here and fails in CI.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandbox.clock import RealClock
from sandbox.limits import Limits, Pace
from tests.contract.sandbox.workspace import SECRET, TOKEN, FakeBot, free_port, running

pytestmark = pytest.mark.anyio


#: What @slack/bolt 5 runs on (tests/foreign/package.json).
OLDEST_NODE = 20


def missing(why: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    """The foreign client, installed."""
    place = repository / "tests" / "foreign"
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        missing("no Node: install Node 20 or newer, with npm (Debian 13: apt install nodejs npm)")
    version = subprocess.run(
        [node, "-p", "process.versions.node"], capture_output=True, text=True, check=True
    )
    if int(version.stdout.partition(".")[0]) < OLDEST_NODE:
        missing(
            f"Node {version.stdout.strip()} is too old for Slack's client: put Node {OLDEST_NODE} or newer first in PATH"
        )
    installed = place / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < (place / "package-lock.json").stat().st_mtime:
        done = subprocess.run(
            ["make", "--silent", "foreign"], cwd=repository, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            missing(f"`make foreign` failed: {done.stderr[-400:]}")
    return place


async def works(folder: Path) -> dict[str, Any]:
    """What the client saw; fails with its own words."""
    bot = FakeBot(port=free_port())
    async with running(bot=bot, clock=RealClock(), limits=Limits(Pace(channel_burst=20))) as here:
        process = await asyncio.create_subprocess_exec(
            "node",
            "client.mjs",
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "SANDBOX_URL": here.slack.url,
                "BOT_PORT": str(bot.port),
                "BOT_TOKEN": TOKEN,
                "APP_TOKEN": "xapp-test",
                "SIGNING_SECRET": SECRET,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, err.decode()[-3000:]
        found: dict[str, Any] = json.loads(out)
        return {**found, "rejected": here.slack.record.totals()["rejected"]}


async def test_slacks_own_client_and_framework_for_node_work_with_it(folder: Path) -> None:
    seen = await works(folder)
    calls = seen["calls"]
    assert (calls["me"], calls["dm"], calls["error"]) == ("U0SANDBOXBOT", "D1", "channel_not_found")
    assert calls["users"] == [["U0SANDBOXBOT", "USLACKBOT"], ["U1", "U2"], ["U3", "U4"]]
    assert (calls["limited"], calls["afterLimit"], calls["waited"] >= 1000) == ([1], True, True)
    assert calls["file"] == "The week"
    for way in (seen["http"], seen["socket"]):
        assert way["acked"] == [True] * 6
        assert sorted(way["heard"]) == sorted(
            [
                "message hello",
                "action go",
                "view slow",
                "command help",
                "shortcut",
                "action done",
                "options a",
            ]
        )
        assert way["errors"] == {"words": "Say more"}
        assert way["help"] == ["Here is help"]
        assert way["done"] == ["All done"]
        assert way["options"] == ["ada"]
    assert seen["http"]["forged"] == 401
    assert seen["rejected"] == {"channel_not_found": 1, "ratelimited": 1}
