"""The program as it is installed: its processes, a sandbox process on real time, and the command line, for a test to use.

Nothing here is steered and nothing is in this process: what is seen is what an operator sees.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.cli import main
from bot.workdays import PublicHolidays

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 45.0
"""Seconds to wait for what should come within two: the machine may be busy."""
T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Wait until ``look`` finds something; fails with ``what`` was waited for."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


def eleven_o_clock_zone(now: datetime | None = None) -> str:
    """An IANA zone in which it is between eleven and twelve now: inside everybody's window, whenever the test runs."""
    hour = (now or datetime.now(UTC)).hour
    offset = (11 - hour + 12) % 24 - 12  # -12 … 11, and every one of them is a zone
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def working_country(zone: str) -> str:
    """A country without a public holiday today or tomorrow."""
    today = datetime.now(ZoneInfo(zone)).date()
    days = PublicHolidays()
    return next(
        country
        for country in ("DE", "US", "JP", "BR", "IN")
        if not days.between(country, today, today + timedelta(days=1))
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    """Status and body; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@dataclass
class SlackOnThisMachine:
    """A sandbox process, reached as a tester reaches it."""

    url: str

    def do(self, path: str, **body: Any) -> dict[str, Any]:
        """POST /sandbox/…; fails on anything but 200."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/sandbox/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found

    def sees(self, path: str) -> dict[str, Any]:
        """GET /sandbox/…; fails on anything but 200."""
        status, body = get(f"{self.url}/sandbox/{path}")
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def messages(self, user: str) -> list[dict[str, Any]]:
        """What the bot wrote to a user, oldest first."""
        status, body = get(f"{self.url}/sandbox/messages?user={urllib.parse.quote(user)}")
        assert status == 200, body
        return [each for each in json.loads(body)["messages"] if each.get("bot_id")]

    def wait_for(self, user: str, words: str) -> dict[str, Any]:
        """The newest message to a user that has these words, as soon as it is there."""
        return eventually(
            lambda: next((m for m in reversed(self.messages(user)) if words in json.dumps(m)), None),
            f"{words!r} in what {user} sees",
        )

    def press(self, user: str, message: Mapping[str, Any], action: str) -> dict[str, Any]:
        """Press a button of a message; it must be acknowledged."""
        answer = self.do("press", user=user, message_ts=message["ts"], action_id=action)
        assert answer["acked"], answer
        return answer


@dataclass(frozen=True)
class Typed:
    """What a command answered."""

    code: int
    out: str
    err: str


def typed(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Typed:
    """Run the command line with this environment, in this folder, as its entry point does."""
    out, err = io.StringIO(), io.StringIO()
    before, arguments = dict(os.environ), sys.argv
    code: object = 0
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["fullsteam", *words]
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.argv = arguments
    assert isinstance(code, int), code
    return Typed(code, out.getvalue(), err.getvalue())


@dataclass
class Installation:
    """Settings, and the processes that were started with them."""

    folder: Path
    database_url: str
    slack: SlackOnThisMachine
    port: int
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an operator would set."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FULLSTEAM_")}
        return {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "200",
            "FULLSTEAM_DATABASE_URL": self.database_url,
            "FULLSTEAM_PROGRAMME": str(self.folder / "programme.toml"),
            "FULLSTEAM_SECRET": "an installation needs thirty-two characters",
            "FULLSTEAM_PORT": str(self.port),
            "FULLSTEAM_SLACK_API_URL": f"{self.slack.url}/api/",
            "FULLSTEAM_SLACK_BOT_TOKEN": "xoxb-sandbox",
            "FULLSTEAM_SLACK_SIGNING_SECRET": "sandbox-signing-secret",
            "FULLSTEAM_TICK_SECONDS": "0.2",
            "FULLSTEAM_POLL_MINUTES": "0.01",
            **self.more,
        }

    def command(self, *words: str) -> Typed:
        """``fullsteam WORDS`` in a process of its own, to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "bot.cli", *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    def types(self, *words: str) -> Typed:
        """``fullsteam WORDS`` in this process, without the seconds that a new one takes."""
        return typed(words, self.environment, self.folder)

    @contextlib.contextmanager
    def running(self, *parts: str) -> Iterator[list[Running]]:
        """``fullsteam PART`` for each part, until the block ends; whoever still runs then is killed."""
        started: list[Running] = []
        try:
            for part in parts:
                log = (self.folder / f"{part}-{len(started)}.log").open("w+")
                process = subprocess.Popen(
                    [sys.executable, "-m", "bot.cli", part],
                    env=self.environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                started.append(Running(part, process, Path(log.name)))
                log.close()
            for each in started:
                eventually(lambda each=each: each.said("started") or each.ended(), f"{each.part} to start")  # type: ignore[misc]  # one argument, bound now
            yield started
        finally:
            for each in started:
                if each.process.poll() is None:
                    each.process.kill()
                each.process.wait()


@dataclass
class Running:
    """One process of the program. Its log is one JSON object a line."""

    part: str
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it logged; ``event``: only lines of that event."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [each for each in found if event in (None, each.get("event"))]

    def said(self, event: str) -> bool:
        return bool(self.lines(event))

    def ended(self) -> bool:
        """Raises AssertionError with its last words if it has ended."""
        assert self.process.poll() is None, (
            f"{self.part} ended: {self.log.read_text(encoding='utf-8')[-2000:]}"
        )
        return False

    def stops(self) -> float:
        """Ask it to end, as a supervisor does; seconds until it has, with exit code 0."""
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert code == 0, (code, self.log.read_text(encoding="utf-8")[-2000:])
        return time.monotonic() - asked


@contextlib.contextmanager
def slack_on_this_machine(
    folder: Path, people: list[Mapping[str, Any]], bot_port: int, *more: str
) -> Iterator[SlackOnThisMachine]:
    """``python -m sandbox serve`` on real time, with these users; ``more``: further options."""
    folder.mkdir(parents=True, exist_ok=True)
    roster = folder / "slack-users.json"
    roster.write_text(json.dumps(people), encoding="utf-8")
    # These installations poll a hundred times a minute, to be quick, and read the list of users as often: five times its tier.
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "serve",
        "--no-limits",
        "--port",
        "0",
        "--people",
        str(roster),
    ]
    process = subprocess.Popen(
        [
            *command,
            "--bot",
            f"http://127.0.0.1:{bot_port}",
            "--manifest",
            str(REPOSITORY / "slack-manifest.json"),
            *more,
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield SlackOnThisMachine(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
