"""The Odoo connector on an Odoo of its own: what it counts over both protocols, and what it says when Odoo refuses or fails.

The counts are held against a recount of the server's own records, which tests/contract/test_odoo_server.py holds against a
foreign client.
"""

from __future__ import annotations

import json
import logging
import math
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from bot.connectors.odoo import queries as odoo_queries
from bot.connectors.odoo.connector import CONNECTOR, OdooConnector, OdooSettings
from bot.connectors.odoo.poll import LAST_CHANGE_ONLY, LAST_LOGIN_ONLY
from bot.connectors.odoo.queries import CHANGES, READ
from bot.connectors.odoo.rights import NOT_ALL, OTHER_COMPANIES, OWN_ONLY, WHO_ARE_WE
from bot.connectors.odoo.rows import deal_of
from bot.connectors.rehearsal import Rehearsal
from bot.domain.errors import ConfigurationError, Permanent, Retryable, Throttled
from bot.domain.people import person_id
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, CoverageStatus, MetricKind, Window
from sandbox.clock import SteeredClock
from store import usage
from store.database import open_database
from store.people import keep_users
from tests.odoo_server import FRIDAY, KEY, LOGIN, ME, URL, Odoo, OdooError, collected, coverage_of, facts_of

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
NOW = Window(TODAY, TODAY)
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)
OK, DENIED, ERROR = CoverageStatus.OK, CoverageStatus.DENIED, CoverageStatus.ERROR
PARTIAL, UNSUPPORTED, THROTTLED = (
    CoverageStatus.PARTIAL,
    CoverageStatus.UNSUPPORTED,
    CoverageStatus.THROTTLED,
)
VERSIONS = (16, 17, 18, 19)


@pytest.fixture(params=[17, 19])
def odoo(request: pytest.FixtureRequest) -> Odoo:
    return Odoo(major=request.param)


def people_of(odoo: Odoo, count: int) -> list[int]:
    boss = odoo.user("Ada Brandt")
    return [boss, *(odoo.user(f"Rep {n:03}", boss) for n in range(count))]


