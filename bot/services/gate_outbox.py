"""The gate: just before sending, is it still true, still allowed, and a good moment? Read once for a claimed batch.

Every no has a name. What may change by itself is held and looked at again; what will not is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from bot.domain.attention import Presence, Refusal, Sent, Standing, refusal
from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import KINDS, REMINDER, WELCOME
from bot.domain.people import Person, Preferences
from bot.domain.ports import Connector, Directory, DndWindow, Holidays
from bot.domain.programme import Programme
from bot.services.poll_crm import last_day
from store import barriers, outbox, people
from store.database import Database, UnitOfWork
from store.outbox import OutboxRow, Recheck, Settlement

HISTORY = timedelta(days=28)
LOOK_AGAIN: Mapping[str, timedelta] = {
    "not-welcomed": timedelta(hours=1),
    "away": timedelta(hours=4),
    "zone-unknown": timedelta(days=1),
    "no-window": timedelta(days=1),
}
"""Reasons without an end that may still pass: when to look again. Every other such reason drops the message."""
FOR_GOOD = frozenset({"left", "stopped"})
"""What ends even a welcome; for any other reason it waits, because nothing else can come before it."""
SILENT = timedelta(minutes=15)
"""The CRM or the directory does not answer: look again after this, until the message expires."""
MORE_RECORDS = 50
"""So many more records than the message counted are looked through for those that it names."""


@dataclass(frozen=True, slots=True)
class Gated:
    """``passed``: to be sent now, in this order. ``refused``: how the others are settled. ``windows``: what Slack said."""

    passed: tuple[OutboxRow, ...]
    refused: tuple[Settlement, ...]
    windows: Mapping[str, DndWindow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Persons:
    """What the store says of the people of a batch. ``sends``: without what waits, the batch's own rows included."""

    people: Mapping[str, Person]
    preferences: Mapping[str, Preferences]
    sends: Mapping[str, tuple[Sent, ...]]
    frozen: Mapping[str, frozenset[str]]
    presence: Mapping[str, Presence]


async def gate(
    database: Database,
    rows: Sequence[OutboxRow],
    *,
    directory: Directory | None,
    connectors: Mapping[str, Connector],
    programme: Programme,
    holidays: Holidays,
    now: datetime,
) -> Gated:
    """Judge claimed rows, in their order; an earlier message to the same person counts as sent for the later ones.

    All due rows of a person are in one batch and nobody else sends to them meanwhile (store.outbox.claim), so the budget
    is judged by one sender at a time. ``directory`` None: nobody is in do-not-disturb.
    """
    ids = sorted({row.person for row in rows if row.person is not None})
    known = await database.read(_read, ids, {row.id for row in rows}, now)
    if directory is not None:  # it is asked below: an older answer must not decide
        fresh = {each: replace(presence, dnd_until=None) for each, presence in known.presence.items()}
        known = replace(known, presence=fresh)
    calendars = _calendars(known.people, holidays, now)
    settled: dict[str, Settlement] = {}
    alone: list[OutboxRow] = []
    for row in rows:
        no = _own_no(row, known, now) or _judge(row, known, {}, calendars, (), programme, now)
        if no is None:
            alone.append(row)
        else:
            settled[row.id] = no
    settled |= await _still_true(alone, connectors, programme, now)
    asked = [row for row in alone if row.id not in settled]
    windows, unknown = await _do_not_disturb(asked, known, directory, now)
    settled |= unknown

    passed: list[OutboxRow] = []
    earlier: defaultdict[str | None, list[Sent]] = defaultdict(list)
    for row in alone:
        if row.id in settled:
            continue
        no = _judge(row, known, windows, calendars, earlier[row.person], programme, now)
        if no is not None:
            settled[row.id] = no
            continue
        earlier[row.person].append(Sent(row.kind, now, row.template))
        passed.append(row)
    return Gated(tuple(passed), tuple(settled.values()), windows)


def _read(uow: UnitOfWork, ids: Sequence[str], own: set[str], now: datetime) -> _Persons:
    history = outbox.sent_history(uow, ids, now - HISTORY, now, without=own)
    return _Persons(
        people.get(uow, ids),
        people.preferences(uow, ids),
        {person: tuple(sent for sent in sends if not sent.waiting) for person, sends in history.items()},
        barriers.open_for(uow, ids),
        people.presence(uow, ids, now),
    )


def _calendars(
    known: Mapping[str, Person], holidays: Holidays, now: datetime
) -> Mapping[str, frozenset[date]]:
    first, last = now.date() - timedelta(days=1), now.date() + timedelta(days=62)
    countries = {person.country for person in known.values() if person.country}
    return {country: holidays.between(country, first, last) for country in sorted(countries)}


# --- a no ----------------------------------------------------------------------------------------------------------


def _own_no(row: OutboxRow, known: _Persons, now: datetime) -> Settlement | None:
    """What the row says by itself: expired, without words, or meant for an account that is somebody else's now."""
    if row.expires_at is not None and row.expires_at <= now:
        return _dropped(row, "expired")
    if row.message is None:
        return _dropped(row, "no-text")
    if row.person is None:
        return None
    person = known.people.get(row.person)
    if person is None:
        return _dropped(row, "left")
    if row.template in known.preferences[row.person].tips_never:
        return _dropped(row, "not-for-me")
    if row.address.startswith(("U", "W")) and person.slack_id not in (None, row.address):
        return _dropped(row, "address-changed")
    return None


