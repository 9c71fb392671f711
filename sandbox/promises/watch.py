"""One pass over the record, as it is written: what each person did and got, and which promises were broken by that.

The words of the promises are those of the design, not the bot's code. Three rules make a message that nobody asked for out
of a message: it looks like a welcome, a tip or a question whether to go on; or it follows nothing that this person did.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.promises import told, truth
from sandbox.promises.looks import OTHER, STATUS, TIP, UNCAPPED, WELCOME, Look, look, words_in
from sandbox.promises.surroundings import EARLIEST, LATEST, Surroundings
from sandbox.record import delivery_of

if TYPE_CHECKING:
    from sandbox.slack import Slack
    from sandbox.state import User

Json = dict[str, Any]

PROMISES: Mapping[str, str] = {
    "reply_lost": "What somebody did, and Slack was told was kept, has had no visible consequence within a day.",
    "sent_twice": "One delivery came twice, or the same words unasked twice within a day.",
    "never_arrived": "The bot says that a message was sent, and it never arrived.",
    "outside_window": "Unasked outside somebody's days and hours, on a holiday, in do-not-disturb or when away.",
    "over_cap": "More unasked messages in seven days than the limit, the person's own where they set one.",
    "too_close": "Unasked less than 48 hours after the one before.",
    "before_welcome": "Unasked before the welcome, or welcomed twice.",
    "behind_a_barrier": "A tip on a behaviour after the person said that something is in its way.",
    "after_not_for_me": "A tip that the person had said is not for them.",
    "not_true": "A tip names records, or a number of them, that at that moment were not so.",
    "no_data_no_use": "A tip on what the CRM did not let anybody read; examined are those that trouble came near.",
    "no_reason": "Something unasked without a way to ask why, or, by the bot's word, a decision without a reason.",
    "name_without_yes": "The full name of a member in what somebody else reads.",
    "after_stop": "Unasked after the person said stop.",
    "while_paused": "Unasked within a pause that the person asked for.",
    "to_leavers": "Written to somebody who has left the workspace.",
    "number_under_k": "A figure about a group of fewer than five people.",
}
"""What a broken case of each is."""
NOT_CHECKED: Mapping[str, str] = {
    "experiments are declared before they start": "nothing of an experiment is visible in the workspace",
    "the coin and the hold-out": "a message that is not sent leaves no trace outside; GET /inspect shows the bot's own word",
    "already does it, for tips that name no records": "the threshold of a behaviour is the bot's own",
    "no number by subtraction, unanimity or waiting": "only a figure that is written out is seen",
    "the same text at most twice in 28 days, and longer distances after ignored messages": (
        "defaults of the evidence page, no promise of the design"
    ),
    "kept for how long": "what the bot stores is not visible",
    "importing does nothing; the same rows give the same decisions": "the same run twice shows it, not one run",
}
"""Promises of the design that cannot be seen from here, with the reason."""
UNANSWERED = frozenset({"app_home_opened", "reaction_added", "reaction_removed", "view_closed"})
"""What people do that by design changes nothing that they see."""

DAY, MINUTE = 86_400.0, 60.0
WEEK = 7 * DAY
SOON = 10 * MINUTE
"""An answer that is still missing at the end of a run is not missed before that."""
LATE = MINUTE
TRIGGER = 3.0
"""How long after an act a modal may be opened for it (docs.slack.dev/interactivity/handling-user-interaction)."""
TOLERANCE = 5 * MINUTE
"""A message that was decided in time may be paced by so much."""
LISTED = 5
"""Broken cases that the report names."""
REMEMBERED = 40
"""Tips that a person may still ask to be reminded of."""
_OPENING = frozenset({"views.open", "views.push", "response_action.push"})
_DELIVERED = {
    "message": "said",
    "block_actions": "pressed",
    "view_submission": "submitted",
    "slash_command": "commanded",
}
_AWAY_EMOJI = frozenset(
    {":palm_tree:", ":face_with_thermometer:", ":beach_with_umbrella:", ":desert_island:"}
)
_AWAY_WORDS = re.compile(
    r"\b(vacation\w*|on leave|on holiday|out of office|ooo|urlaub|en vacances)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_][\w'’.-]*")
_GROUP = r"people|persons|colleagues|reps|sellers|team|leuten?|personen|kolleg\w+|teams?"
_FIGURE = re.compile(
    rf"\b(\d+) (?:of|out of|von) (?:the |your |deinen )?(\d+) (?:{_GROUP})\b"
    rf"|\b\d+ ?%[^.\n]{{0,60}}\b(?:of|von|in) (?:the |your |deinem )?(?:{_GROUP})\b(?:[^.\n]{{0,30}}?\b(\d+) (?:people|leute))?",
    re.IGNORECASE,
)
SMALLEST_GROUP = 5


@dataclass(slots=True)
class Tally:
    """Cases of one promise."""

    examined: int = 0
    broken: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, entry: Json | None, why: str) -> None:
        """One broken case, with the entry of the record that shows it."""
        self.broken += 1
        if len(self.first) < LISTED:
            place = f"{entry['seq']} {entry['at']} {entry.get('user') or ''}: " if entry else ""
            self.first.append(place + why)

    def told(self) -> Json:
        """For the report."""
        return {"broken": self.broken, "examined": self.examined, "first": list(self.first)}


@dataclass(slots=True)
class Act:
    """Something that a person did and that wants an answer. `silent`: by design it may get none."""

    entry: Json
    at: float
    silent: bool = False
    acked: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A tip that somebody asked to see again, and when they asked."""

    text: str
    look: Look
    at: float


