"""The composition root: the only file that knows every concrete class. Everything else is given what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette

from bot import loop as event_loop
from bot import nudges
from bot.clock import SteeredClock, SystemClock
from bot.config import Settings, find_kinds
from bot.connectors.settings import read_settings as read_source
from bot.connectors.settings import variable
from bot.content.identities import load_identities
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.directory import SlackDirectory
from bot.delivery.pacing import Bucket
from bot.delivery.scim import SlackScim
from bot.delivery.slack import SlackConnection, SlackMessenger, connect
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Refused, Retryable
from bot.domain.messages import Message
from bot.domain.nudging import Trigger
from bot.domain.people import Person
from bot.domain.ports import (
    Clock,
    Closable,
    Connector,
    ConnectorKind,
    Directory,
    Envelope,
    Expiring,
    Messenger,
    Probe,
)
from bot.domain.programme import Programme
from bot.handlers.app import build_app
from bot.handlers.http import build_asgi
from bot.handlers.socket import Socket
from bot.plugins import discover
from bot.schedule import Job, Ticker, advance
from bot.services.assess_stages import assess
from bot.services.check_health import check_health
from bot.services.deliver_outbox import deliver
from bot.services.drop_unconfirmed import drop_unconfirmed
from bot.services.foresee import foresee
from bot.services.forget_expired import forget_expired
from bot.services.inspect_person import inspect_person
from bot.services.keep_envelope import KeptInbox
from bot.services.keep_rhythm import keep_rhythm
from bot.services.list_reasons import list_reasons
from bot.services.match_people import match
from bot.services.measure_outcomes import measure, next_outcome
from bot.services.obey_command import answer_command
from bot.services.plan_messages import plan
from bot.services.poll_crm import import_files, keep_broken, poll
from bot.services.warn_of_ending import warn_of_ending
from bot.services.work_inbox import work
from bot.vault import Vault, open_vault
from bot.workdays import PublicHolidays
from store import control, inbox, jobs, outbox, people, reports, usage
from store.database import Database, UnitOfWork, migrate, open_database

log = logging.getLogger(__name__)

Kept = tuple[str, Mapping[str, Any]]
"""Kind of a source, and its settings as the database holds them."""
FORGET_EVERY = timedelta(days=1)
MAPPING = "mapping.toml"
SPREADSHEET = "spreadsheet"
"""The kind of CRM that FULLSTEAM_IMPORT_DIR holds."""
COMMAND_LINE = "command line"
INBOX_CHANNEL = "fullsteam_inbox"
WAKE_SECONDS = 0.05


@dataclass(slots=True)
class House:
    """Everything wired. ``poll_every``: rhythm of the CRM polls. ``connectors``: by source name.

    ``workspace``: Slack's team id; "" asks Slack, once.
    """

    clock: Clock
    database: Database
    programme: Programme
    content: Content
    triggers: Sequence[Trigger]
    connectors: dict[str, Connector]
    holidays: PublicHolidays
    secret: bytes
    messenger: Messenger
    directory: Directory
    workspace: str = "workspace"
    poll_every: timedelta = timedelta(hours=1)
    vault: Vault = field(default_factory=Vault)
    said: Callable[[str, str], Mapping[str, str]] = lambda _name, _kind: {}
    """What the environment says of a source that the database remembers, by name and kind."""
    pacing: Bucket = field(default_factory=Bucket)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    working: asyncio.Lock = field(default_factory=asyncio.Lock)
    delivering: asyncio.Lock = field(default_factory=asyncio.Lock)
    kept: dict[str, Kept] = field(default_factory=dict)
    """What the database remembered of the sources that were opened by it."""
    not_opened: dict[str, tuple[str, ...]] = field(default_factory=dict)

    # -- jobs ------------------------------------------------------------------------------------------------------

    def jobs(self, parts: Sequence[str]) -> list[Job]:
        """The jobs of ``worker`` and ``clock``, in such an order that none makes work for one before it.

        An answer opens a decision point, and both it and what was dropped are told to the person in the same step.
        """
        jobs = [
            ("clock", Job("poll", self._poll, feeds=("match", "plan"))),
            ("clock", Job("match", self._match, feeds=("plan",))),
            ("worker", Job("work", self._work, feeds=("plan", "deliver"))),
            ("clock", Job("drop", self._drop, feeds=("deliver",))),
            ("clock", Job("plan", self._plan, feeds=("deliver",))),
            ("worker", Job("deliver", self._deliver)),
            ("clock", Job("measure", self._measure)),
            ("clock", Job("forget", self._forget)),
        ]
        return [job for part, job in jobs if part in parts]

    async def _poll(self, now: datetime) -> datetime | None:
        return await keep_rhythm(self.database, "poll", self.poll_every, self._poll_all, now)

    async def _poll_all(self, now: datetime) -> datetime | None:
        """Every source side by side, then the stages, which read what the polls wrote.

        What one source does is nothing to the others: also a fault of the program is its own failure, and in the log.
        """
        await self.open_sources()
        polled = list(self.connectors.values())
        ends = await asyncio.gather(
            *(self._poll_one(connector, now) for connector in polled), return_exceptions=True
        )
        await assess(self.database, programme=self.programme, holidays=self.holidays, now=now)
        again: list[datetime] = []
        for connector, end in zip(polled, ends, strict=True):
            if isinstance(end, FullsteamError) or (
                isinstance(end, BaseException) and not isinstance(end, Exception)
            ):
                raise end
            if isinstance(end, Exception):
                log.error("poll.broke", extra={"source": connector.name}, exc_info=end)
                await keep_broken(self.database, connector, self.programme, now, type(end).__name__)
                continue
            if end is not None:
                again.append(now + end)
        return min([*again, now + self.poll_every])

    async def _poll_one(self, connector: Connector, now: datetime) -> timedelta | None:
        """Poll one source; how long it asks us to wait, None when it does not."""
        try:
            report = await poll(self.database, connector, self.programme, now)
            if report.failure is None and isinstance(connector, Expiring):
                await warn_of_ending(
                    self.database, connector, content=self.content, programme=self.programme, now=now
                )
        except (Retryable, Permanent):
            raise  # poll tells what a CRM did in its report: this is the database's
        except FullsteamError as error:
            log.warning("poll.failed", extra={"source": connector.name, "code": type(error).__name__})
            await self.database.write(usage.mark_failed, connector.name, str(error), now)
            return None
        return report.retry_after if report.failure is not None else None

    async def _match(self, now: datetime) -> datetime | None:
        """Who is who in Slack: in the rhythm of the polls, and again by itself when Slack was away."""

        async def read(at: datetime) -> datetime | None:
            await match(self.database, self.directory, self.programme, at)
            return None

        return await keep_rhythm(self.database, "match", self.poll_every, read, now)

    async def _plan(self, now: datetime) -> datetime | None:
        report = await plan(
            self.database,
            connectors=self.connectors,
            content=self.content,
            programme=self.programme,
            triggers=self.triggers,
            holidays=self.holidays,
            secret=self.secret,
            workspace=self.workspace or await self._learn_workspace(),
            now=now,
        )
        return report.next_due

    async def _learn_workspace(self) -> str:
        """Which workspace this is, a part of every draw's key: asked once, kept in the database."""
        known = await self.database.read(control.kept_workspace)
        if known is None:
            known = await self.directory.workspace()
            await self.database.write(control.keep_workspace, known, self.clock.now())
        self.workspace = known
        return known

    async def _work(self, now: datetime) -> datetime | None:
        async with self.working:
            report = await work(
                self.database,
                messenger=self.messenger,
                content=self.content,
                programme=self.programme,
                holidays=self.holidays,
                now=now,
            )
        return report.next_due

    async def _deliver(self, now: datetime) -> datetime | None:
        async with self.delivering:
            report = await deliver(
                self.database,
                messenger=self.messenger,
                directory=self.directory,
                connectors=self.connectors,
                programme=self.programme,
                holidays=self.holidays,
                now=now,
                pacing=self.pacing,
                clock=self.clock,
            )
        return report.next_due

    async def _measure(self, now: datetime) -> datetime | None:
        due = await self.database.read(next_outcome)
        while due is not None and due <= now:
            await self.database.write(measure, now)
            due = await self.database.read(next_outcome)
        return due

    async def _drop(self, now: datetime) -> datetime | None:
        return await drop_unconfirmed(self.database, content=self.content, programme=self.programme, now=now)

    async def _forget(self, now: datetime) -> datetime | None:
        async def forget(at: datetime) -> datetime | None:
            await self.database.write(forget_expired, self.programme, at)
            return None

        return await keep_rhythm(self.database, "forget", FORGET_EVERY, forget, now)

    async def open_sources(self) -> None:
        """Open what ``fullsteam import`` and ``connect`` remembered and is not open yet; let go of what is not remembered
        any more, or otherwise. What cannot be opened is said once.
        """
        known = await self.database.read(kept_sources)
        gone = [name for name, kept in self.kept.items() if known.get(name) != kept]
        await let_go({name: self.connectors.pop(name) for name in gone if name in self.connectors})
        for name in gone:
            del self.kept[name]
        new = {name: kept for name, kept in known.items() if name not in self.connectors}
        found = open_kept(
            new,
            self.vault,
            record_link=self.programme.record_link,
            zone=self.programme.zone,
            clock=self.clock,
            said=self.said,
        )
        self.connectors |= found.opened
        self.kept |= {name: new[name] for name in found.opened}
        for name, faults in found.faults.items():
            if self.not_opened.get(name) != faults:
                log.warning("source.not_opened", extra={"source": name, "advice": "; ".join(faults)})
        self.not_opened = dict(found.faults)

    @property
    def inbox(self) -> KeptInbox:
        """Where the door puts envelopes; a new one wakes the work, in memory, once it is durable."""
        return KeptInbox(self.database, self.clock, lambda _key: self.woken.set())

    # -- what the handlers ask -------------------------------------------------------------------------------------

    async def answer(self, envelope: Envelope) -> Message:
        """What ``/fullsteam …`` says at once."""
        return await self.database.read(
            answer_command,
            envelope,
            content=self.content,
            programme=self.programme,
            holidays=self.holidays,
            now=self.clock.now(),
        )

    async def inspect(self, slack_id: str, most: int, reasons: bool) -> Mapping[str, Any] | None:
        """What was decided about a Slack user: for the sandbox's page, and with reasons only for its checks."""
        if reasons:
            return await self.database.read(list_reasons, slack_id, most)
        return await self.database.read(inspect_person, slack_id, self.clock.now(), most)

    async def health(self) -> Mapping[str, Any]:
        """Whether the database answers, what waits, whether sending is stopped."""
        return await check_health(self.database, self.clock.now())

    async def work_when_woken(self) -> None:
        """Do the work of an envelope right after its commit. What fails here is left to the ticks, which say so."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            now = self.clock.now()
            with contextlib.suppress(FullsteamError):
                await self._work(now)
                await self._deliver(now)

    async def look(self, now: datetime) -> Mapping[str, datetime | None]:
        """When each job has something to do, by its rows."""
        return await self.database.read(foresee, now)

    async def tell_workers(self) -> None:
        """In a process that only receives: wake the workers of other processes, a few times a second at most."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            with contextlib.suppress(FullsteamError):
                await asyncio.to_thread(self.database.notify, INBOX_CHANNEL)
            await asyncio.sleep(WAKE_SECONDS)

    async def advance(self, parts: Sequence[str], now: datetime) -> datetime | None:
        """Steered time: everything that is due at ``now``; returns the next due time."""
        return await advance(self.jobs(parts), now, self.look)

    async def close(self) -> None:
        """Let go of the connectors' connections, and of the database."""
        await let_go(self.connectors)
        await asyncio.to_thread(self.database.close)


