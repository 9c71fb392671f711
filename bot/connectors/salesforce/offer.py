"""What an org has for us, and what we may see of it: asked once a day, so that what is not there is not asked for.

Sources: REST API Developer Guide (Describe Global, sObject Describe); Object Reference (PermissionSetAssignment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.connectors.asking import all_of
from bot.connectors.http import Api, SessionRefused
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import FIELDS, HISTORIES, VIEW_ALL, Row
from bot.connectors.salesforce.rows import is_id, sees_all
from bot.domain.errors import Permanent, Retryable, Throttled

OFFER_LIFE = timedelta(days=1)
CERTAIN = frozenset(
    {
        *("Opportunity", "Account", "Contact", "Lead", "Case", "Task", "Event", "ForecastingQuota"),
        *(history for history, _ in HISTORIES.values()),
    }
)
"""Objects that are listed where they are there: one of them that is not listed is not asked for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the org has for us. None: it does not say, so it is asked for. ``fields``: of Opportunity -> may be counted.

    ``blind``: it says that we see the activities of some people only.
    """

    objects: frozenset[str] | None = None
    fields: Mapping[str, bool] | None = None
    blind: bool = False

    def has(self, entity: str) -> bool:
        """Whether to ask for an object at all."""
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
        self._offer: tuple[datetime, Offer] | None = None

    async def offer(self) -> Offer:
        """What is there for us, by describe: asked once a day. An org that does not say is asked for everything.

        A server that has no composite queries is none of Salesforce's own: describe is not looked for either.
        """
        now = self._api.server_now()
        if self._offer is not None and abs(now - self._offer[0]) <= OFFER_LIFE:
            return self._offer[1]
        paths = () if self._courier.is_plain else ("sobjects", "sobjects/Opportunity/describe")
        blind, *said = await all_of([self._is_blind(), *(self._described(path) for path in paths)])
        listed, described = said or (None, None)
        objects = frozenset(str(each.get("name")) for each in _list(listed, "sobjects"))
        fields = {
            str(each.get("name")): bool(each.get("aggregatable", True)) for each in _list(described, "fields")
        }
        offer = Offer(
            objects if {"User", "Task"} <= objects else None,
            fields if fields.keys() >= {"Id", "OwnerId", "IsClosed", "CloseDate"} else None,
            blind,
        )
        self._offer = now, offer
        return offer

    async def _is_blind(self) -> bool:
        """Whether it is certain that we lack View All Data, without which others' activities are missing unsaid."""
        me = (await self._api.session()).user
        if not is_id(me):
            return False
        try:
            rows = await self._courier.rows(VIEW_ALL.format(me=me), alone=True)
        except (SessionRefused, Throttled):
            raise
        except (Retryable, Permanent):
            return False
        return bool(rows) and not any(sees_all(row) for row in rows)

    async def _described(self, path: str) -> Any:
        try:
            return (await self._api.get(f"{self._root}/{path}")).body
        except (SessionRefused, Throttled):
            raise
        except (Retryable, Permanent):
            return None


def _list(body: Any, key: str) -> Sequence[Row]:
    """The objects in a list of an answer; none where it has another shape."""
    given = body.get(key) if isinstance(body, Mapping) else None
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
