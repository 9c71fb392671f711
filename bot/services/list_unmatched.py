"""Who is not matched to Slack, why, and what whoever runs the programme can do about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.domain.matching import STEPS, WHAT_TO_DO, Tie
from bot.domain.people import MATCHED, Person, SlackUser
from bot.domain.programme import Programme
from store import matching, people
from store.database import UnitOfWork


@dataclass(frozen=True, slots=True)
class Group:
    """People who are not matched for one reason. ``who``: names, each with what was looked for and found; sorted."""

    state: str
    why: str
    what_to_do: str
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the people of the CRM meet those of Slack, as of the last reading of both.

    ``reached``: names by the step that matched them, in the order of the steps. ``states``: names by match state, matched ones
    left out. ``groups``: the same with reasons, the most urgent first. ``faults``: lines of the identity file that hold nothing.
    ``leaderless``: managers who are not active in the CRM while somebody active reports to them -> how many do.
    """

    active: int = 0
    reached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    states: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    faults: tuple[str, ...] = ()
    leaderless: Mapping[str, int] = field(default_factory=dict)

    @property
    def by(self) -> dict[str, int]:
        """How many are matched by each step."""
        return {step: len(names) for step, names in self.reached.items()}

    @property
    def matched(self) -> int:
        """How many can be written to, as far as matching goes."""
        return sum(self.by.values())


def list_unmatched(
    uow: UnitOfWork, programme: Programme, accounts: Iterable[SlackUser] | None = None
) -> Standing:
    """Judge everybody anew. ``accounts``: of Slack; None: as they were read last. Reads only."""
    found = matching.judge(uow, programme.identities, accounts)
    everybody = people.get(uow)
    grouped: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    states: defaultdict[str, list[str]] = defaultdict(list)
    reached: defaultdict[str | None, list[str]] = defaultdict(list)
    for who, tie in found.ties.items():
        if tie.state == MATCHED:
            reached[tie.by].append(everybody[who].name)
        else:
            grouped[tie.why, tie.state].append(_shown(everybody[who], tie, everybody))
            states[tie.state].append(everybody[who].name)
    order = list(WHAT_TO_DO)
    return Standing(
        active=len(found.ties),
        reached={step: tuple(sorted(reached[step])) for step in STEPS if step in reached},
        states={state: tuple(sorted(names)) for state, names in sorted(states.items())},
        groups=tuple(
            Group(state, why, WHAT_TO_DO[why], tuple(sorted(who)))
            for (why, state), who in sorted(grouped.items(), key=lambda each: order.index(each[0][0]))
        ),
        faults=found.faults,
        leaderless=_leaderless(everybody),
    )


def _shown(person: Person, tie: Tie, everybody: Mapping[str, Person]) -> str:
    looked_for = person.email or f"{person.source} {person.crm_id}"
    about = [
        f"{each.name} in {each.source}, {each.crm_id}" if (each := everybody.get(key)) is not None else key
        for key in tie.about
    ]
    return f"{person.name} ({'; '.join([looked_for, *about])})"


def _leaderless(everybody: Mapping[str, Person]) -> dict[str, int]:
    led = Counter(each.team for each in everybody.values() if each.active and each.team is not None)
    return {
        f"{boss.name} ({boss.email or boss.crm_id})": led[boss.id]
        for boss in sorted(everybody.values(), key=lambda each: each.name)
        if led[boss.id] and not boss.active
    }
