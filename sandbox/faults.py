"""Trouble on demand: what can go wrong between an app and Slack.

Kinds, for calls of the Web API (`where` = a method, or `*` for all):

drop_after_commit     the call takes effect, then the connection closes without an answer
reset_before_commit   the connection is reset and the call has no effect
http_500              HTTP 500, no effect
slow                  the call takes effect and the answer comes `seconds` later (real time)
ratelimited           429 with `Retry-After: seconds`
token_revoked         the token is refused
unavailable           the method answers `service_unavailable` (say, conversations.history)

and for the events that Slack sends to the bot (`where` = an event type, or `*`):

duplicate             the event comes twice, with one event id
reorder               the event comes after the next one
lose                  the event never comes

and for the sockets it comes by (`where` = an event type, `block_actions`, `slash_command` ..., or `*`):

socket_killed              the connection is cut with the envelope on it and no acknowledgement counted: as soon as the
                           bot has acknowledged, at the latest after `seconds` (0: at once)
socket_killed_after_ack    the connection is cut right after the acknowledgement was counted

and for the company's CRM (`where` = crm for all of it, `crm:Opportunity` for one object, `crm:token`, `crm:limits`):

crm_401               the session is refused (`count=1`: once, then a new login works; without a count: for ever)
crm_login_refused     the token endpoint refuses the client (`invalid_grant`)
crm_request_limit     403 REQUEST_LIMIT_EXCEEDED: the requests of 24 hours are used up
crm_429, crm_429_date, crm_429_bare    429 with `Retry-After: seconds`, with it as an HTTP date, without it
crm_503_html          503 with a page of HTML for a body
crm_timeout, crm_timeout_500    a query is refused with QUERY_TIMEOUT, with status 400 or 500
crm_denied            the object does not exist for the API user (INVALID_TYPE)
crm_forbidden         the object may not be read (403 INSUFFICIENT_ACCESS)
crm_own_logins        LoginHistory has the API user's own rows only, and says nothing about it
crm_page_fails        a query's first page comes, a later one is answered as crm_503_html
crm_page_overlaps     a later page begins with the last row of the one before
crm_truncated         the answer's JSON is cut in half
crm_dropped           the connection closes without an answer
crm_slow              the answer comes `seconds` later (real time)
crm_clock_skewed      the header Date is `seconds` ahead of the workspace clock
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

INBOUND = frozenset(
    {
        "drop_after_commit",
        "reset_before_commit",
        "http_500",
        "slow",
        "ratelimited",
        "token_revoked",
        "unavailable",
    }
)
OUTBOUND = frozenset({"duplicate", "reorder", "lose"})
SOCKET = frozenset({"socket_killed", "socket_killed_after_ack"})
CRM = frozenset(
    {
        "crm_401",
        "crm_login_refused",
        "crm_request_limit",
        "crm_429",
        "crm_429_date",
        "crm_429_bare",
        "crm_503_html",
        "crm_timeout",
        "crm_timeout_500",
        "crm_denied",
        "crm_forbidden",
        "crm_own_logins",
        "crm_page_fails",
        "crm_page_overlaps",
        "crm_truncated",
        "crm_dropped",
        "crm_slow",
        "crm_clock_skewed",
    }
)
MOST_SECONDS = 366 * 86_400
KINDS = INBOUND | OUTBOUND | SOCKET | CRM


@dataclass(slots=True)
class Fault:
    """One kind of trouble: the next `count` times, or each time with probability `rate`, or (neither) until cleared."""

    kind: str
    where: str = "*"
    count: int | None = None
    rate: float | None = None
    seconds: float = 1.0
    after: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(sorted(KINDS))}")
        if self.count is not None and self.count < 1:
            raise ValueError("count must be at least 1")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError("rate must lie between 0 and 1")
        if not 0 <= self.seconds <= MOST_SECONDS or self.after < 0:
            raise ValueError(f"seconds lie between 0 and {MOST_SECONDS}; after must not be negative")


class Faults:
    """The faults in force. Rates are drawn from a seed: the same calls in the same order meet the same faults."""

    def __init__(self, seed: int = 0) -> None:
        self.planned: list[Fault] = []
        #: How often each kind struck, those of the company's outages included.
        self.struck: Counter[str] = Counter()
        self._draw = random.Random(seed)

    def plan(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.planned.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.planned.clear()

    def take(self, side: frozenset[str], where: str) -> Fault | None:
        """The fault that strikes this call or event, counted down; None when all goes well."""
        if not self.planned:
            return None
        for fault in self.planned:
            if fault.kind not in side or fault.where not in ("*", where, where.partition(":")[0]):
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.rate is not None and self._draw.random() >= fault.rate:
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count == 0:
                    self.planned.remove(fault)
            self.struck[fault.kind] += 1
            return fault
        return None


def read_fault(text: str) -> Fault:
    """Read `kind[:where[:key=value]...]`, as in `drop_after_commit:chat.postMessage:count=3`. Raises ValueError."""
    kind, *rest = text.split(":")
    named: list[str] = []
    while rest and "=" not in rest[0]:
        named.append(rest.pop(0))
    where = ":".join(named) or "*"
    given: dict[str, str] = {}
    for part in rest:
        key, _, value = part.partition("=")
        if key not in ("count", "rate", "seconds", "after"):
            raise ValueError(f"unknown key {key!r} in fault {text!r}; known: count, rate, seconds, after")
        given[key] = value
    return Fault(
        kind,
        where,
        count=int(given["count"]) if "count" in given else None,
        rate=float(given["rate"]) if "rate" in given else None,
        seconds=float(given.get("seconds", 1.0)),
        after=int(given.get("after", 0)),
    )
