"""What Dataverse is asked: every count of a poll, and how each is said as FetchXML, as ``$apply`` and as plain rows.

One grouped query for each metric, whatever the number of people. All times are UTC, all days UTC days: ``dategrouping``
counts in the time zone of the user who asks unless it is told not to. Groups come 5,000 a page; a count of more than
50,000 rows is refused, and asked for a shorter span.

Sources: Microsoft Learn, Dataverse: "Aggregate data using FetchXML", "Page results using FetchXML", "Aggregate data using
OData", FetchXML reference (attribute, condition, link-entity), "Retrieve the history of audited data changes".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from bot.connectors.dynamics.schema import Schema, property_of
from bot.connectors.open_records import grace_day, quiet_day, stuck_day
from bot.domain.usage import METRICS

Row = Mapping[str, Any]
Number = tuple[str, float]
GROUPS = 5000
"""Most rows and groups on a page (Microsoft Learn, "Page results using FetchXML")."""


@dataclass(frozen=True, slots=True)
class Table:
    """``name``: logical name; ``rows``: entity set; ``key``: id column; ``right``: the privilege to read it."""

    name: str
    rows: str
    key: str
    right: str


def grant(table: Table) -> str:
    """What an admin has to change so that a table can be read."""
    return f"give the application user's role {table.right} at organization level"


_READ_ACTIVITY = "prvReadActivity"
TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("opportunity", "opportunities", "opportunityid", "prvReadOpportunity"),
        Table("account", "accounts", "accountid", "prvReadAccount"),
        Table("contact", "contacts", "contactid", "prvReadContact"),
        Table("lead", "leads", "leadid", "prvReadLead"),
        Table("incident", "incidents", "incidentid", "prvReadIncident"),
        Table("activitypointer", "activitypointers", "activityid", _READ_ACTIVITY),
        Table("phonecall", "phonecalls", "activityid", _READ_ACTIVITY),
        Table("appointment", "appointments", "activityid", _READ_ACTIVITY),
        Table("email", "emails", "activityid", _READ_ACTIVITY),
        Table("task", "tasks", "activityid", _READ_ACTIVITY),
        Table("goal", "goals", "goalid", "prvReadGoal"),
        Table("audit", "audits", "auditid", "prvReadAuditSummary"),
        Table("systemuser", "systemusers", "systemuserid", "prvReadUser"),
    )
}
OPPORTUNITY, ACTIVITY, TASK, AUDIT, GOAL = (
    TABLES[name] for name in ("opportunity", "activitypointer", "task", "audit", "goal")
)
RECORDS: Mapping[str, str] = {
    "opportunity": "opportunity",
    "account": "account",
    "contact": "contact",
    "lead": "lead",
    "incident": "case",
}
"""Tables whose new and changed records are counted, and what each is called in a metric."""
TYPE_CODES: Mapping[str, int] = {"account": 1, "contact": 2, "opportunity": 3, "lead": 4, "incident": 112}
"""Object type codes of standard tables: FetchXML compares with them, OData with names."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``operator``: eq, ne, lt, le, gt, ge, in, null, not-null. ``value`` may be a day, its beginning is meant then.

    ``zoned``: the beginning of the day in the programme's zone, for dates that a person sets; else in UTC. ``other``: a
    column of the same row to compare with. ``said``: the value in OData, where that differs from FetchXML's.
    """

    column: str
    operator: str
    value: Any = None
    zoned: bool = False
    other: str = ""
    said: Any = None


@dataclass(frozen=True, slots=True)
class Either:
    """One of several: each a list of conditions that hold together."""

    ways: tuple[tuple[Condition, ...], ...]


Where = tuple[Condition | Either, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One count of a table's rows, for each person and, where ``moment`` is a column, each day.

    ``person``: lookup to who it is counted for. ``by``: further columns to group by. ``sums``, ``filled``: what is added
    up, and what is counted where it is filled in, by alias. ``distinct``: different values of this column are counted
    instead of rows. ``without``: only rows that no activity with these conditions is about. ``costs``: alias -> metrics
    that are lost without it. ``read``: (values of ``by``, count, sums) -> numbers; raises ValueError. ``begun``: only what
    is before now.
    """

    metrics: tuple[str, ...]
    table: Table
    person: str
    where: Where
    read: Callable[[tuple[Any, ...], float, Mapping[str, float]], Sequence[Number]]
    moment: str = ""
    by: tuple[str, ...] = ()
    sums: Mapping[str, str] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)
    distinct: str = ""
    without: tuple[Condition, ...] = ()
    costs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    begun: bool = False

    def columns(self) -> Iterator[str]:
        """Columns without which it cannot be asked."""
        yield self.person
        yield from (each for each in (self.moment, self.distinct, *self.by) if each)
        for each in self.where:
            for condition in each.ways if isinstance(each, Either) else ((each,),):
                yield from (part.column for part in condition)

    def fitted(self, schema: Schema) -> tuple[Question | None, dict[str, str]]:
        """The question with columns that are there, and the metrics that are lost, each with what it lacks.

        What it lacks: a column, or "" where there is no such table.
        """
        rows = self.table.rows
        if not schema.has(rows):
            return None, dict.fromkeys(self.metrics, "")
        fit = self._named(schema)
        missing = [each for each in fit.columns() if not schema.has(rows, each)]
        if missing:
            return None, dict.fromkeys(self.metrics, missing[0])
        gone = {
            alias: column
            for alias, column in {**fit.sums, **fit.filled}.items()
            if not schema.has(rows, column)
        }
        lost = {metric: column for alias, column in gone.items() for metric in self.costs.get(alias, ())}
        return (
            replace(
                fit,
                metrics=tuple(each for each in self.metrics if each not in lost),
                sums={alias: column for alias, column in fit.sums.items() if alias not in gone},
                filled={alias: column for alias, column in fit.filled.items() if alias not in gone},
            ),
            lost,
        )

    def _named(self, schema: Schema) -> Question:
        """With the columns that this CRM has for what we mean."""
        rows = self.table.rows

        def name(column: str) -> str:
            return schema.column(rows, column) if column else ""

        def named(each: Condition | Either) -> Condition | Either:
            if isinstance(each, Either):
                return Either(
                    tuple(tuple(replace(part, column=name(part.column)) for part in way) for way in each.ways)
                )
            return replace(each, column=name(each.column))

        return replace(
            self,
            person=name(self.person),
            where=tuple(named(each) for each in self.where),
            sums={alias: name(column) for alias, column in self.sums.items()},
            filled={alias: name(column) for alias, column in self.filled.items()},
        )


