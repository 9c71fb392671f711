"""The HTTP policy of the connectors: what is tried again, what is waited for, when nobody is asked any more."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bot.clock import SteeredClock
from bot.connectors.http import Answer, Api, Policy, Send, Session, SessionRefused, check_base_url
from bot.connectors.salesforce.answers import api_used
from bot.connectors.wire import Wire, whole_address
from bot.domain.errors import ConfigurationError, Permanent, Retryable, Throttled

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


class Tenant:
    """A host that answers what it is told to, one after the other; the last answer for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.clock = SteeredClock(NOON)
        self.slept: list[float] = []
        self.logins = 0
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)

    def api(self, policy: Policy | None = None, **options: Any) -> Api:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async def log_in(_send: Send) -> Session:
            self.logins += 1
            return Session(f"token-{self.logins}")

        return Api(
            options.pop("url", "https://crm.example.com"),
            name=options.pop("name", "tenant"),
            log_in=options.pop("log_in", log_in),
            judge=options.pop("judge", lambda _answer: None),
            used=api_used,
            clock=self.clock,
            policy=policy,
            transport=options.pop("transport", httpx.MockTransport(self._answer)),
            sleep=sleep,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def said(status: int = 200, body: object = None, **headers: str) -> httpx.Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx.Response(
        status, headers=named, content=json.dumps(body if body is not None else {}).encode()
    )


async def waits(api: Api) -> timedelta:
    with pytest.raises(Retryable) as thrown:
        await api.get("/x")
    assert thrown.value.after is not None
    return thrown.value.after


# --- what is tried again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.WriteError("x")],
)
async def test_a_dropped_connection_is_tried_again_at_once(error: Exception) -> None:
    tenant = Tenant(error, error, said())
    await tenant.api().get("/x")
    assert len(tenant.asked) == 3
    assert sum(tenant.slept) < 1


async def test_a_connection_that_stays_away_is_left_to_the_caller() -> None:
    tenant = Tenant(httpx.ConnectError("x"))
    assert await waits(tenant.api()) >= timedelta(seconds=1)
    assert len(tenant.asked) == 3


async def test_no_answer_in_time_is_not_asked_for_again_while_somebody_waits() -> None:
    tenant = Tenant(httpx.ReadTimeout("x"))
    await waits(tenant.api())
    assert len(tenant.asked) == 1


@pytest.mark.parametrize("status", [406, 420, 429, 500, 502, 503, 504])
async def test_whatever_needs_a_wait_becomes_the_caller_s(status: int) -> None:
    tenant = Tenant(said(status))
    assert await waits(tenant.api()) >= timedelta(seconds=1)
    assert (len(tenant.asked), tenant.slept) == (1, [])


@pytest.mark.parametrize("body", [b"<html>", b'{"a": [1, 2', b"", b"[" * 100_000])
async def test_what_is_no_json_is_no_answer(body: bytes) -> None:
    tenant = Tenant(httpx.Response(200, content=body))
    await waits(tenant.api())


@pytest.mark.parametrize(
    ("status", "code"), [(400, "http-400"), (404, "http-404"), (301, "redirected"), (302, "redirected")]
)
async def test_what_will_never_work_is_not_tried_again(status: int, code: str) -> None:
    tenant = Tenant(said(status, location="https://evil.example/"))
    with pytest.raises(Permanent) as thrown:
        await tenant.api().get("/x")
    assert thrown.value.code == code
    assert len(tenant.asked) == 1


# --- how long ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("30", 30),
        ("0", 1),
        ("86400", 3600),
        ("Fri, 20 Nov 2026 12:11:00 GMT", 60),
        ("Fri, 20 Nov 2026 12:11:00 -0000", 60),
        ("Fri, 20 Nov 2026 12:00:00 GMT", 1),
    ],
)
async def test_retry_after_is_read_by_the_server_s_own_clock_and_capped(told: str, seconds: int) -> None:
    """The server is ten minutes ahead of us: a date is meant by its clock."""
    tenant = Tenant(said(429, retry_after=told, date="Fri, 20 Nov 2026 12:10:00 GMT"))
    assert (await waits(tenant.api())).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize("told", ["soon", "-5", "1e3", "٣", "9" * 400, "Fri, 99 Nov"])
