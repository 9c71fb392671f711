"""A Dataverse environment in this process: tables, FetchXML, OData, an audit, change tracking, Microsoft Entra, and faults.

Built from Microsoft's documentation, not from what the connector sends: what is not documented is refused, as there. Held
against foreign clients in tests/contract/test_dynamics_foreign.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode
from uuid import NAMESPACE_URL, UUID, uuid5
from xml.etree.ElementTree import Element, ParseError
from zoneinfo import ZoneInfo

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from defusedxml.ElementTree import fromstring

from bot.connectors.dynamics.connector import DynamicsConnector, DynamicsSettings
from bot.connectors.http import Policy
from bot.connectors.wire import whole_address
from bot.domain.usage import Collected, CoverageStatus, Window
from sandbox.clock import SteeredClock

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
URL = "https://acme.crm4.dynamics.com"
TENANT, CLIENT, SECRET = "contoso.onmicrosoft.com", "11111111-2222-3333-4444-555555555555", "s3cret~value"
ROOT = "/api/data/v9.2"
GUID, TEXT, INT, BOOL, MONEY = "Edm.Guid", "Edm.String", "Edm.Int32", "Edm.Boolean", "Edm.Decimal"
TIME, DAY, LOOKUP = "Edm.DateTimeOffset", "Edm.Date", "lookup"

_RECORD = {"createdon": TIME, "modifiedon": TIME, "createdby": LOOKUP, "modifiedby": LOOKUP}
_OWNED = {"ownerid": LOOKUP, "owninguser": LOOKUP, "statecode": INT, **_RECORD}
_ACTIVITY = {
    "activityid": GUID,
    "subject": TEXT,
    "activitytypecode": TEXT,
    "actualend": TIME,
    "scheduledend": TIME,
    "regardingobjectid": LOOKUP,
    **_OWNED,
}
TABLES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "opportunity": (
        "opportunities",
        "opportunityid",
        {
            "opportunityid": GUID,
            "name": TEXT,
            "estimatedclosedate": DAY,
            "actualclosedate": DAY,
            "estimatedvalue": MONEY,
            "estimatedvalue_base": MONEY,
            "actualvalue": MONEY,
            "actualvalue_base": MONEY,
            "customerid": LOOKUP,
            "stepname": TEXT,
            "new_nextstep": TEXT,
            "new_stepsince": TIME,
            **_OWNED,
        },
    ),
    "account": ("accounts", "accountid", {"accountid": GUID, "name": TEXT, **_OWNED}),
    "contact": ("contacts", "contactid", {"contactid": GUID, **_OWNED}),
    "lead": ("leads", "leadid", {"leadid": GUID, **_OWNED}),
    "incident": ("incidents", "incidentid", {"incidentid": GUID, **_OWNED}),
    "activitypointer": ("activitypointers", "activityid", _ACTIVITY),
    "phonecall": ("phonecalls", "activityid", _ACTIVITY),
    "appointment": ("appointments", "activityid", _ACTIVITY),
    "email": ("emails", "activityid", {**_ACTIVITY, "directioncode": BOOL}),
    "task": ("tasks", "activityid", _ACTIVITY),
    "goal": (
        "goals",
        "goalid",
        {
            "goalid": GUID,
            "goalownerid": LOOKUP,
            "goalstartdate": DAY,
            "goalenddate": DAY,
            "targetmoney": MONEY,
            "actualmoney": MONEY,
            "statecode": INT,
        },
    ),
    "audit": (
        "audits",
        "auditid",
        {
            "auditid": GUID,
            "action": INT,
            "operation": INT,
            "createdon": TIME,
            "objectid": LOOKUP,
            "objecttypecode": TEXT,
            "userid": LOOKUP,
        },
    ),
    "systemuser": (
        "systemusers",
        "systemuserid",
        {
            "systemuserid": GUID,
            "fullname": TEXT,
            "internalemailaddress": TEXT,
            "domainname": TEXT,
            "azureactivedirectoryobjectid": GUID,
            "isdisabled": BOOL,
            "accessmode": INT,
            "applicationid": GUID,
            "title": TEXT,
            "createdon": TIME,
            "parentsystemuserid": LOOKUP,
            "businessunitid": LOOKUP,
        },
    ),
    "organization": (
        "organizations",
        "organizationid",
        {
            "organizationid": GUID,
            "isauditenabled": BOOL,
            "isuseraccessauditenabled": BOOL,
            "useraccessauditinginterval": INT,
            "auditretentionperiodv2": INT,
        },
    ),
    "usersettings": (
        "usersettingscollection",
        "systemuserid",
        {"systemuserid": GUID, "timezonecode": INT, "uilanguageid": INT},
    ),
    "timezonedefinition": (
        "timezonedefinitions",
        "timezonedefinitionid",
        {"timezonedefinitionid": GUID, "timezonecode": INT, "standardname": TEXT, "userinterfacename": TEXT},
    ),
}
_BY_SET = {rows: name for name, (rows, _, _) in TABLES.items()}
_TYPE_CODES = {"account": 1, "contact": 2, "opportunity": 3, "lead": 4, "incident": 112, "task": 4212}
RIGHTS = {
    "opportunity": "prvReadOpportunity",
    "account": "prvReadAccount",
    "contact": "prvReadContact",
    "lead": "prvReadLead",
    "incident": "prvReadIncident",
    **dict.fromkeys(("activitypointer", "phonecall", "appointment", "email", "task"), "prvReadActivity"),
    "goal": "prvReadGoal",
    "audit": "prvReadAuditSummary",
    "systemuser": "prvReadUser",
}
SHOWN = "OData.Community.Display.V1.FormattedValue"


class Fails(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@dataclass
class Fault:
    """``kind``: what goes wrong; ``where``: an entity set, "token" or "*"; ``left``: how often."""

    kind: str
    where: str = "*"
    left: int = 10**9
    said: str = ""


@dataclass
class Dataverse:
    """The environment. ``knows``: fetchXml, apply, both, or neither. ``most``: rows that an aggregate may look at."""

    clock: SteeredClock = field(default_factory=lambda: SteeredClock(FRIDAY))
    knows: frozenset[str] = frozenset({"fetch", "apply"})
    ignores: bool = False
    """Parameters that it does not know are left unread, as OData allows for custom ones; else it refuses them."""
    most: int = 50_000
    groups: int = 5000
    metadata: bool = True
    cookies: bool = True
    sorts: bool = True
    """Whether groups by ``$apply`` can be sorted; where they cannot, each page is cut from them in another order."""
    joins: str = "itself"
    """Which tables may be joined to themselves: "itself": all; "": none; "breaks": it breaks over it; "wrong": the
    join's filter is left out."""
    skew: timedelta = timedelta(0)
    zone: str = "Pacific/Auckland"
    """The application user's time zone, by which days are grouped unless the query says otherwise."""
    hidden: set[tuple[str, str]] = field(default_factory=set)
    """Columns that are not there."""
    lacks: set[str] = field(default_factory=set)
    """Entity sets that are not there."""
    rights: dict[str, str] | None = None
    """Privilege -> depth; None: all of them at organization level."""
    secured: dict[str, bool] = field(default_factory=dict)
    """Columns of opportunity that are secured -> whether the application user may read them. Their values are shown here all
    the same: nobody may count on them."""
    silent: dict[str, str] = field(default_factory=dict)
    """Ends of paths that are answered by an error: denied, or a status."""
    tracked: set[str] = field(default_factory=lambda: {"systemusers"})
    audited: set[str] = field(
        default_factory=lambda: {"opportunity", "account", "contact", "lead", "incident"}
    )
    certificate: Path | None = None
    expires_in: Any = 3599

    def __post_init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in TABLES}
        self.faults: list[Fault] = []
        self.rewrite: Callable[[str, Any], Any] | None = None
        self.oldest_token = 0
        self.version = 1
        self.deleted: list[tuple[int, str, str]] = []
        self.tokens: set[str] = set()
        self.logins = 0
        self.base = URL
        self.number = 0
        self.late: Callable[[], None] | None = None
        self.me = self.user("# Fullsteam", applicationid=CLIENT, accessmode=4)
        self.organization = self.add(
            "organization",
            isauditenabled=True,
            isuseraccessauditenabled=True,
            useraccessauditinginterval=4,
            auditretentionperiodv2=-1,
        )
        for code, name in ((35, "Eastern Standard Time"), (110, "W. Europe Standard Time")):
            self.add(
                "timezonedefinition", timezonecode=code, standardname=name, userinterfacename=f"(GMT) {code}"
            )

    # -- records --------------------------------------------------------------------------------------------------------

    @property
    def today(self) -> date:
        return self.clock.now().date()

    def ago(self, days: float) -> datetime:
        return self.clock.now() - timedelta(days=days)

    def new_id(self) -> str:
        self.number += 1
        return str(UUID(int=(0xABCD << 112) | self.number))

    def add(self, table: str, **given: Any) -> str:
        _, key, columns = TABLES[table]
        assert not given.keys() - columns.keys(), given.keys() - columns.keys()
        row = dict.fromkeys(columns) | {key: self.new_id()} | given
        self.version += 1
        self.tables[table][str(row[key])] = row | {"@version": self.version}
        return str(row[key])

    def change(self, table: str, identity: str, **given: Any) -> None:
        self.version += 1
        self.tables[table][identity] |= {**given, "@version": self.version}

    def delete(self, table: str, identity: str) -> None:
        self.version += 1
        del self.tables[table][identity]
        self.deleted.append((self.version, table, identity))

    def user(self, name: str, manager: str | None = None, **given: Any) -> str:
        mail = f"{name.lower().replace(' ', '.')}@example.com"
        return self.add(
            "systemuser",
            **{
                "fullname": name,
                "internalemailaddress": mail,
                "domainname": mail,
                "isdisabled": False,
                "accessmode": 0,
                "createdon": datetime(2026, 3, 2, 9, tzinfo=UTC),
                "parentsystemuserid": manager,
                "azureactivedirectoryobjectid": self.new_id(),
                **given,
            },
        )

    def settle(self, who: str, zone: int, language: int = 1033) -> None:
        self.add("usersettings", systemuserid=who, timezonecode=zone, uilanguageid=language)

    def deal(self, owner: str | None, days: float, *, quiet: bool = False, **given: Any) -> str:
        """An opportunity in good order that was created so many days ago, with an open activity about it unless ``quiet``."""
        identity = self.add(
            "opportunity",
            **{
                "name": "Deal",
                "ownerid": owner or "00000000-0000-0000-0000-00000000beef",
                "owninguser": owner,
                "createdby": owner,
                "modifiedby": owner,
                "createdon": self.ago(days),
                "modifiedon": self.ago(days),
                "statecode": 0,
                "estimatedclosedate": self.today + timedelta(days=30),
                "estimatedvalue": 1000.0,
                "estimatedvalue_base": 1100.0,
                "customerid": "00000000-0000-0000-0000-0000000acc01",
                "stepname": "2-Develop",
                **given,
            },
        )
        if not quiet:
            self.activity("task", owner, 1, about=identity, due=3, done=False)
        return identity

    def won(self, deal: str, day: date, amount: float = 900.0) -> None:
        self.change(
            "opportunity",
            deal,
            statecode=1,
            actualclosedate=day,
            actualvalue=amount,
            actualvalue_base=amount * 2,
        )

    def lost(self, deal: str, day: date) -> None:
        self.change("opportunity", deal, statecode=2, actualclosedate=day)

    def activity(
        self,
        kind: str,
        owner: str | None,
        days: float,
        *,
        about: str | None = None,
        due: float | None = None,
        done: bool = True,
        **given: Any,
    ) -> str:
        """An activity that was done so many days ago, or is open; ``due``: in so many days."""
        row = {
            "subject": f"{kind} of somebody",
            "ownerid": owner,
            "owninguser": owner,
            "createdby": owner,
            "createdon": self.ago(days),
            "modifiedon": self.ago(days),
            "modifiedby": owner,
            "actualend": self.ago(days) if done else None,
            "scheduledend": None if due is None else self.ago(-due),
            "statecode": 1 if done else 0,
            "regardingobjectid": about,
            **given,
        }
        extra = {"directioncode": True} if kind == "email" else {}
        identity = self.add(kind, **{**extra, **row, "activitytypecode": kind})
        self.add(
            "activitypointer",
            **{
                **{each: value for each, value in row.items() if each != "directioncode"},
                "activityid": identity,
                "activitytypecode": kind,
            },
        )
        return identity

    def audit(self, who: str, days: float, operation: int, action: int, thing: str = "", of: str = "") -> str:
        return self.add(
            "audit",
            userid=who,
            createdon=self.ago(days),
            operation=operation,
            action=action,
            objectid=thing or None,
            objecttypecode=of or None,
        )

    def access(self, who: str, days: float, action: int = 64) -> str:
        return self.audit(who, days, 4, action, who, "systemuser")

    def edit(self, who: str, days: float, thing: str, of: str) -> str:
        if thing in self.tables[of]:
            self.change(of, thing, modifiedon=self.ago(days), modifiedby=who)
        return self.audit(who, days, 2, 2, thing, of)

    def trouble(self, kind: str, where: str = "*", left: int = 10**9, said: str = "") -> None:
        self.faults.append(Fault(kind, where, left, said))

    # -- the connector ---------------------------------------------------------------------------------------------------

    def settings(self, **changed: Any) -> dict[str, Any]:
        """What ``ConnectorKind.open`` takes."""
        if not hasattr(self, "line"):
            self.line = Line(self)
        return {
            "url": URL,
            "tenant": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "transport": self.line,
            "clock": self.clock,
            **changed,
        }

    def connector(
        self, policy: Policy | None = None, record_link: str | None = None, **changed: Any
    ) -> DynamicsConnector:
        """A connector that never sleeps."""

        async def sleep(_seconds: float) -> None:
            return

        settings = self.settings(**changed)
        transport, clock = settings.pop("transport"), settings.pop("clock")
        return DynamicsConnector(
            DynamicsSettings(**settings),
            clock=clock,
            record_link=record_link,
            transport=transport,
            policy=policy,
            sleep=sleep,
        )

    # -- HTTP -----------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """ASGI."""
        body = b""
        while scope["type"] == "http":
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        status, content, more = self.answer(
            scope["method"], scope["path"], scope["query_string"].decode(), headers, body
        )
        said = {
            "content-type": "application/json; odata.metadata=minimal",
            "odata-version": "4.0",
            "date": format_datetime(self.clock.now() + self.skew, usegmt=True),
            **more,
        }
        raw = [(key.encode(), value.encode()) for key, value in said.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})

    def answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body, headers."""
        self.base = f"https://{headers.get('host') or URL.partition('//')[2]}"
        where = "token" if path.endswith("/token") else path.removeprefix(ROOT).strip("/").partition("(")[0]
        options = dict(parse_qsl(query, keep_blank_values=True))
        try:
            after = self._strike(where, options)
            if path.endswith("/.well-known/openid-configuration"):
                return 200, json.dumps(self._discovery(path, headers)).encode(), {}
            if path.endswith("/token"):
                return self._token(path, dict(parse_qsl(body.decode())), headers)
            if not path.startswith(ROOT + "/"):
                return 404, b"<html>Not found</html>", {"content-type": "text/html"}
            if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return 401, b"", {"www-authenticate": "Bearer"}
            if method != "GET":
                raise Fails(405, "0x80060888", "only reads are expected here")  # noqa: TRY301 - answered below
            if where == "$metadata":
                if where in self.silent:
                    raise Fails(int(self.silent[where]), "", "silent")  # noqa: TRY301 - answered below
                if not self.metadata:
                    raise Fails(404, "0x80060888", "no metadata")  # noqa: TRY301 - answered below
                return 200, metadata_of(self), {"content-type": "application/xml"}
            answer = self._api(where, path, options, headers)
        except Fails as fails:
            said = {"error": {"code": fails.code, "message": fails.message}}
            return fails.status, json.dumps(said).encode(), fails.headers
        if self.rewrite is not None:
            answer = self.rewrite(where, answer)
        content = json.dumps(answer).encode()
        if after == "cut":
            content = content[: len(content) // 2]
        if after == "html":
            return 503, b"<html><body>Service unavailable</body></html>", {"content-type": "text/html"}
        return 200, content, {}

    def _strike(self, where: str, options: Mapping[str, str]) -> str:
        second = "$skiptoken" in options or 'page="2"' in options.get("fetchXml", "")
        for fault in self.faults:
            if (
                fault.left <= 0
                or fault.where not in {"*", where}
                or (fault.where == "*" and where == "token")
            ):
                continue
            if fault.kind in {"page2", "overlap"} and not second:
                continue
            if fault.kind == "delta" and "$deltatoken" not in options:
                continue
            if fault.kind in {"aggregate", "no count"} and not options.keys() & {"fetchXml", "$apply"}:
                continue
            fault.left -= 1
            match fault.kind:
                case "401":
                    self.tokens.clear()
                case "denied":
                    raise Fails(403, "0x80040220", "Principal user is missing prvRead privilege")
                case "member":
                    raise Fails(403, "0x80072560", "The user is not a member of the organization.")
                case "disabled":
                    raise Fails(403, "0x80040225", "The specified user is disabled.")
                case "429":
                    named = {"retry-after": fault.said} if fault.said else {}
                    raise Fails(429, "0x80072322", "Number of requests exceeded the limit of 6000", **named)
                case "page2" | "500":
                    raise Fails(500, "0x80040216", "An unexpected error occurred.")
                case "timeout" | "aggregate":
                    raise Fails(500, "0x80044151", "SQL timeout expired.")
                case "delta":
                    raise Fails(400, "0x80044352", "Version stamp associated with the client has expired.")
                case "400" | "no count":
                    raise Fails(400, "0x0", "bad request")
                case "hang up":
                    raise httpx.RemoteProtocolError("hung up")
                case "cut" | "html":
                    return fault.kind
        return ""

    def _discovery(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        host = "https://" + headers.get("host", "")
        tenant = path.strip("/").partition("/")[0]
        return {
            "issuer": f"{host}/{tenant}/v2.0",
            "authorization_endpoint": f"{host}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{host}/{tenant}/oauth2/v2.0/token",
        }

    def _token(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        tenant = path.strip("/").partition("/")[0]
        refusal = (
            (90002, "invalid_request", "Tenant not found.")
            if tenant != TENANT
            else (70003, "unsupported_grant_type", "The app requested an unsupported grant type.")
            if form.get("grant_type") != "client_credentials"
            else (700016, "unauthorized_client", "Application was not found in the directory.")
            if form.get("client_id") != CLIENT
            else (70011, "invalid_scope", "The provided value for the input parameter 'scope' is not valid.")
            if not form.get("scope", "").endswith("/.default")
            else self._credential_fault(form, path, headers)
        )
        told = next((fault for fault in self.faults if fault.kind == "AADSTS" and fault.left > 0), None)
        if told is not None:
            told.left -= 1
            refusal = (int(told.said), "invalid_client", "Said by the test.")
        if refusal is not None:
            number, word, text = refusal
            said = {
                "error": word,
                "error_description": f"AADSTS{number}: {text} Trace ID: 0 Timestamp: 2026",
                "error_codes": [number],
            }
            return 400 if word != "invalid_client" else 401, json.dumps(said).encode(), {}
        self.logins += 1
        token = f"token-{self.logins}"
        self.tokens.add(token)
        answer = {"token_type": "Bearer", "access_token": token, "ext_expires_in": 3599}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return 200, json.dumps(answer).encode(), {}

    def _credential_fault(
        self, form: Mapping[str, str], path: str, headers: Mapping[str, str]
    ) -> tuple[int, str, str] | None:
        if "client_assertion" not in form:
            if form.get("client_secret") == SECRET:
                return None
            return 7000215, "invalid_client", "Invalid client secret provided."
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return 900144, "invalid_request", "client_assertion_type"
        assert self.certificate is not None
        pem = self.certificate.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem[pem.find(b"-----BEGIN CERTIFICATE-----") :])
        der = certificate.public_bytes(serialization.Encoding.DER)
        header = jwt.get_unverified_header(form["client_assertion"])
        thumbprints = {  # both are taken, the older by older clients
            "x5t#S256": hashlib.sha256(der).digest(),
            "x5t": hashlib.sha1(der, usedforsecurity=False).digest(),
        }
        known = {
            name: base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            for name, digest in thumbprints.items()
        }
        said = {name: str(header[name]).rstrip("=") for name in known if name in header}
        if not said or any(known[name] != value for name, value in said.items()):
            return 700027, "invalid_client", "The certificate with identifier used to sign is not registered."
        try:
            claims = jwt.decode(
                form["client_assertion"],
                certificate.public_key(),  # type: ignore[arg-type]  # the certificate of a test has an RSA key
                algorithms=["PS256", "RS256"],
                audience=f"https://{headers.get('host', '')}{path}",
                issuer=CLIENT,
                options={"require": ["exp", "jti", "sub"], "verify_exp": False, "verify_nbf": False},
            )
        except jwt.PyJWTError as error:
            return 700023, "invalid_client", f"Client assertion is not valid: {type(error).__name__}"
        if claims["sub"] != CLIENT:
            return 700023, "invalid_client", "Client assertion is not valid."
        return None

    # -- the Web API ----------------------------------------------------------------------------------------------------

    def _api(self, where: str, path: str, options: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        for end, kind in self.silent.items():
            if path.endswith(end):
                raise Fails(
                    403 if kind == "denied" else int(kind), "0x80040220" * (kind == "denied"), "silent"
                )
        if headers.get("odata-version") != "4.0":
            raise Fails(412, "0x80060888", "OData-Version header is expected")
        if where == "WhoAmI":
            return {
                "UserId": self.me,
                "OrganizationId": self.organization,
                "BusinessUnitId": self.organization,
            }
        if path.endswith("/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"):
            depths = dict.fromkeys(RIGHTS.values(), "Global") if self.rights is None else self.rights
            rows = [
                {"Depth": depth, "PrivilegeId": self.me, "PrivilegeName": name}
                for name, depth in depths.items()
            ]
            return {"RolePrivileges": rows}
        if path.endswith("/Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"):
            return {
                "AttributePrivileges": [
                    {"AttributeId": attribute_id(name), "CanCreate": 0, "CanRead": 4 * may, "CanUpdate": 0}
                    for name, may in self.secured.items()
                ]
            }
        if path.endswith("/Attributes"):
            if options.get("$filter") != "IsSecured eq true":
                raise Fails(400, "0x80060888", "only secured columns are expected to be asked for")
            return {
                "value": [
                    {"LogicalName": name, "MetadataId": attribute_id(name).upper()} for name in self.secured
                ]
            }
        if where == "EntityDefinitions":
            asked = re.findall(r"LogicalName eq '(\w+)'", options.get("$filter", ""))
            return {
                "value": [
                    {
                        "LogicalName": name,
                        "EntitySetName": TABLES[name][0],
                        "PrimaryIdAttribute": TABLES[name][1],
                        "IsAuditEnabled": {"Value": name in self.audited},
                    }
                    for name in asked
                ]
            }
        table = _BY_SET.get(where)
        if table is None or where in self.lacks:
            raise Fails(404, "0x80060888", f"Resource not found for the segment '{where}'.")
        preferred = headers.get("prefer", "")
        if "fetchXml" in options and self._takes("fetch", "fetchXml"):
            return self._fetch(table, options["fetchXml"], preferred)
        if "$apply" in options and self._takes("apply", "$apply"):
            return self._apply(table, options)
        return self._list(table, options, preferred)

    def _takes(self, way: str, parameter: str) -> bool:
        if way in self.knows:
            return True
        if self.ignores:
            return False
        raise Fails(501, "0x0", f"The query parameter {parameter} is not supported")

    def column(self, table: str, name: str, *, said: str = "") -> str:
        if name not in TABLES[table][2] or (table, name) in self.hidden:
            message = (
                said or f"'{table}' entity doesn't contain attribute with Name = '{name}' and NameMapping"
            )
            raise Fails(400, "0x80041103" if not said else "0x80060888", message)
        return name

    def of_property(self, table: str, name: str) -> str:
        """Property of the Web API -> column."""
        message = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."
        columns = TABLES[table][2]
        inner = re.fullmatch(r"_(\w+)_value", name)
        column = inner[1] if inner else name
        if (columns.get(column) == LOOKUP) is not bool(inner):
            raise Fails(400, "0x80060888", message)
        return self.column(table, column, said=message)

    # -- OData

    def _list(self, table: str, options: Mapping[str, str], preferred: str) -> Any:
        rows_name, key, columns = TABLES[table]
        if self.late is not None:
            self.late()
        unknown = {name for name in options if name.startswith("$")} - {
            "$select",
            "$filter",
            "$orderby",
            "$skiptoken",
            "$deltatoken",
            "$apply",
        }
        if unknown:
            raise Fails(400, "0x80060888", f"The query parameter {unknown} is not supported")
        tracking = "odata.track-changes" in preferred
        if tracking and (options.keys() & {"$filter", "$orderby"} or rows_name not in self.tracked):
            raise Fails(
                400, "0x80060888", "The query parameter isn't supported when Change Tracking is enabled."
            )
        chosen = [self.of_property(table, name) for name in options.get("$select", "").split(",") if name]
        chosen = list(dict.fromkeys([key, *(chosen or columns)]))
        found = list(self.tables[table].values())
        gone: list[str] = []
        if "$deltatoken" in options:
            since = int(options["$deltatoken"].partition("!")[0])
            if since < self.oldest_token:
                raise Fails(400, "0x80044352", "Version stamp associated with the client has expired.")
            found = [row for row in found if row["@version"] > since]
            gone = [one for at, name, one in self.deleted if name == table and at > since]
            tracking = True
        if "$filter" in options:
            holds = Filter(self, table, options["$filter"]).parse()
            found = [row for row in found if holds(row)]
        for part in reversed([part for part in options.get("$orderby", key).split(",") if part]):
            name, _, way = part.strip().partition(" ")
            column = self.of_property(table, name)
            found.sort(key=lambda row: (row[column] is not None, row[column]), reverse=way == "desc")
        wished = re.search(r"odata\.maxpagesize=(\d+)", preferred)
        size = int(wished[1]) if wished else 5000
        start = 0
        if "$skiptoken" in options:
            start, expected = (int(each) for each in options["$skiptoken"].split("!"))
            if expected != size:
                raise Fails(400, "0x80060888", "the page size has to be the same for every page")
            if any(fault.kind == "overlaps" and fault.where in {"*", rows_name} for fault in self.faults):
                start = max(start - 1, 0)
        page = found[start : start + size]
        values: list[dict[str, Any]] = [self._row(table, row, chosen, preferred) for row in page]
        values += [
            {
                "@odata.context": f"{self.base}{ROOT}/$metadata#{rows_name}/$deletedEntity",
                "id": one,
                "reason": "deleted",
            }
            for one in gone
        ]
        answer: dict[str, Any] = {
            "@odata.context": f"{self.base}{ROOT}/$metadata#{rows_name}",
            "value": values,
        }
        if start + size < len(found):
            link = {**options, "$skiptoken": f"{start + size}!{size}"}
            answer["@odata.nextLink"] = f"{self.base}{ROOT}/{rows_name}?{urlencode(link, quote_via=quote)}"
        elif tracking:
            link = {"$select": options.get("$select", ""), "$deltatoken": f"{self.version}!08/22/2026"}
            answer["@odata.deltaLink"] = f"{self.base}{ROOT}/{rows_name}?{urlencode(link, quote_via=quote)}"
        return answer

    def _row(
        self, table: str, row: Mapping[str, Any], chosen: Sequence[str], preferred: str
    ) -> dict[str, Any]:
        out: dict[str, Any] = {"@odata.etag": f'W/"{row["@version"]}"'}
        for column in chosen:
            lookup = TABLES[table][2][column] == LOOKUP
            name = f"_{column}_value" if lookup else column
            out[name] = shown(row[column])
            if lookup and row[column] is not None and SHOWN in preferred:
                out[f"{name}@{SHOWN}"] = f"Name of {str(row[column])[-4:]}"
        return out

    def _apply(self, table: str, options: Mapping[str, str]) -> Any:
        said = options["$apply"]
        if "$orderby" in options and not self.sorts:
            raise Fails(501, "0x0", "groups are not sorted here")
        found = re.fullmatch(
            r"(?:filter\((?P<f>.*)\)/)?groupby\(\((?P<g>[^)]*)\),aggregate\((?P<a>[^)]*)\)\)", said
        )
        if found is None:
            raise Fails(400, "0x80060888", f"Syntax error in $apply: {said}")
        rows = list(self.tables[table].values())
        if found["f"]:
            holds = Filter(self, table, found["f"]).parse()
            rows = [row for row in rows if holds(row)]
        if len(rows) > self.most:
            raise Fails(
                400, "0x8004E023", "AggregateQueryRecordLimit exceeded. Cannot perform this operation."
            )
        names = found["g"].split(",")
        columns = [self.of_property(table, name) for name in names]
        if any(TABLES[table][2][column] in {TIME, DAY} for column in columns):
            raise Fails(400, "0x80060888", "groupby with datetime values is not supported")
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(tuple(row[column] for column in columns), []).append(row)
        values = []
        for group, own in groups.items():
            out = {name: shown(value) for name, value in zip(names, group, strict=True) if value is not None}
            for part in found["a"].split(","):
                asked = re.fullmatch(r"\$count as (\w+)|(\w+) with (sum|max|countdistinct) as (\w+)", part)
                if asked is None:
                    raise Fails(400, "0x80060888", f"Syntax error in $apply: {part}")
                if asked[1]:
                    out[asked[1]] = len(own)
                    continue
                has = [v for row in own if (v := row[self.of_property(table, asked[2])]) is not None]
                many: Mapping[str, Callable[[Any], Any]] = {
                    "sum": sum,
                    "max": max,
                    "countdistinct": lambda v: len(set(v)),
                }
                out[asked[4]] = shown(many[asked[3]](has)) if has else 0
            values.append(out)
        start = int(options.get("$skiptoken", "0"))
        if "$orderby" in options:
            order = options["$orderby"].split(",")
            if set(order) - set(names):
                raise Fails(400, "0x80060888", "only what is grouped by can be sorted by")
            values.sort(key=lambda row: [str(row.get(name)) for name in order])
        elif start:
            values.reverse()
        answer: dict[str, Any] = {"value": values[start : start + self.groups]}
        if start + self.groups < len(values):
            link = {**options, "$skiptoken": str(start + self.groups)}
            where = f"{self.base}{ROOT}/{TABLES[table][0]}"
            answer["@odata.nextLink"] = f"{where}?{urlencode(link, quote_via=quote)}"
        return answer

    # -- FetchXML

    def _fetch(self, table: str, said: str, preferred: str) -> Any:
        try:
            root = fromstring(said)
        except ParseError as error:
            raise Fails(400, "0x80041102", "Invalid FetchXML") from error
        check(root)
        entity = root.find("entity")
        if root.get("aggregate") != "true" or entity is None or entity.get("name") != table:
            raise Fails(400, "0x80041102", "an aggregate of the table that was addressed is expected")
        found = list(self._joined(entity, table))
        if len(found) > self.most:
            raise Fails(
                400, "0x8004E023", "AggregateQueryRecordLimit exceeded. Cannot perform this operation."
            )
        grouped = [each for each in entity.findall("attribute") if each.get("groupby") == "true"]
        counted = [each for each in entity.findall("attribute") if each.get("aggregate")]
        beside = self._beside(entity, table)
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in found:
            groups.setdefault(tuple(self._key(table, each, row) for each in grouped), []).append(row)
        if not grouped:
            groups.setdefault((), [])
        values = []
        for group, own in groups.items():
            out = {
                str(each.get("alias")): shown(v)
                for each, v in zip(grouped, group, strict=True)
                if v is not None
            }
            for each in counted:
                number = self._aggregate(table, each, own)
                if number is not None:
                    out[str(each.get("alias"))] = shown(number)
            for link, holds in beside:
                mates = [row for row in own if holds(row)]
                for each in link.findall("attribute"):
                    out[str(each.get("alias"))] = self._aggregate(table, each, mates)
            values.append(out)
        aliases = {str(each.get("alias")) for each in entity.findall("attribute")}
        for order in reversed(entity.findall("order")):
            alias = str(order.get("alias"))
            if alias not in aliases:
                raise Fails(400, "0x80041102", f"no such alias: {alias}")
            values.sort(key=lambda row: (alias in row, str(row.get(alias)).rjust(40)))
        return self._page(root, values, preferred)

    def _page(self, root: Element, values: list[dict[str, Any]], preferred: str) -> Any:
        number, size = int(root.get("page", "1")), min(int(root.get("count", "5000")), self.groups)
        cookie = f'<cookie page="{number - 1}"><u last="{{{len(values)}}}" first="&amp;"/></cookie>'
        if number > 1 and self.cookies and root.get("paging-cookie") != cookie:
            raise Fails(400, "0x80041129", "Malformed XML in the Paging Cookie")
        page = values[(number - 1) * size : number * size]
        answer: dict[str, Any] = {"value": page}
        if "Microsoft.Dynamics.CRM.morerecords" in preferred:
            more = number * size < len(values)
            answer["@Microsoft.Dynamics.CRM.morerecords"] = more
            if self.cookies and more:
                inner = f'<cookie page="{number}"><u last="{{{len(values)}}}" first="&amp;"/></cookie>'
                twice = quote(quote(inner, safe=""), safe="")
                answer["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"] = (
                    f'<cookie pagenumber="{number + 1}" pagingcookie="{twice}" istracking="False" />'
                )
        return answer

    def _beside(
        self, entity: Element, table: str
    ) -> list[tuple[Element, Callable[[Mapping[str, Any]], bool]]]:
        """Joins of a table to itself by its key: of each row there is that one row, or none."""
        key = TABLES[table][1]
        links = [link for link in entity.findall("link-entity") if link.get("name") == table]
        for link in links:
            if (link.get("from"), link.get("to"), link.get("link-type")) != (key, key, "outer"):
                raise Fails(400, "0x80041102", "only outer joins by the key are expected")
        if len(links) > 10:
            raise Fails(400, "0x8004430d", "Number of link entities in query exceeded maximum limit.")
        if links and self.joins == "breaks":
            raise Fails(500, "0x80040216", "An unexpected error occurred.")
        if links and not self.joins:
            raise Fails(400, "0x80041102", f"{table} cannot be joined to {table}")
        if self.joins == "wrong":
            return [(link, lambda _row: True) for link in links]
        return [(link, self._conditions(link, table)) for link in links]

    def _joined(self, entity: Element, table: str) -> Iterator[dict[str, Any]]:
        link = next((each for each in entity.findall("link-entity") if each.get("name") != table), None)
        holds = self._conditions(entity, table)
        if link is None:
            yield from (row for row in self.tables[table].values() if holds(row))
            return
        other = str(link.get("name"))
        inner = self._conditions(link, other)
        self.column(other, str(link.get("from")))
        self.column(table, str(link.get("to")))
        index: dict[Any, list[dict[str, Any]]] = {}
        for row in self.tables[other].values():
            if inner(row):
                index.setdefault(row[str(link.get("from"))], []).append(row)
        for row in self.tables[table].values():
            mates = index.get(row[str(link.get("to"))], [])
            if not mates and link.get("link-type") == "outer":
                mates = [dict.fromkeys(TABLES[other][2])]
            for mate in mates:
                both = row | {f"{link.get('alias')}.{name}": value for name, value in mate.items()}
                if holds(both):
                    yield both

    def _key(self, table: str, each: Element, row: Mapping[str, Any]) -> Any:
        value = row[self.column(table, str(each.get("name")))]
        part = each.get("dategrouping")
        kind = TABLES[table][2][str(each.get("name"))]
        if part is None:
            if kind in {TIME, DAY}:
                raise Fails(400, "0x80041102", "a date is grouped by a part of it")
            if table == "audit" and each.get("name") == "objecttypecode":
                return value
            return value
        if value is None:
            return None
        if isinstance(value, datetime) and each.get("usertimezone") != "false":
            value = value.astimezone(ZoneInfo(self.zone))
        return {"day": value.day, "month": value.month, "year": value.year}[part]

    def _aggregate(self, table: str, each: Element, own: Sequence[Mapping[str, Any]]) -> Any:
        name = self.column(table, str(each.get("name")))
        has = [row[name] for row in own if row[name] is not None]
        match each.get("aggregate"):
            case "count":
                return len(own)
            case "countcolumn":
                return len(set(has)) if each.get("distinct") == "true" else len(has)
            case "sum":
                return sum(has) if has else None
            case "max":
                return max(has) if has else None
        raise Fails(400, "0x80041102", "no such aggregate")

    def _conditions(self, holder: Element, table: str) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._filter(each, table) for each in holder.findall("filter")]
        return lambda row: all(part(row) for part in parts)

    def _filter(self, each: Element, table: str) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._condition(one, table) for one in each.findall("condition")]
        parts += [self._filter(one, table) for one in each.findall("filter")]
        any_of = each.get("type", "and") == "or"
        return lambda row: any(p(row) for p in parts) if any_of else all(p(row) for p in parts)

    def _condition(self, each: Element, table: str) -> Callable[[Mapping[str, Any]], bool]:
        name, operator = str(each.get("attribute")), str(each.get("operator"))
        if each.get("entityname"):
            alias = f"{each.get('entityname')}.{name}"
            assert operator == "null"
            return lambda row: row[alias] is None
        self.column(table, name)
        kind = TABLES[table][2][name]
        if operator in {"null", "not-null"}:
            return lambda row: (row[name] is None) is (operator == "null")
        compare = _COMPARE[operator]
        if each.get("valueof"):
            other = self.column(table, str(each.get("valueof")))
            return lambda row: None not in {row[name], row[other]} and compare(row[name], row[other])
        texts = (
            [str(one.text) for one in each.findall("value")] if operator == "in" else [each.get("value", "")]
        )
        values = [self._typed(table, name, kind, text) for text in texts]
        return lambda row: row[name] is not None and any(compare(row[name], value) for value in values)

    def _typed(self, table: str, name: str, kind: str, text: str) -> Any:
        if table == "audit" and name == "objecttypecode":
            codes = {code: thing for thing, code in _TYPE_CODES.items()}
            if not text.isdigit():
                raise Fails(400, "0x80041102", "an object type code is expected")
            return codes[int(text)]
        return typed(kind, text)


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "in": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_GRAMMAR: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "fetch": (frozenset({"aggregate", "count", "page", "paging-cookie"}), frozenset({"entity"})),
    "entity": (frozenset({"name"}), frozenset({"attribute", "filter", "link-entity", "order"})),
    "attribute": (
        frozenset({"name", "alias", "aggregate", "groupby", "dategrouping", "usertimezone", "distinct"}),
        frozenset(),
    ),
    "filter": (frozenset({"type"}), frozenset({"condition", "filter"})),
    "condition": (
        frozenset({"attribute", "operator", "value", "valueof", "entityname"}),
        frozenset({"value"}),
    ),
    "value": (frozenset(), frozenset()),
    "link-entity": (
        frozenset({"name", "from", "to", "link-type", "alias"}),
        frozenset({"attribute", "filter", "link-entity"}),
    ),
    "order": (frozenset({"alias", "descending"}), frozenset()),
}
"""Elements and attributes of FetchXML that an aggregate may have (Microsoft Learn, FetchXML reference)."""


def check(element: Element) -> None:
    """Whether FetchXML is what the reference allows."""
    attributes, children = _GRAMMAR[element.tag]
    unknown = element.attrib.keys() - attributes
    if unknown or {child.tag for child in element} - children:
        raise Fails(400, "0x80041102", f"{element.tag} must not have {unknown or [c.tag for c in element]}")
    if element.tag == "attribute" and not element.get("alias"):
        raise Fails(400, "0x80041102", "an aggregate's attributes have aliases")
    for child in element:
        check(child)


def typed(kind: str, text: str) -> Any:
    """A literal in a query, as the type of its column wants it."""
    try:
        match kind:
            case "Edm.Guid" | "lookup":
                return str(UUID(text.strip("{}")))
            case "Edm.Int32":
                return int(text)
            case "Edm.Boolean":
                return {"true": True, "false": False, "1": True, "0": False}[text]
            case "Edm.Decimal":
                return float(text)
            case "Edm.Date":
                return date.fromisoformat(text)
            case "Edm.DateTimeOffset":
                moment = datetime.fromisoformat(text)
                if moment.tzinfo is None:
                    raise Fails(400, "0x80041102", "a time without its zone is the user's")
                return moment
    except (ValueError, KeyError) as error:
        raise Fails(400, "0x80041102", f"{text!r} is no {kind}") from error
    return text


def attribute_id(name: str) -> str:
    """The id of a column's definition."""
    return str(uuid5(NAMESPACE_URL, name))


