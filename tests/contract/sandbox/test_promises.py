"""The check of the bot's promises: a good bot breaks none and gives every check something to examine; each check bites."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.content.load import load
from sandbox.acts import Acts
from sandbox.calls import Call
from sandbox.clock import SteeredClock
from sandbox.crm.records import Crm, Outage
from sandbox.events import Outbound
from sandbox.faults import Fault
from sandbox.parcels import Answer, Parcel
from sandbox.promises import PROMISES, Promises, Surroundings, looks, told
from sandbox.roster import read_user
from sandbox.slack import Slack
from sandbox.state import Message, User
from sandbox.web_api import METHODS
from tests.contract.sandbox.workspace import TOKEN

pytestmark = pytest.mark.anyio

ANN, CLEO, DORA, BOSS = "U1", "U4", "U5", "U6"
BERLIN = ZoneInfo("Europe/Berlin")
LINK = "https://firm.example/lightning/r/Opportunity/{}/view"
GAINS = {
    "have a close date in the past": "A true date answers the question.",
    "have no next step": "One line saves you reading it all again.",
    "have no amount": "With an amount it counts.",
    "have been quiet for 30 days": "A call warms it up.",
}
PAST, STEP, AMOUNT, QUIET = GAINS


def berlin(written: str) -> datetime:
    """A local time of Ann's, as in ``2026-11-17 10:30``."""
    return datetime.fromisoformat(written).replace(tzinfo=BERLIN).astimezone(UTC)


def button(action: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": action},
        "value": "m",
    }


def rows(*actions: str, menu: tuple[str, ...] = ("tip:why", "tip:not_for_me")) -> dict[str, Any]:
    """A row of buttons, and the menu behind the dots."""
    entries = [{"text": {"type": "plain_text", "text": each}, "value": f"{each}|m"} for each in menu]
    dots = [{"type": "overflow", "action_id": "menu", "options": entries}] if entries else []
    return {"type": "actions", "elements": [*map(button, actions), *dots]}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def links(*records: str) -> dict[str, Any]:
    lines = [
        {"type": "rich_text_section", "elements": [{"type": "link", "url": LINK.format(each), "text": each}]}
        for each in records
    ]
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_list", "style": "bullet", "elements": lines}],
    }


class Willing(Outbound):
    """A way out to a bot that takes everything, without a socket."""

    async def _post_once(self, parcel: Parcel, number: int, why: str) -> Answer:
        return Answer(200)


