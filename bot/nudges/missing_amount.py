"""Open deals without an amount: they are in nobody's forecast."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="missing_amount",
    version=1,
    behaviour="amount_filled",
    metric="opps_missing_amount",
)
