"""The world of the Odoo connector: a server of Odoo 19 in this process, with three people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.connectors.odoo.queries import CHANGES
from sandbox.clock import SteeredClock
from tests.contract.connectors.world import World
from tests.odoo_server import Odoo

SINCE, THROUGH = date(2026, 11, 10), date(2026, 11, 13)
NOON = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
SERVERS: dict[Path, Odoo] = {}
"""By folder: opening it again is opening the same server."""


def build(folder: Path) -> dict[str, Any]:
    """The server, on the afternoon of the last day."""
    if folder not in SERVERS:
        SERVERS[folder] = _new()
    return SERVERS[folder].settings()


def _new() -> Odoo:
    odoo = Odoo(SteeredClock(NOON))
    ada = odoo.user("Ada Brandt")
    jonas, lea = odoo.user("Jonas Weber", ada), odoo.user("Lea Martin", ada)
    odoo.deal(jonas, 73, name="D1", planned=False, date_deadline="2026-10-01")
    odoo.deal(jonas, 40, name="D2", expected_revenue=0.0)
    odoo.deal(jonas, 90, name="D3", partner_id=False, date_last_stage_update=odoo.ago(80))
    odoo.close(odoo.deal(lea, 30, name="D4", expected_revenue=900.0), lea, 1, won=True)
    odoo.close(odoo.deal(lea, 40, name="D5"), lea, 0.1, won=False)
    odoo.done(jonas, 2, 3)
    odoo.say(lea, 1, 2)
    odoo.plan(jonas, -2, 1)
    odoo.put("calendar.event", user_id=lea, start=odoo.ago(2))
    for person in (jonas, lea):
        odoo.rows["res.users"][person]["login_date"] = odoo.ago(0.1)
    return odoo


def go_on(folder: Path) -> None:
    """Eight days pass: D1 is won, D6 is begun, somebody new comes, all after the day."""
    odoo = SERVERS[folder]
    odoo.clock.move_to(NOON + timedelta(days=8))
    first = odoo.rows["crm.lead"][1]
    odoo.close(1, first["user_id"], 5, won=True)
    odoo.deal(first["user_id"], 4, name="D6")
    odoo.done(first["user_id"], 2, 3)
    odoo.user("Eva Roth", create_date=odoo.ago(6))


def spoil(folder: Path) -> str:
    """A group of meetings on a day that is none."""
    odoo = SERVERS[folder]

    def worse(*args: Any, **named: Any) -> Any:
        groups = Odoo.do_formatted_read_group(odoo, *args, **named)
        if args[0] == "calendar.event":
            bad = {"user_id": [4, "Jonas"], "start:day": ["2026-31-12 00:00:00", "?"], "__count": 1}
            groups.append(bad)
        return groups

    odoo.do_formatted_read_group = worse  # type: ignore[method-assign]  # this server alone is spoilt
    return "2026-31-12"


def take_away(folder: Path) -> None:
    """The line is cut."""
    SERVERS[folder].cut = True


WORLD = World(
    "odoo",
    SINCE,
    THROUGH,
    build,
    go_on,
    spoil,
    take_away,
    states_are_of_now=True,
    sampled=CHANGES | {"active_day"},
)