@dataclass
class World:
    """A workspace, a CRM, and somebody who holds the bot's token and posts what a test says."""

    slack: Slack
    acts: Acts
    clock: SteeredClock
    crm: Crm
    promises: Promises
    owned: dict[str, list[str]] = field(default_factory=dict)
    sent: int = 0

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """A method of the Web API, as the server runs it."""
        self.slack.via = name
        token = self.slack.workspace.tokens[TOKEN]
        return METHODS[name].run(Call(self.slack, name, arguments, token))

    def user(self, user: str, **changes: Any) -> None:
        self.slack.workspace.add_user(read_user({"id": user, **changes}, self.slack.workspace))

    def dm(self, user: str) -> str:
        return self.slack.workspace.open_dm(self.slack.workspace.users[user])[0].id

    async def at(self, written: str) -> None:
        self.clock.move_to(max(berlin(written), self.clock.now()))

    def moment(self) -> None:
        self.clock.move_to(self.clock.now() + timedelta(seconds=2))

    async def post(
        self,
        user: str,
        text: str,
        *blocks: dict[str, Any],
        delivery: str = "",
        thread: str | None = None,
    ) -> str:
        self.moment()
        self.sent += 1
        answer = await self.call(
            "chat.postMessage",
            channel=self.dm(user),
            text=text,
            blocks=[section(text.partition("\n")[0]), *blocks],
            metadata={"event_type": "d", "event_payload": {"id": delivery or f"m{self.sent}"}},
            thread_ts=thread,
        )
        return str(answer["ts"])

    async def change(self, user: str, ts: str, text: str, *blocks: dict[str, Any]) -> None:
        self.moment()
        await self.call(
            "chat.update", channel=self.dm(user), ts=ts, text=text, blocks=[section(text), *blocks]
        )

    async def welcome(self, user: str) -> str:
        return await self.post(user, "Hello. What would help?", rows("goal:productivity", "goal:later"))

    async def tip(
        self, user: str, about: str, *records: str, count: int | None = None, text: str = ""
    ) -> str:
        number = len(records) if count is None else count
        heading = text or f"{number} of your deals {about}"
        named = [links(*records)] if records else []
        return await self.post(
            user,
            heading,
            *named,
            section(GAINS.get(about, about)),
            rows("tip:do", "tip:remind", "tip:blocked"),
        )

    async def status(self, user: str, text: str = "What you said is settled.") -> str:
        return await self.post(user, text, rows(menu=("tip:why",)))

    async def says(self, user: str, text: str, answer: str | None = "Noted.") -> None:
        self.moment()
        await self.acts.say(user, text)
        if answer is not None:
            await self.post(user, answer)

    async def presses(self, user: str, ts: str, action: str, answer: str | None = "Done.") -> None:
        self.moment()
        in_menu = action in ("tip:why", "tip:not_for_me")
        done = await self.acts.press(
            user,
            "menu" if in_menu else action,
            channel_id=self.dm(user),
            message_ts=ts,
            value=f"{action}|m" if in_menu else None,
        )
        assert done.acked
        if answer is not None:
            await self.change(user, ts, answer)

    async def commands(self, user: str, text: str, answer: str | None = "Done.") -> None:
        self.moment()
        await self.acts.command(user, "/fullsteam", text)
        if answer is not None:
            await self.post(user, answer)

    async def home(self, user: str, *blocks: dict[str, Any]) -> None:
        view = {"type": "home", "blocks": [section("What you said"), *blocks]}
        await self.call("views.publish", user_id=user, view=view)

    async def modal(self, user: str) -> None:
        """By the newest trigger, and at once: it lives three seconds."""
        title, close = ({"type": "plain_text", "text": each} for each in ("Ask", "Close"))
        view = {"type": "modal", "title": title, "submit": close, "blocks": [section("Who sees this?")]}
        trigger = list(self.slack.workspace.triggers)[-1]
        assert self.slack.workspace.triggers[trigger].user == user
        await self.call("views.open", trigger_id=trigger, view=view)

    async def is_to_be_reminded(
        self, user: str, about: str = "", *records: str, count: int | None = None, tip: str = ""
    ) -> str:
        """A new tip, or one that is there, and the wish to see it again."""
        ts = tip or await self.tip(user, about or QUIET, *records, count=count)
        await self.presses(user, ts, "tip:remind", None)
        await self.change(user, ts, "When?", rows("remind:tomorrow"))
        await self.presses(user, ts, "remind:tomorrow", "I'll remind you.")
        return ts

    async def reminds(
        self,
        user: str,
        about: str = "",
        *records: str,
        count: int | None = None,
        menu: tuple[str, ...] = ("tip:why", "tip:not_for_me"),
    ) -> str:
        """The words of a tip below a line of their own."""
        number = len(records) if count is None else count
        return await self.post(
            user,
            f"You asked me to remind you.\n{number} of your deals {about or QUIET}",
            *([links(*records)] if records else []),
            section(GAINS.get(about or QUIET, about)),
            rows("tip:do", "tip:remind", "tip:blocked", menu=menu),
        )

    def past_the_web_api(self, user: str, text: str, row: dict[str, Any]) -> None:
        """A message that the Web API would refuse: it lets nobody write to who has left."""
        self.moment()
        self.sent += 1
        channel = self.slack.workspace.open_dm(self.slack.workspace.users[user])[0]
        message = Message(
            self.slack.workspace.next_ts(), channel.id, self.slack.workspace.bot_user_id, text, bot=True
        )
        message.blocks = [section(text), row]
        message.metadata = {"event_type": "d", "event_payload": {"id": f"m{self.sent}"}}
        self.slack.workspace.keep(message)

    def deals(self, owner: str, count: int, **fields: object) -> list[str]:
        """Open deals in good order but for what is given."""
        ids = [self.crm.new_id("Opportunity") for _ in range(count)]
        for each in ids:
            good: dict[str, object] = {
                "Id": each,
                "Name": each,
                "OwnerId": owner,
                "AccountId": "001000000000001AAA",
                "StageName": "Proposal",
                "Amount": 100,
                "CloseDate": date(2027, 6, 30),
                "NextStep": "call",
                "LastActivityDate": date(2026, 11, 2),
                "CreatedDate": datetime(2026, 9, 1, tzinfo=UTC),
                "CreatedById": owner,
            }
            self.crm.insert("Opportunity", [{**good, **fields}])
        return ids

    def broken(self) -> dict[str, int]:
        return {name: told["broken"] for name, told in self.promises.report().items() if told["broken"]}


