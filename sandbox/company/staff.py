"""What the people of the company make of messages: they read them or not, mend records because of them, answer them.

Everything is drawn from the seed, the person and the message; what they feel is written to the truth. They act at whole
quarters of an hour of their own working time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from zoneinfo import ZoneInfo

from sandbox import payloads
from sandbox.acts import Acts
from sandbox.company import reading
from sandbox.company.behaviour import FAMILIES, WITHIN_HOURS, Barrier, Nature, effect_chance, nature
from sandbox.company.calendar import holidays
from sandbox.company.firm import Absence, Firm, Person
from sandbox.company.life import Errand, Life, habit_of
from sandbox.company.reading import Reading
from sandbox.company.truth import Truth, instant
from sandbox.company.words import banks
from sandbox.reacting import Offer, Reacting, choose
from sandbox.record import delivery_of
from sandbox.slack import Slack
from sandbox.state import Message, User, View

GRID = 15 * 60
"""Seconds. Every working hour of the company begins and ends on it, and so does every zone."""
WEEK = timedelta(days=7)
READS = 0.45
"""Chance that a tip is read by somebody without any engagement; by somebody fully engaged it is 0.95."""
AWAY = {"en": "Vacationing", "de": "Im Urlaub", "fr": "En vacances", "es": "De vacaciones"}
"""Slack statuses."""
SLACK_LOCALE = {"en_IN": "en-GB", "en_AU": "en-GB"}


class Staff(Reacting):
    """Everybody of the firm who has a Slack account."""

    def __init__(self, firm: Firm, life: Life, slack: Slack, acts: Acts, truth: Truth) -> None:
        hours = {person.slack_id: person.hours for person in firm.people if person.slack_id}
        super().__init__(slack, acts, hours, firm.seed, GRID)
        self.firm = firm
        self.life = life
        self.truth = truth
        self._by_slack = {person.slack_id: person for person in firm.people if person.slack_id}
        self._natures: dict[int, Nature] = {}
        self._reads: dict[int, list[datetime]] = defaultdict(list)

    def works(self, user: str, day: date) -> bool:
        """Not on their days off, nor before they come or after they leave."""
        return self._by_slack[user].works(day)

    def nature(self, person: Person) -> Nature:
        """What is hidden in somebody, whether they have access to the CRM or not."""
        worker = self.life.workers.get(person.number)
        if worker is not None:
            return worker.nature
        if person.number not in self._natures:
            self._natures[person.number] = nature(self.firm.seed, person, self.firm.start, self.firm.weeks)
        return self._natures[person.number]

    def _level(self, person: Person, day: date) -> float:
        if person.number not in self.life.workers:
            return 0.5
        return self.life.engagement(person.number, day.toordinal())

    def _today(self, person: Person) -> date:
        return self.slack.clock.now().astimezone(ZoneInfo(person.region.zone)).date()

    def _when(self, person: Person, key: str, least: float, most: float) -> float | None:
        """When they get round to it; None when they are gone before."""
        at = self.due(person.slack_id, key, least, most)
        return at if person.at_work(datetime.fromtimestamp(at, UTC)) else None

    # Reading

    def about(
        self, user: str, key: str, message: Message, offered: Mapping[str, Offer], new: frozenset[str]
    ) -> None:
        """Read it, or not, and decide what to do."""
        person = self._by_slack[user]
        read = reading.read(message.text, message.blocks, new)
        if read.kind == reading.TIP:
            self._read_tip(person, key, message, offered, read)
        elif read.kind == reading.WHICH_BARRIER:
            self._say_which(person, key, message, offered)
        else:
            level = self._level(person, self._today(person))
            wishes = _wishes(read.kind, self.nature(person), level)
            doing = choose(
                {each: weight for each, weight in wishes.items() if _can(each, offered)},
                self.draw(user, key, "doing"),
            )
            slow = read.kind in (reading.WELCOME, reading.BACK_OFF, reading.OTHER)
            if doing is not None and doing != "ignore":
                at = self._when(person, key, *((240.0, 25_000.0) if slow else (60.0, 1_500.0)))
                self._do(person, key, doing, at, message, offered)
            if read.kind != reading.OTHER:
                self._note(person, message, about=read.kind, does=doing or "ignore")

    def _note(self, person: Person, message: Message, **fields: object) -> None:
        self.truth.tell(
            "read",
            message=delivery_of(message.metadata),
            person=person.email,
            at=instant(self.slack.clock.now()),
            **fields,
        )

    def _read_tip(
        self, person: Person, key: str, message: Message, offered: Mapping[str, Offer], read: Reading
    ) -> None:
        user, now, today = person.slack_id, self.slack.clock.now(), self._today(person)
        level, hidden = self._level(person, today), self.nature(person)
        at = self._when(person, key, 240, 9 * 3600)
        # Who comes back after more than three days does not read what has gathered.
        if at is not None and at > now.timestamp() + WITHIN_HOURS * 3600 - 2 * GRID:
            at = None
        if (
            read.family is None
            or at is None
            or self.draw(user, key, "read") >= READS + (0.95 - READS) * level
        ):
            self._note(person, message, about=read.kind, family=read.family, read=False, does="ignore")
            return
        habit = habit_of(read.family, read.habit)
        barrier = hidden.barrier(habit, today)
        before = self._reads[person.number]
        before[:] = [each for each in before if each > now - WEEK]
        chance = effect_chance(read.family, read_this_week=len(before), blocked=barrier is not None)
        before.append(now)
        effect = self._mean_to_mend(person, key, message, read, habit, at, chance)
        family = FAMILIES[read.family]
        annoyed = self.draw(user, key, "annoyed") < family.annoys
        if person.number in self.life.workers:
            self.life.plan_reading(
                person.number, int(at) + 1, habit, family.step if effect else 0.0, annoyed=annoyed
            )
        weights = _answers(hidden, level, barrier, effect, len(before), annoyed=annoyed)
        doing = (
            choose(
                {each: weight for each, weight in weights.items() if _can(each, offered)},
                self.draw(user, key, "doing"),
            )
            or "ignore"
        )
        self._note(
            person,
            message,
            about=read.kind,
            family=read.family,
            habit=habit,
            read=True,
            chance=round(chance, 4),
            effect=effect,
            blocked=barrier.cause if barrier else None,
            annoyed=annoyed or None,
            does=doing,
        )
        if doing != "ignore":
            self._do(person, key, doing, at, message, offered, barrier)

    def _mean_to_mend(
        self,
        person: Person,
        key: str,
        message: Message,
        read: Reading,
        habit: str,
        at: float,
        chance: float,
    ) -> list[str]:
        """Which of the named records they will mend, and when: within 72 hours, in their working time."""
        records: Sequence[str] = [""]
        if read.family != reading.FIRST_WEEKS:
            # Which deals somebody has must not depend on when the CRM was last asked.
            self.life.live_until(self.slack.clock.now())
            named = (each.id or self.life.deal_named(person.number, each.name) for each in read.records)
            records = [each for each in named if each]
        meant = [each for each in records if self.draw(person.slack_id, key, f"effect {each}") < chance]
        latest = self.slack.clock.seconds() + WITHIN_HOURS * 3600 - GRID
        for record in meant:
            wait = -math.log(1 - self.draw(person.slack_id, key, f"mends {record}")) * 8 * 3600
            when = self._at_work(person, at + 120 + wait)
            errand = Errand(str(delivery_of(message.metadata)), str(read.family), record, habit)
            self.life.plan_errand(person.number, int(when if when and when <= latest else at), errand)
        return meant

    @staticmethod
    def _at_work(person: Person, when: float) -> float | None:
        """That moment, or the first in their working time after it; None when it is more than a week away."""
        moment = datetime.fromtimestamp(when, UTC)
        if person.at_work(moment):
            return when
        first = moment.astimezone(ZoneInfo(person.region.zone)).date()
        for offset in range(8):
            day = first + timedelta(days=offset)
            opens = person.at(day, 600)
            if person.works(day) and opens > moment:
                return opens.timestamp()
        return None

    # Answering

    def _say_which(self, person: Person, key: str, message: Message, offered: Mapping[str, Offer]) -> None:
        """What is it? They press what it is, or say it."""
        barrier = next(
            (each for each in self.nature(person).barriers if each.stands(self._today(person))), None
        )
        known = f"blocked:{barrier.cause}" if barrier else ""
        weights = {"ignore": 12.0}
        if barrier is None:
            weights |= {"feedback:delete": 60.0, "blocked:other": 10.0}
        elif known in offered:
            weights |= {known: 55.0, "say blocked": 28.0, "blocked:other": 5.0}
        else:
            weights |= {"say blocked": 60.0, "blocked:other": 28.0}
        doing = choose(
            {each: weight for each, weight in weights.items() if _can(each, offered)},
            self.draw(person.slack_id, key, "doing"),
        )
        if doing is None or doing == "ignore":
            return
        at = self._when(person, key, 60, 1500)
        self._do(person, key, doing, at, message, offered, barrier)
        if doing == "blocked:other" and barrier and at is not None:
            self._say(person, f"{key}|more", "blocked", at + GRID, message, barrier)

    def _do(
        self,
        person: Person,
        key: str,
        doing: str,
        at: float | None,
        message: Message,
        offered: Mapping[str, Offer],
        barrier: Barrier | None = None,
    ) -> None:
        if at is None:
            return
        if doing.startswith("say "):
            self._say(person, key, doing[4:], at, message, barrier)
        else:
            self.truth.count(f"presses {doing}")
            self.press_later(at, person.slack_id, key, message, offered[doing])

    def _say(
        self,
        person: Person,
        key: str,
        kind: str,
        at: float,
        message: Message | None,
        barrier: Barrier | None = None,
    ) -> None:
        """Write something, in the thread of the message or without."""
        user = person.slack_id
        bank = banks()[person.region.language]
        u = self.draw(user, key, "line")
        if kind == "blocked" and barrier:
            text = bank.complaint(barrier.cause, barrier.habit, u)
        else:
            text = bank.lines[kind][int(u * len(bank.lines[kind]))]
        self.truth.tell(
            "said",
            person=person.email,
            at=instant(datetime.fromtimestamp(at, UTC)),
            message=delivery_of(message.metadata) if message else None,
            true=kind,
            habit=barrier.habit if kind == "blocked" and barrier else None,
            cause=barrier.cause if kind == "blocked" and barrier else None,
        )
        root = None
        if message is not None and message.ephemeral_for is None:
            threaded = kind == "blocked" or self.draw(user, key, "thread") < 0.7
            root = (message.thread_ts or message.ts) if threaded else None
        self.later(at, user, lambda: self.acts.say(user, text, thread_ts=root), again=False)

    def about_modal(self, user: str, key: str, view: View) -> None:
        """Most fill it in; in a box for words they say what stands in their way, or thank."""
        person = self._by_slack[user]
        at = self._when(person, key, 60, 300)
        if at is None:
            return
        if self.draw(user, key, "doing") < 0.15:
            self.later(at, user, lambda: self.acts.close(user, view_id=view.id))
            return
        bank = banks()[person.region.language]
        barrier = next(
            (each for each in self.nature(person).barriers if each.stands(self._today(person))), None
        )

        def words(here: str) -> str:
            u = self.draw(user, here, "line")
            if barrier:
                return bank.complaint(barrier.cause, barrier.habit, u)
            return bank.lines["chatter"][int(u * len(bank.lines["chatter"]))]

        inputs = self.fill_in(user, key, view, words)
        self.later(at, user, lambda: self.acts.submit(user, inputs, view_id=view.id))

    # Of their own accord

    def plan_day(self, day: date) -> None:
        """What happens on `day` by itself: somebody opens the app, says what is in the way, comes, goes, is away."""
        for user, person in self._by_slack.items():
            self._comings_and_goings(person, day)
            if not person.works(day):
                continue
            key = day.isoformat()
            u = self.draw(user, key, "of their own accord")
            at = self.on_grid(
                person.at(day, self.draw(user, key, "hour") * (person.working_seconds - GRID)).timestamp()
            )
            if at <= self.slack.clock.seconds():
                continue
            hidden = self.nature(person)
            barrier = next((each for each in hidden.barriers if each.stands(day)), None)
            if u < 0.010:
                self.later(at, user, lambda user=user: self.acts.open_home(user), again=False)  # type: ignore[misc] # a default binds the loop's value
            elif u < 0.013:
                self.later(at, user, lambda user=user: self.acts.command(user, "/fullsteam", "me"))  # type: ignore[misc] # likewise
            elif barrier and u < 0.013 + 0.02 * hidden.candour:
                self._say(person, key, "blocked", at, None, barrier)
            elif u > 0.9992:
                self._say(person, key, "question", at, None)
            elif u > 0.9989:
                self._say(person, key, "pause", at, None)

    def _comings_and_goings(self, person: Person, day: date) -> None:
        for absence in person.absences:
            if absence.first == day and absence.told and person.employed(day):
                # At eight where they are, for all of a region at once: each instant costs the bot a look at its clock.
                eight = datetime.combine(day, wall_time(8), ZoneInfo(person.region.zone))
                self._appoint(person, eight, self._away(person, absence))
        if person.joins == day:
            self._appoint(person, person.at(day, 0), person_as_user(person, self.firm))
        if person.leaves == day and person.quirk != "left_crm_only":
            gone = replace(person_as_user(person, self.firm), deleted=True)
            self._appoint(person, person.at(day, person.working_seconds), gone)

    def _away(self, person: Person, absence: Absence) -> User:
        back = absence.last + timedelta(days=1)
        return replace(
            person_as_user(person, self.firm),
            status_text=AWAY[person.region.language],
            status_emoji=":palm_tree:",
            status_expiration=int(person.at(back, 0).timestamp()),
        )

    def _appoint(self, person: Person, when: datetime, user: User) -> None:
        """Slack knows somebody anew at that moment, and tells the bot."""
        workspace = self.slack.workspace

        async def change() -> None:
            if user.id in workspace.users and workspace.users[user.id].deleted:
                return
            new = workspace.add_user(replace(user))
            if new:
                for channel in workspace.channels.values():
                    if channel.name in channels_of(person):
                        channel.members.append(user.id)
            kind = "team_join" if new else "user_change"
            await self.acts.outbound.event(payloads.user_event(workspace, kind, workspace.users[user.id]))

        at = self.on_grid(when.timestamp())
        if at >= self.slack.clock.seconds():
            self.slack.agenda.add(at, person.slack_id, change)

    def off(self, user: str, day: date) -> bool:
        """Whether a day is none of somebody's working days: weekend, part-time, public holiday, before they came."""
        person = self._by_slack.get(user)
        return (
            person is not None
            and not person.works(day)
            and not any(absence.first <= day <= absence.last for absence in person.absences)
        )

    def holiday(self, user: str, day: date) -> bool:
        """Whether it is a public holiday where they are."""
        person = self._by_slack.get(user)
        return person is not None and day in holidays(person.region.country, day.year)