class _Numbers(Collector):
    """Counts for Prometheus, read when somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Sequence[Metric]:
        """Nothing is known before it is asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Rows of inbox and outbox by state."""
        for name, read in (("inbox", inbox.counts), ("outbox", outbox.states)):
            gauge = GaugeMetricFamily(
                f"fullsteam_{name}_rows", f"Rows of the {name} by state", labels=["state"]
            )
            for state, count in self._database.read_now(read).items():
                gauge.add_metric([state], count)
            yield gauge


# --- building -----------------------------------------------------------------------------------------------------


def all_triggers() -> tuple[Trigger, ...]:
    """Every trigger in ``bot/nudges``."""
    return discover(nudges, Trigger)


def connector_kinds() -> dict[str, ConnectorKind]:
    """Every kind of CRM in ``bot/connectors``, by name."""
    return {kind.name: kind for kind in find_kinds()}


def programme_and_content(settings: Settings) -> tuple[Programme, Content]:
    """What ships, the customer's own on top, and the programme that uses it."""
    content = load(settings.content)
    programme = load_programme(settings.programme, content.behaviours)
    return replace(programme, identities=load_identities(settings.identities)), content


def directory_of(settings: Settings, connection: SlackConnection) -> SlackDirectory:
    """Slack's users, with their ids of single sign-on where FULLSTEAM_SLACK_SCIM_TOKEN is set."""
    token = settings.slack_scim_token.get_secret_value() if settings.slack_scim_token else ""
    scim = SlackScim(token, settings.slack_scim_url, connection.session) if token else None
    return SlackDirectory(connection.reading, connection.voice, scim)


