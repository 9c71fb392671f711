"""A replay whose bot is killed with SIGKILL, again and again, while the people of the sandbox go on answering.

    crash test           writes a Course, runs `python -m tests.crashing COURSE`, reads the Result and the database
      `- supervisor      this module: one thread; has imported and loaded everything, and opened nothing
           |- sandbox    `python -m sandbox drive`: started once, survives; time stands still while the bot is away
           `- bot        forked; opens the database, takes its clock from there, serves; killed; forked again

Half of the bots kill themselves at a point: just before or after a commit, a request to Slack, or an answer to Slack. The
other half are killed by the supervisor some milliseconds of real time after such a point. Which, and when, comes from the
seed; production code knows nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import functools
import gc
import importlib
import json
import mmap
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import event
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.clock import SteeredClock
from bot.connectors.spreadsheet.connector import SpreadsheetConnector, open_spreadsheet
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.directory import SlackDirectory
from bot.delivery.slack import SlackMessenger, connect
from bot.domain.messages import Message
from bot.domain.people import SlackUser
from bot.domain.ports import DndWindow, Envelope, Messenger, Outgoing, Receipt
from bot.domain.programme import Programme
from bot.replay import Plan, Replay, slack_accounts
from bot.sandboxed import Keys, new_keys
from bot.schedule import Job
from bot.services import keep_envelope, reconcile_outbox
from bot.wiring import House, Steered, asgi_of, listening, prepare_replay, served
from store import outbox
from store.database import Database, migrate, open_database

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
IMPORTED_LATE = ("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "psycopg")
"""Modules that are imported while a bot starts; the supervisor does it once, before the first fork."""
ACK_SECONDS = 20.0
"""Real seconds. Generous: on a busy machine a slow answer must not look like a lost one."""
STUCK_SECONDS = 120.0
LAST_KILL = 0.9
"""Share of the replay after which the last bot is killed, about: what a crash left behind has time to come to light."""
ZONES = {"Lisbon": "Europe/Lisbon", "Berlin": "Europe/Berlin", "New York": "America/New_York"}
R = TypeVar("R")


@dataclass(frozen=True)
class Course:
    """What to replay and how to kill. ``kills`` 0: a run without crashes. ``spacing``: mean number of points between two.

    ``aim``: only at points of this name, "what it does: point", and always by its own hand. ``without``: a rule that is
    switched off in the bot (RULES), so that a test sees that it is needed.
    """

    url: str
    folder: str
    company: str
    first: str
    last: str
    seed: int
    kills: int = 0
    spacing: float = 0.0
    aim: str | None = None
    without: str | None = None


@dataclass
class Result:
    """What happened. ``kills``: by kind; ``doing``: what was going on; ``points``: points passed by all bots together.
    ``cpu_seconds``: of the bots and the sandbox, without the database server.

    ``spread``: the simulated instants of the first and the last kill.
    """

    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    doing: dict[str, int] = field(default_factory=dict)
    points: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    spread: list[str] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    record: str = ""

    @property
    def killed(self) -> int:
        """How many bots were killed."""
        return sum(self.kills.values())


# --- the company -----------------------------------------------------------------------------------------------------

TALKATIVE = """
[[daily]]
what = "say"
chance = 0.25
words = { complaint = 8, thanks = 3, question = 2, chatter = 2, pause = 1, delete = 1 }

[[daily]]
what = "command"
command = "/fullsteam feedback Too many fields on the deal form"
chance = 0.06