def shown(value: Any) -> Any:
    """A value in JSON."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else value


class Filter:
    """``$filter``: comparisons with literals or other properties, and, or, brackets."""

    _TOKEN = re.compile(r"\s*(\(|\)|'(?:[^']|'')*'|[^\s()]+)")

    def __init__(self, crm: Dataverse, table: str, text: str) -> None:
        self._crm, self._table = crm, table
        self._tokens = self._TOKEN.findall(text)
        self._at = 0

    def parse(self) -> Callable[[Mapping[str, Any]], bool]:
        holds = self._or()
        if self._at != len(self._tokens):
            raise Fails(400, "0x80060888", "Syntax error in $filter")
        return holds

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise Fails(400, "0x80060888", "Syntax error in $filter: it ends too early")
        self._at += 1
        return str(self._tokens[self._at - 1])

    def _peek(self) -> str:
        return str(self._tokens[self._at]) if self._at < len(self._tokens) else ""

    def _or(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._and()]
        while self._peek() == "or":
            self._next()
            parts.append(self._and())
        return lambda row: any(part(row) for part in parts)

    def _and(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._one()]
        while self._peek() == "and":
            self._next()
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Callable[[Mapping[str, Any]], bool]:
        if self._peek() == "(":
            self._next()
            inner = self._or()
            if self._next() != ")":
                raise Fails(400, "0x80060888", "Syntax error in $filter: ) expected")
            return inner
        name, operator, said = self._next(), self._next(), self._next()
        column = self._crm.of_property(self._table, name)
        kind = TABLES[self._table][2][column]
        if said == "null":
            return lambda row: (row[column] is None) is (operator == "eq")
        compare = _COMPARE[operator]
        if kind == TEXT:
            if not said.startswith("'"):
                raise Fails(400, "0x80060888", "A text is quoted")
            value: Any = said[1:-1].replace("''", "'")
        elif said in TABLES[self._table][2]:
            return lambda row: None not in {row[column], row[said]} and compare(row[column], row[said])
        else:
            if said.startswith("'"):
                raise Fails(400, "0x80060888", f"A {kind} is not quoted")
            value = typed(kind, said)
        return lambda row: row[column] is not None and compare(row[column], value)


def metadata_of(crm: Dataverse) -> bytes:
    """``$metadata`` in Dataverse's shape: types with a common base, lookups as guid properties and navigation."""
    space = "http://docs.oasis-open.org/odata/ns/edm"
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>',
        f'<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="{space}">',
        '<EntityType Name="crmbaseentity" Abstract="true" />',
        '<ComplexType Name="BooleanManagedProperty"><Property Name="Value" Type="Edm.Boolean"/></ComplexType>',
    ]
    for name, (rows, key, columns) in TABLES.items():
        if rows in crm.lacks:
            continue
        inherits = name in {"phonecall", "appointment", "email", "task"}
        base = "mscrm.activitypointer" if inherits else "mscrm.crmbaseentity"
        parts.append(f'<EntityType Name="{name}" BaseType="{base}">')
        if not inherits:
            parts.append(f'<Key><PropertyRef Name="{key}" /></Key>')
        for column, kind in columns.items():
            if (name, column) in crm.hidden or (inherits and column in _ACTIVITY):
                continue
            if kind == LOOKUP:
                parts.append(f'<Property Name="_{column}_value" Type="Edm.Guid" />')
                parts.append(f'<NavigationProperty Name="{column}" Type="mscrm.crmbaseentity" />')
            else:
                parts.append(f'<Property Name="{column}" Type="{kind}" />')
        parts.append("</EntityType>")
    parts.append('<EntityContainer Name="System">')
    parts += [
        f'<EntitySet Name="{rows}" EntityType="Microsoft.Dynamics.CRM.{name}" />'
        for name, (rows, _, _) in TABLES.items()
        if rows not in crm.lacks
    ]
    parts.append("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>")
    return "".join(parts).encode()


