"""Nudging: from evidence to one decision. Types here; :func:`decide` is the one planner for every kind of message."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from bot.domain import attention
from bot.domain.attention import Refusal, Standing
from bot.domain.behaviours import Behaviour, Shown
from bot.domain.messages import BACK_OFF, KINDS, TIP, WELCOME
from bot.domain.programme import Rules
from bot.domain.tips import Tip
from bot.domain.usage import METRICS, CoverageStatus, MetricKind, RecordRef

RELEASE = "0.1.0"
"""The version of the code that decides, as in pyproject.toml; kept with every decision."""
PLANNER_VERSION = 1
"""Version of the rules on this page; part of every draw's key."""
NONE = "none"
SLOT = "slot"
GOAL_CHOSEN = "goal_chosen"
"""The person has just said what they want: the tip at this decision point was asked for, so no coin decides."""
SAME_TEXT_DAYS = 28
REST_DAYS = 14
"""After "Not for me" the whole trigger rests this long."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A person's use of the CRM as of a day: what every trigger and rule reads, and nothing else.

    ``snapshot``: state metrics as of ``day``; ``sums_28d``: event metrics.
    ``coverage``: per metric, the worst status over the days that the profile reads; a metric that is absent is
    ``unsupported``. ``meaningful_28d``: meaningful days M; ``workdays_28d``: the person's working days in that time.
    """

    person: str
    role: str
    day: date
    snapshot: Mapping[str, float]
    sums_28d: Mapping[str, float]
    coverage: Mapping[str, CoverageStatus]
    meaningful_28d: int
    workdays_28d: int
    weeks_since_access: int | None
    stage: str | None = None

    def known(self, *metrics: str) -> bool:
        """Whether all these metrics may be read (coverage ``ok``). No data is never no use."""
        return all(self.coverage.get(metric) is CoverageStatus.OK for metric in metrics)

    @property
    def l20(self) -> float:
        """Meaningful days in 20 working days, rescaled for part-time and absence."""
        return 20.0 * self.meaningful_28d / self.workdays_28d if self.workdays_28d else 0.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a trigger found: a reason to speak, with the metric and the count that make it timely.

    ``metric`` names the records to read (``Connector.evidence``), None when the message names no records.
    ``coin``: whether a coin decides (False: it was asked for, or it is no nudge).
    """

    trigger: str
    version: int
    behaviour: str
    count: int
    metric: str | None
    reads: tuple[str, ...]
    """Metrics that were read: shown under "Why this?" and checked against coverage."""


Propose = Callable[[Profile, Mapping[str, Behaviour]], Proposal | None]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes a tip timely: one file in bot/nudges/ each, found by its type.

    ``behaviour``: what it is about, "" when each of its tips says so. ``reads``: metrics that ``propose`` looks at; it is
    asked only when all of them are known (coverage ``ok``) and fresh. ``own_records``: it speaks of the present state of
    the person's own records, as a first tip has to. ``propose`` is pure: profile and behaviours in force in, a reason to
    speak or None out.
    """

    name: str
    version: int
    behaviour: str
    reads: tuple[str, ...]
    propose: Propose
    own_records: bool = True


def about_records(*, name: str, version: int, behaviour: str, metric: str) -> Trigger:
    """A trigger that speaks as soon as ``metric`` counts one of the person's own records out of order.

    How many are tolerable is the behaviour's ``tolerance``, and with it the ceiling's affair, not the trigger's.
    """

    def propose(profile: Profile, behaviours: Mapping[str, Behaviour]) -> Proposal | None:
        count = int(profile.snapshot.get(metric, 0))
        if count < 1 or behaviour not in behaviours:
            return None
        return Proposal(name, version, behaviour, count, metric, (metric,))

    return Trigger(name, version, behaviour, (metric,), propose)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records that a message names, as the CRM had them ``as_of``. ``count``: how many there are in all."""

    metric: str
    count: int
    records: tuple[RecordRef, ...]
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that could be sent. ``action`` is the tip's id (or the kind's name); ``goal`` its WIIFM."""

    kind: str
    action: str
    version: int
    behaviour: str | None = None
    goal: str | None = None
    proposal: Proposal | None = None
    evidence: Evidence | None = None
    coin: bool = True


