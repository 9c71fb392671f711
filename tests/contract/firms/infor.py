"""The firm in Infor CRM."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.firms.firm import BOSS, CALLS, DEALS, NOON, OVERDUE, REPS, Telling, day
from tests.infor_crm import Site

STATUS = {"won": "Closed - Won", "lost": "Closed - Lost"}


def build(_folder: Path) -> dict[str, Any]:
    site = Site(SteeredClock(NOON))
    boss = site.user(BOSS)
    who = {name: site.user(name, boss) for name in REPS}
    made: dict[str, str] = {}
    for deal in DEALS:
        ended = {}
        if deal.ended is not None:
            closed = datetime.combine(day(deal.ended[1]), time(), UTC)
            ended = {"Status": STATUS[deal.ended[0]], "ActualClose": closed, "ActualAmount": deal.amount}
        made[deal.name] = site.deal(
            who[deal.owner],
            deal.created,
            Description=deal.name,
            EstimatedClose=datetime.combine(deal.close, time(), UTC),
            SalesPotential=deal.amount,
            NextStep="Call" if deal.next_step else None,
            account="Northwind" if deal.account else "",
            **ended,
        )
        site.done(who[deal.owner], "atNote", deal.touched, made[deal.name])
        site.changed(who[deal.owner], made[deal.name], deal.moved, ("Stage", "Proposal", "Prospect"))
        if deal.ended is not None:
            site.changed(who[deal.owner], made[deal.name], deal.ended[1], ("Stage", "Closed", "Proposal"))
    for name, days, about in CALLS:
        site.done(who[name], "atPhoneCall", days, made[about])
    for name, days in OVERDUE:
        site.todo(who[name], -days)
    return site.settings()


FIRM = Telling("infor", build, {})