# -- what is asked ----------------------------------------------------------------------------------------------------------


def _counting(metric: str) -> Callable[[tuple[Any, ...], float, Mapping[str, float]], Sequence[Number]]:
    return lambda _by, count, _sums: ((metric, count),)


def _updating(by: tuple[Any, ...], count: float, _sums: Mapping[str, float]) -> Sequence[Number]:
    codes = {code: name for name, code in TYPE_CODES.items()}
    name = codes.get(by[0], by[0]) if not isinstance(by[0], str) or not by[0].isdigit() else codes[int(by[0])]
    if name not in RECORDS:
        raise ValueError(f"objecttypecode is {by[0]!r}")
    return ((f"records_updated.{RECORDS[name]}", count),)


def created(name: str) -> Question:
    """New records of a table."""
    metric = f"records_created.{RECORDS[name]}"
    return Question((metric,), TABLES[name], "createdby", (), _counting(metric), moment="createdon")


def modified(name: str) -> Question:
    """Records by who changed them last, where no audit says who changed them before: less than was done, never more."""
    metric = f"records_updated.{RECORDS[name]}"
    where = (Condition("modifiedon", "gt", other="createdon"),)
    return Question((metric,), TABLES[name], "modifiedby", where, _counting(metric), moment="modifiedon")


def audited(names: Sequence[str]) -> Question:
    """Different records of these tables that somebody changed, by the audit."""
    return Question(
        tuple(f"records_updated.{RECORDS[name]}" for name in names),
        AUDIT,
        "userid",
        (
            Condition("operation", "eq", 2),
            Condition(
                "objecttypecode",
                "in",
                tuple(TYPE_CODES[name] for name in names),
                said=tuple(names),
            ),
        ),
        _updating,
        moment="createdon",
        by=("objecttypecode",),
        distinct="objectid",
    )


def by_table(question: Question) -> list[Question]:
    """Changes by the audit, a question a table, where it is asked for several at once; else nothing."""
    if question.table is not AUDIT or not question.distinct or len(question.metrics) < 2:
        return []
    words = {f"records_updated.{word}": name for name, word in RECORDS.items()}
    return [audited((words[metric],)) for metric in question.metrics]