[[daily]]
what = "command"
command = "/fullsteam pause until tomorrow"
chance = 0.02
"""
EAGER = {
    "ignore = 44": "ignore = 10",
    '"tip:do" = 22': '"tip:do" = 14',
    '"tip:remind" = 6': '"tip:remind" = 14',
    '"tip:not_for_me" = 5': '"tip:not_for_me" = 10',
    '"tip:blocked" = 6': '"tip:blocked" = 24',
    '"tip:why" = 3': '"tip:why" = 10',
}
"""Every reply is one that a crash could lose: our people answer more often, and in more ways, than those of the demo."""


def _replies() -> str:
    script = (EXAMPLES / "replies.toml").read_text(encoding="utf-8")
    for usual, eager in EAGER.items():
        if script.count(usual) != 1:
            raise ValueError(
                f"examples/replies.toml: {usual!r} stands in it {script.count(usual)} times, not once"
            )
        script = script.replace(usual, eager)
    return script + TALKATIVE


def write_company(folder: Path, people: int, first: date, last: date, seed: int) -> None:
    """Files of an invented company: the mapping and programme of the demo, ``people`` sellers with their deals and calls."""
    chance = random.Random(seed)
    demo = EXAMPLES / "demo"
    shutil.copy(demo / "mapping.toml", folder)
    programme = (demo / "programme.toml").read_text(encoding="utf-8")
    pilot = 'pilot_teams = ["maria.lang@example.com"]'
    assert pilot in programme
    (folder / "programme.toml").write_text(programme.replace(pilot, 'pilot_teams = ["*"]'), encoding="utf-8")
    (folder / "replies.toml").write_text(_replies(), encoding="utf-8")
    begin = first - timedelta(days=90)
    bosses = [f"lead{number}.north@example.com" for number in range(1, 1 + max(1, people // 8))]
    offices = list(ZONES)
    roster = [
        [f"Lead{number} North", mail, "", "Sales Director", offices[number % 3], "Mon Tue Wed Thu Fri", begin]
        for number, mail in enumerate(bosses, 1)
    ]
    deals: list[list[object]] = []
    calls: list[list[object]] = []
    for number in range(1, people + 1):
        mail = f"seller{number}.east@example.com"
        boss = bosses[number % len(bosses)].split("@")[0].replace(".", " ").title()
        days = chance.choice(["Mon Tue Wed Thu Fri"] * 4 + ["Mon Tue Wed"])
        started = begin if number % 7 else first - timedelta(days=10)
        roster.append(
            [f"Seller{number} East", mail, boss, "Account Executive", offices[number % 3], days, started]
        )
        names = [f"D-{number}-{count}" for count in range(chance.randint(3, 6))]
        deals.extend(_deal(name, mail, begin, first, chance) for name in names)
        for _ in range(chance.randint(2, 30)):
            day = begin + timedelta(days=chance.randint(0, (last - begin).days))
            calls.append([day, mail, chance.choice(["Call", "Meeting", "E-mail"]), f"D-{number}-0"])
    _write(folder / "people.csv", "Name,Email,Reports to,Title,Office,Works,Started", roster)
    deal = "Deal ID,Deal,Owner,Account,Step,Created,Expected close,Closed,Amount,Next step,In step since"
    _write(folder / "deals.csv", deal, deals)
    _write(folder / "activities.csv", "Date,Who,Kind,Deal", sorted(calls, key=str))


def _deal(name: str, owner: str, begin: date, first: date, chance: random.Random) -> list[object]:
    """A deal, most of them with a blemish that a trigger looks for."""
    created = begin + timedelta(days=chance.randint(0, 60))
    close = first + timedelta(days=chance.randint(-20, 40))
    account = "" if chance.random() < 0.3 else "Falkenberg"
    amount = "" if chance.random() < 0.3 else chance.randint(10, 400) * 100
    following = "" if chance.random() < 0.4 else "Call Tuesday"
    since = created + timedelta(days=chance.randint(0, 20))
    step = chance.choice(["Discovery", "Proposal", "Negotiation"])
    return [name, f"Deal {name}", owner, account, step, created, close, "", amount, following, since]


def _write(path: Path, title: str, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([title.split(","), *rows])


# --- where a bot can be killed ---------------------------------------------------------------------------------------

_SHARED = struct.Struct("=Qd48s48s")


class Shared:
    """A page of memory that a dead bot leaves to the supervisor: points passed, the instant, the point, what it did."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def write(self, points: int, instant: float, point: str, doing: str) -> None:
        """Called by the bot."""
        self._page[: _SHARED.size] = _SHARED.pack(points, instant, point.encode(), doing.encode())

    def read(self) -> tuple[int, float, str, str]:
        """Called by the supervisor."""
        points, instant, point, doing = _SHARED.unpack(self._page[: _SHARED.size])
        return points, instant, point.rstrip(b"\0").decode(), doing.rstrip(b"\0").decode()


