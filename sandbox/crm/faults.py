"""Which trouble strikes a request: what a test has put in force (sandbox/faults.py), and outages by the clock.

An outage's kind is a fault's kind. It differs in what ends it: the workspace clock, not a count.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime

from sandbox.crm.errors import Refused, Unauthorized, forbidden, query_timeout, request_limit, session_expired
from sandbox.crm.records import Outage
from sandbox.faults import Fault, Faults

#: Kinds that change an answer beside its content: they may strike together with another one.
AROUND = (frozenset({"crm_clock_skewed"}), frozenset({"crm_slow"}))
#: Kinds that strike any request, a login too.
WIRE = frozenset(
    {
        "crm_429",
        "crm_429_date",
        "crm_429_bare",
        "crm_503_html",
        "crm_truncated",
        "crm_dropped",
    }
)
#: Kinds that strike a login only.
LOGIN = frozenset({"crm_login_refused"})
#: Kinds that strike a request for data only.
CONTENT = frozenset({"crm_401", "crm_request_limit", "crm_denied", "crm_forbidden"})
#: Kinds that strike a query only, or the later pages of one.
QUERY = frozenset({"crm_timeout", "crm_timeout_500", "crm_own_logins"})
PAGE = frozenset({"crm_page_fails", "crm_page_overlaps"})

_BUSY = """<html><head><title>We are down for maintenance.</title></head>
<body><h1>503 Service Unavailable</h1><p>Sorry for the inconvenience. We'll be back shortly.</p></body></html>
"""


class Trouble:
    """What strikes one request: the faults of a test first, then the outages of the day."""

    def __init__(self, faults: Faults, outages: Iterable[Outage], where: str, now: datetime) -> None:
        self.faults = faults
        self.where = where
        self.outages = [
            outage
            for outage in outages
            if outage.begins <= now < outage.ends and outage.object in (None, where)
        ]

    def take(self, kinds: frozenset[str]) -> Fault | None:
        """The trouble of one of these kinds that strikes now, counted down; None when all goes well."""
        fault = self.faults.take(kinds, f"crm:{self.where}")
        if fault is None:
            for outage in self.outages:
                if outage.kind in kinds:
                    self.faults.struck[outage.kind] += 1
                    return Fault(outage.kind, seconds=(outage.ends - outage.begins).total_seconds())
        return fault


def strike(fault: Fault, now: datetime) -> None:
    """Raise what a fault answers instead of an answer, when it is of such a kind. Raises Refused and Unauthorized."""
    kind = fault.kind
    if kind == "crm_login_refused":
        raise Unauthorized("invalid_grant", "no client credentials user enabled")
    if kind == "crm_401":
        raise session_expired()
    if kind == "crm_forbidden":
        raise forbidden()
    if kind == "crm_request_limit":
        raise request_limit()
    if kind in ("crm_429", "crm_429_date", "crm_429_bare"):
        headers = {}
        if kind == "crm_429":
            headers["Retry-After"] = str(max(1, round(fault.seconds)))
        elif kind == "crm_429_date":
            headers["Retry-After"] = format_datetime(now + timedelta(seconds=fault.seconds), usegmt=True)
        raise Refused(
            "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", status=429, headers=headers
        )
    if kind in ("crm_503_html", "crm_page_fails"):
        raise Refused("SERVER_UNAVAILABLE", "", status=503, html=_BUSY)
    if kind in ("crm_timeout", "crm_timeout_500"):
        raise query_timeout(500 if kind == "crm_timeout_500" else 400)
