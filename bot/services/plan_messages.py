"""The one planner: decides for everybody whose slot is due, and queues what was decided (docs/planning.md).

read     due slots, and everything about these people, in a few statements a batch
consider what may be sent to each (pure)
look     the records behind it, one call to the CRM for each metric of the batch
decide   words for what is left, then the coin (pure)
keep     decision rows, outbox rows and the next slots, in one transaction
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot.content.load import Content
from bot.content.wording import (
    back_off_message,
    can_be_said,
    first_name,
    message,
    tip_message,
    welcome_message,
)
from bot.domain import attention
from bot.domain.attention import Sent, Standing
from bot.domain.behaviours import BehaviourKind
from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import BACK_OFF, KINDS, TIP, WELCOME, Message, delivery_id
from bot.domain.nudging import (
    NONE,
    RELEASE,
    SLOT,
    Candidate,
    Case,
    Considered,
    Decision,
    Declined,
    Evidence,
    Policy,
    Trigger,
    consider,
    decide,
    decision_id,
    postponed,
    substantiate,
    tips_by_trigger,
)
from bot.domain.people import Person
from bot.domain.ports import Connector, Holidays
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, CoverageStatus, RecordRef
from bot.rendering import MissingField
from bot.services import profiles
from bot.services.profiles import Reading
from store import barriers, decisions, outbox, slots, usage
from store import people as people_store
from store.database import Database, UnitOfWork
from store.decisions import DecisionRow
from store.outbox import NewMessage, Recheck
from store.slots import Slot

log = logging.getLogger(__name__)

BATCH = 500
NAMED = 3
"""Records that a message names; the others are counted."""
HISTORY = timedelta(days=28)
LONG_HISTORY = timedelta(days=400)
CALENDAR_BACK, CALENDAR_AHEAD = timedelta(days=7), timedelta(days=64)
"""Holidays from the beginning of anybody's week, to the end of what :func:`attention.next_window` looks through."""
CRM_AWAY_RETRY = timedelta(minutes=15)
FIRST_OUTCOME = timedelta(hours=72)
RNG = "hmac-sha256"
NOT_KNOWN = ("opinion", "meeting_load", "window_arm")
"""Of what an analysis asks for, what nothing measures yet: null in every row, never left out (docs/decisions/0015)."""
_NO_MORE_SLOTS = ("not-matched", "left", "not-in-pilot")

