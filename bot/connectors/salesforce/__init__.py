"""Salesforce: docs/connectors/salesforce.md."""

from __future__ import annotations

from bot.connectors.salesforce.connector import CONNECTOR

__all__ = ["CONNECTOR"]
