"""INSERT … ON CONFLICT for both databases. Statements are built once: building one costs more than running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from store.database import UnitOfWork

Insert = sqlite.Insert | postgresql.Insert


def insert(uow: UnitOfWork, table: sa.Table) -> Insert:
    """The INSERT of the database at hand, which knows ``on_conflict_do_update``."""
    return inserting(uow.dialect, table)


def inserting(dialect: str, table: sa.Table) -> Insert:
    """The same, for a database named by its dialect: what statements that are kept are made of."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def upsert(
    uow: UnitOfWork, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] = ()
) -> None:
    """Insert rows, or change what is there by primary key. All rows name the same columns.

    ``keep``: columns that a row that exists already does not change.
    """
    if rows:
        statement = upserting(uow.dialect, table, tuple(rows[0]), tuple(keep))
        uow.execute(statement, [dict(row) for row in rows])


@lru_cache(maxsize=256)
def upserting(dialect: str, table: sa.Table, columns: tuple[str, ...], keep: tuple[str, ...] = ()) -> Insert:
    """The statement that :func:`upsert` runs."""
    statement = inserting(dialect, table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in columns if name not in key and name not in keep}
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def run_tuples(
    uow: UnitOfWork, statement: Insert, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run an INSERT for tens of thousands of rows: values go to the driver as they are, 4 times faster.

    So they must be what both drivers take: text, numbers, truth values, and days, which SQLite wants as ISO text (it keeps
    them so). No column with a type of our own (Utc, Json). The same ``statement`` object is compiled once.
    """
    if not rows:
        return
    sql, order = _compiled(statement, uow.connection.dialect, columns)
    if order is None:
        uow.connection.exec_driver_sql(sql, [dict(zip(columns, row, strict=True)) for row in rows])
        return
    places = [columns.index(name) for name in order]
    days = {at for at in places if isinstance(statement.table.c[columns[at]].type, sa.Date)}
    uow.connection.exec_driver_sql(
        sql, [tuple(row[at].isoformat() if at in days else row[at] for at in places) for row in rows]
    )


@lru_cache(maxsize=256)
def _compiled(
    statement: Insert, dialect: sa.Dialect, columns: tuple[str, ...]
) -> tuple[str, tuple[str, ...] | None]:
    """SQL text, and the order of its values where the driver takes them by position."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    return str(compiled), None if compiled.positiontup is None else tuple(compiled.positiontup)
