"""What the page asks the sandbox for: files, what a person sees, what happens live, time, and the app's decisions."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from starlette.responses import Response
from yarl import URL

from sandbox.clock import RealClock, SteeredClock
from sandbox.page import server
from sandbox.reacting import Reacting
from sandbox.roster import Hours
from tests.contract.sandbox.workspace import MORNING, TOKEN, FakeBot, Running, buttons, listening, running

pytestmark = pytest.mark.anyio
HOUR, DAY = 3600, 86_400


@pytest.fixture
async def bot() -> AsyncIterator[FakeBot]:
    async with listening(FakeBot(decided={"U1": {"name": "Ann Lee", "decisions": []}})) as fake:
        yield fake


@pytest.fixture
async def here(bot: FakeBot) -> AsyncIterator[Running]:
    async with running(bot=bot, clock=SteeredClock(MORNING)) as it:
        yield it


async def look(here: Running, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with here.session.get(f"{here.slack.url}{path}", headers=headers) as response:
        return response.status, await response.json()


class Heard:
    """What one open page has heard."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def wait(self, what: str, **about: Any) -> dict[str, Any]:
        """The first event of this type that has these fields, within three seconds; it and those before it are gone."""
        async with asyncio.timeout(3):
            while True:
                for at, event in enumerate(self.events):
                    if event["type"] == what and all(event.get(key) == value for key, value in about.items()):
                        del self.events[: at + 1]
                        return event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def page_of(here: Running, user: str) -> AsyncIterator[Heard]:
    """The stream of one open page."""
    heard = Heard()
    async with here.session.get(f"{here.slack.url}/sandbox/page/stream?user={user}") as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")

        async def listen() -> None:
            async for line in response.content:
                if line.startswith(b"data: "):
                    heard.events.append(json.loads(line[6:]))

        task = asyncio.create_task(listen())
        try:
            await heard.wait("clock")
            yield heard
        finally:
            task.cancel()


async def until(so: Callable[[], bool]) -> None:
    """Wait until it is so, five seconds at most."""
    async with asyncio.timeout(5):
        while not so():  # noqa: ASYNC110 # what is waited for has no event
            await asyncio.sleep(0.01)


async def idle(here: Running) -> None:
    """Wait until time stands still."""
    await until(lambda: here.sandbox.pilot.journey is None)


# Files


async def test_the_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(here: Running) -> None:
    async with here.session.get(here.slack.url + "/") as response:
        text = await response.text()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/html")
        policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in text
    assert "<style" not in text
    assert "style=" not in text


