"""The world of the Salesforce connector: the sandbox's CRM in this process, with three people."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.connectors.world import World
from tests.orgs import Org

SINCE, THROUGH = date(2026, 11, 10), date(2026, 11, 13)
NOON = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
ORGS: dict[Path, Org] = {}
"""By folder: opening it again is opening the same org."""


def build(folder: Path) -> dict[str, Any]:
    """The org, on the afternoon of the last day."""
    if folder not in ORGS:
        ORGS[folder] = _new()
    return ORGS[folder].settings()


def _new() -> Org:
    org = Org(SteeredClock(NOON))
    org.crm.insert("PermissionSetAssignment", [{"AssigneeId": org.me, "ViewAllData": True}])
    ada = org.user("Ada Brandt")
    jonas, lea = org.user("Jonas Weber", ada), org.user("Lea Martin", ada)
    account = org.account(jonas, 2)
    org.deal(jonas, 73, Name="D1", NextStep=None, CloseDate=date(2026, 10, 1))
    org.deal(jonas, 40, Name="D2", AccountId=account, Amount=None, LastActivityDate=date(2026, 10, 1))
    org.deal(jonas, 90, Name="D3", AccountId=account, LastStageChangeDate=None, LastActivityDate=None)
    won = org.deal(lea, 30, Name="D4", AccountId=account, Amount=900)
    org.crm.change("Opportunity", won, lea, org.ago(1), StageName="Closed Won", CloseDate=date(2026, 11, 12))
    lost = org.deal(lea, 40, Name="D5")
    org.crm.change("Opportunity", lost, lea, org.ago(0.1), StageName="Closed Lost", CloseDate=THROUGH)
    org.done(jonas, "Call", 3)
    org.done(lea, "Email", 1)
    org.todo(jonas, -2)
    org.meeting(lea, org.ago(2))
    for person in (jonas, lea):
        org.login(person, 1)
    return org


def go_on(folder: Path) -> None:
    """Eight days pass: D1 is won, D6 is begun, somebody new comes, all after the day."""
    org = ORGS[folder]
    org.clock.move_to(NOON + timedelta(days=8))
    ((jonas, deal),) = org.crm.rows("SELECT OwnerId, Id FROM Opportunity WHERE Name = 'D1'")
    org.crm.change(
        "Opportunity", deal, jonas, org.ago(5), StageName="Closed Won", CloseDate=org.ago(5).date()
    )
    org.deal(jonas, 4, Name="D6")
    org.done(jonas, "Call", 3)
    org.user("Eva Roth", CreatedDate=org.ago(6))


def spoil(folder: Path) -> str:
    """A group of new contacts on a day that is none."""

    def rewrite(asked: str, body: bytes) -> bytes:
        if " FROM Contact " not in asked:
            return body
        answer = json.loads(body)
        answer["records"].append(
            {
                "attributes": {"type": "AggregateResult"},
                "CreatedById": "005000000000001AAA",
                "d": "2026-31-12",
                "n": 1,
            }
        )
        return json.dumps(answer).encode()

    ORGS[folder].line.rewrite = rewrite
    return "2026-31-12"


def take_away(folder: Path) -> None:
    """The line is cut."""
    ORGS[folder].line.cut = True


WORLD = World("salesforce", SINCE, THROUGH, build, go_on, spoil, take_away, states_are_of_now=True)
