"""Which tables and columns a Dataverse environment has, by its ``$metadata``. Pure.

Source: OData Common Schema Definition Language (CSDL) 4.0; Microsoft Learn, "Web API service documents", "Lookup properties".
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

_LOOKUPS = frozenset(
    {
        "createdby",
        "modifiedby",
        "ownerid",
        "owninguser",
        "customerid",
        "parentaccountid",
        "regardingobjectid",
        "userid",
        "objectid",
        "parentsystemuserid",
        "businessunitid",
        "goalownerid",
    }
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "owner": ("owninguser", "ownerid"),
    "open_amount": ("estimatedvalue_base", "estimatedvalue"),
    "won_amount": ("actualvalue_base", "actualvalue"),
    "account": ("customerid", "parentaccountid"),
}
"""What we mean -> the columns that say it, the best first. Amounts in the currency of the organisation end in ``_base``."""
_DAYS = frozenset({"estimatedclosedate", "actualclosedate", "goalstartdate", "goalenddate"})
"""Columns that are plain dates unless ``$metadata`` says otherwise."""


def is_lookup(column: str) -> bool:
    """Whether a column points to a row of another table."""
    return column in _LOOKUPS


def property_of(column: str) -> str:
    """A column as the Web API calls it: the id in a lookup is ``_createdby_value``."""
    return f"_{column}_value" if column in _LOOKUPS else column


@dataclass(frozen=True, slots=True)
class Schema:
    """``tables``: entity set -> property -> type; None: it was not read, and everything is taken for standard."""

    tables: Mapping[str, Mapping[str, str]] | None = field(default=None, repr=False)
    closed: frozenset[tuple[str, str]] = frozenset()
    """(entity set, column) of columns that we may not read: they look empty, and so they count as not there."""

    def has(self, rows: str, column: str = "") -> bool:
        """Whether there is such an entity set, or such a column of it."""
        if (rows, column) in self.closed:
            return False
        if self.tables is None:
            return True
        table = self.tables.get(rows)
        if table is None or not column:
            return table is not None
        return property_of(column) in table

    def column(self, rows: str, meant: str) -> str:
        """The column that says what is meant: the first one that is there."""
        names = _NAMES.get(meant, (meant,))
        return next((each for each in names if self.has(rows, each)), names[0])

    def is_day(self, rows: str, column: str) -> bool:
        """Whether a column holds plain dates, not instants."""
        known = None if self.tables is None else self.tables.get(rows, {}).get(property_of(column))
        return column in _DAYS if known is None else known == "Edm.Date"

    def is_text(self, rows: str, column: str) -> bool:
        """Whether what is text with us is text in this column, and quoted: a server that is no Dataverse may keep ids so."""
        known = None if self.tables is None else self.tables.get(rows, {}).get(property_of(column))
        return not is_lookup(column) or known == "Edm.String"

    def select(self, rows: str, columns: tuple[str, ...]) -> str:
        """A ``$select`` of those that are there."""
        named = dict.fromkeys(self.column(rows, each) for each in columns)
        return ",".join(property_of(each) for each in named if self.has(rows, each))


def read_metadata(raw: bytes) -> Schema:
    """``$metadata`` -> schema. Element by element: an environment's document has tens of megabytes. Raises ValueError."""
    types: dict[str, tuple[str, dict[str, str]]] = {}
    sets: dict[str, str] = {}
    current: dict[str, str] = {}
    try:
        for _, element in iterparse(io.BytesIO(raw), events=("end",), forbid_dtd=True):
            match element.tag.rpartition("}")[2]:
                case "Property":
                    current[element.get("Name", "")] = element.get("Type", "")
                    element.clear()
                case "EntityType":
                    types[element.get("Name", "")] = (_short(element.get("BaseType", "")), current)
                    current = {}
                    element.clear()
                case "ComplexType":
                    current = {}
                    element.clear()
                case "EntitySet":
                    sets[element.get("Name", "")] = _short(element.get("EntityType", ""))
    except (ParseError, DefusedXmlException) as error:
        raise ValueError("its $metadata is no XML") from error
    if not sets:
        raise ValueError("its $metadata names no tables")
    return Schema({rows: _with_inherited(name, types) for rows, name in sets.items()})


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _with_inherited(name: str, types: Mapping[str, tuple[str, dict[str, str]]]) -> dict[str, str]:
    found: dict[str, str] = {}
    seen: set[str] = set()
    while name in types and name not in seen:
        seen.add(name)
        name, own = types[name]
        found = own | found
    return found
