"""Dynamics 365 (Dataverse): docs/connectors/dynamics.md."""

from __future__ import annotations

from bot.connectors.dynamics.connector import CONNECTOR

__all__ = ["CONNECTOR"]
