"""Each rule switched off in turn: the test that holds it must fail then. `make mutants`, or: mutants.py WORD to run some.

A row of MUTANTS names a rule, how to switch it off (a function of ours is replaced in a process of its own), and the test
that has to notice. Prints rule | test | bites; ends with 1 if a test does not bite, or fails without the switch.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RULES = "tests/unit/test_nudging.py"
PROMISES = "tests/unit/test_planner_properties.py"
STAGES = "tests/unit/test_adoption.py"
SOURCES = "tests/integration/test_sources.py"
SECRETS = "tests/contract/test_secrets.py"
UNKNOWN = "tests/integration/test_unknown_is_never_zero.py"
MATRIX = (
    "tests/acceptance/test_faults.py::test_when_nothing_goes_wrong_every_promise_is_put_to_the_test_and_kept"
)

INFOR = "tests/contract/test_infor.py"
ODOO = "tests/contract/test_odoo.py"
SALESFORCE = "tests/contract/test_salesforce_polls.py"
DYNAMICS = "tests/contract/test_dynamics.py"
RAN = 100
"""What is added to pytest's own code, so that a process that broke is no test that failed."""


@dataclass(frozen=True)
class Mutant:
    """``target``: ``module:function`` of ours, or several with spaces between. ``switch``: the function as it is -> the function without the rule."""

    rule: str
    target: str
    switch: Callable[[Callable[..., Any]], Callable[..., Any]]
    test: str


