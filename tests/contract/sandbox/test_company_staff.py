"""People of the sandbox's company read messages, mend records because of them or not, and answer in their own time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from sandbox.acts import Acts
from sandbox.agenda import Appointment
from sandbox.cli import move_in
from sandbox.clock import SteeredClock
from sandbox.company.behaviour import FAMILIES, WITHIN_HOURS
from sandbox.company.firm import SELLER, Person
from sandbox.company.staff import GRID, Staff
from sandbox.company.world import Company
from sandbox.parcels import Answer
from sandbox.promises.truth import LASTING, REFUSING
from sandbox.slack import Slack
from sandbox.state import Message
from tests.contract.sandbox.workspace import running

pytestmark = pytest.mark.anyio

BEGIN = datetime(2026, 2, 24, 10, tzinfo=UTC)
"""A Tuesday."""
ABOUT = {
    "past_close_date": "2 of your deals have a close date in the past",
    "no_next_step": "2 of your open deals have no next step",
    "missing_account": "2 of your open deals have no account",
    "missing_amount": "2 of your open deals have no amount",
}
FLAW = {
    "past_close_date": "CloseDate < '2026-02-24'",
    "no_next_step": "NextStep IS NULL",
    "missing_account": "AccountId IS NULL",
    "missing_amount": "Amount IS NULL",
}


class Ears:
    """The bot's place: it hears what people do, and takes everything."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.pressed: list[dict[str, Any]] = []

    async def event(self, event: dict[str, Any]) -> Answer:
        self.events.append(event)
        return Answer(200)

    async def interaction(self, make: Callable[[], dict[str, Any]], _about: dict[str, Any]) -> Answer:
        self.pressed.append(make())
        return Answer(200)

    async def command(self, make: Callable[[], Any], _about: dict[str, Any]) -> Answer:
        make()
        return Answer(200)


class Scene:
    """A company whose people read, and nobody behind the bot's name but the test."""

    def __init__(self, people: int = 60, seed: int = 7, weeks: int = 2, truth: Path | None = None) -> None:
        self.slack = Slack(SteeredClock(BEGIN))
        self.ears = Ears()
        self.company = Company(self.slack, people, seed, BEGIN, weeks, truth)
        self.company.truth.lines = []
        self.staff: Staff = self.company.employ(Acts(self.slack, self.ears))  # type: ignore[arg-type] # it hears, and that is all
        self.company.live_until(BEGIN)
        self._count = 0

    def tell(self, person: Person, heading: str, buttons: Sequence[str], records: Sequence[str] = ()) -> str:
        """The bot writes to somebody; returns the message's id."""
        self._count += 1
        name = f"m{self._count}"
        workspace = self.slack.workspace
        channel, _ = workspace.open_dm(workspace.users[person.slack_id])
        links = [
            {"elements": [{"type": "link", "url": f"https://crm/Opportunity/{each}/view", "text": "x"}]}
            for each in records
        ]
        blocks: list[dict[str, Any]] = [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{heading}*"}},
            {"type": "rich_text", "elements": [{"type": "rich_text_list", "elements": links}]},
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "action_id": each, "text": {"type": "plain_text", "text": each}}
                    for each in buttons
                ],
            },
        ]
        message = Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=workspace.bot_user_id,
            text=heading,
            bot=True,
            blocks=blocks,
            metadata={"event_type": "t", "event_payload": {"delivery_id": name}},
        )
        workspace.keep(message)
        return name

    def tip(self, person: Person, family: str, records: Sequence[str] = ()) -> str:
        return self.tell(person, ABOUT[family], ("tip:do", "tip:remind", "tip:blocked"), records)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.company.truth.lines or [] if line["kind"] == kind]

    def flawed(self, family: str) -> dict[str, list[str]]:
        """CRM user -> open deals with the flaw."""
        found: dict[str, list[str]] = defaultdict(list)
        for owner, record in self.company.crm.select(
            f"SELECT OwnerId, Id FROM Opportunity WHERE IsClosed = 0 AND {FLAW[family]} ORDER BY Id"
        ):
            found[str(owner)].append(str(record))
        return found

    def workers(self) -> Iterator[Person]:
        """Those who read, are at work and stay."""
        for person in self.company.firm.people:
            if person.slack_id and person.crm_id and person.leaves is None and person.joins is None:
                yield person

    async def run_agenda(self, until: datetime) -> list[Appointment]:
        """Let them do what they mean to do."""
        done = []
        while (at := self.slack.agenda.next_at()) is not None and at <= until.timestamp():
            assert isinstance(self.slack.clock, SteeredClock)
            self.slack.clock.move_to(datetime.fromtimestamp(at, UTC))
            for appointment in self.slack.agenda.take_due(at):
                await appointment.do()
                done.append(appointment)
        return done