@dataclass(frozen=True, slots=True)
class Declined:
    """A candidate that could not be chosen, and why: losers are logged with their reason."""

    action: str
    kind: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row per decision point, also for "none".

    So a micro-randomised trial needs it (Klasnja et al. 2015, doi:10.1037/hea0000305).

    ``available``: whether anything could have been sent; ``reason``: why nothing is (None when something is).
    ``probabilities`` sum to 1: over the eligible actions and ``none`` when a coin was thrown, else it is the chosen action's
    alone; empty when nothing could be sent. ``refusals``: every reason that forbids a message now, not only the first;
    ``draw`` is u in [0, 1), None without a coin. ``action`` is ``none`` or the chosen action.
    ``held_out``: the coin said none. ``until``: when the reason may end.
    """

    id: str
    person: str
    at: datetime
    point: str
    """``slot`` or the name of the event that opened the decision point."""
    policy: str
    available: bool
    action: str
    kind: str | None
    reason: str | None
    chosen: Candidate | None
    eligible: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    draw: float | None = None
    held_out: bool = False
    declined: tuple[Declined, ...] = ()
    until: datetime | None = None
    refusals: tuple[str, ...] = ()
    target: Candidate | None = None
    """What the decision was about: the chosen candidate, or, when held out, the one that would have been chosen.
    Its behaviour is what the outcome is measured on, so both arms are measured by the same rule."""


# --- deciding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class History:
    """What earlier decisions close for a while. Days are local days of the person.

    ``drawn``: behaviour -> last day on which a coin was thrown with it as the target, in either arm.
    ``held_out_at``: when a coin last said none. ``spoken``: behaviour -> last day on which a tip about it was decided. ``told``: tip -> days of the last 28 on which
    it was decided. ``rested``: trigger -> last day of its rest after "Not for me". ``had_tip``: whether a first tip was
    ever decided.
    """

    drawn: Mapping[str, date] = field(default_factory=dict)
    spoken: Mapping[str, date] = field(default_factory=dict)
    told: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    rested: Mapping[str, date] = field(default_factory=dict)
    had_tip: bool = False
    held_out_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What is the same for everybody: rules, behaviours in force, triggers, tips, and the secret behind the draw."""

    rules: Rules
    behaviours: Mapping[str, Behaviour]
    triggers: tuple[Trigger, ...]
    tips: Mapping[tuple[str, str], tuple[Tip, ...]]
    """(trigger, role) -> tips, see :func:`tips_by_trigger`."""
    secret: bytes
    workspace: str


@dataclass(frozen=True, slots=True)
class Case:
    """One decision point of one person. ``read_at``: metric -> when the CRM was last read well for the profile's day.

    ``shown``: the behaviours of the person's role, by id. ``offers``: candidates of other kinds (pulse, announcement …).
    """

    standing: Standing
    profile: Profile
    shown: Mapping[str, Shown]
    history: History
    read_at: Mapping[str, datetime]
    now: datetime
    point: str = SLOT
    offers: tuple[Candidate, ...] = ()

    @property
    def day(self) -> date:
        """The person's local date."""
        return attention.local_day(self.standing, self.now)


@dataclass(frozen=True, slots=True)
class Considered:
    """A case before the coin. ``candidates``: what may be sent, all of one kind. ``refusals``: all that forbids it.

    ``looked``: whether any trigger that reads numbers could read them.
    """

    candidates: tuple[Candidate, ...]
    declined: tuple[Declined, ...]
    refusals: tuple[Refusal, ...] = ()
    looked: bool = False

    @property
    def refusal(self) -> Refusal | None:
        """The refusal that counts: the first."""
        return self.refusals[0] if self.refusals else None


def tips_by_trigger(tips: Mapping[str, Tip]) -> dict[tuple[str, str], tuple[Tip, ...]]:
    """Tips by (trigger, role), in the order of their ids."""
    found: dict[tuple[str, str], list[Tip]] = {}
    for tip in sorted(tips.values(), key=lambda each: each.id):
        for role in tip.roles:
            found.setdefault((tip.trigger, role), []).append(tip)
    return {key: tuple(each) for key, each in found.items()}