Found = Mapping[tuple[str, str, date], Mapping[str, tuple[int, tuple[RecordRef, ...]]] | None]
"""(source, metric, day) -> owner -> (count, records); None: the CRM could not be asked, it may work later."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One decision of a plan that is only looked at. ``action``: what the person would get, ``none`` with a ``reason``.

    Whether a coin keeps it back is not told: who is held out must stay unknown until the moment itself.
    """

    person: str
    name: str
    day: date
    at: datetime
    point: str
    action: str
    kind: str | None
    reason: str | None
    trigger: str | None
    behaviour: str | None
    count: int | None
    declined: tuple[Declined, ...]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a run of the planner did. ``reasons``: of decisions that send nothing. ``moved``: slots put off, undecided.

    ``planned``: only of a dry run, by time. ``next_due``: when the next decision is due.
    """

    decisions: int = 0
    queued: int = 0
    held_out: int = 0
    moved: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    next_due: datetime | None = None
    planned: tuple[Planned, ...] = ()


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A due slot with its case and what may be sent. ``move_to``: it is put off instead."""

    slot: Slot
    case: Case
    reading: Reading
    considered: Considered
    move_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is to be written for one slot. ``next_at`` None: no slot any more."""

    slot: Slot
    next_at: datetime | None
    next_point: str = SLOT
    row: DecisionRow | None = None
    message: NewMessage | None = None


async def plan(
    database: Database,
    *,
    connectors: Mapping[str, Connector],
    content: Content,
    programme: Programme,
    triggers: Sequence[Trigger],
    holidays: Holidays,
    secret: bytes,
    workspace: str,
    now: datetime,
    people: Sequence[str] | None = None,
    offers: Mapping[str, Sequence[Candidate]] | None = None,
    dry_run: bool = False,
    days: int = 7,
) -> PlanReport:
    """Decide for everybody whose slot is due (``people``: only these), and queue what was decided.

    ``connectors``: by source name. ``offers``: by person, candidates of other kinds than tips and the welcome.
    ``dry_run``: write nothing; say who would get what, and why not, in the next ``days`` days, from what is known now.
    """
    policy = Policy(
        rules=programme.rules,
        behaviours=programme.behaviours,
        triggers=tuple(sorted(triggers, key=lambda each: each.name)),
        tips=tips_by_trigger(content.tips),
        secret=secret,
        workspace=workspace,
    )
    planner = _Planner(policy, content, programme, holidays, offers or {})
    if dry_run:
        return await _look_ahead(database, planner, connectors, now, people, days)
    opened, weighed, next_due = await database.read(planner.begin, now, people)
    if opened:
        await database.write(_open, opened)
        weighed, next_due = await database.read(planner.weigh_due, now, people)
    report = PlanReport()
    while weighed:
        found = await _look(database, connectors, weighed)
        drafts = await asyncio.to_thread(planner.draft_all, weighed, found, now)
        kept = await database.write(_keep, drafts)
        report, next_due = _add(report, kept), kept.next_due
        if next_due is None or next_due > now:
            break
        weighed, next_due = await database.read(planner.weigh_due, now, people)
    log.debug("plan.done", extra={"decisions": report.decisions, "queued": report.queued})
    return replace(report, next_due=next_due)


async def _look(
    database: Database | None, connectors: Mapping[str, Connector], weighed: Iterable[_Weighed]
) -> Found:
    """Read the records behind the candidates: one call for each source and metric.

    A source that begins to fail is noted in its row, and said then alone; ``database`` None: nothing may be written.
    """
    owners: defaultdict[tuple[str, str, date], set[str]] = defaultdict(set)
    for each in weighed:
        person = each.case.standing.person
        for candidate in each.considered.candidates:
            metric = candidate.proposal.metric if candidate.proposal else None
            if metric is not None and each.move_to is None:
                owners[person.source, metric, each.case.profile.day].add(person.crm_id)
    return {key: await _ask(database, connectors, key, sorted(who)) for key, who in sorted(owners.items())}


async def _ask(
    database: Database | None,
    connectors: Mapping[str, Connector],
    key: tuple[str, str, date],
    owners: Sequence[str],
) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]] | None:
    source, metric, day = key
    failure: Retryable | Permanent = Permanent("no connector is open for this source", code="no-connector")
    if source in connectors:
        try:
            answer = await connectors[source].evidence(metric, owners, NAMED, day)
            return {owner: answer.get(owner, (0, ())) for owner in owners}
        except (Retryable, Permanent) as error:
            failure = error
    away = isinstance(failure, Retryable)
    if database is None or await database.write(usage.mark_away, source, str(failure)):
        log.warning("plan.crm_silent", extra={"source": source, "metric": metric, "code": failure.code})
    return None if away else {}


class _Planner:
    """What every batch shares."""

    def __init__(
        self,
        policy: Policy,
        content: Content,
        programme: Programme,
        holidays: Holidays,
        offers: Mapping[str, Sequence[Candidate]],
    ) -> None:
        self.policy = policy
        self.content = content
        self.programme = programme
        self.holidays = holidays
        self.offers = offers

    # -- reading ---------------------------------------------------------------------------------------------------

    def first_slots(self, uow: UnitOfWork, now: datetime) -> list[Slot]:
        """Slots for people who have none: today's if it is still to come or the window is open, else the next."""
        ids = slots.without(uow)
        if not ids:
            return []
        return [
            Slot(each, self.first_slot(standing, now))
            for each, standing in self.standings(uow, ids, now).items()
        ]

    def first_slot(self, standing: Standing, now: datetime) -> datetime:
        """The first decision point of somebody who never had one."""
        rules, day = self.policy.rules, attention.local_day(standing, now)
        today = attention.slot_on(standing, rules, day)
        if today is not None and today >= now:
            return today
        if attention.window_closes(standing, rules, now, kind=WELCOME) is not None:
            return now
        return attention.next_slot(standing, rules, day + timedelta(days=1)) or now

    def next_slot(self, case: Case) -> datetime:
        """The decision point after this one: on a later local day; a day on where there is no window at all."""
        tomorrow = case.day + timedelta(days=1)
        slot = attention.next_slot(case.standing, self.policy.rules, tomorrow)
        return max(slot, case.now + timedelta(seconds=1)) if slot else case.now + timedelta(days=1)

    def standings(self, uow: UnitOfWork, ids: Sequence[str], now: datetime) -> dict[str, Standing]:
        """Everything that may forbid a message to these people."""
        found = people_store.get(uow, ids)
        choices = people_store.preferences(uow, ids)
        sends = outbox.sent_history(uow, ids, now - HISTORY, now)
        # Silence is for as long as they stay silent: where nobody reacted in 28 days, look further back.
        quiet = [
            each
            for each, person in found.items()
            if person.welcomed_at is not None
            and person.welcomed_at < now - HISTORY
            and not any(sent.ignored is False for sent in sends[each])
        ]
        if quiet:
            sends |= outbox.sent_history(uow, quiet, now - LONG_HISTORY, now)
        frozen = barriers.open_for(uow, ids)
        presence = people_store.presence(uow, ids, now)
        today = now.astimezone(UTC).date()
        off = {
            country: self.holidays.between(country, today - CALENDAR_BACK, today + CALENDAR_AHEAD)
            for country in {person.country for person in found.values() if person.country}
        }
        return {
            each: Standing(
                person=found[each],
                preferences=choices[each],
                sends=sends[each],
                frozen=frozen.get(each, frozenset()),
                holidays=off.get(found[each].country or "", frozenset()),
                presence=presence[each],
            )
            for each in ids
            if each in found
        }

    def cases(self, uow: UnitOfWork, due: Sequence[Slot], now: datetime) -> list[tuple[Slot, Case, Reading]]:
        """The cases of these slots."""
        ids = [slot.person for slot in due]
        standings = self.standings(uow, ids, now)
        readings = profiles.build(
            uow,
            [standing.person for standing in standings.values()],
            {each: standing.preferences for each, standing in standings.items()},
            self.programme,
            self.holidays,
            today=now.astimezone(UTC).date(),
        )
        histories = decisions.histories(uow, ids, now)
        return [
            (
                slot,
                Case(
                    standing=standings[slot.person],
                    profile=readings[slot.person].profile,
                    shown=readings[slot.person].shown,
                    history=histories[slot.person],
                    read_at=readings[slot.person].read_at,
                    now=now,
                    point=slot.point,
                    offers=tuple(self.offers.get(slot.person, ())),
                ),
                readings[slot.person],
            )
            for slot in due
        ]

    def begin(
        self, uow: UnitOfWork, now: datetime, people: Sequence[str] | None
    ) -> tuple[list[Slot], list[_Weighed], datetime | None]:
        """First slots to open, else what is due: one look at the database where there is nothing to do."""
        opened = self.first_slots(uow, now)
        return (opened, [], None) if opened else ([], *self.weigh_due(uow, now, people))

    def weigh_due(
        self, uow: UnitOfWork, now: datetime, people: Sequence[str] | None
    ) -> tuple[list[_Weighed], datetime | None]:
        """A batch of due slots, each with what may be sent; and when the earliest slot is due if there is none."""
        due = slots.due(uow, now, BATCH, people)
        if not due:
            return [], slots.next_due(uow)
        return [self.weigh(slot, case, reading) for slot, case, reading in self.cases(uow, due, now)], None

    def weigh(self, slot: Slot, case: Case, reading: Reading) -> _Weighed:
        """Put the slot off, or say what may be sent."""
        move_to = postponed(case, self.policy)
        if move_to is not None:
            return _Weighed(slot, case, reading, Considered((), ()), move_to)
        return _Weighed(slot, case, reading, consider(case, self.policy))

    # -- deciding --------------------------------------------------------------------------------------------------

    def draft_all(self, weighed: Sequence[_Weighed], found: Found, now: datetime) -> list[_Draft]:
        """What is to be written for a batch. Pure."""
        return [self.draft(each, found, now) for each in weighed]

    def draft(self, weighed: _Weighed, found: Found, now: datetime) -> _Draft:
        """Decide one case and put it into rows."""
        slot, case = weighed.slot, weighed.case
        if weighed.move_to is not None:
            return _Draft(slot, weighed.move_to, slot.point)
        if self.wait_for_the_crm(weighed, found, now):
            return _Draft(slot, now + CRM_AWAY_RETRY, slot.point)
        decision, words = self.decide(weighed, found)
        row = self.row(decision, weighed)
        gone = (decision.reason or "").partition(":")[0] in _NO_MORE_SLOTS
        next_at = None if gone else self.next_slot(case)
        if decision.chosen is None:
            return _Draft(slot, next_at, row=row)
        queued = self.queued(decision, decision.chosen, words[decision.chosen.action], case)
        return _Draft(slot, next_at, row=replace(row, outbox=queued.id), message=queued)

    def wait_for_the_crm(self, weighed: _Weighed, found: Found, now: datetime) -> bool:
        """Whether the CRM could not be asked, and there is time to ask again today."""
        case = weighed.case
        away = any(
            candidate.proposal is not None
            and candidate.proposal.metric is not None
            and found.get((case.standing.person.source, candidate.proposal.metric, case.profile.day), {})
            is None
            for candidate in weighed.considered.candidates
        )
        closes = attention.window_closes(case.standing, self.policy.rules, now)
        return away and closes is not None and now + CRM_AWAY_RETRY < closes

    def decide(self, weighed: _Weighed, found: Found) -> tuple[Decision, dict[str, Message]]:
        """The decision, and at least the words of what was chosen."""
        case, person = weighed.case, weighed.case.standing.person
        evidence: dict[str, Evidence] = {}
        for candidate in weighed.considered.candidates:
            metric = candidate.proposal.metric if candidate.proposal else None
            if metric is None:
                continue
            read = found.get((person.source, metric, case.profile.day)) or {}
            if person.crm_id in read:
                count, records = read[person.crm_id]
                as_of = weighed.reading.read_at.get(metric, case.now)
                evidence[metric] = Evidence(metric, count, tuple(records), as_of, person.source)
        backed = substantiate(weighed.considered, evidence, self.names_records)
        identity = decision_id(self.policy, person.id, case.point, case.day)
        delivery = delivery_id(_dedupe_key(identity))

        def decided(tried: Sequence[Candidate]) -> tuple[Decision, dict[str, Message]]:
            words: dict[str, Message] = {}
            unsayable: dict[str, str] = {}
            for candidate in tried:
                try:
                    words[candidate.action] = self.word(candidate, case, delivery, weighed.reading)
                except MissingField:
                    unsayable[candidate.action] = "missing-field"
            decision = decide(case, self.policy, backed, unsayable)
            chosen = decision.chosen
            if chosen is not None and chosen.action not in words:
                words[chosen.action] = self.word(chosen, case, delivery, weighed.reading)
            return decision, words

        try:
            return decided([each for each in backed.candidates if not self.certainly_said(each, person)])
        except MissingField:  # then nothing is certain
            return decided(backed.candidates)

    def certainly_said(self, candidate: Candidate, person: Person) -> bool:
        """Whether the words of a tip can be put off until it is chosen: half of planning was wording what was not."""
        return candidate.kind == TIP and can_be_said(
            self.content, candidate.action, candidate, self.programme, person.language
        )

    def names_records(self, candidate: Candidate) -> bool:
        """Whether the candidate's words list records."""
        tip = self.content.tips.get(candidate.action)
        return tip is not None and tip.names_records

    def word(self, candidate: Candidate, case: Case, delivery: str, reading: Reading) -> Message:
        """The message of a candidate. Raises MissingField."""
        person = case.standing.person
        language = person.language
        if candidate.kind == TIP:
            return tip_message(
                self.content,
                candidate.action,
                candidate,
                person=person,
                programme=self.programme,
                language=language,
                delivery=delivery,
                now=case.now,
            )
        if candidate.kind == WELCOME:
            never = (CoverageStatus.UNSUPPORTED, CoverageStatus.DENIED)
            given = [key for key in METRICS if reading.profile.coverage.get(key) not in never]
            return welcome_message(
                self.content,
                person=person,
                programme=self.programme,
                language=language,
                delivery=delivery,
                now=case.now,
                metrics=given,
            )
        if candidate.kind == BACK_OFF:
            return back_off_message(self.content, person=person, language=language, delivery=delivery)
        values = {"first_name": first_name(person), "crm": self.programme.crm_name}
        return message(
            self.content, candidate.action, values, language=language, kind=candidate.kind, value=delivery
        )

    # -- rows ------------------------------------------------------------------------------------------------------

    def queued(self, decision: Decision, chosen: Candidate, words: Message, case: Case) -> NewMessage:
        """The outbox row of a decision. What is not out by the end of today's window is not worth sending."""
        person = case.standing.person
        recheck = None
        if chosen.evidence is not None:
            recheck = Recheck(
                source=chosen.evidence.source,
                metric=chosen.evidence.metric,
                owner=person.crm_id,
                records=tuple(record.id for record in chosen.evidence.records),
                count=chosen.evidence.count,
            )
        assert person.slack_id is not None, "attention refuses people without a Slack account"
        return NewMessage(
            dedupe_key=_dedupe_key(decision.id),
            message=words,
            address=person.slack_id,
            created_at=case.now,
            due_at=case.now,
            person=person.id,
            behaviour=chosen.behaviour,
            decision=decision.id,
            recheck=recheck,
            expires_at=attention.window_closes(case.standing, self.policy.rules, case.now, kind=chosen.kind),
        )

    def row(self, decision: Decision, weighed: _Weighed) -> DecisionRow:
        """The decision as it is kept."""
        case, target = weighed.case, decision.target
        person = case.standing.person
        local = case.now.astimezone(attention.zone_of(person) or UTC)
        proposal = target.proposal if target else None
        measured = decision.kind == TIP and target is not None and target.behaviour is not None
        return DecisionRow(
            id=decision.id,
            person=person.id,
            at=case.now,
            local_day=case.day,
            local_weekday_hour=f"{_WEEKDAYS[local.weekday()]} {local.hour:02d}",
            point=decision.point,
            policy=decision.policy,
            team=person.team,
            role=person.role,
            available=decision.available,
            action=decision.action,
            kind=decision.kind,
            reason=decision.reason,
            until=decision.until,
            trigger=proposal.trigger if proposal else None,
            trigger_version=proposal.version if proposal else None,
            behaviour=target.behaviour if target else None,
            metric=proposal.metric if proposal else None,
            record_hash=self.record_hash(target),
            content_version=target.version if target else None,
            eligible=decision.eligible,
            declined=tuple(
                {"action": each.action, "kind": each.kind, "reason": each.reason}
                for each in decision.declined
            ),
            probabilities=decision.probabilities,
            draw=decision.draw,
            held_out=decision.held_out,
            context=self.context(decision, weighed),
            outcome_due=case.now + FIRST_OUTCOME if measured else None,
        )

    def record_hash(self, target: Candidate | None) -> str | None:
        """A keyed hash of the records that the target names: comparable, not readable."""
        if target is None or target.evidence is None or not target.evidence.records:
            return None
        named = "\x1f".join(sorted(record.id for record in target.evidence.records))
        return hmac.new(self.policy.secret, f"records\x1f{named}".encode(), hashlib.sha256).hexdigest()[:24]

    def context(self, decision: Decision, weighed: _Weighed) -> dict[str, Any]:
        """The state that the decision was made in (docs/decisions/0015), and what its outcome is measured on."""
        case, profile = weighed.case, weighed.case.profile
        capped = [sent for sent in case.standing.sends if KINDS[sent.kind].capped]
        said = weighed.reading.last_feedback
        made: dict[str, Any] = {
            "stage": profile.stage,
            "weeks_since_access": profile.weeks_since_access,
            "l20": round(profile.l20, 2),
            "breadth": profiles.breadth(case.shown, self.policy.behaviours),
            "yield": weighed.reading.stage_features.get("outcome_yield"),
            "nudges_7d": sum(sent.at > case.now - timedelta(days=7) for sent in capped),
            "nudges_28d": sum(sent.at > case.now - timedelta(days=28) for sent in capped),
            "goal": case.standing.preferences.goal,
            "f4": weighed.reading.stage_features.get("f4"),
            "last_feedback": None if said is None else {"kind": said[0], "days": (case.now - said[1]).days},
            "unavail_reasons": list(decision.refusals),
            "delivered_in_dnd": False,  # the gate holds it
            "rng": RNG,
            "code": RELEASE,
            **dict.fromkeys(NOT_KNOWN),
        }
        target = decision.target
        if target is None or target.behaviour is None:
            return made
        behaviour = self.policy.behaviours[target.behaviour]
        shown = case.shown.get(target.behaviour)
        made["source"] = case.standing.person.source
        made["eligible_behaviours"] = sorted(
            {
                each.behaviour
                for each in weighed.considered.candidates
                if each.action in decision.eligible and each.behaviour
            }
        )
        made["target_kind"] = behaviour.kind.value
        made["target_metrics"] = list(behaviour.metrics)
        if behaviour.kind is BehaviourKind.STATE:
            made["baseline"] = profile.snapshot.get(behaviour.metrics[0])
        else:
            made["lag4"] = shown.value if shown is not None else None
        if target.proposal is not None:
            made["count"] = target.evidence.count if target.evidence else target.proposal.count
            made["reads"] = list(target.proposal.reads)
            made["as_of"] = profile.day.isoformat()
        return made


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _dedupe_key(decision: str) -> str:
    return f"decision:{decision}"


