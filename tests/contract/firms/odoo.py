"""The firm in Odoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.firms.firm import BOSS, CALLS, DEALS, NOON, OVERDUE, REPS, Telling
from tests.odoo_server import Odoo


def build(_folder: Path) -> dict[str, Any]:
    odoo = Odoo(SteeredClock(NOON))
    boss = odoo.user(BOSS)
    who = {name: odoo.user(name, boss) for name in REPS}
    made: dict[str, int] = {}
    for deal in DEALS:
        made[deal.name] = odoo.deal(
            who[deal.owner],
            deal.created,
            name=deal.name,
            planned=deal.next_step,
            date_deadline=deal.close.isoformat(),
            expected_revenue=deal.amount or 0.0,
            partner_id=1 if deal.account else False,
            date_last_stage_update=odoo.ago(deal.moved),
        )
        odoo.say(who[deal.owner], deal.touched, made[deal.name], subtype_id=2)  # a note
        odoo.say(who[deal.owner], deal.moved, made[deal.name], message_type="notification", subtype_id=12)
        if deal.ended is not None:
            odoo.close(made[deal.name], who[deal.owner], deal.ended[1], won=deal.ended[0] == "won")
    for name, days, about in CALLS:
        odoo.done(who[name], 2, days, made[about])
    for name, days in OVERDUE:
        odoo.plan(who[name], -days, made["late"])
    return odoo.settings()


FIRM = Telling("odoo", build, {})
