"""One poll of a CRM: what a failure costs, and what it does not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bot.connectors.asking import Asking
from bot.connectors.figures import Figures, days_of
from bot.connectors.http import SessionRefused
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import CoverageStatus, Window

pytestmark = pytest.mark.anyio
WINDOW = Window(date(2026, 11, 2), date(2026, 11, 20))
DAYS = days_of(WINDOW)


def asking() -> Asking:
    return Asking(Figures(WINDOW, ["step_moves", "won_count"], {}, past="gone"))


def said(poll: Asking, metric: str) -> set[tuple[CoverageStatus, str]]:
    return {
        (row.status, row.detail)
        for part in poll.figures.parts({"U1": None})
        for row in part.coverage
        if row.metric == metric
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Denied("grant it"), CoverageStatus.DENIED),
        (NotOffered("not here"), CoverageStatus.UNSUPPORTED),
        (Throttled("later"), CoverageStatus.THROTTLED),
        (TooSlow("too much"), CoverageStatus.ERROR),
        (Retryable("away"), CoverageStatus.ERROR),
        (Permanent("no"), CoverageStatus.ERROR),
    ],
)
async def test_a_failure_is_the_coverage_of_its_metrics_and_of_no_others(
    error: Retryable | Permanent, status: CoverageStatus
) -> None:
    poll = asking()

    async def good() -> None:
        poll.keep(["won_count"], DAYS, 3)

    async def bad() -> None:
        poll.fail(["step_moves"], DAYS, error)

    await poll.run([good(), bad()])
    assert said(poll, "step_moves") == {(status, str(error))}
    assert said(poll, "won_count") == {(CoverageStatus.OK, "")}
    facts = [fact for part in poll.figures.parts({"U1": None}) for fact in part.facts]
    assert all(dict(fact.values) == {"won_count": 0.0} for fact in facts), "what failed is no zero"


@pytest.mark.parametrize("error", [Throttled("later"), Retryable("away"), Permanent("no")])
async def test_where_nothing_was_answered_the_poll_has_failed(error: Retryable | Permanent) -> None:
    poll = asking()

    async def bad() -> None:
        poll.fail(["step_moves"], DAYS, error)

    with pytest.raises(type(error)):
        await poll.run([bad(), bad()])


async def test_a_refusal_by_rights_is_an_answer() -> None:
    poll = asking()

    async def bad() -> None:
        poll.fail(["step_moves"], DAYS, Denied(""), "grant it")

    await poll.run([bad()])
    assert said(poll, "step_moves") == {(CoverageStatus.DENIED, "grant it")}


async def test_a_login_that_is_refused_ends_the_whole_poll() -> None:
    poll = asking()

    async def good() -> None:
        poll.keep(["won_count"], DAYS, 3)

    async def bad() -> None:
        poll.fail(["step_moves"], DAYS, SessionRefused("the key has expired"))

    with pytest.raises(SessionRefused):
        await poll.run([good(), bad()])


@pytest.mark.parametrize("most_days", [1, 2, 5, 19])
async def test_what_is_too_much_is_asked_in_halves_and_every_day_once(most_days: int) -> None:
    poll, read = asking(), list[date]()

    async def ask(first: date, last: date) -> None:
        if (last - first).days >= most_days:
            raise TooSlow("too much")
        read.extend(days_of(Window(first, last)))

    await poll.by_halves(WINDOW.since, WINDOW.through, ask, lambda day, _error: read.remove(day))
    assert sorted(read) == DAYS


async def test_a_day_that_is_too_much_by_itself_is_given_up_and_the_others_are_read() -> None:
    poll, read, given_up = asking(), list[date](), list[date]()
    heavy = WINDOW.since + timedelta(days=6)

    async def ask(first: date, last: date) -> None:
        if first <= heavy <= last:
            raise TooSlow("too much")
        read.extend(days_of(Window(first, last)))

    await poll.by_halves(WINDOW.since, WINDOW.through, ask, lambda day, _error: given_up.append(day))
    assert given_up == [heavy]
    assert sorted(read) == [day for day in DAYS if day != heavy]


async def test_a_number_that_is_too_large_to_be_one_is_nobody_s() -> None:
    poll = asking()
    poll.keep(["won_count"], DAYS, 3)
    poll.figures.add("won_count", "U1", DAYS[0], float("1e999"))
    poll.figures.add("won_count", "U1", DAYS[1], 2.0)
    parts = list(poll.figures.parts({"U1": None}))
    covered = {row.day: row.status for part in parts for row in part.coverage if row.metric == "won_count"}
    assert (covered[DAYS[0]], covered[DAYS[1]]) == (CoverageStatus.PARTIAL, CoverageStatus.OK)
    sums = sum(fact.values.get("won_count", 0.0) for part in parts for fact in part.facts)
    assert sums == 2.0
