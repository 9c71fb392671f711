"""What the command line asks for once: import, look ahead, preview, export, stop. Opens what it needs, and closes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.clock import SystemClock
from bot.config import Settings, is_name, read_settings
from bot.connectors.rehearsal import Rehearsal
from bot.connectors.settings import Wanted, fault_of, secrets_of, variable, wanted
from bot.connectors.settings import read_settings as check_settings
from bot.connectors.spreadsheet.connector import open_spreadsheet
from bot.connectors.spreadsheet.mapping import mapping_file
from bot.content.load import Content, load
from bot.content.preview import preview
from bot.delivery.blocks import to_blocks
from bot.delivery.console import readable
from bot.delivery.slack import connect
from bot.domain.attention import PERSONAL
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Refused, Retryable
from bot.domain.messages import Message
from bot.domain.ports import Asked, Connector, Meter, Metered
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, MetricKind
from bot.services import export_feedback
from bot.services.list_unmatched import Standing, list_unmatched
from bot.services.match_people import match
from bot.services.plan_messages import Planned, plan
from bot.services.poll_crm import (
    CHANGED_OVERLAP_DAYS,
    PollReport,
    import_files,
    last_day,
    next_window,
    poll,
)
from bot.services.stop_sending import start_sending, stop_sending
from bot.vault import NO_KEYS, SEALED, is_open_to_others
from bot.wiring import (
    NOTHING_TO_READ,
    Sources,
    all_sources,
    all_triggers,
    connector_kinds,
    directory_of,
    how_to_open,
    kept_sources,
    let_go,
    open_source,
    probed,
    programme_and_content,
    remembered_crms,
    vault_of,
)
from bot.workdays import PublicHolidays
from store import audit, inbox, usage
from store.database import Database, migrate, open_database

COMMAND_LINE = "command line"
NOT_AVAILABLE = "not available"
"""What a plan says of a reason that is the person's own: who stopped, paused or is blocked is theirs to tell."""


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    migrate(settings.database_url)
    database = open_database(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def switch_sending(*, stopped: bool, why: str = "") -> tuple[bool, str]:
    """``fullsteam stop`` and ``start``: whether anything changed, and in which database (without its password).

    Raises Permanent when there is no such database: a brake that pulls nothing must not say that it holds.
    """
    database = open_database(read_settings(crms=False).database_url)
    now = SystemClock().now()
    try:
        if stopped:
            changed = database.write_now(stop_sending, by=COMMAND_LINE, now=now, why=why)
        else:
            changed = database.write_now(start_sending, by=COMMAND_LINE, now=now)
    finally:
        database.close()
    return changed, database.shown


@dataclass(frozen=True, slots=True)
class Matched:
    """How the people of the CRM met those of Slack. ``why_not``: why Slack was not asked, None when it was.

    ``identities``: the name of the identity file, "" when there is none; ``names_nobody``: it holds no line.
    """

    standing: Standing
    why_not: str | None = None
    identities: str = ""
    names_nobody: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        standing = self.standing
        return {
            "matched": standing.matched,
            "matched_by": standing.by,
            "reached": {step: list(names) for step, names in standing.reached.items()},
            "not_matched": {state: list(names) for state, names in standing.states.items()},
            "to_do": [
                {
                    "state": each.state,
                    "why": each.why,
                    "what_to_do": each.what_to_do,
                    "who": list(each.who),
                }
                for each in (standing.groups if self.why_not is None else ())
            ],
            "identity_faults": list(standing.faults),
        }


def import_once(mapping: Path, data: Path | None) -> tuple[PollReport, Matched]:
    """``fullsteam import``: read everything, remember the source, and match people where a Slack token is set."""
    settings = read_settings(programme=True)
    programme, _ = programme_and_content(settings)
    mapping = mapping_file(mapping)
    folder = (data or mapping.parent).resolve()
    connector = open_spreadsheet(mapping, folder, settle=timedelta(0), record_link=programme.record_link)
    with _opened(settings) as database:
        report = asyncio.run(
            import_files(
                database,
                connector,
                programme,
                SystemClock().now(),
                kind="spreadsheet",
                settings={"mapping": str(mapping.resolve()), "data": str(folder)},
            )
        )
        return report, _matched(settings, database, programme)


def _matched(settings: Settings, database: Database, programme: Programme) -> Matched:
    why_not = asyncio.run(_match(settings, database, programme))
    standing = database.read_now(list_unmatched, programme)
    file = settings.identities
    return Matched(
        standing,
        why_not,
        file.name if file is not None else "",
        file is not None and not programme.identities,
    )


async def _match(settings: Settings, database: Database, programme: Programme) -> str | None:
    if settings.slack_bot_token is None:
        return "FULLSTEAM_SLACK_BOT_TOKEN is not set"
    token = settings.slack_bot_token.get_secret_value()
    async with connect(token, api_url=settings.slack_api_url) as connection:
        try:
            await match(database, directory_of(settings, connection), programme, SystemClock().now())
        except FullsteamError as error:
            return str(error)
    return None


# --- sources -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Polled:
    """``meter``: what was asked, None where nothing is asked over a network. ``matched``: None after a poll that failed."""

    report: PollReport
    meter: Meter | None
    matched: Matched | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        report, meter = self.report, self.meter
        return {
            "source": report.source,
            "since": report.since,
            "through": report.through,
            "not_read_yet": None
            if report.gap is None
            else {"since": report.gap.since, "through": report.gap.through},
            "people": len(report.people.added) + len(report.people.changed) + report.people.unchanged,
            "facts": report.facts,
            "unknown": report.unknown,
            "by_metric": dict(report.by_metric),
            "totals": dict(report.totals),
            "now": dict(report.now),
            "coverage": {
                metric: {
                    "status": str(each.status),
                    "detail": each.detail,
                    "days_not_ok": {str(key): days for key, days in report.gaps.get(metric, {}).items()},
                }
                for metric, each in report.coverage.items()
            },
            "notes": dict(report.notes),
            "faults": [str(fault) for fault in report.faults],
            "failure": report.failure,
            "retry_after_seconds": report.retry_after.total_seconds() if report.retry_after else None,
            "calls": meter.calls if meter else None,
            "rows": meter.rows if meter else None,
            "limit": {"left": meter.left, "most": meter.most} if meter else None,
            **({} if self.matched is None else self.matched.to_json()),
        }


@dataclass(frozen=True, slots=True)
class Amiss:
    """``faults``: why sources that were meant could not be opened, by name.

    ``listed``: what else is wrong with FULLSTEAM_CRMS, and files of connectors that cannot be loaded.
    """

    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.faults or self.listed)

    def error(self) -> ConfigurationError:
        """The same, where nothing at all could be opened."""
        title = (
            f"{next(iter(self.faults))} cannot be opened" if len(self.faults) == 1 else "None can be opened"
        )
        return ConfigurationError([*chain.from_iterable(self.faults.values()), *self.listed], title=title)

    def to_json(self, done: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """What was ``done``, by source, and what was not: of one source itself, of several by name."""
        failed = {
            name: {"source": name, "failure": f"{name} cannot be opened: {'; '.join(faults)}"}
            for name, faults in self.faults.items()
        }
        sources = {**done, **failed}
        if len(sources) == 1 and not self.listed:
            return next(iter(sources.values()))
        return {"sources": sources, **({"faults": list(self.listed)} if self.listed else {})}


def poll_once(
    name: str | None,
    since: date | None,
    *,
    tell: Callable[[int, int], None],
    warn: Callable[[str], None],
) -> tuple[list[Polled], Amiss]:
    """``fullsteam poll``: read one source, or all, once each, and match people where a Slack token is set.

    ``tell``: hears of calls and rows while it runs; ``warn``: of what is wrong with settings.
    """
    settings = read_settings(programme=True, crms=False, remembered=remembered_crms)
    programme, _ = programme_and_content(settings)
    with _opened(settings) as database:
        polled, amiss = asyncio.run(_poll_once(settings, database, programme, name, since, tell, warn))
        if all(each.report.failure is not None for each in polled):
            return polled, amiss
        return [*polled[:-1], replace(polled[-1], matched=_matched(settings, database, programme))], amiss


async def _poll_once(
    settings: Settings,
    database: Database,
    programme: Programme,
    name: str | None,
    since: date | None,
    tell: Callable[[int, int], None],
    warn: Callable[[str], None],
) -> tuple[list[Polled], Amiss]:
    clock = SystemClock()
    sources = await all_sources(settings, database, programme, clock=clock)
    polled: list[Polled] = []
    try:
        opened, amiss = chosen(sources, name, settings, warn)
        for connector in opened:
            through = last_day(programme, connector.lag_days, clock.now())
            reading = asyncio.ensure_future(
                poll(database, connector, programme, clock.now(), since=_first_to_read(since, through))
            )
            while not (await asyncio.wait({reading}, timeout=TELL_SECONDS))[0]:
                if isinstance(connector, Metered):
                    tell(connector.meter().calls, connector.meter().rows)
            meter = connector.meter() if isinstance(connector, Metered) else None
            polled.append(Polled(reading.result(), meter))
        return polled, amiss
    finally:
        await let_go(sources.opened)


TELL_SECONDS = 0.2


def _first_to_read(since: date | None, through: date) -> date | None:
    """From which day on to read. Of weeks whose facts may be forgotten a whole one is read: its sums are made anew."""
    if since is None:
        return None
    if since > through:
        raise ConfigurationError(
            [f"{since} is in the future: the last day that can be asked for is {through}"],
            title="--since cannot be used",
        )
    if (through - since).days < CHANGED_OVERLAP_DAYS:
        return since
    return since - timedelta(days=since.weekday())


def chosen(
    sources: Sources, name: str | None, settings: Settings, warn: Callable[[str], None]
) -> tuple[list[Connector], Amiss]:
    """The source of that name; without a name every one that there is, and what was meant and cannot be opened.

    ``warn``: hears of what is wrong, where something can be opened. Raises ConfigurationError where nothing was meant.
    """
    if name is not None and name not in sources.names:
        raise _no_such_source(sources, name, settings)
    wanted_ones = sources.names if name is None else [name]
    faulty = {each: sources.faults[each] for each in wanted_ones if each in sources.faults}
    opened = [sources.opened[each] for each in wanted_ones if each in sources.opened]
    told_already = set(chain.from_iterable(sources.faults.values()))
    listed = [each for each in (*settings.not_loaded, *settings.crm_faults) if each not in told_already]
    if not opened and not faulty:
        raise ConfigurationError([*_other_faults(settings), NOTHING_TO_READ], title="There is no source")
    amiss = Amiss(faulty, tuple(listed) if name is None else ())
    if opened:
        for each, faults in faulty.items():
            warn(f"{each} cannot be opened: {'; '.join(faults)}")
    for fault in _other_faults(settings):
        if fault not in chain(chain.from_iterable(faulty.values()), () if opened else amiss.listed):
            warn(fault)
    return opened, amiss


def _other_faults(settings: Settings) -> list[str]:
    return [*settings.not_loaded, *settings.crm_faults, *settings.strays, *settings.unknown]


def _no_such_source(sources: Sources, name: str, settings: Settings) -> ConfigurationError:
    """What to do where nothing has that name: set it up if it is a kind of CRM, or choose one that there is."""
    faults = _other_faults(settings)
    kinds = connector_kinds()
    kind = kinds.get(name)
    there = (
        f"; there {'are' if len(sources.names) > 1 else 'is'} {', '.join(sources.names)}"
        if sources.names
        else ""
    )
    if kind is None or kind.settings is None:
        known = ", ".join(sorted(each.name for each in kinds.values() if each.settings is not None))
        how = f"`fullsteam connect {name} --kind KIND` adds it (KIND is one of {known}; docs/connectors/README.md)"
        return ConfigurationError(
            [*faults, f"there is no source {name}{there or '; none is set up'}; {how}"],
            title="No such source",
        )
    needs = ", ".join(
        f"FULLSTEAM_{variable(name)}_{each.field.upper()}" for each in wanted(kind.settings) if each.required
    )
    how = f"set {needs} and what docs/connectors/{name}.md names"
    if settings.crms:
        how = f"add {name} to FULLSTEAM_CRMS, and {how}"
    return ConfigurationError(
        [*faults, f"nothing says how to reach it: {how}, or `fullsteam connect {name}`{there}"],
        title=f"{name} is not set up",
    )


@dataclass(frozen=True, slots=True)
class Question:
    """A request of a rehearsal, and how often it is the same. ``login``: what is sent to prove who we are is not shown."""

    asked: Asked
    times: int
    login: bool

    def lines(self) -> Iterator[str]:
        """For a reader: queries decoded, SOQL on one line, bodies as JSON."""
        often = f"   ({self.times} times)" if self.times > 1 else ""
        what = "   (log-in; what it sends is not shown)" if self.login else ""
        yield f"{self.asked.method} {self.asked.path}{what}{often}"
        for key, value in self.asked.query.items():
            yield f"    {key} = {' '.join(value.split())}"
        if self.asked.body is not None:
            yield f"    {json.dumps(self.asked.body, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """``requests``: in the order in which each was asked first. ``nobody``: why nobody would be asked, "" where somebody is."""

    source: str
    since: date | None = None
    through: date | None = None
    requests: tuple[Question, ...] = ()
    nobody: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "source": self.source,
            "since": self.since,
            "through": self.through,
            **({"nobody_is_asked": self.nobody} if self.nobody else {}),
            "requests": [
                {
                    "method": each.asked.method,
                    "path": each.asked.path,
                    "query": dict(each.asked.query),
                    "body": each.asked.body,
                    "login": each.login,
                    "times": each.times,
                }
                for each in self.requests
            ],
        }


def rehearse_poll(
    name: str | None, since: date | None, *, warn: Callable[[str], None]
) -> tuple[list[Rehearsed], Amiss]:
    """``fullsteam poll --dry-run``: what the next poll of one source, or of all, would ask, without asking or writing anything.

    Without a programme file days are those of UTC; without a database it is the first poll.
    """
    settings = read_settings(crms=False, remembered=remembered_crms)
    programme = programme_and_content(settings)[0] if settings.programme.is_file() else None
    database: Database | None
    try:
        database = open_database(settings.database_url)
        database.read_now(kept_sources)
    except Permanent:
        database = None
    try:
        return asyncio.run(_rehearse_all(settings, database, programme, name, since, warn))
    finally:
        if database is not None:
            database.close()


async def _rehearse_all(
    settings: Settings,
    database: Database | None,
    programme: Programme | None,
    name: str | None,
    since: date | None,
    warn: Callable[[str], None],
) -> tuple[list[Rehearsed], Amiss]:
    sources = await all_sources(settings, database, programme)
    rehearsed: list[Rehearsed] = []
    try:
        opened, amiss = chosen(sources, name, settings, warn)
        for each in opened:
            try:
                rehearsed.append(await _rehearse(settings, database, programme, each.name, since))
            except Refused as error:
                if len(opened) == 1 and not amiss:
                    raise
                warn(str(error))
                rehearsed.append(Rehearsed(each.name, nobody=str(error)))
    finally:
        await let_go(sources.opened)
    return rehearsed, amiss


async def _rehearse(
    settings: Settings,
    database: Database | None,
    programme: Programme | None,
    name: str,
    since: date | None,
) -> Rehearsed:
    kind, given = await how_to_open(settings, database, name)
    if kind.blank is None:
        raise Refused(f"{name} is a {kind.name}: it is read from files, nobody is asked over a network.")
    rehearsal = Rehearsal(kind.blank)
    zone = programme.zone if programme is not None else None
    link = programme.record_link if programme is not None else None
    clock = SystemClock()
    connector = open_source(kind.name, given, link, zone=zone, clock=clock, transport=rehearsal)
    now = clock.now()
    day = now.astimezone(ZoneInfo(zone or "UTC")).date() - timedelta(days=connector.lag_days)
    window = await next_window(database, connector, ZoneInfo(zone or "UTC"), now, _first_to_read(since, day))
    await connector.users(window.through)
    async for _ in connector.collect(window, frozenset(METRICS)):
        pass
    for metric in METRICS.values():
        if metric.kind is MetricKind.SNAPSHOT:
            with contextlib.suppress(Retryable, Permanent):  # an empty CRM may not have what it needs
                await connector.evidence(metric.key, [kind.owner], 5, window.through)
    await let_go({name: connector})
    secrets = secrets_of(check_settings(kind.settings, {**given, "name": name}))
    times = Counter(json.dumps(asdict(each), sort_keys=True) for each in rehearsal.asked)
    first = {json.dumps(asdict(each), sort_keys=True): each for each in reversed(rehearsal.asked)}
    return Rehearsed(
        name,
        window.since,
        window.through,
        tuple(Question(_without(first[key], secrets), times[key], first[key].login) for key in times),
    )


HIDDEN = "(secret)"
SHORT = 6
"""A secret of fewer characters stands in words by chance: it is hidden where it is all that stands there."""


def _without(asked: Asked, secrets: Collection[str]) -> Asked:
    """A request in which no secret is left, wherever it stood."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in sorted(secrets, key=len, reverse=True):
                if len(secret) >= SHORT:
                    value = value.replace(secret, HIDDEN)
            return HIDDEN if value in secrets else value
        if isinstance(value, Mapping):
            return {key: clean(each) for key, each in value.items()}
        return [clean(each) for each in value] if isinstance(value, list | tuple) else value

    return replace(asked, path=clean(asked.path), query=clean(asked.query), body=clean(asked.body))


@dataclass(frozen=True, slots=True)
class Connected:
    """``named``: the environment names this source as well, by variables that begin with ``variable``."""

    kind: str
    named: bool
    variable: str


def connect_source(
    name: str,
    kind: str | None,
    ask: Callable[[Wanted], str] | None,
    *,
    warn: Callable[[str], None] = lambda _line: None,
) -> Connected:
    """``fullsteam connect``: try a CRM with what the environment says of it, and keep that, sealed.

    ``ask``: gives what is not set, "" for nothing; None: nobody is there to be asked. ``warn``: hears what is wrong with an
    answer, which is asked for again, and of keys that others may read. Raises ConfigurationError for what is
    missing or wrong, Permanent when the CRM cannot be read so: then nothing is kept.
    """
    settings = read_settings(crms=False)
    vault = vault_of(settings)
    if not vault:
        raise ConfigurationError([NO_KEYS], title="There is no key to seal with")
    _warn_of_open_keys(settings, warn)
    models = {each.name: each.settings for each in connector_kinds().values() if each.settings is not None}
    named = settings.named_crms.get(name)
    asked = kind
    kind = (kind or (named.kind if named is not None else remembered_crms(settings).get(name, name))).lower()
    if kind not in models:
        there = f"there are {', '.join(sorted(models))}"
        raise ConfigurationError(
            [f"--kind {asked}: {there}" if asked else f"{name} is none; say which with --kind: {there}"],
            title="No such kind of CRM",
        )
    if not is_name(name):
        raise ConfigurationError(
            [f"{name!r} cannot be a name: small letters, digits, - and _, and no word of ours"]
        )
    given: dict[str, str] = settings.crm_variables(name, kind)
    if ask is not None:
        given = _answered(models[kind], {**given, "name": name}, ask, warn)
    checked = check_settings(models[kind], {**given, "name": name})
    # A file is found again from wherever the program is started.
    given |= {key: str(value.resolve()) for key in given if isinstance(value := getattr(checked, key), Path)}
    asyncio.run(_try(kind, {**given, "name": name}))
    with _opened(settings) as database:
        database.write_now(usage.keep_source, name, kind, vault.seal(name, {**given, "name": name}))
    return Connected(kind, named is not None, variable(name))


def _answered(
    model: Any, given: Mapping[str, str], ask: Callable[[Wanted], str], warn: Callable[[str], None]
) -> dict[str, str]:
    """What is given, and what is answered besides. Each answer is checked by itself, and all of them together: what is wrong
    is asked for again, until it is right or the answers stay the same.
    """
    before: dict[str, str] | None = None
    while True:
        answers: dict[str, str] = {}
        for each in wanted(model):
            known = {**given, **answers}
            if each.field in known or each.unless in known or (each.after and each.after not in known):
                continue
            said = ask(each)
            while said and (fault := fault_of(model, each.field, said)):
                warn(f"The answer {fault}.")
                said = ask(each)
            if said:
                answers[each.field] = said
        try:
            check_settings(model, {**given, **answers})
        except ConfigurationError as error:
            if answers == before or not answers:
                raise
            for line in error.faults:
                warn(f"{line}.")
            before = answers
        else:
            return {**given, **answers}


def _warn_of_open_keys(settings: Settings, warn: Callable[[str], None]) -> None:
    if settings.keys_file is not None and is_open_to_others(settings.keys_file):
        warn(f"Others on this machine may read the keys: chmod 600 {settings.keys_file}")


async def _try(kind: str, given: Mapping[str, Any]) -> None:
    connector = open_source(kind, given)
    probe = await probed(connector)
    await let_go({connector.name: connector})
    if not probe.ok:
        raise Permanent(f"{connector.name} was not kept: {probe.advice}", code="probe-failed")


def disconnect_source(name: str) -> bool:
    """``fullsteam disconnect``: forget how to open a source. True when the environment names it all the same.

    Raises ConfigurationError when nothing is remembered of it.
    """
    settings = read_settings(crms=False)
    try:
        open_database(settings.database_url).close()
    except Permanent as error:  # nothing is made where there is nothing to forget
        raise ConfigurationError([str(error)], title="No such source") from error
    with _opened(settings) as database:
        known = database.read_now(kept_sources)
        if name not in known:
            there = f"it remembers {', '.join(sorted(known))}" if known else "it remembers none"
            raise ConfigurationError(
                [f"the database remembers no source {name}; {there}"], title="No such source"
            )
        database.write_now(usage.keep_source, name, FORGOTTEN, {})
    return name in settings.named_crms


FORGOTTEN = "crm"
"""The kind of a source that nobody can open by what the database says."""


def rotate_keys(*, warn: Callable[[str], None] = lambda _line: None) -> tuple[int, list[str]]:
    """``fullsteam keys rotate``: how many sources are sealed with the newest key now, and why others are not."""
    settings = read_settings(crms=False)
    vault = vault_of(settings)
    if not vault:
        raise ConfigurationError([NO_KEYS], title="There is no key to seal with")
    _warn_of_open_keys(settings, warn)
    failed: list[str] = []
    renewed = 0
    with _opened(settings) as database:
        for name, (kind, kept) in database.read_now(kept_sources).items():
            if SEALED not in kept:
                continue
            try:
                database.write_now(usage.keep_source, name, kind, vault.renew(name, kept))
            except ConfigurationError as error:
                failed += error.faults
            else:
                renewed += 1
    return renewed, failed


# --- looking ahead -----------------------------------------------------------------------------------------------


def plan_ahead(days: int) -> list[dict[str, str]]:
    """``fullsteam plan``: who would get what, and why not. Reads only."""
    settings = read_settings("secret", programme=True, remembered=remembered_crms)
    programme, content = programme_and_content(settings)
    database = open_database(settings.database_url)
    try:
        return asyncio.run(_plan_ahead(settings, programme, content, database, days))
    finally:
        database.close()


async def _plan_ahead(
    settings: Settings, programme: Programme, content: Content, database: Database, days: int
) -> list[dict[str, str]]:
    assert settings.secret is not None
    connectors = (await all_sources(settings, database, programme)).opened
    report = await plan(
        database,
        connectors=connectors,
        content=content,
        programme=programme,
        triggers=all_triggers(),
        holidays=PublicHolidays(),
        secret=settings.secret.get_secret_value().encode(),
        workspace="plan",  # no draw is shown
        now=SystemClock().now(),
        dry_run=True,
        days=days,
    )
    await let_go(connectors)
    return [told(each) for each in report.planned]


def told(planned: Planned) -> dict[str, str]:
    """One line of the plan, without what only the person may know."""
    why = planned.reason or (f"{planned.trigger}: {planned.count}" if planned.trigger else planned.kind or "")
    return {
        "day": planned.day.isoformat(),
        "name": planned.name,
        "gets": "" if planned.action == "none" else planned.action,
        "why": NOT_AVAILABLE if planned.reason in PERSONAL else why,
    }


def preview_tip(tip: str, *, language: str, role: str | None) -> tuple[list[dict[str, Any]], str]:
    """Block Kit, and the message as a reader sees it, with example records: the same code path as production."""
    shown: Message = preview(load(read_settings().content), tip, language, role)
    return to_blocks(shown), readable(shown)


def tips_listed() -> list[tuple[str, str, str, str]]:
    """Id, trigger, goal and roles of every tip."""
    tips = load(read_settings().content).tips
    return [(tip.id, tip.trigger, tip.goal, ", ".join(sorted(tip.roles))) for _, tip in sorted(tips.items())]


def export_feedback_text(actor: str, fmt: str, *, stages: bool) -> tuple[str, int]:
    """``fullsteam export feedback``: the text and how many items it has."""
    settings = read_settings(programme=True)
    programme, _ = programme_and_content(settings)
    with _opened(settings) as database:
        rows = export_feedback.read_feedback(
            database, actor, programme, SystemClock().now(), user=_user(), stages=stages
        )
    return (export_feedback.to_csv(rows) if fmt == "csv" else _as_json(rows)), len(rows)


def audit_rows_verified() -> int:
    """``fullsteam audit verify``: how many rows hold. Raises BrokenChain."""
    with _opened(read_settings()) as database:
        return database.read_now(audit.verify)


def dead_envelopes() -> list[dict[str, str]]:
    """``fullsteam inbox list``: without what anybody wrote, and without who."""
    with _opened(read_settings()) as database:
        return [
            {
                "received": f"{row.received_at:%Y-%m-%d %H:%M} UTC",
                "key": row.key,
                "what": f"{row.kind} {row.name}",
                "why": row.reason,
            }
            for row in database.read_now(inbox.dead)
        ]


def revive_envelopes(key: str | None) -> int:
    """``fullsteam inbox revive``: how many are worked again."""
    with _opened(read_settings()) as database:
        return database.write_now(inbox.revive, SystemClock().now(), key)


def _user() -> str:
    """Who runs this, as the operating system knows them: ``--as`` is only what they say."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _as_json(rows: Sequence[export_feedback.ExportedRow]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False, default=str) + "\n"