@dataclass(frozen=True, slots=True)
class Sources:
    """``opened``: connectors by source name. ``faults``: of those that could not be opened, why, with what to do.

    ``unused``: names that the database remembers and the environment says anew: the environment's word counts.
    ``changed``: names that the database remembers, with the variables of the environment that count over single settings.
    """

    opened: dict[str, Connector]
    faults: dict[str, tuple[str, ...]]
    unused: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of all that there are."""
        return sorted({*self.opened, *self.faults})


def connectors_of(
    settings: Settings, record_link: str | None = None, *, zone: str | None = None, clock: Clock | None = None
) -> dict[str, Connector]:
    """What the settings name: the spreadsheets of FULLSTEAM_IMPORT_DIR, and every CRM of the environment.

    ``zone``: the programme's, whose days snapshots are of. ``clock``: whose time a connector's pauses are measured in.
    Raises ConfigurationError with everything that is wrong with any of them.
    """
    found = open_named(settings, record_link, zone=zone, clock=clock)
    if found.faults:
        raise ConfigurationError([fault for faults in found.faults.values() for fault in faults])
    return found.opened


def open_named(
    settings: Settings, record_link: str | None = None, *, zone: str | None = None, clock: Clock | None = None
) -> Sources:
    """The same; what cannot be opened is left out, and why is said."""
    opened: dict[str, Connector] = {}
    faults: dict[str, tuple[str, ...]] = {}
    kinds = connector_kinds()
    if settings.import_dir is not None:
        where = {"mapping": settings.import_dir / MAPPING, "data": settings.import_dir}
        if where["mapping"].is_file():
            try:
                files = kinds[SPREADSHEET].open(where, record_link)
                opened[files.name] = files
            except ConfigurationError as error:
                faults[SPREADSHEET] = error.faults
        else:
            faults[SPREADSHEET] = (_NO_MAPPING,)
    for name, crm in settings.named_crms.items():
        try:
            opened[name] = open_source(crm.kind, crm.settings, record_link, zone=zone, clock=clock)
        except ConfigurationError as error:
            faults[name] = error.faults
    faults |= {name: (fault,) for name, fault in settings.of_no_kind.items()}
    return Sources(opened, faults)


_NO_MAPPING = f"FULLSTEAM_IMPORT_DIR has no {MAPPING}: docs/connectors/spreadsheet.md shows how to write one"


def open_source(
    kind: str,
    given: Mapping[str, Any],
    record_link: str | None = None,
    *,
    zone: str | None = None,
    clock: Clock | None = None,
    transport: Any = None,
) -> Connector:
    """Open one source of a kind. ``transport``: how its requests travel, if not by the network.

    Raises ConfigurationError.
    """
    how = connector_kinds()[kind]
    if how.settings is not None:
        given = {**given, "zone": zone or "UTC", "clock": clock, "transport": transport}
    return how.open(given, record_link)


async def let_go(connectors: Mapping[str, Connector]) -> None:
    """Close the connections of those that hold some."""
    for connector in connectors.values():
        if isinstance(connector, Closable):
            await connector.close()


def kept_sources(uow: UnitOfWork) -> dict[str, Kept]:
    """The sources that the database says how to open, also those whose kind is not here any more."""
    kinds = connector_kinds()
    return {
        name: (each.kind, each.settings)
        for name, each in usage.sources(uow).items()
        if each.kind in kinds or each.settings
    }


def remembered_crms(settings: Settings) -> dict[str, str]:
    """Kinds of the CRMs that the database remembers, by name; none where there is no database yet, or it does not answer."""
    try:
        database = open_database(settings.database_url)
    except FullsteamError:
        return {}
    try:
        return {name: kind for name, (kind, _) in database.read_now(kept_sources).items()}
    except FullsteamError:
        return {}
    finally:
        database.close()


Overrides = Callable[[str, str], Mapping[str, str]]
"""What the environment says of a source, by its name and kind."""


def settled(name: str, kind: str, kept: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a source that the database remembers: what the environment says counts over each of them.

    Where the environment says all that is needed, nothing is taken from what is kept: two ways to log in do not mix.
    """
    model = connector_kinds()[kind].settings
    if model is None or not said:
        return dict(kept)
    alone = {**said, "name": name}
    try:
        read_source(model, alone)
    except ConfigurationError:
        return {**kept, **alone}
    return alone


