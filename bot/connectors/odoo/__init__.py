"""Odoo: docs/connectors/odoo.md."""

from __future__ import annotations

from bot.connectors.odoo.connector import CONNECTOR

__all__ = ["CONNECTOR"]