def lived(odoo: Odoo, people: Sequence[int]) -> None:
    """A busy month, the same every time: every kind of record, with every kind of flaw, by everybody in turn."""
    odoo.denied = set()
    odoo.missing.discard("helpdesk.ticket")
    odoo.rows["ir.model.fields"][1]["tracking"] = 100
    changed = "field_id" if odoo.major >= 17 else "field"
    for n in range(30 * len(people)):
        who, days = people[n % len(people)], (n * 7 % 97) + n % 3 / 3
        deal = odoo.deal(
            who,
            days,
            name=f"Deal {n}",
            partner_id=1 if n % 4 else False,
            expected_revenue=100.0 * n if n % 5 else 0.0,
            planned=n % 3 > 0,
            stage_id=2 if n % 9 else False,
            date_deadline=(TODAY + timedelta(days=n % 41 - 20)).isoformat() if n % 10 else False,
            date_last_stage_update=odoo.ago(n * 3 % 120) if n % 7 else False,
            write_uid=people[n % 3],
            write_date=odoo.ago(n % 5),
        )
        if n % 8 == 0:
            odoo.close(deal, who, n % 9, won=bool(n % 16))
        elif n % 8 == 1:
            odoo.say(who, n % 6, deal, message_type="notification", subtype_id=12)
            old, new = ("2026-10-01", "2026-12-01") if n % 3 else ("2026-12-01", "2026-10-01")
            odoo.put(
                "mail.tracking.value",
                create_uid=who,
                create_date=odoo.ago(n % 6),
                old_value_datetime=f"{old} 00:00:00",
                new_value_datetime=f"{new} 00:00:00",
                **{changed: 1},
            )
        about = deal if n % 4 == 1 else 10**6  # another record
        odoo.done(who, n // 4 % 4 + 1, n % 10 + 0.2, about)
        odoo.say(who, n % 11, about, subtype_id=n % 2 + 1)
        odoo.plan(who, n % 9 - 4, deal if n % 3 else 10**6)
        odoo.put("calendar.event", user_id=who, start=odoo.ago(n % 8 - 1))
        made = {
            "create_uid": who,
            "create_date": odoo.ago(n % 11),
            "write_uid": who,
            "write_date": odoo.ago(n % 3),
        }
        odoo.put("res.partner", name=f"P{n}", is_company=bool(n % 2), partner_share=True, **made)
        odoo.put("helpdesk.ticket", user_id=who, **made)
        odoo.put("crm.lead", type="lead", user_id=who, **made)
        odoo.rows["res.users"][who]["login_date"] = odoo.ago(n % 2)


def recounted(odoo: Odoo, window: Window) -> dict[tuple[str, date, str], float]:
    """The numbers of a window, record by record, without a domain or a group."""
    found: defaultdict[tuple[str, date, str], float] = defaultdict(float)
    users = {row["partner_id"]: number for number, row in odoo.rows["res.users"].items()}
    today, ago = window.through, lambda days: window.through - timedelta(days=days)

    def event(metric: str, who: Any, moment: Any, number: float = 1) -> None:
        day = date.fromisoformat(moment[:10]) if moment else date.min
        if who and who not in (1, ME) and window.since <= day <= window.through:
            found[str(who), day, metric] += number

    def made(row: dict[str, Any], thing: str) -> None:
        event(f"records_created.{thing}", row["create_uid"], row["create_date"])
        if window.through.isoformat() == row["write_date"][:10] > row["create_date"][:10]:  # of today only
            event(f"records_updated.{thing}", row["write_uid"], row["write_date"])

    for row in odoo.rows["crm.lead"].values():
        made(row, row["type"])
        who, amount = row["user_id"], row["expected_revenue"]
        if row["type"] == "lead":
            continue
        if row["stage_id"] == 3 and row["probability"] == 100:
            for metric, number in {
                "won_count": 1,
                "won_amount": amount,
                "cycle_days": row["day_close"],
            }.items():
                event(metric, who, row["date_closed"], number)
            continue
        if not row["active"]:
            event("lost_count", who, row["date_closed"])
            continue
        age = (today - date.fromisoformat(row["create_date"][:10])).days
        planned = any(each["res_id"] == row["id"] for each in odoo.rows["mail.activity"].values())
        alive = any(
            each["res_id"] == row["id"]
            and (each["mail_activity_type_id"] or each["message_type"] == "comment")
            and each["date"][:10] > ago(30).isoformat()
            for each in odoo.rows["mail.message"].values()
        )
        step = (row["date_last_stage_update"] or row["create_date"])[:10]
        flaws = {
            "opps_open": True,
            "opps_past_close": bool(row["date_deadline"]) and row["date_deadline"] < today.isoformat(),
            "opps_no_next_step": not planned and age >= 7,
            "opps_missing_amount": not amount and age >= 7,
            "opps_missing_account": not row["partner_id"] and age >= 7,
            "opps_no_activity_30d": age >= 30 and not alive,
            "opps_stuck_step": step <= ago(60).isoformat(),
        }
        for metric, flawed in flaws.items():
            event(metric, who, today.isoformat(), flawed)
        event("pipeline_amount", who, today.isoformat(), amount)
        event(
            "filled",
            who,
            today.isoformat(),
            sum(map(bool, (amount, row["partner_id"], row["date_deadline"]))),
        )
    for who, day, metric in [key for key in found if key[2] == "filled"]:
        share = found.pop((who, day, metric)) / 3 / found[who, day, "opps_open"]
        found[who, day, "field_completeness"] = round(100 * share, 2)
    for row in odoo.rows["res.partner"].values():
        if row["partner_share"]:
            made(row, "account" if row["is_company"] else "contact")
    for row in odoo.rows["helpdesk.ticket"].values():
        made(row, "case")
    for row in odoo.rows["mail.message"].values():
        who, kind = users.get(row["author_id"]), row["mail_activity_type_id"]
        if kind in (1, 2, 4):
            event(f"activities_completed.{ {1: 'email', 2: 'call', 4: 'task'}[kind] }", who, row["date"])
        elif row["message_type"] == "comment" and row["subtype_id"] == 1:
            event("activities_completed.email", who, row["date"])
        elif row["subtype_id"] in (12, 13, 14):
            event("step_moves", who, row["date"])
    for row in odoo.rows["calendar.event"].values():
        if row["start"] < odoo.ago(0):
            event("activities_completed.meeting", row["user_id"], row["start"])
    for row in odoo.rows["mail.tracking.value"].values():
        if row["new_value_datetime"] > row["old_value_datetime"]:
            event("close_date_pushes", row["create_uid"], row["create_date"])
    for row in odoo.rows["mail.activity"].values():
        event("tasks_overdue", row["user_id"], today.isoformat(), row["date_deadline"] < today.isoformat())
    for number, row in odoo.rows["res.users"].items():
        if row["login_date"] and row["login_date"][:10] == today.isoformat():
            event("active_day", number, today.isoformat())
    return {key: round(number, 6) for key, number in found.items() if number}


def told(parts: Any) -> dict[tuple[str, date, str], float]:
    return {
        (who, day, metric): round(number, 6)
        for (who, day), values in facts_of(parts).items()
        for metric, number in values.items()
        if number
    }


# --- what is counted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("major", VERSIONS)
async def test_every_number_is_that_of_a_recount_of_the_records(major: int) -> None:
    odoo = Odoo(major=major)
    lived(odoo, people_of(odoo, 6))
    parts = await collected(odoo.connector(), WEEK, ALL)
    expected = recounted(odoo, WEEK)
    readable = READ if major >= 17 else READ - {"opps_no_activity_30d"}
    assert told(parts) == {key: number for key, number in expected.items() if key[2] in readable}
    assert {metric for _, _, metric in expected} == READ, "nothing is left untried"


async def test_what_is_grouped_for_administrators_only_is_counted_record_by_record(odoo: Odoo) -> None:
    lived(odoo, people_of(odoo, 4))
    grouped = told(await collected(odoo.connector(), WEEK, ALL))
    odoo.ungrouped = {"mail.message"}
    assert told(await collected(odoo.connector(), WEEK, ALL)) == grouped


async def test_zero_is_said_for_everybody_who_is_listed_where_the_crm_has_spoken(odoo: Odoo) -> None:
    people = people_of(odoo, 2)
    odoo.rows["res.users"][people[0]]["login_date"] = odoo.ago(0)
    late = odoo.user("Eva Roth", create_date=odoo.ago(1))
    facts = facts_of(await collected(odoo.connector(), WEEK, ALL))
    unsaid = {"field_completeness", "close_date_pushes", "records_created.case", "records_updated.case"}
    assert facts[str(people[2]), TODAY] == dict.fromkeys(READ - unsaid, 0.0)
    of_today = unsaid | SNAPSHOTS | CHANGES | {"active_day"}
    assert facts[str(people[2]), WEEK.since] == dict.fromkeys(READ - of_today, 0.0)
    assert {day for who, day in facts if who == str(late)} == {TODAY, TODAY - timedelta(days=1)}
    assert not {"1", str(ME)} & {who for who, _ in facts}


async def test_what_odoo_and_the_integration_did_is_nobody_s(odoo: Odoo) -> None:
    people_of(odoo, 1)
    for who in (1, ME):
        odoo.put("crm.lead", type="lead", user_id=who, create_uid=who, create_date=odoo.ago(0))
    facts = facts_of(await collected(odoo.connector(), NOW, frozenset({"records_created.lead"})))
    assert facts
    assert not any(values["records_created.lead"] for values in facts.values())


async def test_groups_beyond_one_answer_are_read_by_their_offset(
    odoo: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = people_of(odoo, 9)
    for n, who in enumerate(people):
        odoo.put(
            "res.partner", is_company=False, partner_share=True, create_uid=who, create_date=odoo.ago(n % 3)
        )
    monkeypatch.setattr("bot.connectors.odoo.answers.GROUPS", 4)
    facts = facts_of(await collected(odoo.connector(), WEEK, frozenset({"records_created.contact"})))
    assert sum(values["records_created.contact"] for values in facts.values()) == 10
    pages = [named["offset"] for model, method, named in odoo.asked if "read_group" in method]
    assert pages == [0, 4, 8]


async def test_a_group_that_moves_to_the_next_page_while_we_read_is_one_group(
    odoo: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = people_of(odoo, 5)
    for who in people:
        odoo.put("res.partner", partner_share=True, create_uid=who, create_date=odoo.ago(0))
    monkeypatch.setattr("bot.connectors.odoo.answers.GROUPS", 3)
    boss = [odoo.put("res.partner", partner_share=True, create_uid=1, create_date=odoo.ago(0))]

    def moved(model: str, method: str) -> OdooError | None:
        later = "read_group" in method and odoo.asked[-1][2]["offset"] == 3
        if later and boss:
            odoo.rows["res.partner"][boss.pop()]["create_uid"] = 1
            odoo.put(
                "res.partner", is_company=True, partner_share=True, create_uid=1, create_date=odoo.ago(0)
            )
        return None

    odoo.fault = moved
    facts = facts_of(await collected(odoo.connector(), NOW, frozenset({"records_created.contact"})))
    assert {who: values["records_created.contact"] for (who, _), values in facts.items()} == {
        str(who): 1 for who in people
    }


async def test_an_empty_database_has_nothing_to_say_and_no_fault(odoo: Odoo) -> None:
    parts = await collected(odoo.connector(), WEEK, ALL)
    assert not facts_of(parts)
    assert not any(part.faults for part in parts)
    assert coverage_of(parts)["opps_open", TODAY][0] is OK


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_clock_that_is_ten_minutes_off_is_the_server_s_at_midnight(odoo: Odoo, minutes: int) -> None:
    people_of(odoo, 1)
    midnight = datetime(2026, 11, 21, 0, 0, tzinfo=FRIDAY.tzinfo)
    odoo.clock.move_to(midnight + timedelta(minutes=minutes / 2))
    parts = await collected(
        odoo.connector(), Window(midnight.date(), midnight.date()), frozenset({"opps_open"})
    )
    assert coverage_of(parts)["opps_open", midnight.date()][0] is OK


async def test_labels_of_groups_are_never_read(odoo: Odoo) -> None:
    who = people_of(odoo, 1)[1]
    odoo.put("calendar.event", user_id=who, start=odoo.ago(2))
    odoo.label = "vendredi"
    facts = facts_of(await collected(odoo.connector(), WEEK, frozenset({"activities_completed.meeting"})))
    assert facts[str(who), TODAY - timedelta(days=2)] == {"activities_completed.meeting": 1}


# --- logins ----------------------------------------------------------------------------------------------------------------


async def test_only_today_s_logins_are_known_and_a_day_gone_by_is_never_a_zero(odoo: Odoo) -> None:
    _, in_today, in_yesterday = people_of(odoo, 2)
    odoo.rows["res.users"][in_today]["login_date"] = odoo.ago(0.1)
    odoo.rows["res.users"][in_yesterday]["login_date"] = odoo.ago(1)
    parts = await collected(odoo.connector(), WEEK, frozenset({"active_day"}))
    facts, coverage = facts_of(parts), coverage_of(parts)
    assert (facts[str(in_today), TODAY], facts[str(in_yesterday), TODAY]) == (
        {"active_day": 1},
        {"active_day": 0},
    )
    assert {day for _, day in facts} == {TODAY}
    before = [coverage["active_day", TODAY - timedelta(days=n)] for n in range(1, 7)]
    assert set(before) == {(UNSUPPORTED, LAST_LOGIN_ONLY)}


async def test_today_is_the_programme_s_day() -> None:
    odoo = Odoo(SteeredClock(datetime(2026, 11, 20, 20, 0, tzinfo=FRIDAY.tzinfo)))
    who = people_of(odoo, 1)[1]
    odoo.rows["res.users"][who]["login_date"] = (
        "2026-11-20 15:30:00"  # half past midnight of the 21st in Tokyo
    )
    tomorrow = TODAY + timedelta(days=1)
    assert odoo.clock.now().astimezone(ZoneInfo("Asia/Tokyo")).date() == tomorrow
    window = Window(tomorrow, tomorrow)
    facts = facts_of(await collected(odoo.connector(zone="Asia/Tokyo"), window, frozenset({"active_day"})))
    assert facts[str(who), tomorrow] == {"active_day": 1}


@pytest.mark.parametrize("how", ["hidden", "empty"])
async def test_logins_that_are_not_shown_are_no_zeros(odoo: Odoo, how: str) -> None:
    people_of(odoo, 2)
    if how == "hidden":
        odoo.hidden = {("res.users", "login_date")}
    parts = await collected(odoo.connector(), NOW, frozenset({"active_day"}))
    assert coverage_of(parts)["active_day", TODAY][0] is DENIED
    assert not any(facts_of(parts).values())


# --- changes ---------------------------------------------------------------------------------------------------------------


def changed(odoo: Odoo, who: int, moment: datetime) -> int:
    """A contact that was made long ago and changed then."""
    made = {"partner_share": True, "create_uid": who, "create_date": odoo.ago(90)}
    return odoo.put("res.partner", write_uid=who, write_date=f"{moment:%Y-%m-%d %H:%M:%S}", **made)


@pytest.mark.parametrize(("hours", "fresh"), [(0, 2), (11.9, 2), (12, 1), (23, 1)])
async def test_changes_are_read_of_a_day_that_runs_or_ended_less_than_twelve_hours_ago(
    hours: float, fresh: int
) -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    odoo = Odoo(SteeredClock(midnight + timedelta(hours=hours)))
    rep = people_of(odoo, 1)[1]
    for n in range(7):
        changed(odoo, rep, midnight - timedelta(days=n))
    parts = await collected(odoo.connector(), WEEK, frozenset({"records_updated.contact"}))
    said, facts = coverage_of(parts), facts_of(parts)
    days = [TODAY - timedelta(days=n) for n in range(7)]
    assert [said["records_updated.contact", day] for day in days] == [
        *[(OK, "")] * fresh,
        *[(UNSUPPORTED, LAST_CHANGE_ONLY)] * (7 - fresh),
    ]
    assert [facts.get((str(rep), day), {}) for day in days[:fresh]] == [
        {"records_updated.contact": 1}
    ] * fresh
    assert not any(values for (_, day), values in facts.items() if day in days[fresh:])


async def test_days_whose_changes_are_gone_are_not_asked_for(odoo: Odoo) -> None:
    people_of(odoo, 1)
    gone = Window(WEEK.since, TODAY - timedelta(days=1))
    parts = await collected(odoo.connector(), gone, CHANGES)
    assert {status for status, _ in coverage_of(parts).values()} == {UNSUPPORTED}
    assert not any(
        names in named.get("groupby", ()) for _, _, named in odoo.asked for names in ("write_uid",)
    )


PROGRAMME = Programme(
    name="CRM",
    crm_name="CRM",
    go_live=WEEK.since,
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="l@example.com",
    privacy_officer="p@example.com",
    owners={},
)


async def test_reading_ninety_days_again_leaves_the_changes_that_were_seen_on_their_day(
    odoo: Odoo, sqlite_url: str
) -> None:
    rep = people_of(odoo, 1)[1]
    contact, deal = changed(odoo, rep, FRIDAY), odoo.deal(rep, 80)
    odoo.rows["crm.lead"][deal] |= {"write_date": odoo.ago(0), "write_uid": rep}
    read = frozenset({"records_updated.contact", "records_updated.opportunity"})
    evening, found = FRIDAY + timedelta(hours=7), []
    database = open_database(sqlite_url, durable=False)
    try:
        for days, since in ((0, TODAY), (1, TODAY - timedelta(days=88))):
            odoo.clock.move_to(evening + timedelta(days=days))
            if days:  # somebody else has changed them since
                for row in (odoo.rows["res.partner"][contact], odoo.rows["crm.lead"][deal]):
                    row |= {"write_date": odoo.ago(0), "write_uid": 1}
            now = odoo.clock.now()
            connector = odoo.connector()
            users, _ = await connector.users(now.date())
            database.write_now(keep_users, "odoo", users, PROGRAMME, now)
            for part in await collected(connector, Window(since, now.date()), read):
                database.write_now(usage.keep, "odoo", part, now)
            sums = database.read_now(usage.sums, [person_id("odoo", str(rep))], TODAY, TODAY)
            found.append((sums, database.read_now(usage.coverage, read, TODAY, TODAY)))
    finally:
        database.close()
    ((numbers,), said) = found[0][0].values(), found[0][1]
    assert (numbers, said) == (dict.fromkeys(read, 1.0), dict.fromkeys(read, OK))
    assert found[1] == found[0]


# --- people ----------------------------------------------------------------------------------------------------------------


async def test_people_have_what_odoo_says_of_them(odoo: Odoo) -> None:
    boss = odoo.user("Ada Brandt", tz="Europe/Paris", lang="fr_FR")
    rep = odoo.user(
        "Jonas Weber", boss, email="Jonas@Example.com", oauth_uid="jw-77", create_date=odoo.ago(9)
    )
    odoo.user("SDR One", boss, function="Sales Development Rep", email=False)
    odoo.user("Portal", share=True)
    odoo.user("ERP Integration")
    odoo.user("Gone", boss, active=False)
    users, faults = await odoo.connector().users(TODAY)
    assert not faults
    ada, jonas, sdr = users
    assert (ada.role, ada.language, ada.country, ada.manager) == ("manager", "fr-FR", "FR", None)
    assert (jonas.crm_id, jonas.email, jonas.manager, jonas.sso_ids) == (
        str(rep), "jonas@example.com", str(boss), ("jw-77",),
    )  # fmt: skip
    assert jonas.access_since == TODAY - timedelta(days=9)
    assert (sdr.role, sdr.email) == ("sales_development", "sdr.one@example.com")


async def test_managers_are_those_of_the_employees_before_those_of_the_teams(odoo: Odoo) -> None:
    lead, chief, rep = odoo.user("Lead"), odoo.user("Chief"), 0
    rep = odoo.user("Rep", lead)
    odoo.missing.discard("hr.employee.public")
    top = odoo.put("hr.employee.public", name="Chief", user_id=chief)
    between = odoo.put("hr.employee.public", name="No user", parent_id=top)
    odoo.put("hr.employee.public", name="Rep", user_id=rep, parent_id=between)
    users, _ = await odoo.connector().users(TODAY)
    assert {user.crm_id: user.manager for user in users}[str(rep)] == str(chief)


async def test_a_circle_of_managers_is_cut_and_named(odoo: Odoo) -> None:
    odoo.missing.discard("hr.employee.public")
    a, b = odoo.user("A"), odoo.user("B")
    odoo.put("hr.employee.public", id=1, name="A", user_id=a, parent_id=2)
    odoo.put("hr.employee.public", id=2, name="B", user_id=b, parent_id=1)
    users, faults = await odoo.connector().users(TODAY)
    assert len([user for user in users if user.manager is None]) == 1
    assert "circle" in faults[0].reason


async def test_users_come_page_by_page_and_each_once(odoo: Odoo, monkeypatch: pytest.MonkeyPatch) -> None:
    people = people_of(odoo, 25)
    monkeypatch.setattr("bot.connectors.odoo.database.ROWS", 10)
    users, _ = await odoo.connector().users(TODAY)
    assert [user.crm_id for user in users] == [str(each) for each in people]


async def test_a_second_page_that_fails_is_no_short_list_of_people(
    odoo: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_of(odoo, 25)
    monkeypatch.setattr("bot.connectors.odoo.database.ROWS", 10)
    seen = Counter[str]()

    def second(model: str, method: str) -> OdooError | None:
        seen[model] += method == "search_read"
        return OdooError("psycopg2.InterfaceError", "x") if (model, seen[model]) == ("res.users", 2) else None

    odoo.fault = second
    with pytest.raises(Retryable):
        await odoo.connector().users(TODAY)


# --- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OdooError("odoo.exceptions.AccessError", "no", 403), DENIED),
        (OdooError("psycopg2.errors.QueryCanceled", "canceling statement due to statement timeout"), ERROR),
        (OdooError("psycopg2.errors.SerializationFailure", "busy"), ERROR),
        (OdooError("builtins.ValueError", "Invalid field 'start' on model 'calendar.event'"), DENIED),
        (OdooError("builtins.ZeroDivisionError", "a bug of somebody's module"), ERROR),
        (OdooError("odoo.exceptions.UserError", "Object calendar.event doesn't exist", 422), UNSUPPORTED),
        (OdooError("builtins.KeyError", "'calendar.event'", 500), UNSUPPORTED),
    ],
)
async def test_a_refusal_costs_the_metrics_that_need_it_and_nothing_else(
    odoo: Odoo, error: OdooError, status: CoverageStatus
) -> None:
    lived(odoo, people_of(odoo, 3))
    good = told(await collected(odoo.connector(), WEEK, ALL))
    odoo.fault = lambda model, _method: error if model == "calendar.event" else None
    parts = await collected(odoo.connector(), WEEK, ALL)
    meeting = "activities_completed.meeting"
    assert {coverage_of(parts)[meeting, day] for _, day in facts_of(parts)} == {
        (status, coverage_of(parts)[meeting, TODAY][1])
    }
    assert coverage_of(parts)[meeting, TODAY][1]
    assert told(parts) == {key: number for key, number in good.items() if key[2] != meeting}


async def test_an_app_that_is_not_installed_is_unsupported_and_a_right_that_is_missing_denied(
    odoo: Odoo,
) -> None:
    people_of(odoo, 1)
    odoo.denied = {"crm.lead"}
    said = coverage_of(await collected(odoo.connector(), NOW, ALL))
    assert said["records_created.case", TODAY][0] is UNSUPPORTED
    assert said["opps_open", TODAY] == (
        DENIED,
        'give the integration user the group "Sales / User: All Documents"',
    )
    assert said["tasks_overdue", TODAY][0] is DENIED, "what is planned on a lead is hidden with it"
    assert said["records_created.contact", TODAY][0] is OK


OF_LEADS = frozenset(
    {
        "opps_open",
        "pipeline_amount",
        "field_completeness",
        "won_count",
        "won_amount",
        "cycle_days",
        "lost_count",
    }
    | {"records_created.lead", "records_created.opportunity", "records_updated.lead"}
    | {"records_updated.opportunity", "opps_past_close", "opps_no_next_step", "opps_no_activity_30d"}
    | {"opps_stuck_step", "opps_missing_amount", "opps_missing_account", "tasks_overdue", "step_moves"}
    | {"activities_completed.call", "activities_completed.email", "activities_completed.task"}
)


@pytest.mark.parametrize("major", VERSIONS)
@pytest.mark.parametrize("own", [0, 3])
async def test_who_sees_only_their_own_opportunities_has_no_zeros_of_everybody_s(
    major: int, own: int
) -> None:
    odoo = Odoo(major=major, groups={"sales_team.group_sale_salesman"})
    people = people_of(odoo, 3)
    lived(odoo, people)
    for n in range(own):
        odoo.deal(ME if n else False, 20, create_uid=people[1], write_uid=people[1])  # one is nobody's
    parts = await collected(odoo.connector(), WEEK, ALL)
    said = coverage_of(parts)
    events = {metric for metric in OF_LEADS if metric not in SNAPSHOTS}
    assert {key for key, (status, _) in said.items() if status is DENIED} == {
        *((metric, TODAY) for metric in OF_LEADS),
        *((metric, TODAY - timedelta(days=n)) for metric in events - CHANGES for n in range(1, 7)),
    }
    assert said["opps_open", TODAY] == (DENIED, OWN_ONLY)
    assert 'give the integration user the group "Sales / User: All Documents"' in OWN_ONLY
    assert not any(OF_LEADS & values.keys() for values in facts_of(parts).values())
    assert "crm.lead" not in {model for model, method, _ in odoo.asked if "read" in method}
    expected = {key: number for key, number in recounted(odoo, WEEK).items() if key[2] in READ - OF_LEADS}
    assert told(parts) == expected, "what is no lead's is read as ever"


@pytest.mark.parametrize("major", VERSIONS)
async def test_a_crm_without_deals_has_zeros_for_who_would_see_them(major: int) -> None:
    odoo = Odoo(major=major)
    rep = people_of(odoo, 1)[1]
    odoo.deal(ME, 20)
    parts = await collected(odoo.connector(), NOW, frozenset({"opps_open", "lost_count"}))
    assert facts_of(parts)[str(rep), TODAY] == {"opps_open": 0, "lost_count": 0}
    assert odoo.calls()["res.users", "has_group"] == 1


async def test_deals_of_others_show_that_they_are_seen_by_whatever_right(odoo: Odoo) -> None:
    odoo.groups, odoo.rule = set(), True
    rep = people_of(odoo, 1)[1]
    deal = odoo.deal(rep, 400)
    odoo.close(deal, rep, 300, won=False)  # archived, long ago: seen all the same
    for connector, said in (
        (odoo.connector(), (DENIED, NOT_ALL)),
        (odoo.connector(sees_all="yes"), (OK, "")),
    ):
        parts = await collected(connector, NOW, frozenset({"opps_open"}))
        assert coverage_of(parts)["opps_open", TODAY] == said


@pytest.mark.parametrize("major", VERSIONS)
async def test_who_sees_some_of_the_others_deals_does_not_see_all(major: int) -> None:
    odoo = Odoo(major=major, groups={"sales_team.group_sale_salesman"})
    people = people_of(odoo, 3)
    lived(odoo, people)
    odoo.team = {people[1]}
    parts = await collected(odoo.connector(), WEEK, ALL)
    said = coverage_of(parts)
    assert {metric for metric, day in said if said[metric, day] == (DENIED, NOT_ALL)} == OF_LEADS
    assert "FULLSTEAM_ODOO_SEES_ALL=yes" in NOT_ALL
    assert not any(OF_LEADS & values.keys() for values in facts_of(parts).values())


async def test_a_setting_is_not_believed_where_nobody_s_deals_are_seen(odoo: Odoo) -> None:
    odoo.groups = set()
    odoo.deal(people_of(odoo, 1)[1], 20)
    parts = await collected(odoo.connector(sees_all=True), NOW, frozenset({"opps_open"}))
    assert coverage_of(parts)["opps_open", TODAY] == (DENIED, OWN_ONLY)


@pytest.mark.parametrize("major", VERSIONS)
async def test_deals_of_a_company_that_is_not_ours_are_no_zeros(major: int) -> None:
    odoo = Odoo(major=major, companies=2)
    rep = people_of(odoo, 1)[1]
    odoo.deal(rep, 20, company_id=2)
    odoo.deal(rep, 20, company_id=1)
    metric = frozenset({"opps_open", "records_created.contact"})
    said = coverage_of(await collected(odoo.connector(), NOW, metric))
    assert said["opps_open", TODAY] == (DENIED, OTHER_COMPANIES.format(ours=1, all=2))
    assert said["records_created.contact", TODAY][0] is OK
    believed = facts_of(await collected(odoo.connector(sees_all=True), NOW, metric))
    assert believed[str(rep), TODAY]["opps_open"] == 1
    odoo.rows["res.users"][ME]["company_ids"] = [1, 2]
    assert facts_of(await collected(odoo.connector(), NOW, metric))[str(rep), TODAY]["opps_open"] == 2


@pytest.mark.parametrize("name", ["companies_count", "company_ids"])
async def test_an_odoo_that_does_not_tell_of_companies_is_read_as_ever(odoo: Odoo, name: str) -> None:
    odoo.companies = 2
    odoo.deal(people_of(odoo, 1)[1], 20)
    odoo.fields["res.users"].discard(name)
    parts = await collected(odoo.connector(), NOW, frozenset({"opps_open"}))
    assert coverage_of(parts)["opps_open", TODAY] == (OK, "")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OdooError("builtins.TypeError", "has_group() missing 1 required positional argument"), DENIED),
        (OdooError("psycopg2.errors.SerializationFailure", "busy"), ERROR),
    ],
)
async def test_a_group_that_odoo_does_not_tell_is_not_ours(
    odoo: Odoo, error: OdooError, status: CoverageStatus
) -> None:
    people_of(odoo, 1)
    odoo.fault = lambda _model, method: error if method == "has_group" else None
    parts = await collected(odoo.connector(), NOW, frozenset({"opps_open", "records_created.contact"}))
    assert coverage_of(parts)["opps_open", TODAY][0] is status
    assert coverage_of(parts)["records_created.contact", TODAY][0] is OK


