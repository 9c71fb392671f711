"""Open deals without a next step: nobody is waiting for anything."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="no_next_step",
    version=1,
    behaviour="next_step_set",
    metric="opps_no_next_step",
)