def _open(uow: UnitOfWork, opened: Sequence[Slot]) -> None:
    """Write first slots, but never over one that an event has opened meanwhile."""
    there = slots.of(uow, [slot.person for slot in opened])
    slots.keep(uow, [slot for slot in opened if slot.person not in there])


def _keep(uow: UnitOfWork, drafts: Sequence[_Draft]) -> PlanReport:
    """Write decisions, messages and next slots together. A slot that has changed since it was read is left alone."""
    there = slots.of(uow, [draft.slot.person for draft in drafts], lock=True)
    valid = [draft for draft in drafts if there.get(draft.slot.person) == draft.slot]
    made_before = decisions.existing(uow, [draft.row.id for draft in valid if draft.row is not None])
    new = [draft for draft in valid if draft.row is not None and draft.row.id not in made_before]
    rows = [draft.row for draft in new if draft.row is not None]
    decisions.add_many(uow, rows)
    queued = outbox.add_many(uow, [draft.message for draft in new if draft.message is not None])
    slots.keep(
        uow,
        [
            Slot(draft.slot.person, draft.next_at, draft.next_point)
            for draft in valid
            if draft.next_at is not None
        ],
    )
    slots.drop(uow, [draft.slot.person for draft in valid if draft.next_at is None])
    return PlanReport(
        decisions=len(rows),
        queued=len(queued),
        held_out=sum(row.held_out for row in rows),
        moved=sum(draft.row is None for draft in valid),
        reasons=Counter(row.reason for row in rows if row.reason is not None),
        next_due=slots.next_due(uow),
    )