@pytest.mark.parametrize("said", ["many", True, None])
async def test_a_count_that_is_none_shows_nothing(odoo: Odoo, said: object) -> None:
    odoo.deal(people_of(odoo, 1)[1], 20)
    setattr(odoo, "do_search_count", lambda *_args, **_named: said)  # noqa: B010 - this server alone is different
    metrics = frozenset({"opps_open", "records_created.contact"})
    parts = await collected(odoo.connector(), NOW, metrics)
    assert coverage_of(parts)["opps_open", TODAY][0] is ERROR


async def test_without_knowing_who_we_are_nobody_s_deals_are_read_as_none() -> None:
    odoo = Odoo()
    odoo.deal(people_of(odoo, 1)[1], 20)
    setattr(odoo, "do_context_get", lambda *_args: {"lang": "en_US"})  # noqa: B010 - this server alone is different
    for login, said in (("", (DENIED, WHO_ARE_WE)), (LOGIN, (OK, ""))):
        parts = await collected(odoo.connector(login=login), NOW, frozenset({"opps_open"}))
        assert coverage_of(parts)["opps_open", TODAY] == said


async def test_without_the_app_mails_on_contacts_are_counted_all_the_same(odoo: Odoo) -> None:
    who = people_of(odoo, 1)[1]
    odoo.missing.add("crm.lead")
    odoo.say(who, 0, 1, "res.partner")
    parts = await collected(odoo.connector(), NOW, ALL)
    assert coverage_of(parts)["opps_open", TODAY][0] is UNSUPPORTED
    assert told(parts)[str(who), TODAY, "activities_completed.email"] == 1