async def test_every_file_that_the_page_asks_for_is_there(here: Running) -> None:
    for name, kind in (
        ("main.js", "text/javascript"),
        ("style.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ):
        async with here.session.get(f"{here.slack.url}/page/{name}") as response:
            assert response.status == 200
            assert response.headers["content-type"].startswith(kind)
            assert response.headers["x-content-type-options"] == "nosniff"
    scripts = {path.name: path.read_text(encoding="utf-8") for path in server.STATIC.glob("*.js")}
    for name, text in scripts.items():
        for line in text.splitlines():
            if line.startswith("import "):
                asked = line.rsplit("'./", 1)[1].split("'")[0]
                assert asked in scripts, f"{name} imports {asked}"


def test_no_script_of_the_page_reads_html_or_runs_text() -> None:
    ways = r"\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|DOMParser"
    for path in server.STATIC.glob("*.js"):
        assert not re.search(ways, path.read_text(encoding="utf-8")), path.name


async def test_there_are_no_other_files(here: Running) -> None:
    for name in ("nothing.js", "..%2fserver.py", "%2e%2e%2fserver.py", "server.py", ".%00.js"):
        async with here.session.get(URL(f"{here.slack.url}/page/{name}", encoded=True)) as response:
            assert response.status == 404, name


# What a person sees


async def test_whom_one_can_be_is_told_with_role_team_and_zone(here: Running) -> None:
    await here.do("users", name="rep", real_name="Rita Rep", role="rep", team="North", tz="Asia/Kolkata")
    _status, told = await look(here, "/sandbox/page/workspace")
    rita = next(each for each in told["people"] if each["handle"] == "rep")
    assert (rita["name"], rita["role"], rita["team"], rita["zone"]) == (
        "Rita Rep",
        "rep",
        "North",
        "Asia/Kolkata",
    )
    assert rita["messages"] == 0
    await here.call("chat.postMessage", channel=rita["id"], text="hello")
    _status, told = await look(here, "/sandbox/page/workspace")
    assert next(each for each in told["people"] if each["handle"] == "rep")["messages"] == 1
    assert next(each for each in told["people"] if each["id"] == "U2")["gone"]
    assert told["clock"]["steered"]
    assert told["clock"]["now"] == MORNING.isoformat()


async def test_a_tip_waits_until_it_is_answered_or_two_days_old(here: Running) -> None:
    async def waits() -> str:
        _status, told = await look(here, "/sandbox/page/workspace")
        return str(next(each for each in told["people"] if each["id"] == "U1")["waiting"])

    async def gets(action: str) -> str:
        blocks = buttons(action)
        return str((await here.call("chat.postMessage", channel="U1", text="Well?", blocks=blocks))["ts"])

    async def passes(hours: float) -> None:
        await here.do("clock", advance=hours * HOUR)

    assert await waits() == ""
    await gets("goal:later")
    assert await waits() == ""
    await passes(1)
    tip = await gets("tip:do")
    assert await waits() == tip
    await here.do("say", user="U1", text="Done", thread_ts=tip)
    assert await waits() == ""
    await passes(1)
    second = await gets("tip:do")
    assert await waits() == second
    await passes(1)
    await here.call("chat.update", channel="D1", ts=second, text="Noted", blocks=buttons("tip:do"))
    assert await waits() == ""
    await passes(1)
    third = await gets("tip:remind")
    assert await waits() == third
    await passes(49)
    assert await waits() == ""


async def test_what_the_manifest_offers_is_offered(here: Running) -> None:
    here.slack.manifest = {
        "display_information": {"name": "Helping Hand", "description": "Helps"},
        "features": {
            "slash_commands": [{"command": "/hand", "description": "Ask", "usage_hint": "help | me"}],
            "shortcuts": [{"name": "Pass on", "type": "message", "callback_id": "pass", "description": "On"}],
        },
    }
    _status, told = await look(here, "/sandbox/page/workspace")
    app = told["app"]
    assert app["name"] == "Helping Hand"
    assert app["commands"] == [{"command": "/hand", "description": "Ask", "hint": "help | me"}]
    assert app["shortcuts"][0]["callback_id"] == "pass"


async def test_the_conversation_with_the_app_is_there_before_anybody_wrote(here: Running) -> None:
    _status, told = await look(here, "/sandbox/page/conversations?user=U1")
    assert [(each["id"], each["unread"]) for each in told["conversations"]] == [("D1", 0)]
    status, told = await look(here, "/sandbox/page/messages?user=U1&channel=D1")
    assert (status, told["messages"]) == (200, [])


async def test_what_came_is_unread_until_it_is_read_or_answered(here: Running) -> None:
    async def unread() -> int:
        _status, told = await look(here, "/sandbox/page/conversations?user=U1")
        return int(told["conversations"][0]["unread"])

    first = await here.call("chat.postMessage", channel="U1", text="one")
    await here.call("chat.postMessage", channel="U1", text="two")
    assert await unread() == 2
    await here.do("page/read", user="U1", channel="D1", ts=first["ts"])
    assert await unread() == 1
    await here.do("say", user="U1", text="thanks")
    assert await unread() == 0
    await here.do("page/read", user="U1", channel="D1", ts=first["ts"], unread=True)
    assert await unread() == 2


async def test_a_person_sees_their_own_conversations_only(here: Running) -> None:
    await here.call("chat.postMessage", channel="U4", text="for Cleo")
    secret = (await here.do("channels", name="secret", members=["U4"], is_private=True))["id"]
    for channel in ("D4", secret):
        status, told = await look(here, f"/sandbox/page/messages?user=U1&channel={channel}")
        assert (status, told["error"]) == (404, "not_found")
    _status, told = await look(here, "/sandbox/page/conversations?user=U1")
    assert [each["id"] for each in told["conversations"]] == ["D1"]


async def test_messages_come_in_pages_without_the_replies_in_threads(here: Running) -> None:
    sent = []
    for number in range(5):
        await here.do("clock", advance=60)
        sent.append((await here.call("chat.postMessage", channel="U1", text=f"{number}"))["ts"])
    await here.call("chat.postMessage", channel="D1", thread_ts=sent[0], text="reply")
    _status, told = await look(here, "/sandbox/page/messages?user=U1&channel=D1&limit=2")
    assert [each["text"] for each in told["messages"]] == ["3", "4"]
    assert told["more"]
    _status, told = await look(here, f"/sandbox/page/messages?user=U1&channel=D1&limit=9&before={sent[3]}")
    assert [each["text"] for each in told["messages"]] == ["0", "1", "2"]
    assert not told["more"]
    assert told["messages"][0]["reply_count"] == 1
    _status, told = await look(here, f"/sandbox/page/thread?user=U1&channel=D1&ts={sent[0]}")
    assert [each["text"] for each in told["messages"]] == ["0", "reply"]


async def test_what_only_one_person_sees_is_shown_to_nobody_else(here: Running) -> None:
    channel = (await here.do("channels", name="both", members=["U1", "U4"]))["id"]
    await here.call("chat.postEphemeral", channel=channel, user="U1", text="psst")
    for user, seen in (("U1", ["psst"]), ("U4", [])):
        _status, told = await look(here, f"/sandbox/page/messages?user={user}&channel={channel}")
        assert [each["text"] for each in told["messages"]] == seen
        assert all(each["ephemeral"] for each in told["messages"])


async def test_who_or_what_is_not_there_is_not_found(here: Running) -> None:
    for path in (
        "conversations?user=U9",
        "conversations?user=U3",
        "conversations?user=U0SANDBOXBOT",
        "stream?user=U9",
        "views?user=%00",
        "messages?user=U1&channel=C9",
        "thread?user=U1&channel=D1&ts=1.000000",
    ):
        status, told = await look(here, f"/sandbox/page/{path}")
        assert (status, told["error"]) == (404, "not_found"), path


async def test_what_cannot_be_read_is_a_bad_request(here: Running) -> None:
    await here.call("chat.postMessage", channel="U1", text="one")
    for path in ("conversations", "messages?user=U1", "messages?user=U1&channel=D1&limit=many"):
        status, told = await look(here, f"/sandbox/page/{path}")
        assert (status, told["error"]) == (400, "bad_request"), path


# Live


async def test_a_page_hears_what_its_person_can_see(here: Running) -> None:
    async with page_of(here, "U1") as ann, page_of(here, "U4") as cleo:
        posted = await here.call("chat.postMessage", channel="U1", text="hello", blocks=buttons("go"))
        event = await ann.wait("message", kind="posted")
        assert event["message"]["text"] == "hello"
        await here.call("chat.update", channel="D1", ts=posted["ts"], text="changed")
        assert (await ann.wait("message", kind="updated"))["message"]["text"] == "changed"
        await here.call("chat.postMessage", channel="D1", thread_ts=posted["ts"], text="reply")
        assert (await ann.wait("message", kind="posted"))["parent"]["reply_count"] == 1
        await here.do("react", user="U1", channel="D1", message_ts=posted["ts"], name="eyes")
        reacted = await ann.wait("message", kind="reacted")
        assert reacted["message"]["reactions"][0]["users"] == ["U1"]
        await here.do("react", user="U1", channel="D1", message_ts=posted["ts"], name="eyes", remove=True)
        assert "reactions" not in (await ann.wait("message", kind="reacted"))["message"]
        await here.call("chat.delete", channel="D1", ts=posted["ts"])
        await ann.wait("message", kind="deleted")
        await here.call("chat.postMessage", channel="U4", text="for Cleo")
        assert (await cleo.wait("message"))["message"]["text"] == "for Cleo"
        assert ann.events == []


async def test_a_page_hears_of_modals_home_people_and_what_another_tab_has_read(here: Running) -> None:
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Ask"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Well?"}}],
    }
    async with page_of(here, "U1") as ann:
        await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=view)
        assert len((await ann.wait("modals"))["modals"]) == 1
        await here.do("close", user="U1")
        assert (await ann.wait("modals"))["modals"] == []
        await here.call("views.publish", user_id="U1", view={"type": "home", "blocks": view["blocks"]})
        assert (await ann.wait("home"))["view"]["type"] == "home"
        await here.do("users", name="newcomer")
        await ann.wait("people")
        posted = await here.call("chat.postMessage", channel="U1", text="hello")
        await here.do("page/read", user="U1", channel="D1", ts=posted["ts"])
        assert (await ann.wait("read"))["ts"] == posted["ts"]