def open_kept(
    known: Mapping[str, Kept],
    vault: Vault,
    *,
    record_link: str | None = None,
    zone: str | None = None,
    clock: Clock | None = None,
    said: Overrides = lambda _name, _kind: {},
) -> Sources:
    """Open what the database remembers; what cannot be opened (no key, a file that is gone) is left out, and why is said."""
    opened: dict[str, Connector] = {}
    faults: dict[str, tuple[str, ...]] = {}
    changed: dict[str, tuple[str, ...]] = {}
    kinds = connector_kinds()
    for name, (kind, kept) in known.items():
        if kind not in kinds:
            faults[name] = (_KIND_IS_GONE.format(name=name, kind=kind),)
            continue
        try:
            given = settled(name, kind, vault.unseal(name, kept), over := said(name, kind))
            if over:
                changed[name] = tuple(f"FULLSTEAM_{variable(name)}_{each.upper()}" for each in over)
            opened[name] = open_source(kind, given, record_link, zone=zone, clock=clock)
        except ConfigurationError as error:
            faults[name] = error.faults
        except Permanent as error:
            faults[name] = (str(error),)
    return Sources(opened, faults, changed=changed)


_KIND_IS_GONE = (
    "it is kept as a {kind}, but no connector of that kind is here: put it back into bot/connectors/, "
    "or `fullsteam disconnect {name}` forgets it"
)


