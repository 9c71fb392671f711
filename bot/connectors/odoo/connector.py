"""CRM in, from Odoo CRM (docs/connectors/odoo.md): its external API, JSON-2 from 19 on, JSON-RPC before; nothing that writes.

Settings, and what the port promises: how the database is asked is in database.py, who is in it in people.py, one poll in
poll.py, the records behind a count in records.py.

Sources: Odoo documentation, "External JSON-2 API", "External RPC API", "Search domains"; the models named in queries.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.http import Policy
from bot.connectors.kept import ROSTER_LIFE, Kept
from bot.connectors.odoo.database import Database
from bot.connectors.odoo.people import read_roster
from bot.connectors.odoo.poll import PAST, Poll
from bot.connectors.odoo.queries import FLAWS, SINCE, STEP_SUBTYPES, Domain
from bot.connectors.odoo.records import Records
from bot.connectors.odoo.rows import Roster, is_id
from bot.connectors.of_now import OfNow
from bot.connectors.refusals import Denied, NotOffered
from bot.connectors.settings import ASKED, Address, CrmSettings, ends_before, opener, variable
from bot.connectors.values import day_or_none, text_of
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

EXPIRY_NEAR = timedelta(days=14)
"""From when on somebody is told that the API key is about to end."""


class OdooSettings(CrmSettings):
    """How to reach one database."""

    name: str = "odoo"
    url: Annotated[Address, ends_before("/odoo", "/web", "/json", "/jsonrpc", "/xmlrpc")] = Field(
        description="where Odoo is, https://mycompany.odoo.com"
    )
    database: str = Field(
        "",
        json_schema_extra=ASKED,
        description="the database's name; needed over JSON-RPC, and wherever a server has several databases",
    )
    login: str = Field(
        "",
        json_schema_extra=ASKED,
        description="the integration user's login; needed over JSON-RPC (Odoo 16 to 18)",
    )
    api_key: SecretStr = Field(
        min_length=1, description="an API key of the integration user, see docs/connectors/odoo.md"
    )
    key_expires_on: date | None = Field(
        None, description="the day on which the API key ends, as 2026-12-31, if Odoo does not tell it"
    )
    sees_all: bool = Field(
        default=False,
        description="yes, if a group of your own, not one of Odoo's, shows the integration user every lead and opportunity",
    )
    api: Literal["auto", "json2", "jsonrpc"] = Field(
        "auto", description="json2 or jsonrpc, if not what the version has (auto)"
    )

    @model_validator(mode="after")
    def _json_rpc_is_whole(self) -> OdooSettings:
        missing = [
            name for name, said in (("<DATABASE>", self.database), ("<LOGIN>", self.login)) if not said
        ]
        if self.api == "jsonrpc" and missing:
            verb = "are" if len(missing) > 1 else "is"
            raise ValueError(f"{' and '.join(missing)} {verb} not set: JSON-RPC (<API>) needs both")
        return self


class OdooConnector:
    """Reads one database; implements :class:`bot.domain.ports.Connector`. Opening it reads nothing yet."""

    lag_days = 0
    overlap_days = 2
    """The day before is read until the programme's day ends: east of UTC the UTC day of that date runs on for hours into it.
    Of its changes what was not changed again (queries.FRESH)."""

    def __init__(
        self,
        settings: OdooSettings,
        *,
        clock: Clock | None = None,
        record_link: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = settings.name
        self.key_setting = f"FULLSTEAM_{variable(settings.name)}_API_KEY"
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._database = Database(
            settings.url,
            name=settings.name,
            database=settings.database,
            login=settings.login,
            api_key=settings.api_key,
            protocol=settings.api,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            clock=clock,
            transport=transport,
            sleep=sleep,
        )
        self._records = Records(self._database, url=settings.url, record_link=record_link)
        self.api = self._database.api
        self._of_now = OfNow(self.api.server_now, self._zone)
        self._roster: Kept[Roster] = Kept(self.api.server_now, ROSTER_LIFE)

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: Odoo's own."""
        try:
            server = await self._database.server()
            today = self._of_now.today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
            expiry = await self.expires_on()
        except (Retryable, Permanent) as error:
            return Probe(self.name, self._database.version, ok=False, advice=str(error))
        log.info(
            "odoo.probed", extra={"source": self.name, "version": server.version, "calls": self.api.calls}
        )
        return Probe(
            self.name, server.version, ok=True, advice=self._near(expiry, today), metrics=tuple(rows)
        )

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Internal users, and those whom they report to."""
        roster = await self._read_roster(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about thirty queries, up to four at once; then facts day by day."""
        server = await self._database.server()
        roster = await self._known_roster(window.through)
        self._records.forget()
        poll = Poll(
            self._database,
            window,
            metrics,
            roster,
            server,
            self._zone,
            sees_all=self._settings.sees_all,
        )
        await poll.read(now_is=self._of_now.is_today(window.through))
        log.info(
            "odoo.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": poll.rows,
                "failed": len(poll.failures),
            },
        )
        for part in poll.parts():
            yield part

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        if metric not in FLAWS:
            return {}
        asked = [owner for owner in dict.fromkeys(owners) if is_id(owner)]
        if not asked:
            return {}
        if (await self._database.server()).major < SINCE.get(metric, 0):
            return {}
        self._of_now.check_recent(through, "Odoo", PAST)
        return await self._records.behind(metric, asked, limit, self._of_now.today())

    def meter(self) -> Meter:
        """What was asked; Odoo has no budget of calls."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    async def expires_on(self) -> date | None:
        """The day on which the API key ends, by the settings, else by Odoo (18 and later); None where nobody says.

        Odoo does not say which of a user's keys is in use. Those with Fullsteam in their name are looked at, or all of them
        where there is none; the one that ends first counts.
        """
        if self._settings.key_expires_on is not None:
            return self._settings.key_expires_on
        me = (await self.api.session()).user
        domain: Domain = [["user_id", "=", int(me)]] if me else []
        try:
            rows = await self._database.read("res.users.apikeys", domain, ("name", "expiration_date"))
        except (NotOffered, Denied):
            return None
        ours = [row for row in rows if "fullsteam" in text_of(row.get("name")).casefold()] or rows
        return min(
            (day for row in ours if (day := day_or_none(row.get("expiration_date"))) is not None),
            default=None,
        )

    def _near(self, expiry: date | None, today: date) -> str:
        """A warning when the key is about to end, else ""."""
        if expiry is None or expiry - today > EXPIRY_NEAR:
            return ""
        return f"the API key ends on {expiry.isoformat()}: make a new one and set {self.key_setting} before that day"

    # -- people ---------------------------------------------------------------------------------------------------------

    async def _known_roster(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        return self._roster.get(through) or await self._read_roster(through)

    async def _read_roster(self, through: date) -> Roster:
        roster = await read_roster(self._database, through=through, login=self._settings.login)
        return self._roster.keep(roster, through)


def blank(asked: Asked) -> Any:
    """What a database without a record would answer, Odoo's own types and subtypes aside."""
    if asked.path.endswith("/web/version"):
        return {"version": "19.0", "version_info": [19, 0, 0, "final", 0, ""]}
    body = asked.body if isinstance(asked.body, dict) else {}
    if asked.path.endswith("/jsonrpc"):
        args = body.get("params", {}).get("args", [])
        if len(args) < 7:
            return {"jsonrpc": "2.0", "id": 1, "result": 2 if args else {"server_version": "18.0"}}
        return {"jsonrpc": "2.0", "id": 1, "result": _blank(args[3], args[4], args[6])}
    *_, model, method = asked.path.split("/")
    return _blank(model, method, body)


def _blank(model: str, method: str, named: Mapping[str, Any]) -> Any:
    if method == "context_get":
        return {"lang": "en_US", "tz": "UTC", "uid": 2}
    if method == "search_count":
        return 0
    if method == "has_group":
        return True
    if method == "fields_get":
        return {name: {"type": "char"} for name in named.get("allfields", ())}
    if method == "get_external_id":
        return {str(number): name for number, name in enumerate(sorted(STEP_SUBTYPES), 1)}
    first = named.get("domain") and named["domain"][-1] == ["id", ">", 0]
    if first and model == "mail.message.subtype":
        return [{"id": number, "internal": False} for number, _ in enumerate(sorted(STEP_SUBTYPES), 1)]
    if first and model == "ir.model.fields":
        return [{"id": 1, "tracking": 1}]
    return []


CONNECTOR = ConnectorKind(
    name="odoo",
    open=opener(OdooSettings, OdooConnector),
    settings=OdooSettings,
    blank=blank,
    owner="2",
)
