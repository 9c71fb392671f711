"""Open deals whose expected close date is in the past: a forecast with such a date is wrong today."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="past_close_date",
    version=1,
    behaviour="close_dates_in_future",
    metric="opps_past_close",
)
