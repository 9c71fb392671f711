"""How Odoo is spoken to, and what its answers mean: two protocols, refusals, logins, groups (docs/connectors/odoo.md).

JSON-2 (Odoo 19 and later): ``POST /json/2/<model>/<method>``, the API key as bearer, named arguments as a JSON object, an
error as a status and ``{"name": "odoo.exceptions.AccessError", "message": …, "debug": …}``. JSON-RPC (16 to 18, and 19):
``POST /jsonrpc``, service ``object``, method ``execute_kw``, every answer a 200 with ``result`` or ``error.data``.
What an error says in ``message`` and ``debug`` repeats the query, names and tracebacks: none of it is kept.

Sources: Odoo documentation, "External JSON-2 API" and "External RPC API"; addons/rpc/controllers/json2.py,
odoo/http.py (serialize_exception), odoo/exceptions.py, odoo/service/model.py, odoo/service/common.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.connectors.http import Answer, LogIn, Send, Session, SessionRefused, elsewhere
from bot.connectors.odoo.queries import GROUPS, Question, Row
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.domain.errors import FullsteamError, Permanent, Retryable

JSON2_SINCE = 19
"""The first version with JSON-2."""
OLDEST = 16
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_UNKNOWN_FIELD = (
    re.compile(r"Invalid field '?([\w.]+)'? (?:on|in)\b"),
    re.compile(r"Invalid field [\w.]+\.(\w+) in (?:leaf|condition)"),
    re.compile(r"Field '?(\w+)'? does not exist"),
)
_BUSY_DATABASE = ("SerializationFailure", "LockNotAvailable", "DeadlockDetected", "PoolError")
_CANCELLED = ("QueryCanceled", "QueryCanceledError")
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Server:
    """Which Odoo it is. ``major``: 17, 19 …; ``json2``: how it is spoken to."""

    version: str
    major: int
    json2: bool


def major_of(version: object) -> int:
    """``19.0`` and ``saas~18.3`` as 19 and 18; 0 for what is no version."""
    found = _VERSION.search(str(version or ""))
    return int(found[1]) if found else 0


# --- refusals ----------------------------------------------------------------------------------------------------------


def judge(answer: Answer) -> FullsteamError | None:
    """What a refusal by status means (JSON-2). None: the policy knows (429, 5xx without a word, redirects)."""
    body = answer.body if isinstance(answer.body, Mapping) else {}
    name = str(body.get("name") or "")
    if answer.status == 401 or not name:
        return None  # a session that ended is begun anew, once; the login says why it cannot be
    return meaning(name, str(body.get("message") or ""))


def meaning(name: str, message: str) -> FullsteamError:
    """An exception of Odoo's in our words. ``name``: its class; the texts are ours, Odoo's repeat the query."""
    kind = name.rpartition(".")[2]
    if kind == "AccessError":
        return Denied("", code="denied")
    if kind == "AccessDenied":
        return SessionRefused(KEY_REFUSED, code="login-rejected")
    if kind in _CANCELLED or "statement timeout" in message:
        return TooSlow(
            "Odoo's database gave up on a query that took too long: it is tried again at the next poll",
            code="query-timeout",
        )
    if kind in _BUSY_DATABASE:
        return Retryable(f"Odoo's database was busy ({kind})", code="busy")
    field = next((found[1] for pattern in _UNKNOWN_FIELD if (found := pattern.search(message))), "")
    if field:
        return FieldHidden(
            field.rpartition(".")[2],
            "",
            f"this Odoo has no field {field}, or hides it from the integration user",
        )
    if kind == "NotFound" or (kind in {"KeyError", "UserError"} and _names_model(message)):
        return NotOffered("this Odoo has no such model: its app is not installed", code="no-model")
    if kind == "OperationalError" and _NO_DATABASE.search(message):
        return SessionRefused("there is no such database: check FULLSTEAM_ODOO_DATABASE", code="no-database")
    if kind in {"OperationalError", "InterfaceError"}:
        return Retryable("Odoo cannot reach its database: check FULLSTEAM_ODOO_DATABASE", code="no-database")
    word = re.sub(r"[^A-Za-z]", "", kind)[:40] or "error"
    return Permanent(f"Odoo does not answer a query ({word}): see its own log", code="odoo-error")


def _names_model(message: str) -> bool:
    """Whether the whole complaint is about a model: ``Object helpdesk.ticket doesn't exist``, ``'helpdesk.ticket'``."""
    return re.search(r"\b[a-z_]+(?:\.[a-z_]+)+\b", message) is not None


