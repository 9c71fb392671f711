"""One attention budget for every kind of message: caps, spacing, windows, pauses, back-off (D1-D8, J6).

Pure: the planner asks :func:`refusal` before it decides, the gate asks it again just before sending.
Defaults and hard limits: product/evidence.md, last table; which rule applies to which kind: design.md §4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.domain.messages import KINDS, TIP, WELCOME
from bot.domain.people import MATCHED, Person, Preferences
from bot.domain.programme import Rules

EARLIEST = time(8, 0)
LATEST = time(18, 30)
"""Hard limits of the send window, whatever anybody sets."""
PREFERRED_DAYS = frozenset({1, 2, 3})
"""Tuesday to Thursday: first choice for tips."""
FRIDAY_LAST = time(15, 0)
WEEK = timedelta(days=7)
MAX_WEEKLY_CAP = 5


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

    ``sends``: the last 28 days, oldest first. ``frozen``: behaviours with an open barrier that concerns this person.
    ``holidays``: public holidays of their country around now. ``days_off``: days they told us they are away.
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


def _standing_refusal(kind: str, standing: Standing, behaviour: str | None, now: datetime) -> Refusal | None:
    """Reasons that concern the person, not the hour."""
    person, choice, rule = standing.person, standing.preferences, KINDS[kind]
    if person.match != MATCHED or person.slack_id is None:
        return Refusal(f"not-matched:{person.match}")
    if not person.active:
        return Refusal("left")
    if kind in ("answer", "reminder"):
        return None
    if not person.pilot:
        return Refusal("not-in-pilot")
    if choice.stopped_at is not None:
        return Refusal("stopped")
    if choice.paused_until is not None and now < choice.paused_until:
        return Refusal("paused", choice.paused_until)
    if kind in choice.kinds_off:
        return Refusal("kind-off")
    if kind != WELCOME and person.welcomed_at is None:
        return Refusal("not-welcomed")
    if rule.frozen_by_barrier and behaviour is not None and behaviour in standing.frozen:
        return Refusal("barrier-open")
    return None


def _budget_refusal(kind: str, standing: Standing, rules: Rules, now: datetime) -> Refusal | None:
    """Cap over all kinds in any 7 days, spacing, back-off, one place kept for tips, recent load."""
    if not KINDS[kind].capped:
        return None
    capped = [sent for sent in standing.sends if KINDS[sent.kind].capped]
    recent = sorted(sent.at for sent in capped if sent.at > now - WEEK)
    cap = weekly_cap(standing, rules)
    spacing = timedelta(hours=rules.spacing_hours)
    ignored = ignored_in_a_row(standing.sends)
    if ignored >= rules.ignored_pauses and kind != "back_off":
        return Refusal("ignored-pause")
    if ignored >= rules.ignored_doubles and kind == TIP:
        # Twice the interval: half the places, twice the distance.
        cap, spacing = max(1, cap // 2), max(2 * spacing, WEEK * 2 / max(1, cap))
    if cap == 0:
        return Refusal("cap-zero")
    if len(recent) >= cap:
        return Refusal("weekly-cap", recent[len(recent) - cap] + WEEK)
    if kind not in (TIP, WELCOME) and cap >= 2:
        others = sorted(s.at for s in capped if s.kind not in (TIP, WELCOME) and s.at > now - WEEK)
        if len(others) >= cap - 1:
            return Refusal("place-kept-for-tips", others[len(others) - (cap - 1)] + WEEK)
    if capped:
        last = max(sent.at for sent in capped)
        if now < last + spacing:
            return Refusal("back-off" if ignored >= rules.ignored_doubles else "spacing", last + spacing)
    day_load = sorted(sent.at for sent in standing.sends if sent.at > now - timedelta(hours=24))
    if len(day_load) >= rules.load_24h:
        return Refusal("recent-load", day_load[-rules.load_24h] + timedelta(hours=24))
    return None


def _hour_refusal(kind: str, standing: Standing, rules: Rules, now: datetime) -> Refusal | None:
    """Window, working days, holidays, do-not-disturb, away."""
    if not KINDS[kind].windowed:
        return None
    if zone_of(standing.person) is None:
        return Refusal("zone-unknown")
    opens = next_window(standing, rules, now, kind=kind)
    if opens is None:
        return Refusal("no-window")
    if opens > now:
        return Refusal("outside-window", opens)
    presence = standing.presence
    if presence.away and (presence.away_until is None or now < presence.away_until):
        return Refusal("away", presence.away_until)
    if presence.dnd_until is not None and now < presence.dnd_until:
        return Refusal("dnd", presence.dnd_until)
    return None


def refusal(
    kind: str,
    standing: Standing,
    rules: Rules,
    now: datetime,
    *,
    behaviour: str | None = None,
) -> Refusal | None:
    """Why a message of this kind may not go to this person now; None when it may.

    ``behaviour``: what a tip, pulse or check-in is about, for the barrier freeze. The person's standing is judged first,
    then the budget, then the hour, so that the reason that lasts longest is the one that is named.
    """
    return (
        _standing_refusal(kind, standing, behaviour, now)
        or _budget_refusal(kind, standing, rules, now)
        or _hour_refusal(kind, standing, rules, now)
    )


def wait_for_a_better_day(standing: Standing, now: datetime) -> bool:
    """Tips go out Tuesday to Thursday by first choice; others only for people who do not work on any of these."""
    zone = zone_of(standing.person)
    if zone is None:
        return False
    return now.astimezone(zone).weekday() not in PREFERRED_DAYS and any(
        day in PREFERRED_DAYS for day in working_days(standing)
    )