@dataclass(slots=True)
class Person:
    """What matters of one person's past, and no more."""

    owed: deque[Act] = field(default_factory=deque)
    credit: deque[float] = field(default_factory=deque)
    """Until when one more answer may follow: a command is answered at once, and again when its work is done."""
    private: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """The latest messages that only they see."""
    welcomed: float | None = None
    goal: float | None = None
    capped: deque[float] = field(default_factory=deque)
    last: float | None = None
    """The last capped message but the welcome."""
    said: dict[str, float] = field(default_factory=dict)
    """Unasked words of the past day."""
    tips: dict[str, tuple[str, Look]] = field(default_factory=dict)
    """Place -> words and look of the latest tips."""
    places: dict[str, str] = field(default_factory=dict)
    """Delivery id of a tip -> where it stands."""
    reminders: list[Asked] = field(default_factory=list)
    """Tips that they asked to see again."""
    barriers: dict[str, float] = field(default_factory=dict)
    never: set[str] = field(default_factory=set)
    asked_why: dict[str, float] = field(default_factory=dict)
    stranger_on: date | None = None
    names: set[str] = field(default_factory=set)
    """Names that they wrote themselves."""
    days: frozenset[int] | None = None
    hours: tuple[time, time] | None = None
    weekly: int | None = None
    stopped: float | None = None
    ever_stopped: bool = False
    paused_until: float = 0.0