KEY_REFUSED = (
    "Odoo refuses the API key: it is wrong, revoked or expired (from 18 on a key lives three months at most), or is another"
    " user's; make a new one and set FULLSTEAM_ODOO_API_KEY"
)
IF_IT_STAYS = "if that stays, check FULLSTEAM_ODOO_URL"
NO_ODOO = "there is no Odoo at this address: check FULLSTEAM_ODOO_URL"


def result_of(answer: Answer) -> Any:
    """What a JSON-RPC answer carries. Raises what its error means."""
    body = answer.body
    if not isinstance(body, Mapping):
        raise Retryable(f"Odoo's answer is no JSON-RPC: {IF_IT_STAYS}", code="bad-answer")
    error = body.get("error")
    if isinstance(error, Mapping):
        data = error.get("data")
        data = data if isinstance(data, Mapping) else {}
        name = str(data.get("name") or "") or str(error.get("message") or "")
        raise meaning(name, str(data.get("message") or ""))
    if "result" not in body:
        # A method that returns None is answered without one (odoo/http.py, JsonRPCDispatcher); none of ours does.
        raise Retryable(f"Odoo's answer has neither a result nor an error: {IF_IT_STAYS}", code="bad-answer")
    return body["result"]


# --- speaking ----------------------------------------------------------------------------------------------------------


def rpc(service: str, method: str, *args: Any) -> dict[str, Any]:
    """A JSON-RPC request of the external API."""
    params = {"service": service, "method": method, "args": list(args)}
    return {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}