def world(**around: Any) -> World:
    """Ann in Berlin, Cleo in Chicago, Dora who is new, their boss, and Ben who has left. Monday 2 November 2026, 09:50."""
    clock = SteeredClock(berlin("2026-11-02 09:50"))
    slack = Slack(clock)
    outbound = Willing(slack, "http://127.0.0.1:9", "secret")
    slack.workspace.grant(TOKEN)
    for user, name, tz in (
        (ANN, "Ann Lee", "Europe/Berlin"),
        (CLEO, "Cleo Ray", "America/Chicago"),
        (DORA, "Dora Klein", "Europe/Berlin"),
        (BOSS, "Maria Lang", "Europe/Berlin"),
    ):
        slack.workspace.add_user(User(user, name, name, f"{user}@Firm.example", tz))
    slack.workspace.add_user(User("U2", "ben", "Ben Gone", deleted=True))
    crm = Crm(clock=clock)
    for number, user in enumerate((ANN, CLEO), 1):
        email = str(slack.workspace.users[user].email).upper()
        crm.insert(
            "User",
            [
                {
                    "Id": f"00500000000000{number}AAA",
                    "Name": user,
                    "Email": email,
                    "CreatedDate": clock.now(),
                }
            ],
        )
    known = Surroundings(
        crm=crm,
        countries={ANN: "DE"},
        holidays=lambda _country, _year: frozenset({date(2026, 11, 18)}),
        roles=frozenset({BOSS}),
        teams={ANN: 3},
        **around,
    )
    return World(slack, Acts(slack, outbound), clock, crm, Promises(slack, known))


MINE, HERS = "005000000000001AAA", "005000000000002AAA"


async def goes_well(w: World) -> None:
    """Two weeks in which every promise is put to the test and kept; ends on Thursday 12 November."""
    past = w.deals(MINE, 2, CloseDate=date(2026, 9, 1))
    stepless = w.deals(MINE, 1, NextStep=None)
    worthless = w.deals(MINE, 1, Amount=None)
    w.owned = {PAST: past, STEP: stepless, AMOUNT: worthless}

    await w.at("2026-11-02 10:00")
    welcome = await w.welcome(ANN)
    await w.presses(ANN, welcome, "goal:productivity")
    first = await w.tip(ANN, PAST, *past)  # at once: it was asked for
    await w.presses(ANN, first, "tip:blocked")
    await w.at("2026-11-02 16:40")
    await w.welcome(CLEO)
    await w.says(ANN, "my boss is Cleo Ray", "You said: my boss is Cleo Ray")

    w.crm.outages.append(
        Outage(berlin("2026-11-10 08:00"), berlin("2026-11-10 09:00"), "Opportunity", "crm_denied")
    )
    await w.at("2026-11-10 10:10")
    second = await w.tip(ANN, STEP, *stepless)
    await w.presses(ANN, second, "tip:why", None)
    await w.post(ANN, "Why this? The rule.", thread=second)
    await w.presses(ANN, second, "tip:why", None)  # it stands there already
    await w.presses(ANN, second, "tip:not_for_me")
    await w.says(ANN, "how many use it?", "60 % of your team, 9 people. Maria Lang can tell you more.")

    await w.at("2026-11-12 10:20")
    await w.tip(ANN, AMOUNT, *worthless)
    await w.at("2026-11-12 21:00")
    await w.says(ANN, "pause until tomorrow", "I'm quiet until tomorrow.")
    await w.says(ANN, "stop", "Stopped.")
    await w.says(ANN, "resume", "I go on.")
    await w.commands(ANN, "help", "What you can tell me")
    w.promises.inspected(
        ANN,
        {
            "decisions": [
                {"id": "d1", "at": "", "action": "none", "reason": "weekly-cap", "declined": []},
                {"id": "d2", "at": "", "action": "tip", "reason": None, "declined": [{"reason": "spacing"}]},
            ],
            "messages": [
                {"id": "m1", "state": "sent", "reason": None},
                {"id": "m0", "state": "dropped", "reason": "stale"},
            ],
        },
    )