async def test_a_retry_after_that_means_nothing_is_not_obeyed(told: str) -> None:
    tenant = Tenant(httpx.Response(503, headers={b"Retry-After": told.encode()}, content=b"{}"))
    assert timedelta(seconds=1) <= await waits(tenant.api()) <= timedelta(seconds=10)


async def test_waits_grow_with_full_jitter_up_to_a_cap_and_are_the_same_in_every_run() -> None:
    async def waited() -> list[float]:
        api = Tenant(said(500)).api(Policy(tries=1000))
        return [(await waits(api)).total_seconds() for _ in range(12)]

    first = await waited()
    assert first == await waited()
    for n, seconds in enumerate(first):
        assert 1 <= seconds <= min(10 * 2**n, 300)
    assert len(set(first)) == len(first)
    assert max(first) > 60


async def test_what_is_waited_depends_on_no_order_of_calls_and_on_no_port() -> None:
    async def waited(calls_before: int, **options: Any) -> float:
        tenant = Tenant(*[said()] * calls_before, said(500))
        api = tenant.api(**options)
        for _ in range(calls_before):
            await api.get("/x")
        tenant.clock.set(NOON + timedelta(hours=1))
        return (await waits(api)).total_seconds()

    first = await waited(0)
    assert first == await waited(7) == await waited(1, url="http://127.0.0.1:40123")
    assert first != await waited(0, name="another")


# --- breaker and brake -------------------------------------------------------------------------------------------------------


async def test_after_five_failures_nobody_is_asked_until_a_time_and_then_one() -> None:
    tenant = Tenant(said(500))
    api = tenant.api()
    for _ in range(5):
        await waits(api)
    assert len(tenant.asked) == 5
    left = await waits(api)
    assert (len(tenant.asked), left) == (5, timedelta(minutes=5))
    tenant.clock.set(NOON + left)
    await waits(api)
    assert len(tenant.asked) == 6
    await waits(api)
    assert len(tenant.asked) == 6, "one failure closes it again"


async def test_one_success_closes_the_case() -> None:
    tenant = Tenant(said(500), said(500), said(500), said(500), said(), said(500), said())
    api = tenant.api()
    for _ in range(4):
        await waits(api)
    await api.get("/x")
    await waits(api)
    await api.get("/x")
    assert len(tenant.asked) == 7


@pytest.mark.parametrize(
    ("header", "share"),
    [
        ("api-usage=18/5000", 0.0036),
        ("api-usage=10018/100000; api-bursts=1/750", 0.10018),
        ("api-bursts=749/750; api-usage=82/100", 0.82),
        ("api-usage=25/5000; per-app-api-usage=240/250(appName=sample-connected-app)", 0.005),
        ("api-usage=25/5000, api-bursts=749/750", 0.005),
        ("per-app-api-usage=240/250", None),
        ("api-usage=1/0", None),
        ("", None),
        ("something else", None),
    ],
)
def test_the_used_share_is_read_whatever_stands_beside_it(header: str, share: float | None) -> None:
    found = api_used({"sforce-limit-info": header})
    assert (found and found.share) == (pytest.approx(share) if share is not None else None)


async def test_a_budget_that_is_nearly_used_up_closes_the_door_for_an_hour() -> None:
    tenant = Tenant(said(sforce_limit_info="api-usage=80/100; api-bursts=1/750"))
    api = tenant.api()
    await api.get("/x")
    assert (api.meter().left, api.meter().most) == (20, 100)
    assert await waits(api) == timedelta(hours=1)
    assert len(tenant.asked) == 1
    tenant.clock.set(NOON + timedelta(hours=1))
    await api.get("/x")
    assert len(tenant.asked) == 2


# --- sessions ----------------------------------------------------------------------------------------------------------------


async def test_many_at_once_make_one_login_and_one_more_when_the_session_ends() -> None:
    ended = {"token-1"}

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        old = request.headers["Authorization"].removeprefix("Bearer ") in ended
        return said(401, [{"errorCode": "INVALID_SESSION_ID"}]) if old else said()

    tenant = Tenant(said())
    api = tenant.api(transport=httpx.MockTransport(answer))
    await asyncio.gather(*(api.get("/x") for _ in range(20)))
    assert tenant.logins == 2
    ended.add("token-2")
    await asyncio.gather(*(api.get("/x") for _ in range(20)))
    assert tenant.logins == 3