async def test_date_changes_need_tracking_and_a_right(odoo: Odoo) -> None:
    people_of(odoo, 1)
    metric = frozenset({"close_date_pushes"})
    said = coverage_of(await collected(odoo.connector(), NOW, metric))["close_date_pushes", TODAY]
    assert said[0] is UNSUPPORTED
    assert "date_deadline" in said[1]
    odoo.rows["ir.model.fields"][1]["tracking"] = 100
    said = coverage_of(await collected(odoo.connector(), NOW, metric))["close_date_pushes", TODAY]
    assert said[0] is DENIED
    assert "mail.tracking.value" in said[1]


async def test_mails_that_cannot_be_counted_cost_mails_only(odoo: Odoo) -> None:
    who = people_of(odoo, 1)[1]
    odoo.done(who, 2, 0)

    def one(model: str, _method: str) -> OdooError | None:
        domain = odoo.asked[-1][2].get("domain", []) if odoo.asked else []
        mails = model == "mail.message" and ["message_type", "=", "comment"] in domain
        return OdooError("builtins.ValueError", "no") if mails else None

    odoo.fault = one
    parts = await collected(odoo.connector(), NOW, ALL)
    said = {
        key: coverage_of(parts)[f"activities_completed.{key}", TODAY][0] for key in ("call", "email", "task")
    }
    assert said == {"call": OK, "email": ERROR, "task": OK}