async def all_sources(
    settings: Settings, database: Database | None, programme: Programme | None, *, clock: Clock | None = None
) -> Sources:
    """Every source that the environment names or the database remembers: one of the two, if both do, the environment's."""
    record_link, zone = (programme.record_link, programme.zone) if programme else (None, None)
    named = open_named(settings, record_link, zone=zone, clock=clock)
    if database is None:
        return named
    known = await database.read(kept_sources)
    new = {name: kept for name, kept in known.items() if name not in named.names}
    kept = open_kept(
        new,
        vault_of(settings),
        record_link=record_link,
        zone=zone,
        clock=clock,
        said=settings.crm_variables,
    )
    return Sources(
        named.opened | kept.opened,
        named.faults | kept.faults,
        tuple(sorted(known.keys() - new.keys())),
        kept.changed,
    )


async def how_to_open(
    settings: Settings, database: Database | None, name: str
) -> tuple[ConnectorKind, Mapping[str, Any]]:
    """Kind and settings of a source that :func:`all_sources` opens."""
    kinds = connector_kinds()
    if (named := settings.named_crms.get(name)) is not None:
        return kinds[named.kind], named.settings
    known = await database.read(kept_sources) if database is not None else {}
    if name not in known:
        return kinds[SPREADSHEET], {}
    kind, kept = known[name]
    given = vault_of(settings).unseal(name, kept)
    return kinds[kind], settled(name, kind, given, settings.crm_variables(name, kind))


NOTHING_TO_READ = "nothing to read: set FULLSTEAM_IMPORT_DIR, or a CRM's variables (docs/connectors/), or `fullsteam import MAPPING`"
PROBE_SECONDS = 90.0
"""How long one CRM may take to say what can be read there: longer than its own time-out for one answer."""