def accessed(actions: Sequence[int]) -> Question:
    """Days on which somebody opened the CRM, by the audit: a row each few hours, so only whether there is one."""
    return Question(
        ("active_day",),
        AUDIT,
        "userid",
        (Condition("operation", "eq", 4), Condition("action", "in", tuple(actions))),
        lambda _by, _count, _sums: (("active_day", 1.0),),
        moment="createdon",
    )


_DONE = (Condition("statecode", "eq", 1),)
ACTIVITIES: tuple[Question, ...] = (
    *(
        Question(
            (f"activities_completed.{word}",),
            TABLES[name],
            "owner",
            (*_DONE, *more),
            _counting(f"activities_completed.{word}"),
            moment="actualend",
        )
        for word, name, more in (
            ("call", "phonecall", ()),
            ("task", "task", ()),
            ("email", "email", (Condition("directioncode", "eq", True),)),
        )
    ),
    Question(
        ("activities_completed.meeting",),
        TABLES["appointment"],
        "owner",
        (Condition("statecode", "ne", 2),),
        _counting("activities_completed.meeting"),
        moment="scheduledend",
        begun=True,
    ),
)
"""An appointment counts once it has ended, unless it was cancelled: what Outlook keeps is seldom marked as done."""
WON = Question(
    ("won_count", "won_amount", "cycle_days"),
    OPPORTUNITY,
    "owner",
    (Condition("statecode", "eq", 1),),
    _counting("won_count"),
    moment="actualclosedate",
    sums={"amount": "won_amount"},
    filled={"begun": "createdon"},
    costs={"amount": ("won_amount",), "begun": ("cycle_days",)},
)
"""Asked row by row: neither FetchXML nor OData subtracts dates, and the rows tell the rest as well."""
LOST = Question(
    ("lost_count",),
    OPPORTUNITY,
    "owner",
    (Condition("statecode", "eq", 2),),
    _counting("lost_count"),
    moment="actualclosedate",
)
CLOSED = Condition("statecode", "in", (1, 2))
CLOSINGS = frozenset({*WON.metrics, *LOST.metrics})
EVENTS: tuple[Question, ...] = (*(created(name) for name in RECORDS), *ACTIVITIES, LOST)
OPEN = Condition("statecode", "eq", 0)
PLANNED = (Condition("statecode", "in", (0, 3)),)
"""An activity that is still to be done: open or scheduled."""
DEAL_STATES = (
    "opps_open",
    "opps_past_close",
    "opps_no_next_step",
    "opps_no_activity_30d",
    "opps_stuck_step",
    "opps_missing_amount",
    "opps_missing_account",
)


@dataclass(frozen=True, slots=True)
class Habits:
    """What an organisation made of its opportunities. ``next_step``, ``step_since``: columns of theirs, "" for none."""

    next_step: str = ""
    step_since: str = ""


def deal_columns(habits: Habits) -> tuple[str, ...]:
    """What is read of an opportunity."""
    return (*DEAL, *(each for each in (habits.next_step, habits.step_since) if each))


def required(habits: Habits) -> Mapping[str, str]:
    """What every open opportunity should have filled in, by alias."""
    named = {"amounts": "estimatedvalue", "closings": "estimatedclosedate", "accounts": "account"}
    return {**named, "steps": habits.next_step} if habits.next_step else named


