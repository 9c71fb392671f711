"""Steered time and scripted people, against a small bot that posts, and that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from starlette.responses import Response

import sandbox
from sandbox.app import PortTaken, listen
from sandbox.clock import SteeredClock
from sandbox.events import BotAway
from sandbox.limits import Limits
from sandbox.people import BadScript, People, read_script
from sandbox.roster import Hours
from sandbox.steering import Steering, SteeringFailed
from tests.contract.sandbox.test_deliveries import payload_of
from tests.contract.sandbox.workspace import (
    MORNING,
    TOKEN,
    FakeBot,
    Running,
    Seen,
    buttons,
    free_port,
    listening,
    running,
)

pytestmark = pytest.mark.anyio
REPLIES = Path(sandbox.__file__).parent.parent / "examples" / "replies.toml"
MORTAL = Path(__file__).with_name("mortal_bot.py")
HOURS = {"U1": Hours(), "U4": Hours()}
UNTIL = MORNING + timedelta(days=10)


class TinyBot(FakeBot):
    """It welcomes everybody once, then sends a tip to each person each day at nine (UTC)."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port)
        self.api = ""
        self.sent: set[str] = set()
        self.rejected: Counter[str] = Counter()
        self.on_tick = self.work
        self.answer = self.hear
        self.heard: list[dict[str, Any]] = []

    async def work(self, now: str) -> str | None:
        when = datetime.fromisoformat(now)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            for user in ("U1", "U4"):
                key = f"{user}-{when.date()}"
                if when.hour == 9 and key not in self.sent:
                    await self.post(session, user, key)
        day = when if when.hour < 9 else when + timedelta(days=1)
        return day.replace(hour=9, minute=0, second=0).isoformat()

    async def post(self, session: aiohttp.ClientSession, user: str, key: str) -> None:
        names = (
            ("tip:do", "tip:not_for_me", "tip:blocked") if self.sent else ("goal:performance", "goal:later")
        )
        body = {
            "channel": user,
            "text": f"A tip for {key}",
            "blocks": buttons(*names),
            "metadata": {"event_type": "fullsteam", "event_payload": {"delivery_id": key}},
        }
        async with session.post(f"{self.api}/api/chat.postMessage", json=body) as response:
            answer = await response.json()
        if answer["ok"]:
            self.sent.add(key)
        else:
            self.rejected[answer["error"]] += 1

    def hear(self, seen: Seen) -> Response:
        self.heard.append(payload_of(seen))
        return Response()


@pytest.fixture
async def bot() -> AsyncIterator[TinyBot]:
    async with listening(TinyBot()) as fake:
        assert isinstance(fake, TinyBot)
        yield fake


async def drive(bot: TinyBot, *, seed: int = 7, until: datetime = UNTIL, **options: Any) -> Running:
    """Ten days with two people; returns the sandbox as it was at the end."""
    async with running(bot=bot, clock=SteeredClock(MORNING), insist=True) as here:
        bot.api = here.slack.url
        script = read_script(REPLIES)
        scripted = People(here.slack, here.sandbox.acts, script, HOURS, seed)
        await Steering(here.slack, here.outbound, scripted, **options).run(until)
    return here


def done(here: Running) -> list[tuple[Any, ...]]:
    """What people did, when."""
    kinds = ("said", "pressed", "commanded", "opened_home")
    return [
        (e["at"], e["kind"], e["user"], e.get("text"), e.get("action_id"))
        for e in here.slack.record.entries
        if e["kind"] in kinds
    ]


async def test_time_goes_to_the_end_in_jumps_and_the_bot_sees_each_step_once(bot: TinyBot) -> None:
    days: list[dict[str, Any]] = []
    here = await drive(bot, on_day=days.append)
    assert here.slack.clock.now() == UNTIL
    assert bot.ticks == sorted(set(bot.ticks))
    assert len(bot.ticks) < 100  # ten days in jumps, not in seconds
    assert [day["day"] for day in days] == [
        (MORNING + timedelta(days=n)).date().isoformat() for n in range(11)
    ]
    totals = here.slack.record.totals()
    assert sum(day["posts"] for day in days) == totals["posts"] == 22
    assert totals["duplicates"] == 0
    assert totals["clicks"] + totals["replies"] > 5