def consider(case: Case, policy: Policy) -> Considered:
    """What may be sent at this decision point, and every loser with its reason.

    The kind is settled first, by its ``place`` (bot.domain.messages.KINDS); a tip comes last, and only among
    tips a coin decides.
    """
    standing, rules, now = case.standing, policy.rules, case.now
    if standing.person.welcomed_at is None:
        return _welcome(case, policy)
    declined: list[Declined] = []
    offers = list(case.offers)
    if attention.ignored_in_a_row(standing.sends) >= rules.ignored_pauses and not attention.asked_to_go_on(
        standing.sends
    ):
        offers.append(Candidate(BACK_OFF, BACK_OFF, 1, coin=False))
    winner: Candidate | None = None
    for offer in sorted(offers, key=lambda each: (KINDS[each.kind].place, each.action)):
        if winner is not None:
            declined.append(Declined(offer.action, offer.kind, f"outranked:{winner.kind}"))
            continue
        no = attention.refusal(offer.kind, standing, rules, now, behaviour=offer.behaviour)
        if no is None:
            winner = offer
        else:
            declined.append(Declined(offer.action, offer.kind, no.reason, no.until))
    if winner is not None:
        declined.append(Declined(TIP, TIP, f"outranked:{winner.kind}"))
        return Considered((winner,), tuple(declined))
    noes = list(tip_refusals(case, policy))
    if case.point != GOAL_CHOSEN and attention.wait_for_a_better_day(standing, now):
        noes.append(Refusal("better-day"))
    if noes:
        return Considered((), tuple(declined), tuple(noes))
    candidates, losers, looked = _tips(case, policy)
    return Considered(candidates, (*declined, *losers), looked=looked)


def tip_refusals(case: Case, policy: Policy) -> Iterator[Refusal]:
    """What forbids any tip now. A coin that said none keeps the distance that a tip would have kept: both arms wait alike."""
    yield from attention.refusals(TIP, case.standing, policy.rules, case.now)
    last = case.history.held_out_at
    if last is not None and case.point != GOAL_CHOSEN:
        clear = last + attention.spacing(TIP, case.standing, policy.rules)
        if case.now < clear:
            yield Refusal("coin-window", clear)


def _welcome(case: Case, policy: Policy) -> Considered:
    """Before the welcome nothing else is even looked at."""
    noes = list(attention.refusals(WELCOME, case.standing, policy.rules, case.now))
    if any(sent.kind == WELCOME for sent in case.standing.sends):
        noes.append(Refusal("welcome-on-its-way"))
    if noes:
        first = noes[0]
        return Considered((), (Declined(WELCOME, WELCOME, first.reason, first.until),), tuple(noes))
    return Considered((Candidate(WELCOME, WELCOME, 1, coin=False),), ())


def _tips(case: Case, policy: Policy) -> tuple[tuple[Candidate, ...], tuple[Declined, ...], bool]:
    """At most one tip for each trigger that has a reason to speak, in the order of their ids; losers; whether any looked."""
    looked = False
    candidates: list[Candidate] = []
    declined: list[Declined] = []
    for trigger in policy.triggers:
        tips = policy.tips.get((trigger.name, case.standing.person.role), ())
        if not tips:
            continue
        no = next(data_objections(trigger, case, policy), None)
        if no is not None:
            declined.append(Declined(trigger.name, TIP, no))
            continue
        looked = looked or bool(trigger.reads)
        proposal = trigger.propose(case.profile, policy.behaviours)
        if proposal is None:
            continue
        no = next(trigger_objections(trigger, case), None)
        if no is not None:
            declined.append(Declined(trigger.name, TIP, no))
            continue
        fit: list[Tip] = []
        judged: dict[str, str | None] = {}
        for tip in tips:
            if tip.behaviour not in judged:
                why = next(behaviour_objections(tip.behaviour, case, policy), None)
                judged[tip.behaviour] = why
                if why is not None:
                    name = trigger.name if trigger.behaviour else f"{trigger.name}:{tip.behaviour}"
                    declined.append(Declined(name, TIP, why))
            if judged[tip.behaviour] is not None:
                continue
            no = next(tip_objections(tip, case, policy), None)
            if no is not None:
                declined.append(Declined(tip.id, TIP, no))
            else:
                fit.append(tip)
        fit.sort(key=lambda tip: (max(case.history.told.get(tip.id, ()), default=date.min), tip.id))
        declined += [Declined(tip.id, TIP, "another-tip-first") for tip in fit[1:]]
        candidates += [
            Candidate(
                TIP,
                tip.id,
                tip.version,
                tip.behaviour,
                tip.goal,
                replace(proposal, behaviour=tip.behaviour),
                coin=case.point != GOAL_CHOSEN,
            )
            for tip in fit[:1]
        ]
    return tuple(sorted(candidates, key=lambda each: each.action)), tuple(declined), looked