def _add(one: PlanReport, other: PlanReport) -> PlanReport:
    return PlanReport(
        decisions=one.decisions + other.decisions,
        queued=one.queued + other.queued,
        held_out=one.held_out + other.held_out,
        moved=one.moved + other.moved,
        reasons=dict(sorted((Counter(one.reasons) + Counter(other.reasons)).items())),
    )


# --- looking ahead -----------------------------------------------------------------------------------------------


async def _look_ahead(
    database: Database,
    planner: _Planner,
    connectors: Mapping[str, Connector],
    now: datetime,
    people: Sequence[str] | None,
    days: int,
) -> PlanReport:
    """Play the next days in memory, as if everything that is decided were sent and nobody answered."""
    cases = await database.read(_all_cases, planner, now, people)
    weighed = [_Weighed(slot, case, reading, _whatever(case, planner)) for slot, case, reading in cases]
    found = await _look(None, connectors, weighed)
    planned = await asyncio.to_thread(_play, planner, weighed, found, now, days)
    none = [each for each in planned if each.action == NONE]
    return PlanReport(
        decisions=len(planned),
        queued=len(planned) - len(none),
        reasons=dict(sorted(Counter(each.reason or "" for each in none).items())),
        next_due=min((each.at for each in planned), default=None),
        planned=tuple(planned),
    )


