"""CSV and Excel exports of any CRM: docs/connectors/spreadsheet.md."""

from __future__ import annotations

from bot.connectors.spreadsheet.connector import CONNECTOR

__all__ = ["CONNECTOR"]
