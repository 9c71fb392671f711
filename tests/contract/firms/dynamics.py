"""The firm in Dynamics 365, with two columns of its own: the next step, and since when a deal is in its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.firms.firm import BOSS, CALLS, DEALS, NOON, OVERDUE, REPS, Telling, day
from tests.dataverse import Dataverse


def build(_folder: Path) -> dict[str, Any]:
    crm = Dataverse(SteeredClock(NOON))
    boss = crm.user(BOSS)
    who = {name: crm.user(name, boss) for name in REPS}
    made: dict[str, str] = {}
    for deal in DEALS:
        given = {} if deal.account else {"customerid": None}
        made[deal.name] = crm.deal(
            who[deal.owner],
            deal.created,
            quiet=True,
            name=deal.name,
            estimatedclosedate=deal.close,
            estimatedvalue=deal.amount,
            estimatedvalue_base=deal.amount,
            new_nextstep="Call" if deal.next_step else None,
            new_stepsince=crm.ago(deal.moved),
            **given,
        )
        crm.activity("task", who[deal.owner], deal.touched, about=made[deal.name], done=False)
        if deal.ended is not None and deal.ended[0] == "won":
            crm.won(made[deal.name], day(deal.ended[1]), deal.amount or 0.0)
            crm.change("opportunity", made[deal.name], actualvalue_base=deal.amount)
        elif deal.ended is not None:
            crm.lost(made[deal.name], day(deal.ended[1]))
    for name, days, about in CALLS:
        crm.activity("phonecall", who[name], days, about=made[about])
    for name, days in OVERDUE:
        crm.activity("task", who[name], 20, due=-days, done=False)
    return crm.settings(next_step="new_nextstep", step_since="new_stepsince")


FIRM = Telling("dynamics", build, {"step_moves": "Dataverse tells what a change was one record a call"})