def states(today: date, habits: Habits) -> tuple[Question, ...]:
    """What is open now. Ages as bot/domain/usage.py says them, in whole days."""
    grown = Condition("createdon", "lt", grace_day(today))
    aliases = tuple(required(habits))

    def pipeline(_by: tuple[Any, ...], count: float, sums: Mapping[str, float]) -> Sequence[Number]:
        found: list[Number] = [("opps_open", count)]
        if "amount" in sums:
            found.append(("pipeline_amount", sums["amount"]))
        if count and all(alias in sums for alias in aliases):
            filled = sum(sums[alias] for alias in aliases)
            found.append(("field_completeness", round(100 * filled / (count * len(aliases)), 2)))
        return found

    def missing(_by: tuple[Any, ...], count: float, sums: Mapping[str, float]) -> Sequence[Number]:
        named = (("amounts", "opps_missing_amount"), ("accounts", "opps_missing_account"))
        return [(metric, count - sums[alias]) for alias, metric in named if alias in sums]

    def flaw(metric: str, *where: Condition | Either, without: tuple[Condition, ...] = ()) -> Question:
        return Question((metric,), OPPORTUNITY, "owner", (OPEN, *where), _counting(metric), without=without)

    found = [
        Question(
            ("opps_open", "pipeline_amount", "field_completeness"),
            OPPORTUNITY,
            "owner",
            (OPEN,),
            pipeline,
            sums={"amount": "open_amount"},
            filled=required(habits),
            costs={"amount": ("pipeline_amount",)} | dict.fromkeys(aliases, ("field_completeness",)),
        ),
        flaw("opps_past_close", Condition("estimatedclosedate", "lt", today, zoned=True)),
        Question(
            ("opps_missing_amount", "opps_missing_account"),
            OPPORTUNITY,
            "owner",
            (OPEN, grown),
            missing,
            filled={"amounts": "estimatedvalue", "accounts": "account"},
            costs={"amounts": ("opps_missing_amount",), "accounts": ("opps_missing_account",)},
        ),
        flaw("opps_no_next_step", grown, Condition(habits.next_step, "null"))
        if habits.next_step
        else flaw("opps_no_next_step", grown, without=PLANNED),
        flaw(
            "opps_no_activity_30d",
            Condition("createdon", "lt", quiet_day(today)),
            without=(Condition("modifiedon", "ge", quiet_day(today)),),
        ),
        Question(
            ("tasks_overdue",),
            TASK,
            "owner",
            (OPEN, Condition("scheduledend", "lt", today, zoned=True)),
            _counting("tasks_overdue"),
        ),
    ]
    if habits.step_since:
        since = Condition(habits.step_since, "lt", stuck_day(today), zoned=True)
        never = (
            Condition(habits.step_since, "null"),
            Condition("createdon", "lt", stuck_day(today)),
        )
        found.append(flaw("opps_stuck_step", Either(((since,), never))))
    return tuple(found)


ORGANISATION = (
    "isauditenabled",
    "isuseraccessauditenabled",
    "useraccessauditinginterval",
    "auditretentionperiodv2",
)
USER = (
    "systemuserid",
    "fullname",
    "internalemailaddress",
    "domainname",
    "azureactivedirectoryobjectid",
    "isdisabled",
    "accessmode",
    "applicationid",
    "title",
    "createdon",
    "parentsystemuserid",
    "businessunitid",
)
DEAL = (
    "opportunityid",
    "name",
    "owner",
    "createdon",
    "estimatedclosedate",
    "estimatedvalue",
    "open_amount",
    "account",
    "stepname",
)
OVERDUE = ("activityid", "subject", "owner", "scheduledend")
GOALS = ("goalownerid", "goalstartdate", "goalenddate", "targetmoney", "actualmoney")
SECURABLE = CLOSINGS | {
    "pipeline_amount",
    "field_completeness",
    "opps_past_close",
    "opps_missing_amount",
    "opps_missing_account",
    "opps_stuck_step",
}
"""Metrics of opportunities by columns that an organisation may secure; dates of its rows and owners it may not."""
AUDIT_STARTED = (105, 107, 112)
"""Audit actions: of a table started, of the organisation enabled, of user access started."""

_WHY: Mapping[str, str] = {
    "step_moves": "Dataverse tells old and new values of a change one record a call (RetrieveRecordChangeHistory),"
    " not for everybody at once",
    "close_date_pushes": "Dataverse tells old and new values of a change one record a call (RetrieveRecordChangeHistory),"
    " not for everybody at once",
    "opps_stuck_step": "Dataverse keeps no date of the last step on an opportunity: set FULLSTEAM_DYNAMICS_STEP_SINCE to a"
    " date column that your forms or flows keep",
}


def unsupported(habits: Habits) -> dict[str, str]:
    """Metrics that are not read from Dataverse, each with the reason."""
    read = {"active_day", "quota_attainment", *WON.metrics}
    read |= {f"records_updated.{word}" for word in RECORDS.values()}
    for question in (*EVENTS, *states(date(2000, 1, 1), habits)):
        read |= set(question.metrics)
    return {
        metric: _WHY.get(metric, f"{metric} is not read from Dataverse by this version")
        for metric in METRICS
        if metric not in read
    }


# -- how it is said ---------------------------------------------------------------------------------------------------------


