"""The shape of an answer's records, as SQL: SQLite writes their JSON itself, five times sooner than Python does.

Source of the shapes: REST API Developer Guide, "Execute a SOQL Query" and the sample answers of "Query"; for grouped
queries SOQL and SOSL Reference, "GROUP BY and Aggregate Results".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.crm.objects import SObject

#: A function of SQLite takes 127 arguments: two for each field, two for the attributes.
MOST_FIELDS = 60


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a record: the keys that lead to it, its SQL and type, the objects met on the way.

    `there`: the column that is null when there is no related record (or none of its values).
    """

    keys: tuple[str, ...]
    sql: str
    type: str
    entities: tuple[str, ...] = ()
    there: str = ""


def record(thing: SObject, columns: Sequence[Column]) -> str:
    """A record of a plain query. Its first parameter is the address of the object's records, up to their ids."""
    attributes = f"json_object('type', '{thing.name}', 'url', ? || Id)"
    return _object(attributes, columns, 0)


def group(columns: Sequence[Column]) -> str:
    """A row of a grouped query."""
    return _object("json_object('type', 'AggregateResult')", columns, 0)


def _object(attributes: str, columns: Sequence[Column], depth: int) -> str:
    """The columns that agree in their first `depth` keys, as one object; each key once, in the order of the query."""
    parts = [f"'attributes', {attributes}"]
    told: set[str] = set()
    for column in columns:
        key = column.keys[depth]
        if key in told:
            continue
        told.add(key)
        parts.append(f"'{key}', {_value(column, [c for c in columns if c.keys[depth] == key], depth)}")
    return f"json_object({', '.join(parts)})"


def _value(column: Column, together: Sequence[Column], depth: int) -> str:
    if len(column.keys) > depth + 1:
        inside = _object(f"json_object('type', '{column.entities[depth]}')", together, depth + 1)
        absent = " AND ".join(f"{each.there} IS NULL" for each in together)
        return f"CASE WHEN {absent} THEN NULL ELSE {inside} END"
    if column.type == "boolean":
        # A boolean field is never null.
        return f"json(CASE WHEN {column.sql} THEN 'true' ELSE 'false' END)"
    return column.sql