@pytest.mark.parametrize("family", ["past_close_date", "missing_account"])
def test_a_tip_moves_as_many_records_as_its_familys_true_effect_says(family: str) -> None:
    """Of each person's flawed deals every other is named in a tip: how many more of those are in order after 72 hours?"""
    scene = Scene(people=220, weeks=1)
    flawed = scene.flawed(family)
    named: dict[str, str] = {}
    unnamed: set[str] = set()
    for person in scene.workers():
        records = flawed.get(person.crm_id, []) if person.role == SELLER else []
        told = records[person.number % 2 :: 2][:5]
        if told:
            named |= dict.fromkeys(told, scene.tip(person, family, told))
        unnamed |= set(records) - set(told)
    scene.company.live_until(BEGIN + timedelta(hours=WITHIN_HOURS))
    still = {record for records in scene.flawed(family).values() for record in records}
    base = mean(record not in still for record in unnamed)
    lifted = mean(record not in still for record in named)
    chance = {line["message"]: line.get("chance", 0.0) for line in scene.told("read")}
    # An effect on a record that would have been mended anyway adds nothing.
    truly = mean(chance[message] for message in named.values()) * (1 - base)
    # People mend several of their records or none: a deal counts for half.
    error = sqrt(2 * (base + truly) * (1 - base) * (1 / len(named) + 1 / len(unnamed)))
    assert abs(lifted - base - truly) < 3 * error
    if FAMILIES[family].lift:
        assert lifted > base + 0.5 * truly > base
    else:
        assert truly == 0


def test_what_people_mean_to_mend_is_mended_in_their_hours_within_three_days() -> None:
    scene = Scene(people=120)
    flawed = scene.flawed("no_next_step")
    for person in scene.workers():
        scene.tip(person, "no_next_step", flawed.get(person.crm_id, [])[:3])
    scene.company.live_until(BEGIN + timedelta(days=4))
    meant = {(line["message"], record) for line in scene.told("read") for record in line.get("effect", ())}
    by_email = {person.email: person for person in scene.company.firm.people}
    mended = scene.told("mended")
    assert {(line["message"], line["record"]) for line in mended} == meant
    assert len(meant) > 10
    for line in mended:
        at = datetime.fromisoformat(line["at"])
        assert at <= BEGIN + timedelta(hours=WITHIN_HOURS)
        assert by_email[line["person"]].at_work(at)


def test_the_third_message_of_a_week_helps_less_than_the_first() -> None:
    scene = Scene()
    for _ in range(3):
        for person in scene.workers():
            scene.tip(person, "missing_amount")
    chances: dict[str, list[float]] = defaultdict(list)
    for line in scene.told("read"):
        if line["read"] and not line.get("blocked"):
            chances[line["person"]].append(line["chance"])
    many = [each for each in chances.values() if len(each) == 3]
    assert len(many) > 5
    assert all(first > second > third for first, second, third in many)


