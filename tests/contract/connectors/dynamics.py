"""The world of the Dynamics 365 connector: a Dataverse environment in this process, with three people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.connectors.world import World
from tests.dataverse import Dataverse

SINCE, THROUGH = date(2026, 11, 10), date(2026, 11, 13)
NOON = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
WORLDS: dict[Path, Dataverse] = {}
"""By folder: opening it again is opening the same environment."""


def build(folder: Path) -> dict[str, Any]:
    """The environment, on the afternoon of the last day."""
    if folder not in WORLDS:
        WORLDS[folder] = _new()
    return WORLDS[folder].settings()


def _new() -> Dataverse:
    crm = Dataverse(SteeredClock(NOON))
    ada = crm.user("Ada Brandt")
    jonas, lea = crm.user("Jonas Weber", ada), crm.user("Lea Martin", ada)
    crm.deal(jonas, 73, name="D1", quiet=True, estimatedclosedate=date(2026, 10, 1))
    crm.deal(jonas, 40, name="D2", estimatedvalue=None, estimatedvalue_base=None)
    crm.deal(jonas, 90, name="D3", customerid=None)
    won = crm.deal(lea, 30, name="D4")
    crm.won(won, date(2026, 11, 12))
    lost = crm.deal(lea, 40, name="D5")
    crm.lost(lost, THROUGH)
    crm.activity("phonecall", jonas, 3)
    crm.activity("email", lea, 1)
    crm.activity("appointment", lea, 2, due=-2, done=False, statecode=3)
    crm.activity("task", jonas, 5, due=-2, done=False)
    crm.edit(jonas, 1, won, "opportunity")
    for person in (jonas, lea):
        crm.access(person, 1)
    return crm


def go_on(folder: Path) -> None:
    """Eight days pass: D1 is won, D6 is begun, somebody new comes, all after the day."""
    crm = WORLDS[folder]
    crm.clock.move_to(NOON + timedelta(days=8))
    deal = next(row for row in crm.tables["opportunity"].values() if row["name"] == "D1")
    crm.won(deal["opportunityid"], crm.ago(5).date())
    crm.edit(deal["owninguser"], 5, deal["opportunityid"], "opportunity")
    crm.deal(deal["owninguser"], 4, name="D6")
    crm.activity("phonecall", deal["owninguser"], 3)
    crm.user("Eva Roth", createdon=crm.ago(6))


def spoil(folder: Path) -> str:
    """A group of phone calls on a day that is none."""
    crm = WORLDS[folder]
    jonas = next(key for key, row in crm.tables["systemuser"].items() if row["fullname"] == "Jonas Weber")

    def rewrite(where: str, answer: Any) -> Any:
        if where == "phonecalls":
            answer["value"].append({"u": jonas, "y": 2026, "m": 31, "d": 12, "n": 1})
        return answer

    crm.rewrite = rewrite
    return "2026-31-12"


def take_away(folder: Path) -> None:
    """The line is cut."""
    WORLDS[folder].line.cut = True


WORLD = World(
    "dynamics",
    SINCE,
    THROUGH,
    build,
    go_on,
    spoil,
    take_away,
    states_are_of_now=True,
    settling=frozenset({"active_day"}),
)
