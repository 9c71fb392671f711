"""``fullsteam doctor``: looks at everything that has to be right before anybody gets a message, and says what to mend.

Each look is one finding; a look that fails does not stop the next. Reads only: nothing is sent, nothing is written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.clock import SystemClock
from bot.config import Settings, read_settings
from bot.content.identities import load_identities
from bot.content.lint import lint
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.slack import connect
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable
from bot.domain.matching import STEP_NAMES
from bot.domain.people import MATCHED, Person, SlackUser
from bot.domain.ports import Connector
from bot.domain.programme import Programme
from bot.services.list_unmatched import Standing, list_unmatched
from bot.wiring import (
    connectors_of,
    directory_of,
    known_sources,
    let_go,
    people_known,
    sending_stopped,
)
from store import audit, inbox, outbox
from store.database import Database, UnitOfWork, open_database

WORKING = ("secret", "slack_bot_token")


@dataclass(frozen=True, slots=True)
class Finding:
    """``ok`` False: mend it before you run. ``text`` says what is there, or what to do."""

    about: str
    ok: bool
    text: str


def examine() -> list[Finding]:
    """Every finding, in the order in which one sets things up."""
    found: list[Finding] = []
    try:
        settings = read_settings(*WORKING, slack_in=True, programme=True)
        found.append(Finding("settings", True, "complete"))
    except ConfigurationError as error:
        found += [Finding("settings", False, fault) for fault in error.faults]
        try:
            settings = read_settings()
        except ConfigurationError:
            return found  # what is malformed was said; nothing else can be looked at
    content, programme = _files(settings, found)
    return found + asyncio.run(_collect(settings, content, programme))


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
        found.append(Finding("identities", True, f"{settings.identities.name}: {len(identities)} lines"))
    return content, replace(programme, identities=identities)


async def _collect(settings: Settings, content: Content | None, programme: Programme | None) -> list[Finding]:
    found: list[Finding] = []
    accounts = await _slack(settings, found)
    try:
        database = open_database(settings.database_url)
    except FullsteamError as error:
        found.append(Finding("database", False, str(error)))
        return found + [each async for each in _crm(settings, programme, None)]
    try:
        people = await database.read(people_known)
        stop = await database.read(sending_stopped)
        if stop is not None:
            since = stop.since.isoformat(timespec="minutes")
            found.append(Finding("sending", False, f"stopped since {since}; `fullsteam start` releases it"))
        found += [each async for each in _crm(settings, programme, database)]
        if content is not None and programme is not None:
            found += _reach(people, await database.read(list_unmatched, programme, accounts), settings)
        found += await database.read(upkeep)
    except FullsteamError as error:
        found.append(Finding("database", False, str(error)))
    finally:
        await asyncio.to_thread(database.close)
    return found


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
    elif settings.slack_scim_token is not None:
        known = sum(1 for user in accounts if user.sso_ids)
        found.append(Finding("slack single sign-on", True, f"the token works; {known} accounts have an id"))
    return accounts


async def _crm(
    settings: Settings, programme: Programme | None, database: Database | None
) -> AsyncIterator[Finding]:
    connectors: dict[str, Connector] = {}
    try:
        connectors |= connectors_of(settings, zone=programme.zone if programme else None)
        if database is not None:
            connectors |= await known_sources(database, set(connectors))
    except ConfigurationError as error:
        for fault in error.faults:
            yield Finding("crm", False, fault)
    if not connectors:
        yield Finding(
            "crm",
            False,
            "nothing to read: set FULLSTEAM_IMPORT_DIR, or a CRM's variables (docs/connectors/), or `fullsteam import MAPPING`",
        )
    for name, connector in connectors.items():
        probe = await connector.probe()
        statuses = Counter(str(each.status) for each in probe.metrics)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        yield Finding(f"crm {name}", probe.ok, probe.advice or f"metrics: {counts}")
    await let_go(connectors)


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
        text += (
            "; `fullsteam import` matches them where the bot token is set, and every poll of `fullsteam run`"
        )
    yield Finding("people", bool(reached), text)
    for group in standing.groups:
        who = ", ".join(group.who)
        yield Finding(f"people: {group.state}", True, f"never written to: {who}. {group.what_to_do}")
    identities = settings.identities.name if settings.identities is not None else ""
    for fault in standing.faults:
        yield Finding("identities", False, f"{identities}, {fault}")
    for boss, count in standing.leaderless.items():
        yield Finding(
            f"team of {boss}",
            True,
            f"{count} active people report to somebody who is not active in the CRM: name their manager there",
        )