class Promises:
    """Watches a workspace. `report` may be asked for at any time, and again.

    What is in the record already counts too, with the people as they are by now.
    """

    def __init__(self, slack: Slack, surroundings: Surroundings | None = None) -> None:
        self.slack = slack
        self.around = surroundings or Surroundings()
        self.tallies = {name: Tally() for name in PROMISES}
        self.late = 0
        self._people: defaultdict[str, Person] = defaultdict(Person)
        self._delivered: set[str] = set()
        self._named: Counter[str] = Counter()
        self._named_first: defaultdict[str, list[str]] = defaultdict(list)
        self._names: dict[str, list[tuple[str, str]]] = {}
        self._named_users = -1
        self._owners: dict[str, frozenset[str]] = {}
        self._zones: dict[str, ZoneInfo] = {}
        self._now = slack.clock.now()
        for entry in slack.record.entries:
            self._sees(entry)
        slack.record.watchers.append(self._sees)

    # The report

    def report(self) -> dict[str, Json]:
        """For each promise how many cases were broken, how many were examined, and the first broken ones in words."""
        found = {name: tally.told() for name, tally in self.tallies.items()}
        now = self.slack.clock.seconds()
        replies = Tally(**found["reply_lost"])
        for person in self._people.values():
            for act in person.owed:
                if act.acked and not act.settled and not act.silent and now - act.at > SOON:
                    replies.examined += 1
                    replies.add(act.entry, f"no answer to {act.entry['kind']}")
        found["reply_lost"] = {**replies.told(), "late": self.late}
        found["name_without_yes"] = self._names_told(Tally(**found["name_without_yes"]))
        leavers = sum(user.deleted for user in self.slack.workspace.users.values())
        found["to_leavers"]["examined"] += leavers
        return found

    def _names_told(self, tally: Tally) -> Json:
        for user, count in self._named.items():
            known = self._people.get(user)
            # Whose roles nobody told: those who were never welcomed may be the ones who run it.
            if self.around.roles is None and (known is None or known.welcomed is None):
                continue
            tally.broken += count
            tally.first.extend(self._named_first[user][: LISTED - len(tally.first)])
        return tally.told()

    def inspected(self, user: str, shown: Json) -> None:
        """What the bot shows of its decisions about somebody (`GET /inspect/{user}`), at the end."""
        reasons, arrived = self.tallies["no_reason"], self.tallies["never_arrived"]
        for decision in shown.get("decisions", []):
            reasons.examined += 1
            if decision["action"] == "none" and not decision["reason"]:
                reasons.add(
                    None, f"{user}: decision {decision['id']} of {decision['at']} is none, without a reason"
                )
            for declined in decision["declined"]:
                if not declined.get("reason"):
                    reasons.add(
                        None, f"{user}: decision {decision['id']} declined {declined} without a reason"
                    )
        for message in shown.get("messages", []):
            state = message["state"]
            if state in ("dropped", "dead"):
                reasons.examined += 1
                if not message["reason"]:
                    reasons.add(None, f"{user}: message {message['id']} is {state}, without a reason")
            elif state == "sent":
                arrived.examined += 1
                if message["id"] not in self._delivered:
                    arrived.add(None, f"{user}: message {message['id']} is called sent, and never came")

    # Seeing

    def _sees(self, entry: Json) -> None:
        self._now = datetime.fromisoformat(entry["at"])
        kind = entry["kind"]
        if kind in ("posted", "ephemeral"):
            self._arrives(entry)
        elif kind == "updated":
            self._changes(entry)
        elif kind == "deleted":
            if entry["author"] == self.slack.workspace.bot_user_id:
                self._settle_place(entry)
        elif kind == "view":
            self._shows(entry)
        elif kind in ("said", "pressed", "submitted", "commanded"):
            self._acts(entry)
        elif kind == "delivery" and entry["acked"]:
            self._hears(entry)

    def _arrives(self, entry: Json) -> None:
        if entry["author"] != self.slack.workspace.bot_user_id:
            return
        self._reads(entry, entry["user"] if entry["channel_type"] == "im" else None)
        twice = self.tallies["sent_twice"]
        delivery = delivery_of(entry["metadata"])
        if delivery is not None:
            twice.examined += 1
            if delivery in self._delivered:
                twice.add(entry, f"{delivery} came before")
                return
            self._delivered.add(delivery)
        ephemeral = entry["kind"] == "ephemeral"
        if entry["channel_type"] != "im" and not ephemeral:
            return
        person = self._people[entry["user"]]
        seen = look(entry["text"], entry["blocks"])
        asked = _asked_for(person, entry["text"]) if seen.kind == TIP else None
        if asked is not None:
            self._reminds(person, entry, seen, asked)
            return
        if seen.kind in (STATUS, OTHER) and self._is_answer(person, entry, ephemeral=ephemeral):
            if told.confirms_stop(entry["text"]):
                self._stop(person)
            return
        self._unasked(person, entry, seen)

    def _reminds(self, person: Person, entry: Json, seen: Look, asked: Asked) -> None:
        """What was asked for comes at its own time, over the number and behind a barrier too, and has to be right else.

        Stop ends what was asked for before it. A number in it may be of the day that it names.
        """
        user = self.slack.workspace.users.get(entry["user"])
        self._remember(person, entry, asked.look)
        self._same_words(person, entry, self._now.timestamp())
        if person.ever_stopped:
            self.tallies["after_stop"].examined += 1
            if person.stopped is not None and asked.at <= person.stopped:
                self.tallies["after_stop"].add(entry, "a reminder after stop")
        self._leaver(entry, user)
        self._why(entry, seen)
        self._not_for_them(person, entry, asked.look)
        if asked.look.records:
            self._so(entry, replace(asked.look, count=None), user)

    @staticmethod
    def _remember(person: Person, entry: Json, seen: Look) -> None:
        person.tips[entry["ts"]] = (entry["text"], seen)
        person.places[delivery_of(entry["metadata"]) or ""] = entry["ts"]
        for kept in (person.tips, person.places):
            while len(kept) > REMEMBERED:
                del kept[next(iter(kept))]

    def _changes(self, entry: Json) -> None:
        if entry["author"] == self.slack.workspace.bot_user_id:
            self._reads(entry, entry["user"] if entry["channel_type"] == "im" else None)
            self._settle_place(entry)

    def _shows(self, entry: Json) -> None:
        self._reads({**entry, "text": "\n".join(words_in(entry["blocks"]))}, entry["user"])
        person = self._people[entry["user"]]
        for act in self._shown_for(person, entry):
            self._settle(person, act)

    def _shown_for(self, person: Person, entry: Json) -> list[Act]:
        """What a view is the answer to: what was done in one, for the Home; for a modal what it was opened by."""
        open_acts = [act for act in person.owed if not act.settled and act.entry["kind"] != "said"]
        if entry["type"] == "home":
            return [act for act in open_acts if act.entry.get("view_id")]
        inside = [act for act in open_acts if act.entry.get("view_id") == entry["view_id"]]
        if inside or entry["via"] not in _OPENING:
            return inside
        before = self._now.timestamp() - TRIGGER
        # The right to open a modal lasts so long, and for one: the latest that has no answer yet had it.
        return [act for act in open_acts if act.at >= before][-1:]

    # What people do

    def _acts(self, entry: Json) -> None:
        if entry["kind"] == "said" and entry["channel_type"] != "im":
            return
        now = self._now.timestamp()
        person = self._people[entry["author" if entry["kind"] == "said" else "user"]]
        self._expire(person, now)
        act = Act(entry, now)
        if entry["kind"] == "pressed" and _action(entry) == "tip:why":
            before = person.asked_why.get(entry["ts"])
            act.silent = before is not None and now - before < DAY
            person.asked_why = {ts: at for ts, at in person.asked_why.items() if now - at < DAY}
            person.asked_why[entry["ts"]] = now
        elif entry["kind"] == "said" and person.welcomed is None:
            today = self._now.date()
            act.silent = person.stranger_on == today
            person.stranger_on = today
        person.owed.append(act)

    def _hears(self, entry: Json) -> None:
        """Slack was told that the bot has it: what it says counts from now on, and an answer is owed."""
        kind = _DELIVERED.get(entry["what"])
        person = self._people.get(entry.get("user") or "")
        if kind is None or person is None:
            return
        # The latest: who got no answer does the same again, and what was not handed over before never is.
        again = reversed(person.owed)
        act = next((act for act in again if not act.acked and _same(act.entry, entry, kind)), None)
        if act is None:
            return
        act.acked = True
        if not act.silent:
            self._told(person, act.entry, kind)
        self._close(person, act)

    def _told(self, person: Person, entry: Json, kind: str) -> None:
        today = self._local(entry["user"]).date()
        if kind == "pressed":
            self._pressed(person, entry, _action(entry), today)
        elif kind == "commanded":
            changed = told.setting(entry["text"])
            if changed is not None:
                _set(person, changed)
            else:
                self._worded(person, entry, entry["text"], today)
        elif kind == "said":
            self._worded(person, entry, entry["text"], today)
            if told.asks_to_be_reminded(entry["text"]) and person.tips:
                last = next(reversed(person.tips.values()))
                about = person.tips.get(entry["thread_ts"] or "", last)
                person.reminders.append(Asked(*about, self._now.timestamp()))

    def _worded(self, person: Person, entry: Json, text: str, today: date) -> None:
        person.names.update(name for _, name in self._found(text))
        until = told.pause_until(text, today)
        if told.is_stop(text):
            self._stop(person)
        elif told.is_resume(text):
            person.stopped, person.paused_until = None, 0.0
        elif until is not None:
            self._pause(person, entry["user"], until)
        elif told.takes_back(text):
            person.barriers.clear()

    def _pressed(self, person: Person, entry: Json, action: str, today: date) -> None:
        about = person.tips.get(entry["ts"])
        if about is None and action.startswith("remind:"):
            # "When shall I remind you?" stands in a message of its own, and its buttons name the one it is about.
            about = person.tips.get(person.places.get(str(entry.get("value")), ""))
        now = self._now.timestamp()
        if action.startswith("goal:"):
            person.goal = None if action == "goal:later" else now
        elif action == "resume":
            person.stopped, person.paused_until = None, 0.0
        elif action in told.PAUSE_BUTTONS:
            self._pause(person, entry["user"], told.pause_of_button(action, today))
        elif action.startswith(("feedback:delete", "me:lift")):
            person.barriers.clear()
        elif about is not None and action == "tip:blocked":
            person.barriers.setdefault(about[1].about, now)
        elif about is not None and action == "tip:not_for_me":
            person.never.add(about[1].tip)
        elif about is not None and action in ("remind:tomorrow", "remind:next_week"):
            person.reminders.append(Asked(*about, now))

    def _stop(self, person: Person) -> None:
        if person.stopped is None:
            person.stopped = self._now.timestamp()
            person.ever_stopped = True
            self.tallies["after_stop"].examined += 1

    def _pause(self, person: Person, user: str, until: date) -> None:
        person.paused_until = datetime.combine(until, time(), self._zone(user)).timestamp()
        self.tallies["while_paused"].examined += 1

    # Answers

    def _is_answer(self, person: Person, entry: Json, *, ephemeral: bool) -> bool:
        """Whether it follows something that this person did; it then counts as the answer to that."""
        now = self._now.timestamp()
        self._expire(person, now)
        kept = [act for act in person.owed if act.acked and not act.settled]
        # What Slack has not handed over (yet) is the last that an answer can be to, and then to the latest of it.
        open_acts = kept + [act for act in reversed(person.owed) if not act.acked and not act.settled]
        if ephemeral:
            person.private.append(entry["ts"])
            if entry["via"] == "answer":
                return self._acknowledged(person, open_acts, now)
        thread = entry["thread_ts"]
        found = next((act for act in kept if _fits(act, thread)), None)
        found = found or next((act for act in kept if act.entry["kind"] != "pressed"), None)
        if found is None:
            while person.credit and person.credit[0] < now:
                person.credit.popleft()
            if person.credit:
                person.credit.popleft()
                return True
            # What hangs on a message that only they see cannot be answered in a thread.
            found = next(
                (
                    act
                    for act in open_acts
                    if act.entry["kind"] != "pressed"
                    or act.entry["ts"] in person.private
                    or _fits(act, thread)
                ),
                None,
            )
        if found is not None:
            self._settle(person, found)
        return found is not None

    def _acknowledged(self, person: Person, open_acts: list[Act], now: float) -> bool:
        """The body of an acknowledgement answers the command that it acknowledges."""
        commands = [act for act in open_acts if act.entry["kind"] == "commanded"]
        if commands:
            latest = max(commands, key=lambda act: act.at)
            self._settle(person, latest)
            if told.speaks(latest.entry["text"]):
                person.credit.append(now + DAY)
        return True

    def _settle_place(self, entry: Json) -> None:
        """A message changed: that answers every click on it so far."""
        person = self._people[entry["user"]]
        for act in [*person.owed]:
            if act.entry["kind"] == "pressed" and act.entry["ts"] == entry["ts"] and not act.settled:
                self._settle(person, act)

    def _settle(self, person: Person, act: Act) -> None:
        act.settled = True
        self.late += self._now.timestamp() - act.at > LATE
        self._close(person, act)

    def _close(self, person: Person, act: Act) -> None:
        """Both acknowledged and answered: done."""
        if act.acked and (act.settled or act.silent):
            person.owed.remove(act)
            self.tallies["reply_lost"].examined += not act.silent

    def _expire(self, person: Person, now: float) -> None:
        for act in [act for act in person.owed if now - act.at > (DAY if act.acked else SOON)]:
            person.owed.remove(act)
            if act.acked:
                self.tallies["reply_lost"].examined += 1
                self.tallies["reply_lost"].add(act.entry, f"no answer to {act.entry['kind']}")

    # What nobody asked for

    def _unasked(self, person: Person, entry: Json, seen: Look) -> None:
        now = self._now.timestamp()
        user = self.slack.workspace.users.get(entry["user"])
        self._same_words(person, entry, now)
        self._welcome_first(person, entry, seen, now)
        self._budget(person, entry, seen, now)
        self._silence(person, entry, user, now)
        if user is not None:
            window = self.tallies["outside_window"]
            window.examined += 1
            why = self._bad_moment(person, user)
            if why:
                window.add(entry, why)
        self._why(entry, seen)
        if seen.kind == TIP:
            self._tip(person, entry, seen, user)

    def _why(self, entry: Json, seen: Look) -> None:
        reasons = self.tallies["no_reason"]
        reasons.examined += 1
        if not seen.why:
            reasons.add(entry, f"a {seen.kind} has no 'Why this?'")

    def _same_words(self, person: Person, entry: Json, now: float) -> None:
        person.said = {words: at for words, at in person.said.items() if now - at < DAY}
        if entry["text"] in person.said:
            self.tallies["sent_twice"].add(entry, "the same words came within a day")
        person.said[entry["text"]] = now

    def _welcome_first(self, person: Person, entry: Json, seen: Look, now: float) -> None:
        tally = self.tallies["before_welcome"]
        tally.examined += 1
        if seen.kind == WELCOME:
            if person.welcomed is not None:
                tally.add(entry, "welcomed before")
            person.welcomed = person.welcomed or now
        elif person.welcomed is None:
            tally.add(entry, f"a {seen.kind} before the welcome")

    def _budget(self, person: Person, entry: Json, seen: Look, now: float) -> None:
        if seen.kind in UNCAPPED:
            return
        while person.capped and person.capped[0] <= now - WEEK + TOLERANCE:
            person.capped.popleft()
        person.capped.append(now)
        cap = self.around.cap if person.weekly is None else person.weekly
        tally = self.tallies["over_cap"]
        tally.examined += 1
        if len(person.capped) > cap:
            tally.add(entry, f"{len(person.capped)} within seven days, {cap} at most")
        before = [person.last] if person.last is not None else []
        answered = person.goal is not None and person.goal >= (person.welcomed or now)
        if person.welcomed is not None and seen.kind != WELCOME and not answered:
            before.append(person.welcomed)
        if before and seen.kind != WELCOME:
            close = self.tallies["too_close"]
            close.examined += 1
            if now - max(before) < self.around.spacing_hours * 3600 - TOLERANCE:
                close.add(entry, f"{(now - max(before)) / 3600:.1f} hours after the one before")
        if seen.kind != WELCOME:
            person.last = now

    def _silence(self, person: Person, entry: Json, user: User | None, now: float) -> None:
        if person.ever_stopped:
            self.tallies["after_stop"].examined += 1
            if person.stopped is not None:
                self.tallies["after_stop"].add(entry, "after stop")
        if person.paused_until:
            self.tallies["while_paused"].examined += 1
            if now < person.paused_until:
                self.tallies["while_paused"].add(entry, "in a pause")
        self._leaver(entry, user)

    def _leaver(self, entry: Json, user: User | None) -> None:
        if user is not None and user.deleted:
            self.tallies["to_leavers"].examined += 1
            self.tallies["to_leavers"].add(entry, "has left")

    def _tip(self, person: Person, entry: Json, seen: Look, user: User | None) -> None:
        self._remember(person, entry, seen)
        if person.barriers:
            tally = self.tallies["behind_a_barrier"]
            tally.examined += 1
            if seen.about in person.barriers:
                tally.add(entry, f"something is in the way of {seen.about}")
        self._not_for_them(person, entry, seen)
        self._so(entry, seen, user)

    def _not_for_them(self, person: Person, entry: Json, seen: Look) -> None:
        if person.never:
            tally = self.tallies["after_not_for_me"]
            tally.examined += 1
            if seen.tip in person.never:
                tally.add(entry, f"not for them: {seen.tip}")

    def _so(self, entry: Json, seen: Look, user: User | None) -> None:
        """By the CRM at this moment: could it be read, and is it so?"""
        crm = self.around.crm
        if crm is None or user is None:
            return
        now = self._now
        tally = self.tallies["no_data_no_use"]
        outage = truth.trouble(crm, seen, now)
        tally.examined += outage is not None
        if outage is not None and outage.blind:
            tally.add(entry, f"{outage.object} could not be read")
        if seen.records:
            tally = self.tallies["not_true"]
            tally.examined += 1
            if user.id not in self._owners:
                self._owners[user.id] = truth.owners_of(crm, user.email)
            untrue = truth.check(crm, self._owners[user.id], seen, now)
            if untrue is not None:
                tally.add(entry, untrue)

    # Good moments

    def _zone(self, user: str) -> ZoneInfo:
        known = self.slack.workspace.users.get(user)
        name = (known.tz if known else "") or "UTC"
        if name not in self._zones:
            self._zones[name] = ZoneInfo(name)
        return self._zones[name]

    def _local(self, user: str) -> datetime:
        return self._now.astimezone(self._zone(user))

    def _bad_moment(self, person: Person, user: User) -> str:
        """Why this is no moment to write to somebody unasked; "" when it is one."""
        local = self._local(user.id)
        now = local.timestamp()
        start, end = person.hours or self.around.window
        start, end = max(start, EARLIEST), min(end, LATEST)
        last = (datetime.combine(local.date(), end) + timedelta(seconds=TOLERANCE)).time()
        if not start <= local.time() < last:
            return f"{local:%H:%M} is outside {start:%H:%M} to {end:%H:%M}"
        if local.isoweekday() not in (person.days or {1, 2, 3, 4, 5}):
            return f"{local:%A} is no working day"
        if self.around.is_holiday(user.id, local.date()):
            return f"{local.date()} is a public holiday"
        quiet = user.dnd.window(local.astimezone(UTC), user.tz or "UTC") if user.dnd else None
        if quiet is not None and quiet[0] <= now < quiet[1]:
            return "in do-not-disturb"
        away = user.status_emoji in _AWAY_EMOJI or _AWAY_WORDS.search(user.status_text)
        if away and not 0 < user.status_expiration <= now:
            return f"away: {user.status_emoji} {user.status_text}"
        return ""

    # Names and numbers

    def _reads(self, entry: Json, reader: str | None) -> None:
        """Somebody reads a text: does it name others, or count a few of them?"""
        text = entry["text"]
        tally = self.tallies["name_without_yes"]
        tally.examined += 1
        if reader is not None and self.around.roles is not None and reader in self.around.roles:
            own = None
        else:
            own = self._people[reader] if reader is not None else Person()
        if own is not None:
            for user, name in self._found(text):
                if user != reader and name not in own.names and user not in (self.around.roles or ()):
                    self._named[user] += 1
                    if len(self._named_first[user]) < LISTED:
                        self._named_first[user].append(f"{entry['seq']} {entry['at']} {reader}: names {user}")
        self._counts(entry, reader)

    def _counts(self, entry: Json, reader: str | None) -> None:
        tally = self.tallies["number_under_k"]
        for figure in _FIGURE.finditer(entry["text"]):
            tally.examined += 1
            size = next((int(group) for group in (figure[2], figure[3]) if group), None)
            if size is None:
                size = self.around.teams.get(reader or "", SMALLEST_GROUP)
            if size < SMALLEST_GROUP:
                tally.add(entry, f"{figure[0]!r} is about {size}")

    def _found(self, text: str) -> Iterator[tuple[str, str]]:
        """Members whose full name stands in a text, with the name."""
        users = self.slack.workspace.users
        if len(users) != self._named_users:
            self._named_users = len(users)
            self._names = {}
            for user in users.values():
                first = _WORD.match(user.real_name)
                if first and " " in user.real_name and not user.is_bot:
                    self._names.setdefault(first[0], []).append((user.id, user.real_name))
        names = self._names
        for word in _WORD.finditer(text):
            for user_id, name in names.get(word[0], ()):
                if text.startswith(name, word.start()):
                    yield user_id, name