def channels_of(person: Person) -> tuple[str, str]:
    """The channels that somebody is in."""
    return ("general", f"sales-{person.region.name}")


def person_as_user(person: Person, firm: Firm) -> User:
    """Somebody as Slack has them."""
    locale = person.region.locale
    return User(
        id=person.slack_id,
        name=person.email.partition("@")[0],
        real_name=person.name,
        email=person.email,
        tz=person.region.zone,
        title=TITLE_IN_SLACK.get(person.role, person.role),
        dnd=person.dnd,
        locale=SLACK_LOCALE.get(locale, locale.replace("_", "-")),
        role=PAGE_ROLE.get(person.role, "rep"),
        team=firm.people[person.team].name if person.team is not None else "",
    )


TITLE_IN_SLACK = {
    "seller": "Account Executive",
    "sales_development": "Sales Development",
    "customer_success": "Customer Success",
    "manager": "Sales Manager",
    "sponsor": "Chief Revenue Officer",
    "adoption_lead": "CRM Adoption Lead",
    "crm_admin": "CRM Administrator",
    "privacy_officer": "Privacy Officer",
}
PAGE_ROLE = {
    "manager": "manager",
    "sponsor": "sponsor",
    "adoption_lead": "adoption lead",
    "crm_admin": "CRM admin",
    "privacy_officer": "privacy officer",
}