async def probed(connector: Connector, seconds: float = PROBE_SECONDS) -> Probe:
    """What a CRM says, whatever it does: a failure is a probe that is not ok. Its advice does not begin with its name."""
    try:
        async with asyncio.timeout(seconds):
            probe = await connector.probe()
            return replace(probe, advice=probe.advice.removeprefix(f"{connector.name}: "))
    except TimeoutError:
        advice = f"no answer within {seconds:.0f} s: check its address, and whether this machine may reach it"
    except FullsteamError as error:
        advice = str(error).removeprefix(f"{connector.name}: ")
    return Probe(connector.name, "", ok=False, advice=advice)


def vault_of(settings: Settings) -> Vault:
    """The vault with the installation's keys. Raises ConfigurationError."""
    return open_vault(settings.keys.get_secret_value() if settings.keys else None, settings.keys_file)


def people_known(uow: UnitOfWork) -> list[Person]:
    """Everybody whom the CRM named."""
    return sorted(people.get(uow, None).values(), key=lambda person: person.name)


def sending_stopped(uow: UnitOfWork) -> control.Stopped | None:
    """The stop that is in force, or None."""
    return control.stopped(uow)


def asgi_of(
    house: House,
    connection: SlackConnection,
    signing_secret: str | None,
    *,
    steer: Callable[[datetime], Awaitable[datetime | None]] | None = None,
) -> Starlette:
    """The web application over a house. ``signing_secret`` None: there is no path for Slack (Socket Mode).

    ``steer``: only under steered time.
    """
    app = None
    if signing_secret is not None:
        app = build_app(
            inbox=house.inbox,
            answer_command=house.answer,
            signing_secret=signing_secret,
            client=connection.reading,
        )
    registry = CollectorRegistry()
    registry.register(_Numbers(house.database))
    return build_asgi(
        app,
        health=house.health,
        registry=registry,
        advance=steer,
        inspect=house.inspect if steer is not None else None,
        arrive=house.clock.set if steer is not None and isinstance(house.clock, SteeredClock) else None,
        signing_secret=signing_secret,
    )


def listening(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigurationError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # IPPROTO_TCP by name: without it asyncio leaves Nagle's algorithm on, and every answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            [f"FULLSTEAM_PORT {port} on {host}: {error.strerror}; choose another"]
        ) from error
    bound.listen(512)
    return bound


@contextlib.asynccontextmanager
async def served(app: Starlette, bound: socket.socket) -> AsyncIterator[str]:
    """Serve on a bound socket; yields the address."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", loop="none", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    # Signals are the caller's: uvicorn would take SIGTERM for itself alone.
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # older name, harmless where absent
    task = asyncio.create_task(server._serve([bound]))  # noqa: SLF001 - serve() without its signal handlers
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.001)
    host, port = bound.getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task


# --- running ------------------------------------------------------------------------------------------------------


def serve(settings: Settings, parts: Sequence[str], *, alone: bool) -> None:
    """Run the parts until SIGTERM or SIGINT. ``alone``: refuse while another does the same on this database."""
    programme, content = programme_and_content(settings)
    connectors = connectors_of(settings, programme.record_link, zone=programme.zone)
    vault = vault_of(settings)
    migrate(settings.database_url)
    database = open_database(settings.database_url)
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        if alone and not stack.enter_context(database.only_one("run")):
            raise Refused("Another `fullsteam run` uses this database. Stop it first, or use PostgreSQL.")
        if alone:
            database.write_now(jobs.take_back)
        with contextlib.suppress(KeyboardInterrupt):
            event_loop.run(_serve(settings, parts, programme, content, connectors, database, vault))


async def _serve(
    settings: Settings,
    parts: Sequence[str],
    programme: Programme,
    content: Content,
    connectors: dict[str, Connector],
    database: Database,
    vault: Vault,
) -> None:
    assert settings.secret is not None
    assert settings.slack_bot_token is not None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(
            connect(settings.slack_bot_token.get_secret_value(), api_url=settings.slack_api_url)
        )
        house = House(
            clock=SystemClock(),
            database=database,
            programme=programme,
            content=content,
            triggers=all_triggers(),
            connectors=connectors,
            holidays=PublicHolidays(),
            secret=settings.secret.get_secret_value().encode(),
            messenger=SlackMessenger(connection),
            directory=directory_of(settings, connection),
            workspace="",
            poll_every=timedelta(minutes=settings.poll_minutes),
            vault=vault,
            said=settings.crm_variables,
        )
        stack.push_async_callback(let_go, house.connectors)
        if "web" in parts:
            await _open_doors(stack, settings, house, connection)
        jobs = house.jobs(parts)
        if jobs:
            ticker = Ticker(jobs, house.clock, settings.tick_seconds)
            ticker.start()
            stack.callback(ticker.stop)
        if "worker" in parts:
            if "web" not in parts:

                def wake() -> None:
                    loop.call_soon_threadsafe(house.woken.set)

                stack.enter_context(database.listening(INBOX_CHANNEL, wake))
            stack.callback(asyncio.create_task(house.work_when_woken()).cancel)
        elif "web" in parts:
            stack.callback(asyncio.create_task(house.tell_workers()).cancel)
        for fault in settings.not_loaded:
            log.warning("connector.not_loaded", extra={"advice": fault})
        log.info("started", extra={"parts": list(parts)})
        await stop.wait()
        log.info("stopping")


async def _open_doors(
    stack: contextlib.AsyncExitStack, settings: Settings, house: House, connection: SlackConnection
) -> None:
    """Health and metrics over HTTP, always; Slack's requests there with a signing secret, a socket with an app token."""
    secret = settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None
    address = await stack.enter_async_context(
        served(asgi_of(house, connection, secret), listening(settings.host, settings.port))
    )
    log.info("listening", extra={"address": address})
    if settings.slack_app_token is not None:
        app = build_app(
            inbox=house.inbox, answer_command=house.answer, signing_secret="", client=connection.reading
        )
        door = Socket(app, settings.slack_app_token.get_secret_value())
        await door.open()
        stack.push_async_callback(door.close)


