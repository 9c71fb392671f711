"""One HTTP policy for every CRM: reads only, politely, and never by waiting.

What a CRM may do to us, and what follows, is decided here once (reference: docs/decisions/0017-waiting-is-the-caller-s.md):

- at most ``Policy.at_once`` requests to a tenant; connect 10 s, read 60 s; an answer has a size limit; no redirect is followed
- everything that is asked only reads, also where an interface wants a POST for it: so it may be asked again
- a connection that was dropped is tried again at once (under a second); whatever needs a wait becomes ``Retryable(after)``,
  because the caller's row knows when to try again and a steered clock does not move while we sleep
- ``Retry-After`` in seconds or as a date, by the server's own clock, capped; else exponential back-off with full jitter
- after ``Policy.tries`` failures in a row nobody is asked until a time (circuit breaker); a budget that is nearly used up
  closes the door as well (brake)
- a session that is refused is renewed once, by one login at a time; where that is refused too, and where a
  grant is rejected, nobody asks again before ``Policy.again``: an admin may have put it right
- neither addresses, nor bodies, nor secrets are logged; errors carry a code and what the admin has to do

The clock is asked and the sleep is called through arguments.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from bot.connectors.renaming import variable
from bot.connectors.wire import Wire
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable, Throttled
from bot.domain.ports import Clock, Meter

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "fullsteam"}
_BUSY = frozenset({406, 420, 429})
"""Answers that mean "not now" beside 5xx: jsforce tries again after 420 and 429, tap-salesforce after 406."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How we treat a tenant. Times are real ones, except those that become ``Retryable.after``.

    ``tries``: failures in a row after which the circuit opens, for ``rest``. ``first_wait`` doubles with every failure up to
    ``longest_wait``; a ``Retry-After`` counts up to ``longest_told``. ``brake``: used share of a budget, 0..1, from which
    nothing is asked for ``pause``. ``session``: how long a session is used before it is renewed unasked. ``again``: how long
    a login that was rejected is left alone. ``cookies``: whether what the server sets is sent back to it.
    """

    at_once: int = 4
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    most_bytes: int = 64 * 1024 * 1024
    quick_tries: int = 2
    quick_seconds: float = 0.2
    tries: int = 5
    first_wait: timedelta = timedelta(seconds=10)
    longest_wait: timedelta = timedelta(minutes=5)
    longest_told: timedelta = timedelta(hours=1)
    rest: timedelta = timedelta(minutes=5)
    brake: float = 0.8
    pause: timedelta = timedelta(hours=1)
    session: timedelta = timedelta(minutes=100)
    again: timedelta = timedelta(hours=1)
    cookies: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body``: the JSON, or None where ``is_json`` is False; ``raw`` is what it was then (XML, say)."""

    status: int
    headers: Mapping[str, str]
    body: Any
    is_json: bool = True
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A login. ``user``: who we are in the CRM; ``link``: where its pages are; "" when the CRM does not say.

    ``scheme``: what stands before the token in ``Authorization``. ``headers``: what else proves who we are. ``lasts``: how
    long it is good for, where the login says so: it is renewed a minute before; None: as the policy has it.
    """

    token: str = field(repr=False)
    user: str = ""
    link: str = ""
    scheme: str = "Bearer"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    lasts: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """Which variables are to be looked at when something is wrong, beside that of the address.

    ``version``: of the API version; ``log_in``: what says where to log in, and ``log_in_at``: that address, where it is known
    beforehand; a log-in at another host is one as well. ``refused``: what to do where a good session is refused. "" where there
    is no such thing.
    """

    version: str = ""
    log_in: str = ""
    log_in_at: str = ""
    refused: str = ""


class SessionRefused(Permanent):
    """The CRM refuses a session that it has just given, or the login itself: an admin has to act."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls that a tenant's budget has seen used, of ``most``, by an answer's headers."""

    used: int
    most: int

    @property
    def share(self) -> float:
        """0..1; nothing is left of a budget of none."""
        return self.used / self.most if self.most > 0 else 1.0


Send = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Answer]]
"""(method, path or address, headers, body) -> the answer, whatever its status. Raises Retryable and Permanent."""
LogIn = Callable[[Send], Awaitable[Session]]
"""Raises SessionRefused when the grant is rejected, Retryable when the login cannot be reached."""
Judge = Callable[[Answer], FullsteamError | None]
"""What an answer that is not 2xx means in this CRM; None: nothing special."""
Used = Callable[[Mapping[str, str]], Budget | None]
"""Headers of an answer -> what is used of the budget; None: it does not say."""