async def test_a_query_that_takes_too_long_is_asked_in_halves(odoo: Odoo) -> None:
    lived(odoo, people_of(odoo, 3))
    metric = frozenset({"activities_completed.meeting"})
    good = told(await collected(odoo.connector(), WEEK, metric))

    def slow(model: str, _method: str) -> OdooError | None:
        domain = odoo.asked[-1][2].get("domain", []) if odoo.asked else []
        if model != "calendar.event":
            return None
        since, until = (datetime.fromisoformat(leaf[2]) for leaf in domain)
        too_much = until - since > timedelta(days=2)
        return OdooError("psycopg2.errors.QueryCanceled", "statement timeout") if too_much else None

    odoo.fault = slow
    assert told(await collected(odoo.connector(), WEEK, metric)) == good


@pytest.mark.parametrize("status", [429, 503, 502, 500])
async def test_a_server_that_is_busy_or_broken_is_no_zero(odoo: Odoo, status: int) -> None:
    people_of(odoo, 1)
    connector = odoo.connector()
    await connector.users(TODAY)
    busy = httpx.Response(
        status, html="<h1>later</h1>", headers={"Retry-After": "30"} if status == 429 else {}
    )
    odoo.fault = lambda where, _method: busy if where.startswith("/json") else None
    with pytest.raises(Retryable) as thrown:
        await collected(connector, NOW, ALL)
    assert isinstance(thrown.value, Throttled) is (status == 429)