def instant(moment: datetime) -> str:
    """A time as Dataverse reads it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def day_begins(day: date, zone: ZoneInfo | None) -> datetime:
    """The first instant of a day, in UTC or in a zone."""
    return datetime.combine(day, time(), zone or UTC)


@dataclass(frozen=True, slots=True)
class Wording:
    """How conditions are written for one CRM. ``zone``: the programme's."""

    schema: Schema
    zone: ZoneInfo

    def moments(
        self, question: Question, first: date, last: date, until: datetime | None = None
    ) -> tuple[Condition, ...]:
        """A span of days as conditions on the question's moment. ``until``: nothing after it."""
        if not question.moment:
            return ()
        end: date | datetime = last + timedelta(days=1)
        if question.begun and until is not None and until < day_begins(last + timedelta(days=1), None):
            end = max(until, day_begins(first, None))
        return (Condition(question.moment, "ge", first), Condition(question.moment, "lt", end))

    def value(self, table: Table, condition: Condition, value: Any) -> str:
        """A value as text, by the type of its column."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            if self.schema.is_day(table.rows, condition.column):
                return value.astimezone(self.zone if condition.zoned else UTC).date().isoformat()
            return instant(value)
        if isinstance(value, date):
            if self.schema.is_day(table.rows, condition.column):
                return value.isoformat()
            return instant(day_begins(value, self.zone if condition.zoned else None))
        return str(value)

    # -- OData

    def odata(self, table: Table, where: Sequence[Condition | Either]) -> str:
        """Conditions as a ``$filter``."""
        return " and ".join(self._odata(table, each) for each in where)

    def _odata(self, table: Table, each: Condition | Either) -> str:
        if isinstance(each, Either):
            return "(" + " or ".join(f"({self.odata(table, way)})" for way in each.ways) + ")"
        name = property_of(each.column)
        if each.operator in {"null", "not-null"}:
            return f"{name} {'eq' if each.operator == 'null' else 'ne'} null"
        if each.other:
            return f"{name} {each.operator} {property_of(each.other)}"
        said = each.value if each.said is None else each.said
        if each.operator == "in":
            found = " or ".join(f"{name} eq {self._literal(table, each, one)}" for one in said)
            return f"({found})"
        return f"{name} {each.operator} {self._literal(table, each, said)}"

    def _literal(self, table: Table, condition: Condition, value: Any) -> str:
        text = self.value(table, condition, value)
        if isinstance(value, str) and self.schema.is_text(table.rows, condition.column):
            quoted = text.replace("'", "''")
            return f"'{quoted}'"
        return text

    def apply(self, question: Question, where: Sequence[Condition | Either]) -> str:
        """A question as ``$apply``; days are asked one by one, because datetimes cannot be grouped there."""
        table = question.table
        names = ",".join(property_of(each) for each in (question.person, *question.by))
        count = (
            f"{property_of(question.distinct)} with countdistinct as n"
            if question.distinct
            else "$count as n"
        )
        sums = "".join(
            f",{property_of(column)} with sum as {alias}" for alias, column in question.sums.items()
        )
        grouped = f"groupby(({names}),aggregate({count}{sums}))"
        return f"filter({self.odata(table, where)})/{grouped}" if where else grouped

    def order(self, question: Question) -> str:
        """What the groups of :meth:`apply` can be sorted by, so that pages of them neither overlap nor leave any out."""
        return ",".join(property_of(each) for each in (question.person, *question.by))

    # -- FetchXML

    def fetch(
        self,
        question: Question,
        where: Sequence[Condition | Either],
        *,
        page: int = 1,
        cookie: str = "",
        most: int = GROUPS,
        beside: Sequence[tuple[Condition, ...]] = (),
    ) -> str:
        """A question as FetchXML. ``cookie``: of the page before, where there was one.

        ``beside``: the days, each as conditions, that are counted beside each other in one group instead of a group a day:
        each row is joined to itself, once for each day, if it is of that day. ``n0``, ``n1``, ... are their counts, ``c0``,
        ``c1``, ... the rows of each, where different values are counted; ``n`` is the rows of all days.
        """
        root = ET.Element("fetch", aggregate="true", count=str(most), page=str(page))
        if cookie:
            root.set("paging-cookie", cookie)
        entity = ET.SubElement(root, "entity", name=question.table.name)
        orders = []
        for alias, column in (
            ("u", question.person),
            *((f"g{n}", each) for n, each in enumerate(question.by)),
        ):
            ET.SubElement(entity, "attribute", name=column, alias=alias, groupby="true")
            orders.append(alias)
        if question.moment and not beside:
            for alias, part in (("y", "year"), ("m", "month"), ("d", "day")):
                ET.SubElement(
                    entity,
                    "attribute",
                    name=question.moment,
                    alias=alias,
                    groupby="true",
                    dategrouping=part,
                    usertimezone="false",
                )
                orders.append(alias)
        if question.distinct and not beside:
            _distinct(entity, question.distinct, "n")
        else:
            ET.SubElement(entity, "attribute", name=question.table.key, alias="n", aggregate="count")
        for kind, named in (("sum", question.sums), ("countcolumn", question.filled)):
            for alias, column in named.items():
                ET.SubElement(entity, "attribute", name=column, alias=alias, aggregate=kind)
        if where or question.without:
            holder = ET.SubElement(entity, "filter", type="and")
            self._fetch(holder, question.table, where)
            if question.without:
                ET.SubElement(holder, "condition", entityname="a", attribute=ACTIVITY.key, operator="null")
        if question.without:
            joined = ET.SubElement(
                entity,
                "link-entity",
                {"from": "regardingobjectid", "to": question.table.key, "link-type": "outer"},
                name=ACTIVITY.name,
                alias="a",
            )
            self._fetch(ET.SubElement(joined, "filter", type="and"), ACTIVITY, question.without)
        key = question.table.key
        for n, day in enumerate(beside):
            joined = ET.SubElement(
                entity,
                "link-entity",
                {"from": key, "to": key, "link-type": "outer"},
                name=question.table.name,
                alias=f"d{n}",
            )
            if question.distinct:
                _distinct(joined, question.distinct, f"n{n}")
            alias = f"c{n}" if question.distinct else f"n{n}"
            ET.SubElement(joined, "attribute", name=key, alias=alias, aggregate="countcolumn")
            self._fetch(ET.SubElement(joined, "filter", type="and"), question.table, day)
        for alias in orders:
            ET.SubElement(entity, "order", alias=alias)
        return ET.tostring(root, encoding="unicode")

    def about(
        self, owners: Sequence[str], where: Sequence[Condition | Either], *, page: int = 1, cookie: str = ""
    ) -> str:
        """The last activity (``last``) about each open opportunity (``r``) of these owners, as FetchXML."""
        root = ET.Element("fetch", aggregate="true", count=str(GROUPS), page=str(page))
        if cookie:
            root.set("paging-cookie", cookie)
        entity = ET.SubElement(root, "entity", name=ACTIVITY.name)
        ET.SubElement(entity, "attribute", name="regardingobjectid", alias="r", groupby="true")
        ET.SubElement(entity, "attribute", name="modifiedon", alias="last", aggregate="max")
        if where:
            self._fetch(ET.SubElement(entity, "filter", type="and"), ACTIVITY, where)
        joined = ET.SubElement(
            entity,
            "link-entity",
            {"from": OPPORTUNITY.key, "to": "regardingobjectid", "link-type": "inner"},
            name=OPPORTUNITY.name,
            alias="o",
        )
        owner = self.schema.column(OPPORTUNITY.rows, "owner")
        self._fetch(
            ET.SubElement(joined, "filter", type="and"),
            OPPORTUNITY,
            (OPEN, Condition(owner, "in", tuple(owners))),
        )
        ET.SubElement(entity, "order", alias="r")
        return ET.tostring(root, encoding="unicode")

    def _fetch(self, holder: ET.Element, table: Table, where: Sequence[Condition | Either]) -> None:
        for each in where:
            if isinstance(each, Either):
                ways = ET.SubElement(holder, "filter", type="or")
                for way in each.ways:
                    self._fetch(ET.SubElement(ways, "filter", type="and"), table, way)
                continue
            condition = ET.SubElement(holder, "condition", attribute=each.column, operator=each.operator)
            if each.other:
                condition.set("valueof", each.other)
            elif each.operator == "in":
                for one in each.value:
                    ET.SubElement(condition, "value").text = self.value(table, each, one)
            elif each.operator not in {"null", "not-null"}:
                condition.set("value", self.value(table, each, each.value))


def _distinct(holder: ET.Element, column: str, alias: str) -> None:
    """Different values of a column are counted."""
    ET.SubElement(holder, "attribute", name=column, alias=alias, aggregate="countcolumn", distinct="true")


PROBE_FETCH = (
    '<fetch aggregate="true"><entity name="systemuser"><attribute name="systemuserid" alias="n" aggregate="count" />'
    "</entity></fetch>"
)
"""Whether a server counts by FetchXML is asked once, with this."""