class SystemTime:
    """The machine's clock, for a connector that is opened without another one."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)


def elsewhere(answer: Answer, setting: str) -> str:
    """What a redirect says, which is never followed. ``setting``: the variable that has the address.

    Where to is said as far as the host: what comes after it may hold a session.
    """
    try:
        host = urlsplit(answer.headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    where = f"to {host}" if host else "elsewhere"
    return f"it sends us {where} ({answer.status}): set {setting} to the address that it has now"


def check_base_url(url: str, name: str) -> str:
    """The address without a slash at its end. Raises ConfigurationError unless it is https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url.rstrip("/")
    raise ConfigurationError([f"{name} must start with https:// (http only on this machine): {url!r}"])


class Api:
    """Reads one tenant. Not shared between event loops; the connection is opened by the first request.

    ``judge`` comes before the policy: an error code of the CRM says more than a status. ``transport``: how requests
    travel (tests pass a server in this process).
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        log_in: LogIn,
        judge: Judge,
        used: Used | None = None,
        clock: Clock | None = None,
        policy: Policy | None = None,
        advice: Advice | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.calls = 0
        """Requests that were sent, logins included."""
        self.rows = 0
        """Rows that came back: the connector counts them."""
        self.budget: Budget | None = None
        """By the newest answer that speaks of it."""
        self._base = check_base_url(base_url, f"the address of {name}")
        self._host = httpx.URL(self._base)
        self._prefix = urlsplit(self._base).path
        self._host = self._host.copy_with(path="/")
        self._cookies = httpx.Cookies()
        self._name = name
        self._setting = f"FULLSTEAM_{variable(name)}_URL"
        self._advice = advice or Advice()
        self._log_in = log_in
        self._judge = judge
        self._read_used = used or (lambda _headers: None)
        self._clock = clock or SystemTime()
        self._policy = policy or Policy()
        self._given = transport
        self._transport: httpx.AsyncBaseTransport | None = None
        self._sleep = sleep
        self._places = asyncio.Semaphore(self._policy.at_once)
        self._logging_in = asyncio.Lock()
        self._session: Session | None = None
        self._since: datetime | None = None
        self._proven = self._renewed = False
        self._rejected: SessionRefused | None = None
        self._rejected_until: datetime | None = None
        self._failures = 0
        self._closed_until: datetime | None = None
        self._why_closed: tuple[str, str] = ("", "")
        self._said_closed = False
        self._date = ""
        self._ahead = timedelta(0)

    # -- asking ---------------------------------------------------------------------------------------------------------

    async def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        text: bool = False,
    ) -> Answer:
        """Read ``path`` (below the base address). Raises Retryable, Permanent, and whatever ``judge`` made of a refusal.

        ``text``: what is no JSON is an answer too, in ``Answer.raw``.
        """
        return await self._ask("GET", self._below(path, query), headers, None, text=text)

    async def post(
        self,
        path: str,
        body: object,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Read by a POST with a JSON ``body``, where the interface wants it so. Never for what writes: it may be sent twice."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        return await self._ask("POST", self._below(path, query), headers, content)

    async def follow(self, link: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Read the next page where an answer says it is, letter by letter, but only ever from our own host.

        A relative link is one from the host's root. Of one that names a host only path and query count: what stands between
        (a gateway, a tunnel) may have another name for it, and a session goes to no other host.
        """
        parts = urlsplit(link)
        rest = link[len(f"{parts.scheme}://{parts.netloc}") :] if parts.scheme else link
        if not rest.startswith("/") or rest.startswith("//"):
            raise Permanent(f"{self._name}: it names a next page that is no address", code="bad-answer")
        if self._prefix and not rest.startswith(self._prefix + "/"):
            rest = self._prefix + rest
        return await self._ask("GET", rest, headers, None)

    def path_of(self, path: str) -> str:
        """``path`` as the host sees it: with that of the base address before it."""
        return self._prefix + path

    def _below(self, path: str, query: Mapping[str, str] | None) -> str:
        """``path`` below the base address, with its query."""
        target = self.path_of(path)
        return f"{target}?{urlencode(query, quote_via=quote)}" if query else target

    async def _ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        *,
        text: bool = False,
    ) -> Answer:
        async with self._places:
            refused: Session | None = None
            while True:
                self._check_open()
                session = await self._signed_in(refused)
                proof = {"Authorization": f"{session.scheme} {session.token}"} if session.token else {}
                answer = await self._send(
                    method, target, {**(headers or {}), **session.headers, **proof}, content
                )
                verdict = self._judge(answer) if answer.status >= 300 else None
                if isinstance(verdict, SessionRefused):
                    self._reject(verdict)
                if answer.status == 401 and verdict is None and refused is None:
                    refused = session
                    continue
                return self._settle(answer, verdict, session, text=text)

    def within(self, answer: Answer) -> Answer | None:
        """An answer that came inside another one: it means what it would mean alone. Raises as ``get`` does.

        None: what it means is for the policy to say, and the same has to be asked alone.
        """
        verdict = self._judge(answer) if answer.status >= 300 else None
        if verdict is None:
            return answer if answer.status < 300 and answer.is_json else None
        if isinstance(verdict, SessionRefused):
            self._reject(verdict)
        if isinstance(verdict, Throttled):
            self._close_until(verdict.after or self._policy.pause, "throttled", str(verdict))
        raise verdict

    def meter(self) -> Meter:
        """What was asked until now, and what is left of the tenant's budget."""
        left = None if self.budget is None else max(self.budget.most - self.budget.used, 0)
        return Meter(self.calls, self.rows, left, None if self.budget is None else self.budget.most)

    async def session(self) -> Session:
        """The session in force; logs in when there is none."""
        async with self._places:
            self._check_open()
            return await self._signed_in(None)

    def server_now(self) -> datetime:
        """The server's time: our clock, put right by the ``Date`` of its newest answer (to the second)."""
        return self._clock.now() + self._ahead

    async def close(self) -> None:
        """Let go of the connections."""
        transport, self._transport = self._transport, None
        if transport is not None and transport is not self._given:
            await transport.aclose()

    # -- sessions -------------------------------------------------------------------------------------------------------

    async def _signed_in(self, refused: Session | None) -> Session:
        """The session in force, by one login at a time. ``refused``: the one that was answered with 401."""
        async with self._logging_in:
            self._check_rejected()
            if self._session is not None and self._session is not refused and not self._is_old():
                return self._session
            if refused is not None and self._renewed and not self._proven:
                raise self._refuses_us()
            try:
                session = await self._log_in(self._knock)
            except SessionRefused as error:
                self._reject(error)
                log.error("crm.login_rejected", extra={"source": self._name, "code": error.code})
                raise
            self._session, self._since = session, self._clock.now()
            self._proven, self._renewed = False, refused is not None
            return session

    async def _knock(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """A login's request: what the policy says of a busy host holds for its login as well."""
        answer = await self._send(method, target, headers, body)
        if answer.status in _BUSY or answer.status >= 500:
            who = "its login" if self._is_log_in(target) else "it"
            raise self._failed(
                f"http-{answer.status}", f"{who} answered {answer.status}", self._told(answer.headers)
            )
        if answer.status < 300 and not answer.is_json:
            whose = "its login's" if self._is_log_in(target) else "its"
            raise self._failed(
                "no-json", f"{whose} answer is no JSON, or was cut off: check {self._address_of(target)}"
            )
        return answer

    def _is_old(self) -> bool:
        if self._since is None or self._session is None:
            return False
        told = self._session.lasts
        longest = self._policy.session
        if told is not None:
            longest = min(longest, max(told - _RENEWED_BEFORE, told / 2))
        return self._clock.now() - self._since >= longest

    def _refuses_us(self) -> SessionRefused:
        what_to_do = self._advice.refused or f"check {self._setting}, and what its user may do there"
        error = SessionRefused(
            f"{self._name}: it refuses a session that it has just given: {what_to_do}", code="unauthorised"
        )
        self._reject(error)
        log.error("crm.session_refused", extra={"source": self._name})
        return error

    def _reject(self, error: SessionRefused) -> None:
        """Leave the login alone for a while, and begin with a new one then."""
        self._rejected, self._rejected_until = error, self._clock.now() + self._policy.again
        self._session, self._renewed = None, False

    def _check_rejected(self) -> None:
        if self._rejected is None or self._rejected_until is None:
            return
        if self._clock.now() < self._rejected_until:
            raise self._rejected
        self._rejected = None

    def reject(self, error: SessionRefused) -> None:
        """Leave the login alone for a while: an answer's body says that it is refused, whatever its status was."""
        self._reject(error)
        log.error("crm.login_rejected", extra={"source": self._name, "code": error.code})

    # -- sending --------------------------------------------------------------------------------------------------------

    async def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send, and once more at once if the connection was dropped. Every status is an answer."""
        for attempt in range(self._policy.quick_tries + 1):
            try:
                return await self._once(method, target, headers, body)
            except (
                httpx.ConnectError,
                httpx.ReadError,
                httpx.WriteError,
                httpx.RemoteProtocolError,
            ) as error:
                if attempt == self._policy.quick_tries:
                    if isinstance(error, httpx.ConnectError):
                        raise self._failed("unreachable", self._nobody_at(target)) from error
                    raise self._failed("dropped", "the connection was dropped") from error
                await self._sleep(self._spread() * self._policy.quick_seconds)
            except httpx.TimeoutException as error:
                raise self._failed("timeout", "no answer in time") from error
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise self._failed("transport", f"the connection failed ({type(error).__name__})") from error
        raise AssertionError("the last attempt returns or raises")

    def _nobody_at(self, target: str) -> str:
        """Whom we did not reach, and where that is set."""
        host = httpx.URL(target) if _is_whole(target) else self._host
        port = f":{host.port}" if host.port is not None else ""
        return f"nobody answers at {host.host}{port}: check {self._address_of(target)}, and whether this machine may reach it"

    def _address_of(self, target: str) -> str:
        """What to check of a request's address: the variable that it comes from."""
        if self._is_log_in(target):
            return self._advice.log_in or "where it logs in"
        return self._setting

    def _is_log_in(self, target: str) -> bool:
        """Whether a request goes to a place that is for logging in only."""
        if not _is_whole(target):
            return False
        return target == self._advice.log_in_at or httpx.URL(target).netloc != self._host.netloc

    async def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if self._transport is None:
            self._transport = self._given or Wire(
                self._policy.connect_seconds, self._policy.read_seconds, here=self._host.host in _LOOPBACK
            )
        request = (
            httpx.Request(method, url, headers={**_HEADERS, **headers}, content=body)
            if _is_whole(url)
            else httpx.Request(
                method,
                self._host,
                headers={**_HEADERS, **headers},
                content=body,
                extensions={"target": url.encode("ascii")},
            )
        )
        if self._policy.cookies:
            self._cookies.set_cookie_header(request)
        self.calls += 1
        response = await self._transport.handle_async_request(request)
        try:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > self._policy.most_bytes:
                    raise Permanent(
                        f"{self._name}: an answer is larger than {self._policy.most_bytes} bytes",
                        code="answer-too-big",
                    )
        finally:
            await response.aclose()
        if self._policy.cookies:
            response.request = request
            self._cookies.extract_cookies(response)
        self._look_at(response.headers)
        try:
            body = json.loads(content, parse_constant=_no_number)
            return Answer(response.status_code, response.headers, body)
        except (ValueError, RecursionError):
            return Answer(response.status_code, response.headers, None, is_json=False, raw=bytes(content))

    def _look_at(self, headers: Mapping[str, str]) -> None:
        """The server's clock, and how much of its budget is used."""
        said = headers.get("date", "")
        if said and said != self._date:
            self._date = said
            with suppress(ValueError):
                ahead = _aware(parsedate_to_datetime(said)) - self._clock.now()
                # The header has whole seconds, and the answer took a moment: what is that small is no difference.
                self._ahead = ahead if abs(ahead) > timedelta(seconds=2) else timedelta(0)
        budget = self._read_used(headers)
        if budget is not None:
            self.budget = budget
            if budget.share >= self._policy.brake:
                self._close_until(self._policy.pause, "throttled", _BRAKE.format(budget.share))

    # -- judging --------------------------------------------------------------------------------------------------------

    def _settle(
        self, answer: Answer, verdict: FullsteamError | None, session: Session, *, text: bool
    ) -> Answer:
        """The answer, or the error that it means."""
        if answer.status == 401 and not isinstance(verdict, SessionRefused):
            raise self._refuses_us()
        if session is self._session:
            self._proven = True
        if isinstance(verdict, Throttled):
            self._close_until(verdict.after or self._policy.pause, "throttled", str(verdict))
            raise verdict
        if verdict is not None:
            self._failures = 0  # it answers, if not what we hoped for
            raise verdict
        status = answer.status
        if status == 429:
            raise self._told_to_slow_down(answer)
        if (
            status in _BUSY or status >= 500 or (status == 403 and answer.is_json)
        ):  # what 403 means, judge has said
            told = self._told(answer.headers)
            error = self._failed(f"http-{status}", f"it answered {status}", told)
            if told is not None:  # whoever names a time means everybody
                self._close_until(told, _TOLD, f"it answered {status}")
            raise error
        if 300 <= status < 400:
            raise Permanent(f"{self._name}: {elsewhere(answer, self._setting)}", code="redirected")
        if status >= 400:
            version = f" and {self._advice.version}" if self._advice.version else ""
            raise Permanent(
                f"{self._name}: it answered {status}: check {self._setting}{version}", code=f"http-{status}"
            )
        if not answer.is_json and not text:
            raise self._failed(
                "no-json", f"its answer is no JSON, or was cut off: if that stays, check {self._setting}"
            )
        self._failures = 0
        if self._said_closed and self._closed_until is None:
            self._said_closed = False
            log.info("crm.open", extra={"source": self._name})
        return answer

    def _told_to_slow_down(self, answer: Answer) -> Throttled:
        """429: nobody is asked until the time that it names; it is no failure, so it does not open the circuit."""
        self._failures += 1  # of a row of them each waits longer, where no time is named
        wait = self._told(answer.headers) or self._back_off()
        why = "it asked us to slow down (429)"
        self._close_until(wait, _SLOWER, why)
        return Throttled(f"{self._name}: {why}", code=_SLOWER, after=wait)

    def _failed(self, code: str, why: str, told: timedelta | None = None) -> Retryable:
        """Count a failure; what the caller has to wait."""
        self._failures += 1
        wait = told if told is not None else self._back_off()
        if self._failures >= self._policy.tries:
            wait = max(wait, self._policy.rest)
            self._close_until(wait, "circuit-open", why)
        log.info("crm.failed", extra={"source": self._name, "code": code, "failures": self._failures})
        return Retryable(f"{self._name}: {why}", code=code, after=wait)

    def _back_off(self) -> timedelta:
        """Full jitter (AWS Architecture Blog, Exponential Backoff And Jitter): anything up to the doubled wait."""
        doubled: int = 1 << min(self._failures - 1, 16)
        most = min(self._policy.first_wait * doubled, self._policy.longest_wait)
        return max(most * self._spread(), timedelta(seconds=1))

    def _spread(self) -> float:
        """0..1, different for every tenant, failure and time, the same in every run: no order of calls is in it."""
        seed = f"{self._name}\x1f{self._failures}\x1f{self._clock.now().isoformat()}"
        digest = blake2b(seed.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32

    def _told(self, headers: Mapping[str, str]) -> timedelta | None:
        """``Retry-After`` as a time to wait, at least a second and capped; None without one that can be read."""
        said = headers.get("retry-after", "").strip()
        if not said:
            return None
        if said.isascii() and said.isdigit() and len(said) < 9:
            wait = timedelta(seconds=int(said))
        else:
            try:
                wait = _aware(parsedate_to_datetime(said)) - self.server_now()
            except ValueError:
                return None
        least, most = timedelta(seconds=1), self._policy.longest_told
        return sorted((least, wait, most))[1]

    # -- breaker and brake ----------------------------------------------------------------------------------------------

    def _close_until(self, wait: timedelta, code: str, why: str) -> None:
        until = self._clock.now() + wait
        if self._closed_until is None or until > self._closed_until:
            if not self._said_closed:
                # Said when it begins, and not again for each look whether it is over.
                self._said_closed = True
                log.warning("crm.closed", extra={"source": self._name, "code": code})
            self._closed_until, self._why_closed = until, (code, why)

    def _check_open(self) -> None:
        """Raises Retryable while nobody is asked. When the time is up, one failure closes it again."""
        if self._closed_until is None:
            return
        left = self._closed_until - self._clock.now()
        code, why = self._why_closed
        if left > timedelta(0):
            kind = Throttled if code in ("throttled", _SLOWER) else Retryable
            raise kind(f"{self._name} is not asked for now: {why}", code=code, after=left)
        self._closed_until = None
        if code == "circuit-open":
            self._failures = max(self._failures, self._policy.tries - 1)
        elif code not in (_SLOWER, _TOLD):
            self._failures = 0


_SLOWER = "http-429"
_TOLD = "told-to-wait"
_BRAKE = "{:.0%} of its API calls are used up"
_RENEWED_BEFORE = timedelta(minutes=1)


def _is_whole(url: str) -> bool:
    """Whether it names a host: a link may also have an address in its query."""
    return url.startswith(("http://", "https://"))


def _no_number(said: str) -> float:
    """NaN and Infinity are no JSON (RFC 8259, 6), and no number that anything may be read from."""
    raise ValueError(f"{said} is no JSON")


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