async def test_who_is_flooded_reads_again_and_nothing_piles_up(here: Running) -> None:
    listener = here.sandbox.page.stream
    async with page_of(here, "U1") as ann:
        for number in range(1_000):
            listener.tell("U1", {"type": "read", "channel": "D1", "ts": str(number)})
        await ann.wait("reset")
        assert len(ann.events) < 400


async def test_a_page_that_is_closed_is_forgotten(here: Running) -> None:
    async with page_of(here, "U1"):
        assert len(here.sandbox.page.stream.listeners) == 1
    await until(lambda: not here.sandbox.page.stream.listeners)


class Silent(Reacting):
    """People who do nothing unless they are told to."""

    def plan_day(self, day: date) -> None: ...
    def about(self, *_: Any) -> None: ...
    def about_modal(self, *_: Any) -> None: ...


class Noticing(Silent):
    """People of whom one sees what they look at."""

    def __init__(self, here: Running) -> None:
        hours = {user: Hours() for user in ("U1", "U4")}
        super().__init__(here.slack, here.sandbox.acts, hours, seed=1, grid=60)
        self.looked: list[str] = []

    def about(self, user: str, *_: Any) -> None:
        self.looked.append(user)


async def test_who_has_been_played_stays_the_visitors_when_the_page_is_closed(here: Running) -> None:
    people = Noticing(here)
    await here.call("chat.postMessage", channel="U1", text="before anybody came")
    async with page_of(here, "U1"):
        await here.call("chat.postMessage", channel="U1", text="while somebody is here")
    await until(lambda: not here.sandbox.page.stream.listeners)
    for user in ("U1", "U4"):
        await here.call("chat.postMessage", channel=user, text="afterwards")
    assert people.looked == ["U1", "U4"]

    done: list[str] = []

    async def act() -> Any:
        done.append("acted")

    people.later(here.slack.clock.seconds(), "U1", act, again=False)
    for appointment in here.slack.agenda.take_due(here.slack.clock.seconds()):
        await appointment.do()
    assert done == []


