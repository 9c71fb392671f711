"""Builders: valid things with one line, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot.domain.attention import Standing
from bot.domain.behaviours import Behaviour, BehaviourKind, shown
from bot.domain.nudging import (
    Candidate,
    Case,
    Decision,
    Evidence,
    History,
    Policy,
    Profile,
    Trigger,
    about_records,
    consider,
    decide,
    substantiate,
    tips_by_trigger,
)
from bot.domain.people import MATCHED, Person, Preferences
from bot.domain.programme import Programme, Rules
from bot.domain.tips import Tip, TipText
from bot.domain.usage import METRICS, CoverageStatus, RecordRef

TUESDAY = datetime(2026, 11, 17, 10, 15, tzinfo=UTC)
"""A working day, inside everybody's window, on a day of first choice."""

ACCOUNT = Behaviour(
    "account_filled",
    "Open deals have an account",
    frozenset({"seller"}),
    BehaviourKind.STATE,
    ("opps_missing_account",),
    0.9,
)
STEP = Behaviour(
    "deals_move",
    "Deals move",
    frozenset({"seller"}),
    BehaviourKind.STATE,
    ("opps_stuck_step",),
    0.7,
    tolerance=1,
)
CREATED = Behaviour(
    "opportunities_created",
    "New deals are entered",
    frozenset({"seller"}),
    BehaviourKind.COUNT,
    ("records_created.opportunity",),
    2,
)
BEHAVIOURS = {each.id: each for each in (ACCOUNT, STEP, CREATED)}
MISSING_ACCOUNT = about_records(
    name="missing_account", version=1, behaviour="account_filled", metric="opps_missing_account"
)
STUCK_STEP = about_records(name="stuck_step", version=1, behaviour="deals_move", metric="opps_stuck_step")
TRIGGERS = (MISSING_ACCOUNT, STUCK_STEP)


def person(**changes: Any) -> Person:
    """A welcomed seller in a pilot team, in UTC."""
    made = Person(
        id="p1",
        source="crm",
        crm_id="crm-1",
        name="Ada Byron",
        email="ada@example.com",
        role="seller",
        team="boss",
        active=True,
        zone="UTC",
        country=None,
        language="en",
        access_since=date(2026, 1, 5),
        working_days=(0, 1, 2, 3, 4),
        pilot=True,
        match=MATCHED,
        slack_id="U1",
        welcomed_at=TUESDAY - timedelta(days=60),
    )
    return replace(made, **changes)


def standing(who: Person | None = None, **changes: Any) -> Standing:
    """A person whom nothing forbids to write to. ``choices``: their preferences."""
    who = who or person()
    choices = changes.pop("choices", None) or Preferences(who.id)
    return Standing(who, choices, **changes)


def tip(id: str, trigger: str, behaviour: str, goal: str = "performance", **changes: Any) -> Tip:  # noqa: A002
    made = Tip(
        id=id,
        version=1,
        trigger=trigger,
        behaviour=behaviour,
        roles=frozenset({"seller"}),
        goal=goal,
        effort_minutes=1,
        evidence="experience",
        owner="adoption_lead",
        expires=date(2099, 1, 1),
        names_records=trigger != "first_weeks",
        texts={"en": TipText("About", "Gain", "Effort")},
    )
    return replace(made, **changes)


TIPS = {
    each.id: each
    for trigger in TRIGGERS
    for goal in ("performance", "productivity", "personal")
    for each in (tip(f"{trigger.name}_{goal}", trigger.name, trigger.behaviour, goal),)
}


def policy(
    *,
    rules: Rules | None = None,
    triggers: Sequence[Trigger] = TRIGGERS,
    tips: Mapping[str, Tip] = TIPS,
    behaviours: Mapping[str, Behaviour] = BEHAVIOURS,
    secret: bytes = b"secret",
) -> Policy:
    return Policy(rules or Rules(), behaviours, tuple(triggers), tips_by_trigger(tips), secret, "T1")


def profile(**changes: Any) -> Profile:
    """Ten open deals, four without an account, three stuck; everything is covered."""
    made = Profile(
        person="p1",
        role="seller",
        day=(changes.get("day") or TUESDAY.date() - timedelta(days=1)),
        snapshot={"opps_open": 10.0, "opps_missing_account": 4.0, "opps_stuck_step": 3.0},
        sums_28d={"records_created.opportunity": 1.0},
        coverage=dict.fromkeys(METRICS, CoverageStatus.OK),
        meaningful_28d=9,
        workdays_28d=20,
        weeks_since_access=20,
        stage="living_together",
    )
    return replace(made, **changes)


def case(who: Standing | None = None, **changes: Any) -> Case:
    """A decision point at which a tip may be sent."""
    now = changes.pop("now", TUESDAY)
    read = changes.pop("profile", None) or profile()
    behaviours: Mapping[str, Behaviour] = changes.pop("behaviours", BEHAVIOURS)
    return Case(
        standing=who or standing(),
        profile=read,
        shown={
            key: shown(each, read.sums_28d, read.snapshot, read.coverage) for key, each in behaviours.items()
        },
        history=changes.pop("history", History(had_tip=True)),
        read_at=changes.pop("read_at", dict.fromkeys(METRICS, now - timedelta(hours=4))),
        now=now,
        **changes,
    )


def evidence(read: Profile, now: datetime = TUESDAY) -> dict[str, Evidence]:
    """What the CRM would say now: as many records as the profile counts."""
    return {
        metric: Evidence(
            metric,
            int(count),
            tuple(RecordRef(f"{metric}-{n}", f"Deal {n}") for n in range(min(3, int(count)))),
            now,
            "crm",
        )
        for metric, count in read.snapshot.items()
        if metric != "opps_open"
    }


def names_records(candidate: Candidate) -> bool:
    return (
        candidate.kind == "tip" and candidate.proposal is not None and candidate.proposal.metric is not None
    )


def decided(one: Case, rules: Policy | None = None) -> Decision:
    """The decision of a case: consider, look the records up, throw the coin."""
    rules = rules or policy()
    considered = substantiate(consider(one, rules), evidence(one.profile, one.now), names_records)
    return decide(one, rules, considered)


def programme(**changes: Any) -> Programme:
    """A programme in which everybody is in the pilot."""
    values: dict[str, Any] = {
        "name": "Test",
        "crm_name": "CRM",
        "go_live": date(2026, 1, 5),
        "sponsor": "sponsor@example.com",
        "sponsor_name": "Sam",
        "adoption_lead": "lead@example.com",
        "privacy_officer": "privacy@example.com",
        "owners": {},
        "zone": "UTC",
        "pilot_teams": ("*",),
        "behaviours": BEHAVIOURS,
    }
    return Programme(**{**values, **changes})