async def test_a_good_bot_breaks_nothing_and_every_check_has_something_to_examine() -> None:
    w = world()
    await goes_well(w)
    report = w.promises.report()
    assert report.keys() == PROMISES.keys()
    assert {name: (found["broken"], found["first"]) for name, found in report.items()} == dict.fromkeys(
        PROMISES, (0, [])
    )
    assert [name for name, found in report.items() if not found["examined"]] == []
    assert report["reply_lost"]["late"] == 0


# Each plants one violation.


async def _says_and_hears_nothing(w: World) -> None:
    await w.says(ANN, "The approval takes four days", None)
    w.clock.move_to(w.clock.now() + timedelta(minutes=20))


async def _presses_and_nothing_changes(w: World) -> None:
    ts = await w.tip(ANN, QUIET)
    await w.presses(ANN, ts, "tip:do", None)
    w.clock.move_to(w.clock.now() + timedelta(days=2))


async def _presses_and_sees_only_her_home(w: World) -> None:
    ts = await w.tip(ANN, QUIET)
    await w.presses(ANN, ts, "tip:do", None)
    w.clock.move_to(w.clock.now() + timedelta(hours=2))
    await w.home(ANN)


async def _presses_and_sees_a_modal_that_is_about_something_else(w: World) -> None:
    ts = await w.tip(ANN, QUIET)
    await w.presses(ANN, ts, "tip:do", None)
    w.clock.move_to(w.clock.now() + timedelta(hours=2))
    await w.commands(ANN, "ask", None)
    await w.modal(ANN)


async def _submits_and_hears_nothing(w: World) -> None:
    await w.commands(ANN, "ask", None)
    await w.modal(ANN)
    w.moment()
    await w.acts.submit(ANN, {})
    w.clock.move_to(w.clock.now() + timedelta(minutes=20))


async def _commands_and_hears_nothing(w: World) -> None:
    await w.commands(ANN, "me", None)
    w.clock.move_to(w.clock.now() + timedelta(minutes=20))


async def _one_delivery_twice(w: World) -> None:
    await w.says(ANN, "thanks", None)
    await w.post(ANN, "Glad it helped.", delivery="m500")
    await w.post(ANN, "Glad it helped.", delivery="m500")


async def _the_same_words_twice(w: World) -> None:
    await w.status(ANN)
    await w.at("2026-11-17 15:00")
    await w.status(ANN)


async def _called_sent(w: World) -> None:
    w.promises.inspected(ANN, {"messages": [{"id": "m404", "state": "sent", "reason": None}]})


async def _at_night(w: World) -> None:
    await w.at("2026-11-17 22:00")
    await w.status(ANN)


async def _on_a_sunday(w: World) -> None:
    await w.at("2026-11-22 11:00")
    await w.status(ANN)


async def _on_a_holiday(w: World) -> None:
    await w.at("2026-11-18 11:00")
    await w.status(ANN)


async def _while_asleep_elsewhere(w: World) -> None:
    await w.status(CLEO)  # 03:30 in Chicago


async def _in_do_not_disturb(w: World) -> None:
    w.user(ANN, dnd={"start": "09:00", "end": "12:00"})
    await w.status(ANN)


async def _on_vacation(w: World) -> None:
    w.user(ANN, status_emoji=":palm_tree:", status_text="Vacationing")
    await w.status(ANN)


async def _on_a_day_that_she_does_not_work(w: World) -> None:
    await w.commands(ANN, "days Mon Wed Thu")
    await w.status(ANN)


