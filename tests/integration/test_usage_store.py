"""Usage in the database: facts, coverage, weeks, watermarks. No data is never no use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Retryable
from bot.domain.people import CrmUser, person_id
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, RowFault, UsageFact, Window
from bot.services.poll_crm import last_day, poll
from store import people, usage
from store.database import Database, open_database
from tests.fakes import FakeCrm

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
MONDAY = date(2026, 11, 16)
OK, PARTIAL, ERROR, DENIED = (
    CoverageStatus.OK,
    CoverageStatus.PARTIAL,
    CoverageStatus.ERROR,
    CoverageStatus.DENIED,
)
PROGRAMME = Programme(
    name="CRM",
    crm_name="CRM",
    go_live=MONDAY,
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="l@example.com",
    privacy_officer="p@example.com",
    owners={},
    zone="America/Los_Angeles",
)
CALLS, CREATED, WON = "activities_completed.call", "records_created.opportunity", "won_count"
ANA, LEO = person_id("crm", "ana"), person_id("crm", "leo")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    users = [CrmUser(each, each, f"{each}@example.com", "seller") for each in ("ana", "leo")]
    opened.write_now(people.keep_users, "crm", users, PROGRAMME, NOW)
    yield opened
    opened.close()


def day(offset: int) -> date:
    return MONDAY + timedelta(days=offset)


def reading(
    facts: Mapping[tuple[str, int], Mapping[str, float]],
    ok: tuple[str, ...] = (),
    days: tuple[int, ...] = (0,),
) -> Collected:
    return Collected(
        tuple(UsageFact(who, day(offset), values) for (who, offset), values in facts.items()),
        tuple(Coverage(metric, day(offset), OK) for metric in ok for offset in days),
    )


def keep(database: Database, collected: Collected) -> usage.KeptFacts:
    return database.write_now(usage.keep, "crm", collected, NOW)


def sums(database: Database, since: int = 0, through: int = 6) -> dict[str, dict[str, float]]:
    return database.read_now(usage.sums, [ANA, LEO], day(since), day(through))


def test_facts_add_up_over_days_and_make_meaningful_days(database: Database) -> None:
    kept = keep(
        database,
        reading(
            {
                ("ana", 0): {CALLS: 2, WON: 1},
                ("ana", 1): {CALLS: 3},
                ("leo", 1): {WON: 1},
                ("zoe", 1): {WON: 9},
            }
        ),
    )
    assert kept == usage.KeptFacts(3, 1, frozenset({"zoe"}))
    assert sums(database) == {ANA: {CALLS: 5, WON: 1}, LEO: {WON: 1}}
    assert sums(database, 1) == {ANA: {CALLS: 3}, LEO: {WON: 1}}
    # To have won is an outcome, not an action: it makes no meaningful day.
    assert database.read_now(usage.meaningful_days, [ANA, LEO], day(0), day(6)) == {ANA: 2}
    [week] = database.read_now(usage.weeks, [ANA], MONDAY)[ANA]
    assert (week.week, week.meaningful_days, week.values) == (MONDAY, 2, {CALLS: 5, WON: 1})


def test_a_fact_writes_only_what_it_has(database: Database) -> None:
    keep(database, reading({("ana", 0): {CALLS: 2}}))
    keep(database, reading({("ana", 0): {WON: 1}}))
    assert sums(database)[ANA] == {CALLS: 2, WON: 1}
    assert database.read_now(usage.meaningful_days, [ANA], day(0), day(0)) == {ANA: 1}
    keep(database, reading({("ana", 0): {CALLS: 4}}))
    assert sums(database)[ANA] == {CALLS: 4, WON: 1}


def test_a_number_that_the_crm_takes_back_is_gone_where_it_speaks_for_that_day(database: Database) -> None:
    facts: dict[tuple[str, int], Mapping[str, float]] = {
        ("ana", 0): {CALLS: 2, WON: 1},
        ("leo", 0): {CALLS: 1},
    }
    keep(database, reading(facts, (CALLS, WON)))
    keep(database, reading({("ana", 0): {WON: 1}}, (CALLS,)))
    assert sums(database) == {ANA: {WON: 1}, LEO: {}}
    assert database.read_now(usage.meaningful_days, None, day(0), day(0)) == {}
    assert database.read_now(usage.weeks, [ANA], MONDAY)[ANA][0].values == {WON: 1}
    assert database.read_now(usage.weeks, [LEO], MONDAY)[LEO][0].meaningful_days == 0


def test_a_day_that_was_not_read_whole_takes_nothing_back(database: Database) -> None:
    keep(database, reading({("ana", 0): {CALLS: 2}}, (CALLS,)))
    partial = Collected((), (Coverage(CALLS, day(0), PARTIAL, "half of it"),))
    keep(database, partial)
    assert sums(database) == {ANA: {CALLS: 2}}


def test_keeping_twice_is_keeping_once(database: Database) -> None:
    facts: dict[tuple[str, int], Mapping[str, float]] = {
        ("ana", 0): {CALLS: 2, "opps_open": 3},
        ("leo", 2): {CREATED: 1},
    }
    for _ in range(2):
        keep(database, reading(facts, (CALLS, CREATED, "opps_open"), (0, 1, 2)))
    assert sums(database) == {ANA: {CALLS: 2}, LEO: {CREATED: 1}}
    assert len(database.read_now(usage.weeks, None, MONDAY)) == 2


def test_the_latest_snapshot_counts_and_an_old_one_does_not(database: Database) -> None:
    keep(database, reading({("ana", 0): {"opps_open": 3}, ("leo", 0): {"opps_open": 1}}))
    keep(database, reading({("ana", 2): {"opps_open": 0, CALLS: 1}, ("leo", 3): {CALLS: 1}}))
    assert database.read_now(usage.snapshots, [ANA, LEO], day(1)) == {
        ANA: {"opps_open": 3},
        LEO: {"opps_open": 1},
    }
    assert database.read_now(usage.snapshots, None, day(3)) == {ANA: {"opps_open": 0}, LEO: {"opps_open": 1}}
    assert database.read_now(usage.snapshots, None, day(3), day(2)) == {ANA: {"opps_open": 0}}
    assert database.read_now(usage.snapshots, None, day(10)) == {}


def test_a_snapshot_that_was_read_on_its_day_stays_read(database: Database) -> None:
    def kept(status: CoverageStatus) -> CoverageStatus:
        database.write_now(usage.keep_coverage, "crm", [Coverage("opps_open", day(1), status)], NOW)
        return database.read_now(usage.coverage, ["opps_open"], day(0), day(1))["opps_open"]

    unsupported = CoverageStatus.UNSUPPORTED
    assert kept(unsupported) is unsupported
    assert kept(OK) is OK
    assert kept(unsupported) is OK, "a later poll only says that it cannot be asked any more"
    assert kept(PARTIAL) is PARTIAL, "what was found out about that day counts"


def test_what_a_crm_tells_of_the_running_day_only_stays_read_if_the_day_was_nearly_over(
    database: Database,
) -> None:
    unsupported, zone = CoverageStatus.UNSUPPORTED, ZoneInfo("Asia/Tokyo")

    def kept(status: CoverageStatus, at: str) -> CoverageStatus:
        rows = [Coverage("active_day", day(1), status)]
        now = datetime.fromisoformat(f"2026-11-{at}+09:00").astimezone(UTC)
        database.write_now(usage.keep_coverage, "crm", rows, now, zone=zone)
        return database.read_now(usage.coverage, ["active_day"], day(1), day(1))["active_day"]

    assert kept(OK, "17T12:00") is OK
    assert kept(unsupported, "18T09:00") is unsupported, "nobody saw who logged in that afternoon"
    assert kept(OK, "17T23:10") is OK
    assert kept(unsupported, "18T00:10") is OK
    assert kept(unsupported, "18T09:00") is OK


def test_an_event_of_a_utc_day_stays_read_only_if_that_day_was_nearly_over_too(database: Database) -> None:
    unsupported, zone = CoverageStatus.UNSUPPORTED, ZoneInfo("Asia/Tokyo")

    def kept(status: CoverageStatus, at: str) -> CoverageStatus:
        rows = [Coverage(CREATED, day(1), status)]
        now = datetime.fromisoformat(f"2026-11-{at}+09:00").astimezone(UTC)
        database.write_now(usage.keep_coverage, "crm", rows, now, zone=zone)
        return database.read_now(usage.coverage, [CREATED], day(1), day(1))[CREATED]

    assert kept(OK, "17T23:10") is OK
    assert kept(unsupported, "18T22:00") is unsupported, "the UTC day went on until nine in the morning"
    assert kept(OK, "18T08:10") is OK
    assert kept(unsupported, "18T22:00") is OK


def test_a_failure_does_not_unsay_a_day_that_was_read_well_once_it_was_over(database: Database) -> None:
    ends = {"UTC": "00:00", "Europe/Berlin": "00:00", "America/Los_Angeles": "08:00"}
    for at, (zone, over) in enumerate(ends.items()):
        end = datetime.fromisoformat(f"{day(at + 1)}T{over}:00+00:00")
        for metric, failure in ((CALLS, ERROR), (CREATED, CoverageStatus.THROTTLED), (WON, DENIED)):

            def said(
                status: CoverageStatus, now: datetime, metric: str = metric, at: int = at, zone: str = zone
            ) -> CoverageStatus:
                collected = Collected((), (Coverage(metric, day(at), status, "why"),))
                database.write_now(lambda uow: usage.keep(uow, "crm", collected, now, zone=ZoneInfo(zone)))
                return database.read_now(usage.coverage, [metric], day(at), day(at))[metric]

            assert said(failure, end - timedelta(hours=2)) is failure
            assert said(OK, end - timedelta(microseconds=1)) is OK
            assert said(failure, end + timedelta(hours=1)) is failure, "nobody has read the rest of that day"
            assert said(OK, end) is OK
            assert said(failure, end + timedelta(hours=1)) is OK
            assert database.read_now(usage.read_at, "crm", day(at))[metric] == end, "it is as old as it was"
            assert said(PARTIAL, end + timedelta(hours=2)) is PARTIAL, "that brought other numbers"
            assert said(failure, end + timedelta(hours=3)) is failure


def test_days_that_were_denied_are_owed_once_the_metric_can_be_read(database: Database) -> None:
    def said(metric: str, *statuses: CoverageStatus) -> date | None:
        rows = [Coverage(metric, day(at), status) for at, status in enumerate(statuses)]
        database.write_now(usage.keep_coverage, "crm", rows, NOW)
        return database.read_now(usage.owed_since, "crm", day(0), NOW - timedelta(hours=1), day(0))

    assert said(CALLS, OK, OK, OK) is None
    assert said("opps_open", DENIED, DENIED, OK) is None, "of a day gone by nobody tells it"
    assert said(WON, OK, DENIED, DENIED) is None, "it still may not be read"
    assert said(CREATED, OK, OK, DENIED, OK) == day(2)
    assert said(WON, OK, DENIED, DENIED, ERROR) == day(2)
    assert said(WON, OK, DENIED, DENIED, ERROR, PARTIAL) == day(1)
    assert database.read_now(usage.owed_since, "crm", day(2), NOW - timedelta(hours=1), day(0)) == day(2)
    assert database.read_now(usage.owed_since, "other", day(0), NOW, day(0)) is None


@pytest.mark.parametrize("failure", [PARTIAL, ERROR, CoverageStatus.THROTTLED])
def test_days_that_failed_are_owed_after_a_while_once_the_metric_can_be_read(
    database: Database, failure: CoverageStatus
) -> None:
    def owed(after: timedelta) -> date | None:
        return database.read_now(usage.owed_since, "crm", day(0), NOW + after, day(0))

    rows = [Coverage(CALLS, day(at), status) for at, status in enumerate((OK, failure, OK, OK))]
    database.write_now(usage.keep_coverage, "crm", rows, NOW)
    assert (owed(timedelta(seconds=-1)), owed(timedelta(0))) == (None, day(1))
    database.write_now(usage.keep_coverage, "crm", [Coverage(CALLS, day(4), ERROR)], NOW)
    assert owed(timedelta(0)) is None, "it still cannot be read"
    database.write_now(usage.keep_coverage, "crm", [Coverage(CALLS, day(at), OK) for at in (1, 4)], NOW)
    assert owed(timedelta(0)) is None, "both were read"


def test_a_day_that_nobody_mends_is_not_read_again_for_ever(database: Database) -> None:
    def owed(partial_from: int) -> date | None:
        return database.read_now(usage.owed_since, "crm", day(0), NOW, day(partial_from))

    rows = [Coverage(CALLS, day(at), status) for at, status in enumerate((PARTIAL, OK, PARTIAL, OK))]
    database.write_now(usage.keep_coverage, "crm", rows, NOW)
    assert [owed(first) for first in (0, 1, 2, 3)] == [day(0), day(2), day(2), None]
    database.write_now(usage.keep_coverage, "crm", [Coverage(CALLS, day(0), ERROR)], NOW)
    assert owed(3) == day(0), "what failed is owed however old"


def test_the_worst_day_decides_and_a_day_nobody_spoke_of_is_an_error(database: Database) -> None:
    def kept(*rows: tuple[str, int, CoverageStatus]) -> None:
        database.write_now(
            usage.keep_coverage,
            "crm",
            [Coverage(metric, day(at), status) for metric, at, status in rows],
            NOW,
        )

    def worst(metric: str, since: int, through: int) -> CoverageStatus:
        return database.read_now(usage.coverage, [metric], day(since), day(through))[metric]

    assert worst(CALLS, 0, 0) is ERROR
    kept((CALLS, 0, OK), (CALLS, 1, PARTIAL), (CALLS, 2, OK), ("opps_open", 1, PARTIAL), ("opps_open", 2, OK))
    assert [worst(CALLS, 0, 0), worst(CALLS, 0, 2), worst(CALLS, 2, 3)] == [OK, PARTIAL, ERROR]
    assert [worst("opps_open", 0, 2), worst("opps_open", 0, 1), worst("opps_open", 0, 3)] == [
        OK,
        PARTIAL,
        ERROR,
    ]
    kept((CALLS, 1, OK))
    assert worst(CALLS, 0, 2) is OK
    assert database.read_now(usage.coverage, None, day(0), day(2)).keys() == METRICS.keys()


def test_raw_days_are_forgotten_and_weeks_stay(database: Database) -> None:
    keep(database, reading({("ana", 0): {CALLS: 2}, ("ana", 8): {CALLS: 1}}, (CALLS,), (0, 8)))
    assert database.write_now(usage.forget_raw, day(7)) == 1
    assert sums(database, 0, 20) == {ANA: {CALLS: 1}}
    assert [week.values for week in database.read_now(usage.weeks, [ANA], MONDAY)[ANA]] == [
        {CALLS: 2},
        {CALLS: 1},
    ]


def test_a_watermark_never_moves_back(database: Database) -> None:
    with pytest.raises(LookupError, match="keep_source"):
        database.write_now(usage.move_watermark, "crm", day(0), None, NOW)
    database.write_now(usage.keep_source, "crm", "spreadsheet", {"mapping": "m.toml"})
    for offset in (3, 1):
        database.write_now(usage.move_watermark, "crm", day(offset), "f", NOW)
    database.write_now(usage.keep_source, "crm", "spreadsheet", {"mapping": "n.toml"})
    found = database.read_now(usage.sources)["crm"]
    assert (found.watermark, found.settings, found.fingerprint) == (day(3), {"mapping": "n.toml"}, "f")


# --- polling -------------------------------------------------------------------------------------------------------


class Crm(FakeCrm):
    """A CRM with one call a day by Ana; ``down``: it does not answer; ``partial``: days that it tells by halves.

    ``refused``: what it says of calls instead, while it tells everything else.
    """

    down: bool = False
    partial: frozenset[date] = frozenset()
    refused: CoverageStatus | None = None
    window: Window | None = None

    async def users(self, through: date):
        if self.down:
            raise Retryable("The CRM does not answer.", code="down", after=timedelta(minutes=5))
        return [CrmUser("ana", "ana", "ana@example.com", "seller")], [
            RowFault("people.csv", 3, "", "the row names nobody")
        ]

    async def collect(self, window: Window, metrics: frozenset[str]):
        self.window = window
        days = [window.since + timedelta(days=n) for n in range((window.through - window.since).days + 1)]
        for each in days:
            status = PARTIAL if each in self.partial else OK
            calls = self.refused or status
            yield Collected(
                (UsageFact("ana", each, {} if self.refused else {CALLS: 1}),),
                tuple(Coverage(metric, each, calls if metric == CALLS else status) for metric in metrics),
            )


def crm() -> Crm:
    found = Crm()
    found.name, found.lag_days, found.overlap_days = "crm", 1, 3
    return found


@pytest.mark.anyio
async def test_a_poll_reads_from_the_watermark_with_an_overlap(database: Database) -> None:
    source = crm()
    through = last_day(PROGRAMME, 1, NOW)
    assert through == date(2026, 11, 17)  # 1 a.m. in Los Angeles, minus the lag
    report = await poll(database, source, PROGRAMME, NOW)
    assert source.window is not None
    assert (report.through, source.window.since) == (through, through - timedelta(days=89))
    assert (report.failure, report.facts, report.by_metric, report.totals) == (
        None,
        90,
        {CALLS: 90},
        {CALLS: 90},
    )
    report = await poll(database, source, PROGRAMME, NOW + timedelta(days=1))
    assert source.window == Window(through - timedelta(days=2), through + timedelta(days=1))
    # A row of the people table was unreadable: nobody is taken for gone.
    assert database.read_now(people.get)[LEO].active
    assert len(report.faults) == 1


@pytest.mark.anyio
async def test_a_crm_that_is_down_silences_what_it_owes_and_keeps_what_it_said(database: Database) -> None:
    source = crm()
    await poll(database, source, PROGRAMME, NOW)
    source.down = True
    report = await poll(database, source, PROGRAMME, NOW + timedelta(days=1))
    assert (report.failure, report.retry_after) == ("The CRM does not answer.", timedelta(minutes=5))
    through = report.through

    def status(since: date, until: date) -> CoverageStatus:
        return database.read_now(usage.coverage, [CALLS], since, until)[CALLS]

    before = through - timedelta(days=1)
    assert (status(before, before), status(through, through)) == (OK, ERROR)
    assert database.read_now(usage.sources)["crm"].error == "The CRM does not answer."
    # The same failure later on the day the CRM had answered takes nothing away.
    source.down = False
    await poll(database, source, PROGRAMME, NOW + timedelta(days=1))
    assert status(through, through) is OK
    source.down = True
    await poll(database, source, PROGRAMME, NOW + timedelta(days=1, hours=1))
    assert status(through, through) is OK
    assert database.read_now(usage.sums, [ANA], before, through) == {ANA: {CALLS: 2}}


@pytest.mark.anyio
async def test_a_day_that_failed_is_read_again_when_no_poll_asks_for_it_any_more(database: Database) -> None:
    source = crm()
    source.partial = frozenset({date(2026, 11, 16)})
    await poll(database, source, PROGRAMME, NOW)

    def status() -> CoverageStatus:
        return database.read_now(usage.coverage, [CALLS], date(2026, 11, 16), date(2026, 11, 16))[CALLS]

    assert database.read_now(usage.sources)["crm"].watermark == date(2026, 11, 17), "the other metrics go on"
    later = NOW + timedelta(days=5)
    report = await poll(database, source, PROGRAMME, later)
    assert (report.since, status()) == (date(2026, 11, 15), PARTIAL), "it was tried"
    source.partial = frozenset()
    report = await poll(database, source, PROGRAMME, later + timedelta(hours=5))
    assert (report.since, status()) == (date(2026, 11, 20), PARTIAL), "but not at every poll"
    await poll(database, source, PROGRAMME, later + timedelta(hours=6))
    assert status() is OK


@pytest.mark.anyio
async def test_one_query_that_fails_silences_today_and_keeps_the_days_before(database: Database) -> None:
    source = crm()
    source.lag_days, source.overlap_days = 0, 3
    await poll(database, source, PROGRAMME, NOW)
    today = last_day(PROGRAMME, 0, NOW)

    def status(since: int, until: int) -> CoverageStatus:
        first, last = today + timedelta(days=since), today + timedelta(days=until)
        return database.read_now(usage.coverage, [CALLS], first, last)[CALLS]

    source.refused = ERROR
    await poll(database, source, PROGRAMME, NOW + timedelta(hours=1))
    assert (status(-27, -1), status(0, 0), status(-27, 0)) == (OK, ERROR, ERROR)
    [sums_of_ana] = database.read_now(usage.sums, [ANA], today - timedelta(days=2), today).values()
    assert sums_of_ana == {CALLS: 3}, "and no number that was good is gone"
    # Tomorrow: what was read of today while it ran is not the whole of it.
    await poll(database, source, PROGRAMME, NOW + timedelta(days=1))
    assert (status(-27, -1), status(0, 0), status(1, 1)) == (OK, ERROR, ERROR)
    source.refused = None
    await poll(database, source, PROGRAMME, NOW + timedelta(days=1, hours=1))
    assert status(-27, 1) is OK


@pytest.mark.anyio
async def test_days_that_were_denied_are_read_once_the_right_is_granted(database: Database) -> None:
    source = crm()
    source.refused = DENIED
    for days in range(7):
        await poll(database, source, PROGRAMME, NOW + timedelta(days=days))
    assert source.window is not None
    through = last_day(PROGRAMME, 1, NOW) + timedelta(days=6)
    assert database.read_now(usage.sources)["crm"].watermark == through, "who reads the rest is not held up"
    assert source.window.since == through - timedelta(days=3), "nor does every poll read everything anew"
    source.refused = None
    for days in (7, 8):
        await poll(database, source, PROGRAMME, NOW + timedelta(days=days))
    through += timedelta(days=2)
    assert source.window == Window(through - timedelta(days=89), through)
    backfilled = database.read_now(usage.coverage, [CALLS], source.window.since, through)
    assert backfilled == {CALLS: OK}
    assert database.read_now(usage.sums, [ANA], source.window.since, through) == {ANA: {CALLS: 90}}
    # What lies before the 90 days is not asked for, and from now on it is three days again.
    await poll(database, source, PROGRAMME, NOW + timedelta(days=9))
    assert source.window.since == through - timedelta(days=2)


@pytest.mark.anyio
async def test_a_right_that_was_missing_for_a_while_costs_no_sum_of_a_week(database: Database) -> None:
    source = crm()
    await poll(database, source, PROGRAMME, NOW)
    source.refused = DENIED
    for days in range(1, 8):
        await poll(database, source, PROGRAMME, NOW + timedelta(days=days))
    owed = database.read_now(usage.weeks, [ANA], MONDAY)[ANA]
    assert [week.values.get(CALLS) for week in owed] == [2, None]
    source.refused = None
    for days in (8, 9):
        await poll(database, source, PROGRAMME, NOW + timedelta(days=days))
    assert source.window == Window(MONDAY, date(2026, 11, 26)), (
        "from the Monday of the first day that was denied"
    )
    found = database.read_now(usage.weeks, [ANA], MONDAY)[ANA]
    assert [week.values[CALLS] for week in found] == [7, 4]