async def test_at_most_four_requests_are_under_way() -> None:
    under_way, most = 0, 0

    async def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return said()

    api = Tenant(said()).api(transport=httpx.MockTransport(answer))
    await asyncio.gather(*(api.get("/x") for _ in range(30)))
    assert most == 4


async def test_a_fresh_session_that_is_refused_again_is_the_end() -> None:
    tenant = Tenant(said(401, [{"errorCode": "INVALID_SESSION_ID"}]))
    api = tenant.api()
    for _ in range(3):
        with pytest.raises(SessionRefused):
            await api.get("/x")
    assert (tenant.logins, len(tenant.asked)) == (2, 2)


async def test_two_refusals_in_a_row_are_not_the_end_for_ever() -> None:
    no = said(401, [{"errorCode": "INVALID_SESSION_ID"}])
    tenant = Tenant(no, no, said(body={"done": True}))
    api = tenant.api()
    with pytest.raises(SessionRefused):
        await api.get("/x")
    tenant.clock.set(NOON + timedelta(minutes=59))
    with pytest.raises(SessionRefused):
        await api.get("/x")
    assert (tenant.logins, len(tenant.asked)) == (2, 2)
    tenant.clock.set(NOON + timedelta(hours=1))
    assert (await api.get("/x")).body == {"done": True}
    assert (tenant.logins, len(tenant.asked)) == (3, 3)


async def test_while_it_refuses_us_two_logins_an_hour_are_all_that_it_sees() -> None:
    tenant = Tenant(said(401, [{"errorCode": "INVALID_SESSION_ID"}]))
    api = tenant.api()
    for minutes in range(0, 240, 10):
        tenant.clock.set(NOON + timedelta(minutes=minutes))
        with pytest.raises(SessionRefused):
            await api.get("/x")
    assert (tenant.logins, len(tenant.asked)) == (8, 8)


async def test_a_rejected_grant_is_left_alone_for_an_hour_and_one_that_was_not_reached_is_not() -> None:
    attempts = 0

    async def log_in(_send: Send) -> Session:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise Retryable("away", after=timedelta(seconds=3))
        raise SessionRefused("wrong secret", code="login-rejected")

    tenant = Tenant(said())
    api = tenant.api(log_in=log_in)
    assert await waits(api) == timedelta(seconds=3)
    for _ in range(3):
        with pytest.raises(SessionRefused):
            await api.get("/x")
    assert attempts == 2
    tenant.clock.set(NOON + timedelta(hours=1))
    with pytest.raises(SessionRefused):
        await api.get("/x")
    assert attempts == 3


async def test_a_session_is_renewed_before_it_grows_old() -> None:
    tenant = Tenant(said())
    api = tenant.api()
    await api.get("/x")
    tenant.clock.set(NOON + timedelta(minutes=99))
    await api.get("/x")
    assert tenant.logins == 1
    tenant.clock.set(NOON + timedelta(minutes=100))
    await api.get("/x")
    assert tenant.logins == 2


def test_a_session_does_not_show_its_token() -> None:
    assert "token" not in repr(Session("token-1", "005")).replace("Session(", "")


# --- answers -----------------------------------------------------------------------------------------------------------------


async def test_an_answer_has_a_largest_size_also_when_it_is_packed() -> None:
    packed = gzip.compress(b" " * 2_000_000 + b"{}")
    assert len(packed) < 10_000
    tenant = Tenant(httpx.Response(200, content=b"{}"))

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(packed))

    api = tenant.api(Policy(most_bytes=1_000_000), transport=httpx.MockTransport(answer))
    with pytest.raises(Permanent) as thrown:
        await api.get("/x")
    assert thrown.value.code == "answer-too-big"


async def test_the_server_s_time_is_known_from_its_answers() -> None:
    tenant = Tenant(
        said(date="Fri, 20 Nov 2026 12:10:00 GMT"),
        said(date="nonsense"),
        said(date="Fri, 20 Nov 2026 12:00:01 GMT"),
    )
    api = tenant.api()
    assert api.server_now() == NOON
    for expected in (NOON + timedelta(minutes=10), NOON + timedelta(minutes=10), NOON):
        await api.get("/x")
        assert api.server_now() == expected


