"""Open deals in the same step for 60 days or longer: worth a look."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="stuck_step",
    version=1,
    behaviour="deals_move",
    metric="opps_stuck_step",
)