async def test_behind_a_barrier_a_tip_does_nothing_and_they_say_what_it_is() -> None:
    scene = Scene(people=150, weeks=26)
    today = BEGIN.date()
    family_of = {"close_date": "past_close_date", "next_step": "no_next_step", "amount": "missing_amount"}
    blocked = {
        person.number: barrier
        for person, barrier in scene.company.life.barriers()
        if barrier.stands(today)
        and barrier.habit in family_of
        and person.slack_id in scene.slack.workspace.users
    }
    assert len(blocked) > 2
    everybody = scene.company.firm.people
    for _ in range(12):
        for number, barrier in blocked.items():
            flawed = scene.flawed(family_of[barrier.habit]).get(everybody[number].crm_id, [])
            scene.tip(everybody[number], family_of[barrier.habit], flawed)
    read = [line for line in scene.told("read") if line["read"]]
    assert len(read) > 8
    assert all(line["effect"] == [] and line["blocked"] for line in read)
    does = Counter(line["does"] for line in read)
    assert does["tip:do"] == 0
    assert does["tip:blocked"] + does["say blocked"] > len(read) / 4
    said = scene.told("said")
    causes = {(each.habit, each.cause) for each in blocked.values()}
    assert {(line["habit"], line["cause"]) for line in said if line["true"] == "blocked"} <= causes
    await scene.run_agenda(BEGIN + timedelta(days=7))
    assert len(scene.ears.pressed) == does["tip:blocked"] + does["tip:remind"]


async def test_people_answer_on_the_grid_in_their_own_hours_and_not_after_they_left() -> None:
    scene = Scene(people=120)
    by_slack = {person.slack_id: person for person in scene.company.firm.people}
    for person in scene.company.firm.people:
        if person.slack_id in scene.slack.workspace.users:
            scene.tip(person, "no_next_step")
            scene.tell(
                person, "Hello", ("goal:performance", "goal:productivity", "goal:personal", "goal:later")
            )
    done = 0
    while (at := scene.slack.agenda.next_at()) is not None:
        for appointment in scene.slack.agenda.take_due(at):
            assert at % GRID == 0
            assert by_slack[appointment.lane].at_work(datetime.fromtimestamp(at, UTC))
            done += 1
    assert done > 50


def test_about_half_of_the_tips_are_answered_by_nothing() -> None:
    scene = Scene(people=150)
    for person in scene.workers():
        scene.tip(person, "missing_amount")
    does = Counter(line["does"] for line in scene.told("read"))
    assert 0.4 < does["ignore"] / does.total() < 0.8
    assert len(does) > 6


def test_the_same_messages_find_the_same_people_in_whatever_order_they_come() -> None:
    def told(*, backwards: bool) -> list[str]:
        scene = Scene()
        people = list(scene.workers())
        for person in reversed(people) if backwards else people:
            # The name of the message is the person's, so that it does not depend on the order.
            scene._count = person.number
            scene.tip(person, "past_close_date")
        return sorted(json.dumps(line) for line in scene.told("read"))

    assert told(backwards=False) == told(backwards=True)


async def test_slack_hears_who_comes_who_goes_and_who_is_away() -> None:
    scene = Scene(people=150, weeks=6)
    users = scene.slack.workspace.users
    joiners = [person for person in scene.company.firm.people if person.joins]
    assert joiners
    assert all(person.slack_id not in users for person in joiners)
    for offset in range(42):
        scene.staff.plan_day(BEGIN.date() + timedelta(days=offset))
    end = BEGIN + timedelta(days=43)
    await scene.run_agenda(end)
    last = end.date() - timedelta(days=2)
    here = [person for person in joiners if person.joins and person.joins <= last]
    assert all(person.slack_id in users for person in here)
    gone = [
        person
        for person in scene.company.firm.people
        if person.slack_id and person.leaves and person.leaves <= last and person.quirk != "left_crm_only"
    ]
    assert gone
    assert all(users[person.slack_id].deleted for person in gone)
    stays = [person for person in scene.company.firm.people if person.quirk == "left_crm_only"]
    assert stays
    assert not any(users[person.slack_id].deleted for person in stays)
    kinds = Counter(event["type"] for event in scene.ears.events)
    assert kinds["team_join"] == len(here)
    away = [
        event["user"]["profile"]["status_text"]
        for event in scene.ears.events
        if event["type"] == "user_change" and not event["user"]["deleted"]
    ]
    assert {"Vacationing", "Im Urlaub"} <= set(away)