async def test_a_crm_s_own_word_goes_before_the_status() -> None:
    def judge(answer: Answer) -> Permanent | None:
        return Permanent("denied", code="denied") if answer.body == {"code": 7} else None

    tenant = Tenant(said(500, {"code": 7}))
    with pytest.raises(Permanent, match="denied"):
        await tenant.api(judge=judge).get("/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com",
        "ftp://crm.example.com",
        "crm.example.com",
        "",
        "https://",
        "http://127.0.0.1.evil.com",
    ],
)
def test_an_address_is_secure_or_on_this_machine(url: str) -> None:
    with pytest.raises(ConfigurationError, match="FULLSTEAM_X"):
        check_base_url(url, "FULLSTEAM_X")


@pytest.mark.parametrize(
    "url", ["https://crm.example.com/", "http://127.0.0.1:99", "http://localhost:1/", "http://[::1]:8"]
)
def test_such_an_address_is_taken_without_its_last_slash(url: str) -> None:
    assert check_base_url(url, "x") == url.rstrip("/")


# --- the wire ----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(reply: bytes, *, silent: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A host on a real socket that sends the same bytes to everybody and hangs up."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if silent:
            await reader.read()
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


def on_socket(url: str, policy: Policy) -> Api:
    async def log_in(_send: Send) -> Session:
        return Session("t")

    async def sleep(_seconds: float) -> None:
        return None

    return Api(
        url,
        name="tenant",
        log_in=log_in,
        judge=lambda _: None,
        clock=SteeredClock(NOON),
        policy=policy,
        sleep=sleep,
    )


HASTY = replace(Policy(), read_seconds=0.05, connect_seconds=0.5, quick_tries=1)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


async def test_a_query_arrives_as_it_was_written() -> None:
    soql = "SELECT Id FROM User WHERE Name = 'A+B & C%' AND CreatedDate < 2026-11-20T00:00:00Z"
    async with listening(GOOD % (2, b"{}")) as (url, heard):
        api = on_socket(url, Policy())
        await api.get("/query", {"q": soql})
        await api.close()
    line = heard[0].split(b"\r\n")[0].decode()
    assert httpx.URL("http://x" + line.split(" ")[1]).params["q"] == soql
    assert b"authorization: Bearer t" in heard[0].replace(b"Authorization", b"authorization")
    assert b"cookie" not in heard[0].lower()


@pytest.mark.parametrize(
    ("reply", "silent", "code"),
    [
        (b"", False, "dropped"),
        (GOOD % (100, b"{}"), False, "dropped"),
        (b"no http at all\r\n\r\n", False, "dropped"),
        (b"", True, "timeout"),
    ],
)
async def test_every_way_to_fail_on_the_wire_is_one_of_ours(reply: bytes, silent: bool, code: str) -> None:
    async with listening(reply, silent=silent) as (url, _):
        api = on_socket(url, HASTY)
        with pytest.raises(Retryable) as thrown:
            await api.get("/x")
        await api.close()
    assert thrown.value.code == code


async def test_a_host_that_is_not_there_is_one_of_them() -> None:
    async with listening(b"") as (url, _):
        pass
    api = on_socket(url, HASTY)
    with pytest.raises(Retryable) as thrown:
        await api.get("/x")
    await api.close()
    assert thrown.value.code == "unreachable"


async def test_a_closed_connection_opens_again() -> None:
    async with listening(GOOD % (2, b"{}")) as (url, heard):
        api = on_socket(url, Policy())
        for _ in range(2):
            await api.get("/x")
            await api.close()
        assert len(heard) == 2
    await Wire(1, 1).aclose()


@pytest.fixture(autouse=True)
def a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is never for this machine: whoever goes there fails."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")


async def test_a_trouble_that_lasts_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="bot.connectors.http")
    away = said(503)
    tenant = Tenant(*[away] * 9, said(body={}), *[away] * 5, said(body={}))
    api = tenant.api()
    for hours in range(16):
        tenant.clock.set(NOON + timedelta(hours=hours))
        if hours in (9, 15):
            await api.get("/x")
        else:
            await waits(api)
    told = [record.message for record in caplog.records if record.message in ("crm.closed", "crm.open")]
    assert told == ["crm.closed", "crm.open"] * 2