def _all_cases(
    uow: UnitOfWork, planner: _Planner, now: datetime, people: Sequence[str] | None
) -> list[tuple[Slot, Case, Reading]]:
    active = {key: each for key, each in people_store.get(uow, people).items() if each.active}
    ids = sorted(active)
    there = slots.of(uow, ids)
    standings = planner.standings(uow, [each for each in ids if each not in there], now)
    due = [there.get(each) or Slot(each, planner.first_slot(standings[each], now)) for each in ids]
    return planner.cases(uow, due, now)


def _whatever(case: Case, planner: _Planner) -> Considered:
    """Candidates for every reason to speak that there is, so that the records are read once for all days."""
    candidates = [
        Candidate(TIP, trigger.name, 1, trigger.behaviour, proposal=proposal)
        for trigger in planner.policy.triggers
        if case.profile.known(*trigger.reads)
        for proposal in (trigger.propose(case.profile, planner.policy.behaviours),)
        if proposal is not None
    ]
    return Considered(tuple(candidates), ())


def _play(
    planner: _Planner, weighed: Sequence[_Weighed], found: Found, now: datetime, days: int
) -> list[Planned]:
    planned = [step for each in weighed for step in _play_one(planner, each, found, now, days)]
    return sorted(planned, key=lambda each: (each.at, each.name, each.person))