class Points:
    """Counts the points that a bot passes, and ends it at one of them: by itself, or by waking the supervisor."""

    def __init__(
        self, shared: Shared, target: int | None, here: bool, waker: int, aim: str | None = None
    ) -> None:
        self._shared, self._target, self._here, self._waker, self._aim = shared, target, here, waker, aim
        self._lock = threading.Lock()
        self._count = self._aimed = 0
        self._doing = "start"
        self.instant = 0.0
        shared.write(0, 0.0, "", self._doing)

    def at(self, point: str) -> None:
        """The bot is at a point where a crash would be interesting."""
        with self._lock:
            self._count += 1
            self._shared.write(self._count, self.instant, point, self._doing)
            if self._aim is not None and self._aim != f"{self._doing}: {point}":
                return
            self._aimed += 1
            if self._aimed == self._target:
                if self._here:
                    os.kill(os.getpid(), signal.SIGKILL)
                os.write(self._waker, b"k")

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """What the bot is doing: one thing at a time, because the sandbox is master of the clock."""
        with self._lock:
            before, self._doing = self._doing, what
        self.at(f"begin {what}")
        try:
            yield
        finally:
            with self._lock:
                self._doing = before

    async def around(self, name: str, call: Awaitable[R]) -> R:
        """A request to Slack: just before it, and just after its answer."""
        self.at(f"before {name}")
        answer = await call
        self.at(f"after {name}")
        return answer


def watch_commits(database: Database, points: Points) -> None:
    """Points just before and just after every commit of a writing transaction."""
    engine = database._write_engine  # no port has this, and production must not know
    if database.dialect == "sqlite":

        @event.listens_for(engine, "before_cursor_execute")
        def _before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement == "COMMIT":
                points.at("before commit")

        @event.listens_for(engine, "after_cursor_execute")
        def _after(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement == "COMMIT":
                points.at("after commit")

        return
    committed = threading.local()

    @event.listens_for(engine, "commit")
    def _commit(_connection: Any) -> None:
        committed.here = True
        points.at("before commit")

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, _record: Any) -> None:
        if getattr(committed, "here", False):
            committed.here = False
            points.at("after commit")


@dataclass(frozen=True)
class WatchedMessenger:
    """A messenger with points around every request."""

    inner: SlackMessenger
    points: Points

    async def send(self, outgoing: Outgoing) -> Receipt:
        return await self.points.around("post", self.inner.send(outgoing))

    async def update(self, receipt: Receipt, outgoing: Outgoing) -> None:
        await self.points.around("update", self.inner.update(receipt, outgoing))

    async def delete(self, receipt: Receipt) -> None:
        await self.points.around("delete", self.inner.delete(receipt))

    async def find(
        self, delivery: str, channel: str, since: datetime, *, thread: str | None = None
    ) -> Receipt | None:
        return await self.points.around("look", self.inner.find(delivery, channel, since, thread=thread))

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        await self.points.around("respond", self.inner.respond(response_url, message, replace=replace))


@dataclass(frozen=True)
class WatchedDirectory:
    """A directory with points around every request."""

    inner: SlackDirectory
    points: Points

    async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
        async for page in self.inner.users():
            self.points.at("after users")
            yield page

    async def workspace(self) -> str:
        return await self.points.around("workspace", self.inner.workspace())

    async def dnd(self, slack_ids: Sequence[str]) -> Mapping[str, DndWindow]:
        return await self.points.around("dnd", self.inner.dnd(slack_ids))