async def _before_her_own_hours(w: World) -> None:
    await w.commands(ANN, "hours 13:00-16:00")
    await w.status(ANN)


async def _three_in_a_week(w: World) -> None:
    await w.at("2026-11-16 10:00")
    await w.tip(ANN, QUIET)


async def _two_where_she_wants_one(w: World) -> None:
    await w.commands(ANN, "weekly 1")
    await w.tip(ANN, QUIET)


async def _two_days_running(w: World) -> None:
    await w.at("2026-11-19 10:00")
    await w.tip(ANN, QUIET)
    await w.at("2026-11-20 10:00")
    await w.tip(ANN, "have no account")


async def _somebody_unknown(w: World) -> None:
    await w.status(DORA)


async def _welcomed_twice(w: World) -> None:
    await w.at("2026-11-17 16:40")
    await w.welcome(CLEO)


async def _on_what_is_blocked(w: World) -> None:
    await w.tip(ANN, PAST, *w.owned[PAST])


async def _what_is_not_for_her(w: World) -> None:
    await w.tip(ANN, STEP, *w.owned[STEP])


async def _mended_meanwhile(w: World) -> None:
    (deal,) = w.deals(MINE, 1, AccountId=None)
    w.crm.change("Opportunity", deal, MINE, w.clock.now(), AccountId="001000000000001AAA")
    await w.tip(ANN, "have no account", deal)


async def _closed_meanwhile(w: World) -> None:
    (deal,) = w.deals(MINE, 1, LastActivityDate=date(2026, 9, 1))
    w.crm.change("Opportunity", deal, MINE, w.clock.now(), StageName="Closed Won")
    await w.tip(ANN, QUIET, deal)


async def _somebody_elses(w: World) -> None:
    await w.tip(ANN, "have no account", *w.deals(HERS, 1, AccountId=None))


async def _miscounted(w: World) -> None:
    await w.tip(ANN, "have no account", *w.deals(MINE, 2, AccountId=None), count=5)


async def _read_by_nobody(w: World) -> None:
    w.crm.outages.append(
        Outage(berlin("2026-11-17 09:00"), berlin("2026-11-17 18:00"), "Opportunity", "crm_denied")
    )
    await w.tip(ANN, "have no account", *w.deals(MINE, 1, AccountId=None))


async def _on_old_news(w: World) -> None:
    w.crm.outages.append(Outage(berlin("2026-11-14 00:00"), berlin("2026-11-16 00:00"), "Task", "crm_denied"))
    w.crm.outages.append(Outage(berlin("2026-11-15 22:00"), berlin("2026-11-18 00:00"), None, "crm_denied"))
    await w.tip(ANN, "Notes", text="Your notes, where the deal is")


async def _without_a_why(w: World) -> None:
    await w.post(ANN, "What you said is settled.", rows("me:lift", menu=()))


async def _a_none_without_a_reason(w: World) -> None:
    decision: dict[str, Any] = {"id": "d1", "at": "", "action": "none", "reason": None, "declined": []}
    w.promises.inspected(ANN, {"decisions": [decision]})


async def _a_colleague_by_name(w: World) -> None:
    await w.says(ANN, "who is best?", "Dora Klein keeps hers in order.")


async def _a_colleague_by_name_in_a_view(w: World) -> None:
    view = {"type": "home", "blocks": [section("Ask Dora Klein.")]}
    await w.call("views.publish", user_id=ANN, view=view)


async def _after_stop(w: World) -> None:
    await w.says(ANN, "Stop!", "All right.")
    await w.status(ANN)


async def _after_a_stop_that_it_confirmed(w: World) -> None:
    await w.says(ANN, "I have had it with you for good", "Stopped. I won't write to you again.")
    await w.status(ANN)


async def _a_reminder_after_stop(w: World) -> None:
    await w.is_to_be_reminded(ANN)
    await w.says(ANN, "Stop!", "All right.")
    await w.reminds(ANN)


async def _a_reminder_to_who_has_left(w: World) -> None:
    await w.is_to_be_reminded(ANN)
    w.user(ANN, deleted=True)
    again = f"You asked me to remind you.\n0 of your deals {QUIET}"
    w.past_the_web_api(ANN, again, rows("tip:do", "tip:remind", "tip:blocked"))


