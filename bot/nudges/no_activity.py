"""Open deals without any activity for 30 days: they are colder than they look."""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="no_activity",
    version=1,
    behaviour="recent_activity",
    metric="opps_no_activity_30d",
)