async def test_everything_that_a_person_did_reached_the_bot_and_is_recorded_as_acknowledged(
    bot: TinyBot,
) -> None:
    here = await drive(bot)
    entries = here.slack.record.entries
    acked = [e for e in entries if e["kind"] == "delivery" and e["acked"]]
    assert len(acked) == len(bot.heard) == len(done(here))
    said = {e["ts"] for e in entries if e["kind"] == "said"}
    assert said == {e["ts"] for e in acked if e["what"] == "message"}


async def test_people_act_inside_their_working_hours_on_the_grid(bot: TinyBot) -> None:
    here = await drive(bot)
    assert done(here)
    for at, _kind, user, _text, _action in done(here):
        local = datetime.fromisoformat(at).astimezone(ZoneInfo(here.slack.workspace.users[user].tz))
        assert local.isoweekday() <= 5
        assert local.minute % 5 == local.second == 0
        assert (
            HOURS[user].start
            <= local.time()
            <= (datetime.combine(local, HOURS[user].end) + timedelta(minutes=5)).time()
        )


async def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    runs = []
    for seed in (7, 7, 8):
        async with listening(TinyBot()) as bot:
            assert isinstance(bot, TinyBot)
            runs.append(done(await drive(bot, seed=seed)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_many_abreast_do_what_they_do_one_by_one() -> None:
    runs = []
    for abreast in (1, 8):
        async with listening(TinyBot()) as bot:
            assert isinstance(bot, TinyBot)
            runs.append(sorted(done(await drive(bot, abreast=abreast)), key=str))
    assert runs[0] == runs[1]


async def with_a_mortal_bot(folder: Path, deaths: list[int]) -> tuple[Running, list[str], int]:
    """The same ten days with a bot that dies in the middle of its n-th requests and is started again."""
    folder.mkdir()
    port, starts = free_port(), 0

    async def live() -> None:
        nonlocal starts
        while True:
            starts += 1
            command = [str(MORTAL), str(port), str(folder), TOKEN, *map(str, deaths)]
            process = await asyncio.create_subprocess_exec(sys.executable, *command)
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async with running(bot=FakeBot(port=port), clock=SteeredClock(MORNING), insist=True) as here:
        (folder / "api").write_text(here.slack.url)
        People(here.slack, here.sandbox.acts, read_script(REPLIES), HOURS, 7)
        life = asyncio.create_task(live())
        try:
            await Steering(here.slack, here.outbound).run(UNTIL)
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
    return here, (folder / "requests").read_text().splitlines(), starts


async def test_a_bot_that_dies_and_comes_back_meets_the_same_people_and_loses_nothing(tmp_path: Path) -> None:
    calm, requests, _starts = await with_a_mortal_bot(tmp_path / "calm", [])
    said = [n for n, path in enumerate(requests, start=1) if path == "/slack/events"]
    ticks = [n for n, path in enumerate(requests, start=1) if path == "/clock"]
    # Each death adds a request, so these strike near, not exactly on, what they were counted on: both kinds are hit.
    deaths = sorted({ticks[0], *said[:6:2], *said[-3:-1]})
    stormy, _requests, starts = await with_a_mortal_bot(tmp_path / "stormy", deaths)
    assert starts == 1 + len(deaths)
    doings = [row for row in done(stormy) if row[1] != "pressed"]
    assert doings == [row for row in done(calm) if row[1] != "pressed"]
    # A press that got no answer is pressed again at the same instant: the bot hears of it, perhaps twice.
    assert {row for row in done(stormy) if row[1] == "pressed"} == {
        row for row in done(calm) if row[1] == "pressed"
    }
    totals = stormy.slack.record.totals()
    assert (totals["posts"], totals["duplicates"]) == (calm.slack.record.totals()["posts"], 0)
    heard = (tmp_path / "stormy" / "heard").read_text()
    written = [e["ts"] for e in stormy.slack.record.entries if e["kind"] == "said"]
    assert all(ts in heard for ts in written)
    unheard = [e for e in stormy.slack.record.entries if e["kind"] == "delivery" and not e["acked"]]
    assert all(e["reason"] == "connection_failed" for e in unheard)
    assert unheard


async def test_a_lost_answer_to_a_post_is_a_double_in_the_totals_if_the_bot_posts_again(bot: TinyBot) -> None:
    async with running(bot=bot, clock=SteeredClock(MORNING), insist=True) as here:
        bot.api = here.slack.url
        for payload in (
            {"delivery_id": "one"},
            {"delivery_id": "two"},
            {"id": "two"},
            {"other": "two"},
            {"id": "one"},
        ):
            meta = {"event_type": "t", "event_payload": payload}
            await here.call(
                "chat.postMessage", channel=f"U{1 if 'id' in payload else 4}", text="x", metadata=meta
            )
        assert here.slack.record.totals()["duplicates"] == 2


async def test_an_entry_of_a_menu_goes_by_the_name_before_the_bar() -> None:
    names = ("tip:why", "tip:remind", "unknown")
    menu_options = [{"text": {"type": "plain_text", "text": n}, "value": f"{n}|d1"} for n in names]
    blocks = [
        {"type": "actions", "elements": [{"type": "overflow", "action_id": "menu", "options": menu_options}]}
    ]
    async with listening(FakeBot()) as bot, running(bot=bot, clock=SteeredClock(MORNING)) as here:
        People(here.slack, here.sandbox.acts, read_script(REPLIES), HOURS, 1)
        here.slack.limits.on = False
        for n in range(60):
            await here.call("chat.postMessage", channel="U1", text=f"tip {n}", blocks=blocks)
        await Steering(here.slack, here.outbound).run(MORNING + timedelta(days=5))
        pressed = Counter(e["value"] for e in here.slack.record.entries if e["kind"] == "pressed")
    assert pressed["tip:remind|d1"] > 2
    assert pressed.keys() <= {"tip:remind|d1", "tip:why|d1"}


async def test_a_message_that_came_twice_is_answered_once() -> None:
    once: list[int] = []
    for times in (1, 2):
        async with listening(FakeBot()) as bot, running(bot=bot, clock=SteeredClock(MORNING)) as here:
            People(here.slack, here.sandbox.acts, read_script(REPLIES), HOURS, 1)
            here.slack.limits.on = False
            for n in range(30):
                meta = {"event_type": "t", "event_payload": {"delivery_id": f"{n}"}}
                for _ in range(times):
                    await here.call(
                        "chat.postMessage", channel="U1", text="x", blocks=buttons("tip:do"), metadata=meta
                    )
            before = len(here.slack.agenda)
            once.append(before)
    assert once[0] == once[1] > 10


async def test_time_stands_still_while_the_bot_is_away_and_the_sandbox_gives_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sandbox.steering.INSIST_FOR", 0.2)
    async with running(bot=FakeBot(port=free_port()), clock=SteeredClock(MORNING), insist=True) as here:
        with pytest.raises(BotAway, match=r"is not reached"):
            await Steering(here.slack, here.outbound).run(UNTIL)
        assert here.slack.clock.now() == MORNING


async def test_a_press_that_was_refused_is_pressed_again(bot: TinyBot) -> None:
    refusals = iter([500, 500])
    bot.answer = lambda seen: (
        Response(status_code=next(refusals, 200)) if b"payload" in seen.body else Response()
    )
    here = await drive(bot, until=MORNING + timedelta(days=3))
    tries = [e for e in here.slack.record.entries if e["kind"] == "delivery" and e["what"] == "block_actions"]
    assert [e["status"] for e in tries[:3]] == [500, 500, 200]
    assert len({(e["user"], e["ts"], e["action_id"]) for e in tries[:3]}) == 1
    assert len({e["key"] for e in tries}) == len(tries)  # each press has a trigger of its own


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _request: Response("{}", 404), "steered clock"),
        (lambda _request: Response("done", 200), "next_due"),
        (lambda _request: Response('{"next_due": 7}', 200), "next_due"),
    ],
)
async def test_a_bot_that_does_not_follow_the_clock_is_told_why(answer: Any, why: str) -> None:
    class Deaf(FakeBot):
        async def serve_clock(self, request: Any) -> Response:
            return answer(request)

    async with listening(Deaf()) as deaf, running(bot=deaf, clock=SteeredClock(MORNING), insist=True) as here:
        with pytest.raises(SteeringFailed, match=why):
            await Steering(here.slack, here.outbound).run(UNTIL)


