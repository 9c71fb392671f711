"""Who is who, in the database: what was matched by which step is kept, and nobody unreachable is ever reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bot.domain.matching import EMAIL, OVERRIDE, SSO, Override
from bot.domain.people import (
    AMBIGUOUS,
    EXCLUDED,
    GUEST,
    MATCHED,
    SECOND,
    UNMATCHED,
    CrmUser,
    Person,
    SlackUser,
    person_id,
)
from bot.domain.programme import Programme
from bot.domain.usage import Collected, RowFault, Window
from bot.services.keep_directory import keep_profile
from bot.services.list_unmatched import list_unmatched
from bot.services.match_people import match
from bot.services.poll_crm import poll
from store import matching, people, slots
from store.database import Database, open_database
from store.inbox import InboxRow
from tests.fakes import FakeCrm, FakeDirectory

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
BOSS = CrmUser("boss", "Bo Boss", "boss@example.com", "manager")
ANA = CrmUser("ana", "Ana", "ana@example.com", "seller", manager="boss", sso_ids=("OID-Ana ",))
LEO = CrmUser("leo", "Leo", "leo@example.com", "seller", manager="boss")
PLAIN = Programme(
    name="CRM",
    crm_name="CRM",
    go_live=NOW.date(),
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="l@example.com",
    privacy_officer="p@example.com",
    owners={},
    pilot_teams=("*",),
)


def keeping(*lines: tuple[str, str | None]) -> Programme:
    """The programme with an identity file."""
    overrides = tuple(Override(number, *each) for number, each in enumerate(lines, 2))
    return replace(PLAIN, identities=overrides)


def account(identity: str, email: str | None = None, *sso_ids: str, **more: Any) -> SlackUser:
    return SlackUser(identity, email, identity, "Europe/Lisbon", sso_ids=sso_ids, **more)


def pid(crm_id: str, source: str = "crm") -> str:
    return person_id(source, crm_id)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def kept(database: Database) -> Database:
    crm_lists(database, BOSS, ANA, LEO)
    return database


def crm_lists(database: Database, *users: CrmUser, source: str = "crm") -> people.KeptUsers:
    return database.write_now(people.keep_users, source, list(users), PLAIN, NOW)


async def read(
    database: Database, *accounts: SlackUser, programme: Programme = PLAIN
) -> matching.MatchReport:
    return await match(database, FakeDirectory(accounts), programme, NOW)


def person(database: Database, crm_id: str, source: str = "crm") -> Person:
    return database.read_now(people.get)[pid(crm_id, source)]


def may_be_written_to(database: Database) -> set[str]:
    """Whom the planner would give a slot."""
    return set(database.read_now(slots.without))


@pytest.mark.anyio
async def test_the_step_that_matched_somebody_is_kept(kept: Database) -> None:
    programme = keeping(("boss@example.com", "U30000"))
    report = await read(
        kept,
        account("U10000", "a.sand@example.com", "oid-ana"),
        account("U20000", "leo@example.com"),
        account("U30000", "bo@private.example"),
        programme=programme,
    )
    assert report.by == {OVERRIDE: 1, SSO: 1, EMAIL: 1}
    tied = {
        each: (person(kept, each).slack_id, person(kept, each).matched_by) for each in ("boss", "ana", "leo")
    }
    assert tied == {"boss": ("U30000", OVERRIDE), "ana": ("U10000", SSO), "leo": ("U20000", EMAIL)}


@pytest.mark.anyio
async def test_matching_again_writes_nothing_and_says_the_same(kept: Database) -> None:
    report = await read(kept, account("U10000", "ana@example.com"))
    assert kept.read_now(matching.settled, ()) == report
    assert await read(kept, account("U10000", "ana@example.com")) == report
    kept.write_now(people.keep_slack_users, [account("U10000", "leo@example.com")], NOW)
    assert kept.read_now(matching.settled, ()) is None


@pytest.mark.anyio
async def test_only_accounts_that_somebody_names_are_kept_of_slack(kept: Database) -> None:
    programme = keeping(("leo", "U40000"), ("boss", "b.b@example.com"))
    strangers = [account("U50000", "x@example.com", "oid-x"), account("U60000")]
    ours = [
        account("U10000", None, "oid-ana"),
        account("U20000", "leo@example.com"),
        account("U30000", "b.b@example.com"),
        account("U40000", "private@example.com"),
    ]
    await read(kept, *strangers, *ours, programme=programme)
    assert kept.read_now(people.slack_users).keys() == {each.id for each in ours}
    assert kept.write_now(people.forget_slack_users, programme.accounts()) == 0
    assert kept.write_now(people.forget_slack_users, PLAIN.accounts()) == 2
    crm_lists(kept, BOSS, LEO)
    assert kept.write_now(people.forget_slack_users, PLAIN.accounts()) == 1
    assert kept.read_now(people.slack_users).keys() == {"U20000"}


@pytest.mark.anyio
async def test_what_a_reading_does_not_say_of_single_sign_on_stays_and_what_it_denies_goes(
    kept: Database,
) -> None:
    first = account("U10000", "a.sand@example.com", "oid-ana")
    await read(kept, first)
    await read(kept, replace(first, sso_ids=None))
    assert person(kept, "ana").slack_id == "U10000"
    changed = InboxRow(
        id=1,
        key="k",
        kind="event",
        name="user_change",
        user="U10000",
        body={"profile": {"id": "U10000", "email": "ana.s@example.com", "name": "Ana"}},
        received_at=NOW,
        attempts=0,
    )
    assert kept.write_now(keep_profile, changed, PLAIN, NOW) == "profile-matched"
    assert person(kept, "ana").matched_by == SSO
    await read(kept, replace(first, sso_ids=()))
    assert (person(kept, "ana").slack_id, person(kept, "ana").match) == (None, UNMATCHED)


@pytest.mark.anyio
async def test_a_change_of_somebody_elses_profile_does_not_undo_the_identity_file(kept: Database) -> None:
    programme = keeping(("leo", "U40000"))
    await read(kept, account("U40000", "private@example.com"), programme=programme)
    changed = InboxRow(
        id=1,
        key="k",
        kind="event",
        name="team_join",
        user="U20000",
        body={"profile": {"id": "U20000", "email": "leo@example.com", "name": "Leo"}},
        received_at=NOW,
        attempts=0,
    )
    kept.write_now(keep_profile, changed, programme, NOW)
    assert person(kept, "leo").slack_id == "U40000"


@pytest.mark.anyio
async def test_one_person_in_two_crms_is_written_to_by_way_of_one(kept: Database) -> None:
    await read(kept, account("U10000", "ana@example.com"))
    crm_lists(kept, replace(ANA, crm_id="7", manager=None), source="another")
    report = await read(kept, account("U10000", "ana@example.com"))
    assert report.second == (pid("7", "another"),)
    assert person(kept, "ana").slack_id == "U10000", "who was tied first stays"
    assert (person(kept, "7", "another").match, person(kept, "7", "another").slack_id) == (SECOND, None)
    owner = kept.read_now(people.by_email, "ana@example.com")
    assert owner is not None
    assert owner.id == pid("ana")
    crm_lists(kept, BOSS, LEO)
    report = await read(kept, account("U10000", "ana@example.com"))
    assert (report.second, person(kept, "7", "another").slack_id) == ((), "U10000")


@pytest.mark.anyio
async def test_who_said_stop_stays_stopped_when_another_crm_takes_over(kept: Database) -> None:
    await read(kept, account("U10000", "ana@example.com"))
    kept.write_now(people.change_preferences, pid("ana"), stopped_at=NOW, tips_never=frozenset({"t"}))
    crm_lists(kept, BOSS, LEO)
    crm_lists(kept, replace(ANA, crm_id="7", manager=None), source="another")
    await read(kept, account("U10000", "ana@example.com"))
    heir = pid("7", "another")
    assert kept.read_now(people.by_slack, "U10000") == person(kept, "7", "another")
    chosen = kept.read_now(people.preferences, [heir])[heir]
    assert (chosen.stopped_at, chosen.tips_never) == (NOW, frozenset({"t"}))


@pytest.mark.anyio
async def test_who_chose_something_themselves_keeps_it_when_accounts_change_hands(kept: Database) -> None:
    one, two = account("U10000", "ana@example.com"), account("U20000", "leo@example.com")
    await read(kept, one, two)
    kept.write_now(people.change_preferences, pid("ana"), stopped_at=NOW)
    kept.write_now(people.change_preferences, pid("leo"), goal="personal")
    await read(kept, replace(one, email="leo@example.com"), replace(two, email="ana@example.com"))
    chosen = kept.read_now(people.preferences)
    assert (chosen[pid("ana")].stopped_at, chosen[pid("leo")].stopped_at) == (NOW, None)
    assert (person(kept, "ana").slack_id, person(kept, "leo").slack_id) == ("U20000", "U10000")


@dataclass
class Listing(FakeCrm):
    """A CRM that lists people and nothing else."""

    people: Sequence[CrmUser] = ()
    faults: Sequence[RowFault] = field(default_factory=list)

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        return self.people, self.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        yield Collected()


@pytest.mark.anyio
async def test_leavers_and_those_whom_the_crm_stops_listing_are_not_reached(kept: Database) -> None:
    accounts = [account(f"U{n}0000", f"{who}@example.com") for n, who in enumerate(("boss", "ana", "leo"), 1)]
    await read(kept, *accounts)
    assert {each.match for each in kept.read_now(people.get).values()} == {MATCHED}
    assert may_be_written_to(kept) == {pid("boss"), pid("ana"), pid("leo")}
    # Leo is deactivated in the CRM; Ana turned out to be an integration's user, which no connector lists.
    await poll(kept, Listing(people=[BOSS, replace(LEO, active=False)]), PLAIN, NOW + timedelta(days=1))
    report = await read(kept, *accounts)
    assert report.matched == (pid("boss"),)
    assert may_be_written_to(kept) == {pid("boss")}
    standing = kept.read_now(list_unmatched, PLAIN)
    assert (standing.active, standing.matched, standing.groups) == (1, 1, ())


@pytest.mark.anyio
async def test_nobody_ambiguous_excluded_or_a_guest_is_tied_to_an_account(kept: Database) -> None:
    crm_lists(kept, BOSS, ANA, LEO, replace(LEO, crm_id="twin"))
    report = await read(
        kept,
        account("U10000", "boss@example.com"),
        account("U20000", "ana@example.com", is_guest=True),
        account("U30000", "leo@example.com"),
        programme=keeping(("boss", None)),
    )
    assert report.matched == ()
    found = kept.read_now(people.get)
    assert {each.crm_id: each.match for each in found.values()} == {
        "boss": EXCLUDED,
        "ana": GUEST,
        "leo": AMBIGUOUS,
        "twin": AMBIGUOUS,
    }
    assert [each.slack_id for each in found.values()] == [None] * 4
    assert may_be_written_to(kept) == set()


@pytest.mark.anyio
async def test_a_circle_of_managers_is_cut_whatever_crm_it_comes_from_and_said(database: Database) -> None:
    users = [
        replace(BOSS, manager="leo"),
        replace(LEO, manager="boss"),
        ANA,
        replace(ANA, crm_id="self", manager="self"),
        replace(ANA, crm_id="lost", manager="gone"),
    ]
    report = await poll(database, Listing(people=users), PLAIN, NOW)
    assert report.people.circles == ("boss",)
    assert [str(fault.reason) for fault in report.faults] == ["boss is their own manager by a circle"]
    teams = {each.crm_id: each.team for each in database.read_now(people.get).values()}
    assert teams == {"boss": None, "leo": pid("boss"), "ana": pid("boss"), "self": None, "lost": None}


@pytest.mark.anyio
async def test_a_team_stays_a_team_while_its_manager_is_not_active(kept: Database) -> None:
    top = CrmUser("top", "Top", "top@example.com", "manager")
    crm_lists(kept, top, replace(BOSS, manager="top", active=False), ANA, LEO)
    assert {person(kept, each).team for each in ("ana", "leo")} == {pid("boss")}
    assert kept.read_now(list_unmatched, PLAIN).leaderless == {"Bo Boss (boss@example.com)": 2}


@pytest.mark.anyio
async def test_who_is_not_matched_is_listed_with_the_reason_and_what_to_do(kept: Database) -> None:
    crm_lists(kept, BOSS, ANA, LEO, replace(LEO, crm_id="twin", name="Leo Two"))
    programme = keeping(("eva@example.com", "U10000"))
    await read(kept, account("U10000", "ana@example.com"), programme=programme)
    standing = kept.read_now(list_unmatched, programme)
    assert (standing.active, standing.by) == (4, {EMAIL: 1})
    assert standing.states == {AMBIGUOUS: ("Leo", "Leo Two"), UNMATCHED: ("Bo Boss",)}
    nobody, shared = standing.groups
    assert (nobody.state, nobody.who) == (UNMATCHED, ("Bo Boss (boss@example.com)",))
    assert "invite them to Slack" in nobody.what_to_do
    assert shared.who == (
        "Leo (leo@example.com; Leo Two in crm, twin)",
        "Leo Two (leo@example.com; Leo in crm, leo)",
    )
    assert standing.faults == ("line 2: nobody in the CRM is eva@example.com; mend it, or take it out",)
    # What the file and Slack say now, before anything is written.
    now = kept.read_now(list_unmatched, PLAIN, [account("U90000", "boss@example.com")])
    assert (now.by, now.faults) == ({EMAIL: 1}, ())