def is_stale(metric: str, case: Case, rules: Rules) -> bool:
    """Whether the last good reading of a metric is too old to speak of (or there is none)."""
    read_at = case.read_at.get(metric)
    return read_at is None or case.now - read_at > timedelta(hours=rules.poll_fresh_hours)


def data_objections(trigger: Trigger, case: Case, policy: Policy) -> Iterator[str]:
    """What forbids this trigger to look at all: no data is never no use."""
    for metric in trigger.reads:
        status = case.profile.coverage.get(metric, CoverageStatus.UNSUPPORTED)
        if status is not CoverageStatus.OK:
            yield f"no-data:{metric}:{status}"
        elif is_stale(metric, case, policy.rules):
            yield f"no-data:{metric}:stale"
        elif METRICS[metric].kind is MetricKind.SNAPSHOT and metric not in case.profile.snapshot:
            # The day was read, this person's state was not: a poll that died between the two.
            yield f"no-data:{metric}:no-snapshot"


def has_nothing_open(profile: Profile) -> bool:
    """Whether it is known that the person has no open deals: then there are no own records to begin with."""
    return profile.known("opps_open") and profile.snapshot.get("opps_open") == 0


def trigger_objections(trigger: Trigger, case: Case) -> Iterator[str]:
    """What forbids everything that this trigger could say."""
    if not (case.history.had_tip or trigger.own_records or has_nothing_open(case.profile)):
        yield "first-tip-on-own-records"
    rest = case.history.rested.get(trigger.name)
    if rest is not None and case.day <= rest:
        yield "rests-after-not-for-me"


def behaviour_objections(behaviour: str, case: Case, policy: Policy) -> Iterator[str]:
    """What forbids to speak about this behaviour: the ceiling, an open barrier, an earlier coin."""
    known = policy.behaviours.get(behaviour)
    shown = case.shown.get(behaviour)
    if known is None or case.standing.person.role not in known.roles or shown is None:
        yield "not-asked-of-role"
        return
    if not shown.known:
        yield f"no-data:{shown.why}"
    for metric in known.metrics:
        if is_stale(metric, case, policy.rules):
            yield f"no-data:{metric}:stale"
    if shown.at_target:
        yield "at-target"
    if behaviour in case.standing.frozen:
        yield "barrier-open"
    closed = timedelta(days=policy.rules.coin_window_days)
    drawn = case.history.drawn.get(behaviour)
    if case.point != GOAL_CHOSEN and drawn is not None and case.day < drawn + closed:
        yield "coin-window"
    spoken = case.history.spoken.get(behaviour)
    if spoken is not None and case.day < spoken + closed:
        yield "cooldown"


def tip_objections(tip: Tip, case: Case, policy: Policy) -> Iterator[str]:
    """What forbids this one text."""
    choice = case.standing.preferences
    if tip.expires < case.day:
        yield "expired"
    if tip.id in choice.tips_never:
        yield "not-for-me"
    if choice.goal is not None and tip.goal != choice.goal:
        yield "not-your-goal"
    recent = [
        day for day in case.history.told.get(tip.id, ()) if case.day - day < timedelta(days=SAME_TEXT_DAYS)
    ]
    if len(recent) >= policy.rules.same_text_in_28_days:
        yield "same-text"


