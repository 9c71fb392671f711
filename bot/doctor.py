"""``fullsteam doctor``: looks at everything that has to be right before anybody gets a message, and says what to mend.

Each look is one finding; a look that fails does not stop the next. Reads only: nothing is sent, nothing is written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.clock import SystemClock
from bot.config import ENV_FILE, Settings, holds_secrets, read_settings
from bot.content.identities import load_identities
from bot.content.lint import lint
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.slack import connect
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable
from bot.domain.matching import OVERRIDE, STEP_NAMES
from bot.domain.people import MATCHED, Person, SlackUser
from bot.domain.ports import Probe
from bot.domain.programme import Programme
from bot.domain.usage import CoverageStatus
from bot.services.list_unmatched import Standing, list_unmatched
from bot.vault import is_open_to_others
from bot.wiring import (
    NOTHING_TO_READ,
    all_sources,
    directory_of,
    let_go,
    people_known,
    probed,
    remembered_crms,
    sending_stopped,
    vault_of,
)
from store import audit, inbox, outbox
from store.database import Database, UnitOfWork, open_database
from store.people import slack_users

WORKING = ("secret", "slack_bot_token")


@dataclass(frozen=True, slots=True)
class Finding:
    """``ok`` False: mend it before you run. ``text`` says what is there, or what to do.

    ``look``: everything runs, and somebody or something is left out: worth a look.
    """

    about: str
    ok: bool
    text: str
    look: bool = False

    @property
    def mark(self) -> str:
        """``ok``, ``look`` or ``mend``."""
        if not self.ok:
            return "mend"
        return "look" if self.look else "ok"


@dataclass(frozen=True, slots=True)
class Examined:
    """``probes``: what every CRM says that can be read there, in the order of their names."""

    findings: tuple[Finding, ...]
    probes: tuple[Probe, ...] = ()


def examine() -> Examined:
    """Every finding, in the order in which one sets things up."""
    found: list[Finding] = []
    try:
        settings = read_settings(*WORKING, slack_in=True, programme=True, remembered=remembered_crms)
        found.append(Finding("settings", True, "complete"))
    except ConfigurationError as error:
        found += [Finding("settings", False, fault) for fault in error.faults]
        try:
            settings = read_settings(crms=False, remembered=remembered_crms)
        except ConfigurationError:
            return Examined(tuple(found))  # what is malformed was said; nothing else can be looked at
    if holds_secrets(ENV_FILE) and is_open_to_others(ENV_FILE):
        advice = f"others on this machine may read the secrets in {ENV_FILE}: chmod 600 {ENV_FILE}"
        found.append(Finding("settings", True, advice, look=True))
    found += [Finding("connectors", False, fault) for fault in settings.not_loaded]
    content, programme = _files(settings, found)
    probes: list[Probe] = []
    asyncio.run(_collect(settings, content, programme, found, probes))
    return Examined(tuple(found), tuple(probes))


def _files(settings: Settings, found: list[Finding]) -> tuple[Content | None, Programme | None]:
    try:
        content = load(settings.content)
    except ConfigurationError as error:
        found += [Finding("content", False, fault) for fault in error.faults]
        return None, None
    faults = lint(content, today=SystemClock().now().date())
    found += [Finding("content", False, str(fault)) for fault in faults]
    if not faults:
        found.append(
            Finding("content", True, f"{len(content.tips)} tips, {len(content.behaviours)} behaviours")
        )
    try:
        programme = load_programme(settings.programme, content.behaviours)
    except ConfigurationError as error:
        found += [Finding("programme", False, fault) for fault in error.faults]
        return content, None
    found.append(Finding("programme", True, f"{programme.name}; sponsor {programme.sponsor_name}"))
    try:
        identities = load_identities(settings.identities)
    except ConfigurationError as error:
        found += [Finding("identities", False, fault) for fault in error.faults]
        return content, programme
    if settings.identities is not None:
        lines = "1 line" if len(identities) == 1 else f"{len(identities)} lines"
        text = f"{settings.identities.name}: {lines}" + ("" if identities else ", so it names nobody")
        found.append(Finding("identities", True, text, look=not identities))
    return content, replace(programme, identities=identities)


async def _collect(
    settings: Settings,
    content: Content | None,
    programme: Programme | None,
    found: list[Finding],
    probes: list[Probe],
) -> None:
    accounts = await _slack(settings, found)
    found += _keys(settings)
    database: Database | None = None
    try:
        database = open_database(settings.database_url)
        people = await database.read(people_known)
    except FullsteamError as error:
        found.append(Finding("database", False, str(error)))
        if database is not None:
            await asyncio.to_thread(database.close)
        await _crm(settings, programme, None, found, probes)
        return
    try:
        stop = await database.read(sending_stopped)
        if stop is not None:
            since = stop.since.isoformat(timespec="minutes")
            found.append(Finding("sending", False, f"stopped since {since}; `fullsteam start` releases it"))
        await _crm(settings, programme, database, found, probes)
        if content is not None and programme is not None:
            if accounts is None and not await database.read(slack_users):
                found.append(_never_matched(people))
            else:
                found += _reach(people, await database.read(list_unmatched, programme, accounts), settings)
        found += await database.read(upkeep)
    except FullsteamError as error:
        found.append(Finding("database", False, str(error)))
    finally:
        await asyncio.to_thread(database.close)


def _keys(settings: Settings) -> Iterator[Finding]:
    """The keys that seal what the database keeps of CRMs, where there are any."""
    if settings.keys is None and settings.keys_file is None:
        return
    try:
        vault_of(settings)
    except ConfigurationError as error:
        yield from (Finding("keys", False, fault) for fault in error.faults)
        return
    file = settings.keys_file
    if file is not None and is_open_to_others(file):
        yield Finding("keys", False, f"others on this machine may read them: chmod 600 {file}")
    else:
        yield Finding("keys", True, "they can be used")


async def _slack(settings: Settings, found: list[Finding]) -> list[SlackUser] | None:
    """The accounts as they are now; None when Slack does not tell."""
    if settings.slack_bot_token is None:
        return None
    token = settings.slack_bot_token.get_secret_value()
    async with connect(token, api_url=settings.slack_api_url) as connection:
        directory = directory_of(settings, connection)
        try:
            accounts = [user async for page in directory.users() for user in page]
        except (Retryable, Permanent) as error:
            found.append(Finding("slack", False, str(error)))
            return None
    count = sum(1 for user in accounts if not user.is_bot and not user.deleted)
    found.append(Finding("slack", True, f"the token works; {count} people"))
    if directory.scim_fault is not None:
        found.append(Finding("slack single sign-on", False, str(directory.scim_fault)))
        return None  # what was read last still knows their ids
    if settings.slack_scim_token is not None:
        known = sum(1 for user in accounts if user.sso_ids)
        found.append(Finding("slack single sign-on", True, f"the token works; {known} accounts have an id"))
    return accounts


async def _crm(
    settings: Settings,
    programme: Programme | None,
    database: Database | None,
    found: list[Finding],
    probes: list[Probe],
) -> None:
    """Every source that there is, side by side; one that fails is one line."""
    try:
        sources = await all_sources(settings, database, programme, clock=SystemClock())
    except ConfigurationError:
        return  # the keys: that is said
    said = {each.text for each in found}
    for name, faults in sources.faults.items():
        found += [Finding(f"crm {name}", False, fault) for fault in faults if fault not in said]
    found += [
        Finding(
            f"crm {name}",
            True,
            "the environment's settings are used; what `fullsteam connect` keeps under this name is not",
            look=True,
        )
        for name in sources.unused
    ]
    found += [
        Finding(
            f"crm {name}",
            True,
            f"{', '.join(over)} of the environment counts over what `fullsteam connect` keeps",
        )
        for name, over in sources.changed.items()
    ]
    if not sources.names:
        found.append(Finding("crm", False, NOTHING_TO_READ))
    asked = sorted(sources.opened)
    probes += await asyncio.gather(*(probed(sources.opened[name]) for name in asked))
    await let_go(sources.opened)
    for name, probe in zip(asked, probes, strict=True):
        statuses = Counter(str(each.status) for each in probe.metrics)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        missing = any(each.status not in _NOTHING_TO_DO for each in probe.metrics)
        words = [probe.advice] if probe.advice else []
        words += [probe.version] if probe.ok and probe.version else []
        words += [f"metrics: {counts}"] if probe.ok or not words else []
        look = bool(probe.advice) or missing
        found.append(Finding(f"crm {name}", probe.ok, "; ".join(words), look=look))


_NOTHING_TO_DO = frozenset({CoverageStatus.OK, CoverageStatus.UNSUPPORTED})


def upkeep(uow: UnitOfWork) -> list[Finding]:
    """What needs a person's eye: messages in doubt or refused (nothing mends those), envelopes that could not be worked,
    a changed audit log.
    """
    found = [
        Finding(
            f"message {row.id}",
            True,
            f"{row.kind} of {row.created_at:%Y-%m-%d} is {row.state}: {row.reason}; "
            + (
                "look in the conversation whether it arrived"
                if row.state == outbox.UNCERTAIN
                else "it is not sent again"
            ),
            look=True,
        )
        for row in outbox.unresolved(uow)
    ]
    dead = len(inbox.dead(uow))
    if dead:
        found.append(Finding("inbox", False, f"{dead} could not be worked: `fullsteam inbox list`"))
    try:
        found.append(
            Finding("audit log", True, f"{audit.verify(uow)} rows, each follows from the one before")
        )
    except audit.BrokenChain as error:
        found.append(Finding("audit log", False, str(error)))
    return found


def _never_matched(people: Sequence[Person]) -> Finding:
    """Slack was never asked: nothing can be said of anybody's account."""
    active = [person for person in people if person.active]
    who = ", ".join(f"{each.name} ({each.email or 'no e-mail address'})" for each in active)
    return Finding(
        "people",
        False,
        f"{len(active)} in the CRM, not matched to Slack yet: `fullsteam poll` does it once FULLSTEAM_SLACK_BOT_TOKEN is set and "
        "works" + (f"; it looks for {who}" if who else ""),
    )


