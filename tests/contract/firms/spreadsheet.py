"""The firm in spreadsheets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.contract.firms.firm import BOSS, CALLS, DEALS, OVERDUE, REPS, TODAY, Telling, day

MAPPING = """
[source]
name = "spreadsheet"
coverage = "complete"

[people]
file = "people.csv"
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
amount = "amount"
won_amount = "amount"
expected_close = "close"
next_step = "next"
step_since = "moved"
last_activity = "touched"
[opportunities.steps]
open = "open"
won = "won"
lost = "lost"

[activities]
file = "activities.csv"
columns = { person = "who", date = "day", kind = "kind", opportunity = "deal" }
kinds = { Call = "call" }

[usage]
file = "usage.csv"
metrics = ["tasks_overdue"]
columns = { person = "who", date = "day", metric = "metric", value = "value" }
"""
WRITTEN = 1_795_260_000
"""In the night after the firm's Friday."""


def build(folder: Path) -> dict[str, Any]:
    people = [f"{name},{name.lower().replace(' ', '.')}@example.com,{BOSS}" for name in REPS]
    deals = [
        ",".join(
            (
                deal.name,
                deal.owner,
                day(deal.created).isoformat(),
                deal.ended[0] if deal.ended else "open",
                day(deal.ended[1]).isoformat() if deal.ended else "",
                "Northwind" if deal.account else "",
                "" if deal.amount is None else str(int(deal.amount)),
                deal.close.isoformat(),
                "Call" if deal.next_step else "",
                day(deal.moved).isoformat(),
                day(deal.touched).isoformat(),
            )
        )
        for deal in DEALS
    ]
    activities = [f"{name},{day(days).isoformat()},Call,{about}" for name, days, about in CALLS]
    late = {name: sum(each == name for each, _ in OVERDUE) for name in REPS}
    files = {
        "mapping.toml": MAPPING,
        "people.csv": "\n".join(["name,email,manager", f"{BOSS},ada.brandt@example.com,", *people, ""]),
        "deals.csv": "\n".join(
            ["id,owner,created,step,closed,account,amount,close,next,moved,touched", *deals, ""]
        ),
        "activities.csv": "\n".join(["who,day,kind,deal", *activities, ""]),
        "usage.csv": "\n".join(
            [
                "who,day,metric,value",
                *(f"{name},{TODAY.isoformat()},tasks_overdue,{count}" for name, count in late.items()),
                "",
            ]
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        os.utime(folder / name, (WRITTEN, WRITTEN))
    return {"mapping": str(folder / "mapping.toml"), "data": str(folder)}


FIRM = Telling(
    "spreadsheet",
    build,
    {"step_moves": "a file tells the steps in which deals are now, and so no move but the last one"},
)
