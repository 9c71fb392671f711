"""Logs: one JSON line an event; a constant event name and ids, never what a person wrote, never a secret.

{"at": "2026-11-21T09:00:00.123Z", "level": "info", "event": "outbox.sent", "delivery": "m12…", "attempt": 1}
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; what was passed as ``extra`` becomes keys beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line. An exception is named by its type and place, without its message, which may quote a person."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                line["where"] = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send this product's logs to ``stream`` (standard error). Libraries speak from warning on.

    Bolt and slack_sdk print whole bodies at debug level, and Bolt one on a bad signature at info: they are kept at
    error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("bot", "store"):
        logging.getLogger(ours).setLevel(level.upper())
    for chatty in ("slack_bolt", "slack_sdk", "apscheduler", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
