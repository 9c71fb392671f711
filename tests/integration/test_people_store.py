"""People in the database: kept as the CRM lists them, matched to Slack by e-mail only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from bot.domain.errors import Retryable
from bot.domain.people import (
    AMBIGUOUS,
    BOT,
    DEACTIVATED,
    GUEST,
    MATCHED,
    UNMATCHED,
    CrmUser,
    Preferences,
    SlackUser,
    is_away,
    person_id,
)
from bot.domain.ports import DndWindow
from bot.domain.programme import Programme
from bot.services.match_people import match
from store import matching, people
from store.database import Database, open_database
from store.tables import person, slack_user
from tests.fakes import FakeDirectory

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
PROGRAMME = Programme(
    name="CRM",
    crm_name="CRM",
    go_live=NOW.date(),
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="l@example.com",
    privacy_officer="p@example.com",
    owners={},
    zone="Europe/Berlin",
    country="DE",
    pilot_teams=("Boss@example.com",),
)
BOSS = CrmUser("boss", "Bo Boss", "boss@example.com", "manager")
ANA = CrmUser(
    "ana", "Ana", " Ana@Example.com ", "seller", manager="boss", zone="Europe/Rome", working_days=(0, 1, 2)
)
LEO = CrmUser("leo", "Leo", "leo@example.com", "seller", manager="nobody")


def slack(identity: str, email: str | None, **more: object) -> SlackUser:
    return replace(SlackUser(identity, email, identity, "Europe/Lisbon"), **more)  # type: ignore[arg-type]  # fields by name


def pid(crm_id: str) -> str:
    return person_id("crm", crm_id)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def kept(database: Database) -> Database:
    database.write_now(people.keep_users, "crm", [BOSS, ANA, LEO], PROGRAMME, NOW)
    return database


def test_people_are_kept_with_team_pilot_and_the_programmes_defaults(kept: Database) -> None:
    found = kept.read_now(people.get)
    ana, leo, boss = found[pid("ana")], found[pid("leo")], found[pid("boss")]
    assert (ana.email, ana.team, ana.zone, ana.country, ana.language) == (
        "ana@example.com",
        boss.id,
        "Europe/Rome",
        "DE",
        "en",
    )
    assert (ana.working_days, leo.working_days) == ((0, 1, 2), (0, 1, 2, 3, 4))
    assert (leo.team, leo.zone) == (None, "Europe/Berlin")
    assert (boss.pilot, ana.pilot, leo.pilot) == (True, True, False)
    assert {each.match for each in found.values()} == {UNMATCHED}
    assert kept.read_now(people.by_email, "ANA@example.com") == ana


def test_keeping_the_same_people_again_changes_nothing(kept: Database) -> None:
    before = kept.read_now(people.get)
    again = kept.write_now(people.keep_users, "crm", [BOSS, ANA, LEO], PROGRAMME, NOW + timedelta(days=1))
    assert again == people.KeptUsers((), (), (), 3)
    assert kept.read_now(people.get) == before


def test_whoever_is_listed_was_seen_though_nothing_of_them_changed(kept: Database) -> None:
    day = timedelta(days=1)
    kept.write_now(people.keep_users, "crm", [BOSS, replace(ANA, name="Ana Maria")], PROGRAMME, NOW + day)
    rows = kept.read_now(lambda uow: uow.rows(sa.select(person.c.id, person.c.name, person.c.seen_at)))
    assert {row.id: (row.name, row.seen_at) for row in rows} == {
        pid("boss"): (BOSS.name, NOW + day),
        pid("ana"): ("Ana Maria", NOW + day),
        pid("leo"): (LEO.name, NOW),
    }


def test_accounts_that_are_read_again_are_written_where_they_changed_and_stamped_where_not(
    kept: Database,
) -> None:
    day = timedelta(days=1)
    one, two = slack("U1", "ana@example.com"), slack("U2", "leo@example.com")
    kept.write_now(people.keep_slack_users, [one, two], NOW)
    kept.write_now(people.keep_slack_users, [one, replace(two, away=True)], NOW + day)
    assert kept.read_now(people.slack_users) == {"U1": one, "U2": replace(two, away=True)}
    rows = kept.read_now(lambda uow: uow.rows(sa.select(slack_user.c.read_at)))
    assert [row.read_at for row in rows] == [NOW + day, NOW + day]


def test_who_is_no_longer_listed_has_left_unless_the_list_is_broken(kept: Database) -> None:
    def left(users: list[CrmUser], *, complete: bool = True) -> tuple[str, ...]:
        return kept.write_now(people.keep_users, "crm", users, PROGRAMME, NOW, complete=complete).left

    assert left([]) == ()
    assert left([BOSS, ANA], complete=False) == ()
    assert left([BOSS, ANA]) == (pid("leo"),)
    assert not kept.read_now(people.get)[pid("leo")].active
    assert left([BOSS, ANA]) == ()
    kept.write_now(people.keep_users, "crm", [BOSS, ANA, LEO], PROGRAMME, NOW)
    assert kept.read_now(people.get)[pid("leo")].active


def test_people_are_matched_by_address_only_and_slacks_zone_goes_first(kept: Database) -> None:
    kept.write_now(
        people.keep_slack_users, [slack("U1", "ANA@example.com "), slack("U2", None, name="Leo")], NOW
    )
    report = kept.write_now(matching.match, (), NOW)
    assert report == matching.MatchReport(
        matched=(pid("ana"),), unmatched=tuple(sorted((pid("leo"), pid("boss")))), by={"email": 1}
    )
    ana = kept.read_now(people.by_slack, "U1")
    assert ana is not None
    assert (ana.id, ana.match, ana.zone) == (pid("ana"), MATCHED, "Europe/Lisbon")
    assert kept.write_now(matching.match, (), NOW) == report


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([slack("U1", "ana@example.com", is_guest=True)], GUEST),
        ([slack("U1", "ana@example.com", is_bot=True)], BOT),
        ([slack("U1", "ana@example.com", deleted=True)], DEACTIVATED),
        ([slack("U1", "ana@example.com", deleted=True), slack("U2", "ana@example.com")], MATCHED),
        ([slack("U1", "ana@example.com"), slack("U2", "ana@example.com")], AMBIGUOUS),
        ([], UNMATCHED),
    ],
)
def test_who_is_no_plain_member_is_not_written_to(
    kept: Database, accounts: list[SlackUser], expected: str
) -> None:
    kept.write_now(people.keep_slack_users, accounts, NOW)
    kept.write_now(matching.match, (), NOW)
    ana = kept.read_now(people.get, [pid("ana")])[pid("ana")]
    assert ana.match == expected
    assert (ana.slack_id is not None) == (expected == MATCHED)


def test_two_people_with_one_address_are_ambiguous_until_one_leaves(kept: Database) -> None:
    twin = replace(LEO, crm_id="twin", email="ana@example.com")
    kept.write_now(people.keep_users, "crm", [BOSS, ANA, LEO, twin], PROGRAMME, NOW)
    kept.write_now(people.keep_slack_users, [slack("U1", "ana@example.com")], NOW)
    assert kept.write_now(matching.match, (), NOW).ambiguous == tuple(sorted((pid("ana"), pid("twin"))))
    assert kept.read_now(people.by_email, "ana@example.com") is None
    kept.write_now(people.keep_users, "crm", [BOSS, LEO, twin], PROGRAMME, NOW)
    report = kept.write_now(matching.match, (), NOW)
    assert report.matched == (pid("twin"),)


def test_an_account_moves_to_who_has_its_address_now(kept: Database) -> None:
    kept.write_now(
        people.keep_slack_users, [slack("U1", "ana@example.com"), slack("U2", "leo@example.com")], NOW
    )
    kept.write_now(matching.match, (), NOW)
    kept.write_now(
        people.keep_slack_users, [slack("U1", "leo@example.com"), slack("U2", "ana@example.com")], NOW
    )
    kept.write_now(matching.match, (), NOW)
    found = kept.read_now(people.get)
    assert (found[pid("ana")].slack_id, found[pid("leo")].slack_id) == ("U2", "U1")


def test_welcome_and_notice_count_the_first_time(kept: Database) -> None:
    for at in (NOW, NOW + timedelta(days=1)):
        kept.write_now(people.mark_welcomed, pid("ana"), at)
        kept.write_now(people.mark_notice_read, pid("ana"), at)
    ana = kept.read_now(people.get)[pid("ana")]
    assert (ana.welcomed_at, ana.notice_read_at) == (NOW, NOW)
    # And a new reading of the CRM does not make them strangers.
    kept.write_now(people.keep_users, "crm", [BOSS, replace(ANA, name="Ana Maria"), LEO], PROGRAMME, NOW)
    assert kept.read_now(people.get)[pid("ana")].welcomed_at == NOW


def test_choices_are_kept_one_by_one(kept: Database) -> None:
    assert kept.read_now(people.preferences, [pid("ana")]) == {pid("ana"): Preferences(pid("ana"))}
    kept.write_now(people.change_preferences, pid("ana"), goal="personal", tips_never=frozenset({"t1"}))
    kept.write_now(people.change_preferences, pid("ana"), window_start=time(10, 15), kinds_off={"pulse"})
    chosen = kept.write_now(people.change_preferences, pid("ana"), working_days=(1, 3), stopped_at=NOW)
    assert chosen == Preferences(
        pid("ana"),
        goal="personal",
        tips_never=frozenset({"t1"}),
        window_start=time(10, 15),
        kinds_off=frozenset({"pulse"}),
        working_days=(1, 3),
        stopped_at=NOW,
    )
    assert kept.write_now(people.change_preferences, pid("ana"), stopped_at=None).stopped_at is None
    assert kept.read_now(people.preferences).keys() == {pid("ana")}
    for wrong in ({"goals": "x"}, {"goal": "fame"}, {"working_days": (7,)}):
        with pytest.raises(ValueError, match=r"no such|weekdays"):
            kept.write_now(people.change_preferences, pid("ana"), **wrong)


def test_do_not_disturb_and_out_of_office_last_as_long_as_they_say(kept: Database) -> None:
    until = NOW + timedelta(hours=2)
    kept.write_now(
        people.keep_slack_users,
        [
            slack("U1", "ana@example.com"),
            slack("U2", "leo@example.com", away=True, away_until=until),
            slack("U3", "boss@example.com"),
        ],
        NOW,
    )
    kept.write_now(matching.match, (), NOW)
    kept.write_now(people.keep_dnd, {"U1": DndWindow(NOW, until), "U9": DndWindow(NOW, until)}, NOW)
    ids = [pid("ana"), pid("leo"), pid("boss"), "unknown"]
    ana, leo, boss, unknown = kept.read_now(people.presence, ids, NOW).values()
    assert (ana.dnd_until, ana.away) == (until, False)
    assert (leo.away, leo.away_until, leo.dnd_until) == (True, until, None)
    assert (boss.away, unknown.away) == (False, False)
    for there in kept.read_now(people.presence, ids, until).values():
        assert (there.dnd_until, there.away) == (None, False)
    # What users.list says later does not wipe out what dnd.teamInfo said.
    kept.write_now(people.keep_slack_users, [slack("U1", "ana@example.com")], NOW)
    assert kept.read_now(people.presence, ids, NOW)[pid("ana")].dnd_until == until


@pytest.mark.parametrize(
    ("text", "emoji", "away"),
    [
        ("Out of office until Monday", "", True),
        ("OOO", ":calendar:", True),
        ("Im Urlaub", "", True),
        ("", ":face_with_thermometer:", True),
        ("In a meeting", ":calendar:", False),
        ("Working remotely", ":house_with_garden:", False),
        ("Sickeningly good coffee", "", False),
    ],
)
def test_a_status_says_that_somebody_is_away_or_it_does_not(text: str, emoji: str, away: bool) -> None:
    assert is_away(text, emoji) is away


@pytest.mark.anyio
async def test_reading_slack_matches_page_by_page_and_lists_who_is_not(kept: Database) -> None:
    class Pages(FakeDirectory):
        async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
            yield [slack("U1", "ana@example.com")]
            yield [slack("U2", "leo@example.com", is_guest=True)]

    report = await match(kept, Pages(), PROGRAMME, NOW)
    assert (report.matched, report.guests, report.unmatched) == ((pid("ana"),), (pid("leo"),), (pid("boss"),))
    assert kept.read_now(people.slack_users).keys() == {"U1", "U2"}


@pytest.mark.anyio
async def test_a_silent_slack_leaves_the_matches_as_they_are(kept: Database) -> None:
    class Silent(FakeDirectory):
        async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
            yield [slack("U1", "somebody@example.com")]
            raise Retryable("Slack does not answer.")

    kept.write_now(people.keep_slack_users, [slack("U1", "ana@example.com")], NOW)
    kept.write_now(matching.match, (), NOW)
    with pytest.raises(Retryable):
        await match(kept, Silent(), PROGRAMME, NOW)
    assert kept.read_now(people.by_slack, "U1") is not None


def test_only_those_whom_the_crm_or_the_programme_names_are_kept_of_slack(kept: Database) -> None:
    accounts = [
        slack("U1", "ANA@example.com "),
        slack("U2", "stranger@example.com"),
        slack("U3", None),
        slack("U4", "l@example.com", name="Lee"),
    ]
    kept.write_now(partial(people.keep_slack_users, named=PROGRAMME.accounts()), accounts, NOW)
    assert kept.read_now(people.slack_users).keys() == {"U1", "U4"}
    assert kept.read_now(people.slack_name, "l@example.com") == "Lee"
    moved = [slack("U1", "private@example.com"), slack("U2", "leo@example.com")]
    kept.write_now(people.keep_slack_users, moved, NOW)
    assert kept.read_now(people.slack_users).keys() == {"U2", "U4"}


def test_whoever_left_the_crm_is_forgotten_of_slack_and_still_recognised(kept: Database) -> None:
    kept.write_now(
        people.keep_slack_users, [slack("U1", "ana@example.com"), slack("U2", "leo@example.com")], NOW
    )
    kept.write_now(matching.match, (), NOW)
    kept.write_now(people.keep_users, "crm", [BOSS, ANA], PROGRAMME, NOW)
    assert kept.write_now(people.forget_slack_users, PROGRAMME.accounts()) == 1
    kept.write_now(matching.match, (), NOW)
    assert kept.read_now(people.slack_users).keys() == {"U1"}
    assert kept.read_now(people.by_slack, "U2") is not None