# --- steered time -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Steered:
    """A house whose clock the sandbox, or a loop, moves: for replays, the demo and crash tests."""

    house: House
    clock: SteeredClock
    parts: tuple[str, ...] = ("clock", "worker")

    async def advance(self, now: datetime) -> datetime | None:
        """Move the clock, do what is due, say what is next. The instant is kept: a restart goes on where it was."""
        self.clock.set(now)
        await self.house.database.write(control.keep_instant, self.clock.now())
        return await self.house.advance(self.parts, self.clock.now())


async def prepare_replay(
    database: Database, programme: Programme, connector: Connector, mark: Mapping[str, Any], begin: datetime
) -> datetime:
    """Make a database ready for a replay, or for going on with the same one; returns the instant to start from.

    Raises ConfigurationError when it holds anything else: a replay never mixes with live rows.
    """
    kept = await database.read(control.replayed)
    if kept is None:
        if not await database.read(reports.is_empty):
            raise ConfigurationError(
                ["it holds rows that are not of a replay; name a new file, or leave out --database"],
                title="This database cannot be used for a replay",
            )
        await database.write(control.mark_replay, dict(mark), begin)
    elif kept != dict(mark):
        raise ConfigurationError(
            ["it holds another replay; name a new file, or leave out --database"],
            title="This database cannot be used for this replay",
        )
    at = await database.read(control.kept_instant)
    if at is None:
        await import_files(database, connector, programme, begin, kind="replay", settings={})
    await database.write(jobs.take_back)
    return at or begin


def replay_counts(uow: UnitOfWork, first: date, last: date) -> dict[str, Any]:
    """Totals and weeks of a replay, JSON-ready (store.reports)."""
    weeks = reports.weeks(uow, first, last)
    held: Counter[str] = Counter()
    for week in weeks:
        held.update(week.held)
    return {
        "facts": sum(week.facts for week in weeks),
        "decisions": sum(week.decisions for week in weeks),
        "sent": sum(week.sent for week in weeks),
        "answers": sum(week.answers for week in weeks),
        "sent_by_trigger": reports.sent_by_trigger(uow),
        "held": dict(sorted(held.items())),
        "replies": sum(week.replies for week in weeks),
        "feedback": sum(week.feedback for week in weeks),
        "adoption_stage_moves": sum(week.adoption_stage_moves for week in weeks),
        "stages": next((dict(week.stages) for week in reversed(weeks) if week.stages), {}),
        "weeks": [week.to_json() for week in weeks],
    }