def _can(doing: str, offered: Mapping[str, Offer]) -> bool:
    return doing == "ignore" or doing.startswith("say ") or doing in offered


def _answers(
    hidden: Nature,
    level: float,
    barrier: Barrier | None,
    effect: Sequence[str],
    read_this_week: int,
    *,
    annoyed: bool,
) -> dict[str, float]:
    """What somebody does about a tip that they have read, with weights."""
    talk = 0.4 + 1.2 * hidden.candour
    if barrier:
        return {
            "tip:blocked": 38,
            "say blocked": 22 * talk,
            "tip:remind": 3,
            "tip:not_for_me": 4,
            "ignore": 20,
        }
    if effect:
        return {"tip:do": 58, "say thanks": 9 * talk, "say done": 7 * talk, "tip:remind": 5, "ignore": 26}
    tired = 3.0 if annoyed or read_this_week > 2 else 1.0
    return {
        "tip:do": 15,
        "tip:remind": 8,
        "tip:not_for_me": 3.5 * tired,
        "tip:why": 4,
        "tip:pause": 1.0 * tired,
        "tip:blocked": 0.7,
        "say chatter": 8 * talk,
        "say later": 4 * talk,
        "say question": 4 * talk,
        "say joke": 8 * hidden.irony,
        "say stop": 0.25 * tired * (1 - level),
        "say pause": 0.4 * tired,
        "ignore": 40 + 20 * (1 - level),
    }