# --- where a request goes, and what goes with it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        (
            "https://crm.example.com/api/next?a=1%2C2&$skiptoken=%3Cx%3E",
            "/api/next?a=1%2C2&$skiptoken=%3Cx%3E",
        ),
        ("https://evil.example/api/next?a=1", "/api/next?a=1"),
        ("http://crm.example.com:81/api/next", "/api/next"),
        ("/api/next?page=2", "/api/next?page=2"),
    ],
)
async def test_a_next_page_is_asked_for_letter_by_letter_but_only_from_our_own_host(
    link: str, asked: str
) -> None:
    tenant = Tenant(said())
    await tenant.api().follow(link)
    assert whole_address(tenant.asked[-1]) == f"https://crm.example.com{asked}"


@pytest.mark.parametrize("link", ["//evil.example/x", "next", "", "ftp:x", "https://evil.example"])
async def test_a_next_page_that_is_no_address_is_refused(link: str) -> None:
    tenant = Tenant(said())
    with pytest.raises(Permanent):
        await tenant.api().follow(link)
    assert tenant.asked == []


@pytest.mark.parametrize("link", ["/gateway/crm/next", "/next", "https://inside.example/gateway/crm/next"])
async def test_behind_a_prefix_every_path_is_below_it_once(link: str) -> None:
    tenant = Tenant(said())
    api = tenant.api(url="https://host.example/gateway/crm/")
    await api.get("/users", {"q": "a b"})
    await api.follow(link)
    assert [whole_address(each) for each in tenant.asked] == [
        "https://host.example/gateway/crm/users?q=a%20b",
        "https://host.example/gateway/crm/next",
    ]


async def test_a_post_that_reads_is_sent_again_when_the_connection_was_dropped() -> None:
    tenant = Tenant(httpx.ReadError("x"), said(body={"rows": [1]}))
    answer = await tenant.api().post("/search", {"domain": [["a", "=", "ä"]]})
    assert answer.body == {"rows": [1]}
    assert [json.loads(each.content) for each in tenant.asked] == [{"domain": [["a", "=", "ä"]]}] * 2
    assert {each.headers["content-type"] for each in tenant.asked} == {"application/json"}


@pytest.mark.parametrize(("kept", "sent"), [(True, "s=1"), (False, None)])
async def test_what_the_server_sets_is_sent_back_only_where_the_policy_says_so(
    kept: bool, sent: str | None
) -> None:
    tenant = Tenant(said(set_cookie="s=1; Path=/"), said())
    api = tenant.api(Policy(cookies=kept))
    await api.get("/x")
    await api.get("/x")
    assert [each.headers.get("cookie") for each in tenant.asked] == [None, sent]


async def test_a_session_may_prove_itself_in_other_ways_than_a_bearer() -> None:
    async def log_in(_send: Send) -> Session:
        return Session("dXNlcg==", scheme="Basic", headers={"X-Authorization": "Basic dXNlcg=="})

    tenant = Tenant(said())
    api = tenant.api(log_in=log_in)
    await api.get("/x")
    assert tenant.asked[0].headers["authorization"] == tenant.asked[0].headers["x-authorization"]
    assert "dXNlcg" not in repr(await api.session())


async def test_who_is_told_to_slow_down_asks_nobody_until_then_and_has_not_failed() -> None:
    tenant = Tenant(said(429, retry_after="40"), said())
    api = tenant.api()
    with pytest.raises(Throttled):
        await api.get("/x")
    assert await waits(api) == timedelta(seconds=40)
    assert len(tenant.asked) == 1
    tenant.clock.set(NOON + timedelta(seconds=40))
    await api.get("/x")


async def test_of_a_row_of_429s_without_a_time_each_waits_longer_at_most() -> None:
    tenant = Tenant(said(429))
    api = tenant.api(Policy(longest_wait=timedelta(minutes=5)))
    most = timedelta(seconds=10)
    waited: list[timedelta] = []
    for _ in range(6):
        waited.append(await waits(api))
        assert timedelta(seconds=1) <= waited[-1] <= min(most, timedelta(minutes=5))
        tenant.clock.set(tenant.clock.now() + waited[-1])
        most *= 2
    assert max(waited) > timedelta(seconds=30)


