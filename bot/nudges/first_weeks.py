"""A person in their first weeks with the CRM who does not show a behaviour of their role yet."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.behaviours import Behaviour, BehaviourKind
from bot.domain.nudging import Profile, Proposal, Trigger

NAME = "first_weeks"
VERSION = 1
FIRST, LAST = 1, 8
"""Weeks since access in which it speaks: not on day one, and not once habits are formed
(a median of 66 days: Lally et al. 2010, doi:10.1002/ejsp.674)."""


def propose(profile: Profile, behaviours: Mapping[str, Behaviour]) -> Proposal | None:
    """``count`` is the week. Which behaviour: each tip says it; the planner leaves out what the person already does.

    ``reads``: the metrics of the role's counted behaviours that are known here, for "Why this?".
    """
    week = profile.weeks_since_access
    if week is None or not FIRST <= week <= LAST:
        return None
    asked = {
        metric
        for behaviour in behaviours.values()
        if profile.role in behaviour.roles and behaviour.kind is BehaviourKind.COUNT
        for metric in behaviour.metrics
        if profile.known(metric)
    }
    if not asked:
        return None
    return Proposal(NAME, VERSION, TRIGGER.behaviour, week, None, tuple(sorted(asked)))


TRIGGER = Trigger(
    name=NAME,
    version=VERSION,
    behaviour="",
    reads=(),
    propose=propose,
    own_records=False,
)