async def _a_reminder_of_what_is_not_for_her(w: World) -> None:
    tip = await w.is_to_be_reminded(ANN)
    await w.change(ANN, tip, "You asked.", rows())
    await w.presses(ANN, tip, "tip:not_for_me")
    await w.reminds(ANN)


async def _a_reminder_of_what_is_mended(w: World) -> None:
    deal, _ = w.deals(MINE, 2, AccountId=None)
    await w.is_to_be_reminded(ANN, "have no account", deal, count=2)
    w.crm.change("Opportunity", deal, MINE, w.clock.now(), AccountId="001000000000001AAA")
    await w.reminds(ANN, "have no account", deal, count=2)


async def _a_reminder_without_a_why(w: World) -> None:
    await w.is_to_be_reminded(ANN)
    await w.reminds(ANN, menu=("tip:not_for_me",))


async def _in_a_pause(w: World) -> None:
    await w.commands(ANN, "pause until Friday")
    await w.at("2026-11-19 10:00")
    await w.status(ANN)


async def _after_she_left(w: World) -> None:
    w.user(ANN, deleted=True)
    w.past_the_web_api(ANN, "What you said is settled.", rows(menu=("tip:why",)))


async def _two_of_four(w: World) -> None:
    await w.says(ANN, "how are the others?", "2 of 4 people keep their dates.")


async def _a_share_of_a_team_of_three(w: World) -> None:
    await w.says(ANN, "how are the others?", "67 % of your team keep their dates.")


PLANTS = {
    "reply_lost": (
        _says_and_hears_nothing,
        _presses_and_nothing_changes,
        _presses_and_sees_only_her_home,
        _presses_and_sees_a_modal_that_is_about_something_else,
        _submits_and_hears_nothing,
        _commands_and_hears_nothing,
    ),
    "sent_twice": (_one_delivery_twice, _the_same_words_twice),
    "never_arrived": (_called_sent,),
    "outside_window": (
        _at_night,
        _on_a_sunday,
        _on_a_holiday,
        _while_asleep_elsewhere,
        _in_do_not_disturb,
        _on_vacation,
        _on_a_day_that_she_does_not_work,
        _before_her_own_hours,
    ),
    "over_cap": (_three_in_a_week, _two_where_she_wants_one),
    "too_close": (_two_days_running,),
    "before_welcome": (_somebody_unknown, _welcomed_twice),
    "behind_a_barrier": (_on_what_is_blocked,),
    "after_not_for_me": (_what_is_not_for_her, _a_reminder_of_what_is_not_for_her),
    "not_true": (
        _mended_meanwhile,
        _closed_meanwhile,
        _somebody_elses,
        _miscounted,
        _a_reminder_of_what_is_mended,
    ),
    "no_data_no_use": (_read_by_nobody, _on_old_news),
    "no_reason": (_without_a_why, _a_reminder_without_a_why, _a_none_without_a_reason),
    "name_without_yes": (_a_colleague_by_name, _a_colleague_by_name_in_a_view),
    "after_stop": (_after_stop, _after_a_stop_that_it_confirmed, _a_reminder_after_stop),
    "while_paused": (_in_a_pause,),
    "to_leavers": (_after_she_left, _a_reminder_to_who_has_left),
    "number_under_k": (_two_of_four, _a_share_of_a_team_of_three),
}


def test_every_promise_has_a_violation_planted() -> None:
    assert PLANTS.keys() == PROMISES.keys()


@pytest.mark.parametrize(
    ("promise", "plant"),
    [(promise, plant) for promise, plants in PLANTS.items() for plant in plants],
    ids=lambda each: each if isinstance(each, str) else each.__name__.strip("_"),
)
async def test_a_planted_violation_counts_once_and_only_where_it_belongs(promise: str, plant: Any) -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-17 10:30" if plant is not _three_in_a_week else "2026-11-16 10:00")
    before = w.promises.report()
    await plant(w)
    assert w.broken() == {promise: 1}
    after = w.promises.report()
    assert after[promise]["examined"] >= before[promise]["examined"]
    (line,) = after[promise]["first"]
    assert line