def without(*reasons: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Switch for functions that yield refusals or reasons: these are left out, by the word before the colon."""

    def switch(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def mutated(*args: Any, **kwargs: Any) -> Iterator[Any]:
            for each in function(*args, **kwargs):
                if getattr(each, "reason", each).partition(":")[0] not in reasons:
                    yield each

        return mutated

    return switch


def forgetful(kept: Any) -> Any:
    """Switch for KeptSpans: it keeps nothing."""
    return type("Forgetful", (kept,), {"most": lambda *_: None})


def always(value: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Switch for any function: it gives this instead."""

    def switch(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def mutated(*_: Any, **__: Any) -> Any:
            return value

        return mutated

    return switch


def _shifted_by_its_zone(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(value: Any, zone: Any) -> Any:
        from bot.connectors.infor.rows import moment_of

        moment = moment_of(value)
        return moment and moment.astimezone(zone).date()

    return mutated


def _without_rows_is_empty(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(answer: Any, decide: Any) -> Any:
        from bot.connectors.infor.answers import Page

        rows = answer.body.get("$resources") if isinstance(answer.body, dict) else None
        return function(answer, decide) if rows else Page([], None)

    return mutated


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    async def mutated(read: Any) -> Any:
        return await read()

    return mutated


def _no_welcome_first(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(case: Any, policy: Any) -> Any:
        from dataclasses import replace

        person = case.standing.person
        if person.welcomed_at is None:
            person = replace(person, welcomed_at=case.now)
        return function(replace(case, standing=replace(case.standing, person=person)), policy)

    return mutated


def _with_features(**changes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Switch for advance: the week looks as if it had these features."""

    def switch(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def mutated(state: Any, features: Any) -> Any:
            from dataclasses import replace

            return function(state, replace(features, **changes))

        return mutated

    return switch


def _without_hysteresis(function: Callable[..., Any]) -> Callable[..., Any]:
    """Switch for advance: one pass promotes, one fail demotes."""

    @functools.wraps(function)
    def mutated(state: Any, features: Any) -> Any:
        from dataclasses import replace

        return function(state and replace(state, passes=1, fails=2), features)

    return mutated


def _first_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def mutated(first: Any, *_: Any) -> Any:
        return first

    return mutated


def _only(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Switch for the choice among places: the draw always names this end of the range."""
    return always(0.0 if what == "none" else 0.999)


def later(value: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Switch for a coroutine function: it gives this instead."""

    def switch(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def mutated(*_: Any, **__: Any) -> Any:
            return value

        return mutated

    return switch


def _post_again(function: Callable[..., Any]) -> Callable[..., Any]:
    async def mutated(_: Any, row: Any, now: Any) -> Any:
        from store.outbox import READY, Settlement

        return "again", Settlement(row.id, READY, None, now), False, None

    return mutated


def _records_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """The number of the message is not compared."""

    def mutated(row: Any, said: Any, count: int, there: Any) -> Any:
        return function(row, said, said.count if count else 0, there)

    return mutated


def _blind_to_the_batch(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(row: Any, known: Any, windows: Any, calendars: Any, earlier: Any, *rest: Any) -> Any:
        return function(row, known, windows, calendars, (), *rest)

    return mutated


def _everybody_in_flight_is_free(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated() -> Any:
        import sqlalchemy as sa

        return sa.false()

    return mutated


def _still_ours(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _uow, rows, _now: frozenset(row.id for row in rows)


def _as_if_repeatable(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda error, **_: function(error, repeatable=True)


def _with_retries(function: Callable[..., Any]) -> Callable[..., Any]:
    import contextlib

    @contextlib.asynccontextmanager
    async def mutated(*arguments: Any, **options: Any) -> Any:
        from dataclasses import replace

        async with function(*arguments, **options) as connection:
            yield replace(connection, writing=connection.reading)

    return mutated


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda text: text


def _wave_of_everybody(function: Callable[..., Any]) -> Callable[..., Any]:
    """The switch is read once, before anything is claimed, and never again."""
    looked: list[Any] = []

    def mutated(uow: Any) -> Any:
        looked.append(function(uow))
        return looked[0]

    return mutated


def _seen_a_day_early(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(uow: Any, now: Any, **rest: Any) -> Any:

        return function(uow, now + timedelta(days=1), **rest)

    return mutated


def _kept_without_asking(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(uow: Any, said: Any) -> Any:
        from dataclasses import replace

        from bot.domain.feedback import KEPT, NAMED

        return function(uow, replace(said, state=KEPT, mode=said.mode or NAMED))

    return mutated


def _anybodys(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(uow: Any, heard: Any) -> Any:
        from store import feedback

        return feedback.get(uow, heard.value)

    return mutated


def _alone_with_the_address(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda person, found, _sharing: function(person, found, ())


def _any_account(_: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(account: Any, by: str) -> Any:
        from bot.domain.matching import Tie
        from bot.domain.people import MATCHED

        return Tie(MATCHED, account.id, by)

    return mutated


def _nobody_ever_left(function: Callable[..., Any]) -> Callable[..., Any]:
    def mutated(people: Any, *rest: Any) -> Any:
        from dataclasses import replace

        return function([replace(each, active=True) for each in people], *rest)

    return mutated


def _as_the_crm_says(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda bosses: ({who: boss for who, boss in bosses.items() if boss in bosses}, ())


ATTENTION = "bot.domain.attention:refusals"
HEARING = "tests/integration/test_hearing.py"
WORDS = "tests/integration/test_words.py"
USAGE = "tests/integration/test_usage_store.py"
GATE = "tests/integration/test_gate.py"
WHO = "tests/unit/test_matching.py"
WHO_KEPT = "tests/integration/test_matching_store.py"
SCIM = "tests/contract/test_scim.py"
DELIVERY = "tests/integration/test_delivery.py"
MESSENGER = "tests/contract/test_messenger.py"
MUTANTS = [
    Mutant("weekly cap", ATTENTION, without("weekly-cap", "cap-zero"), f"{PROMISES}::test_never_over_the_cap_in_any_seven_days"),
    Mutant("48 hours apart", ATTENTION, without("spacing", "back-off"), f"{PROMISES}::test_two_days_lie_between_messages_unless_the_second_was_asked_for"),
    Mutant("no tip before the welcome", "bot.domain.nudging:consider", _no_welcome_first, f"{PROMISES}::test_nothing_before_the_welcome_and_never_two_welcomes"),
    Mutant("only the welcome may come before the welcome", ATTENTION, without("not-welcomed"), "tests/unit/test_attention.py::test_nothing_but_the_welcome_goes_to_a_person_who_was_not_welcomed"),
    Mutant("send window", "bot.domain.nudging:postponed", always(None), f"{PROMISES}::test_every_decision_has_a_reason_or_an_action_and_sound_probabilities"),
    Mutant("quiet hours at the gate", ATTENTION, without("outside-window"), "tests/unit/test_attention.py::test_zero_sends_outside_the_window_over_ninety_days_with_both_clock_changes"),
    Mutant("do not disturb", ATTENTION, without("dnd"), f"{PROMISES}::test_never_outside_the_window_or_on_a_day_off"),
    Mutant("working days", "bot.domain.attention:is_working_day", always(True), f"{PROMISES}::test_never_outside_the_window_or_on_a_day_off"),
    Mutant("ceiling", "bot.domain.nudging:behaviour_objections", without("at-target"), f"{PROMISES}::test_never_to_somebody_at_target_or_on_data_that_may_not_be_read"),
    Mutant("open barrier", "bot.domain.nudging:behaviour_objections", without("barrier-open"), f"{PROMISES}::test_never_on_a_behaviour_with_an_open_barrier"),
    Mutant("coin window", "bot.domain.nudging:behaviour_objections", without("coin-window"), f"{PROMISES}::test_a_behaviour_is_drawn_once_a_week_and_a_text_sent_twice_in_28_days"),
    Mutant("distance after a hold-out", "bot.domain.nudging:tip_refusals", without("coin-window"), f"{RULES}::test_both_arms_close_the_same_for_as_long"),
    Mutant("stale readings", "bot.domain.nudging:is_stale", always(False), f"{PROMISES}::test_never_to_somebody_at_target_or_on_data_that_may_not_be_read"),
    Mutant("the same text twice at most", "bot.domain.nudging:tip_objections", without("same-text"), f"{RULES}::test_the_same_text_at_most_twice_in_28_days"),
    Mutant("declared goal", "bot.domain.nudging:tip_objections", without("not-your-goal"), f"{PROMISES}::test_tips_serve_the_declared_goal_and_no_tip_comes_back_that_was_refused"),
    Mutant("not for me", "bot.domain.nudging:tip_objections", without("not-for-me"), f"{PROMISES}::test_tips_serve_the_declared_goal_and_no_tip_comes_back_that_was_refused"),
    Mutant("expired tips", "bot.domain.nudging:tip_objections", without("expired"), f"{RULES}::test_an_expired_tip_is_not_sent"),
    Mutant("first tip on own records", "bot.domain.nudging:trigger_objections", without("first-tip-on-own-records"), f"{RULES}::test_a_first_tip_is_about_the_present_state_of_own_records"),
    Mutant("own records, when there are any", "bot.domain.nudging:has_nothing_open", always(False), f"{RULES}::test_who_has_no_open_deals_is_not_kept_from_a_first_tip_for_ever"),
    Mutant("not known is not nothing open", "bot.domain.nudging:has_nothing_open", always(True), f"{RULES}::test_who_has_no_open_deals_is_not_kept_from_a_first_tip_for_ever"),
    Mutant("rest after not for me", "bot.domain.nudging:trigger_objections", without("rests-after-not-for-me"), f"{RULES}::test_not_for_me_is_for_ever_and_rests_the_trigger"),
    Mutant("no data is never no use", "bot.domain.nudging:data_objections bot.domain.nudging:behaviour_objections", without("no-data"), f"{PROMISES}::test_never_to_somebody_at_target_or_on_data_that_may_not_be_read"),
    Mutant("cooldown after a tip", "bot.domain.nudging:behaviour_objections", without("cooldown"), f"{RULES}::test_a_tip_that_was_asked_for_closes_its_behaviour_for_a_week"),
    Mutant("a slot is not decided twice", "store.decisions:existing", always(frozenset()), "tests/integration/test_planning.py::test_planning_twice_decides_once"),
    Mutant("an outcome needs coverage", "store.decisions:covered_share", always(1.0), "tests/integration/test_stages_and_outcomes.py::test_an_outcome_without_coverage_stays_empty_and_is_never_zero"),
    Mutant("uncovered weeks hold a stage", "bot.domain.adoption:advance", _with_features(covered=True), f"{STAGES}::test_missing_data_never_lowers_a_stage"),
    Mutant("too few behaviours hold a stage", "bot.domain.adoption:advance", _with_features(breadth=0.0), f"{STAGES}::test_missing_data_never_lowers_a_stage"),
    Mutant("holidays skip a week", "bot.domain.adoption:advance", _with_features(skipped=False), f"{STAGES}::test_a_week_of_holidays_is_skipped_not_zeroed"),
    Mutant("two passes, three fails", "bot.domain.adoption:advance", _without_hysteresis, f"{STAGES}::test_three_fails_in_a_row_demote_by_one_step"),
    Mutant("better day", "bot.domain.attention:wait_for_a_better_day", always(False), f"{RULES}::test_monday_waits_for_a_better_day"),
    Mutant("a week without a better day", "bot.domain.attention:wait_for_a_better_day", always(True), f"{RULES}::test_in_a_week_without_a_better_day_the_others_will_do"),
    Mutant("one place kept for tips, beside a welcome", ATTENTION, without("place-kept-for-tips"), f"{RULES}::test_the_welcome_does_not_use_up_the_place_kept_for_tips"),
    Mutant("one place kept for tips", ATTENTION, without("place-kept-for-tips"), f"{RULES}::test_one_of_two_places_is_kept_for_a_tip"),
    Mutant("six ignored: silence", ATTENTION, without("ignored-pause"), f"{RULES}::test_after_six_ignored_messages_it_asks_once_and_then_is_silent"),
    Mutant("ask once", "bot.domain.attention:asked_to_go_on", always(False), f"{RULES}::test_after_six_ignored_messages_it_asks_once_and_then_is_silent"),
    Mutant("three ignored: half as often", "bot.domain.attention:ignored_in_a_row", always(0), f"{RULES}::test_three_ignored_messages_double_the_interval"),
    Mutant("pause", ATTENTION, without("paused"), "tests/unit/test_attention.py::test_who_paused_or_stopped_gets_nothing_until_they_say_so"),
    Mutant("stop", ATTENTION, without("stopped"), "tests/unit/test_attention.py::test_who_paused_or_stopped_gets_nothing_until_they_say_so"),
    Mutant("kinds switched off", ATTENTION, without("kind-off"), "tests/unit/test_attention.py::test_a_kind_that_was_switched_off_is_not_sent"),
    Mutant("recent load", ATTENTION, without("recent-load"), "tests/unit/test_attention.py::test_who_got_much_today_gets_nothing_unasked"),
    Mutant("pilot teams only", ATTENTION, without("not-in-pilot"), f"{RULES}::test_nobody_is_welcomed_who_may_not_be_written_to"),
    Mutant("matched people only", ATTENTION, without("not-matched"), f"{RULES}::test_nobody_is_welcomed_who_may_not_be_written_to"),
    Mutant("fair coin", "bot.domain.nudging:draw", _only("tip"), f"{RULES}::test_the_coin_is_fair"),
    Mutant("fair hold-out", "bot.domain.nudging:draw", _only("none"), f"{RULES}::test_the_coin_is_fair"),
    Mutant("still true when looked up", "bot.domain.nudging:substantiate", _first_argument, f"{RULES}::test_the_records_are_looked_up_before_the_coin"),
    Mutant("gate: everything the planner asks", "bot.services.gate_outbox:_judge", always(None), f"{GATE}::test_what_may_not_go_now_is_held_with_its_reason_until_it_may"),
    Mutant("gate: reasons that stay", "bot.services.gate_outbox:_judge", always(None), f"{GATE}::test_what_will_not_change_by_waiting_is_dropped_with_its_reason"),
    Mutant("gate: still true", "bot.services.gate_outbox:_still_true", later({}), f"{GATE}::test_a_message_whose_record_is_mended_meanwhile_is_dropped_as_stale_and_its_decision_says_so"),
    Mutant("gate: the number is still true", "bot.services.gate_outbox:_says_what_is", _records_alone, f"{GATE}::test_a_message_whose_number_is_not_true_any_more_is_dropped_as_stale"),
    Mutant("gate: a silent CRM holds", "bot.services.gate_outbox:_still_true", later({}), f"{GATE}::test_while_the_crm_does_not_answer_a_message_is_held_and_in_the_end_it_expires"),
    Mutant("gate: do not disturb, now", "bot.services.gate_outbox:_do_not_disturb", later(({}, {})), f"{GATE}::test_do_not_disturb_holds_until_it_ends"),
    Mutant("gate: expiry", "bot.services.gate_outbox:_own_no", always(None), f"{GATE}::test_an_expired_message_is_dropped"),
    Mutant("gate: somebody else's account", "bot.services.gate_outbox:_own_no", always(None), f"{GATE}::test_what_will_not_change_by_waiting_is_dropped_with_its_reason"),
    Mutant("gate: not for me", "bot.services.gate_outbox:_own_no", always(None), f"{GATE}::test_what_is_not_for_them_is_dropped_even_when_it_was_queued_before"),
    Mutant("gate: earlier in the batch counts", "bot.services.gate_outbox:_judge", _blind_to_the_batch, f"{GATE}::test_of_two_messages_in_one_batch_the_second_counts_the_first"),
    Mutant("the switch", "store.control:stopped", always(None), f"{GATE}::test_the_switch_holds_everything_and_lets_it_go"),
    Mutant("the switch, in mid-batch", "store.control:stopped", _wave_of_everybody, f"{GATE}::test_the_switch_stops_a_batch_that_is_under_way"),
    Mutant("one sender a person", "store.outbox:_in_flight", _everybody_in_flight_is_free, f"{DELIVERY}::test_all_due_rows_of_a_person_are_claimed_together_and_none_while_one_is_in_flight"),
    Mutant("look before posting again", "bot.services.reconcile_outbox:_look", _post_again, f"{DELIVERY}::test_a_lost_answer_is_looked_for_and_the_message_is_not_posted_again"),
    Mutant("look after a crash", "bot.services.reconcile_outbox:_look", _post_again, f"{DELIVERY}::test_wherever_the_process_dies_every_message_is_seen_exactly_once"),
    Mutant("a claim that grew old is not sent", "store.outbox:renew", _still_ours, f"{DELIVERY}::test_what_was_taken_for_crashed_while_the_crm_was_slow_is_not_posted_by_the_slow_one"),
    Mutant("doubt is not a no", "bot.delivery.faults:translate", _as_if_repeatable, f"{MESSENGER}::test_an_answer_lost_after_the_post_is_uncertain_posted_once_and_found"),
    Mutant("the writing client repeats nothing", "bot.delivery.slack:connect", _with_retries, f"{MESSENGER}::test_an_answer_lost_after_the_post_is_uncertain_posted_once_and_found"),
    Mutant("plain text calls nobody", "bot.rendering:escape", _as_it_is, "tests/unit/test_blocks.py::test_the_plain_text_calls_nobody"),
    Mutant("the door: kept before answered", "bot.handlers.errors:keep", later(True), "tests/integration/test_door.py::test_what_could_not_be_kept_is_not_answered_200"),
    Mutant("the door: our own messages", "bot.handlers.payloads:is_our_own", always(False), "tests/integration/test_door.py::test_our_own_messages_and_those_of_bots_are_not_kept"),
    Mutant("hearing: in order", "store.inbox:_older_waits", _everybody_in_flight_is_free, f"{HEARING}::test_what_one_person_said_is_worked_in_the_order_in_which_they_said_it"),
    Mutant("hearing: the work once, the showing again", "store.inbox:worked", always(None), f"{HEARING}::test_a_worker_that_dies_before_showing_leaves_it_to_the_next"),
    Mutant("hearing: barrier freeze", "store.barriers:open_barrier", always("b"), f"{HEARING}::test_something_in_the_way_freezes_that_behaviour_for_that_person_at_once"),
    Mutant("hearing: what waits on a barrier", "store.outbox:withdraw", always(0), f"{HEARING}::test_a_reminder_about_what_is_in_the_way_is_withdrawn"),
    Mutant("hearing: what waits of a tip that is not for them", "store.outbox:withdraw", always(0), f"{HEARING}::test_not_for_me_takes_back_what_waits_of_that_tip_and_no_reminder_of_it_is_promised"),
    Mutant("hearing: the silence stays without the words", "store.barriers:by_feedback", always(None), f"{WORDS}::test_words_nobody_chose_a_mode_for_are_deleted_after_seven_days_with_a_word_to_their_author"),
    Mutant("hearing: notice before the first reply", "store.feedback:add", _kept_without_asking, f"{WORDS}::test_before_the_first_reply_is_kept_its_author_reads_who_will_see_it"),
    Mutant("hearing: ten minutes", "store.feedback:visible", _seen_a_day_early, f"{WORDS}::test_for_ten_minutes_nobody_else_sees_it"),
    Mutant("hearing: one's own words only", "bot.services.choose_mode:_mine", _anybodys, f"{WORDS}::test_nobody_chooses_or_deletes_for_somebody_else"),
    Mutant("hearing: stop is obeyed", "bot.domain.intents:_is_stop", always(False), f"{WORDS}::test_stop_is_obeyed_and_never_filed"),
    Mutant("hearing: stop withdraws reminders", "store.outbox:withdraw", always(0), f"{WORDS}::test_stop_is_obeyed_and_never_filed"),
    Mutant("export: the mode", "bot.services.export_feedback:_is_named", always(True), f"{WORDS}::test_an_export_follows_the_mode"),
    Mutant("release: who could speak", "bot.services.release_confidential:could_speak", always(True), f"{WORDS}::test_the_team_stands_there_only_if_k_of_those_who_could_speak_are_in_it"),
    Mutant("release: what is hidden hides enough", "bot.domain.privacy:showable", lambda _: lambda groups, **_rules: frozenset(groups), f"{WORDS}::test_a_behaviour_stands_beside_a_team_only_where_ten_share_them"),
    Mutant("release: only finished weeks", "bot.services.release_confidential:_monday", lambda _: lambda at: at, f"{WORDS}::test_confidential_words_never_come_alone_nor_in_their_week"),
    Mutant("export: name with stage", "bot.services.export_feedback:_may_see_name_with_stage", always(True), f"{WORDS}::test_a_name_and_a_stage_together_are_for_the_privacy_officer"),
    Mutant("export: formulas", "bot.services.export_feedback:_harmless", _as_it_is, f"{WORDS}::test_a_spreadsheet_runs_nothing_of_what_people_wrote"),
    Mutant("export: in the audit log", "store.audit:append", always(0), f"{WORDS}::test_every_export_leaves_a_row_in_the_audit_log"),
    Mutant("coverage: a failure unsays no day that is over", "store.usage:_over", always(datetime.max.replace(tzinfo=UTC)), f"{USAGE}::test_a_failure_does_not_unsay_a_day_that_was_read_well_once_it_was_over"),
    Mutant("coverage: a failure today is said", "store.usage:_over", always(datetime(1, 1, 2, tzinfo=UTC)), f"{USAGE}::test_one_query_that_fails_silences_today_and_keeps_the_days_before"),
    Mutant("coverage: what was denied is read once granted", "store.usage:owed_since", always(None), f"{USAGE}::test_days_that_were_denied_are_read_once_the_right_is_granted"),
    Mutant("coverage: what failed is read again once it can be", "store.usage:owed_since", always(None), f"{USAGE}::test_a_day_that_failed_is_read_again_when_no_poll_asks_for_it_any_more"),
    Mutant("steered time: no page in a browser", "bot.handlers.http:_is_program_here", always(True), "tests/integration/test_door.py::test_no_page_in_a_browser_moves_the_clock_or_looks_inside"),
    Mutant("who is who: the identity file", "bot.domain.matching:_by_override", lambda _: lambda *_given: ({}, []), f"{WHO}::test_the_identity_file_goes_before_single_sign_on_and_that_before_the_address"),
    Mutant("who is who: single sign-on", "bot.domain.matching:_by_sso", always(None), f"{WHO}::test_the_identity_file_goes_before_single_sign_on_and_that_before_the_address"),
    Mutant("who is who: a shared address is nobody's", "bot.domain.matching:_by_email", _alone_with_the_address, f"{WHO}::test_nobody_is_tied_because_they_are_the_one_who_is_left_over"),
    Mutant("who is who: an account is one person's", "bot.domain.matching:_settled", always({}), f"{WHO}::test_only_who_is_active_is_tied_to_one_living_member_whom_a_step_names"),
    Mutant("who is who: no guest, bot or deactivated account", "bot.domain.matching:_reached", _any_account, f"{WHO}::test_no_step_ties_to_a_guest_a_bot_or_a_deactivated_account"),
    Mutant("who is who: an unclear line ties nobody", "bot.domain.matching:_doubt", always(""), f"{WHO}::test_an_id_that_two_crms_have_needs_its_source"),
    Mutant("who is who: leavers are not reached", "bot.domain.matching:match", _nobody_ever_left, f"{WHO_KEPT}::test_leavers_and_those_whom_the_crm_stops_listing_are_not_reached"),
    Mutant("who is who: a stop follows the human", "store.matching:_hand_over_choices", always(None), f"{WHO_KEPT}::test_who_said_stop_stays_stopped_when_another_crm_takes_over"),
    Mutant("who is who: only accounts that are named are kept", "store.people:_ours", lambda _: lambda _uow, rows, *_rest: set(rows), f"{WHO_KEPT}::test_only_accounts_that_somebody_names_are_kept_of_slack"),
    Mutant("who is who: what is not said stays", "store.people:_sso_ids", always(None), f"{WHO_KEPT}::test_what_a_reading_does_not_say_of_single_sign_on_stays_and_what_it_denies_goes"),
    Mutant("who is who: a silent SCIM denies nothing", "bot.delivery.directory:_with_sso_ids", lambda function: lambda member, known: function(member, known or {}), f"{SCIM}::test_while_scim_does_not_answer_slacks_users_are_read_and_their_ids_left_as_they_were"),
    Mutant("who is who: a handle proves nothing", "bot.delivery.scim:names_of", lambda _: lambda row: (row["userName"],), f"{SCIM}::test_who_has_no_id_is_absent_and_a_handle_is_none"),
    Mutant("managers: nobody is their own", "bot.domain.people:without_circles", _as_the_crm_says, f"{WHO}::test_nobody_is_their_own_manager_by_any_way_and_every_other_tie_stays"),
    Mutant("coverage: no trigger reads what is not well read", "bot.domain.nudging:data_objections bot.domain.nudging:behaviour_objections", without("no-data"), f"{UNKNOWN}::test_no_trigger_reads_a_number_that_is_not_well_read"),
    Mutant("coverage: a stage waits for what it was made of", "bot.services.assess_stages:_was_read", always(False), f"{UNKNOWN}::test_a_stage_stays_while_what_it_was_made_of_is_not_read"),
    Mutant("coverage: the gate takes no refusal for a mended record", "bot.services.gate_outbox:_still_true", later({}), f"{UNKNOWN}::test_the_gate_takes_no_refusal_for_a_record_that_is_mended"),
    Mutant("coverage: no outcome of days that were not read", "store.decisions:covered_share", always(1.0), f"{UNKNOWN}::test_an_outcome_is_empty_where_its_days_were_not_read"),
    Mutant("sources: no secret in a rehearsal", "bot.commands:_without bot.connectors.rehearsal:_without_key", lambda _: lambda asked, *_rest: asked, f"{SECRETS}::test_a_rehearsal_shows_what_would_be_asked_for_everybody_and_no_secret"),
    Mutant("sources: older weeks are read whole", "bot.commands:_first_to_read", lambda _: lambda since, _through: since, f"{SOURCES}::test_a_poll_from_a_day_on_reads_from_that_day_and_older_weeks_whole"),
    Mutant("sources: what does not work is not kept", "bot.commands:_try", later(None), f"{SOURCES}::test_what_does_not_work_is_not_kept"),
    Mutant("sources: keys that others may read are said", "bot.vault:is_open_to_others", always(False), f"{SOURCES}::test_a_file_of_keys_that_others_may_read_is_said"),
    Mutant("seen from outside: stop", ATTENTION, without("stopped"), MATRIX),
    Mutant("seen from outside: pause", ATTENTION, without("paused"), MATRIX),
    Mutant("seen from outside: barrier freeze", f"{ATTENTION} bot.domain.nudging:behaviour_objections", without("barrier-open"), MATRIX),
    Mutant("seen from outside: 48 hours apart", ATTENTION, without("spacing", "back-off"), MATRIX),
    Mutant("Infor CRM: a date that is meant as one is not shifted", "bot.connectors.infor.rows:calendar_day", _shifted_by_its_zone, f"{INFOR}::test_a_date_that_is_meant_as_one_is_the_same_everywhere"),
    Mutant("Infor CRM: an error with 200 is no empty list", "bot.connectors.infor.answers:page_of", _without_rows_is_empty, f"{INFOR}::test_a_refusal_is_a_status_and_never_zero"),
    Mutant("Infor CRM: a list that moved is read again", "bot.connectors.infor.lists:twice", _once, f"{INFOR}::test_a_list_without_order_that_moves_is_read_again_and_then_not_believed"),
    Mutant("Infor CRM: errors are read in XML and JSON", "bot.connectors.infor.answers:diagnoses_of", always([]), f"{INFOR}::test_a_refusal_is_a_status_and_never_zero"),
    Mutant("Infor CRM: only ids stand in a condition", "bot.connectors.infor.rows:is_id", always(True), f"{INFOR}::test_many_owners_are_asked_about_in_few_requests_and_strange_ones_in_none"),
    Mutant("Dynamics 365: what is too much is asked for less", "bot.connectors.dynamics.answers:_of_code", always(None), f"{DYNAMICS}::test_more_rows_than_may_be_counted_are_counted_for_shorter_spans"),
    Mutant("Dynamics 365: who was deleted is gone", "bot.connectors.dynamics.answers:is_gone", always(""), f"{DYNAMICS}::test_after_the_first_time_only_what_has_changed_of_people_is_read"),
    Mutant("Dynamics 365: machines are nobody", "bot.connectors.dynamics.rows:_is_no_person", always(False), f"{DYNAMICS}::test_who_cannot_work_in_the_crm_is_not_active_and_machines_are_nobody"),
    Mutant("Dynamics 365: the paging cookie goes along", "bot.connectors.dynamics.answers:_cookie", always(""), f"{DYNAMICS}::test_more_groups_than_a_page_are_all_read"),
    Mutant("Dynamics 365: a session is renewed in time", "bot.connectors.dynamics.answers:_lasts", always(None), f"{DYNAMICS}::test_a_session_is_renewed_before_it_ends_and_once_when_it_is_refused"),
    Mutant("Dynamics 365: an activity of 30 days ago is none of now", "bot.connectors.open_records:quiet_day", lambda _: lambda today: today, f"{DYNAMICS}::test_every_number_is_that_of_a_recount_however_the_server_counts"),
    Mutant("Salesforce: a history without rows may be off", "bot.connectors.salesforce.poll:_is_kept", always(True), "tests/contract/test_salesforce.py::test_zero_is_said_for_everybody_who_is_listed_where_the_crm_has_spoken"),
    Mutant("Salesforce: what is forecast a month ago is no quota", "bot.connectors.salesforce.poll:running_period", lambda _: lambda starts, today: max((day for day in starts if day <= today), default=None), f"{SALESFORCE}::test_a_quota_is_that_of_the_running_period"),
    Mutant("Salesforce: a close date moved earlier is no push", "bot.connectors.salesforce.poll:pushed", lambda _: lambda row: date.fromisoformat(str(row["CreatedDate"])[:10]), "tests/contract/test_salesforce.py::test_every_number_is_that_of_a_recount_in_sql"),
    Mutant("days that nobody read stay owed", "bot.services.poll_crm:_gap", always(None), "tests/integration/test_many_sources.py::test_days_that_since_leaves_out_are_read_by_the_next_poll"),
    Mutant("Salesforce: a deal closes on the day of its last change of stage", "bot.connectors.salesforce.queries:_closed_on", lambda _: lambda row: date.fromisoformat(str(row["CloseDate"])), "tests/contract/test_salesforce_polls.py::test_a_deal_that_is_won_counts_once_however_its_close_date_lies_and_whichever_days_are_read"),
    Mutant("Salesforce: what was entered as won counts on the day of its entry", "bot.connectors.salesforce.queries:_closed_on", lambda _: lambda row: date.fromisoformat(str(row.get("d") or row["CloseDate"])), "tests/contract/test_salesforce_polls.py::test_a_deal_that_is_won_counts_once_however_its_close_date_lies_and_whichever_days_are_read"),
    Mutant("Salesforce: history that was imported counts on its close date", "bot.connectors.salesforce.queries:_closed_on", lambda _: lambda row: date.fromisoformat(str(row.get("d") or row["begun"])), f"{SALESFORCE}::test_history_that_was_imported_as_won_counts_on_its_close_date_once"),
    Mutant("Salesforce: a question that takes too long again and again is left", "bot.connectors.salesforce.poll:_is_hopeless", always(False), f"{SALESFORCE}::test_a_question_that_takes_too_long_again_and_again_is_left_and_begins_smaller_next_time"),
    Mutant("CRM: what took too long is not tried again for a while", "bot.connectors.kept:KeptSpans", forgetful, f"{SALESFORCE}::test_a_query_that_is_not_answered_in_time_is_asked_for_fewer_days"),
    Mutant("Salesforce: what is told tomorrow is known of all days of a poll", "bot.connectors.salesforce.queries:by_days", lambda asked: lambda question: asked(question).replace("{first}", "{last}"), f"{SALESFORCE}::test_in_parts_too_what_is_told_tomorrow_and_what_is_not_kept_is_not_taken_for_nothing"),
    Mutant("Salesforce: a login that failed is no day of work", "bot.connectors.salesforce.poll:by_a_person", always(True), f"{SALESFORCE}::test_a_crowd_is_asked_otherwise_and_counted_alike"),
    Mutant("Salesforce: rights that are not shown make numbers a part", "bot.connectors.salesforce.poll:_of_records", always(frozenset()), "tests/contract/test_salesforce_rights.py::test_an_answer_that_says_nothing_of_our_rights_makes_no_number_that_may_be_read"),
    Mutant("Salesforce: while rights cannot be asked for nothing of theirs is read", "bot.connectors.salesforce.poll:_of_records", always(frozenset()), "tests/contract/test_salesforce_rights.py::test_while_our_rights_cannot_be_asked_for_nothing_that_they_govern_is_read_or_asked"),
    Mutant("Salesforce: a LIKE that is refused is asked plainly", "bot.connectors.salesforce.poll:_is_misunderstood", always(False), "tests/contract/test_salesforce_refused.py::test_where_like_may_not_filter_the_same_is_counted_plainly"),
    Mutant("Salesforce: a quiet day is no missing right", "bot.connectors.salesforce.poll:_are_ours", always(True), "tests/contract/test_salesforce.py::test_a_quiet_weekend_is_no_missing_right"),
    Mutant("Salesforce: what travels together may go alone", "bot.connectors.salesforce.courier:_parts", always(None), f"{SALESFORCE}::test_a_poll_of_two_thousand_busy_people_takes_forty_calls_at_most"),
    Mutant("Salesforce: a group that comes twice is one", "bot.connectors.salesforce.courier:_group", lambda _: lambda _question, row: (str(id(row)),), f"{SALESFORCE}::test_groups_in_another_order_than_ours_are_each_counted_once"),
    Mutant("Odoo: what a day is called is not read", "bot.connectors.odoo.answers:_start_of", lambda _: lambda group, spec: (group.get(spec) or [None])[-1] if isinstance(group.get(spec), list) else group.get(spec), f"{ODOO}::test_labels_of_groups_are_never_read"),
    Mutant("Odoo: an app that is not installed is no failure", "bot.connectors.odoo.answers:_names_model", always(False), f"{ODOO}::test_a_refusal_costs_the_metrics_that_need_it_and_nothing_else"),
    Mutant("Odoo: who sees only their own deals sees no deals", "bot.connectors.odoo.poll:check_leads", later(None), f"{ODOO}::test_who_sees_only_their_own_opportunities_has_no_zeros_of_everybody_s"),
    Mutant("Odoo: a right to everybody's deals is one without any", "bot.connectors.odoo.rights:_has_group", later(False), f"{ODOO}::test_a_crm_without_deals_has_zeros_for_who_would_see_them"),
    Mutant("Odoo: every company is ours", "bot.connectors.odoo.rights:_check_companies", later(None), f"{ODOO}::test_deals_of_a_company_that_is_not_ours_are_no_zeros"),
    Mutant("Odoo: some of the others' deals are all of them", "bot.connectors.odoo.rights:_has_group", later(True), f"{ODOO}::test_who_sees_some_of_the_others_deals_does_not_see_all"),
    Mutant("Odoo: changes of long ago are those of their day", "bot.connectors.odoo.poll:is_fresh", always(True), f"{ODOO}::test_reading_ninety_days_again_leaves_the_changes_that_were_seen_on_their_day"),
    Mutant("Odoo: what is created is not changed too", "bot.connectors.odoo.queries:_is_older", always(True), f"{ODOO}::test_every_number_is_that_of_a_recount_of_the_records"),
    Mutant("Odoo: dates that are not tracked were not moved", "bot.connectors.odoo.poll:_check_tracked", later(None), f"{ODOO}::test_date_changes_need_tracking_and_a_right"),
    Mutant("Odoo: what a secret protects is hidden in a rehearsal", "bot.connectors.rehearsal:_without_key", lambda _: lambda body: body, f"{ODOO}::test_a_rehearsal_shows_every_query_and_no_key"),
]  # fmt: skip


def switch_off(mutant: Mutant) -> None:
    """Replace the function in its module, and wherever it was imported by name."""
    for target in mutant.target.split():
        module_name, _, name = target.partition(":")
        function = getattr(importlib.import_module(module_name), name)
        mutated = mutant.switch(function)
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith(("bot.", "store.")):
                for key, value in list(vars(module).items()):
                    if value is function:
                        setattr(module, key, mutated)


def run_here(index: int) -> int:
    """Run the test of one mutant in this process, with its rule switched off. Returns pytest's code."""
    import pytest
    from hypothesis import Phase, settings

    class NoShrinking:
        """That a test fails is enough; the smallest example of it would take minutes."""

        @pytest.hookimpl(trylast=True)
        def pytest_configure(self) -> None:
            phases = (Phase.explicit, Phase.generate)
            settings.register_profile(
                "mutants", deadline=None, derandomize=True, database=None, phases=phases
            )
            settings.load_profile("mutants")

    mutant = MUTANTS[index]
    # Test modules import by name: they have to find the mutated function there.
    importlib.import_module("tests.builders")
    switch_off(mutant)
    # Hypothesis is imported before pytest looks at it; that its asserts are not rewritten is nothing to stop for.
    options = ["-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, str(REPOSITORY / mutant.test)], plugins=[NoShrinking()]))


def _start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "CI": "1", "PYTHONPATH": str(REPOSITORY)},
    )


def _bites(index: int) -> bool:
    """Whether its test fails. Raises RuntimeError when the test did not run: that would say nothing."""
    done = _start(str(Path(__file__)), f"--only={index}")
    if done.returncode not in (RAN, RAN + 1):
        raise RuntimeError(
            f"{MUTANTS[index].rule}: the test did not run\n{(done.stderr or done.stdout)[-2000:]}"
        )
    return done.returncode == RAN + 1


def main(words: list[str]) -> int:
    """Run the mutants whose rule or test names one of the words (none: all)."""
    chosen = [
        index
        for index, mutant in enumerate(MUTANTS)
        if not words or any(word in mutant.rule or word in mutant.test for word in words)
    ]
    tests = sorted({MUTANTS[index].test for index in chosen})
    sound = _start("-m", "pytest", "-q", "--no-header", *tests)
    if sound.returncode != 0:
        print(sound.stdout)
        print("These tests fail with every rule in force; mutants say nothing about them.")
        return 1
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_bites, chosen))
    width = max((len(MUTANTS[index].rule) for index in chosen), default=0)
    for index, bites in zip(chosen, found, strict=True):
        mutant = MUTANTS[index]
        print(f"{mutant.rule:{width}} | {mutant.test.partition('::')[2]} | {'yes' if bites else 'NO'}")
    print(f"{sum(found)} of {len(found)} rules are held by a test that bites.")
    return 0 if all(found) else 1


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("--only="):
        sys.exit(RAN + run_here(int(sys.argv[1].removeprefix("--only="))))
    sys.exit(main(sys.argv[1:]))