async def test_answers_that_are_cut_off_or_of_another_shape_are_errors(odoo: Odoo) -> None:
    people_of(odoo, 1)
    connector = odoo.connector()
    await connector.users(TODAY)
    result: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "result": {"rows": "?"}}
    for answer in (
        httpx.Response(200, content=b'[{"user_id": [3, "Ad'),
        httpx.Response(200, html="<html>log in</html>"),
        httpx.Response(200, json={"odd": 1} if odoo.major >= 19 else {"jsonrpc": "2.0", "id": 1}),
        httpx.Response(200, json=[["no row"]] if odoo.major >= 19 else result),
    ):
        odoo.fault = lambda where, _method, answer=answer: answer if where.startswith("/json") else None  # type: ignore[misc]
        with pytest.raises(Retryable):
            await collected(connector, NOW, frozenset({"opps_open"}))


@pytest.mark.parametrize("key", ["user_id", "n", "day"])
async def test_a_group_that_cannot_be_read_costs_partial_of_its_metric(odoo: Odoo, key: str) -> None:
    people_of(odoo, 1)
    name = "do_formatted_read_group" if odoo.major >= 19 else "do_read_group"
    bad: dict[str, Any] = {"user_id": [3, "A"], "start:day": ["2026-11-19 00:00:00", ""], "__count": 1}
    bad |= {"__range": {"start:day": {"from": "2026-11-19 00:00:00"}}} if odoo.major < 19 else {}
    match key:
        case "user_id":
            bad["user_id"] = ["three", "A"]
        case "n":
            bad["__count"] = None
        case _:
            bad |= {"start:day": "vendredi", "__range": {}}
    setattr(odoo, name, lambda *_args, **_named: [bad])
    parts = await collected(odoo.connector(), WEEK, frozenset({"activities_completed.meeting"}))
    assert {status for status, _ in coverage_of(parts).values()} == {PARTIAL}
    assert sum(len(part.faults) for part in parts) == 1


@pytest.mark.parametrize("number", ["1e999", "9" * 400, '"7"', '"NaN"', "true", "[7]", "{}"])
async def test_a_sum_that_is_no_number_costs_its_metric_and_no_other(odoo: Odoo, number: str) -> None:
    people_of(odoo, 1)
    name = "do_formatted_read_group" if odoo.major >= 19 else "do_read_group"
    groups = getattr(odoo, name)

    def worse(model: str, context: Any, **named: Any) -> Any:
        found = groups(model, context, **named)
        if (
            model == "crm.lead"
            and "write_uid" not in named["groupby"]
            and "create_uid" not in named["groupby"]
        ):
            wrong = json.loads(number)
            found.append({"user_id": [4, "R"], "__count": 1, **dict.fromkeys(SUMS, wrong)})
            if "date_closed:day" in named["groupby"]:
                found[-1] |= {"date_closed:day": ["2026-11-20", ""], "__range": DAY}
        return found

    setattr(odoo, name, worse)
    parts = await collected(
        odoo.connector(),
        NOW,
        frozenset({"pipeline_amount", "field_completeness", "won_amount", "step_moves"}),
    )
    said = {metric: status for (metric, _), (status, _) in coverage_of(parts).items()}
    assert said == {
        "pipeline_amount": PARTIAL,
        "field_completeness": PARTIAL,
        "won_amount": PARTIAL,
        "step_moves": OK,
    }
    assert all(math.isfinite(value) for values in facts_of(parts).values() for value in values.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, "7", True, None, [7]])
def test_what_is_no_finite_number_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="no number"):
        odoo_queries.number_of({"n": value}, "n")
    deal = deal_of({"id": 1, "expected_revenue": value})
    assert deal.amount is None


SUMS = (
    *("expected_revenue:sum", "day_close:sum", "partner_id:count", "date_deadline:count"),
    *("amount", "days", "accounts", "dates"),
)
DAY = {"date_closed:day": {"from": "2026-11-20 00:00:00"}}


@pytest.mark.parametrize("number", ["1e999", '"3"', "[3]", "{}", None])
async def test_a_count_of_amounts_that_is_none_costs_completeness_only(
    odoo: Odoo, number: str | None
) -> None:
    rep = people_of(odoo, 1)[1]
    odoo.deal(rep, 20)
    name = "do_formatted_read_group" if odoo.major >= 19 else "do_read_group"
    groups = getattr(odoo, name)

    def worse(model: str, context: Any, **named: Any) -> Any:
        found = groups(model, context, **named)
        if ["expected_revenue", ">", 0] in named["domain"]:
            bad: Any = {"__count": json.loads(number)} if number else {"user_id": [{"id": rep}, "R"]}
            found[0] |= bad
        return found

    setattr(odoo, name, worse)
    parts = await collected(odoo.connector(), NOW, frozenset({"opps_open", "field_completeness"}))
    said = {metric: status for (metric, _), (status, _) in coverage_of(parts).items()}
    assert said == {"opps_open": OK, "field_completeness": PARTIAL}


@pytest.mark.parametrize(
    ("model", "lost"),
    [("mail.activity.type", "activities_completed.call"), ("mail.message.subtype", "step_moves")],
)
@pytest.mark.parametrize("wrong", [None, "one", [1], {}])
async def test_a_row_without_an_id_is_a_fault_of_that_row(
    odoo: Odoo, model: str, lost: str, wrong: object
) -> None:
    people_of(odoo, 1)
    plain = odoo.do_search_read

    def worse(asked: str, context: Any, **named: Any) -> Any:
        rows = plain(asked, context, **named)
        return [*rows, {"id": wrong} if wrong else {}] if asked == model and rows else rows

    setattr(odoo, "do_search_read", worse)  # noqa: B010 - this server alone is different
    parts = await collected(odoo.connector(), NOW, frozenset({lost, "opps_open"}))
    said = {metric: status for (metric, _), (status, _) in coverage_of(parts).items()}
    assert said == {lost: PARTIAL, "opps_open": OK}
    (fault,) = [fault for part in parts for fault in part.faults]
    assert fault.file == model


@pytest.mark.parametrize("model", ["res.users", "crm.team", "hr.employee.public"])
async def test_people_without_an_id_are_left_out_and_the_others_read(odoo: Odoo, model: str) -> None:
    odoo.missing.discard("hr.employee.public")
    people = people_of(odoo, 2)
    odoo.put("hr.employee.public", name="R", user_id=people[1])
    plain = odoo.do_search_read

    def worse(asked: str, context: Any, **named: Any) -> Any:
        rows = plain(asked, context, **named)
        bad = [{"login": LOGIN, "name": "X"}, {"id": [9], "sale_team_id": {}, "parent_id": {}, "name": "Y"}]
        return [*bad, *rows] if asked == model and rows else rows

    setattr(odoo, "do_search_read", worse)  # noqa: B010 - this server alone is different
    users, faults = await odoo.connector().users(TODAY)
    assert [user.crm_id for user in users] == [str(each) for each in people]
    assert len(faults) == (2 if model == "res.users" else 0)


