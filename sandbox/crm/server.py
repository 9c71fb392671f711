"""The CRM over HTTP, as Salesforce answers: login, queries with their pages, describe, limits.

Served on the sandbox's own address, so that address is the "My Domain" of this organisation:

POST /services/oauth2/token                       client credentials, in the body or as HTTP Basic; JWT bearer
GET  /services/data/                              the versions (no login needed)
GET  /services/data/vXX.0/                        what else is here
GET  /services/data/vXX.0/query?q=                and queryAll, of the same records
GET  /services/data/vXX.0/query/{locator}         the next page
POST /services/data/vXX.0/composite               several of these in one request, five queries among them
GET  /services/data/vXX.0/sobjects/               and sobjects/{object}/describe
GET  /services/data/vXX.0/limits

Source: REST API Developer Guide (Query, Composite, Describe, Limits, Status Codes and Error Responses, Headers); Salesforce
Help, "OAuth 2.0 Client Credentials Flow for Server-to-Server Integration", "OAuth 2.0 JWT Bearer Flow for Server-to-Server
Integration". Chosen where those give no figure: a session lasts
two hours from its login (Salesforce counts from the last use), a query's later pages 15 minutes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt

from sandbox.crm import faults as trouble_of
from sandbox.crm.errors import Refused, Unauthorized, not_found, session_expired
from sandbox.crm.objects import OBJECTS, Field, SObject, object_named
from sandbox.crm.records import Crm, Rights
from sandbox.crm.soql import Queries
from sandbox.errors import SlackError
from sandbox.faults import Fault
from sandbox.slack import Slack
from sandbox.web_api import ConnectionLost, Receive, Scope, Send, hang_up, read_body

Json = dict[str, Any]
Headers = dict[str, str]

SESSION = timedelta(hours=2)
CURSOR = timedelta(minutes=15)
#: Open cursors of one user; the oldest gives way (SOQL and SOSL Reference, "Query cursor limits").
CURSORS = 10
BATCH = 2_000
SMALLEST_BATCH = 200
#: An address longer than this is refused (REST API Developer Guide, "URI length").
LONGEST_ADDRESS = 16_384
DAILY_REQUESTS = 100_000
#: Requests in one composite request, and how many of them may be queries (REST API Developer Guide, "Composite").
PARTS, PARTS_THAT_QUERY = 25, 5
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: How much later than now an assertion may end, and how much earlier its end may lie.
ASSERTION, LEEWAY = timedelta(minutes=5), timedelta(seconds=0)
OLDEST, NEWEST = 31, 68
_VERSIONS = frozenset(f"v{number}.0" for number in range(OLDEST, NEWEST + 1))
_JSON = "application/json;charset=UTF-8"
_LENGTHS = {"id": 18, "reference": 18, "string": 255, "email": 80, "picklist": 255}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class _Cursor:
    """The rest of a query's answer: what was found when it was asked, and how far it has been read."""

    object: str
    rows: list[str]
    batch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class _Request:
    """One request: its path below the version, its arguments and headers."""

    path: tuple[str, ...]
    version: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    trouble: trouble_of.Trouble


