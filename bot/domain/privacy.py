"""What may stand beside confidential words, so that nobody can work out whose they are.

A reader knows who works in which team and role, and these rules. Whatever they read must fit at least ``k`` people who could
have said it; what is left out must fit as many, or leaving it out would tell (complementary suppression: Cox 1980,
doi:10.1080/01621459.1980.10477481).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.domain.behaviours import Behaviour
from bot.domain.feedback import NAMED
from bot.domain.people import MATCHED, Person, Preferences

CROSS = 10
"""People that a team and a behaviour must share before both stand beside the same words."""


@dataclass(frozen=True, slots=True)
class Cell:
    """People whose confidential words look alike. ``team``: shown beside them; None: not shown.

    ``behaviours``: those that may be shown too.
    """

    team: str | None
    people: frozenset[str]
    behaviours: frozenset[str]


def could_speak(person: Person, chosen: Preferences | None, behaviours: Mapping[str, Behaviour]) -> bool:
    """Whether confidential words could be theirs: written to, asked of something, and not known to speak by name."""
    return (
        person.active
        and person.pilot
        and person.match == MATCHED
        and person.welcomed_at is not None
        and (chosen is None or chosen.feedback_mode != NAMED)
        and any(person.role in each.roles for each in behaviours.values())
    )


def cells(crowd: Sequence[Person], behaviours: Mapping[str, Behaviour], k: int) -> dict[str | None, Cell]:
    """The crowd cut so that nobody stands out: by shown team, and None for everybody whose team is not shown.

    The cell of None may be smaller than ``k``, and then is too small for anything to be passed on from it.
    """
    teams: defaultdict[str, set[str]] = defaultdict(set)
    alone = frozenset(each.id for each in crowd if each.team is None)
    for each in crowd:
        if each.team is not None:
            teams[each.team].add(each.id)
    members = {team: frozenset(ids) for team, ids in teams.items()}
    shown = showable(members, least=k, k=k, rest=alone)
    pool = alone.union(*(ids for team, ids in members.items() if team not in shown))
    roles = {each.id: each.role for each in crowd}
    cut: dict[str | None, frozenset[str]] = {None: pool, **{team: members[team] for team in shown}}
    found: dict[str | None, Cell] = {}
    for team, ids in cut.items():
        asked = {
            name: frozenset(one for one in ids if roles[one] in each.roles)
            for name, each in behaviours.items()
        }
        least = k if team is None else max(k, CROSS)
        found[team] = Cell(team, ids, showable(asked, least=least, k=k))
    return found


def showable(
    groups: Mapping[str, frozenset[str]], *, least: int, k: int, rest: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Which labels may be shown: groups of ``least`` people or more, as long as those without a label are none or ``k``.

    ``rest``: people who have no label anyway. Groups may overlap. The smallest are hidden first.
    """
    shown = sorted(
        (name for name, ids in groups.items() if len(ids) >= least),
        key=lambda name: (-len(groups[name]), name),
    )

    def hidden() -> int:
        return len(rest.union(*(ids for name, ids in groups.items() if name not in shown)))

    while shown and 0 < hidden() < k:
        shown.pop()
    return frozenset(shown)
