"""Open deals without an account: who looks the customer up does not find them."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="missing_account",
    version=1,
    behaviour="account_filled",
    metric="opps_missing_account",
)