def _play_one(planner: _Planner, start: _Weighed, found: Found, now: datetime, days: int) -> list[Planned]:
    steps: list[Planned] = []
    case = start.case
    at, point = max(start.slot.next_at, now), start.slot.point
    last = case.day + timedelta(days=days - 1)
    while attention.local_day(case.standing, at) <= last:
        # As if the CRM went on being read as freshly as now.
        read_at = {metric: read + (at - now) for metric, read in start.case.read_at.items()}
        case = replace(case, now=at, point=point, read_at=read_at)
        weighed = planner.weigh(start.slot, case, start.reading)
        if weighed.move_to is not None:
            at = weighed.move_to
            continue
        decision, _ = planner.decide(weighed, found)
        steps.append(_planned(decision, case))
        if (decision.reason or "").partition(":")[0] in _NO_MORE_SLOTS:
            break
        case = _as_if_sent(case, decision)
        at, point = planner.next_slot(case), SLOT
    return steps


def _planned(decision: Decision, case: Case) -> Planned:
    target = decision.target
    proposal = target.proposal if target else None
    evidence = target.evidence if target else None
    return Planned(
        person=case.standing.person.id,
        name=case.standing.person.name,
        day=case.day,
        at=case.now,
        point=case.point,
        action=target.action if target else NONE,
        kind=decision.kind,
        reason=None if target else decision.reason,
        trigger=proposal.trigger if proposal else None,
        behaviour=target.behaviour if target else None,
        count=evidence.count if evidence else proposal.count if proposal else None,
        # Without the word of the coin: it would tell who is held out.
        declined=tuple(each for each in decision.declined if each.reason not in {"coin", "hold-out"}),
    )


def _as_if_sent(case: Case, decision: Decision) -> Case:
    target = decision.target
    if target is None:
        return case
    standing, history, day = case.standing, case.history, case.day
    sends = (*standing.sends, Sent(target.kind, case.now, target.action))
    person: Person = standing.person
    if target.kind == WELCOME:
        person = replace(person, welcomed_at=case.now)
    if target.kind == TIP and target.behaviour is not None:
        told = (*history.told.get(target.action, ()), day)
        history = replace(
            history,
            drawn={**history.drawn, target.behaviour: day},
            spoken={**history.spoken, target.behaviour: day},
            told={**history.told, target.action: told},
            had_tip=True,
        )
    return replace(case, standing=replace(standing, person=person, sends=sends), history=history)
