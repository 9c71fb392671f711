"""Confidential words: a reader who knows everything but the author finds k people or more whom each line fits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.behaviours import Behaviour, BehaviourKind
from bot.domain.feedback import CONFIDENTIAL, NAMED
from bot.domain.people import UNMATCHED, Person, Preferences
from bot.domain.privacy import CROSS, cells, could_speak, showable
from tests.builders import BEHAVIOURS, person

ROLES = ("seller", "service", "sales_development")


def _behaviour(number: int, roles: frozenset[str]) -> Behaviour:
    return Behaviour(f"b{number}", "", roles, BehaviourKind.COUNT, ("records_created.lead",), 1)


behaviours = st.lists(st.frozensets(st.sampled_from(ROLES), min_size=1), min_size=1, max_size=4).map(
    lambda roles: {f"b{number}": _behaviour(number, each) for number, each in enumerate(roles)}
)
crowds = st.lists(
    st.tuples(st.sampled_from((None, "t1", "t2", "t3", "t4")), st.sampled_from(ROLES)), max_size=60
).map(lambda each: [person(id=f"p{at:02}", team=team, role=role) for at, (team, role) in enumerate(each)])


@given(crowds, behaviours, st.integers(4, 7))
def test_every_line_fits_k_people(crowd: list[Person], asked: dict[str, Behaviour], k: int) -> None:
    crowd = [each for each in crowd if could_speak(each, None, asked)]
    cut = cells(crowd, asked, k)
    authors: defaultdict[tuple[str | None, str | None, bool], set[str]] = defaultdict(set)
    for one in crowd:
        cell = cut.get(one.team, cut[None])
        if len(cell.people) < k:
            continue  # never released
        authors[cell.team, None, False].add(one.id)  # words of one's own, on nothing in particular
        for name, each in asked.items():
            if (
                one.role in each.roles
            ):  # a press of "Something's in the way": its line says that there is a behaviour
                authors[cell.team, name if name in cell.behaviours else None, True].add(one.id)
    assert all(len(ids) >= k for ids in authors.values())
    crossed = [ids for (team, name, _), ids in authors.items() if team is not None and name is not None]
    assert all(len(ids) >= CROSS for ids in crossed)


@pytest.mark.parametrize(
    ("sizes", "rest", "shown"),
    [
        ({"a": 5, "b": 6}, 0, {"a", "b"}),
        ({"a": 4, "b": 6}, 0, set()),
        ({"a": 4, "b": 6, "c": 9}, 0, {"c"}),
        ({"a": 5, "b": 6}, 1, {"b"}),
        ({"a": 5, "b": 6}, 5, {"a", "b"}),
        ({"a": 3, "b": 2, "c": 5}, 0, {"c"}),
    ],
)
def test_what_is_hidden_hides_enough(sizes: dict[str, int], rest: int, shown: set[str]) -> None:
    groups = {name: frozenset(f"{name}{at}" for at in range(size)) for name, size in sizes.items()}
    alone = frozenset(f"alone{at}" for at in range(rest))
    assert showable(groups, least=5, k=5, rest=alone) == shown


@pytest.mark.parametrize(
    "change",
    [{"active": False}, {"pilot": False}, {"match": UNMATCHED}, {"welcomed_at": None}, {"role": "manager"}],
)
def test_who_was_never_asked_is_nobodys_cover(change: dict[str, object]) -> None:
    assert could_speak(person(), None, BEHAVIOURS)
    assert not could_speak(person(**change), None, BEHAVIOURS)


def test_who_speaks_by_name_is_nobodys_cover() -> None:
    chosen = Preferences("p1", feedback_mode=CONFIDENTIAL)
    assert could_speak(person(), chosen, BEHAVIOURS)
    assert not could_speak(person(), replace(chosen, feedback_mode=NAMED), BEHAVIOURS)