async def test_a_bot_that_always_asks_for_now_does_not_stop_time(bot: TinyBot) -> None:
    bot.on_tick = lambda now: now
    async with running(bot=bot, clock=SteeredClock(MORNING), insist=True) as here:
        await Steering(here.slack, here.outbound).run(MORNING + timedelta(seconds=20))
        assert here.slack.clock.now() == MORNING + timedelta(seconds=20)


async def test_a_person_fills_in_a_modal_and_follows_new_buttons() -> None:
    modal = {
        "type": "modal",
        "callback_id": "why",
        "title": {"type": "plain_text", "text": "Why"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "label": {"type": "plain_text", "text": "Words"},
                "element": {"type": "plain_text_input", "action_id": "text", "max_length": 40},
            }
        ],
    }
    async with (
        listening(FakeBot()) as bot,
        running(bot=bot, clock=SteeredClock(MORNING), limits=Limits(on=False)) as here,
    ):
        script = read_script(REPLIES)
        People(here.slack, here.sandbox.acts, script, HOURS, 1)
        steering = Steering(here.slack, here.outbound)
        for n in range(40):
            meta = {"event_type": "t", "event_payload": {"delivery_id": str(n)}}
            post = await here.call(
                "chat.postMessage", channel="U1", text="tip", blocks=buttons("tip:blocked"), metadata=meta
            )
            await here.call(
                "chat.update", channel="D1", ts=post["ts"], text="kind?", blocks=buttons("blocked:access")
            )
            await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=modal)
            await steering.run(here.slack.clock.now() + timedelta(days=1))
        pressed = Counter(e["action_id"] for e in here.slack.record.entries if e["kind"] == "pressed")
        submitted = [e for e in here.slack.record.entries if e["kind"] == "submitted"]
    assert pressed["blocked:access"] > 20
    assert 20 < len(submitted) < 40
    assert all(0 < len(value["text"]["value"]) <= 40 for e in submitted for value in e["values"].values())