def log_in(prefix: str, *, database: str, login: str, api_key: str, api: str, found: list[Server]) -> LogIn:
    """Which Odoo it is, and who we are in it. ``prefix``: the base address. ``found`` gets the server, newest last.

    ``api``: ``json2``, ``jsonrpc``, or ``auto`` for what the version has.
    """

    async def post(send: Send, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        sent = {"Content-Type": "application/json", **headers}
        return await send("POST", prefix + path, sent, json.dumps(body, separators=(",", ":")).encode())

    async def look(send: Send) -> Server:
        version = ""
        try:
            answer = await send("GET", prefix + "/web/version", {}, None)
        except Retryable as error:
            if error.code != "no-json":
                raise
        else:
            if answer.status == 200 and isinstance(answer.body, Mapping):
                version = str(answer.body.get("version") or "")
        if not version:
            version = await _older(lambda body: post(send, "/jsonrpc", body, {}))
        major = major_of(version)
        if major < OLDEST:
            raise SessionRefused(
                f"this Odoo is {version or 'of no known version'}: {OLDEST} or later is needed",
                code="old-version",
            )
        return Server(version, major, api == "json2" or (api == "auto" and major >= JSON2_SINCE))

    async def begin(send: Send) -> Session:
        server = await look(send)
        found.append(server)
        if server.json2:
            headers = {"X-Odoo-Database": database} if database else {}
            proof = {"Authorization": f"bearer {api_key}", **headers}
            answer = await post(send, "/json/2/res.users/context_get", {}, proof)
            return Session(api_key, _who(answer), scheme="bearer", headers=headers)
        missing = [name for name, value in (("DATABASE", database), ("LOGIN", login)) if not value]
        if missing:
            names = " and ".join(f"FULLSTEAM_ODOO_{name}" for name in missing)
            raise SessionRefused(
                f"Odoo {server.major} is asked over JSON-RPC, which needs {names}", code="settings-missing"
            )
        answer = await post(send, "/jsonrpc", rpc("common", "authenticate", database, login, api_key, {}), {})
        _check_address(answer)
        try:
            who = result_of(answer)
        except SessionRefused:
            raise
        except Permanent as error:
            raise SessionRefused(
                "Odoo does not let us in: check FULLSTEAM_ODOO_DATABASE and FULLSTEAM_ODOO_LOGIN",
                code=error.code,
            ) from error
        if not isinstance(who, int) or isinstance(who, bool) or who <= 0:
            raise SessionRefused(
                f"{KEY_REFUSED}, and check FULLSTEAM_ODOO_LOGIN and FULLSTEAM_ODOO_DATABASE",
                code="login-rejected",
            )
        return Session("", str(who))

    return begin


async def _older(ask: Any) -> str:
    """The version of an Odoo without /web/version. Raises SessionRefused where there is none."""
    try:
        answer: Answer = await ask(rpc("common", "version"))
    except Retryable as error:
        if error.code != "no-json":
            raise
        raise SessionRefused(NO_ODOO, code="wrong-address") from error
    _check_address(answer)
    said = answer.body.get("result") if isinstance(answer.body, Mapping) else None
    version = said.get("server_version") if isinstance(said, Mapping) else None
    if not isinstance(version, str) or not version:
        raise SessionRefused(NO_ODOO, code="wrong-address")
    return version


def _check_address(answer: Answer) -> None:
    if 300 <= answer.status < 400:
        raise SessionRefused(
            f"{elsewhere(answer, 'FULLSTEAM_ODOO_URL')}, and FULLSTEAM_ODOO_DATABASE where there are several databases",
            code="redirected",
        )
    if answer.status >= 400:
        raise SessionRefused(f"{NO_ODOO} (it answered {answer.status})", code="wrong-address")


def _who(answer: Answer) -> str:
    """Who the key belongs to, by ``context_get``. "" when this version does not say. Raises SessionRefused."""
    body = answer.body if isinstance(answer.body, Mapping) else {}
    if answer.status == 200 and answer.is_json:
        who = body.get("uid")
        return str(who) if isinstance(who, int) and not isinstance(who, bool) else ""
    name = str(body.get("name") or "")
    if answer.status == 401:
        raise SessionRefused(KEY_REFUSED, code="login-rejected")
    if answer.status == 403:
        verdict = meaning(name, "")
        if isinstance(verdict, SessionRefused):
            raise verdict
        raise SessionRefused(
            "Odoo forbids its JSON-2 API: check FULLSTEAM_ODOO_DATABASE, and that the user is an internal one"
            " (Odoo Online has the API in the Custom plan only)",
            code="forbidden",
        )
    if answer.status == 404:
        raise SessionRefused(
            "Odoo has no JSON-2 API for this database: check FULLSTEAM_ODOO_DATABASE", code="no-database"
        )
    _check_address(answer)
    raise SessionRefused(NO_ODOO, code="wrong-address")


# --- groups ------------------------------------------------------------------------------------------------------------


def grouped(
    question: Question, domain: Sequence[Any], offset: int, server: Server
) -> tuple[str, dict[str, Any]]:
    """The method, and its named arguments, for the groups of a question after ``offset``."""
    order = ", ".join(question.groupby)
    page: dict[str, Any] = {"domain": domain, "groupby": question.groupby, "offset": offset, "limit": GROUPS}
    if server.json2:
        specs = ["__count", *(each.spec for each in question.aggregates)]
        return "formatted_read_group", {**page, "aggregates": specs, "order": order}
    fields = [f"{each.name}:{each.function}({each.field})" for each in question.aggregates]
    return "read_group", {**page, "fields": fields, "orderby": order, "lazy": False}


def groups_of(question: Question, body: object, server: Server) -> list[Row]:
    """Groups as both protocols mean them: a record by its id, a day as ``2026-11-20``, nothing as None, the count as ``n``."""
    if not isinstance(body, list):
        raise Retryable(f"Odoo's answer has no groups: {IF_IT_STAYS}", code="bad-answer")
    found: list[Row] = []
    for group in body:
        if not isinstance(group, Mapping):
            raise Retryable(f"Odoo's answer has no groups: {IF_IT_STAYS}", code="bad-answer")
        row: dict[str, Any] = {"n": group.get("__count")}
        for spec in question.groupby:
            row[spec] = _start_of(group, spec) if spec.endswith(":day") else id_of(group.get(spec))
        for each in question.aggregates:
            row[each.name] = group.get(each.spec if server.json2 else each.name)
        found.append(row)
    return found


def id_of(value: object) -> str | int | float | None:
    """A many2one as its id: ``[7, "Ada"]`` and 7 are 7, ``false`` is None; what else a group is by stays as it is.

    What nothing can be grouped by, an object within an object, is its text: that is nobody's id, and is found out as such.
    """
    if isinstance(value, list | tuple) and value:
        value = value[0]
    if value is None or value is False:
        return None
    return value if isinstance(value, str | int | float) else repr(value)


def _start_of(group: Row, spec: str) -> Any:
    """The day of a group by its range, never by its label: that is in somebody's words."""
    ranges = group.get("__range")
    if isinstance(ranges, Mapping) and isinstance(ranges.get(spec), Mapping):
        return ranges[spec].get("from")
    value = group.get(spec)
    if isinstance(value, list | tuple) and value:  # formatted_read_group: [beginning, label]
        return value[0]
    name = spec.partition(":")[0]
    domain = group.get("__extra_domain") or group.get("__domain")
    for leaf in domain if isinstance(domain, list) else ():
        if isinstance(leaf, list | tuple) and len(leaf) == 3 and leaf[:2] == [name, ">="]:
            return leaf[2]
    return None if value is False else value
