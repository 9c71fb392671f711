"""The sandbox's company: the firm, its life in the CRM and what is hidden in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from statistics import mean
from zoneinfo import ZoneInfo

import pytest

from bot.domain.intents import recognise
from bot.domain.programme import BARRIER_TYPES
from sandbox.clock import SteeredClock
from sandbox.company.behaviour import (
    CAUSES,
    FAMILIES,
    HABITS,
    MEND_BY,
    NEVER,
    WEARS_OFF,
    Barrier,
    effect_chance,
    engagement,
    nature,
)
from sandbox.company.firm import MANAGER, REPS, SELLER, Firm, Person, found
from sandbox.company.life import Errand, Life
from sandbox.company.reading import FAMILIES as READ_FAMILIES
from sandbox.company.words import KINDS, banks
from sandbox.crm.records import Crm, instant_text

START = date(2026, 2, 23)
BEGIN = datetime(2026, 2, 23, tzinfo=UTC)
TABLES = (
    "User",
    "UserLogin",
    "Account",
    "Contact",
    "Lead",
    "Opportunity",
    "Task",
    "Event",
    "LoginHistory",
    "OpportunityFieldHistory",
)


class World:
    """A firm with a CRM and no Slack."""

    def __init__(self, people: int = 60, seed: int = 7, weeks: int = 4) -> None:
        self.crm = Crm(clock=SteeredClock(BEGIN))
        plain = found(people, seed, START, weeks)
        self.firm = replace(
            plain,
            people=tuple(
                replace(
                    person,
                    crm_id=self.crm.new_id("User") if person.access else "",
                    second_crm_id=self.crm.new_id("User") if person.quirk == "two_crm_users" else "",
                )
                for person in plain.people
            ),
        )
        self.mended: list[tuple[Errand, Person, int, bool]] = []
        self.life = Life(self.firm, self.crm, lambda *told: self.mended.append(told))

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        return {table: self.crm.select(f'SELECT * FROM "{table}" ORDER BY Id') for table in TABLES}


@pytest.fixture(scope="module")
def lived() -> World:
    """Sixty people, twelve weeks before the start and four after it."""
    world = World()
    world.life.live_until(BEGIN + timedelta(weeks=4))
    return world


# The firm


def test_the_same_seed_founds_the_same_firm_and_another_another() -> None:
    assert found(60, 7, START) == found(60, 7, START)
    assert [p.email for p in found(60, 7, START).people] != [p.email for p in found(60, 8, START).people]


@pytest.mark.parametrize("people", [12, 60, 500])
def test_a_firm_has_as_many_people_as_asked_and_one_holder_of_each_part(people: int) -> None:
    firm = found(people, 7, START)
    there = [person for person in firm.people if person.joins is None]
    assert len(there) == people
    roles = Counter(person.role for person in there)
    assert [roles[role] for role in ("sponsor", "adoption_lead", "crm_admin", "privacy_officer")] == [1] * 4
    assert len({person.email for person in firm.people}) == len(firm.people)
    assert len({person.name for person in firm.people}) == len(firm.people)


def test_most_people_are_reps_in_teams_of_six_to_nine_whose_bosses_lead_to_the_sponsor() -> None:
    firm = found(500, 7, START)
    assert 0.75 < mean(person.role in REPS for person in firm.people) < 0.9
    sizes = Counter(person.boss for person in firm.people if person.role in REPS and person.joins is None)
    assert mean(6 <= size <= 9 for size in sizes.values()) > 0.95
    for person in firm.people:
        steps = 0
        while person.boss is not None:
            person = firm.people[person.boss]  # noqa: PLW2901 # up the line
            steps += 1
            assert steps < 5
        assert person.role == "sponsor"


def test_its_people_live_on_six_clocks_that_change_on_different_days_or_never() -> None:
    firm = found(500, 7, START)
    zones = {person.region.zone for person in firm.people}
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    assert len({at.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones}) == 6
    for changed, still in (("Europe/Berlin", "Asia/Kolkata"), ("Australia/Sydney", "Asia/Kolkata")):
        july = at + timedelta(days=180)
        assert at.astimezone(ZoneInfo(changed)).utcoffset() != july.astimezone(ZoneInfo(changed)).utcoffset()
        assert at.astimezone(ZoneInfo(still)).utcoffset() == july.astimezone(ZoneInfo(still)).utcoffset()


def test_a_firm_has_part_timers_leavers_joiners_and_odd_accounts() -> None:
    firm = found(500, 7, START)
    assert any(len(person.hours.days) < 5 for person in firm.people)
    assert sum(person.leaves is not None for person in firm.people) > 10
    assert sum(person.joins is not None for person in firm.people) > 10
    quirks = {person.quirk for person in firm.people}
    assert {"email_case", "two_crm_users", "no_slack", "frozen", "left_crm_only", "left_slack_only"} <= quirks


def test_a_firm_too_small_for_its_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="12 to 3,000"):
        found(11, 7, START)


# Its life


def test_the_same_seed_lives_the_same_life_however_it_is_asked(lived: World) -> None:
    other = World()
    for hours in range(0, 28 * 24, 7):
        other.life.live_until(BEGIN + timedelta(hours=hours))
    other.life.live_until(BEGIN + timedelta(weeks=4))
    assert other.dump() == lived.dump()


def test_another_seed_lives_another_life(lived: World) -> None:
    other = World(seed=8)
    other.life.live_until(BEGIN)
    assert other.dump()["Opportunity"][:50] != lived.dump()["Opportunity"][:50]


@pytest.mark.parametrize("hour", [1, 8, 14, 22])
def test_what_was_done_by_a_moment_is_there_at_that_moment_all_round_the_world(hour: int) -> None:
    world = World(people=60, weeks=1)
    at = BEGIN + timedelta(days=1, hours=hour, minutes=45)

    def known() -> list[tuple[object, ...]]:
        return [
            row
            for table, when in (
                ("LoginHistory", "LoginTime"),
                ("Task", "CreatedDate"),
                ("Lead", "CreatedDate"),
            )
            for row in world.crm.select(f'SELECT Id FROM "{table}" WHERE {when} <= ?', (instant_text(at),))
        ]

    world.life.live_until(at)
    then = known()
    world.life.live_until(at + timedelta(days=2))
    assert len(then) > 100
    assert known() == then


def test_asking_for_the_past_changes_nothing(lived: World) -> None:
    before = lived.dump()
    lived.life.live_until(BEGIN)
    assert lived.dump() == before


def test_nobody_works_in_the_crm_outside_their_hours_holidays_and_employment(lived: World) -> None:
    people = {person.crm_id: person for person in lived.firm.people if person.crm_id}
    examined = 0
    for table, who, when in (
        ("LoginHistory", "UserId", "LoginTime"),
        ("Opportunity", "CreatedById", "CreatedDate"),
        ("Opportunity", "LastModifiedById", "LastModifiedDate"),
        ("Task", "CreatedById", "CreatedDate"),
        ("Lead", "CreatedById", "CreatedDate"),
        ("OpportunityFieldHistory", "CreatedById", "CreatedDate"),
    ):
        for user, at in lived.crm.select(f'SELECT {who}, {when} FROM "{table}"'):
            person = people.get(str(user))
            if person is None:
                continue  # the integration user, which never sleeps
            moment = datetime.fromisoformat(str(at))
            local = moment.astimezone(ZoneInfo(person.region.zone))
            assert person.at_work(moment), (table, person, local)
            assert person.access is not None
            assert person.access <= local.date(), (table, person)
            examined += 1
    assert examined > 4000


def test_nothing_lies_in_the_future(lived: World) -> None:
    end = "2026-03-23T00:00:00.000+0000"
    late = [person for person in lived.firm.people if person.access and person.access >= START]
    assert late  # users of the last wave and joiners are made when they get access
    for table in ("User", "Opportunity", "Task", "Event", "Lead", "Account"):
        assert lived.crm.select(f'SELECT count(*) FROM "{table}" WHERE CreatedDate > ?', (end,)) == [(0,)]


def test_a_leaver_is_switched_off_and_their_deals_go_to_colleagues(lived: World) -> None:
    gone = [
        person
        for person in lived.firm.people
        if person.leaves
        and person.leaves < START + timedelta(weeks=3)
        and person.crm_id
        and person.quirk != "left_slack_only"
    ]
    assert gone
    for person in gone:
        assert lived.crm.select("SELECT IsActive FROM User WHERE Id = ?", (person.crm_id,)) == [(0,)]
        assert lived.crm.select(
            "SELECT count(*) FROM Opportunity WHERE IsClosed = 0 AND OwnerId = ?", (person.crm_id,)
        ) == [(0,)]


def test_odd_accounts_are_odd_in_the_crm(lived: World) -> None:
    odd = {person.quirk: person for person in lived.firm.people if person.quirk}
    rows = lived.crm.rows("SELECT Id, Email FROM User")
    emails = {row["Id"]: row["Email"] for row in rows}
    cased = odd["email_case"]
    assert emails[cased.crm_id] != cased.email
    assert emails[cased.crm_id].lower() == cased.email
    twice = odd["two_crm_users"]
    assert emails[twice.second_crm_id] == emails[twice.crm_id]
    frozen = lived.crm.select("SELECT UserId FROM UserLogin WHERE IsFrozen = 1")
    assert frozen == [(odd["frozen"].crm_id,)]
    assert not lived.crm.select("SELECT * FROM LoginHistory WHERE UserId = ?", (odd["frozen"].crm_id,))
    assert emails[lived.life.integration]


# What is hidden in it


@pytest.fixture(scope="module")
def large() -> World:
    world = World(people=180, weeks=1)
    world.life.live_until(BEGIN + timedelta(weeks=1))
    return world


@pytest.mark.parametrize(
    ("habit", "flaw"),
    [
        ("next_step", "NextStep IS NULL"),
        ("close_date", "CloseDate < '2026-03-02'"),
        ("amount", "Amount IS NULL"),
        ("account", "AccountId IS NULL"),
    ],
)
def test_who_has_a_habit_has_few_flaws_and_who_lacks_it_many(large: World, habit: str, flaw: str) -> None:
    share: dict[str, float] = {}
    for owner, of_all, flawed in large.crm.select(
        f"SELECT OwnerId, count(*), sum({flaw}) FROM Opportunity WHERE IsClosed = 0 GROUP BY OwnerId"
    ):
        assert isinstance(of_all, int)
        assert isinstance(flawed, int)
        if of_all >= 3:
            share[str(owner)] = flawed / of_all
    sellers = [
        worker
        for worker in large.life.workers.values()
        if worker.person.role == SELLER and worker.person.crm_id in share
    ]
    sellers.sort(key=lambda worker: worker.nature.habits[habit])
    third = len(sellers) // 3
    assert third > 20
    worst = mean(share[worker.person.crm_id] for worker in sellers[:third])
    best = mean(share[worker.person.crm_id] for worker in sellers[-third:])
    assert best < 0.7 * worst


def test_who_never_takes_to_the_crm_is_hardly_ever_in_it(large: World) -> None:
    logins = Counter(str(user) for (user,) in large.crm.select("SELECT UserId FROM LoginHistory"))
    by_kind: dict[str, list[int]] = defaultdict(list)
    for worker in large.life.workers.values():
        person = worker.person
        if person.role in REPS and person.access and person.access < START - timedelta(weeks=8):
            by_kind[worker.nature.archetype].append(logins[person.crm_id])
    assert mean(by_kind[NEVER]) < 0.4 * mean(by_kind["steady"]) < 0.4 * mean(by_kind["champion"])


def test_the_novelty_wears_off_before_a_habit_has_grown() -> None:
    person = next(person for person in found(60, 7, START).people if person.role == SELLER)
    for seed in range(30):
        hidden = nature(seed, person, START, 26)
        if hidden.level < 0.2:
            continue
        early, dip, late = (engagement(hidden, weeks, 0) for weeks in (0, 4, 25))
        assert dip < late
        assert dip < early + hidden.level


def test_a_barrier_takes_nearly_all_of_one_habit_while_it_stands(large: World) -> None:
    worker, barrier = next(
        (worker, barrier)
        for worker in large.life.workers.values()
        for barrier in worker.nature.barriers
        if barrier.until
    )
    usual = worker.habits[barrier.habit]
    assert barrier.until
    before, standing, after = (
        barrier.since.toordinal() - 1,
        barrier.since.toordinal(),
        barrier.until.toordinal(),
    )
    assert large.life.habit(worker, barrier.habit, before) == usual
    assert large.life.habit(worker, barrier.habit, standing) == pytest.approx(usual * MEND_BY)
    assert large.life.habit(worker, barrier.habit, after) == usual
    other = next(habit for habit in HABITS if habit != barrier.habit)
    assert large.life.habit(worker, other, standing) == worker.habits[other]


def test_about_a_quarter_of_the_people_meet_a_barrier_with_a_cause_that_its_habit_can_have() -> None:
    firm = found(500, 7, START)
    hidden = [nature(7, person, START, 26) for person in firm.people]
    assert 0.2 < mean(bool(each.barriers) for each in hidden) < 0.36
    for each in hidden:
        for barrier in each.barriers:
            assert barrier.cause in CAUSES[barrier.habit]
    assert {cause for causes in CAUSES.values() for cause in causes} <= set(BARRIER_TYPES)
    lifted = [barrier.until is not None for each in hidden for barrier in each.barriers]
    assert 0.3 < mean(lifted) < 0.8


def test_an_effect_is_its_familys_wears_off_and_is_none_behind_a_barrier() -> None:
    assert set(READ_FAMILIES) == set(FAMILIES)
    for name, family in FAMILIES.items():
        assert effect_chance(name, read_this_week=0, blocked=False) == family.lift
        assert effect_chance(name, read_this_week=2, blocked=False) == pytest.approx(
            family.lift * WEARS_OFF**2
        )
        assert effect_chance(name, read_this_week=0, blocked=True) == 0
    assert FAMILIES["stuck_step"].annoys > 0
    assert sum(family.lift == 0 for family in FAMILIES.values()) >= 3


def test_an_errand_mends_the_record_it_is_about_and_says_so_once() -> None:
    world = World(people=12, weeks=2)
    world.life.live_until(BEGIN + timedelta(hours=14))
    worker, deal = next(
        (worker, deal)
        for worker in world.life.workers.values()
        for deal in worker.deals
        if not deal.has_next_step
    )
    at = int((BEGIN + timedelta(hours=15)).timestamp())
    errand = Errand("m1", "no_next_step", deal.id, "next_step")
    for minutes in (0, 1):
        world.life.plan_errand(worker.person.number, at + 60 * minutes, errand)
    world.life.live_until(BEGIN + timedelta(hours=15, minutes=2))
    assert world.crm.select("SELECT NextStep IS NULL FROM Opportunity WHERE Id = ?", (deal.id,)) == [(0,)]
    assert [(each[0], each[3]) for each in world.mended] == [(errand, True), (errand, False)]


def test_a_barrier_stands_from_its_first_day_to_the_day_before_it_lifts() -> None:
    barrier = Barrier("amount", "policy", date(2026, 3, 2), date(2026, 3, 5))
    assert [barrier.stands(date(2026, 3, day)) for day in (1, 2, 4, 5)] == [False, True, True, False]
    assert Barrier("amount", "policy", date(2026, 3, 2), None).stands(date(2030, 1, 1))


# Their words


def test_every_language_has_words_for_every_kind_and_cause() -> None:
    assert set(banks()) == {"en", "de", "fr", "es"}
    count = {
        language: sum(map(len, bank.lines.values())) + sum(map(len, bank.blocked.values()))
        for language, bank in banks().items()
    }
    assert count["en"] >= 40
    assert count["de"] >= 15
    for bank in banks().values():
        assert set(bank.lines) == set(KINDS)
        assert set(bank.blocked) == {cause for causes in CAUSES.values() for cause in causes}
        assert set(bank.things) == set(CAUSES)


def test_who_complains_is_not_taken_to_ask_for_silence() -> None:
    day = date(2026, 3, 2)
    for bank in banks().values():
        for cause, texts in bank.blocked.items():
            for number in range(len(texts)):
                said = bank.complaint(cause, "amount", (number + 0.5) / len(texts))
                assert recognise(said, day).kind in ("feedback", "question"), said
                assert "{" not in said
        for kind in ("stop", "pause", "delete"):
            assert {recognise(said, day).kind for said in bank.lines[kind]} == {kind}


def test_the_firm_is_a_value() -> None:
    firm = found(12, 1, START)
    assert isinstance(firm, Firm)
    assert firm.holder(MANAGER).number in {person.boss for person in firm.people}
