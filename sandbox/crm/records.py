"""The CRM's records: one SQLite table in memory for each object, and what the platform does by itself when one changes.

Instants are kept as Salesforce writes them (`2026-11-20T09:14:05.000+0000`, UTC), days as `2026-11-20`, so that text
compares as time does and an answer needs no conversion. Ids are counted: the same life gives the same ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from sandbox.clock import Clock
from sandbox.crm.objects import HISTORIES, LOST, OBJECTS, WON, SObject

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
#: How many ids share all but their last five characters.
_TAILS = 62**5
_SQL_TYPE = {"boolean": "INTEGER", "int": "INTEGER", "currency": "REAL"}

#: What the queries of a poll need (bot side: one grouped query for each metric and day range).
_INDEXES = (
    (
        "CREATE INDEX opportunity_open ON Opportunity (OwnerId, CloseDate, NextStep, Amount, AccountId, CreatedDate,"
        " LastActivityDate, LastStageChangeDate, IsClosed) WHERE IsClosed = 0"
    ),
    "CREATE INDEX opportunity_closed ON Opportunity (CloseDate, OwnerId, IsWon, Amount, IsClosed) WHERE IsClosed = 1",
    "CREATE INDEX opportunity_created ON Opportunity (CreatedDate, CreatedById)",
    "CREATE INDEX account_created ON Account (CreatedDate, CreatedById)",
    "CREATE INDEX contact_created ON Contact (CreatedDate, CreatedById)",
    "CREATE INDEX lead_created ON Lead (CreatedDate, CreatedById)",
    "CREATE INDEX task_done ON Task (CompletedDateTime, OwnerId, TaskSubtype, IsClosed) WHERE IsClosed = 1",
    "CREATE INDEX task_open ON Task (OwnerId, ActivityDate, IsClosed) WHERE IsClosed = 0",
    "CREATE INDEX event_start ON Event (StartDateTime, OwnerId, IsChild)",
    "CREATE INDEX login_time ON LoginHistory (LoginTime, UserId, Status, LoginType)",
    (
        "CREATE INDEX opportunity_moved ON Opportunity (LastStageChangeDate, OwnerId, IsWon, Amount, CloseDate,"
        " CreatedDate, IsClosed) WHERE IsClosed = 1"
    ),
    "CREATE INDEX history_field ON OpportunityFieldHistory (Field, CreatedDate)",
    "CREATE INDEX history_time ON OpportunityFieldHistory (CreatedDate, CreatedById, OpportunityId, Field)",
)


class Outage(NamedTuple):
    """Trouble by the workspace clock: from `begins` until `ends`, for one object or (None) for every request.

    `kind` is one of sandbox.faults.CRM.
    """

    begins: datetime
    ends: datetime
    object: str | None
    kind: str


@dataclass(slots=True)
class Rights:
    """What the API user may see. Objects and fields that it may not see do not exist for it, as in Salesforce."""

    denied: set[str] = field(default_factory=set)
    hidden: set[tuple[str, str]] = field(default_factory=set)
    #: "Monitor Login History"; without it LoginHistory has the API user's own rows and says nothing about it.
    login_history: bool = True


@lru_cache(maxsize=4096)
def instant_text(when: datetime | str) -> str:
    """An instant as Salesforce writes it. Raises ValueError for text that is none, or has no offset."""
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if when.tzinfo is None:
        raise ValueError(f"{when.isoformat()} has no offset from UTC")
    if when.tzinfo is not UTC:
        when = when.astimezone(UTC)
    return f"{when.isoformat()[:19]}.000+0000"


def day_text(day: date | str) -> str:
    """A day as Salesforce writes it. Raises ValueError for text that is none."""
    if isinstance(day, str):
        day = date.fromisoformat(day)
    return day.isoformat()[:10]


def full_id(fifteen: str) -> str:
    """The 18 characters of a 15-character id: three that tell which letters are capitals.

    Source: Salesforce Help, "Converting a 15-character ID to an 18-character ID".
    """
    return fifteen + "".join(_capitals(fifteen[start : start + 5]) for start in (0, 5, 10))


def _capitals(five: str) -> str:
    """The letter or digit that tells which of five characters are capitals."""
    if five.isdigit():
        return "A"
    return _SUFFIX[sum(1 << place for place, letter in enumerate(five) if letter.isupper())]


def _digits(number: int) -> str:
    """A number in the 62 digits of an id."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