class Line(httpx.AsyncBaseTransport):
    """The line to the environment and to Microsoft Entra. ``cut``: nobody answers."""

    def __init__(self, crm: Dataverse) -> None:
        self.cut = False
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths below the API's root and their parameters."""
        self.addresses: list[str] = []
        self.headers: list[httpx.Headers] = []
        self._inner = httpx.ASGITransport(crm)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = whole_address(request)
        request = httpx.Request(request.method, address, headers=request.headers, content=request.content)
        path = unquote(request.url.path).removeprefix(ROOT + "/")
        self.asked.append((path, dict(request.url.params)))
        self.addresses.append(address)
        self.headers.append(request.headers)
        if self.cut:
            raise httpx.ConnectError("nobody there")
        return await self._inner.handle_async_request(request)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


async def collected(connector: DynamicsConnector, window: Window, metrics: frozenset[str]) -> list[Collected]:
    return [part async for part in connector.collect(window, metrics)]


def facts_of(parts: list[Collected]) -> dict[tuple[str, date], dict[str, float]]:
    return {(fact.crm_id, fact.day): dict(fact.values) for part in parts for fact in part.facts}


def coverage_of(parts: list[Collected]) -> dict[tuple[str, date], tuple[CoverageStatus, str]]:
    return {(row.metric, row.day): (row.status, row.detail) for part in parts for row in part.coverage}