class CrmServer:
    """The ASGI application under /services/.

    `asked` counts requests by what they were for (an object, `token`, `limits` ...), `refused` by error code.
    """

    def __init__(
        self,
        crm: Crm,
        slack: Slack,
        *,
        client_id: str = "3MVG9sandbox",
        client_secret: str = "sandbox-client-secret",  # noqa: S107 # opens nothing but this sandbox
        daily_requests: int = DAILY_REQUESTS,
        certificate: str = "",
        audience: str = "https://login.salesforce.com",
    ) -> None:
        self.crm = crm
        self.slack = slack
        self.client_id = client_id
        self.client_secret = client_secret
        self.daily_requests = daily_requests
        #: The public key (PEM) of the app's certificate, and the names of its users that are pre-authorised.
        self.certificate = certificate
        self.audience = audience
        self.approved: dict[str, str] = {}
        #: False: an older gateway, without the resource "composite".
        self.composite = True
        self.asked: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._sessions: dict[str, datetime] = {}
        self._logins = 0
        self._queries = Queries()
        self._cursors: OrderedDict[str, _Cursor] = OrderedDict()
        self._opened = 0
        self._hours: OrderedDict[int, int] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request under /services/. A bot in here holds the clock still, as in any call of its."""
        self.slack.inside += 1
        try:
            await self._serve(scope, receive, send)
        except ConnectionLost as lost:
            await hang_up(send, receive, reset=lost.reset)
        finally:
            self.slack.inside -= 1
            self.slack.touched()

    def end_sessions(self) -> None:
        """Every session ends now, as when an administrator ends them."""
        self._sessions.clear()

    # HTTP

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, too_long = await _body(receive)
        now = self.crm.clock.now()
        parts = tuple(part for part in scope["path"].removeprefix("/services/").split("/") if part)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        args = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        where = self._where(parts, args)
        self.asked[where] += 1
        trouble = trouble_of.Trouble(self.slack.faults, self.crm.outages, where, now)
        skewed, slow = (trouble.take(kinds) for kinds in trouble_of.AROUND)
        if slow:
            await asyncio.sleep(slow.seconds)
        told: Headers = {"Content-Type": _JSON}
        date = now + timedelta(seconds=skewed.seconds) if skewed else now
        told["Date"] = format_datetime(date, usegmt=True)
        status = 200
        wire = trouble.take(trouble_of.WIRE) or self._wire_within(parts, body, now)
        try:
            if wire and wire.kind == "crm_dropped":
                raise ConnectionLost(reset=False)
            if wire:
                trouble_of.strike(wire, date)
            _within_limits(scope, too_long=too_long)
            if parts == ("oauth2", "token"):
                sent = _encode(self._login(scope, headers, body, trouble))
            else:
                request = _Request(parts[2:], parts[1] if len(parts) > 1 else "", args, headers, trouble)
                composite = self.composite and parts[2:] == ("composite",)
                sent = (
                    self._composite(scope, request, body, told)
                    if composite
                    else self._data(scope, parts, request, told)
                )
        except Refused as no:
            self.refused[no.code] += 1
            status = no.status
            told.update(no.headers)
            if no.html:
                told["Content-Type"] = "text/html;charset=UTF-8"
            sent = no.html or _encode(no.body())
        except Unauthorized as no:
            self.refused[no.error] += 1
            status, sent = 400, _encode(no.body())
        raw = sent.encode()
        if wire and wire.kind == "crm_truncated":
            raw = raw[: len(raw) // 2]
        told["Content-Length"] = str(len(raw))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(key.lower().encode(), value.encode("latin-1")) for key, value in told.items()],
            }
        )
        await send({"type": "http.response.body", "body": raw if scope["method"] != "HEAD" else b""})

    def _where(self, parts: tuple[str, ...], args: dict[str, list[str]]) -> str:
        """What a request is for: the name of an object, or the last word of the address."""
        match parts:
            case ("oauth2", "token"):
                return "token"
            case ("data", _, "query" | "queryAll"):
                words = args.get("q", [""])[0].split()
                after = [words[at + 1] for at, word in enumerate(words[:-1]) if word.upper() == "FROM"]
                thing = object_named(after[0]) if after else None
                return thing.name if thing else "query"
            case ("data", _, "query" | "queryAll", locator):
                cursor = self._cursors.get(locator.partition("-")[0])
                return cursor.object if cursor else "query"
            case ("data", _, "sobjects", name, *_):
                thing = object_named(name)
                return thing.name if thing else "sobjects"
            case ("data", _, word):
                return word
            case _:
                return "versions"

    # Login

    def _login(self, scope: Scope, headers: Headers, body: bytes, trouble: trouble_of.Trouble) -> Json:
        if scope["method"] != "POST":
            raise Unauthorized("invalid_request", "must use HTTP POST")
        refused = trouble.take(trouble_of.LOGIN)
        if refused:
            trouble_of.strike(refused, self.crm.clock.now())
        form = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        grant = form.get("grant_type")
        if not grant:
            raise Unauthorized("unsupported_grant_type", "grant type not supported")
        client, secret = form.get("client_id"), form.get("client_secret")
        basic = headers.get("authorization", "")
        if basic[:6].lower() == "basic ":
            try:
                client, _, secret = base64.b64decode(basic[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise Unauthorized("invalid_client_id", "client identifier invalid") from None
        if grant == JWT_BEARER:
            return self._session(_root(scope, headers), self._asserted(form.get("assertion", "")))
        if grant != "client_credentials":
            raise Unauthorized("unsupported_grant_type", "grant type not supported")
        if not client or not hmac.compare_digest(client.encode(), self.client_id.encode()):
            raise Unauthorized("invalid_client_id", "client identifier invalid")
        if not secret or not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
            raise Unauthorized("invalid_client", "invalid client credentials")
        if not self.crm.api_user:
            raise Unauthorized("invalid_grant", "no client credentials user enabled")
        return self._session(_root(scope, headers), self.crm.api_user)

    def _asserted(self, assertion: str) -> str:
        """The user whom an assertion stands for. Raises Unauthorized, in the words of the token endpoint."""
        now = self.crm.clock.now()
        try:
            if not self.certificate:
                raise Unauthorized("invalid_grant", "invalid assertion")
            claims = jwt.decode(
                assertion,
                self.certificate,
                algorithms=["RS256"],
                options={"verify_aud": False, "verify_exp": False, "require": ["iss", "sub", "aud", "exp"]},
            )
            ends = datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise Unauthorized("invalid_grant", "invalid assertion") from None
        if claims["iss"] != self.client_id:
            raise Unauthorized("invalid_client_id", "client identifier invalid")
        if claims["aud"] != self.audience:
            raise Unauthorized("invalid_grant", "audience is invalid")
        if not now - LEEWAY < ends <= now + ASSERTION:
            raise Unauthorized("invalid_grant", "expired authorization code")
        user = self.approved.get(str(claims["sub"]))
        if user is None:
            raise Unauthorized("invalid_grant", "user hasn't approved this consumer")
        return user

    def _session(self, root: str, user: str) -> Json:
        now = self.crm.clock.now()
        self._sessions = {token: until for token, until in self._sessions.items() if until > now}
        self._logins += 1
        secret = hashlib.sha256(f"{self.client_secret}|{self._logins}".encode()).hexdigest()
        token = f"{self.crm.org[:15]}!AQ{secret}"
        self._sessions[token] = now + SESSION
        issued = str(round(now.timestamp() * 1000))
        who = f"{root}/id/{self.crm.org}/{user}"
        mac = hmac.new(self.client_secret.encode(), (who + issued).encode(), hashlib.sha256).digest()
        return {
            "access_token": token,
            "signature": base64.b64encode(mac).decode(),
            "scope": "api",
            "instance_url": root,
            "id": who,
            "token_type": "Bearer",
            "issued_at": issued,
        }

    # Several in one

    def _parts(self, parts: tuple[str, ...], body: bytes) -> list[Json]:
        """The requests in a composite one; none where it has another shape."""
        if parts[2:] != ("composite",):
            return []
        try:
            given = json.loads(body)["compositeRequest"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return []
        return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []

    def _part(self, each: Json, now: datetime) -> _Request:
        """A request within another one, as if it came alone."""
        place = urlsplit(str(each.get("url", "")))
        args = parse_qs(place.query, keep_blank_values=True)
        parts = tuple(part for part in place.path.removeprefix("/services/").split("/") if part)
        own = each.get("httpHeaders")
        headers = (
            {str(key).lower(): str(value) for key, value in own.items()} if isinstance(own, dict) else {}
        )
        where = self._where(parts, args)
        trouble = trouble_of.Trouble(self.slack.faults, self.crm.outages, where, now)
        return _Request(parts[2:], parts[1] if len(parts) > 1 else "", args, headers, trouble)

    def _wire_within(self, parts: tuple[str, ...], body: bytes, now: datetime) -> Fault | None:
        """What strikes one request in a composite one on the wire, strikes them all."""
        for each in self._parts(parts, body):
            fault = self._part(each, now).trouble.take(trouble_of.WIRE)
            if fault:
                return fault
        return None

    def _composite(self, scope: Scope, request: _Request, body: bytes, told: Headers) -> str:
        """Each with its own answer and status; all of them count as one request."""
        if scope["method"] != "POST":
            raise Refused("METHOD_NOT_ALLOWED", f"HTTP Method '{scope['method']}' not allowed.", status=405)
        if request.version not in _VERSIONS:
            raise not_found()
        self._authorize(request)
        self._count(request, told)
        given = self._parts(("data", request.version, *request.path), body)
        if not given:
            raise Refused("JSON_PARSER_ERROR", "The value for compositeRequest is required")
        parts = [self._part(each, self.crm.clock.now()) for each in given]
        queries = sum(part.path[:1] in (("query",), ("queryAll",)) for part in parts)
        if len(parts) > PARTS or queries > PARTS_THAT_QUERY:
            raise Refused("LIMIT_EXCEEDED", "The number of subrequests exceeds the limit")
        names = [each.get("referenceId") for each in given]
        if len(set(map(str, names))) != len(names) or not all(
            isinstance(name, str) and name for name in names
        ):
            raise Refused("JSON_PARSER_ERROR", "Duplicate or missing referenceId")
        answers = []
        for name, each, part in zip(names, given, parts, strict=True):
            self.asked[part.trouble.where] += 1
            status, answer = 200, ""
            try:
                if each.get("method") != "GET" or part.version != request.version:
                    raise not_found()
                answer = self._answer(part)
            except Refused as no:
                self.refused[no.code] += 1
                status = no.status
                answer = _encode(no.body())
            answers.append(
                f'{{"body":{answer},"httpHeaders":{{}},"httpStatusCode":{status},"referenceId":{_encode(name)}}}'
            )
        return f'{{"compositeResponse":[{",".join(answers)}]}}'

    # Data

    def _data(self, scope: Scope, parts: tuple[str, ...], request: _Request, told: Headers) -> str:
        if parts[:1] != ("data",):
            raise not_found()
        if scope["method"] not in ("GET", "HEAD"):
            raise Refused(
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{scope['method']}' not allowed. Allowed are GET,HEAD",
                status=405,
                headers={"Allow": "GET, HEAD"},
            )
        if len(parts) == 1:
            return _encode([_version(number) for number in range(OLDEST, NEWEST + 1)])
        if request.version not in _VERSIONS:
            raise not_found()
        self._authorize(request)
        self._count(request, told)
        return self._answer(request)

    def _answer(self, request: _Request) -> str:
        """What a request below the version gets, once it is let in. Raises Refused."""
        fault = request.trouble.take(trouble_of.CONTENT)
        if fault:
            trouble_of.strike(fault, self.crm.clock.now())
        rights = self.crm.rights
        if fault and fault.kind == "crm_denied":
            rights = Rights(rights.denied | {request.trouble.where}, rights.hidden, rights.login_history)
        if self.crm.catch_up:
            self.crm.catch_up(self.crm.clock.now())
        match request.path:
            case ():
                words = ("composite", "limits", "query", "queryAll", "sobjects")
                return _encode({word: f"/services/data/{request.version}/{word}" for word in words})
            case ("limits",):
                left = self.daily_requests - self._used()
                return _encode({"DailyApiRequests": {"Max": self.daily_requests, "Remaining": max(0, left)}})
            case ("query" | "queryAll",):
                return self._ask(request, rights)
            case ("query" | "queryAll", locator):
                return self._page(locator, request)
            case ("sobjects",):
                seen = [thing for thing in OBJECTS.values() if thing.name not in rights.denied]
                listed = [_told_of(thing, request.version) for thing in seen]
                return _encode({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})
            case ("sobjects", name, "describe"):
                return _encode(self._describe(name, request, rights))
        raise not_found()

    def _authorize(self, request: _Request) -> None:
        given = request.headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        if not given:
            raise session_expired()
        if scheme.lower() not in ("bearer", "oauth"):
            raise Refused("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", status=401)
        until = self._sessions.get(token.strip())
        if until is None or until <= self.crm.clock.now():
            raise session_expired()

    def _used(self) -> int:
        """Requests of the last 24 hours."""
        return sum(self._hours.values())

    def _count(self, request: _Request, told: Headers) -> None:
        """Count a request against the organisation's 24 hours, and say how many there were. Raises Refused."""
        hour = int(self.crm.clock.seconds() // 3600)
        while self._hours and next(iter(self._hours)) <= hour - 24:
            self._hours.popitem(last=False)
        used = self._used()
        over = used >= self.daily_requests
        if not over:
            used += 1
            self._hours[hour] = self._hours.get(hour, 0) + 1
        told["Sforce-Limit-Info"] = f"api-usage={used}/{self.daily_requests}; api-bursts=1/750"
        if over:
            raise Refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)

    def _ask(self, request: _Request, rights: Rights) -> str:
        asked = request.query.get("q", [""])[0]
        if not asked.strip():
            raise Refused("MALFORMED_QUERY", "A query string has to be specified")
        own = request.trouble.take(trouble_of.QUERY)
        if own:
            trouble_of.strike(own, self.crm.clock.now())
        if own and own.kind == "crm_own_logins":
            rights = Rights(rights.denied, rights.hidden, login_history=False)
        query = self._queries.read(asked, rights, self.crm.api_user)
        if query.counts:
            ((total,),) = self.crm.select(query.sql, query.args)
            return f'{{"totalSize":{total},"done":true,"records":[]}}'
        place = () if query.grouped else (f"/services/data/{request.version}/sobjects/{query.thing.name}/",)
        rows = [str(row) for (row,) in self.crm.select(query.sql, (*place, *query.args))]
        if query.grouped and len(rows) > BATCH:
            raise Refused(
                "EXCEEDED_ID_LIMIT",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch",
            )
        batch = _batch(request.headers.get("sforce-query-options", "")) if not query.grouped else BATCH
        until = self.crm.clock.now() + CURSOR
        return self._records(_Cursor(query.thing.name, rows, batch, until), 0, "", request)

    def _page(self, locator: str, request: _Request) -> str:
        name, _, start = locator.partition("-")
        cursor = self._cursors.get(name)
        stale = Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
        if cursor is None or not _whole(start) or not 0 < int(start) < len(cursor.rows):
            raise stale
        if cursor.until <= self.crm.clock.now():
            del self._cursors[name]
            raise stale
        fault = request.trouble.take(trouble_of.PAGE)
        if fault:
            trouble_of.strike(fault, self.crm.clock.now())
        begin = int(start)
        if fault and fault.kind == "crm_page_overlaps":
            begin -= 1
        return self._records(cursor, begin, name, request)

    def _records(self, cursor: _Cursor, start: int, name: str, request: _Request) -> str:
        """One page, and where the next one is."""
        end = start + cursor.batch
        done = end >= len(cursor.rows)
        more = ""
        if not done:
            if not name:
                self._opened += 1
                name = f"01g{self.crm.org[3:6]}{self._opened:09}"
                self._cursors[name] = cursor
                if len(self._cursors) > CURSORS:
                    self._cursors.popitem(last=False)
            more = f'"nextRecordsUrl":"/services/data/{request.version}/query/{name}-{end}",'
        records = ",".join(cursor.rows[start:end])
        return f'{{"totalSize":{len(cursor.rows)},"done":{"true" if done else "false"},{more}"records":[{records}]}}'

    def _describe(self, name: str, request: _Request, rights: Rights) -> Json:
        thing = object_named(name)
        if thing is None or thing.name in rights.denied:
            raise not_found()
        fields = [
            _told_of_field(field)
            for field in thing.fields.values()
            if (thing.name, field.name) not in rights.hidden
        ]
        return {**_told_of(thing, request.version), "fields": fields}


