"""What Salesforce's answers mean, one by one: refusals, logins, pages, rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from bot.connectors.crm_people import language_of
from bot.connectors.http import Answer, SessionRefused
from bot.connectors.open_records import is_flawed
from bot.connectors.refusals import Denied, FieldHidden, TooSlow
from bot.connectors.salesforce.answers import (
    LocatorGone,
    client_credentials,
    judge,
    records_of,
)
from bot.connectors.salesforce.queries import (
    EVENTS,
    FEATURES,
    MOBILE,
    REQUIRED,
    STATES,
    Question,
    lacking,
    pipeline,
)
from bot.connectors.salesforce.rows import deal_of, full_id, is_id, read_users
from bot.domain.errors import FullsteamError, Permanent, Retryable, Throttled
from sandbox.crm import records

TODAY = date(2026, 11, 20)


def refused(status: int, code: str, message: str = "") -> FullsteamError | None:
    return judge(Answer(status, {}, [{"errorCode": code, "message": message}]))


@pytest.mark.parametrize(
    ("status", "code", "message", "meaning"),
    [
        (400, "QUERY_TIMEOUT", "", TooSlow),
        (500, "QUERY_TIMEOUT", "", TooSlow),
        (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Throttled),
        (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", type(None)),
        (400, "INVALID_QUERY_LOCATOR", "", LocatorGone),
        (400, "INVALID_TYPE", "sObject type 'X' is not supported.", Denied),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", "", Denied),
        (400, "INSUFFICIENT_ACCESS", "", Denied),
        (403, "FUNCTIONALITY_NOT_ENABLED", "", Denied),
        (403, "API_DISABLED_FOR_ORG", "", Denied),
        (403, "TXN_SECURITY_METERING_ERROR", "", Denied),
        (403, "SOMETHING_NEW", "", Denied),
        (
            400,
            "OTHER",
            "Implementation restriction: X only allows security evaluation for non-admin users when LIMIT is specified",
            Denied,
        ),
        (400, "MALFORMED_QUERY", "unexpected token", Permanent),
        (400, "INVALID_FIELD", "field 'Status' can not be filtered in a query call", Permanent),
        (401, "INVALID_SESSION_ID", "Session expired or invalid", type(None)),
        (401, "INVALID_AUTH_HEADER", "INVALID_JWT_FORMAT", type(None)),
        (401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API", SessionRefused),
        (401, "INVALID_SESSION_ID", "Connected app is not attached to Agent", SessionRefused),
        (404, "NOT_FOUND", "The requested resource does not exist", type(None)),
        (503, "SERVER_UNAVAILABLE", "", type(None)),
    ],
)
def test_each_refusal_has_its_meaning(status: int, code: str, message: str, meaning: type) -> None:
    assert type(refused(status, code, message)) is meaning


@pytest.mark.parametrize(
    "body", [None, [], {}, [None], ["x"], "text", 7, [{"errorCode": None}], {"error": "x"}]
)
def test_a_refusal_of_another_shape_is_left_to_its_status(body: Any) -> None:
    assert judge(Answer(400, {}, body)) is None


def test_a_hidden_field_is_named_and_the_query_is_not_repeated() -> None:
    error = refused(
        400,
        "INVALID_FIELD",
        "\nSELECT Amount FROM Opportunity\n ^\nNo such column 'Amount' on entity 'Opportunity'. If you",
    )
    assert isinstance(error, FieldHidden)
    assert (error.field, "Opportunity.Amount" in str(error), "SELECT" in str(error)) == (
        "Amount",
        True,
        False,
    )
    error = refused(400, "INVALID_FIELD", "Didn't understand relationship 'Account' in field path. If you")
    assert isinstance(error, FieldHidden)
    assert error.field == "Account"


# --- logins ------------------------------------------------------------------------------------------------------------------


async def logged_in(answer: Answer, **options: str) -> tuple[Any, list[tuple[str, str, bytes | None]]]:
    sent: list[tuple[str, str, bytes | None]] = []

    async def send(method: str, where: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        sent.append((method, where, body))
        return answer

    log_in = client_credentials("https://acme.my.salesforce.com/", "id&", "se=cret", **options)
    return await log_in(send), sent


@pytest.mark.anyio
async def test_a_login_sends_the_client_s_credentials_and_says_who_we_are() -> None:
    body = {
        "access_token": "00D!AQ",
        "instance_url": "https://acme.my.salesforce.com/",
        "id": "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
    }
    session, sent = await logged_in(Answer(200, {}, body))
    assert (session.token, session.user, session.link) == (
        "00D!AQ",
        "005000000000001AAA",
        "https://acme.my.salesforce.com",
    )
    assert sent == [
        (
            "POST",
            "https://acme.my.salesforce.com/services/oauth2/token",
            b"grant_type=client_credentials&client_id=id%26&client_secret=se%3Dcret",
        )
    ]
    _, sent = await logged_in(
        Answer(200, {}, {"access_token": "x"}), token_url="https://gate.example.com/token"
    )
    assert sent[0][1] == "https://gate.example.com/token"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (Answer(400, {}, {"error": "invalid_client_id"}), "FULLSTEAM_SALESFORCE_CLIENT_ID"),
        (
            Answer(400, {}, {"error": "invalid_client", "error_description": "x"}),
            "FULLSTEAM_SALESFORCE_CLIENT_SECRET",
        ),
        (
            Answer(
                400, {}, {"error": "invalid_grant", "error_description": "no client credentials user enabled"}
            ),
            "Run As",
        ),
        (Answer(400, {}, {"error": "unsupported_grant_type"}), "client credentials flow"),
        (Answer(400, {}, {}), "external client app"),
        (Answer(200, {}, {"token": "?"}), "no login at this address .* FULLSTEAM_SALESFORCE_URL"),
        (Answer(200, {}, []), "no login at this address .* FULLSTEAM_SALESFORCE_URL"),
        (
            Answer(302, {"location": "https://new.example.com/?t=se=cret"}, None, is_json=False),
            "sends us to new.example.com .*FULLSTEAM_SALESFORCE_URL",
        ),
        (Answer(404, {}, None, is_json=False), "FULLSTEAM_SALESFORCE_URL"),
    ],
)
async def test_a_rejected_login_says_what_to_change(answer: Answer, advice: str) -> None:
    with pytest.raises(SessionRefused, match=advice) as thrown:
        await logged_in(answer)
    assert "se=cret" not in str(thrown.value)


# --- pages and rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [None, [], {}, {"records": None}, {"records": {}}, {"records": [], "done": False}]
)
def test_an_answer_without_records_or_without_its_next_page_is_none(body: Any) -> None:
    with pytest.raises(Retryable):
        records_of(Answer(200, {}, body))


def test_a_page_names_the_next_until_it_is_done() -> None:
    assert records_of(
        Answer(200, {}, {"records": [{"n": 1}], "done": False, "nextRecordsUrl": "/services/x"})
    ) == (
        [{"n": 1}],
        "/services/x",
    )
    assert (
        records_of(Answer(200, {}, {"records": [], "done": True, "nextRecordsUrl": "/services/x"}))[1] == ""
    )


GOOD = {
    "d": "2026-11-20",
    "n": 1,
    "CloseDate": "2026-11-20",
    "IsWon": True,
    "amt": None,
    "next_steps": 1,
    "amounts": 1,
    "accounts": 0,
    "begun": "2026-11-01",
    "MetricsDate": "2026-11-20",
    "AppExperience": "Salesforce Mobile",
}


@pytest.mark.parametrize(
    "question",
    [
        *EVENTS,
        *(other for question in EVENTS for other in (*question.parts, *question.simpler)),
        *(late for question in EVENTS for other in question.simpler for late in other.also),
        MOBILE,
        *STATES,
        *FEATURES.values(),
        pipeline(REQUIRED),
        lacking(REQUIRED),
    ],
    ids=lambda q: f"{q.metrics[0]} {q.group.partition(',')[2]}",
)
def test_a_group_is_read_or_refused_and_never_taken_for_zero(question: Question) -> None:
    shown = set(re.findall(r"\w+", question.select))
    good = {key: value for key, value in GOOD.items() if key in shown}
    assert question.read(good)
    told = set(question.columns[1:]) & {"d", "CloseDate", "MetricsDate", "begun"}
    if " n" in question.select and not question.entity.startswith("LightningUsageByPage"):
        told.add("n")
    either = {"d", "CloseDate"} <= told  # the close date is read where there is no day of a change of stage
    wrongs: list[Any] = [None, "x", True, "2026-31-12", [], {}]
    for key in told:
        for wrong in wrongs:
            if either and (key, wrong) == ("d", None):
                assert question.read(good | {"d": None})
                continue
            spoilt = good | {key: wrong} | ({"d": None} if either and key == "CloseDate" else {})
            with pytest.raises(ValueError, match=r"is no (day|number)"):
                question.read(spoilt)


def test_an_id_of_15_is_that_of_18_as_salesforce_makes_it() -> None:
    for identity in ("005000000000001", "0065e00000AbCdE", "0015EZZZZZzzzzz"):
        assert full_id(identity) == records.full_id(identity)
    assert full_id("005000000000001AAA") == "005000000000001AAA"
    assert [
        is_id(text)
        for text in ("005000000000001", "005000000000001AAA", "0050", "005' OR 'a'='a xx", None, 7)
    ] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("metric", "row", "flawed"),
    [
        ("opps_past_close", {"CloseDate": "2026-11-19"}, True),
        ("opps_past_close", {"CloseDate": "2026-11-20"}, False),
        ("opps_past_close", {"CloseDate": None}, False),
        ("opps_no_next_step", {"CreatedDate": "2026-11-13T23:59:59.000+0000"}, True),
        ("opps_no_next_step", {"CreatedDate": "2026-11-14T00:00:00.000+0000"}, False),
        ("opps_no_next_step", {"CreatedDate": "2026-01-01", "NextStep": "Call"}, False),
        ("opps_missing_amount", {"CreatedDate": "2026-01-01", "Amount": 0}, False),
        ("opps_no_activity_30d", {"CreatedDate": "2026-01-01", "LastActivityDate": "2026-10-21"}, True),
        ("opps_no_activity_30d", {"CreatedDate": "2026-01-01", "LastActivityDate": "2026-10-22"}, False),
        ("opps_no_activity_30d", {"CreatedDate": "2026-10-21T10:00:00.000+0000"}, True),
        (
            "opps_stuck_step",
            {"CreatedDate": "2026-01-01", "LastStageChangeDate": "2026-09-21T23:00:00.000+0000"},
            True,
        ),
        (
            "opps_stuck_step",
            {"CreatedDate": "2026-01-01", "LastStageChangeDate": "2026-09-22T00:00:00.000+0000"},
            False,
        ),
        ("opps_open", {}, True),
    ],
)
def test_a_flaw_begins_on_its_day(metric: str, row: dict[str, Any], flawed: bool) -> None:
    assert is_flawed(metric, deal_of({"Id": "006", **row}), TODAY) is flawed


def test_a_user_row_that_cannot_be_read_is_named_and_the_others_are_kept() -> None:
    rows: list[dict[str, Any]] = [
        {"Id": "0050", "Name": "Short"},
        {"Id": "005000000000001AAA", "Name": None},
        {"Name": "Nobody"},
        {"Id": "005000000000002AAA", "Name": "Ada", "IsActive": True, "Profile": None, "CreatedDate": "?"},
        {"Id": "005000000000002AAA", "Name": "Ada again", "IsActive": True},
    ]
    roster = read_users(rows, frozenset(), me="", through=TODAY)
    assert [user.name for user in roster.users] == ["Ada"]
    assert [fault.row for fault in roster.faults] == [1, 2, 3]
    assert all(fault.dropped for fault in roster.faults)


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        *(("de_DE", "de-DE"), ("de_DE_EURO", "de-DE"), ("fr", "fr"), ("zh_Hant_TW", "zh-TW")),
        *(("es_419", "es"), ("", None), ("xx-", None), ("1", None)),
    ],
)
def test_people_are_written_to_in_the_language_of_their_locale(locale: str, language: str | None) -> None:
    assert language_of(locale) == language
