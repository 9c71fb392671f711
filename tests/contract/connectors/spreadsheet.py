"""The world of the spreadsheet connector: deals, activities and counted numbers of three people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tests.contract.connectors.world import World

MAPPING = """
[source]
name = "contract"
coverage = "complete"
record_link = "https://crm.example.com/deals/{id}"

[people]
file = "people.csv"
access_since = "first-dated-row"
columns = { name = "name", email = "email", manager = "manager" }

[opportunities]
file = "deals.csv"
[opportunities.columns]
id = "id"
owner = "owner"
created = "created"
step = "step"
closed = "closed"
account = "account"
won_amount = "value"
[opportunities.steps]
Open = "open"
Won = "won"
Lost = "lost"

[activities]
file = "activities.csv"
columns = { person = "who", date = "day", kind = "kind", opportunity = "deal" }
kinds = { Call = "call", Meeting = "meeting" }

[usage]
file = "usage.csv"
metrics = ["tasks_overdue", "feature_use.report"]
columns = { person = "who", date = "day", metric = "metric", value = "value" }
"""
FILES = {
    "people.csv": [
        "name,email,manager",
        "Ada Brandt,ada@example.com,",
        "Jonas Weber,jonas@example.com,Ada Brandt",
        "Lea Martin,lea@example.com,Ada Brandt",
    ],
    "deals.csv": [
        "id,owner,created,step,closed,account,value",
        "D1,Jonas Weber,2026-09-01,Open,,,",
        "D2,Jonas Weber,2026-11-10,Open,,Northwind,",
        "D3,Lea Martin,2026-11-11,Open,,,",
        "D4,Lea Martin,2026-10-01,Won,2026-11-12,Contoso,900",
        "D5,Lea Martin,2026-10-05,Lost,2026-11-13,,",
    ],
    "activities.csv": [
        "who,day,kind,deal",
        "Jonas Weber,2026-11-10,Call,D1",
        "Jonas Weber,2026-11-12,Meeting,D2",
        "Lea Martin,2026-11-13,Call,D3",
    ],
    "usage.csv": [
        "who,day,metric,value",
        "Jonas Weber,2026-11-13,tasks_overdue,4",
        "Lea Martin,2026-11-11,feature_use.report,2",
    ],
}
WRITTEN = 1_790_000_000
"""A second long before the tests run: the files lie still."""


def _write(folder: Path, files: Mapping[str, list[str]], written: int) -> None:
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
        os.utime(folder / name, (written, written))


def build(folder: Path) -> dict[str, Any]:
    """The files, and the mapping beside them."""
    (folder / "mapping.toml").write_text(MAPPING)
    _write(folder, FILES, WRITTEN)
    return {"mapping": str(folder / "mapping.toml"), "data": str(folder)}


def go_on(folder: Path) -> None:
    """D2 is won, D6 is begun, and Ada begins to work in the CRM, all after the day."""
    deals = [
        line.replace("2026-11-10,Open,,Northwind,", "2026-11-10,Won,2026-11-14,Northwind,50")
        for line in FILES["deals.csv"]
    ]
    changed = {
        "deals.csv": [*deals, "D6,Jonas Weber,2026-11-14,Open,,,"],
        "activities.csv": [*FILES["activities.csv"], "Ada Brandt,2026-11-15,Call,D1"],
        "usage.csv": [*FILES["usage.csv"], "Lea Martin,2026-11-14,tasks_overdue,9"],
    }
    _write(folder, changed, WRITTEN + 60)


def spoil(folder: Path) -> str:
    """A call on a day that is none."""
    _write(
        folder, {"activities.csv": [*FILES["activities.csv"], "Lea Martin,2026-31-12,Call,D3"]}, WRITTEN + 120
    )
    return "2026-31-12"


def take_away(folder: Path) -> None:
    """The export did not come."""
    for name in FILES:
        (folder / name).unlink()


WORLD = World("spreadsheet", date(2026, 11, 10), date(2026, 11, 13), build, go_on, spoil, take_away)
