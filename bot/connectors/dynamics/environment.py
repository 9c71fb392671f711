"""One environment of Dataverse as it is reached: its tables, our rights, how it counts, and its answers page by page.

What is asked is :mod:`bot.connectors.dynamics.queries`'s to say, what comes of it the callers'.

Sources: Microsoft Learn, Dataverse: "Use the Dataverse Web API", "Page results using FetchXML", "Column-level security",
RetrieveUserPrivileges; OData 4.0, part 1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bot.connectors.dynamics.answers import NotUnderstood, Page, TooMany, page_of
from bot.connectors.dynamics.queries import (
    GROUPS,
    OPPORTUNITY,
    PROBE_FETCH,
    TABLES,
    Condition,
    Either,
    Habits,
    Row,
    Table,
    Wording,
    grant,
)
from bot.connectors.dynamics.rows import SHOWN, id_of
from bot.connectors.dynamics.schema import Schema, read_metadata
from bot.connectors.http import Api
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.domain.errors import Permanent, Retryable, Throttled

SCHEMA_LIFE = timedelta(days=1)
SCHEMA_TRIED_AGAIN = timedelta(hours=1)
"""How long to do without $metadata where it could not be read just now."""
FORMATTED = f'odata.include-annotations="{SHOWN[1:]}"'
"""A wish: values as people see them, beside the values."""
HEADERS = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "If-None-Match": "null"}
_PAGED = 'odata.include-annotations="Microsoft.Dynamics.CRM.fetchxmlpagingcookie,Microsoft.Dynamics.CRM.morerecords"'
_IN_LINKS = "%/:=&?~#+!$,;'@()*[]-._"
"""What stands in a link as it is: a server may have left spaces in it, and nothing else is touched."""
_WHOLE, _WHOLE_NUMBER = "Global", 3
"""How deep a privilege goes that is for the whole organization (PrivilegeDepth, as a word and as a number)."""
_ALLOWED = 4
"""FieldPermissionType: a secured column may be read."""
FEW = 40_000
"""As many rows as are counted at once where all are too many: some room is left below Dataverse's 50,000."""
_NOT_HERE = (NotUnderstood, NotOffered, FieldHidden)


class Way(StrEnum):
    """How a server counts."""

    FETCH = "FetchXML"
    APPLY = "$apply"
    ROWS = "rows"


@dataclass(slots=True)
class Learned:
    """What was found out by asking, so that no poll pays for it twice; forgotten after a day.

    ``beside``: kind of table -> whether days of it are counted beside each other, as far as that was tried. ``long``: questions whose rows are more than a page.
    ``refused``: questions of too many rows, each with the fewest days for which that was so. ``sorts``: whether groups by
    ``$apply`` can be sorted. ``ages``: days of creation between which open opportunities are few enough to be counted, with
    how many there are. ``dense``: there are too many of a single age for that.
    """

    beside: dict[str, bool] = field(default_factory=dict)
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
    long: set[tuple[str, ...]] = field(default_factory=set)
    refused: dict[tuple[str, ...], int] = field(default_factory=dict)
    sorts: bool = True
    ages: list[tuple[date, date, int]] = field(default_factory=list)
    dense: bool = False