def _wishes(kind: str, hidden: Nature, level: float) -> dict[str, float]:
    """What somebody does about a message that is no tip, with weights."""
    if kind == reading.WELCOME:
        return {
            f"goal:{hidden.goal}": 40 + 40 * level,
            "goal:later": 10,
            "say question": 5,
            "say thanks": 4,
            "say stop": 0.4,
            "ignore": 45 - 25 * level,
        }
    if kind == reading.GOAL:
        return {f"goal:{hidden.goal}": 80, "ignore": 20}
    if kind == reading.WHO_SEES:
        secret = hidden.secrecy
        return {
            "mode:named": 85 * (1 - secret),
            "mode:confidential": 75 * secret,
            "mode:drop": 8,
            "feedback:delete": 1,
            "ignore": 10,
        }
    if kind == reading.WHEN:
        return {"remind:tomorrow": 55, "remind:next_week": 30, "remind:none": 5, "ignore": 10}
    if kind == reading.HOW_LONG:
        return {"pause:tomorrow": 15, "pause:next_week": 50, "pause:month": 25, "ignore": 10}
    if kind == reading.BACK_OFF:
        return {
            "resume": 10 + 60 * level,
            "pause:month": 15,
            "say stop": 2 * (1 - level),
            "ignore": 70 - 40 * level,
        }
    return {"say thanks": 1.5, "say delete": 0.15, "ignore": 98}