async def test_nobody_acts_for_a_person_whom_somebody_plays(here: Running) -> None:
    people = Silent(here.slack, here.sandbox.acts, {}, seed=1, grid=60)
    done: list[str] = []

    def later(user: str) -> None:
        async def act() -> Any:
            done.append(user)
            return await here.sandbox.acts.say(user, "by myself")

        people.later(here.slack.clock.seconds(), user, act, again=False)

    async with page_of(here, "U1"):
        later("U1")
        later("U4")
        for appointment in here.slack.agenda.take_due(here.slack.clock.seconds()):
            await appointment.do()
    assert done == ["U4"]


# Acting from the page


JSON_KIND, FORM_KIND = "application/json", "application/x-www-form-urlencoded"


async def test_another_site_cannot_act_through_the_browser(here: Running) -> None:
    own = here.slack.url
    for headers, status in (
        ({"Origin": "https://evil.example", "Content-Type": JSON_KIND}, 403),
        ({"Origin": "null", "Content-Type": JSON_KIND}, 403),
        ({"Origin": own, "Content-Type": "text/plain"}, 403),
        ({"Origin": own, "Content-Type": FORM_KIND}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Content-Type": JSON_KIND}, 403),
        ({"Origin": own, "Content-Type": f"{JSON_KIND}; charset=utf-8"}, 200),
        ({"Content-Type": FORM_KIND}, 200),
    ):
        said = here.slack.record.counts["said"]
        body = json.dumps({"user": "U1", "text": "hello"}).encode()
        async with here.session.post(f"{own}/sandbox/say", data=body, headers=headers) as response:
            assert response.status == status, headers
        assert here.slack.record.counts["said"] - said == (status == 200), headers


@pytest.mark.parametrize(
    "address",
    [
        *("/", "/page/page.js", "/api/chat.postMessage", "/services/data/v68.0/query", "/actions/T0/1/x"),
        *("/files/F1/x", "/upload/v1/x", "/sandbox/health"),
    ],
)
async def test_another_site_reaches_no_address(here: Running, address: str) -> None:
    for verb in ("GET", "POST"):
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": here.slack.url.replace("127.0.0.1", "localhost")},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        ):
            async with here.session.request(verb, here.slack.url + address, headers=headers) as response:
                assert (response.status, (await response.json())["error"]) == (403, "forbidden_origin")


async def test_a_form_of_another_site_posts_nothing_through_the_web_api(here: Running) -> None:
    form = {"token": TOKEN, "channel": "U1", "text": "from elsewhere"}
    async with here.session.post(
        f"{here.slack.url}/api/chat.postMessage", data=form, headers={"Origin": "https://evil.example"}
    ) as response:
        assert response.status == 403
    assert here.slack.record.counts["posted"] == 0


async def test_a_link_elsewhere_opens_the_page_and_nothing_else(here: Running) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for address, status in (("/", 200), ("/sandbox/health", 403)):
        async with here.session.get(here.slack.url + address, headers=link) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("127.evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403)),
        *(
            ("evil.example:80", 403),
            ("[::1].evil.example", 403),
            ("[::1", 403),
            ("10.0.0.1", 403),
            ("::1x", 403),
        ),
        *(
            ("127.0.0.1:99999", 200),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("[::1]", 200),
            ("[::1]:1", 200),
        ),
    ],
)
async def test_only_a_loopback_name_is_answered(here: Running, host: str, status: int) -> None:
    for headers in ({}, {"Origin": f"http://{host}"}):
        async with here.session.get(
            f"{here.slack.url}/sandbox/health", headers={**headers, "Host": host}
        ) as response:
            assert response.status == status, headers


