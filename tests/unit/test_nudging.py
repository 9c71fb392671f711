"""The planner's rules, one by one: who gets what, and the reason of every no."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from bot import nudges
from bot.domain import attention, nudging
from bot.domain.attention import Presence, Sent
from bot.domain.messages import BACK_OFF, PULSE, TIP, WELCOME
from bot.domain.nudging import (
    GOAL_CHOSEN,
    NONE,
    RELEASE,
    Candidate,
    History,
    Trigger,
    consider,
    decide,
    decision_id,
    draw,
    postponed,
    substantiate,
)
from bot.domain.people import Preferences
from bot.domain.programme import Rules
from bot.domain.usage import METRICS, CoverageStatus
from bot.nudges import first_weeks
from bot.plugins import discover
from tests.builders import (
    BEHAVIOURS,
    MISSING_ACCOUNT,
    TIPS,
    TUESDAY,
    case,
    decided,
    evidence,
    names_records,
    person,
    policy,
    profile,
    standing,
    tip,
)

NO_COIN = Rules(hold_out=0.05)
ALWAYS = policy(rules=replace(Rules(), hold_out=0.0))
"""The rules without a hold-out: what is eligible is sent."""


def reasons(decision: nudging.Decision) -> dict[str, str]:
    return {each.action: each.reason for each in decision.declined}


def test_a_person_with_something_to_gain_gets_one_tip() -> None:
    made = decided(case(), ALWAYS)
    assert made.action in TIPS
    assert made.kind == TIP
    assert made.reason is None
    assert made.chosen is not None
    assert made.chosen.evidence is not None
    assert len(made.eligible) == 2  # one tip for each trigger that speaks


def test_a_person_at_target_gets_nothing() -> None:
    calm = profile(snapshot={"opps_open": 10.0, "opps_missing_account": 0.0, "opps_stuck_step": 1.0})
    made = decided(case(profile=calm), ALWAYS)
    assert made.action == NONE
    assert made.reason == "at-target"  # one stuck deal is within the tolerance
    assert reasons(made) == {"stuck_step": "at-target"}


def test_nothing_to_say_is_a_reason_too() -> None:
    calm = profile(snapshot={"opps_open": 10.0, "opps_missing_account": 0.0, "opps_stuck_step": 0.0})
    assert decided(case(profile=calm), ALWAYS).reason == "nothing-timely"


@pytest.mark.parametrize("status", [status for status in CoverageStatus if status is not CoverageStatus.OK])
def test_no_data_is_never_no_use(status: CoverageStatus) -> None:
    dark = profile(coverage={**dict.fromkeys(METRICS, CoverageStatus.OK), "opps_missing_account": status})
    made = decided(case(profile=dark), ALWAYS)
    assert reasons(made)["missing_account"] == f"no-data:opps_missing_account:{status}"
    assert all(not each.startswith("missing_account") for each in made.eligible)


def test_when_everything_is_dark_the_reason_says_so() -> None:
    dark = profile(coverage=dict.fromkeys(METRICS, CoverageStatus.ERROR))
    made = decided(case(profile=dark), ALWAYS)
    assert made.reason == "no-data:opps_missing_account:error"


def test_an_unsupported_metric_is_no_news_while_another_trigger_looked() -> None:
    half = profile(
        snapshot={"opps_open": 10.0, "opps_stuck_step": 0.0},
        coverage={
            **dict.fromkeys(METRICS, CoverageStatus.OK),
            "opps_missing_account": CoverageStatus.UNSUPPORTED,
        },
    )
    made = decided(case(profile=half), ALWAYS)
    assert made.reason == "nothing-timely"
    assert reasons(made) == {"missing_account": "no-data:opps_missing_account:unsupported"}


def test_a_reading_that_is_too_old_is_no_reading() -> None:
    old = dict.fromkeys(METRICS, TUESDAY - timedelta(hours=31))
    made = decided(case(read_at=old), ALWAYS)
    assert made.reason == "no-data:opps_missing_account:stale"
    assert decided(case(read_at={}), ALWAYS).reason == "no-data:opps_missing_account:stale"


def test_an_open_barrier_silences_that_behaviour_only() -> None:
    made = decided(case(standing(frozen=frozenset({"account_filled"}))), ALWAYS)
    assert reasons(made)["missing_account"] == "barrier-open"
    assert made.action.startswith("stuck_step")


def test_a_behaviour_that_is_not_asked_of_the_role_is_not_spoken_of() -> None:
    others = {
        **BEHAVIOURS,
        "account_filled": replace(BEHAVIOURS["account_filled"], roles=frozenset({"manager"})),
    }
    made = decided(case(behaviours=others), policy(behaviours=others))
    assert reasons(made)["missing_account"] == "not-asked-of-role"


def test_only_tips_for_the_goal_that_was_declared() -> None:
    chosen = Preferences("p1", goal="personal", goal_chosen_at=TUESDAY - timedelta(days=30))
    made = decided(case(standing(choices=chosen)), ALWAYS)
    assert made.chosen is not None
    assert made.chosen.goal == "personal"
    assert {TIPS[action].goal for action in made.eligible} == {"personal"}
    assert reasons(made)["missing_account_performance"] == "not-your-goal"


def test_without_a_tip_for_the_goal_nothing_is_sent() -> None:
    chosen = Preferences("p1", goal="personal", goal_chosen_at=TUESDAY - timedelta(days=30))
    poor = {key: each for key, each in TIPS.items() if each.goal == "performance"}
    made = decided(case(standing(choices=chosen)), policy(tips=poor))
    assert made.action == NONE
    assert made.reason == "not-your-goal"


def test_not_for_me_is_for_ever_and_rests_the_trigger() -> None:
    never = Preferences("p1", tips_never=frozenset({"missing_account_performance"}))
    made = decided(case(standing(choices=never)), ALWAYS)
    assert reasons(made)["missing_account_performance"] == "not-for-me"
    resting = History(had_tip=True, rested={"missing_account": TUESDAY.date()})
    assert reasons(decided(case(history=resting), ALWAYS))["missing_account"] == "rests-after-not-for-me"
    over = History(had_tip=True, rested={"missing_account": TUESDAY.date() - timedelta(days=1)})
    assert "missing_account" not in reasons(decided(case(history=over), ALWAYS))


def test_the_same_text_at_most_twice_in_28_days() -> None:
    day = TUESDAY.date()
    one = {"missing_account_performance": TIPS["missing_account_performance"]}
    twice = History(
        had_tip=True,
        told={"missing_account_performance": (day - timedelta(days=27), day - timedelta(days=10))},
    )
    assert decided(case(history=twice), policy(tips=one)).reason == "same-text"
    again = History(
        had_tip=True,
        told={"missing_account_performance": (day - timedelta(days=28), day - timedelta(days=10))},
    )
    assert decided(case(history=again), policy(tips=one)).available


def test_the_tip_shown_longest_ago_comes_first() -> None:
    day = TUESDAY.date()
    two = {key: TIPS[key] for key in ("missing_account_performance", "missing_account_personal")}
    seen = History(had_tip=True, told={"missing_account_performance": (day - timedelta(days=12),)})
    made = decided(case(history=seen), policy(tips=two))
    assert made.eligible == ("missing_account_personal",)
    assert reasons(made)["missing_account_performance"] == "another-tip-first"


def test_an_expired_tip_is_not_sent() -> None:
    old = {"x": tip("x", "missing_account", "account_filled", expires=TUESDAY.date() - timedelta(days=1))}
    assert decided(case(), policy(tips=old)).reason == "expired"


def test_after_a_coin_the_behaviour_is_not_drawn_again_for_a_week() -> None:
    day = TUESDAY.date()
    fresh = History(had_tip=True, drawn={"account_filled": day - timedelta(days=6)})
    assert reasons(decided(case(history=fresh), ALWAYS))["missing_account"] == "coin-window"
    over = History(had_tip=True, drawn={"account_filled": day - timedelta(days=7)})
    assert "missing_account" not in reasons(decided(case(history=over), ALWAYS))


def test_a_tip_that_was_asked_for_closes_its_behaviour_for_a_week() -> None:
    day = TUESDAY.date()
    fresh = History(had_tip=True, spoken={"account_filled": day - timedelta(days=6)})
    assert reasons(decided(case(history=fresh), ALWAYS))["missing_account"] == "cooldown"
    asked = decided(case(history=fresh, point=GOAL_CHOSEN), ALWAYS)
    assert reasons(asked)["missing_account"] == "cooldown"
    over = History(had_tip=True, spoken={"account_filled": day - timedelta(days=7)})
    assert "missing_account" not in reasons(decided(case(history=over), ALWAYS))


def test_help_that_is_asked_for_is_not_kept_back_by_an_earlier_coin() -> None:
    held_out = History(had_tip=True, drawn=dict.fromkeys(BEHAVIOURS, TUESDAY.date() - timedelta(days=1)))
    assert decided(case(history=held_out, point=GOAL_CHOSEN), ALWAYS).kind == TIP


def test_a_first_tip_is_about_the_present_state_of_own_records() -> None:
    texts = {**TIPS, "fw": tip("fw", "first_weeks", "opportunities_created")}
    rules = policy(triggers=(MISSING_ACCOUNT, first_weeks.TRIGGER), tips=texts)
    new = profile(weeks_since_access=3)
    made = decided(case(profile=new, history=History()), rules)
    assert reasons(made)["first_weeks"] == "first-tip-on-own-records"
    assert "fw" in decided(case(profile=new), rules).eligible


def test_who_has_no_open_deals_is_not_kept_from_a_first_tip_for_ever() -> None:
    texts = {**TIPS, "fw": tip("fw", "first_weeks", "opportunities_created")}
    rules = policy(
        triggers=(MISSING_ACCOUNT, first_weeks.TRIGGER), tips=texts, rules=replace(Rules(), hold_out=0.0)
    )
    nothing = {"opps_open": 0.0, "opps_missing_account": 0.0, "opps_stuck_step": 0.0}
    new = profile(weeks_since_access=3, snapshot=nothing)
    assert decided(case(profile=new, history=History()), rules).action == "fw"
    unknown = replace(new, coverage={**new.coverage, "opps_open": CoverageStatus.ERROR})
    made = decided(case(profile=unknown, history=History()), rules)
    assert reasons(made)["first_weeks"] == "first-tip-on-own-records"


def test_first_weeks_speaks_only_of_what_the_person_does_not_do_yet() -> None:
    texts = {"fw": tip("fw", "first_weeks", "opportunities_created")}
    rules = policy(triggers=(first_weeks.TRIGGER,), tips=texts)
    busy = profile(weeks_since_access=3, sums_28d={"records_created.opportunity": 5.0})
    assert decided(case(profile=busy), rules).reason == "at-target"
    late = profile(weeks_since_access=9)
    assert decided(case(profile=late), rules).reason == "nothing-timely"


def test_before_the_welcome_only_the_welcome_is_considered() -> None:
    new = standing(person(welcomed_at=None))
    offer = Candidate(PULSE, "pulse", 1, coin=False)
    made = decided(case(new, offers=(offer,)), ALWAYS)
    assert (made.action, made.kind, made.draw, made.eligible) == (WELCOME, WELCOME, None, (WELCOME,))


def test_a_welcome_that_is_on_its_way_is_not_decided_again() -> None:
    new = standing(person(welcomed_at=None), sends=(Sent(WELCOME, TUESDAY, WELCOME, waiting=True),))
    made = decided(case(new), ALWAYS)
    assert made.action == NONE
    assert made.reason is not None


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (person(welcomed_at=None, pilot=False), "not-in-pilot"),
        (person(welcomed_at=None, match="guest", slack_id=None), "not-matched:guest"),
        (person(welcomed_at=None, active=False), "left"),
        (person(welcomed_at=None, zone=None), "zone-unknown"),
    ],
)
def test_nobody_is_welcomed_who_may_not_be_written_to(who: object, reason: str) -> None:
    made = decided(case(standing(who)), ALWAYS)  # type: ignore[arg-type]  # pytest's tables are objects
    assert (made.action, made.reason, made.available) == (NONE, reason, False)


def test_both_arms_close_the_same_for_as_long() -> None:
    """Whether a tip went out or the coin said none: its behaviour for a week, everything else for the same distance."""
    for hours in (1, 24, 47, 48, 49, 72, 7 * 24):
        later = TUESDAY + timedelta(hours=hours)
        drawn = {"account_filled": TUESDAY.date()}
        sent = History(
            had_tip=True, drawn=drawn, spoken=drawn, told={"missing_account_personal": (TUESDAY.date(),)}
        )
        after_tip = case(
            standing(sends=(Sent(TIP, TUESDAY, "missing_account_personal"),)), history=sent, now=later
        )
        after_none = case(history=History(had_tip=True, drawn=drawn, held_out_at=TUESDAY), now=later)
        tip, none = decided(after_tip, ALWAYS), decided(after_none, ALWAYS)
        assert tip.available == none.available, hours
        assert {TIPS[each].behaviour for each in tip.eligible} == {
            TIPS[each].behaviour for each in none.eligible
        }
        assert nudging.postponed(after_tip, ALWAYS) == nudging.postponed(after_none, ALWAYS)


def test_help_that_was_asked_for_is_not_held_back_by_an_earlier_coin() -> None:
    held_out = History(had_tip=True, held_out_at=TUESDAY - timedelta(hours=1))
    assert decided(case(history=held_out), ALWAYS).reason == "coin-window"
    assert decided(case(history=held_out, point=GOAL_CHOSEN), ALWAYS).kind == TIP


def test_in_a_week_without_a_better_day_the_others_will_do() -> None:
    monday = TUESDAY - timedelta(days=1)
    friday = TUESDAY + timedelta(days=3)
    better = frozenset(TUESDAY.date() + timedelta(days=n) for n in range(3))
    for day in (monday, friday):
        assert decided(case(standing(holidays=better), now=day), ALWAYS).action in TIPS
        assert (
            decided(case(standing(holidays=better - {TUESDAY.date()}), now=day), ALWAYS).reason
            == "better-day"
        )


def test_the_welcome_does_not_use_up_the_place_kept_for_tips() -> None:
    pulse = Candidate(PULSE, "pulse_2026_11", 1, coin=False)
    sends = (Sent(WELCOME, TUESDAY - timedelta(days=3), WELCOME),)
    made = decided(case(standing(sends=sends), offers=(pulse,)), ALWAYS)
    assert reasons(made)["pulse_2026_11"] == "place-kept-for-tips"
    assert made.kind == TIP


def test_monday_waits_for_a_better_day() -> None:
    monday = TUESDAY - timedelta(days=1)
    assert decided(case(now=monday), ALWAYS).reason == "better-day"
    monday_only = standing(person(working_days=(0, 4)))
    assert decided(case(monday_only, now=monday), ALWAYS).action in TIPS


def test_a_tip_that_was_asked_for_needs_no_coin_and_no_better_day() -> None:
    monday = TUESDAY - timedelta(days=1)
    chosen = Preferences("p1", goal="personal", goal_chosen_at=monday)
    welcome = Sent(WELCOME, monday - timedelta(minutes=5), WELCOME)
    made = decided(case(standing(choices=chosen, sends=(welcome,)), now=monday, point=GOAL_CHOSEN), policy())
    assert made.action == "missing_account_personal"  # four records against three
    assert (made.draw, made.probabilities, made.held_out) == (None, {made.action: 1.0}, False)
    assert reasons(made)["stuck_step_personal"] == "another-first"


def test_a_tip_that_was_asked_for_counts_against_the_cap() -> None:
    chosen = Preferences("p1", goal="personal", goal_chosen_at=TUESDAY)
    sends = tuple(Sent(TIP, TUESDAY - timedelta(days=days), "x") for days in (6, 3))
    made = decided(case(standing(choices=chosen, sends=sends), point=GOAL_CHOSEN), policy())
    assert made.reason == "weekly-cap"


def test_a_pulse_comes_before_a_tip_and_the_tip_says_so() -> None:
    pulse = Candidate(PULSE, "pulse_2026_11", 1, coin=False)
    made = decided(case(offers=(pulse,)), ALWAYS)
    assert (made.action, made.kind, made.draw) == ("pulse_2026_11", PULSE, None)
    assert reasons(made) == {TIP: "outranked:pulse"}


def test_one_of_two_places_is_kept_for_a_tip() -> None:
    pulse = Candidate(PULSE, "pulse_2026_11", 1, coin=False)
    sends = (Sent(PULSE, TUESDAY - timedelta(days=3), "x"),)
    made = decided(case(standing(sends=sends), offers=(pulse,)), ALWAYS)
    assert reasons(made)["pulse_2026_11"] == "place-kept-for-tips"
    assert made.kind == TIP


def ignored(times: int) -> tuple[Sent, ...]:
    return tuple(
        Sent(TIP, TUESDAY - timedelta(days=10 + 7 * n), f"t{n}", ignored=True) for n in reversed(range(times))
    )


def test_after_six_ignored_messages_it_asks_once_and_then_is_silent() -> None:
    made = decided(case(standing(sends=ignored(6))), ALWAYS)
    assert (made.action, made.draw) == (BACK_OFF, None)
    asked = (*ignored(6), Sent(BACK_OFF, TUESDAY - timedelta(days=8), BACK_OFF, ignored=True))
    later = decided(case(standing(sends=asked)), ALWAYS)
    assert (later.action, later.reason) == (NONE, "ignored-pause")


def test_three_ignored_messages_double_the_interval() -> None:
    sends = tuple(Sent(TIP, TUESDAY - timedelta(days=days), "t", ignored=True) for days in (12, 9, 6))
    assert decided(case(standing(sends=sends)), ALWAYS).reason == "weekly-cap"
    answered = (*sends[:2], replace(sends[2], ignored=False))
    assert decided(case(standing(sends=answered)), ALWAYS).action in TIPS


def test_the_records_are_looked_up_before_the_coin() -> None:
    one = case()
    found = evidence(one.profile)
    gone = {**found, "opps_missing_account": replace(found["opps_missing_account"], count=0, records=())}
    nameless = {**found, "opps_missing_account": replace(found["opps_missing_account"], records=())}
    for seen, reason in ((gone, "not-true-any-more"), (nameless, "no-evidence"), ({}, "no-evidence")):
        made = decide(one, ALWAYS, substantiate(consider(one, ALWAYS), seen, names_records))
        assert reasons(made)["missing_account_performance"] == reason


def test_what_cannot_be_said_is_not_drawn() -> None:
    one = case()
    considered = substantiate(consider(one, ALWAYS), evidence(one.profile), names_records)
    made = decide(one, ALWAYS, considered, {"missing_account_performance": "missing-field"})
    assert made.action == "stuck_step_performance"
    assert reasons(made)["missing_account_performance"] == "missing-field"


def test_the_same_key_gives_the_same_draw_and_id() -> None:
    rules, day = policy(), date(2026, 11, 17)
    assert draw(rules, "p1", "slot", day) == draw(rules, "p1", "slot", day)
    assert decision_id(rules, "p1", "slot", day) == decision_id(rules, "p1", "slot", day)
    others = [
        (policy(secret=b"another"), "p1", "slot", day),
        (rules, "p2", "slot", day),
        (rules, "p1", GOAL_CHOSEN, day),
        (rules, "p1", "slot", day + timedelta(days=1)),
        (policy(rules=replace(Rules(), policy="next")), "p1", "slot", day),
    ]
    assert len({draw(*each) for each in others} | {draw(rules, "p1", "slot", day)}) == 6
    assert len({decision_id(*each) for each in others} | {decision_id(rules, "p1", "slot", day)}) == 6


def test_the_coin_is_fair() -> None:
    """Over 20,000 keys each action comes as often as its probability says (four standard errors)."""
    rules, one = policy(), case()
    considered = substantiate(consider(one, rules), evidence(one.profile), names_records)
    seen: dict[str, int] = {}
    targets: dict[str, int] = {}
    trials = 20_000
    for n in range(trials):
        other = replace(one, standing=standing(person(id=f"p{n}")))
        made = decide(other, rules, considered)
        seen[made.action] = seen.get(made.action, 0) + 1
        assert made.probabilities == {
            NONE: 0.2,
            "missing_account_performance": 0.4,
            "stuck_step_performance": 0.4,
        }
        if made.held_out:
            assert made.target is not None
            targets[made.target.action] = targets.get(made.target.action, 0) + 1
    for action, chance in (
        (NONE, 0.2),
        ("missing_account_performance", 0.4),
        ("stuck_step_performance", 0.4),
    ):
        error = (trials * chance * (1 - chance)) ** 0.5
        assert abs(seen[action] - trials * chance) < 4 * error, (action, seen)
    # Held out, too, each target is as likely as the other: both arms are measured on the same mix.
    held = sum(targets.values())
    assert abs(targets["stuck_step_performance"] - held / 2) < 4 * (held / 4) ** 0.5


def test_a_held_out_decision_has_its_reason_and_its_target() -> None:
    rules = policy(rules=replace(Rules(), hold_out=1.0 - 1e-12))
    made = decided(case(), rules)
    assert (made.action, made.held_out, made.reason) == (NONE, True, "hold-out")
    assert made.chosen is None
    assert made.target is not None
    assert set(reasons(made)) >= set(made.eligible)


# --- when a slot is put off ----------------------------------------------------------------------------------------


def test_a_refusal_that_ends_today_moves_the_slot_instead_of_deciding() -> None:
    dnd = standing(presence=Presence(dnd_until=TUESDAY + timedelta(minutes=50)))
    assert postponed(case(dnd), policy()) == TUESDAY + timedelta(minutes=50)
    late = standing(presence=Presence(dnd_until=TUESDAY.replace(hour=17)))
    assert postponed(case(late), policy()) is None
    assert decided(case(late), ALWAYS).reason == "dnd"


def test_spacing_that_ends_in_minutes_moves_the_slot() -> None:
    last = Sent(TIP, TUESDAY - timedelta(hours=48) + timedelta(minutes=20), "t")
    assert postponed(case(standing(sends=(last,))), policy()) == TUESDAY + timedelta(minutes=20)


def test_a_weekend_has_no_decision_point() -> None:
    saturday = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
    moved = postponed(case(now=saturday), policy())
    assert moved is not None
    assert (moved.date(), moved.hour) == (date(2026, 11, 23), 10)


def test_a_holiday_has_no_decision_point() -> None:
    off = standing(holidays=frozenset({TUESDAY.date()}))
    moved = postponed(case(off), policy())
    assert moved is not None
    assert moved.date() == date(2026, 11, 18)


def test_a_goal_that_is_chosen_at_night_is_answered_in_the_morning() -> None:
    night = datetime(2026, 11, 17, 22, 0, tzinfo=UTC)
    assert postponed(case(now=night, point=GOAL_CHOSEN), policy()) == datetime(
        2026, 11, 18, 9, 30, tzinfo=UTC
    )


def test_a_refusal_that_time_alone_does_not_end_is_decided() -> None:
    stopped = standing(
        choices=Preferences("p1", stopped_at=TUESDAY),
        presence=Presence(dnd_until=TUESDAY + timedelta(minutes=5)),
    )
    assert postponed(case(stopped), policy()) is None
    assert decided(case(stopped), ALWAYS).reason == "stopped"


# --- triggers --------------------------------------------------------------------------------------------------------


def test_there_are_eight_triggers_and_each_reads_what_its_metric_is() -> None:
    found = discover(nudges, Trigger)
    assert [each.name for each in found] == [
        "first_weeks",
        "missing_account",
        "missing_amount",
        "no_activity",
        "no_next_step",
        "open_long",
        "past_close_date",
        "stuck_step",
    ]
    assert all(metric in METRICS for each in found for metric in each.reads)
    assert not any("active_day" in each.reads for each in found)  # a login is no reason to speak


@pytest.mark.parametrize("trigger", [t for t in discover(nudges, Trigger) if t.reads], ids=lambda t: t.name)
def test_a_record_trigger_speaks_from_the_first_record_on(trigger: Trigger) -> None:
    metric = trigger.reads[0]
    known = {trigger.behaviour: replace(BEHAVIOURS["account_filled"], id=trigger.behaviour)}
    assert trigger.propose(profile(snapshot={metric: 0.0}), known) is None
    assert trigger.propose(profile(snapshot={}), known) is None
    proposal = trigger.propose(profile(snapshot={metric: 2.0}), known)
    assert proposal is not None
    assert (proposal.count, proposal.metric, proposal.reads) == (2, metric, (metric,))
    assert trigger.propose(profile(snapshot={metric: 2.0}), {}) is None


def test_a_window_of_ones_own_moves_the_slot_into_it() -> None:
    late = standing(choices=Preferences("p1", window_start=time(14), window_end=time(16)))
    slot = attention.slot_on(late, Rules(), TUESDAY.date())
    assert slot is not None
    assert time(14) <= slot.time() <= time(14, 40)


def test_every_reason_that_forbids_a_message_is_kept_and_the_first_one_counts() -> None:
    busy = standing(
        choices=Preferences("p1", paused_until=TUESDAY + timedelta(days=9)), presence=Presence(away=True)
    )
    made = decided(case(busy), ALWAYS)
    assert (made.reason, made.available) == ("paused", False)
    assert set(made.refusals) >= {"paused", "away"}
    assert made.refusals[0] == "paused"


def test_the_release_that_decides_is_the_one_that_is_shipped(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == RELEASE