def test_the_example_script_is_a_bank_of_what_people_write() -> None:
    script = read_script(REPLIES)
    lines = [line for bank in script.lines.values() for texts in bank.values() for line in texts]
    assert len(set(lines)) >= 60
    assert {"en", "de", "fr", "es"} <= script.lines.keys()
    assert {"stop", "pause until Monday", "delete that"} <= set(lines)
    goals = script.rule_for(frozenset({"goal:performance", "goal:later"}))
    assert goals is not None
    assert goals.weights["ignore"] + goals.weights["reply"] < sum(goals.weights.values()) / 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[lines.en]\nok = ['ok']\n[[rule]]\nreply = -1", "number, 0 or more"),
        ("[lines.en]\nok = ['ok']\n[[rule]]\nreply = 1", "needs words"),
        ("[lines.en]\nok = ['ok']\n[[rule]]\nreply = 1\nwords = {nope = 1}", "no lines of kind 'nope'"),
        ("[lines.en]\nok = ['ok']\n[[rule]]\nafter = ['2h', '5m']", "the least"),
        ("[lines.en]\nok = ['ok']\n[[rule]]\ncolour = 1", "unknown key 'colour'"),
        ("[lines.de]\nok = ['ok']", "lines.en is missing"),
        ("[lines.en]\nok = []", "a list of texts"),
        ("grid_minutes = 0\n[lines.en]\nok = ['ok']", "grid_minutes"),
        ("not toml", "replies.toml"),
    ],
)
def test_a_script_that_cannot_be_read_says_where_and_why(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "replies.toml"
    path.write_text(text)
    with pytest.raises(BadScript, match=why):
        read_script(path)


PEOPLE = {
    "users": [
        {"id": "U1", "name": "ann", "email": "ann@firm.example", "tz": "Europe/Berlin"},
        {
            "id": "U4",
            "name": "cleo",
            "tz": "America/Chicago",
            "work": {"start": "08:00", "end": "12:00", "days": [1, 2]},
        },
    ],
    "channels": [{"name": "sales", "members": ["U1", "U4"]}],
}


async def test_the_command_drives_a_bot_and_reports(bot: TinyBot, tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text(json.dumps(PEOPLE))
    reports = []
    for number in range(2):
        bot.sent.clear()
        report, record = tmp_path / f"report{number}.json", tmp_path / f"record{number}.jsonl"
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "sandbox",
                "drive",
                "--bot",
                bot.url,
                "--bot-token",
                TOKEN,
                "--seed",
                "3",
            ),
            *("--from", "2017-03-01T08:00:00Z", "--until", "2017-03-09T00:00:00Z"),
            *("--people", str(tmp_path / "people.json"), "--script", str(REPLIES)),
            *("--report", str(report), "--record", str(record)),
            stdout=asyncio.subprocess.PIPE,
            cwd=REPLIES.parent.parent,
        )
        assert process.stdout
        ready = json.loads(await process.stdout.readline())
        assert ready["ready"] is True
        bot.api = ready["url"]
        rest = [json.loads(line) for line in (await process.stdout.read()).splitlines()]
        assert await process.wait() == 0
        assert [line["day"] for line in rest[:-1]] == [f"2017-03-0{n}" for n in range(1, 10)]
        assert (rest[-1]["done"], rest[-1]["ok"], rest[-1]["posts"]) == (True, True, 16)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        reports.append(json.loads(report.read_text()))
        assert reports[-1]["acks"] == sum(1 for line in lines if line["kind"] == "delivery" and line["acked"])
    real = {"seconds": 0, "cpu_seconds": 0, "memory_mib": 0}
    assert {**reports[0], **real} == {**reports[1], **real}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["serve", "--host", "0.0.0.0"], "loopback only"),  # noqa: S104
        (["serve", "--host", "example.com"], "loopback only"),
        (["serve", "--fault", "earthquake"], "unknown fault"),
        (["serve", "--fault", "slow:count=x"], "invalid literal"),
        (["serve", "--clock", "teatime"], "teatime"),
        (["serve", "--people", "/nonexistent.json"], "nonexistent.json"),
        (["serve", "--manifest", "/nonexistent.json"], "nonexistent.json"),
        (
            ["drive", "--bot", "x", "--people", "x", "--from", "2017-01-02", "--until", "2017-01-01"],
            "is not after",
        ),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(arguments: list[str], why: str) -> None:
    command = [sys.executable, "-m", "sandbox", *arguments]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=REPLIES.parent.parent, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert why in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said_in_words() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(PortTaken, match=f"^port {port} is taken: choose another with --port"):
            listen("127.0.0.1", port)


def test_nothing_of_the_bot_is_needed() -> None:
    code = (
        "import sys, sandbox.cli; "
        "print([name for name in sys.modules if name.split('.')[0] in ('bot', 'store', 'slack_sdk', 'slack_bolt', 'sqlalchemy')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPLIES.parent.parent, check=True
    )
    assert ended.stdout.strip() == "[]"
