"""One attention budget for every kind of message: caps, spacing, windows, pauses, back-off.

Pure: the planner asks :func:`refusal` before it decides, the gate asks it again just before sending.
Defaults: :class:`bot.domain.programme.Rules`; which rule applies to which kind: :data:`bot.domain.messages.KINDS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.domain.messages import ANSWER, BACK_OFF, KINDS, REMINDER, TIP, WELCOME
from bot.domain.people import MATCHED, Person, Preferences
from bot.domain.programme import Rules

EARLIEST = time(8, 0)
LATEST = time(18, 30)
"""Hard limits of the send window, whatever anybody sets."""
PREFERRED_DAYS = frozenset({1, 2, 3})
"""Tuesday to Thursday: first choice for tips."""
FRIDAY_LAST = time(15, 0)
WEEK = timedelta(days=7)
SLOT_TIME = time(10, 0)
SLOT_SPREAD = timedelta(minutes=40)
SLOT_STEP = timedelta(minutes=20)
"""The daily decision point: 10:00 where the person is, spread over 40 minutes by person, in steps that make batches."""
MAX_WEEKLY_CAP = 5
PERSONAL = frozenset(
    {
        "stopped",
        "paused",
        "kind-off",
        "ignored-pause",
        "back-off",
        "cap-zero",
        "barrier-open",
        "not-for-me",
        "away",
        "dnd",
    }
)
"""Reasons that are the person's own: nobody but them and the delivery reads them."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that went out, or will (``waiting``): kind, when, its template, and whether it was ignored.

    ``ignored``: None while it is too early to say.
    """

    kind: str
    at: datetime
    template: str
    waiting: bool = False
    ignored: bool | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """What Slack says right now. ``dnd_until``: do not disturb is on until then. ``away_until``: out of office."""

    dnd_until: datetime | None = None
    away_until: datetime | None = None
    away: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything about one person that may forbid a message.

    ``sends``: the last 28 days, oldest first; back to the last one that they reacted to where all of these were ignored.
    ``frozen``: behaviours with an open barrier that concerns this person.
    ``holidays``: public holidays of their country around now.
    """

    person: Person
    preferences: Preferences
    sends: tuple[Sent, ...] = ()
    frozen: frozenset[str] = field(default_factory=frozenset)
    holidays: frozenset[date] = field(default_factory=frozenset)
    presence: Presence = field(default_factory=Presence)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no with a name. ``until``: when to look again, None if time alone does not change it."""

    reason: str
    until: datetime | None = None


def zone_of(person: Person) -> ZoneInfo | None:
    """The person's time zone, or None when it is unknown or no IANA name: then nothing is sent."""
    if not person.zone:
        return None
    try:
        return ZoneInfo(person.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def working_days(standing: Standing) -> tuple[int, ...]:
    """Weekdays (0 = Monday) that the person works: their own choice, else the file's."""
    return standing.preferences.working_days or standing.person.working_days


def window(standing: Standing, rules: Rules) -> tuple[time, time]:
    """Send window in local time: own choice, else the default; never outside 08:00-18:30."""
    start = standing.preferences.window_start or time.fromisoformat(rules.window_start)
    end = standing.preferences.window_end or time.fromisoformat(rules.window_end)
    return max(start, EARLIEST), min(end, LATEST)


def local_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """UTC instant of a local wall time. A time that a clock change skips moves forward; one that happens twice is the first."""
    return datetime.combine(day, at, tzinfo=zone).replace(fold=0).astimezone(UTC)


def is_working_day(standing: Standing, day: date) -> bool:
    """One of the person's working days, and no public holiday of their country."""
    return day.weekday() in working_days(standing) and day not in standing.holidays


def next_window(standing: Standing, rules: Rules, now: datetime, *, kind: str = TIP) -> datetime | None:
    """The first instant from ``now`` on that lies in the person's window on one of their working days (UTC).

    None when there is none within 60 days (no working day left, an empty window) or the zone is unknown.
    """
    zone = zone_of(standing.person)
    if zone is None:
        return None
    start, end = window(standing, rules)
    if start >= end:
        return None
    today = now.astimezone(zone).date()
    for offset in range(61):
        day = today + timedelta(days=offset)
        if not is_working_day(standing, day):
            continue
        last = min(end, FRIDAY_LAST) if kind == TIP and day.weekday() == 4 else end
        if start >= last:
            continue
        opens, closes = local_instant(day, start, zone), local_instant(day, last, zone)
        if now < closes:
            return max(now, opens)
    return None


def weekly_cap(standing: Standing, rules: Rules) -> int:
    """Unasked messages in any 7 days: own choice if smaller or larger, never over the hard limit of 5."""
    own = standing.preferences.weekly_cap
    return max(0, min(MAX_WEEKLY_CAP, rules.weekly_cap if own is None else own))


def ignored_in_a_row(sends: Iterable[Sent]) -> int:
    """How many of the latest capped messages were ignored, up to the newest that was not. Undecided ones do not count."""
    count = 0
    for sent in sorted(sends, key=lambda s: s.at, reverse=True):
        if not KINDS[sent.kind].capped or sent.kind == WELCOME or sent.waiting or sent.ignored is None:
            continue
        if not sent.ignored:
            break
        count += 1
    return count


def asked_to_go_on(sends: Iterable[Sent]) -> bool:
    """Whether the back-off question was put since the person last reacted to anything: it is put once."""
    for sent in sorted(sends, key=lambda s: s.at, reverse=True):
        if sent.kind == BACK_OFF:
            return True
        if KINDS[sent.kind].capped and sent.ignored is False:
            return False
    return False


def _backed_off(kind: str, standing: Standing, rules: Rules) -> bool:
    """Whether so many messages were ignored that tips come at twice the interval: half the places, twice the distance."""
    return kind == TIP and ignored_in_a_row(standing.sends) >= rules.ignored_doubles


def spacing(kind: str, standing: Standing, rules: Rules) -> timedelta:
    """How far a message of this kind keeps from the one before."""
    usual = timedelta(hours=rules.spacing_hours)
    if not _backed_off(kind, standing, rules):
        return usual
    return max(2 * usual, WEEK * 2 / max(1, weekly_cap(standing, rules)))


def _asked_for_more(sent: Sent, choice: Preferences) -> bool:
    """A welcome that was answered by choosing a goal: what follows was asked for, so it keeps no distance from it."""
    return (
        sent.kind == WELCOME
        and not sent.waiting
        and choice.goal is not None
        and choice.goal_chosen_at is not None
        and choice.goal_chosen_at >= sent.at
    )


def _standing_refusals(
    kind: str, standing: Standing, behaviour: str | None, now: datetime
) -> Iterator[Refusal]:
    """Reasons that concern the person, not the hour."""
    person, choice, rule = standing.person, standing.preferences, KINDS[kind]
    if person.match != MATCHED or person.slack_id is None:
        yield Refusal(f"not-matched:{person.match}")
    if not person.active:
        yield Refusal("left")
    if kind in {ANSWER, REMINDER}:
        return
    if not person.pilot:
        yield Refusal("not-in-pilot")
    if choice.stopped_at is not None:
        yield Refusal("stopped")
    if choice.paused_until is not None and now < choice.paused_until:
        yield Refusal("paused", choice.paused_until)
    if kind in choice.kinds_off:
        yield Refusal("kind-off")
    if kind != WELCOME and person.welcomed_at is None:
        yield Refusal("not-welcomed")
    if rule.frozen_by_barrier and behaviour is not None and behaviour in standing.frozen:
        yield Refusal("barrier-open")


def _budget_refusals(kind: str, standing: Standing, rules: Rules, now: datetime) -> Iterator[Refusal]:
    """Cap over all kinds in any 7 days, spacing, back-off, one place kept for tips, recent load."""
    if not KINDS[kind].capped:
        return
    capped = [sent for sent in standing.sends if KINDS[sent.kind].capped]
    recent = sorted(sent.at for sent in capped if sent.at > now - WEEK)
    if ignored_in_a_row(standing.sends) >= rules.ignored_pauses and kind != BACK_OFF:
        yield Refusal("ignored-pause")
    cap = weekly_cap(standing, rules)
    backed_off = _backed_off(kind, standing, rules)
    if backed_off and cap:
        cap = max(1, cap // 2)
    if cap == 0:
        yield Refusal("cap-zero")
    elif len(recent) >= cap:
        yield Refusal("weekly-cap", recent[len(recent) - cap] + WEEK)
    if kind not in {TIP, WELCOME} and cap >= 2:
        others = sorted(sent.at for sent in capped if sent.kind != TIP and sent.at > now - WEEK)
        if len(others) >= cap - 1:
            yield Refusal("place-kept-for-tips", others[len(others) - (cap - 1)] + WEEK)
    spaced = [sent.at for sent in capped if not _asked_for_more(sent, standing.preferences)]
    clear = max(spaced) + spacing(kind, standing, rules) if spaced else now
    if now < clear:
        yield Refusal("back-off" if backed_off else "spacing", clear)
    day_load = sorted(sent.at for sent in standing.sends if sent.at > now - timedelta(hours=24))
    if len(day_load) >= rules.load_24h:
        yield Refusal("recent-load", day_load[-rules.load_24h] + timedelta(hours=24))


def _hour_refusals(kind: str, standing: Standing, rules: Rules, now: datetime) -> Iterator[Refusal]:
    """Window, working days, holidays, do-not-disturb, away."""
    if not KINDS[kind].windowed:
        return
    if zone_of(standing.person) is None:
        yield Refusal("zone-unknown")
        return
    opens = next_window(standing, rules, now, kind=kind)
    if opens is None:
        yield Refusal("no-window")
    elif opens > now:
        yield Refusal("outside-window", opens)
    presence = standing.presence
    if presence.away and (presence.away_until is None or now < presence.away_until):
        yield Refusal("away", presence.away_until)
    if presence.dnd_until is not None and now < presence.dnd_until:
        yield Refusal("dnd", presence.dnd_until)


def refusals(
    kind: str, standing: Standing, rules: Rules, now: datetime, *, behaviour: str | None = None
) -> Iterator[Refusal]:
    """Every reason why a message of this kind may not go to this person now.

    The person's standing comes first, then the budget, then the hour, so that the reason that lasts longest is named first.
    """
    yield from _standing_refusals(kind, standing, behaviour, now)
    yield from _budget_refusals(kind, standing, rules, now)
    yield from _hour_refusals(kind, standing, rules, now)


def refusal(
    kind: str, standing: Standing, rules: Rules, now: datetime, *, behaviour: str | None = None
) -> Refusal | None:
    """The first of :func:`refusals`; None when the message may go.

    ``behaviour``: what a tip, pulse or check-in is about, for the barrier freeze.
    """
    return next(refusals(kind, standing, rules, now, behaviour=behaviour), None)


def wait_for_a_better_day(standing: Standing, now: datetime) -> bool:
    """Tips go out Tuesday to Thursday by first choice; on other days only in a week in which they work on none of these."""
    if zone_of(standing.person) is None:
        return False
    day = local_day(standing, now)
    monday = day - timedelta(days=day.weekday())
    return day.weekday() not in PREFERRED_DAYS and any(
        is_working_day(standing, monday + timedelta(days=offset)) for offset in PREFERRED_DAYS
    )


# --- decision points ---------------------------------------------------------------------------------------------


def local_day(standing: Standing, now: datetime) -> date:
    """The date where the person is; in UTC when nobody knows."""
    return now.astimezone(zone_of(standing.person) or UTC).date()


def spread(person_id: str) -> float:
    """A person's own place in the day's queue, 0 <= x < 1: stable, so that a slot is predictable."""
    return int.from_bytes(hashlib.sha256(person_id.encode()).digest()[:6]) / 2**48


def slot_on(standing: Standing, rules: Rules, day: date) -> datetime | None:
    """The person's decision point on that local day (UTC): SLOT_TIME and their spread, inside their window.

    None when it is no working day of theirs, the window is empty, or the zone is unknown.
    """
    zone = zone_of(standing.person)
    start, end = window(standing, rules)
    if zone is None or start >= end or not is_working_day(standing, day):
        return None
    opens, closes = local_instant(day, start, zone), local_instant(day, end, zone)
    base = max(opens, local_instant(day, SLOT_TIME, zone))
    if base + SLOT_SPREAD > closes:
        base = max(opens, closes - SLOT_SPREAD)
    own = spread(standing.person.id) * min(SLOT_SPREAD, closes - base)
    return base + own // SLOT_STEP * SLOT_STEP


def next_slot(standing: Standing, rules: Rules, day: date) -> datetime | None:
    """The first decision point on ``day`` or later, within 60 days."""
    found = (slot_on(standing, rules, day + timedelta(days=offset)) for offset in range(61))
    return next((slot for slot in found if slot is not None), None)


def window_closes(standing: Standing, rules: Rules, now: datetime, *, kind: str = TIP) -> datetime | None:
    """When the window that holds ``now`` closes for this kind; None outside of any window."""
    if next_window(standing, rules, now, kind=kind) != now:
        return None
    zone = zone_of(standing.person)
    assert zone is not None
    day = now.astimezone(zone).date()
    end = window(standing, rules)[1]
    return local_instant(day, min(end, FRIDAY_LAST) if kind == TIP and day.weekday() == 4 else end, zone)