@pytest.mark.parametrize("drive", [False, True])
async def test_the_clock_goes_a_year_at_once_at_most_and_never_to_an_age_without_dates(
    here: Running, drive: bool
) -> None:
    far = (MORNING + timedelta(days=367)).isoformat()
    for where in ({"now": far}, {"advance": 367 * 86_400}, {"now": "9999-12-31T23:00:00+00:00"}):
        status, told = await here.admin("POST", "clock", {**where, "drive": drive})
        assert (status, told["error"]) == (400, "bad_request"), where
    assert here.slack.clock.now() == MORNING


async def test_another_site_cannot_listen(here: Running) -> None:
    status, told = await look(here, "/sandbox/page/stream?user=U1", Origin="https://evil.example")
    assert (status, told["error"]) == (403, "forbidden_origin")


async def test_a_body_that_is_too_long_is_refused(here: Running) -> None:
    body = io.BytesIO(b'{"user": "' + b"x" * 6_000_000 + b'"}')
    async with here.session.post(f"{here.slack.url}/sandbox/page/read", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"] == "bad_request"


async def test_under_steered_time_the_bot_answers_an_act_at_once(here: Running, bot: FakeBot) -> None:
    async def tick(_now: str) -> None:
        if here.slack.record.counts["said"] and not here.slack.record.counts["posted"]:
            await here.call("chat.postMessage", channel="U1", text="noted")

    bot.on_tick = tick
    told = await here.do("say", user="U1", text="hello", settle=True)
    assert [each["text"] for each in told["follow_ups"]] == ["noted"]
    assert here.slack.clock.now() == MORNING


async def test_time_passes_as_far_as_the_bot_needs_to_answer(here: Running, bot: FakeBot) -> None:
    due = (MORNING + timedelta(seconds=2)).isoformat()

    async def tick(now: str) -> str:
        if now == due:
            await here.call("chat.postMessage", channel="U1", text="noted")
        return due if now < due else (MORNING + timedelta(minutes=5)).isoformat()

    bot.on_tick = tick
    told = await here.do("say", user="U1", text="hello", settle=True)
    assert [each["text"] for each in told["follow_ups"]] == ["noted"]
    assert bot.ticks == [MORNING.isoformat(), due]
    assert here.slack.clock.now().isoformat() == due


async def test_a_bot_that_never_comes_to_rest_does_not_hold_up_an_act(here: Running, bot: FakeBot) -> None:
    bot.on_tick = lambda now: now
    await here.do("say", user="U1", text="hello", settle=True)
    assert here.slack.clock.now() == MORNING + timedelta(seconds=30)


async def test_an_act_that_the_bot_does_not_take_is_told_at_once(here: Running, bot: FakeBot) -> None:
    bot.answer = lambda _seen: Response(status_code=500)
    told = await here.do("say", user="U1", text="hello", settle=True)
    assert (told["acked"], told["status"]) == (False, 500)
    assert bot.ticks == []


async def test_of_two_elements_of_one_name_the_block_tells_which(here: Running, bot: FakeBot) -> None:
    blocks = [buttons("go", block_id="one")[1], buttons("go", block_id="two")[1]]
    posted = await here.call("chat.postMessage", channel="U1", text="x", blocks=blocks)
    await here.do("press", user="U1", message_ts=posted["ts"], action_id="go", block_id="two")
    assert b"%22block_id%22%3A%22two%22" in bot.seen[-1].body


# Time


async def test_a_journey_takes_the_bot_along_and_is_told_as_it_goes(here: Running, bot: FakeBot) -> None:
    async with page_of(here, "U1") as ann:
        told = await here.do("page/journey", advance=2 * DAY)
        assert told["clock"]["journey"]["to"] == (MORNING + timedelta(days=2)).isoformat()
        await idle(here)
        assert here.slack.clock.now() == MORNING + timedelta(days=2)
        assert bot.ticks[-1] == (MORNING + timedelta(days=2)).isoformat()
        while (await ann.wait("clock"))["clock"]["now"] != here.slack.clock.now().isoformat():
            pass


async def test_there_is_one_journey_at_a_time_and_it_can_be_stopped(here: Running, bot: FakeBot) -> None:
    gate = asyncio.Event()

    async def tick(now: str) -> str:
        await gate.wait()
        return (here.slack.clock.now() + timedelta(hours=1)).isoformat()

    bot.on_tick = tick
    await here.do("page/journey", advance=30 * DAY)
    status, told = await here.admin("POST", "page/journey", {"advance": HOUR})
    assert (status, told["error"]) == (409, "impossible")
    for drive in (True, False):
        status, told = await here.admin("POST", "clock", {"advance": HOUR, "drive": drive})
        assert (status, told["error"]) == (409, "impossible")
    _status, told = await here.admin("DELETE", "page/journey")
    assert told["clock"]["journey"]["stopping"]
    gate.set()
    await idle(here)
    assert here.slack.clock.now() < MORNING + timedelta(days=1)
    await here.do("page/journey", advance=HOUR)
    await idle(here)


async def test_it_runs_an_hour_a_second_until_stopped(here: Running) -> None:
    await here.do("page/journey", run=True)
    await until(lambda: here.slack.clock.now() >= MORNING + timedelta(hours=2))
    await here.admin("DELETE", "page/journey")
    await idle(here)
    assert here.slack.clock.now() == MORNING + timedelta(hours=2)


async def test_an_act_waits_for_the_instant_of_a_journey_to_end(here: Running, bot: FakeBot) -> None:
    gate = asyncio.Event()

    async def tick(_now: str) -> None:
        await gate.wait()

    bot.on_tick = tick
    await here.do("page/journey", advance=HOUR)
    saying = asyncio.create_task(here.do("say", user="U1", text="hello", settle=True))
    await asyncio.sleep(0.1)
    assert here.slack.record.counts["said"] == 0
    gate.set()
    await saying
    await idle(here)
    assert here.slack.record.counts["said"] == 1


async def test_a_bot_on_its_own_clock_lets_the_workspace_move_alone() -> None:
    async with (
        listening(FakeBot(steered=False)) as bot,
        running(bot=bot, clock=SteeredClock(MORNING)) as here,
    ):
        await here.do("page/journey", advance=DAY)
        await idle(here)
        assert here.slack.clock.now() == MORNING + timedelta(days=1)
        _status, told = await look(here, "/sandbox/page/workspace")
        assert "own clock" in told["clock"]["trouble"]
        assert (await here.do("say", user="U1", text="hello", settle=True))["acked"]


async def test_real_time_is_not_moved() -> None:
    async with running(clock=RealClock()) as here:
        status, told = await here.admin("POST", "page/journey", {"advance": HOUR})
        assert (status, told["error"]) == (409, "impossible")
        assert "real time" in told["detail"]


async def test_time_goes_forward_a_year_at_most_and_must_be_a_time(here: Running) -> None:
    no_time: list[dict[str, Any]] = [
        {},
        {"advance": "soon"},
        {"advance": 1e300},
        {"to": "tomorrow"},
        {"to": 7},
    ]
    for body in [*no_time, {"run": "yes"}]:
        status, told = await here.admin("POST", "page/journey", body)
        assert (status, told["error"]) == (400, "bad_request"), body
    for body in ({"advance": -60}, {"to": "2016-01-01"}, {"advance": 400 * DAY}):
        status, told = await here.admin("POST", "page/journey", body)
        assert (status, told["error"]) == (409, "impossible"), body
    assert here.slack.clock.now() == MORNING


# What the app decided


async def test_what_was_decided_is_passed_on_or_said_why_not(here: Running) -> None:
    _status, told = await look(here, "/sandbox/inspect?user=U1")
    assert (told["state"], told["inspection"]["name"]) == ("known", "Ann Lee")
    _status, told = await look(here, "/sandbox/inspect?user=U4")
    assert (told["state"], told["inspection"]) == ("unknown", None)
    status, _told = await look(here, "/sandbox/inspect?user=..%2Fclock")
    assert status == 404


async def test_a_bot_that_shows_nothing_or_is_away_is_told_apart() -> None:
    async with listening(FakeBot()) as bot, running(bot=bot) as here:
        _status, told = await look(here, "/sandbox/inspect?user=U1")
        assert told["state"] == "closed"
    async with running() as here:
        _status, told = await look(here, "/sandbox/inspect?user=U1")
        assert told["state"] == "away"