async def test_what_is_no_json_is_there_for_whoever_can_read_it() -> None:
    seen: list[bytes] = []

    def judge(answer: Answer) -> Permanent:
        seen.append(answer.raw)
        return Permanent("as XML")

    tenant = Tenant(httpx.Response(400, content=b"<diagnosis/>"))
    with pytest.raises(Permanent, match="as XML"):
        await tenant.api(judge=judge).get("/x")
    assert seen == [b"<diagnosis/>"]
    assert "diagnosis" not in repr(Answer(400, {}, None, is_json=False, raw=b"<diagnosis/>"))


async def test_an_answer_that_may_be_text_is_asked_for_as_text() -> None:
    tenant = Tenant(httpx.Response(200, content=b"<edmx/>"))
    answer = await tenant.api().get("/$metadata", text=True)
    assert (answer.is_json, answer.raw) == (False, b"<edmx/>")
    await waits(tenant.api())


async def test_an_answer_within_another_one_means_what_it_would_mean_alone() -> None:
    def judge(answer: Answer) -> Throttled | Permanent | None:
        meanings: dict[int, Throttled | Permanent] = {403: Throttled("used up"), 400: Permanent("no such")}
        return meanings.get(answer.status)

    api = Tenant(said()).api(judge=judge)
    good = Answer(200, {}, {"n": 1})
    assert api.within(good) is good
    assert api.within(Answer(500, {}, {})) is None, "for the policy to say: it is asked alone"
    assert api.within(Answer(200, {}, None, is_json=False)) is None
    with pytest.raises(Permanent):
        api.within(Answer(400, {}, {}))
    await api.get("/x")
    with pytest.raises(Throttled):
        api.within(Answer(403, {}, {}))
    with pytest.raises(Throttled):
        await api.get("/x")


@pytest.mark.parametrize("body", [b'{"n": NaN}', b'{"n": [Infinity]}', b'{"n": -Infinity}'])
async def test_what_is_no_number_is_no_json(body: bytes) -> None:
    tenant = Tenant(httpx.Response(200, content=body))
    await waits(tenant.api())


async def test_whoever_names_a_time_means_everybody() -> None:
    tenant = Tenant(said(503, retry_after="600"), said())
    api = tenant.api()
    assert await waits(api) == timedelta(minutes=10)
    assert await waits(api) == timedelta(minutes=10)
    assert len(tenant.asked) == 1
    tenant.clock.set(NOON + timedelta(minutes=10))
    await api.get("/x")


async def test_a_link_may_have_an_address_in_its_query() -> None:
    tenant = Tenant(said())
    await tenant.api().follow("/next?context=https://crm.example.com/$metadata")
    assert whole_address(tenant.asked[-1]).endswith("/next?context=https://crm.example.com/$metadata")


@pytest.mark.parametrize(
    ("location", "said_to_be"),
    [
        ("https://new.example.com/login?sid=00Dsecret", "it sends us to new.example.com (302)"),
        ("https://user:secret@new.example.com/", "it sends us to new.example.com (302)"),
        ("/login", "it sends us elsewhere (302)"),
        ("https://[broken", "it sends us elsewhere (302)"),
    ],
)
async def test_a_redirect_names_the_new_host_and_our_variable_and_nothing_else_of_it(
    location: str, said_to_be: str
) -> None:
    tenant = Tenant(httpx.Response(302, headers={"location": location}))
    with pytest.raises(Permanent) as thrown:
        await tenant.api().get("/x")
    assert str(thrown.value) == (
        f"tenant: {said_to_be}: set FULLSTEAM_TENANT_URL to the address that it has now"
    )


async def test_of_nobody_who_answers_the_host_and_where_it_is_set_are_said() -> None:
    async def elsewhere(send: Send) -> Session:
        await send("POST", "https://login.example.com/token", {}, b"")
        raise AssertionError

    away = [httpx.ConnectError("x")] * 3
    with pytest.raises(
        Retryable, match=r"nobody answers at crm\.example\.com: check FULLSTEAM_TENANT_URL, and"
    ):
        await Tenant(*away).api().get("/x")
    with pytest.raises(
        Retryable, match=r"nobody answers at login\.example\.com: check where it logs in, and"
    ):
        await Tenant(*away).api(log_in=elsewhere).get("/x")