async def _body(receive: Receive) -> tuple[bytes, bool]:
    """The body, and whether it was too long to be read."""
    try:
        return await read_body(receive), False
    except SlackError:
        return b"", True


def _within_limits(scope: Scope, *, too_long: bool) -> None:
    """Raises Refused for a body or an address that is longer than any that is read."""
    if too_long:
        raise Refused("REQUEST_ENTITY_TOO_LARGE", "Request Entity Too Large", status=413)
    if len(scope["path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        raise Refused("URI_TOO_LONG", "", status=414, html="<h1>Bad Message 414</h1><pre>URI Too Long</pre>")


def _root(scope: Scope, headers: Headers) -> str:
    """The address that the client has used: this organisation's My Domain."""
    return f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}"


def _version(number: int) -> Json:
    season = ("Spring", "Summer", "Winter")[number % 3]
    year = (number + 13) // 3
    return {"label": f"{season} '{year:02}", "url": f"/services/data/v{number}.0", "version": f"{number}.0"}


def _told_of(thing: SObject, version: str) -> Json:
    """What describe says of an object."""
    place = f"/services/data/{version}/sobjects/{thing.name}"
    return {
        "name": thing.name,
        "label": thing.name,
        "keyPrefix": thing.prefix,
        "queryable": True,
        "retrieveable": False,
        "createable": False,
        "updateable": False,
        "deletable": False,
        "custom": False,
        "urls": {"sobject": place, "describe": f"{place}/describe"},
    }


def _told_of_field(field: Field) -> Json:
    """What describe says of a field."""
    return {
        "name": field.name,
        "label": field.name,
        "type": field.type,
        "length": _LENGTHS.get(field.type, 0),
        "nillable": field.name != "Id",
        "custom": False,
        "filterable": field.filterable,
        "sortable": field.sortable,
        "groupable": field.groupable,
        "aggregatable": field.aggregatable,
        "referenceTo": [field.refers] if field.refers else [],
        "relationshipName": field.name.removesuffix("Id") if field.refers else None,
    }


def _whole(text: str) -> bool:
    """Whether this is a number that can be read as one: other scripts have digits too, and some numbers no end."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _batch(options: str) -> int:
    """Rows a page, from the header `Sforce-Query-Options: batchSize=N`, kept between 200 and 2,000."""
    key, _, number = options.partition("=")
    if key.strip().lower() != "batchsize" or not _whole(number.strip()):
        return BATCH
    return min(BATCH, max(SMALLEST_BATCH, int(number)))
