"""Queries that are asked all day are built once: building one takes three times as long as running it (docs/benchmarks.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import sqlalchemy as sa


@lru_cache(maxsize=256)
def of_ids(statement: sa.Select[Any], column: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The same query for the ids that are bound to ``ids`` alone. ``statement`` is one that is kept, not made anew."""
    return statement.where(column.in_(sa.bindparam("ids", expanding=True)))


@lru_cache(maxsize=64)
def select_by(column: sa.Column[Any]) -> sa.Select[Any]:
    """Whole rows of a table, those whose ``column`` is what is bound to ``which``."""
    return sa.select(column.table).where(column == sa.bindparam("which"))


@lru_cache(maxsize=64)
def update_by(column: sa.Column[Any]) -> sa.Update:
    """Change the rows whose ``column`` is what is bound to ``which``: every other parameter is a column to set."""
    return sa.update(column.table).where(column == sa.bindparam("which"))


def spelt_out(*words: str) -> list[sa.ColumnElement[str]]:
    """Our own constants for an IN, written into the query: a list that is bound is written into it anew at each run.

    And only for a condition that is spelt out does SQLite use the partial index on it (store/tables.py).
    """
    return [sa.literal_column(f"'{word}'") for word in words]


CHUNK = 500
"""Ids bound into one IN list."""


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Ids in sorted lists that one statement can bind, each id once."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), CHUNK):
        yield wanted[start : start + CHUNK]
