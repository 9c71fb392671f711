"""The world of the Infor CRM connector: an SData server in this process, with three people."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.connectors.world import World
from tests.infor_crm import Site

SINCE, THROUGH = date(2026, 11, 10), date(2026, 11, 13)
NOON = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
SITES: dict[Path, Site] = {}
"""By folder: opening it again is opening the same installation."""


def build(folder: Path) -> dict[str, Any]:
    """The installation, on the afternoon of the last day."""
    if folder not in SITES:
        SITES[folder] = _new()
    return SITES[folder].settings(login_resource="auditLogs")


def _new() -> Site:
    site = Site(SteeredClock(NOON))
    ada = site.user("Ada Brandt")
    jonas, lea = site.user("Jonas Weber", ada), site.user("Lea Martin", ada)
    past = datetime(2026, 10, 1, tzinfo=UTC)
    first = site.deal(jonas, 73, Description="D1", NextStep=None, EstimatedClose=past)
    site.deal(jonas, 40, Description="D2", SalesPotential=0.0, account="")
    third = site.deal(jonas, 90, Description="D3")
    site.won(lea, 1, 30, Description="D4", ActualAmount=900.0)
    site.won(lea, 0, 40, Description="D5", Status="Closed - Lost")
    site.changed(
        jonas, third, 2, ("Stage", "Proposal", "Prospect"), ("EstimatedClose", "12/20/2026", "11/30/2026")
    )
    site.changed(lea, first, 70, ("Stage", "Prospect", "Lead"))
    for column in ("ContactId", "LeadId", "TicketId", "AccountId"):
        site.changed(lea, "X1", 3, ("Status", "Active", "New"), column=column)
    site.done(jonas, "atPhoneCall", 3, first)
    site.done(lea, "atEMail", 1)
    site.done(lea, "atAppointment", 2)
    site.done(jonas, "atToDo", 1, third)
    site.todo(jonas, -2)
    for kind in ("accounts", "contacts", "leads", "tickets"):
        site.record(kind, jonas, 2)
    for person in (jonas, lea):
        site.login(person, 1)
    return site


def go_on(folder: Path) -> None:
    """Eight days pass: D1 is won, D6 is begun, somebody new comes, all after the day."""
    site = SITES[folder]
    site.clock.move_to(NOON + timedelta(days=8))
    deal = next(row for row in site.server.tables["opportunities"] if row["Description"] == "D1")
    closed = datetime.combine(site.today - timedelta(days=5), time(), UTC)
    deal.update(Status="Closed - Won", ActualClose=closed)
    jonas = deal["AccountManager"]["$key"]
    site.changed(jonas, deal["Id"], 5, ("Stage", "Won", "Proposal"))
    site.deal(jonas, 4, Description="D6")
    site.done(jonas, "atPhoneCall", 3)
    site.user("Eva Roth", CreateDate=site.ago(6))


def spoil(folder: Path) -> str:
    """A contact that was created on a day that is none."""

    def rewrite(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/contacts?" in asked and "$resources" in body:
            body["$resources"].append({"$key": "ZZZ", "CreateUser": "UADA", "CreateDate": "/Date(31-12)/"})
        return body

    SITES[folder].server.rewrite = rewrite
    return "31-12"


def take_away(folder: Path) -> None:
    """The line is cut."""
    SITES[folder].server.cut = True


WORLD = World("infor", SINCE, THROUGH, build, go_on, spoil, take_away, states_are_of_now=True)
