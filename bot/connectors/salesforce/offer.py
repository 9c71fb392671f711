"""What an org has for us, and what we may see of it: asked once a day, so that what is not there is not asked for.

Sources: REST API Developer Guide (Describe Global, sObject Describe); Object Reference (PermissionSetAssignment,
ObjectPermissions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.connectors.asking import all_of
from bot.connectors.http import Api, SessionRefused
from bot.connectors.kept import Kept
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import FIELDS, HISTORIES, VIEW_ALL, VIEW_ALL_RECORDS, VIEWS_ALL, Row
from bot.connectors.salesforce.rows import is_id, seen_in_part, sees_all
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import RowFault

OFFER_LIFE = timedelta(days=1)
CERTAIN = frozenset(
    {
        *("Opportunity", "Account", "Contact", "Lead", "Case", "Task", "Event", "ForecastingQuota"),
        *(history for history, _ in HISTORIES.values()),
    }
)
"""Objects that are listed where they are there: one of them that is not listed is not asked for."""


_RECORDS_OF = {history: record.removesuffix("Id") for history, record in HISTORIES.values()}
"""A history's rows are seen by whoever sees the record."""
RIGHTS_ASKED = timedelta(hours=12)
"""How often our rights are asked for."""
RIGHTS_LIFE = timedelta(days=1)
"""How long they hold while they cannot be asked for again."""
_SEES_ALL = "set FULLSTEAM_SALESFORCE_SEES_ALL=yes if it does"
NOT_SHOWN = (
    "Salesforce does not show the integration user its own permissions, so it could not be checked whether it sees everybody's"
    f' records, and this may be a part of them: give it "View Setup and Configuration", or {_SEES_ALL}'
)
NOT_READ = (
    "it could not be checked whether the integration user sees everybody's records ({why}): it is asked again at the next poll;"
    f" where it stays so, {_SEES_ALL}"
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What we see of other people's records. ``blind``: of activities, some people's only; ``partly``: objects of which we
    see some records only. ``unsaid``: what Salesforce does not say of it, and what to do; "": nothing.
    """

    blind: bool = False
    partly: frozenset[str] = frozenset()
    unsaid: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the org has for us. None: it does not say, so it is asked for. ``fields``: of Opportunity -> may be counted.

    ``blind``: it says that we see the activities of some people only. ``partly``: the objects of which we see some records
    only. ``unsaid``: why anything that is counted may be a part, as far as it is not said; "": it is said. ``unread``: why our
    rights could not be asked for now. ``faults``: what could not be found out.
    """

    objects: frozenset[str] | None = None
    fields: Mapping[str, bool] | None = None
    blind: bool = False
    partly: frozenset[str] = frozenset()
    unsaid: str = ""
    unread: Retryable | None = None
    faults: tuple[RowFault, ...] = ()

    def has(self, entity: str) -> bool:
        """Whether to ask for an object at all: a part of its records would be taken for all of them."""
        if _RECORDS_OF.get(entity, entity) in self.partly:
            return False
        return self.objects is None or entity not in CERTAIN or entity in self.objects

    @property
    def hidden(self) -> frozenset[str]:
        """The fields of Opportunity that we may not see; none where it does not say."""
        return FIELDS - self.fields.keys() if self.fields is not None else frozenset()

    def counts(self, name: str) -> bool:
        """Whether the values of an opportunity's field may be counted, as far as is known."""
        return self.fields is None or self.fields.get(name, True)


class Reception:
    """Where one org is asked what it has. ``root``: the path of its REST API; ``sees_all``: the settings say that we see all:
    they count where Salesforce does not say it.
    """

    def __init__(self, api: Api, courier: Courier, root: str, *, sees_all: bool = False) -> None:
        self._api = api
        self._courier = courier
        self._root = root
        self._said: defaultdict[str, Kept[Any]] = defaultdict(lambda: Kept(api.server_now, OFFER_LIFE))
        self._sees_all = sees_all
        self._recent: Kept[Rights] = Kept(api.server_now, RIGHTS_ASKED)
        self._known: Kept[Rights] = Kept(api.server_now, RIGHTS_LIFE)

    async def offer(self, me: str) -> Offer:
        """What is there for us: asked once or twice a day, and what was not answered at the next poll again. ``me``: our user.

        An org that does not say is asked for everything. A server that has no composite queries is none of Salesforce's
        own: describe is not looked for either.
        """
        asked: Sequence[tuple[str, Callable[[Any], Any]]] = (
            ()
            if self._courier.is_plain
            else (("sobjects", _objects), ("sobjects/Opportunity/describe", _fields))
        )
        (rights, unread), *said = await all_of(
            [self._what_we_see(me), *(self._described(path, read) for path, read in asked)]
        )
        objects, fields = said or (None, None)
        known = self._known.get()
        why = str(unread or rights.unsaid)
        if why and known is not None and (known.blind or not rights.blind):  # what is said by now counts
            rights, unread = known, None
        faults = (RowFault("PermissionSetAssignment", 0, "", why, dropped=False),) if why else ()
        return Offer(objects, fields, rights.blind, rights.partly, rights.unsaid, unread, faults)

    async def _what_we_see(self, me: str) -> tuple[Rights, Retryable | None]:
        """What we may see, and why it could not be asked for, if so. What is not known is not kept."""
        recent = self._recent.get()
        if recent is not None:
            return recent, None
        try:
            rights = await self._read_rights(me)
        except (SessionRefused, Throttled):
            raise
        except Retryable as error:
            if self._sees_all:
                return Rights(), None
            return Rights(), Retryable(NOT_READ.format(why=error), code=error.code, after=error.after)
        if not rights.unsaid:
            self._known.keep(rights)
            return self._recent.keep(rights), None
        return (replace(rights, unsaid="") if self._sees_all else rights), None

    async def _read_rights(self, me: str) -> Rights:
        """By our permission sets: without View All Data others' records are missing unsaid, so it has to be asked."""
        rows = await self._shown(VIEW_ALL.format(me=me)) if is_id(me) else ()
        everything = sees_all(rows)
        if everything is None:
            everything = sees_all([{"PermissionSet": row} for row in await self._shown(VIEWS_ALL)])
        if everything is not False:
            return Rights() if everything else Rights(unsaid=NOT_SHOWN)
        sets = sorted({f"'{row['PermissionSetId']}'" for row in rows if is_id(row.get("PermissionSetId"))})
        found = await self._shown(VIEW_ALL_RECORDS.format(sets=", ".join(sets))) if sets else ()
        partly = seen_in_part(found)
        return Rights(True, partly) if partly is not None else Rights(blind=True, unsaid=NOT_SHOWN)

    async def _shown(self, soql: str) -> Sequence[Row]:
        """The rows of a query, none where it is refused: Salesforce calls what we may not see unknown, as others what they
        do not have.
        """
        try:
            return await self._courier.rows(soql, alone=True)
        except SessionRefused:
            raise
        except Permanent:
            return ()

    async def _described(self, path: str, read: Callable[[Any], Any]) -> Any:
        """What ``read`` makes of a description. One that is not given now is asked for again; till then the last one holds."""
        said = self._said[path]
        if said.is_good():
            return said.last
        try:
            return said.keep(read((await self._api.get(f"{self._root}/{path}")).body))
        except (SessionRefused, Throttled):
            raise
        except Retryable:
            return said.last
        except Permanent:
            return said.keep(None)


def _objects(body: Any) -> frozenset[str] | None:
    objects = frozenset(str(each.get("name")) for each in _list(body, "sobjects"))
    return objects if {"User", "Task"} <= objects else None


def _fields(body: Any) -> Mapping[str, bool] | None:
    given = _list(body, "fields")
    fields = {str(each.get("name")): bool(each.get("aggregatable", True)) for each in given}
    return fields if fields.keys() >= {"Id", "OwnerId", "IsClosed", "CloseDate"} else None


def _list(body: Any, key: str) -> Sequence[Row]:
    """The objects in a list of an answer; none where it has another shape."""
    given = body.get(key) if isinstance(body, Mapping) else None
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
