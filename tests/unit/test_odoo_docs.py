"""The page on Odoo is true: every query, setting, field and group that the connector has is on it, letter by letter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot.connectors.odoo import queries
from bot.connectors.odoo.connector import OdooSettings
from bot.connectors.settings import GIVEN


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs/connectors/odoo.md").read_text().replace("\\|", "|")


def shown(domain: list[Any]) -> str:
    if domain == queries.OPEN:
        return "`OPEN`"
    is_open = domain[: len(queries.OPEN)] == queries.OPEN
    return f"`OPEN + {json.dumps(domain[len(queries.OPEN) :])}`" if is_open else f"`{json.dumps(domain)}`"


QUESTIONS = [
    *queries.EVENTS,
    queries.done({}),
    queries.MAILS,
    queries.PIPELINE,
    queries.VALUED,
    *queries.STATES,
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.metrics[0])
def test_every_query_is_on_the_page(question: queries.Question, page: str) -> None:
    cell = "| " + ", ".join(f"`{metric}`" for metric in question.metrics) + " |"
    rows = [line for line in page.splitlines() if line.startswith(cell)]
    (row,) = [row for row in rows if row.endswith(f"{shown(question.where)} |")]
    grouped = re.findall(r"`([^`]+)`", row.split("|")[2])
    assert grouped == [question.model, *question.groupby, *(each.spec for each in question.aggregates)]


def test_what_is_read_record_by_record_is_on_the_page(page: str) -> None:
    names = {*queries.USER_FIELDS, *queries.DEAL, *queries.TASK, *queries.STEP_SUBTYPES, "tracking"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert f"`{json.dumps(queries.pushes(17))}`" in page
    assert f"`{json.dumps(queries.OPEN)}`" in page


def test_every_setting_and_every_metric_is_on_the_page(page: str) -> None:
    settings = [f"FULLSTEAM_ODOO_{name.upper()}" for name in OdooSettings.model_fields if name not in GIVEN]
    assert [name for name in settings if f"| `{name}` |" not in page] == []
    unsaid = [metric for metric in queries.READ if f"`{metric}`" not in page]
    assert unsaid == []