class WatchedDoor:
    """ASGI: points before and after every answer."""

    def __init__(self, app: ASGIApp, points: Points) -> None:
        self.app, self.points = app, points

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Any) -> None:
            last = message["type"] == "http.response.body"
            if last:
                self.points.at("before answer")
            await send(message)
            if last:
                self.points.at("after answer")

        what = {"/slack/events": "door", "/clock": "clock"}.get(scope.get("path", ""), "other")
        with self.points.doing(what):
            await self.app(scope, receive, watched)


class WatchedHouse(House):
    """A house that says which job it is doing."""

    points: Points

    def jobs(self, parts: Sequence[str]) -> list[Job]:
        """Its jobs, watched."""
        return [Job(job.name, functools.partial(self._watched, job)) for job in super().jobs(parts)]

    async def _watched(self, job: Job, now: datetime) -> datetime | None:
        self.points.instant = now.timestamp()
        with self.points.doing(job.name):
            return await job.run(now)


# --- rules that can be switched off ----------------------------------------------------------------------------------


def _post_again() -> None:
    """What may have been posted is posted again, without a look into the conversation."""

    async def blind(
        messenger: Messenger, row: outbox.OutboxRow, now: datetime
    ) -> tuple[str, outbox.Settlement, bool, datetime | None]:
        return "again", outbox.Settlement(row.id, outbox.READY, None, now), False, None

    reconcile_outbox._look = blind  # a mutant replaces a function of ours in a process of its own


def _acknowledge_first() -> None:
    """Slack is answered before the envelope is committed."""
    keep = keep_envelope.KeptInbox.keep
    running: set[asyncio.Task[bool]] = set()

    async def later(self: keep_envelope.KeptInbox, envelope: Envelope) -> bool:
        task = asyncio.ensure_future(keep(self, envelope))
        running.add(task)
        task.add_done_callback(running.discard)
        return True

    keep_envelope.KeptInbox.keep = later  # type: ignore[method-assign]  # a mutant


RULES: dict[str, Callable[[], None]] = {
    "look before posting again": _post_again,
    "commit before the acknowledgement": _acknowledge_first,
}


# --- a bot -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """What the supervisor loads once, for every bot that it forks."""

    course: Course
    replay: Replay
    programme: Programme
    content: Content
    connector: SpreadsheetConnector

    @property
    def begin(self) -> datetime:
        """When the replay starts: five in the morning where the programme lives."""
        return self._local(self.replay.first, clock_time(5))

    @property
    def until(self) -> datetime:
        """When it ends."""
        return self._local(self.replay.last + timedelta(days=1), clock_time())

    def _local(self, day: date, at: clock_time) -> datetime:
        return datetime.combine(day, at, ZoneInfo(self.programme.zone or "UTC")).astimezone(UTC)

    def plan(self, database: Database, clock: SteeredClock) -> Plan:
        """The replay, with this database."""
        return Plan(
            self.replay,
            self.programme,
            self.content,
            self.connector,
            database,
            clock,
            self.begin,
            self.until,
        )


def loaded(course: Course) -> Loaded:
    """Read the company's files, the content and the programme."""
    company = Path(course.company)
    replay = Replay(
        mapping=company / "mapping.toml",
        first=date.fromisoformat(course.first),
        last=date.fromisoformat(course.last),
        seed=course.seed,
        script=company / "replies.toml",
    )
    content = load()
    programme = load_programme(company / "programme.toml", content.behaviours)
    connector = open_spreadsheet(replay.mapping, company, settle=timedelta(0))
    return Loaded(course, replay, programme, content, connector)


