"""An Odoo of its own, as far as a client sees it: domains, grouped reads, two protocols, and the ways in which it says no.

Written after Odoo's sources (odoo/http.py, odoo/service/, addons/rpc/controllers/json2.py, addons/web/models/models.py) and
not after our connector: tests/contract/test_odoo_server.py holds it against the foreign client odoorpc.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from bot.connectors.odoo.connector import OdooConnector, OdooSettings
from bot.connectors.wire import whole_address
from bot.domain.usage import Collected, CoverageStatus, Window
from sandbox.clock import SteeredClock

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
URL = "https://acme.example.com"
KEY, LOGIN, DATABASE = "an-api-key-of-forty-letters", "fullsteam", "acme"
ME = 2
Record = dict[str, Any]

COMODELS: Mapping[tuple[str, str], str] = {
    ("res.users", "partner_id"): "res.partner",
    ("res.users", "sale_team_id"): "crm.team",
    ("crm.team", "user_id"): "res.users",
    ("crm.lead", "user_id"): "res.users",
    ("crm.lead", "partner_id"): "res.partner",
    ("crm.lead", "stage_id"): "crm.stage",
    ("mail.message", "author_id"): "res.partner",
    ("mail.message", "subtype_id"): "mail.message.subtype",
    ("mail.message", "mail_activity_type_id"): "mail.activity.type",
    ("mail.activity", "user_id"): "res.users",
    ("mail.activity", "activity_type_id"): "mail.activity.type",
    ("calendar.event", "user_id"): "res.users",
    ("hr.employee.public", "user_id"): "res.users",
    ("hr.employee.public", "parent_id"): "hr.employee.public",
    ("mail.tracking.value", "field_id"): "ir.model.fields",
    ("mail.tracking.value", "field"): "ir.model.fields",
}
MODELS: Mapping[str, str] = {
    "res.users": (
        "name login email active share tz lang partner_id login_date sale_team_id function oauth_uid companies_count company_ids"
    ),
    "res.partner": "name is_company partner_share active",
    "res.users.apikeys": "name user_id expiration_date scope",
    "crm.team": "name user_id active",
    "crm.stage": "name is_won",
    "crm.lead": (
        "name type active user_id partner_id stage_id expected_revenue probability date_deadline date_closed"
        " date_last_stage_update day_close company_id"
    ),
    "mail.message": "model res_id author_id date message_type subtype_id mail_activity_type_id",
    "mail.message.subtype": "name internal res_model",
    "mail.activity.type": "name category icon active",
    "mail.activity": "summary activity_type_id user_id date_deadline res_model res_id res_name active",
    "calendar.event": "name user_id start active",
    "hr.employee.public": "name user_id parent_id active",
    "helpdesk.ticket": "name user_id active",
    "mail.tracking.value": "field_id field old_value_datetime new_value_datetime mail_message_id",
    "ir.model.fields": "model name tracking",
}
"""What a user of sales sees of each model."""
FIELDS: Mapping[str, frozenset[str]] = {
    model: frozenset({"id", "create_uid", "create_date", "write_uid", "write_date", *names.split()})
    for model, names in MODELS.items()
}
DATES = frozenset({"date_deadline", "expiration_date"})
"""Plain dates; what else ends a group with ``:day`` is a naive UTC instant."""
ONE2MANY = {"activity_ids": ("mail.activity", "res_model"), "message_ids": ("mail.message", "model")}
SUBTYPES = {
    1: ("mail.mt_comment", False, None),
    2: ("mail.mt_note", True, None),
    3: ("mail.mt_activities", True, None),
    11: ("crm.mt_lead_create", False, "crm.lead"),
    12: ("crm.mt_lead_stage", False, "crm.lead"),
    13: ("crm.mt_lead_won", False, "crm.lead"),
    14: ("crm.mt_lead_lost", False, "crm.lead"),
}
TYPES = {
    1: ("Email", "fa-envelope"),
    2: ("Call", "fa-phone"),
    3: ("Meeting", "fa-users"),
    4: ("To-Do", "fa-tasks"),
}


class OdooError(Exception):
    """What Odoo raises. ``name``: its class; ``status``: of JSON-2."""

    def __init__(self, name: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.name, self.status = name, status

    def body(self) -> Record:
        trace = f"Traceback (most recent call last):\n  SECRET-OF-A-TRACEBACK\n{self.name}: {self}"
        return {
            "name": self.name,
            "message": str(self),
            "arguments": [str(self)],
            "context": {},
            "debug": trace,
        }


def access_error(model: str) -> OdooError:
    return OdooError(
        "odoo.exceptions.AccessError", f"You are not allowed to access '{model}' ({model}) records.", 403
    )


@dataclass
class Odoo:
    """One server with one database. ``major``: 17 or 19, say. ``denied``, ``ungrouped``, ``missing``: models.

    ``fault``: (model or path, method) -> a response or an error instead of the answer, or None.
    """

    clock: SteeredClock = field(default_factory=lambda: SteeredClock(FRIDAY))
    major: int = 19
    denied: set[str] = field(default_factory=lambda: {"mail.tracking.value"})
    ungrouped: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=lambda: {"helpdesk.ticket", "hr.employee.public"})
    hidden: set[tuple[str, str]] = field(default_factory=set)
    key: str = KEY
    asked: list[tuple[str, str, Record]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    groups: set[str] = field(default_factory=lambda: {"sales_team.group_sale_salesman_all_leads"})
    rule: bool = False
    """Whether a record rule of the firm's own shows us all leads, whatever our groups."""
    team: set[int] = field(default_factory=set)
    """Whose leads a record rule of the firm's own shows us, whatever our groups."""
    companies: int = 1
    """How many there are; the integration user is in the first."""
    fault: Callable[[str, str], httpx.Response | OdooError | None] = lambda _model, _method: None
    cut: bool = False
    label: str = ""
    """What days are called, in the words of whoever asks."""

    def __post_init__(self) -> None:
        self.rows: defaultdict[str, dict[int, Record]] = defaultdict(dict)
        self.fields = {model: set(names) for model, names in FIELDS.items()}
        if self.major < 18:
            self.fields["res.users.apikeys"].discard("expiration_date")
        if self.major >= 17:
            self.fields["mail.tracking.value"].discard("field")
        else:
            self.fields["mail.tracking.value"].discard("field_id")
        for number, (name, internal, model) in SUBTYPES.items():
            self.put(
                "mail.message.subtype", id=number, name=name, internal=internal, res_model=model or False
            )
        for number, (name, icon) in TYPES.items():
            self.put("mail.activity.type", id=number, name=name, category="default", icon=icon)
        self.put("crm.stage", id=1, name="New", is_won=False)
        self.put("crm.stage", id=2, name="Proposition", is_won=False)
        self.put("crm.stage", id=3, name="Won", is_won=True)
        self.put("ir.model.fields", id=1, model="crm.lead", name="date_deadline", tracking=False)
        self.user("OdooBot", id=1, active=False, login="__system__")
        self.user("Fullsteam", id=ME, login=LOGIN)

    # -- records --------------------------------------------------------------------------------------------------------

    @property
    def today(self) -> date:
        return self.clock.now().date()

    def ago(self, days: float) -> str:
        return f"{self.clock.now() - timedelta(days=days):%Y-%m-%d %H:%M:%S}"

    def put(self, model: str, /, **values: Any) -> int:
        number = int(values.pop("id", 0)) or max(self.rows[model], default=0) + 1
        made = dict.fromkeys(self.fields[model], False) | {"active": True, "create_date": self.ago(300)}
        made |= {"id": number, "create_uid": 1, **values}
        made["write_uid"] = values.get("write_uid", made["create_uid"])
        made["write_date"] = values.get("write_date", made["create_date"])
        self.rows[model][number] = made
        return number

    def user(self, name: str, leader: int | None = None, **values: Any) -> int:
        partner = self.put("res.partner", name=name, partner_share=False)
        team = next((t["id"] for t in self.rows["crm.team"].values() if t["user_id"] == leader), False)
        if leader and not team:
            team = self.put("crm.team", name="Team", user_id=leader)
        given = {
            "name": name,
            "login": f"{name.lower().replace(' ', '.')}@example.com",
            "email": f"{name.lower().replace(' ', '.')}@example.com",
            "share": False,
            "tz": "Europe/Berlin",
            "lang": "en_US",
            "partner_id": partner,
            "sale_team_id": team,
            "company_ids": [1],
        }
        return self.put("res.users", **(given | values))

    def deal(self, owner: int, days: float, **values: Any) -> int:
        """An opportunity in good order that was created so many days ago, with an activity planned on it."""
        planned = values.pop("planned", True)
        given = {
            "name": "Deal",
            "type": "opportunity",
            "user_id": owner,
            "create_uid": owner,
            "create_date": self.ago(days),
            "partner_id": 1,
            "stage_id": 2,
            "expected_revenue": 1000.0,
            "probability": 20.0,
            "date_deadline": (self.today + timedelta(days=30)).isoformat(),
            "date_last_stage_update": self.ago(1),
        }
        deal = self.put("crm.lead", **(given | values))
        if planned:
            self.plan(owner, 5, deal)
        return deal

    def close(self, deal: int, by: int, days: float, *, won: bool) -> None:
        """Won or lost so many days ago."""
        row = self.rows["crm.lead"][deal]
        at = self.ago(days)
        took = datetime.fromisoformat(at) - datetime.fromisoformat(row["create_date"])
        row |= {
            "date_closed": at,
            "write_uid": by,
            "write_date": at,
            "day_close": took.total_seconds() / 86400,
        }
        row |= {"stage_id": 3, "probability": 100.0} if won else {"active": False, "probability": 0.0}
        self.say(by, days, deal, message_type="notification", subtype_id=13 if won else 14)

    def say(self, by: int, days: float, about: int, model: str = "crm.lead", **values: Any) -> int:
        given = {
            "model": model,
            "res_id": about,
            "author_id": self.rows["res.users"][by]["partner_id"] if by in self.rows["res.users"] else by,
            "date": self.ago(days),
            "message_type": "comment",
            "subtype_id": 1,
            "create_uid": by,
        }
        return self.put("mail.message", **(given | values))

    def done(self, by: int, type_: int, days: float, about: int = 1) -> None:
        """An activity that was marked as done."""
        self.say(by, days, about, message_type="notification", subtype_id=3, mail_activity_type_id=type_)

    def plan(self, owner: int, due_in: int, about: int, model: str = "crm.lead", **values: Any) -> int:
        due = (self.today + timedelta(days=due_in)).isoformat()
        given = {
            "summary": "Send offer",
            "activity_type_id": 4,
            "user_id": owner,
            "date_deadline": due,
            "res_model": model,
            "res_id": about,
            "res_name": "Deal",
        }
        return self.put("mail.activity", **(given | values))

    # -- search ---------------------------------------------------------------------------------------------------------

    def _check(self, model: str, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.fields[model] and name not in ONE2MANY:
                raise OdooError("builtins.ValueError", f"Invalid field '{name}' on model '{model}'")
            if (model, name) in self.hidden:
                raise access_error(model)

    def found(self, model: str, domain: list[Any], *, archived: bool) -> list[Record]:
        """Records of a domain in prefix notation."""
        named = {leaf[0].partition(".")[0] for leaf in domain if isinstance(leaf, list)}
        self._check(model, named)
        rows: Iterable[Record] = self.rows[model].values()
        if "active" in self.fields[model] and not archived and "active" not in named:
            rows = (row for row in rows if row["active"])
        return [row for row in rows if self._allowed(model, row) and self._holds(model, row, domain)]

    def _allowed(self, model: str, row: Record) -> bool:
        """Record rules of leads, which what is on a lead is hidden with."""
        if model == "crm.lead" and row["company_id"] not in (
            False,
            *self.rows["res.users"][ME]["company_ids"],
        ):
            return False
        if self.rule or "sales_team.group_sale_salesman_all_leads" in self.groups:
            return True
        if model == "crm.lead":
            return row["user_id"] in (False, ME, *self.team)
        about = {"mail.message": "model", "mail.activity": "res_model"}.get(model)
        if about is None or row[about] != "crm.lead" or ME in (row.get("user_id"), row["create_uid"]):
            return True
        lead = self.rows["crm.lead"].get(row["res_id"])
        return lead is not None and self._allowed("crm.lead", lead)

    def _holds(self, model: str, row: Record, domain: list[Any]) -> bool:
        stack: list[bool] = []
        for token in reversed(domain):
            if token == "!":
                stack.append(not stack.pop())
            elif token in ("&", "|"):
                left, right = stack.pop(), stack.pop()
                stack.append((left and right) if token == "&" else (left or right))
            else:
                stack.append(self._leaf(model, row, *token))
        return all(stack)

    def _leaf(self, model: str, row: Record, path: str, operator: str, value: Any) -> bool:
        name, _, rest = path.partition(".")
        if name in ONE2MANY:
            comodel, key = ONE2MANY[name]
            lines = [
                each
                for each in self.rows[comodel].values()
                if each[key] == model and each["res_id"] == row["id"] and each.get("active", True)
            ]
            if operator in ("any", "not any"):
                if self.major < 17:
                    raise OdooError("builtins.ValueError", f"Invalid leaf {[path, operator]}")
                return any(self._holds(comodel, each, value) for each in lines) == (operator == "any")
            assert (operator, value) in (("=", False), ("!=", False)), (
                "what else Odoo allows, nobody here asks"
            )
            return bool(lines) == (operator == "!=")
        if rest:
            other = self.rows[COMODELS[model, name]].get(row[name])
            return other is not None and self._leaf(COMODELS[model, name], other, rest, operator, value)
        have = row.get(name)
        match operator:
            case "=" | "!=":
                same = (not have and have is not None) if value is False else have == value
                if value is False and isinstance(have, int | float) and not isinstance(have, bool):
                    same = False  # 0 is a number
                return bool(same) == (operator == "=")
            case "in" | "not in":
                return (have in value) == (operator == "in")
        if have is False or have is None:
            return False
        return {"<": have < value, "<=": have <= value, ">": have > value, ">=": have >= value}[operator]

    def shown(self, model: str, row: Record, name: str) -> Any:
        if name == "companies_count":
            return self.companies
        if name in ONE2MANY:
            comodel, key = ONE2MANY[name]
            lines = self.rows[comodel].values()
            return [
                each["id"]
                for each in lines
                if each[key] == model and each["res_id"] == row["id"] and each.get("active", True)
            ]
        return self._pair(model, name, row.get(name, False))

    def _pair(self, model: str, name: str, value: Any) -> Any:
        comodel = "res.users" if name in ("create_uid", "write_uid") else COMODELS.get((model, name))
        if comodel is None or not value:
            return value
        other = self.rows[comodel].get(value)
        return [value, other["name"] if other else f"{comodel},{value}"]

    def _groups(
        self, model: str, domain: list[Any], groupby: list[str], context: Record
    ) -> list[tuple[tuple[Any, ...], list[Record]]]:
        if model in self.ungrouped:
            raise OdooError("odoo.exceptions.AccessError", "Only administrators are allowed", 403)
        self._check(model, {spec.partition(":")[0] for spec in groupby})
        assert context.get("tz") == "UTC" or not any(":" in spec for spec in groupby), "days in another zone"
        rows = self.found(model, domain, archived=context.get("active_test") is False)
        made: defaultdict[tuple[Any, ...], list[Record]] = defaultdict(list)
        for row in rows:
            key = tuple(
                row[spec.partition(":")[0]][:10]
                if ":" in spec and row[spec.partition(":")[0]]
                else row[spec.partition(":")[0]]
                for spec in groupby
            )
            made[key].append(row)
        return sorted(made.items(), key=lambda each: repr(each[0]))

    def _aggregate(self, rows: list[Record], name: str, function: str) -> Any:
        values = [row[name] for row in rows if row[name] is not False]
        match function:
            case "sum":
                return sum(values)
            case "count":
                return len(values)
            case "max":
                return max(values, default=False)
        raise OdooError("builtins.ValueError", f"Invalid aggregate {function}")

    def _range(self, spec: str, day: str) -> tuple[str, str, str]:
        beginning = date.fromisoformat(day)
        ends = [each.isoformat() for each in (beginning, beginning + timedelta(days=1))]
        clock = "" if spec.partition(":")[0] in DATES else " 00:00:00"
        return ends[0] + clock, ends[1] + clock, self.label or f"{beginning:%d} Nov. {beginning:%Y}"

    # -- methods --------------------------------------------------------------------------------------------------------

    def run(self, model: str, method: str, args: list[Any], named: Record) -> Any:
        """Call a public method."""
        if model in self.missing or model not in self.fields:
            raise self._no_model(model)
        function = getattr(self, f"do_{method}", None)
        if function is None or (method == "formatted_read_group" and self.major < 19):
            raise OdooError("builtins.AttributeError", f"The method '{model}.{method}' does not exist", 404)
        if model in self.denied and method != "context_get":
            raise access_error(model)
        context = named.pop("context", None) or {}
        return function(model, context, *args, **named)

    def _no_model(self, model: str) -> OdooError:
        if self.major >= 19:
            return OdooError("werkzeug.exceptions.NotFound", f"the model '{model}' does not exist", 404)
        return OdooError("odoo.exceptions.UserError", f"Object {model} doesn't exist", 422)

    def do_context_get(self, _model: str, _context: Record) -> Record:
        return {"lang": "en_US", "tz": "Europe/Brussels", "uid": ME}

    def do_fields_get(
        self,
        model: str,
        _context: Record,
        allfields: list[str] | None = None,
        attributes: list[str] | None = None,
    ) -> Record:
        shown = [name for name in sorted(self.fields[model]) if (model, name) not in self.hidden]
        kinds = {name: "many2one" if (model, name) in COMODELS else "char" for name in shown}
        return {
            name: {"type": kinds[name], "relation": COMODELS.get((model, name)), "string": name}
            for name in shown
            if not allfields or name in allfields
        }

    def do_get_external_id(self, model: str, _context: Record, ids: list[int] | None = None) -> Record:
        return {
            str(number): SUBTYPES[number][0] if model == "mail.message.subtype" else ""
            for number in ids or []
        }

    def do_search_read(
        self,
        model: str,
        context: Record,
        domain: list[Any] | None = None,
        fields: list[str] | None = None,
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[Record]:
        rows = self.found(model, domain or [], archived=context.get("active_test") is False)
        assert order in (None, "id")
        self._check(model, fields or [])
        rows = sorted(rows, key=lambda row: row["id"])[offset:][: limit or None]
        return [
            {name: self.shown(model, row, name) for name in {"id", *(fields or sorted(self.fields[model]))}}
            for row in rows
        ]

    def do_search_count(
        self, model: str, context: Record, domain: list[Any], limit: int | None = None
    ) -> int:
        return len(self.found(model, domain, archived=context.get("active_test") is False)[: limit or None])

    def do_has_group(self, model: str, _context: Record, *args: Any, **named: Any) -> bool:
        """Up to 17 a method of the model, from 18 on of one user; nobody else's groups are told."""
        if self.major >= 18:
            (ids, *args_) = args
            assert (model, ids) == ("res.users", [ME]), "ensure_one: asked of one user"
        else:
            args_ = list(args)
        (group,) = [*args_, *named.values()]
        assert list(named) in ([], ["group_ext_id"])
        assert "." in group
        return group in self.groups

    def do_search(self, model: str, context: Record, domain: list[Any]) -> list[int]:
        return [row["id"] for row in self.found(model, domain, archived=context.get("active_test") is False)]

    def do_read(
        self, model: str, _context: Record, ids: list[int], fields: list[str], load: str = "_classic_read"
    ) -> list[Record]:
        """``load``: ``_classic_write`` gives a many2one as its id alone."""
        plain = load == "_classic_write"
        rows = [self.rows[model][number] for number in ids]
        names = {"id", *fields}
        return [
            {
                name: row.get(name, False) if plain and name not in ONE2MANY else self.shown(model, row, name)
                for name in names
            }
            for row in rows
        ]

    def do_read_group(
        self,
        model: str,
        context: Record,
        domain: list[Any],
        fields: list[str],
        groupby: list[str],
        offset: int = 0,
        limit: int | None = None,
        orderby: str | bool = False,
        lazy: bool = True,
    ) -> list[Record]:
        assert not lazy, "a lazy read groups by the first field only"
        found = []
        for key, rows in self._groups(model, domain, groupby, context)[offset:][: limit or None]:
            group: Record = {"__count": len(rows), "__domain": list(domain)}
            for spec, value in zip(groupby, key, strict=True):
                if ":" in spec and value:
                    since, until, label = self._range(spec, value)
                    group[spec] = label
                    group.setdefault("__range", {})[spec] = {"from": since, "to": until}
                else:
                    group[spec] = self._pair(model, spec, value)
            for each in fields:
                name, _, rest = each.partition(":")
                function, _, column = rest.partition("(")
                group[name] = self._aggregate(rows, column.rstrip(")"), function)
            found.append(group)
        return found

    def do_formatted_read_group(
        self,
        model: str,
        context: Record,
        domain: list[Any],
        groupby: list[str] = [],  # noqa: B006 - Odoo's own signature, never changed
        aggregates: list[str] = [],  # noqa: B006
        having: list[Any] = [],  # noqa: B006
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[Record]:
        found = []
        for key, rows in self._groups(model, domain, groupby, context)[offset:][: limit or None]:
            group: Record = {"__extra_domain": []}
            for spec, value in zip(groupby, key, strict=True):
                if ":" in spec and value:
                    since, until, label = self._range(spec, value)
                    name = spec.partition(":")[0]
                    group[spec] = [since, label]
                    group["__extra_domain"] += ["&", [name, ">=", since], [name, "<", until]]
                else:
                    group[spec] = self._pair(model, spec, value)
            for each in aggregates:
                name, _, function = each.partition(":")
                group[each] = len(rows) if each == "__count" else self._aggregate(rows, name, function)
            found.append(group)
        return found

    # -- HTTP -----------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Record, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        content, more = b"", True
        while more:
            part = await receive()
            content, more = content + part.get("body", b""), part.get("more_body", False)
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        response = self.answer(scope["method"], scope["path"], headers, content)
        raw = [(key.encode(), value.encode()) for key, value in response.headers.items()]
        await send({"type": "http.response.start", "status": response.status_code, "headers": raw})
        await send({"type": "http.response.body", "body": response.content})

    def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """One request."""
        planned = self.fault(path, method)
        if isinstance(planned, httpx.Response):
            return planned
        if path == "/web/version" and method == "GET" and self.major >= 19:
            return httpx.Response(
                200,
                json={"version": f"{self.major}.0", "version_info": [self.major, 0, 0, "final", 0, ""]},
            )
        if path == "/web/webclient/version_info" and method == "POST":
            return self._rpc(content, lambda _params: self._version())
        if path == "/jsonrpc" and method == "POST":
            return self._rpc(content, self._service)
        if path.startswith("/json/2/") and self.major >= 19:
            return self._json2(method, path, headers, content)
        return httpx.Response(404, html="<!doctype html>\n<title>404 Not Found</title>")

    def _version(self) -> Record:
        return {
            "server_version": f"{self.major}.0",
            "server_version_info": [self.major, 0, 0, "final", 0, ""],
            "server_serie": f"{self.major}.0",
            "protocol_version": 1,
        }

    def _rpc(self, content: bytes, work: Callable[[Record], Any]) -> httpx.Response:
        asked = json.loads(content)
        answer: Record = {"jsonrpc": "2.0", "id": asked.get("id")}
        try:
            answer["result"] = work(asked.get("params") or {})
        except OdooError as error:
            answer["error"] = {"code": 200, "message": "Odoo Server Error", "data": error.body()}
        return _sent(answer)

    def _service(self, params: Record) -> Any:
        service, method, args = params["service"], params["method"], params["args"]
        if service == "common":
            if method == "version":
                return self._version()
            database, login, key = args[:3]
            if database != DATABASE:
                raise OdooError(
                    "psycopg2.OperationalError",
                    f'connection to server failed: FATAL:  database "{database}" does not exist',
                )
            return ME if (login, key) == (LOGIN, self.key) else False
        if service == "db":
            return [DATABASE]
        database, user, key, model, name, *rest = args
        if (database, user, key) != (DATABASE, ME, self.key):
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied", 403)
        named = dict(rest[1]) if method == "execute_kw" and len(rest) > 1 else {}
        positional = list(rest[0] if rest else []) if method == "execute_kw" else rest
        return self._call(model, name, positional, named)

    def _json2(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        if headers.get("x-odoo-database", DATABASE) != DATABASE:
            return httpx.Response(404, html="<!doctype html>\n<title>404 Not Found</title>")
        try:
            self._let_in(headers)
            _, _, _, model, name = path.split("/")
            named = json.loads(content)
            ids = named.pop("ids", None)
            return _sent(self._call(model, name, [ids] if ids else [], named))
        except OdooError as error:
            return httpx.Response(error.status, json=error.body())

    def _let_in(self, headers: Mapping[str, str]) -> None:
        if headers.get("authorization", "").casefold() != f"bearer {self.key}".casefold():
            raise OdooError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401)
        if "application/json" not in headers.get("content-type", ""):
            raise OdooError("werkzeug.exceptions.BadRequest", "Did you mean POST?", 400)

    def _call(self, model: str, name: str, args: list[Any], named: Record) -> Any:
        self.asked.append((model, name, dict(named)))
        planned = self.fault(model, name)
        if isinstance(planned, OdooError):
            raise planned
        return self.run(model, name, args, named)

    # -- the connector --------------------------------------------------------------------------------------------------

    def settings(self, **changed: Any) -> Record:
        """What ``ConnectorKind.open`` takes."""
        return {
            "url": URL,
            "database": DATABASE,
            "login": LOGIN,
            "api_key": KEY,
            "transport": Line(self),
            "clock": self.clock,
            **changed,
        }

    def connector(self, record_link: str | None = None, **changed: Any) -> OdooConnector:
        """A connector that never sleeps."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        given = self.settings(**changed)
        transport, clock = given.pop("transport"), given.pop("clock")
        return OdooConnector(
            OdooSettings(**given), clock=clock, record_link=record_link, transport=transport, sleep=sleep
        )

    def calls(self) -> Counter[tuple[str, str]]:
        return Counter((model, method) for model, method, _ in self.asked)


def _sent(body: Any) -> httpx.Response:
    """JSON has no infinity, but numbers that are too large for whoever reads them."""
    content = json.dumps(body).replace("Infinity", "1e999")
    return httpx.Response(200, content=content, headers={"Content-Type": "application/json"})


class Line(httpx.AsyncBaseTransport):
    """The line to the server, in this process."""

    def __init__(self, odoo: Odoo) -> None:
        self._odoo = odoo

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._odoo.cut:
            raise httpx.ConnectError("nobody there")
        path = httpx.URL(whole_address(request)).path
        content = await request.aread()
        return self._odoo.answer(request.method, path, dict(request.headers), content)


async def collected(connector: OdooConnector, window: Window, metrics: frozenset[str]) -> list[Collected]:
    return [part async for part in connector.collect(window, metrics)]


def facts_of(parts: list[Collected]) -> dict[tuple[str, date], dict[str, float]]:
    return {(fact.crm_id, fact.day): dict(fact.values) for part in parts for fact in part.facts}


def coverage_of(parts: list[Collected]) -> dict[tuple[str, date], tuple[CoverageStatus, str]]:
    return {(row.metric, row.day): (row.status, row.detail) for part in parts for row in part.coverage}