def _judge(
    row: OutboxRow,
    known: _Persons,
    windows: Mapping[str, DndWindow],
    calendars: Mapping[str, frozenset[date]],
    earlier: Sequence[Sent],
    programme: Programme,
    now: datetime,
) -> Settlement | None:
    """Ask the attention budget again. A message to a channel belongs to nobody's budget."""
    if row.person is None:
        return None
    person = known.people[row.person]
    standing = Standing(
        person=person,
        preferences=known.preferences[row.person],
        sends=(*known.sends[row.person], *earlier),
        frozen=known.frozen.get(row.person, frozenset()),
        holidays=calendars.get(person.country or "", frozenset()),
        presence=_presence(person, known, windows, now),
    )
    no = refusal(row.kind, standing, programme.rules, now, behaviour=row.behaviour)
    return None if no is None else _refused(row, no, now)


def _presence(person: Person, known: _Persons, windows: Mapping[str, DndWindow], now: datetime) -> Presence:
    """The status as the directory last had it; do-not-disturb as Slack says it now, where it was asked."""
    presence = known.presence.get(person.id, Presence())
    window = windows.get(person.slack_id or "")
    if window is None:
        return presence
    on = window.start is not None and window.end is not None and window.start <= now < window.end
    return replace(presence, dnd_until=window.end if on else None)


def _refused(row: OutboxRow, no: Refusal, now: datetime) -> Settlement:
    until = no.until
    if until is None:
        wait = LOOK_AGAIN.get(no.reason)
        if wait is None and row.kind == WELCOME and no.reason not in FOR_GOOD:
            wait = timedelta(days=1)
        until = None if wait is None else now + wait
    if until is None or (row.expires_at is not None and until >= row.expires_at):
        return _dropped(row, no.reason)
    return _held(row, no.reason, max(until, now + timedelta(seconds=1)))


def _held(row: OutboxRow, reason: str, until: datetime) -> Settlement:
    return Settlement(row.id, outbox.READY, reason, until, person=row.person, counted=False, held=True)


def _dropped(row: OutboxRow, reason: str, *, stale: bool = False) -> Settlement:
    return Settlement(
        row.id, outbox.DROPPED, reason, person=row.person, decision=row.decision, counted=False, stale=stale
    )


def _silent(row: OutboxRow, reason: str, now: datetime, after: timedelta | None) -> Settlement:
    """Hold a message because nobody can say whether it may go; it ends when it expires."""
    return _held(row, reason, now + max(after or SILENT, timedelta(seconds=1)))


# --- still true? ---------------------------------------------------------------------------------------------------


async def _still_true(
    rows: Sequence[OutboxRow],
    connectors: Mapping[str, Connector],
    programme: Programme,
    now: datetime,
) -> dict[str, Settlement]:
    """Read the named records again, in one call a metric. Held when the CRM cannot answer."""
    groups: defaultdict[tuple[str, str], list[OutboxRow]] = defaultdict(list)
    for row in rows:
        if row.recheck is not None:
            groups[row.recheck.source, row.recheck.metric].append(row)
    no: dict[str, Settlement] = {}
    for (source, metric), group in sorted(groups.items()):
        connector = connectors.get(source)
        if connector is None:
            no |= {row.id: _silent(row, "crm-unknown", now, None) for row in group}
            continue
        owners = sorted({row.recheck.owner for row in group if row.recheck})
        most = max(row.recheck.count for row in group if row.recheck) + MORE_RECORDS
        try:
            found = await connector.evidence(
                metric, owners, most, last_day(programme, connector.lag_days, now)
            )
        except Retryable as error:
            no |= {row.id: _silent(row, "crm-silent", now, error.after) for row in group}
            continue
        except Permanent:
            no |= {row.id: _silent(row, "crm-silent", now, None) for row in group}
            continue
        for row in group:
            assert row.recheck is not None
            count, records = found.get(row.recheck.owner, (0, ()))
            if not _says_what_is(row, row.recheck, count, {record.id for record in records}):
                no[row.id] = _dropped(row, "stale", stale=True)
    return no


def _says_what_is(row: OutboxRow, said: Recheck, count: int, there: Collection[str]) -> bool:
    """Whether the records that a message names are still there, and as many as it says.

    A reminder repeats what was said on a day that it names: its number may be of that day.
    """
    named = count > 0 and set(said.records) <= set(there)
    return named and (count == said.count or row.kind == REMINDER)


# --- a good moment? ------------------------------------------------------------------------------------------------


async def _do_not_disturb(
    rows: Sequence[OutboxRow], known: _Persons, directory: Directory | None, now: datetime
) -> tuple[Mapping[str, DndWindow], dict[str, Settlement]]:
    """Ask Slack for everybody whose message keeps to a window. Held when it cannot answer."""
    concerned = [row for row in rows if row.person is not None and KINDS[row.kind].windowed]
    accounts = sorted({known.people[row.person].slack_id or "" for row in concerned if row.person})
    if directory is None or not accounts:
        return {}, {}
    try:
        return await directory.dnd(accounts), {}
    except Retryable as error:
        after = error.after or timedelta(minutes=1)
        if error.code == "ratelimited":  # ours to pace, nothing that the person should read about
            pause = now + max(after, timedelta(seconds=1))
            return {}, {
                row.id: Settlement(row.id, outbox.READY, row.reason, pause, counted=False)
                for row in concerned
            }
        return {}, {row.id: _silent(row, "presence-unknown", now, after) for row in concerned}
    except Permanent:
        return {}, {row.id: _silent(row, "presence-unknown", now, None) for row in concerned}