class Environment:
    """One environment and its API. ``root``: the path before the tables; ``batch``: rows a page; ``habits``: how it is used."""

    def __init__(self, api: Api, *, root: str, batch: int, zone: ZoneInfo, habits: Habits) -> None:
        self.api = api
        self.zone = zone
        self.habits = habits
        self.schema = Schema()
        self.way: Way | None = None
        self.me = ""
        """The id of the application user; "" where the server does not say."""
        self.unread_schema = ""
        """Why its tables are taken for the standard ones, if they are."""
        self.unsure_rights = ""
        """Why it is not known what we may read, where the server is a Dataverse: any number may be a part then."""
        self.unsure_columns = ""
        """Why it is not known which columns are closed to us: any that may be secured can look empty then."""
        self.groups = min(GROUPS, batch)
        """Groups a page."""
        self.few = FEW
        self.learned = Learned()
        self._rights: Mapping[str, str] | None = None
        self._just_read = False
        self._root = root
        self._batch = batch
        self._started: datetime | None = None
        self._starting = asyncio.Lock()

    # -- getting to know the server -------------------------------------------------------------------------------------

    @property
    def wording(self) -> Wording:
        """How questions are put to this server."""
        return Wording(self.schema, self.zone)

    async def start(self) -> None:
        """Who we are, which tables there are and how the server counts: found out once, and again after a day."""
        async with self._starting:
            now = self.api.server_now()
            if self._started is not None and timedelta(0) <= now - self._started < SCHEMA_LIFE:
                return
            absent = False
            try:
                said = (await self.api.get(f"{self._root}/WhoAmI", headers=HEADERS)).body
                self.me = id_of(said.get("UserId")) if isinstance(said, Mapping) else ""
            except Denied as error:
                raise Permanent(
                    "the application user may read nothing: give it the security role of docs/connectors/dynamics.md",
                    code="no-role",
                ) from error
            except (NotUnderstood, NotOffered):
                absent = True  # an OData server that is no Dataverse
            known = now
            try:
                schema = await self._read_schema()
                self.schema, self.unread_schema = replace(schema, closed=self.schema.closed), ""
            except Throttled:
                raise
            except Retryable:
                if absent:
                    raise  # nothing says yet that there is a Web API at all
                if self.schema.tables is None:
                    self.unread_schema = (
                        "its $metadata cannot be read now: its tables are taken for the standard ones"
                    )
                known = now - SCHEMA_LIFE + SCHEMA_TRIED_AGAIN
            except (NotUnderstood, NotOffered, Denied, ValueError) as error:
                if absent:
                    raise Permanent(
                        f"there is no Web API at {self.api.path_of(self._root)}: check FULLSTEAM_DYNAMICS_URL, FULLSTEAM_DYNAMICS_PREFIX"
                        " and FULLSTEAM_DYNAMICS_API_VERSION",
                        code="wrong-address",
                    ) from error
                self.schema = Schema(closed=self.schema.closed)
                self.unread_schema = (
                    "its $metadata cannot be read: its tables are taken for the standard ones"
                )
            self.way, sure = await self._find_way(foreign=absent)
            self.learned = Learned()
            self._started = known if sure else now - SCHEMA_LIFE + SCHEMA_TRIED_AGAIN

    async def _read_schema(self) -> Schema:
        answer = await self.api.get(
            f"{self._root}/$metadata", headers={"Accept": "application/xml"}, text=True
        )
        return await asyncio.to_thread(read_metadata, answer.raw)

    async def _find_way(self, *, foreign: bool) -> tuple[Way, bool]:
        """How the server counts: by what it answers, since one that does not know a parameter may leave it unread.

        ``foreign``: no Dataverse. Such a server may forbid a parameter that it does not know, or break over it, and still
        give rows. Also whether that is sure, or had better be asked again soon.
        """
        users = TABLES["systemuser"]
        sure = True
        column = "isdisabled" if self.schema.has(users.rows, "isdisabled") else users.key
        for way, query, wishes in (
            (Way.FETCH, {"fetchXml": PROBE_FETCH}, (_PAGED,)),
            (Way.APPLY, {"$apply": f"groupby(({column}),aggregate($count as n))"}, ()),
        ):
            try:
                page = page_of(await self.api.get(self.of(users), query, self.prefer(*wishes)))
            except TooMany:
                return way, True
            except _NOT_HERE:
                continue
            except Denied as error:
                if not foreign:
                    raise no_users(error) from error
                continue
            except Throttled:
                raise
            except Retryable as error:
                if not foreign or error.code != "http-500":
                    raise
                sure = False
                continue
            counted = page.rows and all("n" in row for row in page.rows)
            if counted and (way is Way.APPLY or len(page.rows) == 1):
                return way, sure
        return Way.ROWS, sure

    async def look_up_rights(self, *, again: bool = True) -> None:
        """Read what we may read: it may be given or taken at any time.

        ``again``: False where what a poll has read of it with the people will do for the rest of that poll, once.
        """
        if again or not self._just_read:
            self._rights = await self._read_rights()
        self._just_read = again

    async def look_up_closed(self) -> None:
        """Read which columns are closed to us: they count as not there."""
        self.schema = replace(self.schema, closed=await self._read_closed())

    async def _read_rights(self) -> Mapping[str, str] | None:
        """Our privileges, in lower case, and how deep each goes; None where the server does not say.

        Without this a right to one's own records only would look like a CRM in which nobody else has any: so a Dataverse
        that does not say makes us unsure. A server without ``WhoAmI`` is none, and has no such rights.
        """
        self.unsure_rights = ""
        if not self.me:
            return None
        unsure = (
            "Dataverse does not say which privileges the application user has (RetrieveUserPrivileges), so this may be a"
            " part of the records only: let its role read Users at organization level"
        )
        path = f"{self.of(TABLES['systemuser'])}({self.me})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
        try:
            said = (await self.api.get(path, headers=HEADERS)).body
        except (NotUnderstood, NotOffered, Denied):
            self.unsure_rights = unsure
            return None
        rows = said.get("RolePrivileges") if isinstance(said, Mapping) else None
        found: dict[str, str] = {}
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, Mapping) and row.get("PrivilegeName"):
                name, depth = str(row["PrivilegeName"]).lower(), row.get("Depth")
                # By several roles and teams the same right may come more than once: the deepest counts.
                if found.get(name) != _WHOLE:
                    found[name] = _WHOLE if depth in {_WHOLE, _WHOLE_NUMBER} else str(depth)
        if not found:
            self.unsure_rights = unsure
            return None
        return found

    async def _read_closed(self) -> frozenset[tuple[str, str]]:
        """Columns of opportunities that are secured and not ours to read: Dataverse shows them as empty, and says nothing.

        Source: Microsoft Learn, "Column-level security"; RetrievePrincipalAttributePrivileges, FieldPermissionType.
        """
        self.unsure_columns = ""
        if not self.me:
            return frozenset()
        query = {"$select": "LogicalName,MetadataId", "$filter": "IsSecured eq true"}
        path = self.of(f"EntityDefinitions(LogicalName='{OPPORTUNITY.name}')/Attributes")
        try:
            secured = {
                str(row.get("LogicalName")): str(row.get("MetadataId")).lower()
                async for page in self.pages(path, query, HEADERS)
                for row in page.rows
            }
        except (NotUnderstood, NotOffered, Denied):
            self.unsure_columns = (
                "Dataverse does not say which columns of opportunity are secured, and those look empty: let the"
                " application user's role read Entity and Attribute (customizations)"
            )
            return frozenset()
        if not secured:
            return frozenset()
        path = f"{self.of(TABLES['systemuser'])}({self.me})/Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"
        try:
            said = (await self.api.get(path, headers=HEADERS)).body
        except (NotUnderstood, NotOffered, Denied):
            said = None
        rows = said.get("AttributePrivileges") if isinstance(said, Mapping) else None
        readable = {
            str(row.get("AttributeId")).lower()
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, Mapping) and row.get("CanRead") == _ALLOWED
        }
        return frozenset((OPPORTUNITY.rows, name) for name, known in secured.items() if known not in readable)

    def refused(self, table: Table) -> Denied | None:
        """Whether we may not read everybody's rows of a table."""
        if self._rights is None:
            return None
        depth = self._rights.get(table.right.lower())
        if depth == _WHOLE:
            return None
        why = "has no right" if depth is None else "may read only a part: it has no right"
        return Denied(
            f"the application user {why} to read {table.rows} of the whole organization: give its role {table.right}"
            " at organization level",
            code="denied",
        )

    # -- asking ---------------------------------------------------------------------------------------------------------

    def of(self, table: Table | str) -> str:
        """The path of a table's rows, or of what else there is by name."""
        return f"{self._root}/{table if isinstance(table, str) else table.rows}"

    def prefer(self, *wishes: str) -> dict[str, str]:
        """Headers of a query of rows, with what is wished for beside them."""
        said = ",".join((f"odata.maxpagesize={self._batch}", *wishes))
        return {**HEADERS, "Prefer": said}

    async def pages(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[Page]:
        """Pages of rows. Where the next one is, is the server's to say; the same wishes go along with it."""
        page = page_of(await self.api.get(path, query, headers))
        asked: set[str] = set()
        while True:
            self.api.rows += len(page.rows)
            yield page
            if not page.link:
                return
            if page.link in asked:
                raise Retryable("the CRM names the same page again", code="bad-answer")
            asked.add(page.link)
            page = page_of(await self.api.follow(self.followed(page.link), headers))

    def followed(self, link: str) -> str:
        """A link as it can be asked for: one without a path is below the service's root (OData 4.0, part 1, 4.5.5)."""
        whole = link if "://" in link or link.startswith("/") else f"{self._root}/{link}"
        return quote(whole, safe=_IN_LINKS)

    async def rows(
        self,
        table: Table,
        columns: tuple[str, ...],
        where: Sequence[Condition | Either] = (),
        *,
        filtered: str = "",
        order: str = "",
        shown: bool = False,
        one_page: bool = False,
    ) -> AsyncGenerator[Row, None]:
        """Rows of a table, each once: one that comes again on the next page, because it was changed meanwhile, is one.

        ``one_page``: TooMany is raised, before any row is given, where they are more than a page.
        """
        query = {"$select": self.schema.select(table.rows, (table.key, *columns))}
        said = " and ".join(part for part in (self.wording.odata(table, where), filtered) if part)
        if said:
            query["$filter"] = said
        query["$orderby"] = order or table.key
        recent: deque[frozenset[str]] = deque(maxlen=2)
        async for page in self.pages(self.of(table), query, self.prefer(*([FORMATTED] if shown else []))):
            if one_page and page.link:
                raise TooMany("more rows than a page", code="too-many-rows")
            seen = frozenset().union(*recent)
            own: set[str] = set()
            for row in page.rows:
                identity = str(row.get(table.key) or "")
                if identity and (identity in seen or identity in own):
                    continue
                own.add(identity)
                yield row
            recent.append(frozenset(own))

    async def fetch_rows(self, table: Table, write: Callable[[int, str], str]) -> AsyncIterator[Row]:
        """Groups, page by page: by the cookie, where there is one."""
        number, cookie, before = 1, "", None
        while True:
            page = page_of(
                await self.api.get(self.of(table), {"fetchXml": write(number, cookie)}, self.prefer(_PAGED))
            )
            self.api.rows += len(page.rows)
            if page.rows and (page.rows == before or (cookie and page.cookie == cookie)):
                raise Retryable("the CRM gives the same groups again", code="bad-answer")
            for row in page.rows:
                yield row
            more = len(page.rows) >= self.groups if page.more is None else page.more
            if not page.rows or not more:
                return
            number, cookie, before = number + 1, page.cookie, page.rows

    async def apply_rows(self, table: Table, said: str, order: str) -> AsyncIterator[Row]:
        """Groups by ``$apply``, page by page, in an order that stays: else one that moves to a page already read is lost.

        Where a server does not sort groups, and there are more of them than a page, that raises NotUnderstood.
        """
        path, headers = self.of(table), self.prefer()
        if self.learned.sorts:
            begun = False
            try:
                async for page in self.pages(path, {"$apply": said, "$orderby": order}, headers):
                    begun = True
                    for row in page.rows:
                        yield row
            except (NotUnderstood, FieldHidden, Retryable) as error:
                breaks = not isinstance(error, Retryable) or error.code == "http-500"
                if begun or not breaks or isinstance(error, TooSlow):
                    raise
            else:
                return
        async for page in self.pages(path, {"$apply": said}, headers):
            self.learned.sorts = False
            if page.link:
                raise NotUnderstood(
                    "the CRM does not sort groups, and these are several pages", code="no-order"
                )
            for row in page.rows:
                yield row

    async def all_rows(self, rows: str, columns: tuple[str, ...]) -> list[Row]:
        """All rows of a small table."""
        if not self.schema.has(rows):
            raise NotOffered(f"this CRM has no table {rows}", code="no-table")
        query = {"$select": self.schema.select(rows, columns)}
        return [row async for page in self.pages(self.of(rows), query, self.prefer()) for row in page.rows]


def no_users(error: Denied) -> Permanent:
    """What it means that users may not be read: there is no poll without them."""
    return Permanent(
        f"users cannot be read: {grant(TABLES['systemuser'])} ({error.code})", code="users-denied"
    )