# What looks like a breach and is none.


async def test_a_reminder_that_was_asked_for_may_come_at_any_hour_and_over_the_cap() -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-17 10:30")
    await w.is_to_be_reminded(ANN)
    await w.at("2026-11-17 23:00")
    await w.reminds(ANN)
    assert w.broken() == {}
    await w.at("2026-11-19 10:00")  # a second one was not asked for, and counts as a tip
    await w.reminds(ANN)
    assert w.broken() == {"over_cap": 1, "too_close": 1}


async def test_a_reminder_may_be_asked_for_by_a_button_of_another_message_that_names_the_tip() -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-17 10:30")
    tip = await w.tip(ANN, QUIET)
    delivery = f"m{w.sent}"
    await w.says(ANN, "luego", None)
    when = {"type": "button", "action_id": "remind:tomorrow", "value": delivery}
    asked = {"type": "actions", "elements": [{**when, "text": {"type": "plain_text", "text": "Tomorrow"}}]}
    question = await w.post(ANN, "When shall I remind you?", asked, thread=tip)
    await w.presses(ANN, question, "remind:tomorrow")
    await w.at("2026-11-18 10:30")
    await w.reminds(ANN)
    assert w.broken() == {}


async def test_a_reminder_that_was_asked_for_after_stop_or_behind_a_barrier_is_no_breach() -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-17 10:30")
    tip = await w.tip(ANN, QUIET)
    await w.says(ANN, "Stop!", "All right.")
    await w.presses(ANN, tip, "tip:blocked")
    await w.change(ANN, tip, "What is it?", rows("tip:remind"))
    await w.is_to_be_reminded(ANN, tip=tip)
    await w.reminds(ANN)
    assert w.broken() == {}


async def test_a_reminder_may_count_what_it_counted_on_the_day_that_it_names() -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-17 10:30")
    one, two = w.deals(MINE, 2, AccountId=None)
    await w.is_to_be_reminded(ANN, "have no account", one, count=2)
    w.crm.change("Opportunity", two, MINE, w.clock.now(), AccountId="001000000000001AAA")
    await w.reminds(ANN, "have no account", one, count=2)
    assert w.broken() == {}


async def test_a_modal_answers_the_command_that_it_was_opened_by_and_a_home_what_was_done_in_it() -> None:
    w = world()
    await goes_well(w)
    before = w.promises.report()["reply_lost"]["examined"]
    await w.commands(ANN, "ask", None)
    await w.modal(ANN)
    w.moment()
    await w.acts.submit(ANN, {})
    await w.home(ANN, {"type": "actions", "elements": [button("home:more")]})
    w.moment()
    home = w.slack.workspace.homes[ANN]
    await w.acts.press(ANN, "home:more", view_id=home.id)
    await w.home(ANN)
    w.clock.move_to(w.clock.now() + timedelta(days=2))
    assert w.broken() == {}
    assert w.promises.report()["reply_lost"]["examined"] == before + 3


async def test_her_own_choice_of_days_hours_and_number_is_what_counts() -> None:
    w = world()
    await goes_well(w)
    await w.commands(ANN, "weekly 3")
    await w.commands(ANN, "days Sat")
    await w.commands(ANN, "hours 17:00-18:00")
    await w.at("2026-11-14 17:30")
    await w.tip(ANN, QUIET)
    assert w.broken() == {}


async def test_what_a_person_takes_back_stands_in_the_way_no_longer() -> None:
    w = world()
    await goes_well(w)
    await w.says(ANN, "delete that", "Deleted.")
    await w.at("2026-11-17 10:30")
    await w.tip(ANN, PAST, *w.owned[PAST])
    assert w.broken() == {}


async def test_a_pause_is_over_when_it_ends_and_when_she_says_so() -> None:
    w = world()
    await goes_well(w)
    await w.commands(ANN, "pause until Monday")
    await w.at("2026-11-16 10:30")
    await w.status(ANN)
    await w.commands(ANN, "pause 2 weeks")
    await w.says(ANN, "resume", "I go on.")
    await w.status(ANN, "Something else is settled.")
    assert w.broken() == {}