def substantiate(
    considered: Considered, evidence: Mapping[str, Evidence], names_records: Callable[[Candidate], bool]
) -> Considered:
    """Put the records into the candidates. What has none, or is not true any more, is declined.

    ``evidence``: by metric, for this person; a metric that is absent could not be read.
    """
    candidates: list[Candidate] = []
    declined = list(considered.declined)
    for candidate in considered.candidates:
        metric = candidate.proposal.metric if candidate.proposal else None
        if metric is None:
            candidates.append(candidate)
            continue
        found = evidence.get(metric)
        if found is None:
            declined.append(Declined(candidate.action, candidate.kind, "no-evidence"))
        elif found.count <= 0:
            declined.append(Declined(candidate.action, candidate.kind, "not-true-any-more"))
        elif names_records(candidate) and not found.records:
            declined.append(Declined(candidate.action, candidate.kind, "no-evidence"))
        else:
            candidates.append(replace(candidate, evidence=found))
    return Considered(tuple(candidates), tuple(declined), considered.refusals, considered.looked)


def decide(
    case: Case, policy: Policy, considered: Considered, unsayable: Mapping[str, str] | None = None
) -> Decision:
    """One decision. The same case, policy and candidates always give the same one.

    ``unsayable``: action -> reason, for candidates that could not be put into words (a missing merge field).
    """
    unsayable = unsayable or {}
    candidates = tuple(each for each in considered.candidates if each.action not in unsayable)
    declined = considered.declined + tuple(
        Declined(each.action, each.kind, unsayable[each.action])
        for each in considered.candidates
        if each.action in unsayable
    )
    person, day = case.standing.person.id, case.day
    identity = decision_id(policy, person, case.point, day)
    eligible = tuple(each.action for each in candidates)
    if not candidates:
        reason, until = _reason(considered, declined)
        return Decision(
            id=identity,
            person=person,
            at=case.now,
            point=case.point,
            policy=policy.rules.policy,
            available=False,
            action=NONE,
            kind=None,
            reason=reason,
            chosen=None,
            declined=declined,
            until=until,
            refusals=tuple(each.reason for each in considered.refusals),
        )
    probabilities: dict[str, float] = {}
    u: float | None = None
    held_out = False
    if all(each.coin for each in candidates):
        hold_out = policy.rules.hold_out
        u = draw(policy, person, case.point, day)
        probabilities = {
            NONE: hold_out,
            **dict.fromkeys(eligible, (1.0 - hold_out) / len(candidates)),
        }
        held_out = u < hold_out
        # Within either arm the place of u names the candidate, so that both arms have a target drawn by the same rule.
        place = u / hold_out if held_out else (u - hold_out) / (1.0 - hold_out)
        target = candidates[min(int(place * len(candidates)), len(candidates) - 1)]
    else:
        # Asked for, or no nudge: no coin. The one with most to show for it.
        target = max(candidates, key=lambda each: (each.proposal.count if each.proposal else 0, each.action))
        probabilities = {target.action: 1.0}
    losers = "another-first" if u is None else "hold-out" if held_out else "coin"
    return Decision(
        id=identity,
        person=person,
        at=case.now,
        point=case.point,
        policy=policy.rules.policy,
        available=True,
        action=NONE if held_out else target.action,
        kind=target.kind,
        reason="hold-out" if held_out else None,
        chosen=None if held_out else target,
        eligible=eligible,
        probabilities=probabilities,
        draw=u,
        held_out=held_out,
        declined=declined
        + tuple(
            Declined(each.action, each.kind, losers) for each in candidates if held_out or each is not target
        ),
        target=target,
    )