async def live(house: Loaded, api_url: str, port: int, keys: Keys, points: Points) -> None:
    """Be the bot: open the database, go on where its clock stands, serve until killed."""
    # No fsync: a kill loses nothing that the kernel has, and power is not what is tested here.
    database = open_database(house.course.url, durable=False)
    watch_commits(database, points)
    at = await prepare_replay(database, house.programme, house.connector, house.replay.mark(), house.begin)
    clock = SteeredClock(at)
    async with connect(keys.bot_token, api_url=api_url) as connection:
        messenger = WatchedMessenger(SlackMessenger(connection), points)
        directory = WatchedDirectory(SlackDirectory(connection.reading), points)
        built = house.plan(database, clock).house(messenger, directory)
        watched = WatchedHouse(**{each.name: getattr(built, each.name) for each in fields(built)})
        watched.points = points
        app = asgi_of(watched, connection, keys.signing_secret, steer=Steered(watched, clock).advance)
        app.add_middleware(WatchedDoor, points=points)
        async with served(app, listening("127.0.0.1", port)):
            points.at("begin serving")
            await asyncio.Event().wait()


# --- the supervisor --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _nothing_after() -> Iterator[None]:
    """End this process with the block, whatever happens in it: a forked bot must not go on as a supervisor."""
    try:
        yield
    finally:
        if sys.exception() is not None:
            traceback.print_exc()
        os._exit(os.EX_SOFTWARE)