def _reach(people: Sequence[Person], standing: Standing, settings: Settings) -> Iterator[Finding]:
    """Who could be written to, and everybody who could not, by reason and with what to do."""
    reached = [person for person in people if person.active and person.match == MATCHED]
    by = ", ".join(f"{count} by {STEP_NAMES[step]}" for step, count in standing.by.items())
    text = (
        f"{standing.active} in the CRM, {len(reached)} matched to Slack, "
        f"{sum(person.pilot for person in reached)} of them in a pilot team"
    )
    if by:
        text += f"; as things are now, {by}"
    if standing.matched != len(reached) or not reached:
        text += "; `fullsteam poll` and `import` match them where the bot token is set, and every poll of `fullsteam run`"
    yield Finding("people", bool(reached), text)
    if by_file := standing.reached.get(OVERRIDE):
        yield Finding(f"people: by {STEP_NAMES[OVERRIDE]}", True, ", ".join(by_file))
    for group in standing.groups:
        who = ", ".join(group.who)
        yield Finding(
            f"people: {group.state}", True, f"never written to: {who}. {group.what_to_do}", look=True
        )
    identities = settings.identities.name if settings.identities is not None else ""
    for fault in standing.faults:
        yield Finding("identities", False, f"{identities}, {fault}")
    for boss, count in standing.leaderless.items():
        yield Finding(
            f"team of {boss}",
            True,
            f"{count} active people report to somebody who is not active in the CRM: name their manager there",
            look=True,
        )
