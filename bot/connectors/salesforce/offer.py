"""What an org has for us, and what we may see of it: asked once a day, so that what is not there is not asked for.

Sources: REST API Developer Guide (Describe Global, sObject Describe); Object Reference (PermissionSetAssignment,
ObjectPermissions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.connectors.asking import all_of
from bot.connectors.http import Api, SessionRefused
from bot.connectors.kept import Kept
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import FIELDS, HISTORIES, VIEW_ALL, VIEW_ALL_RECORDS, Row
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
UNCHECKED = RowFault(
    "PermissionSetAssignment",
    0,
    "",
    "it could not be checked whether the integration user sees everybody's records: it needs View All Data, or View All"
    " Records on Opportunity, Account, Contact, Lead and Case",
    dropped=False,
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What we see of other people's records. ``blind``: of activities, some people's only; ``partly``: objects of which we
    see some records only, None: it is not said.
    """

    blind: bool
    partly: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """What the org has for us. None: it does not say, so it is asked for. ``fields``: of Opportunity -> may be counted.

    ``blind``: it says that we see the activities of some people only. ``partly``: the objects of which we see some records
    only. ``faults``: what could not be found out.
    """

    objects: frozenset[str] | None = None
    fields: Mapping[str, bool] | None = None
    blind: bool = False
    partly: frozenset[str] = frozenset()
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
    """Where one org is asked what it has. ``root``: the path of its REST API."""

    def __init__(self, api: Api, courier: Courier, root: str) -> None:
        self._api = api
        self._courier = courier
        self._root = root
        self._said: defaultdict[str, Kept[Any]] = defaultdict(lambda: Kept(api.server_now, OFFER_LIFE))
        self._rights: Kept[Rights] = Kept(api.server_now, OFFER_LIFE)

    async def offer(self) -> Offer:
        """What is there for us: asked once a day, and what was not answered at the next poll again.

        An org that does not say is asked for everything. A server that has no composite queries is none of Salesforce's
        own: describe is not looked for either.
        """
        asked: Sequence[tuple[str, Callable[[Any], Any]]] = (
            ()
            if self._courier.is_plain
            else (("sobjects", _objects), ("sobjects/Opportunity/describe", _fields))
        )
        rights, *said = await all_of(
            [self._what_we_see(), *(self._described(path, read) for path, read in asked)]
        )
        objects, fields = said or (None, None)
        if rights is None:
            return Offer(objects, fields, faults=(UNCHECKED,))
        unknown = rights.partly is None
        return Offer(
            objects, fields, rights.blind, rights.partly or frozenset(), (UNCHECKED,) if unknown else ()
        )

    async def _what_we_see(self) -> Rights | None:
        """What we may see; None: that is not known, which is not to be kept. Till it is, what was last known holds."""
        known = self._rights.get()
        if known is not None:
            return known
        rights = await self._read_rights()
        if rights is not None and rights.partly is not None:
            return self._rights.keep(rights)
        return self._rights.last or rights

    async def _read_rights(self) -> Rights | None:
        """By our permission sets: without View All Data others' records are missing unsaid, so it has to be asked."""
        me = (await self._api.session()).user
        rows = await self._rows(VIEW_ALL.format(me=me)) if is_id(me) else ()
        everything = sees_all(rows)
        if everything is not False:
            return Rights(blind=False) if everything else None
        sets = sorted({f"'{row['PermissionSetId']}'" for row in rows if is_id(row.get("PermissionSetId"))})
        found = await self._rows(VIEW_ALL_RECORDS.format(sets=", ".join(sets))) if sets else ()
        return Rights(blind=True, partly=seen_in_part(found))

    async def _rows(self, soql: str) -> Sequence[Row]:
        """The rows of a query, none where it is not answered."""
        try:
            return await self._courier.rows(soql, alone=True)
        except (SessionRefused, Throttled):
            raise
        except (Retryable, Permanent):
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