class Crm:
    """The records of one organisation.

    `catch_up` is called with now before each request is answered: whoever plays the company performs by then what its
    people did. `by_hand` is called with an opportunity's id when somebody mended it, or logged something about it, on its
    page. `outages` may be filled at any time.
    """

    def __init__(self, org: str = "00D000000000001EAA", *, clock: Clock) -> None:
        self.org = org
        self.clock = clock
        self.catch_up: Callable[[datetime], None] | None = None
        self.by_hand: Callable[[str], None] | None = None
        self.outages: list[Outage] = []
        self.rights = Rights()
        #: The user that a client logs in as.
        self.api_user = ""
        self._counts = dict.fromkeys(OBJECTS, 0)
        self._heads: dict[tuple[str, int], str] = {}
        # Requests are answered on the loop's thread; tests look in from their own.
        self._sqlite = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._sqlite.execute("PRAGMA journal_mode = OFF")
        self._sqlite.execute("PRAGMA temp_store = MEMORY")
        for thing in OBJECTS.values():
            self._sqlite.execute(_table(thing))
        for index in _INDEXES:
            self._sqlite.execute(index)
        self._inserts = {name: _insert(thing) for name, thing in OBJECTS.items()}
        self._readers = {name: _readers(thing) for name, thing in OBJECTS.items()}

    def new_id(self, kind: str) -> str:
        """A fresh id of an object, 18 characters, in counting order. Raises KeyError for an unknown object."""
        number = self._counts[kind] = self._counts[kind] + 1
        head, tail = divmod(number, _TAILS)
        known = self._heads.get((kind, head))
        if known is None:
            known = self._heads[kind, head] = full_id(f"{OBJECTS[kind].prefix}5e{_digits(head):0>5}00000")
        digits = f"{_digits(tail):0>5}"
        return f"{known[:10]}{digits}{known[15:17]}{_capitals(digits)}"

    def insert(self, kind: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert records; missing fields are null, but for the Id and what the platform fills in.

        Instants are aware datetimes or ISO text, days are dates or ISO text. CreatedDate is needed where LastModified
        and SystemModstamp are to follow it. Raises KeyError for an unknown object or field.
        """
        thing = OBJECTS[kind]
        readers = self._readers[kind]
        tuples = []
        touched: list[dict[str, object]] = []
        for given in rows:
            record: dict[str, object] = dict.fromkeys(thing.columns)
            for name, value in given.items():
                reader = readers[name]
                record[name] = reader(value) if reader and value is not None else value
            self._complete(kind, record)
            tuples.append(tuple(record.values()))
            if kind in ("Task", "Event") and record["WhatId"]:
                touched.append(record)
        self._sqlite.executemany(self._inserts[kind], tuples)
        for record in touched:
            self._roll_up(kind, record)

    def change(self, kind: str, record_id: str, by: str, at: datetime, **fields: object) -> None:
        """Change a record as `by`, at `at`. Raises KeyError for an unknown object, field or record.

        A record gets a row of history for each tracked field that really changes, an opportunity LastStageChangeDate with its
        step, IsClosed and IsWon by its step, and PushCount when its close date moves to a later month.
        """
        readers = self._readers[kind]
        new: dict[str, object] = {}
        for name, value in fields.items():
            reader = readers[name]
            new[name] = reader(value) if reader and value is not None else value
        columns = tuple(new)
        found = self._sqlite.execute(
            f'SELECT {", ".join(columns) or "Id"} FROM "{kind}" WHERE Id = ?', (record_id,)
        ).fetchone()
        if found is None:
            raise KeyError(f"no {kind} {record_id}")
        old = dict(zip(columns, found, strict=False))
        new = {name: value for name, value in new.items() if value != old[name]}
        if not new:
            return
        when = instant_text(at)
        if kind in HISTORIES:
            self._remember(kind, record_id, by, when, old, new)
        if kind == "Opportunity":
            self._step(record_id, when, old, new)
        elif kind == "Task" and "IsClosed" in new and "CompletedDateTime" not in fields:
            new["CompletedDateTime"] = when if new["IsClosed"] else None
        if "SystemModstamp" in readers:
            new.update(LastModifiedById=by, LastModifiedDate=when, SystemModstamp=when)
        setters = ", ".join(f"{name} = ?" for name in new)
        self._sqlite.execute(f'UPDATE "{kind}" SET {setters} WHERE Id = ?', (*new.values(), record_id))
        if kind == "Task" and new.get("IsClosed"):
            self._roll_up_id(record_id)

    def rows(self, sql: str, *args: object) -> list[sqlite3.Row]:
        """Rows of any SELECT over the tables, by column name: for who plays the company, and for tests."""
        cursor = self._sqlite.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(sql, args).fetchall()

    def select(self, sql: str, args: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Rows of a SELECT as plain tuples."""
        return self._sqlite.execute(sql, args).fetchall()

    def _complete(self, kind: str, record: dict[str, object]) -> None:
        """What the platform fills in when a record is made."""
        if record["Id"] is None:
            record["Id"] = self.new_id(kind)
        if kind == "Opportunity":
            step = record["StageName"]
            record["IsWon"] = int(step == WON)
            record["IsClosed"] = int(step in (WON, LOST))
            record["PushCount"] = record["PushCount"] or 0
        elif kind == "Task":
            record["IsClosed"] = int(bool(record["IsClosed"]))
            record["TaskSubtype"] = record["TaskSubtype"] or "Task"
        elif kind == "Event":
            record["IsChild"] = int(bool(record["IsChild"]))
        if "SystemModstamp" in record:
            made = record["CreatedDate"]
            by = record["CreatedById"] = record["CreatedById"] or record.get("OwnerId")
            record["LastModifiedById"] = record["LastModifiedById"] or by
            changed = record["LastModifiedDate"] = record["LastModifiedDate"] or made
            record["SystemModstamp"] = record["SystemModstamp"] or changed

    def _remember(
        self, kind: str, record_id: str, by: str, when: str, old: dict[str, object], new: dict[str, object]
    ) -> None:
        """The history of those fields that are tracked."""
        history, tracked = HISTORIES[kind]
        for name in tracked:
            if name in new:
                self._sqlite.execute(
                    self._inserts[history],
                    (self.new_id(history), record_id, name, old.get(name), new[name], by, when),
                )

    def _step(self, record_id: str, when: str, old: dict[str, object], new: dict[str, object]) -> None:
        """What else changes with an opportunity's fields."""
        if "StageName" in new:
            step = new["StageName"]
            new.update(LastStageChangeDate=when, IsWon=int(step == WON), IsClosed=int(step in (WON, LOST)))
        before, after = old.get("CloseDate"), new.get("CloseDate")
        if isinstance(before, str) and isinstance(after, str) and after[:7] > before[:7]:
            ((pushes,),) = self.select("SELECT PushCount FROM Opportunity WHERE Id = ?", (record_id,))
            assert isinstance(pushes, int)
            new["PushCount"] = pushes + 1

    def _roll_up_id(self, task_id: str) -> None:
        for row in self.rows("SELECT * FROM Task WHERE Id = ? AND WhatId IS NOT NULL", task_id):
            self._roll_up("Task", dict(row))

    def _roll_up(self, kind: str, record: Mapping[str, object]) -> None:
        """LastActivityDate of the opportunity that an event or a finished task is about.

        It is the later of the day of the latest event and the due day of the task closed last (Object Reference,
        Opportunity); no user changed the opportunity, so LastModified stays.
        """
        if kind == "Task" and not record["IsClosed"]:
            return
        at = (
            record["StartDateTime"]
            if kind == "Event"
            else record["ActivityDate"] or record["CompletedDateTime"]
        )
        if isinstance(at, str):
            self._sqlite.execute(
                "UPDATE Opportunity SET LastActivityDate = ?1"
                " WHERE Id = ?2 AND (LastActivityDate IS NULL OR LastActivityDate < ?1)",
                (at[:10], record["WhatId"]),
            )


def _table(thing: SObject) -> str:
    columns = []
    for name in thing.columns:
        known = thing.fields.get(name)
        kind = _SQL_TYPE.get(known.type, "TEXT") if known else "TEXT"
        columns.append(f"{name} {kind}" + (" PRIMARY KEY" if name == "Id" else ""))
    return f'CREATE TABLE "{thing.name}" ({", ".join(columns)}) WITHOUT ROWID'


def _insert(thing: SObject) -> str:
    return f'INSERT INTO "{thing.name}" VALUES ({", ".join("?" * len(thing.columns))})'


def _readers(thing: SObject) -> dict[str, Callable[..., object] | None]:
    """How what is given for a column is kept."""
    found: dict[str, Callable[..., object] | None] = dict.fromkeys(thing.columns)
    by_type: dict[str, Callable[..., object]] = {
        "datetime": instant_text,
        "date": day_text,
        "boolean": int,
        "currency": float,
    }
    for name, known in thing.fields.items():
        found[name] = by_type.get(known.type)
    return found