def test_what_was_planted_stands_in_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    scene = Scene(truth=path)
    person = next(scene.workers())
    scene.tip(person, "no_next_step")
    scene.company.close()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["planted", "read", "ended"]
    planted = lines[0]
    assert set(planted["families"]) == set(FAMILIES)
    people = {each["email"]: each for each in planted["people"]}
    assert people[person.email]["habits"].keys() == scene.company.life.workers[person.number].habits.keys()
    assert lines[1]["message"] == "m1"
    assert lines[2]["counts"]["read"] == 1


def test_the_programme_finds_everybody_it_needs_by_an_address_that_slack_knows() -> None:
    scene = Scene(people=12)
    roles = scene.company.roles()
    addresses = {
        roles["sponsor"],
        roles["adoption_lead"],
        roles["privacy_officer"],
        *roles["owners"].values(),
    }
    assert addresses <= {user.email for user in scene.slack.workspace.users.values()}
    assert len(roles["owners"]) == 10


def test_the_crm_has_trouble_on_known_days_within_the_run() -> None:
    short, long = Scene(people=12, weeks=4), Scene(people=12, weeks=26)
    assert 0 < len(short.company.crm.outages) < len(long.company.crm.outages)
    for outage in long.company.crm.outages:
        assert BEGIN < outage.begins < outage.ends < BEGIN + timedelta(weeks=26)


def test_one_outage_is_so_long_that_nothing_read_before_it_may_be_used_for_days() -> None:
    company = Scene(people=12, weeks=26).company
    blind = {
        outage.object: outage.ends - outage.begins - LASTING
        for outage in company.crm.outages
        if outage.kind in REFUSING and outage.ends - outage.begins > LASTING
    }
    assert blind.keys() == {"Contact"}, "what first-weeks tips are about"
    assert blind["Contact"] > timedelta(days=4)


async def test_the_crm_answers_over_http_with_what_people_did_up_to_that_moment() -> None:
    clock = SteeredClock(BEGIN)
    async with running(clock=clock) as here:
        company = Company(here.slack, 12, 7, BEGIN, 2)
        told = move_in(here.sandbox, company)
        client = {
            "grant_type": "client_credentials",
            **{key: told["crm"][key] for key in ("client_id", "client_secret")},
        }
        crm = told["crm"]["url"]

        async def logins() -> int:
            async with here.session.post(f"{crm}/services/oauth2/token", data=client) as response:
                token = (await response.json())["access_token"]
            query = (
                "SELECT UserId, Status, LoginType, COUNT(Id) n FROM LoginHistory WHERE LoginTime >="
                " 2025-01-01T00:00:00Z AND LoginTime < 2027-01-01T00:00:00Z"
                " GROUP BY UserId, Status, LoginType ORDER BY UserId LIMIT 2000"
            )
            async with here.session.get(
                f"{crm}/services/data/v60.0/query",
                params={"q": query},
                headers={"Authorization": f"Bearer {token}"},
            ) as response:
                return sum(row["n"] for row in (await response.json())["records"])

        before = await logins()
        clock.move_to(BEGIN + timedelta(days=3))
        after = await logins()
        assert 0 < before < after
        assert after == company.crm.select("SELECT count(*) FROM LoginHistory")[0][0]
        assert told["roles"]["sponsor"] in here.slack.workspace.emails
        assert {"general"} < set(told["channels"])