@pytest.mark.parametrize(("model", "metric"), [("crm.lead", "opps_open"), ("mail.activity", "tasks_overdue")])
async def test_records_without_an_id_are_no_smaller_count(odoo: Odoo, model: str, metric: str) -> None:
    rep = people_of(odoo, 1)[1]
    odoo.plan(rep, -3, odoo.deal(rep, 20))
    plain = odoo.do_search_read

    def worse(asked: str, context: Any, **named: Any) -> Any:
        rows = plain(asked, context, **named)
        return [*rows, {"user_id": [rep, "R"]}] if asked == model and rows else rows

    setattr(odoo, "do_search_read", worse)  # noqa: B010 - this server alone is different
    with pytest.raises(Retryable, match="without an id"):
        await odoo.connector().evidence(metric, [str(rep)], 5, TODAY)


async def test_a_403_of_a_gateway_is_no_missing_right(odoo: Odoo) -> None:
    people_of(odoo, 1)
    connector = odoo.connector()
    await connector.users(TODAY)
    odoo.fault = lambda where, _method: httpx.Response(403, html="no") if where.startswith("/json") else None
    with pytest.raises((Retryable, Permanent)) as thrown:
        await collected(connector, NOW, frozenset({"opps_open"}))
    assert "All Documents" not in str(thrown.value)


# --- logging in ------------------------------------------------------------------------------------------------------------


async def advice_of(connector: OdooConnector) -> str:
    probe = await connector.probe()
    assert not probe.ok
    assert "\n" not in probe.advice
    return probe.advice


async def test_each_mistake_in_the_settings_is_one_line_that_says_what_to_do(odoo: Odoo) -> None:
    assert "FULLSTEAM_ODOO_API_KEY" in await advice_of(odoo.connector(api_key="wrong"))
    assert "FULLSTEAM_ODOO_DATABASE" in await advice_of(odoo.connector(database="nope"))
    if odoo.major < 19:
        assert "FULLSTEAM_ODOO_LOGIN" in await advice_of(odoo.connector(login=""))
        assert "FULLSTEAM_ODOO_LOGIN" in await advice_of(odoo.connector(login="somebody"))
    else:
        people_of(odoo, 1)
        assert (await odoo.connector(login="", database="").probe()).ok


@pytest.mark.parametrize(
    "name", ["builtins.KeyError", "odoo.exceptions.AccessError", "psycopg2.OperationalError"]
)
async def test_a_login_that_fails_for_another_reason_names_the_database(name: str) -> None:
    odoo = Odoo(major=17)

    def refused(params: dict[str, Any]) -> Any:
        if params["method"] == "version":
            return odoo._version()
        raise OdooError(name, "Datenbank \u00bbacme\u00ab existiert nicht")

    setattr(odoo, "_service", refused)  # noqa: B010 - this server alone is different
    assert "FULLSTEAM_ODOO_DATABASE" in await advice_of(odoo.connector())


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, html="not here"),
        httpx.Response(200, html="<html>It works!</html>"),
        httpx.Response(200, json={"hello": "world"}),
    ],
)
async def test_an_address_without_an_odoo_is_named(odoo: Odoo, answer: httpx.Response) -> None:
    odoo.fault = lambda where, _method: answer if where.startswith("/") else None
    assert "FULLSTEAM_ODOO_URL" in await advice_of(odoo.connector())


async def test_a_server_that_sends_us_to_choose_a_database_says_so(odoo: Odoo) -> None:
    chooser = httpx.Response(303, headers={"Location": "/web/database/selector"})
    odoo.fault = lambda where, _method: chooser if where.startswith("/json") else None
    assert "FULLSTEAM_ODOO_DATABASE" in await advice_of(odoo.connector())


async def test_an_odoo_that_is_too_old_is_named() -> None:
    assert "16 or later" in await advice_of(Odoo(major=14).connector())


async def test_a_key_that_is_refused_is_not_tried_again_for_an_hour(odoo: Odoo) -> None:
    people_of(odoo, 1)
    connector = odoo.connector()
    assert (await connector.probe()).ok
    odoo.key = "a new one"
    assert "FULLSTEAM_ODOO_API_KEY" in await advice_of(connector)
    calls = connector.meter().calls
    assert "FULLSTEAM_ODOO_API_KEY" in await advice_of(connector)
    assert connector.meter().calls == calls
    odoo.key = KEY
    odoo.clock.move_to(FRIDAY + timedelta(minutes=61))
    assert (await connector.probe()).ok


async def test_a_401_once_is_a_new_login(odoo: Odoo) -> None:
    people_of(odoo, 1)
    connector = odoo.connector()
    await connector.users(TODAY)
    left = [httpx.Response(401, json={"name": "werkzeug.exceptions.Unauthorized", "message": "x"})]
    odoo.fault = lambda where, _method: left.pop() if left and where.startswith("/json") else None
    assert coverage_of(await collected(connector, NOW, frozenset({"opps_open"})))["opps_open", TODAY][0] is OK


async def test_the_version_chooses_the_protocol_and_a_setting_overrules_it() -> None:
    for major, api, path in ((17, "auto", "/jsonrpc"), (19, "auto", "/json/2/"), (19, "jsonrpc", "/jsonrpc")):
        odoo, paths = Odoo(major=major), set[str]()
        people_of(odoo, 1)
        odoo.fault = lambda where, _method, paths=paths: paths.add(where)  # type: ignore[misc]  # add gives None
        probe = await odoo.connector(api=api).probe()
        assert (probe.ok, probe.version) == (True, f"{major}.0")
        spoken = {where for where in paths if where.startswith("/json")}
        assert all(where.startswith(path) for where in spoken - ({"/jsonrpc"} if major < 19 else set()))
        assert spoken


