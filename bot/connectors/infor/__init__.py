"""Infor CRM (SData): docs/connectors/infor.md."""

from __future__ import annotations

from bot.connectors.infor.connector import CONNECTOR

__all__ = ["CONNECTOR"]