class Supervisor:
    """Runs one course to its end."""

    def __init__(self, course: Course) -> None:
        for name in IMPORTED_LATE:
            importlib.import_module(name)
        self.course = course
        self.house = loaded(course)
        self.keys = new_keys()
        # What is loaded is never garbage: a bot that looks for some would copy all these pages.
        gc.collect()
        gc.freeze()
        self.chance = random.Random(f"kills {course.seed}")
        self.result = Result(course.seed, record=str(Path(course.folder) / "record.jsonl"))
        self.kinds: Counter[str] = Counter()
        self.doing: Counter[str] = Counter()
        # Bound, never listening: nobody else gets the port between two bots.
        self.kept_port = socket.socket()
        self.kept_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.kept_port.bind(("127.0.0.1", 0))
        self.port = self.kept_port.getsockname()[1]
        self.shared = Shared()
        self.unread = b""
        self.instant = 0.0

    def run(self) -> Result:
        """From the first fork to the end of the replay."""
        started = time.monotonic()
        sandbox = self._start_sandbox()
        assert sandbox.stdout is not None
        try:
            ready = json.loads(sandbox.stdout.readline())
            os.set_blocking(sandbox.stdout.fileno(), False)
            api_url = f"{ready['url']}/api/"
            while not self._one_life(api_url, sandbox):
                pass
        finally:
            if sandbox.poll() is None:
                sandbox.terminate()
            sandbox.wait()
        self.result.kills = dict(sorted(self.kinds.items()))
        self.result.doing = dict(sorted(self.doing.items()))
        self.result.seconds = round(time.monotonic() - started, 2)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.result.cpu_seconds = round(used.ru_utime + used.ru_stime, 2)
        return self.result

    def _start_sandbox(self) -> subprocess.Popen[bytes]:
        folder, house = Path(self.course.folder), self.house
        accounts = asyncio.run(_accounts(house))
        (folder / "slack.json").write_text(json.dumps({"users": accounts}), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "sandbox", "drive", "--port", "0"),
            *("--bot", f"http://127.0.0.1:{self.port}", "--ack-seconds", str(ACK_SECONDS)),
            *("--from", house.begin.isoformat(), "--until", house.until.isoformat()),
            *("--people", str(folder / "slack.json"), "--script", str(house.replay.script_file)),
            *("--seed", str(self.course.seed), "--record", self.result.record),
            *("--bot-token", self.keys.bot_token, "--signing-secret", self.keys.signing_secret),
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=EXAMPLES.parent)

    def _one_life(self, api_url: str, sandbox: subprocess.Popen[bytes]) -> bool:
        """Fork a bot and wait for its end, or for that of the replay: True then."""
        target, here = self._fate()
        awake, waker = os.pipe()
        pid = self._fork(api_url, target, here, waker, awake)
        os.close(waker)
        wait = selectors.DefaultSelector()
        assert sandbox.stdout is not None
        wait.register(awake, selectors.EVENT_READ)
        wait.register(sandbox.stdout, selectors.EVENT_READ)
        try:
            while True:
                ready = [key.fd for key, _ in wait.select(STUCK_SECONDS)]
                if not ready:
                    raise RuntimeError(
                        f"nothing has happened for {STUCK_SECONDS:.0f} s: {self.shared.read()}"
                    )
                if sandbox.stdout.fileno() in ready and self._done(sandbox):
                    return True
                if awake in ready:
                    self._bury(pid, os.read(awake, 1) == b"k")
                    return False
        finally:
            wait.close()
            os.close(awake)
            with contextlib.suppress(ChildProcessError, ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self.result.points += self.shared.read()[0]

    def _fate(self) -> tuple[int | None, bool]:
        """At which point a bot dies, and whether it does so itself."""
        done = sum(self.kinds.values())
        if done >= self.course.kills:
            return None, False
        # Kills are spread over the whole replay, however much of it a life repeats.
        length = (self.house.until - self.house.begin).total_seconds()
        passed = max(0.0, self.instant - self.house.begin.timestamp()) / length
        hurry = 0.5 if passed > LAST_KILL * done / self.course.kills else 1.5
        points = 1 + int(self.chance.random() * 2 * self.course.spacing * hurry)
        return points, done % 2 == 0 or self.course.aim is not None

    def _fork(self, api_url: str, target: int | None, here: bool, waker: int, awake: int) -> int:
        assert threading.active_count() == 1
        pid = os.fork()
        if pid:
            return pid
        with _nothing_after():
            os.close(awake)
            if self.course.without is not None:
                RULES[self.course.without]()
            points = Points(self.shared, target, here, waker, self.course.aim)
            asyncio.run(live(self.house, api_url, self.port, self.keys, points))
        raise AssertionError("a bot does not come back")

    def _bury(self, pid: int, woken: bool) -> None:
        """Kill a bot that asked for it, after a while; count how it died. One that died otherwise is an error."""
        if woken:
            time.sleep(self.chance.random() ** 2 * 0.03)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        _, instant, point, doing = self.shared.read()
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise RuntimeError(f"the bot ended by itself with {status} while it did {doing} at {point!r}")
        self.kinds["at a random time" if woken else point] += 1
        self.doing[doing] += 1
        self.instant = max(self.instant, instant)
        if instant:
            at = datetime.fromtimestamp(instant, UTC).isoformat()
            self.result.spread = [*self.result.spread[:1], at]

    def _done(self, sandbox: subprocess.Popen[bytes]) -> bool:
        """Read the sandbox's lines; True when the replay is over. Raises RuntimeError when it failed."""
        assert sandbox.stdout is not None
        text = sandbox.stdout.read() or b""
        if not text and sandbox.poll() is not None:
            raise RuntimeError(f"the sandbox stopped with {sandbox.returncode}")
        *lines, self.unread = (self.unread + text).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if told.get("done"):
                if not told["ok"]:
                    raise RuntimeError("the sandbox gave up on the bot")
                self.result.totals = told
                return True
        return False


async def _accounts(house: Loaded) -> list[dict[str, Any]]:
    return await slack_accounts(house.programme, house.connector, house.replay.last)


# --- for the tests ---------------------------------------------------------------------------------------------------


def run_course(course: Course) -> Result:
    """Run a course in a process of its own, which is the single-threaded parent of all bots. Raises RuntimeError if it fails."""
    migrate(course.url)
    folder = Path(course.folder)
    (folder / "course.json").write_text(json.dumps(asdict(course)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.crashing", str(folder / "course.json")],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "said.txt").write_text(done.stderr, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"the course failed:\n{done.stderr[-6000:]}")
    return Result(**json.loads((folder / "result.json").read_text(encoding="utf-8")))


def main(path: Path) -> None:
    """Entry point of `python -m tests.crashing COURSE`."""
    course = Course(**json.loads(path.read_text(encoding="utf-8")))
    result = Supervisor(course).run()
    (path.parent / "result.json").write_text(json.dumps(asdict(result), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
