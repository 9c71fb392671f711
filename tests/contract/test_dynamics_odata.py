"""The Dynamics 365 connector on an OData v4 server that nobody here wrote (odatapy), over HTTP on loopback.

The server has tables of Dataverse's shape and knows nothing of Dataverse: no FetchXML, no WhoAmI, no privileges.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from odatapy.data import Entity, ValueType
from odatapy.edm.csdl import (
    CsdlAbstractEdmProvider,
    CsdlEntityContainer,
    CsdlEntitySet,
    CsdlEntityType,
    CsdlProperty,
    CsdlPropertyRef,
    CsdlSchema,
)
from odatapy.server import OData
from odatapy.server.adapters import ODataASGIApp
from odatapy.server.inmemory import InMemoryDataStore, InMemoryProcessor

from bot.connectors.dynamics.connector import DynamicsConnector, DynamicsSettings
from bot.connectors.dynamics.environment import Way
from bot.domain.usage import CoverageStatus, Window
from tests.contract.test_dynamics import ALL, DEALS, READ, SETTLED, lived, people_of, recounted, told
from tests.dataverse import LOOKUP, TABLES, Dataverse, collected, coverage_of
from tests.serving import on_loopback

pytestmark = pytest.mark.anyio
UPDATES = frozenset(metric for metric in READ if metric.startswith("records_updated"))


class Model(CsdlAbstractEdmProvider):
    """Dataverse's tables, as an EDM."""

    def get_schemas(self) -> list[CsdlSchema]:
        types, sets = [], []
        for name, (rows, key, columns) in TABLES.items():
            properties = [
                CsdlProperty(
                    name=f"_{column}_value" if kind == LOOKUP else column,
                    type="Edm.Guid" if kind == LOOKUP else kind,
                    nullable=column != key,
                    scale=4 if kind == "Edm.Decimal" else None,
                    precision=19 if kind == "Edm.Decimal" else None,
                )
                for column, kind in columns.items()
            ]
            types.append(CsdlEntityType(name=name, key=[CsdlPropertyRef(name=key)], properties=properties))
            sets.append(CsdlEntitySet(name=rows, type=f"crm.{name}"))
        container = CsdlEntityContainer(name="Container", entity_sets=sets)
        return [CsdlSchema(namespace="crm", entity_types=types, entity_container=container)]


def served(crm: Dataverse) -> Any:
    """The same records behind the foreign server."""
    odata = OData.new_instance()
    handler = odata.create_handler(odata.create_service_metadata(Model()))
    store = InMemoryDataStore()
    for name, (rows, _, columns) in TABLES.items():
        entities = []
        for row in crm.tables[name].values():
            entity = Entity()
            for column, kind in columns.items():
                value, edm = row[column], "Edm.Guid" if kind == LOOKUP else kind
                if value is not None and edm == "Edm.Guid":
                    value = UUID(value)
                elif value is not None and edm == "Edm.Decimal":
                    value = Decimal(str(value))
                named = f"_{column}_value" if kind == LOOKUP else column
                entity.set_property(named, value, ValueType.PRIMITIVE, edm)
            entities.append(entity)
        store.set_entities(rows, entities)
    handler.register(InMemoryProcessor(store, page_size=200))
    return handler


@pytest.fixture(scope="module")
def crm() -> Dataverse:
    crm = Dataverse()
    lived(crm, people_of(crm, 1))
    return crm


@pytest.fixture(scope="module", params=["/api/data/v9.2", "/odata"])
def connector(request: pytest.FixtureRequest, crm: Dataverse) -> Iterator[DynamicsConnector]:
    path = request.param
    prefix, version = (path, "") if path == "/odata" else ("/api/data", "v9.2")
    with on_loopback(ODataASGIApp(served(crm), mount_path=path), date_header=False) as url:
        settings = DynamicsSettings(url=url, login="none", prefix=prefix, api_version=version)
        yield DynamicsConnector(settings, clock=crm.clock)


async def test_a_foreign_server_is_read_whole(crm: Dataverse, connector: DynamicsConnector) -> None:
    try:
        window = Window(crm.today - timedelta(days=6), crm.today)
        probe = await connector.probe()
        assert probe.ok, probe.advice
        assert probe.version.endswith("counts by $apply")
        assert connector.environment.way is Way.APPLY
        users, faults = await connector.users(crm.today)
        assert ([user.name for user in users], faults) == (
            ["Ada Brandt", "Rep 000"],
            (),
        )
        parts = await collected(connector, window, ALL)
        expected = {key: number for key, number in recounted(crm, window).items() if key[2] not in UPDATES}
        assert {key: number for key, number in told(parts).items() if key[2] not in UPDATES} == expected
        assert {metric for _, _, metric in expected} == READ - UPDATES
        said = coverage_of(parts)
        assert {said[metric, window.since][0] for metric in UPDATES} == {CoverageStatus.UNSUPPORTED}
        assert {said[metric, crm.today][0] for metric in SETTLED} == {CoverageStatus.OK}
        people = [user.crm_id for user in users]
        for metric in sorted({*DEALS, "tasks_overdue"}):
            found = await connector.evidence(metric, people, 3, crm.today)
            assert {who: count for who, (count, _) in found.items()} == {
                who: number for (who, _, counted), number in expected.items() if counted == metric
            }, metric
    finally:
        await connector.close()


async def test_a_foreign_server_is_asked_for_changes_and_knows_them(
    crm: Dataverse, connector: DynamicsConnector
) -> None:
    try:
        first, _ = await connector.users(crm.today)
        rows = connector.api.rows
        again, _ = await connector.users(crm.today)
        assert again == first
        assert connector.api.rows - rows <= len(crm.tables["usersettings"])
    finally:
        await connector.close()
