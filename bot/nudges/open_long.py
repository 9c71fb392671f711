"""Deals open longer than three quarters of the owner's own won deals took.

The yardstick is the person's own (at least 5 won deals), never other people.
"""

from __future__ import annotations

from bot.domain.nudging import about_records

TRIGGER = about_records(
    name="open_long",
    version=1,
    behaviour="deals_closed_in_time",
    metric="opps_open_long",
)