async def test_answers_come_at_any_hour_and_as_often_as_somebody_writes() -> None:
    w = world()
    await goes_well(w)
    await w.at("2026-11-15 03:00")  # a Sunday
    for _ in range(9):
        await w.says(CLEO, "thanks", "Glad it helped.")
    assert w.broken() == {}


async def test_an_answer_that_was_late_is_counted_as_late() -> None:
    w = world()
    await goes_well(w)
    await w.says(ANN, "thanks", None)
    w.clock.move_to(w.clock.now() + timedelta(hours=9))
    await w.post(ANN, "Glad it helped.")
    assert w.broken() == {}
    assert w.promises.report()["reply_lost"]["late"] == 1


async def test_what_slack_was_not_told_is_owed_no_answer_and_changes_nothing() -> None:
    w = world()
    await goes_well(w)
    w.slack.faults.plan(Fault("lose", count=1))
    await w.says(ANN, "stop", None)
    await w.at("2026-11-17 10:30")
    await w.status(ANN)
    assert w.broken() == {}


async def test_without_roles_only_the_names_of_the_welcomed_are_looked_for() -> None:
    w = world()
    w.promises.around = Surroundings()
    await w.at("2026-11-02 10:00")
    await w.welcome(ANN)
    await w.says(ANN, "who runs this?", "Dora Klein does.")
    assert w.broken() == {}
    await w.welcome(DORA)
    assert w.broken() == {"name_without_yes": 1}


async def test_who_begins_to_watch_late_counts_what_is_in_the_record() -> None:
    w = world()
    await goes_well(w)
    late = Promises(w.slack, w.promises.around).report()
    assert {name: found["broken"] for name, found in late.items()} == dict.fromkeys(PROMISES, 0)
    assert late["outside_window"] == w.promises.report()["outside_window"]


# What it reads.


def test_two_shipped_tips_are_about_the_same_if_and_only_if_they_are_on_one_behaviour() -> None:
    behaviours: dict[str, set[str]] = {}
    for tip in load().tips.values():
        for wording in tip.texts.values():
            heading = re.sub(r"\{\{ count\|plural\('.*?', '(.*?)'\) \}\}", r"\1", wording.about)
            heading = heading.replace("#", "3").replace("{{ crm }}", "Compass")
            listed = [links("006000000000001AAA")] if tip.names_records else []
            blocks = [section(f"*{heading}*"), *listed, rows("tip:do", "tip:remind", "tip:blocked")]
            seen = looks.look(heading, blocks)
            assert (seen.kind, seen.count) == (looks.TIP, 3 if tip.names_records else None), heading
            behaviours.setdefault(seen.about, set()).add(tip.behaviour)
    assert {about: len(found) for about, found in behaviours.items()} == dict.fromkeys(behaviours, 1)
    assert len(behaviours) == len({tip.behaviour for tip in load().tips.values()})


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("pause", date(2026, 11, 24)),
        ("Pause please", date(2026, 11, 24)),
        ("pause until tomorrow", date(2026, 11, 18)),
        ("Pause bis Montag", date(2026, 11, 23)),
        ("pause until Tuesday", date(2026, 11, 24)),
        ("pause 2 weeks", date(2026, 12, 1)),
        ("pause when I get there", None),
        ("the pause between calls is too long", None),
    ],
)
def test_a_pause_in_words(text: str, until: date | None) -> None:
    assert told.pause_until(text, date(2026, 11, 17)) == until


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("days Mon Tue", told.Setting("days", days=frozenset({1, 2}))),
        ("tage Mo Di", told.Setting("days", days=frozenset({1, 2}))),
        ("days when it suits", told.Setting("days", unclear=True)),
        ("hours 9-15:30", told.Setting("hours", hours=(time(9), time(15, 30)))),
        ("hours early", told.Setting("hours", unclear=True)),
        ("weekly 1", told.Setting("weekly", weekly=1)),
        ("weekly 9", told.Setting("weekly", unclear=True)),
        ("days default", told.Setting("days")),
        ("pause", None),
    ],
)
def test_own_times_in_words(text: str, found: told.Setting | None) -> None:
    assert told.setting(text) == found
