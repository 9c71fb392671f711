"""A record of the CRM on its page: what a link of the bot's leads to, and that the bot sees what was mended there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from bot.connectors.salesforce.connector import CONNECTOR, SalesforceConnector
from sandbox.cli import move_in
from sandbox.clock import SteeredClock
from sandbox.company.world import Company
from sandbox.crm.objects import STEPS
from sandbox.crm.server import CrmServer
from tests.contract.sandbox.workspace import Running, running
from tests.orgs import Org

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
FLAWS = {
    "opps_past_close": {"CloseDate": "2026-12-18"},
    "opps_no_next_step": {"NextStep": "Call on Monday"},
    "opps_missing_amount": {"Amount": "12,500.50"},
    "opps_missing_account": {"AccountId": "northwind"},
}


@dataclass
class Desk:
    """A deal in which everything is missing, on a sandbox that listens."""

    here: Running
    org: Org
    rep: str
    deal: str
    account: str

    @property
    def url(self) -> str:
        return self.here.slack.url

    async def page(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.here.session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()

    async def save(
        self, body: Any, kind: str = "Opportunity", record: str = ""
    ) -> tuple[int, dict[str, Any]]:
        return await self.here.admin("POST", f"crm/{kind}/{record or self.deal}", body)

    def row(self) -> dict[str, Any]:
        return dict(self.org.crm.rows("SELECT * FROM Opportunity WHERE Id = ?", self.deal)[0])


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    org = Org()
    rep = org.user("Ann Lee")
    account = org.account(rep)
    deal = org.deal(
        rep,
        100,
        Name="Kiel <b>Pumps</b> & Co",
        Amount=None,
        NextStep=None,
        CloseDate=date(2026, 11, 2),
        LastActivityDate=date(2026, 8, 3),
    )
    async with running(clock=org.clock) as here:
        here.sandbox.crm = CrmServer(org.crm, here.slack)
        yield Desk(here, org, rep, deal, account)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> _Text:
    parser = _Text()
    parser.feed(page)
    return parser


async def test_the_link_of_a_tip_leads_to_the_deal_and_what_is_mended_there_is_no_flaw_any_more(
    desk: Desk,
) -> None:
    settings = desk.org.settings(url=desk.url)
    del settings["transport"]
    connector = CONNECTOR.open(settings, None)
    assert isinstance(connector, SalesforceConnector)

    async def seen(metric: str) -> tuple[int, str]:
        """How many, and the link of the first: some seconds later, as when a message is about to be sent."""
        desk.org.clock.move_to(desk.org.clock.now() + timedelta(seconds=5))
        found = await connector.evidence(metric, [desk.rep], 3, desk.org.today)
        return (found[desk.rep][0], str(found[desk.rep][1][0].link)) if found else (0, "")

    link = f"{desk.url}/lightning/r/Opportunity/{desk.deal}/view"
    for metric, mended in FLAWS.items():
        assert await seen(metric) == (1, link)
        assert (await desk.page(link.removeprefix(desk.url)))[0] == 200
        assert await desk.save({"fields": mended}) == (200, {"ok": True})
        assert await seen(metric) == (0, "")
    assert await seen("opps_no_activity_30d") == (1, link)
    assert (await desk.save({"call": "Asked for the offer"}))[0] == 200
    assert await seen("opps_no_activity_30d") == (0, "")
    await connector.close()


async def test_the_page_says_what_the_record_says_and_a_name_is_never_markup(desk: Desk) -> None:
    status, page = await desk.page(f"/lightning/r/Opportunity/{desk.deal}/view")
    told = read(page)
    text = " ".join(" ".join(told.words).split())
    assert status == 200
    assert "Kiel <b>Pumps</b> & Co" in text
    assert "b" not in told.tags
    for words in ("Ann Lee", "Proposal", "Mon 2 Nov 2026", "not given", "Mon 3 Aug 2026", "Log a call"):
        assert words in text, words
    assert [step for step in STEPS if step in told.words] == list(STEPS)
    assert "This is a record in the made-up company’s CRM" in text


async def test_it_is_saved_as_the_owner_now_with_history(desk: Desk) -> None:
    fields = {
        "StageName": "Closed Won",
        "Amount": "9000",
        "AccountId": "Northwind",
        "NextStep": "  Sign \n it ",
    }
    assert (await desk.save({"fields": fields}))[0] == 200
    row = desk.row()
    assert (row["StageName"], row["IsWon"], row["Amount"]) == ("Closed Won", 1, 9000.0)
    assert (row["AccountId"], row["NextStep"]) == (desk.account, "Sign it")
    assert (row["LastModifiedById"], row["LastModifiedDate"]) == (desk.rep, "2026-11-20T15:00:00.000+0000")
    history = desk.org.crm.rows("SELECT Field, CreatedById FROM OpportunityFieldHistory")
    assert {(each["Field"], each["CreatedById"]) for each in history} == {(name, desk.rep) for name in fields}
    assert (await desk.save({"fields": {"AccountId": "", "Amount": " ", "NextStep": ""}}))[0] == 200
    assert [desk.row()[name] for name in ("AccountId", "Amount", "NextStep")] == [None, None, None]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("StageName", "Nearly", "Choose a step"),
        ("Amount", "a lot", "is a number"),
        ("Amount", "-5", "is a number"),
        ("Amount", "9e99", "is a number"),
        ("Amount", "1,5", "is a number"),
        ("Amount", "9999999999999", "is a number"),
        ("CloseDate", "", "needs a close date"),
        ("CloseDate", "2026-02-30", "needs a close date"),
        ("CloseDate", "1026-02-03", "lies between"),
        ("NextStep", "x" * 256, "at most 255"),
        ("AccountId", "Nobody Ltd", "no account of this name"),
    ],
)
async def test_what_cannot_be_saved_is_said_beside_its_field_and_nothing_is_saved(
    desk: Desk, field: str, value: str, words: str
) -> None:
    before = desk.row()
    status, answer = await desk.save({"fields": {"NextStep": "Fine", field: value}})
    assert (status, answer["error"], list(answer["fields"])) == (422, "not_saved", [field])
    assert words in answer["fields"][field]
    assert desk.row() == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fields": []},
        {"fields": {"Amount": 5}},
        {"fields": {"OwnerId": "x"}},
        {"done": True},
        {"call": 1},
    ],
)
async def test_a_body_that_is_something_else_is_refused(desk: Desk, body: Any) -> None:
    before = desk.row()
    status, answer = await desk.save(body)
    assert (status, answer["error"]) == (400, "bad_request")
    assert desk.row() == before


async def test_a_logged_call_has_a_page_and_an_open_task_can_be_done(desk: Desk) -> None:
    await desk.save({"call": ""})
    (call,) = desk.org.crm.rows("SELECT * FROM Task")
    assert (call["Subject"], call["IsClosed"], call["OwnerId"], call["ActivityDate"]) == (
        "Call",
        1,
        desk.rep,
        "2026-11-20",
    )
    assert (await desk.save({"call": "x" * 256}))[1]["fields"] == {"call": "At most 255 characters."}
    status, page = await desk.page(f"/lightning/r/Task/{call['Id']}/view")
    assert (status, "Mark as done" in page) == (200, False)
    assert f"/lightning/r/Opportunity/{desk.deal}/view" in page
    todo = desk.org.todo(desk.rep, due_in=-3)
    assert "Mark as done" in (await desk.page(f"/lightning/r/Task/{todo}/view"))[1]
    assert (await desk.save({"done": True}, "Task", todo))[0] == 200
    (row,) = desk.org.crm.rows("SELECT IsClosed, CompletedDateTime FROM Task WHERE Id = ?", todo)
    assert tuple(row) == (1, "2026-11-20T15:00:00.000+0000")


async def test_what_is_not_there_is_a_page_that_says_so(desk: Desk) -> None:
    for path in ("Opportunity/0065e00000000zzAAA", "Opportunity/x'y", "Task/1", "Account/" + desk.account):
        status, page = await desk.page(f"/lightning/r/{path}/view")
        assert status == 404
        assert "Nothing is here" in page
    assert (await desk.save({"fields": {}}, record="0065e00000000zzAAA"))[0] == 404
    assert (await desk.page(f"/lightning/r/Opportunity/{desk.deal[:15]}/view"))[0] == 200
    desk.here.sandbox.crm = None
    status, page = await desk.page(f"/lightning/r/Opportunity/{desk.deal}/view")
    assert (status, "there is no CRM" in page) == (404, True)


async def test_another_site_can_neither_save_nor_frame_it_and_a_link_to_it_opens(desk: Desk) -> None:
    before = desk.row()
    body = json.dumps({"fields": {"NextStep": "Stolen"}}).encode()
    for headers in (
        {**JSON, "Origin": "https://evil.example"},
        {**JSON, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": desk.url},
    ):
        address = f"{desk.url}/sandbox/crm/Opportunity/{desk.deal}"
        async with desk.here.session.post(address, data=body, headers=headers) as response:
            assert response.status == 403
    assert desk.row() == before
    path = f"/lightning/r/Opportunity/{desk.deal}/view"
    opens = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await desk.page(path, **opens))[0] == 200
    assert (await desk.page(path, **{**opens, "Sec-Fetch-Dest": "iframe"}))[0] == 403
    async with desk.here.session.get(desk.url + path) as response:
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_the_company_knows_what_was_mended_by_hand() -> None:
    begin = datetime(2026, 2, 24, 10, tzinfo=UTC)
    async with running(clock=SteeredClock(begin)) as here:
        firm = Company(here.slack, 12, 7, begin, 2)
        move_in(here.sandbox, firm)
        firm.live_until(begin)
        worker = next(worker for worker in firm.life.workers.values() if len(worker.deals) > 1)
        deal, other = worker.deals[:2]
        entered = {"StageName": "Contract", "NextStep": "Sign", "Amount": "700", "CloseDate": "2026-06-30"}
        assert (await here.admin("POST", f"crm/Opportunity/{deal.id}", {"fields": entered}))[0] == 200
        assert (deal.step, deal.has_next_step, deal.has_amount, deal.amount) == (4, True, True, 700.0)
        assert date.fromordinal(deal.close) == date(2026, 6, 30)
        lost = {"fields": {"StageName": "Closed Lost"}}
        assert (await here.admin("POST", f"crm/Opportunity/{other.id}", lost))[0] == 200
        assert other not in worker.deals
        firm.live_until(begin + timedelta(days=14))
        (row,) = firm.crm.rows("SELECT StageName, Amount FROM Opportunity WHERE Id = ?", other.id)
        assert row["StageName"] == "Closed Lost"