async def test_secrets_tracebacks_and_names_reach_no_log_and_no_error(
    odoo: Odoo, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lived(odoo, people_of(odoo, 2))
    odoo.fault = lambda model, _m: (
        OdooError("builtins.ValueError", "Ada Brandt 7") if model == "crm.lead" else None
    )
    connector = odoo.connector()
    parts = await collected(connector, NOW, ALL)
    said = repr(connector.__dict__) + repr(parts) + caplog.text + repr(odoo.connector()._settings)
    for secret in (KEY, "SECRET-OF-A-TRACEBACK", "Ada Brandt 7"):
        assert secret not in said


# --- the key's end -----------------------------------------------------------------------------------------------------------


async def test_somebody_is_told_two_weeks_before_the_key_ends(odoo: Odoo) -> None:
    people_of(odoo, 1)
    for days, warned in ((15, False), (14, True), (1, True), (-1, True)):
        ends = TODAY + timedelta(days=days)
        probe = await odoo.connector(key_expires_on=ends).probe()
        assert (probe.ok, ends.isoformat() in probe.advice) == (True, warned)


async def test_odoo_is_asked_when_the_key_ends_where_it_knows() -> None:
    odoo = Odoo()
    people_of(odoo, 1)
    for name, ends, who in (
        ("Fullsteam", "2026-12-01 08:00:00", ME),
        ("something else", "2026-11-21 08:00:00", ME),
        ("Fullsteam", "2026-11-22 08:00:00", 3),
    ):
        odoo.put("res.users.apikeys", name=name, user_id=who, expiration_date=ends)
    connector = odoo.connector()
    assert await connector.expires_on() == date(2026, 12, 1)
    assert "2026-12-01" in (await connector.probe()).advice
    older = Odoo(major=17)
    assert await older.connector().expires_on() is None


# --- records ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("major", "link"),
    [(17, f"{URL}/web#id={{}}&model=crm.lead&view_type=form"), (19, f"{URL}/odoo/crm.lead/{{}}")],
)
async def test_records_are_named_worst_first_with_a_link_and_what_the_tips_tell(
    major: int, link: str
) -> None:
    odoo = Odoo(major=major)
    rep = people_of(odoo, 1)[1]
    worst = odoo.deal(rep, 70, name="A", date_deadline="2026-11-01")
    mild = odoo.deal(rep, 20, name="B", date_deadline="2026-11-19")
    odoo.deal(rep, 20, name="C", date_deadline=TODAY.isoformat())
    count, (first, second) = (await odoo.connector().evidence("opps_past_close", [str(rep)], 5, TODAY))[
        str(rep)
    ]
    assert (count, first.id, second.id) == (2, str(worst), str(mild))
    assert first.link == link.format(worst)
    assert dict(first.details) == {
        "days_open": "70",
        "open_since": "2026-09-11",
        "account": "OdooBot",
        "step": "Proposition",
        "close_date": "2026-11-01",
        "days_past": "19",
    }


async def test_every_count_has_as_many_records_behind_it(odoo: Odoo) -> None:
    people = [str(each) for each in people_of(odoo, 4)]
    lived(odoo, [int(each) for each in people])
    connector = odoo.connector()
    facts = facts_of(await collected(connector, NOW, ALL))
    for metric in sorted(odoo_queries.FLAWS):
        found = await connector.evidence(metric, people, 3, TODAY)
        counts = {who: found[who][0] if who in found else 0 for who in people}
        assert counts == {who: facts[who, TODAY][metric] for who in people}, metric


async def test_a_task_links_to_what_it_is_planned_on(odoo: Odoo) -> None:
    rep = people_of(odoo, 1)[1]
    deal = odoo.deal(rep, 3, planned=False)
    odoo.plan(rep, -3, deal)
    _, (task,) = (await odoo.connector().evidence("tasks_overdue", [str(rep)], 5, TODAY))[str(rep)]
    assert task.name == "Send offer: Deal"
    assert str(deal) in (task.link or "")
    assert task.details["days_past"] == "3"


async def test_a_programme_may_have_its_own_link(odoo: Odoo) -> None:
    rep = people_of(odoo, 1)[1]
    odoo.deal(rep, 3)
    connector = odoo.connector("https://intranet.example/{id}")
    _, (deal,) = (await connector.evidence("opps_open", [str(rep)], 5, TODAY))[str(rep)]
    assert deal.link == "https://intranet.example/1"


# --- cost and settings -------------------------------------------------------------------------------------------------------


async def test_a_poll_of_2000_people_takes_at_most_40_calls_whatever_they_did(odoo: Odoo) -> None:
    people = people_of(odoo, 2000)
    for who in people:
        odoo.deal(who, 20, planned=False)
    odoo.rows["res.users"][people[0]]["login_date"] = odoo.ago(0)
    connector = odoo.connector()
    await connector.users(TODAY)
    await collected(connector, Window(TODAY - timedelta(days=1), TODAY), ALL)
    assert connector.meter().calls <= 40
    assert odoo.calls()["res.users", "search_read"] == 3


async def test_ninety_days_take_as_many_calls_as_two(odoo: Odoo) -> None:
    lived(odoo, people_of(odoo, 3))
    calls = []
    for days in (1, 89):
        odoo.asked.clear()
        await collected(odoo.connector(), Window(TODAY - timedelta(days=days), TODAY), ALL)
        calls.append(odoo.calls())
    assert calls[0] == calls[1]
    assert calls[0].total() <= 35


async def test_what_is_read_row_by_row_is_not_kept(odoo: Odoo) -> None:
    people = people_of(odoo, 3)
    odoo.denied = set()
    odoo.rows["ir.model.fields"][1]["tracking"] = 100
    pages = 15
    row = {"create_uid": [people[1], "R"], "create_date": "2026-11-20 08:00:00"}
    row |= {"old_value_datetime": "2026-10-01 00:00:00", "new_value_datetime": "2026-12-01 00:00:00"}
    plain = odoo.do_search_read

    def endless(model: str, context: Any, **named: Any) -> Any:
        if model != "mail.tracking.value":
            return plain(model, context, **named)
        after = named["domain"][-1][2]
        return [{**row, "id": after + n} for n in range(1, 2001)] if after < pages * 2000 else []

    setattr(odoo, "do_search_read", endless)  # noqa: B010 - this server alone is different
    metric = frozenset({"close_date_pushes"})
    connector = odoo.connector()
    await connector.users(TODAY)
    tracemalloc.start()
    try:
        facts = facts_of(await collected(connector, NOW, metric))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert facts[str(people[1]), TODAY] == {"close_date_pushes": pages * 2000}
    assert most < 6_000_000, "as much for 90,000 rows as for 30,000: two pages"


async def test_a_rehearsal_shows_every_query_and_no_key() -> None:
    for api in ("auto", "jsonrpc"):
        assert CONNECTOR.blank is not None
        line = Rehearsal(CONNECTOR.blank)
        settings = {"url": URL, "api_key": KEY, "login": "l", "database": "d", "api": api, "transport": line}
        connector = CONNECTOR.open({**settings, "clock": SteeredClock(FRIDAY)}, None)
        await connector.users(TODAY)
        parts = [part async for part in connector.collect(WEEK, ALL)]
        await connector.evidence("opps_open", ["3"], 5, TODAY)
        await connector.evidence("tasks_overdue", ["3"], 5, TODAY)
        said = json.dumps([[asked.path, asked.body] for asked in line.asked])
        assert KEY not in said
        for model in (
            "crm.lead",
            "res.partner",
            "helpdesk.ticket",
            "mail.message",
            "mail.activity",
            "calendar.event",
        ):
            assert model in said
        for model in (
            "mail.tracking.value",
            "mail.message.subtype",
            "res.users",
            "hr.employee.public",
            "crm.team",
        ):
            assert model in said
        assert parts[-1].coverage


def test_settings_that_are_missing_or_wrong_are_named() -> None:
    def faults(**given: Any) -> str:
        with pytest.raises(ConfigurationError) as thrown:
            CONNECTOR.open(given, None)
        return str(thrown.value)

    said = faults(url="http://odoo.example.com", api="xmlrpc", key_expires_on="soon")
    for name in ("URL", "API_KEY", "API", "KEY_EXPIRES_ON"):
        assert f"FULLSTEAM_ODOO_{name} " in said
    assert KEY not in repr(OdooSettings(url=URL, api_key=KEY))


def test_every_metric_is_read_or_says_why_not() -> None:
    assert READ | odoo_queries.UNSUPPORTED.keys() == ALL
    assert all(odoo_queries.UNSUPPORTED.values())