REASONS = frozenset(
    {
        "at-target",
        "away",
        "back-off",
        "barrier-open",
        "better-day",
        "cap-zero",
        "coin-window",
        "cooldown",
        "dnd",
        "expired",
        "first-tip-on-own-records",
        "hold-out",
        "ignored-pause",
        "kind-off",
        "left",
        "missing-field",
        "no-data",
        "no-evidence",
        "no-window",
        "not-asked-of-role",
        "not-for-me",
        "not-in-pilot",
        "not-matched",
        "not-true-any-more",
        "not-welcomed",
        "not-your-goal",
        "nothing-timely",
        "outside-window",
        "paused",
        "place-kept-for-tips",
        "recent-load",
        "rests-after-not-for-me",
        "same-text",
        "spacing",
        "stopped",
        "weekly-cap",
        "welcome-on-its-way",
        "zone-unknown",
    }
)
"""Every reason for which a decision sends nothing, up to the colon. Each has words for the person (``held_<reason>``)."""

_LATER_IS_CLOSER = (
    "no-data",
    "not-asked-of-role",
    "first-tip-on-own-records",
    "at-target",
    "barrier-open",
    "rests-after-not-for-me",
    "coin-window",
    "cooldown",
    "expired",
    "not-for-me",
    "not-your-goal",
    "same-text",
    "not-true-any-more",
    "no-evidence",
    "missing-field",
)


def _reason(considered: Considered, declined: tuple[Declined, ...]) -> tuple[str, datetime | None]:
    """The one reason of a decision that sends nothing: of the loser that came closest; all are in ``declined``."""
    if considered.refusal is not None:
        return considered.refusal.reason, considered.refusal.until
    closest, reason = -1, "nothing-timely"
    for each in declined:
        word = each.reason.partition(":")[0]
        rank = _LATER_IS_CLOSER.index(word) if word in _LATER_IS_CLOSER else -1
        if each.kind == TIP and rank > closest:
            closest, reason = rank, each.reason
    # Triggers that may not look are no news while others looked and found nothing.
    return ("nothing-timely" if closest == 0 and considered.looked else reason), None


# --- the draw ----------------------------------------------------------------------------------------------------


def _key(policy: Policy, person: str, point: str, day: date, label: str) -> bytes:
    """The draw's key: workspace | person | rule version | target | window start | policy (docs/decisions/0010)."""
    parts = (
        label,
        policy.workspace,
        person,
        str(PLANNER_VERSION),
        point,
        day.isoformat(),
        policy.rules.policy,
    )
    return hmac.new(policy.secret, "\x1f".join(parts).encode(), hashlib.sha256).digest()


def draw(policy: Policy, person: str, point: str, day: date) -> float:
    """A number in [0, 1): the same key gives the same u, so a crash never redraws."""
    return min(int.from_bytes(_key(policy, person, point, day, "draw")) / 2**256, 1.0 - 2**-53)


def decision_id(policy: Policy, person: str, point: str, day: date) -> str:
    """From the same key as the draw, under another label: the id gives nothing away about the coin."""
    return "d" + _key(policy, person, point, day, "id").hex()[:23]


def postponed(case: Case, policy: Policy) -> datetime | None:
    """When to look again instead of deciding now; None: decide.

    Not inside the person's window on one of their working days: there is no decision point now. Everything that forbids
    a message ends later today, inside the window: the slot moves there.
    """
    standing, rules, now = case.standing, policy.rules, case.now
    if attention.zone_of(standing.person) is None:
        return None
    welcome = standing.person.welcomed_at is None
    opens = attention.next_window(standing, rules, now, kind=WELCOME)
    if opens is None:
        return None
    if opens > now:
        if case.point == GOAL_CHOSEN:
            return opens
        if attention.local_day(standing, opens) == case.day:
            return max(opens, attention.slot_on(standing, rules, case.day) or opens)
        return attention.next_slot(standing, rules, case.day + timedelta(days=1)) or opens
    if case.offers:
        return None
    refusals = attention.refusals(WELCOME, standing, rules, now) if welcome else tip_refusals(case, policy)
    ends = [no.until for no in refusals]
    closes = attention.window_closes(standing, rules, now, kind=WELCOME if welcome else TIP)
    known = [end for end in ends if end is not None]
    if not ends or closes is None or len(known) < len(ends) or max(known) >= closes:
        return None
    return max(known)