def _asked_for(person: Person, text: str) -> Asked | None:
    """What they asked for and this repeats; None when it is no reminder."""
    found = next((asked for asked in person.reminders if text.endswith(asked.text)), None)
    # The same words below a line of their own: a new tip has none above it.
    if found is None or found.text == text:
        return None
    person.reminders.remove(found)
    return found


def _fits(act: Act, thread: str | None) -> bool:
    """Whether a message in this thread can only be about that act: words in it, or a click on its root."""
    at = act.entry["ts"] if act.entry["kind"] == "pressed" else act.entry.get("thread_ts")
    return thread is not None and at == thread


def _action(entry: Json) -> str:
    """What was pressed: the button, or the entry of a menu."""
    action = str(entry["action_id"])
    value = entry.get("value")
    return (
        value.partition("|")[0] if action.partition(":")[0] == "menu" and isinstance(value, str) else action
    )


def _same(act: Json, delivery: Json, kind: str) -> bool:
    """Whether a delivery is about this act."""
    keys = {
        "said": ("ts",),
        "pressed": ("ts", "action_id", "view_id"),
        "submitted": ("view_id",),
        "commanded": ("command", "text"),
    }
    return act["kind"] == kind and all(act[key] == delivery[key] for key in keys[kind])


def _set(person: Person, changed: told.Setting) -> None:
    """Own times, from now on. What is not understood here allows everything that the hard limits do."""
    if changed.name == "days":
        person.days = frozenset(range(1, 8)) if changed.unclear else changed.days
    elif changed.name == "hours":
        person.hours = (EARLIEST, LATEST) if changed.unclear else changed.hours
    else:
        person.weekly = 5 if changed.unclear else changed.weekly
