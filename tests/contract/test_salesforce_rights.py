"""What Salesforce's integration user may see: whose records, which fields of people, and which people count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.connectors.http import Answer, SessionRefused
from bot.connectors.refusals import Denied, FieldHidden
from bot.connectors.rehearsal import Rehearsal
from bot.connectors.salesforce.answers import client_credentials, judge
from bot.connectors.salesforce.connector import blank
from bot.connectors.salesforce.queries import READ
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import METRICS, Collected, CoverageStatus, Window
from tests.contract.test_salesforce import lived, people_of, recounted, told
from tests.contract.test_salesforce_polls import KEY, by_key, pem
from tests.orgs import FRIDAY, Org, collected, coverage_of

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
OK, DENIED, PARTIAL = CoverageStatus.OK, CoverageStatus.DENIED, CoverageStatus.PARTIAL
SETS = ("0PS000000000001AAA", "0PS000000000002AAA")
OBJECTS = ("Account", "Case", "Contact", "Lead", "Opportunity")
CHECKED = "FROM PermissionSetAssignment"


@pytest.fixture
def org() -> Org:
    return Org(sees_all=False)


def assigned(org: Org, *, everything: bool) -> None:
    rows = [
        {"AssigneeId": org.me, "PermissionSetId": each, "ViewAllData": everything and each == SETS[1]}
        for each in SETS
    ]
    org.crm.insert("PermissionSetAssignment", rows)


def permitted(org: Org, which: str, objects: Sequence[str], *, everything: bool) -> None:
    rows = [
        {
            "ParentId": which,
            "SobjectType": each,
            "PermissionsRead": True,
            "PermissionsViewAllRecords": everything,
        }
        for each in objects
    ]
    org.crm.insert("ObjectPermissions", rows)


def answering(org: Org, words: str, body: Any) -> None:
    """Whatever is asked with these words is answered like this."""

    def rewrite(asked: str, given: bytes) -> bytes:
        return json.dumps(body).encode() if words in asked else given

    org.line.rewrite = rewrite


def asked(org: Org, words: str) -> int:
    return sum(words in each for each in org.line.asked)


# --- whose records are seen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", OBJECTS)
async def test_an_object_that_is_read_but_not_everybodys_is_denied_with_its_history(
    org: Org, entity: str
) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=False)
    permitted(org, SETS[0], OBJECTS, everything=False)
    permitted(org, SETS[1], [each for each in OBJECTS if each != entity], everything=True)
    permitted(org, "0PS000000000009AAA", OBJECTS, everything=True)  # somebody else's
    parts = await collected(org.connector(), WEEK, ALL)
    coverage = coverage_of(parts)
    name = entity.lower()
    denied = {f"records_created.{name}", f"records_updated.{name}"}
    if entity == "Opportunity":
        denied |= {metric for metric in READ if metric.startswith(("opps_", "won", "lost"))}
        denied |= {"pipeline_amount", "field_completeness", "cycle_days", "step_moves", "close_date_pushes"}
    for metric in denied:
        status, why = coverage[metric, TODAY]
        assert (status, "View All" in why, entity in why) == (DENIED, True, True), metric
    others = {f"records_created.{each.lower()}" for each in OBJECTS} - denied
    assert {coverage[metric, TODAY][0] for metric in others} == {OK}
    assert not {metric for _, _, metric in told(parts)} & denied
    assert asked(org, "FROM ObjectPermissions") == 1
    assert not [fault for part in parts for fault in part.faults]


async def test_whoever_sees_everybodys_records_of_each_object_reads_them(org: Org) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=False)
    permitted(org, SETS[0], OBJECTS, everything=False)
    permitted(org, SETS[1], OBJECTS, everything=True)
    coverage = coverage_of(await collected(org.connector(), WEEK, ALL))
    assert coverage["opps_open", TODAY][0] is OK
    assert coverage["tasks_overdue", TODAY][0] is DENIED


async def test_view_all_data_is_enough_and_asked_once_a_day(org: Org) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=True)
    connector = org.connector()
    for _ in range(3):
        assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)
    assert (asked(org, CHECKED), asked(org, "FROM ObjectPermissions")) == (1, 0)


# --- rights that are not known -----------------------------------------------------------------------------------------------

GOVERNED = READ - {metric for metric in READ if metric == "active_day" or metric.startswith("feature_use.")}
NO_WORD = [
    {"totalSize": 0, "done": True, "records": []},
    {"totalSize": 1, "done": True, "records": [{"PermissionSet": None}]},
    {"totalSize": 1, "done": True, "records": [{"PermissionSet": {"PermissionsViewAllData": "no"}}]},
]


def words_of(parts: list[Collected], metrics: Iterable[str]) -> set[CoverageStatus]:
    coverage = coverage_of(parts)
    return {coverage[metric, TODAY][0] for metric in metrics}


def faults_of(parts: list[Collected]) -> list[str]:
    return [str(fault) for part in parts for fault in part.faults if "could not be checked" in str(fault)]


def only_own_records(org: Org) -> None:
    assigned(org, everything=False)
    permitted(org, SETS[0], OBJECTS, everything=False)


@pytest.mark.parametrize("said", NO_WORD)
async def test_an_answer_that_says_nothing_of_our_rights_makes_no_number_that_may_be_read(
    org: Org, said: Any
) -> None:
    lived(org, people_of(org, 2))
    only_own_records(org)
    connector = org.connector()
    answering(org, CHECKED, said)
    parts = await collected(connector, WEEK, ALL)
    coverage = coverage_of(parts)
    for day in (WEEK.since, TODAY):
        read = {metric for metric in GOVERNED if METRICS[metric].kind != "snapshot" or day == TODAY}
        assert not {metric for metric in read if coverage[metric, day][0] in (OK, CoverageStatus.ERROR)}
    assert words_of(parts, ["opps_open", "won_count", "step_moves", "tasks_overdue"]) == {PARTIAL}
    assert words_of(parts, ["active_day"]) == {OK}
    _, why = coverage["opps_open", TODAY]
    assert "View Setup and Configuration" in why
    assert "FULLSTEAM_SALESFORCE_SEES_ALL=yes" in why
    (fault,) = faults_of(parts)
    assert why in fault
    org.line.rewrite = None
    parts = await collected(connector, WEEK, ALL)
    assert words_of(parts, ["opps_open", "tasks_overdue"]) == {DENIED}
    assert not faults_of(parts)


@pytest.mark.parametrize("missing", ["PermissionSetAssignment", "ObjectPermissions"])
async def test_a_server_without_permission_sets_is_read_where_the_settings_say_that_it_shows_everything(
    org: Org, missing: str
) -> None:
    lived(org, people_of(org, 2))
    org.crm.rights.denied.add(missing)
    if missing == "PermissionSetAssignment":
        probe = await org.connector().probe()
        assert probe.ok
        assert "FULLSTEAM_SALESFORCE_SEES_ALL=yes" in probe.advice
        assert {row.status for row in probe.metrics if row.metric == "opps_open"} == {PARTIAL}
    believed = await collected(org.connector(sees_all="yes"), WEEK, ALL)
    assert told(believed) == recounted(org, WEEK)
    assert words_of(believed, ["opps_open", "tasks_overdue"]) == {OK}
    assert not faults_of(believed)


async def test_what_salesforce_says_of_our_rights_counts_before_the_settings(org: Org) -> None:
    lived(org, people_of(org, 2))
    only_own_records(org)
    parts = await collected(org.connector(sees_all="yes"), WEEK, ALL)
    assert words_of(parts, ["opps_open", "tasks_overdue"]) == {DENIED}


@pytest.mark.parametrize(("everything", "words"), [(True, {OK}), (False, {PARTIAL})])
async def test_where_permission_sets_are_not_shown_salesforce_may_say_what_whoever_asks_may(
    org: Org, everything: bool, words: set[CoverageStatus]
) -> None:
    lived(org, people_of(org, 2))
    org.crm.rights.denied.add("PermissionSetAssignment")
    said = {"totalSize": 1, "done": True, "records": [{"PermissionsViewAllData": everything}]}
    instead(
        org, lambda query: httpx.Response(200, json=said) if "FROM UserPermissionAccess" in query else None
    )
    parts = await collected(org.connector(), WEEK, ALL)
    assert words_of(parts, ["opps_open", "records_created.lead"]) == words
    assert words_of(parts, ["tasks_overdue"]) == ({OK} if everything else {DENIED})


@pytest.mark.parametrize("kind", ["crm_503_html", "crm_timeout"])
async def test_while_our_rights_cannot_be_asked_for_nothing_that_they_govern_is_read_or_asked(
    org: Org, kind: str
) -> None:
    lived(org, people_of(org, 2))
    only_own_records(org)
    connector = org.connector()
    org.trouble(kind, "PermissionSetAssignment", count=1)
    parts = await collected(connector, WEEK, ALL)
    assert words_of(parts, GOVERNED) == {CoverageStatus.ERROR}
    assert words_of(parts, ["active_day"]) == {OK}
    assert not {metric for _, _, metric in told(parts)} & GOVERNED
    assert not asked(org, "FROM Opportunity ")
    assert "asked again at the next poll" in coverage_of(parts)["won_count", WEEK.since][1]
    assert len(faults_of(parts)) == 1
    parts = await collected(connector, WEEK, ALL)
    assert words_of(parts, ["opps_open", "tasks_overdue"]) == {DENIED}


async def test_rights_that_were_known_hold_for_a_day_at_most(org: Org) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=True)
    connector = org.connector()
    await collected(connector, WEEK, ALL)
    org.trouble("crm_503_html", "PermissionSetAssignment", count=2)
    for hours, word in ((13, OK), (25, CoverageStatus.ERROR), (26, OK)):
        org.clock.move_to(FRIDAY + timedelta(hours=hours))
        tomorrow = org.clock.now().date()
        parts = await collected(connector, Window(tomorrow, tomorrow), ALL)
        assert coverage_of(parts)["opps_open", tomorrow][0] is word, hours
        assert len(faults_of(parts)) == (hours < 26)
    assert asked(org, CHECKED) == 4


async def test_a_right_that_is_taken_away_counts_before_the_rights_that_were_known(org: Org) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=True)
    connector = org.connector()
    await collected(connector, WEEK, ALL)
    none = {"totalSize": 1, "done": True, "records": [{"PermissionSet": {"PermissionsViewAllData": False}}]}
    answering(org, CHECKED, none)
    org.clock.move_to(FRIDAY + timedelta(hours=13))
    tomorrow = org.clock.now().date()
    coverage = coverage_of(await collected(connector, Window(tomorrow, tomorrow), ALL))
    assert (coverage["opps_open", tomorrow][0], coverage["tasks_overdue", tomorrow][0]) == (PARTIAL, DENIED)


async def test_where_object_permissions_are_not_known_records_are_a_part_and_doctor_says_so(org: Org) -> None:
    lived(org, people_of(org, 2))
    assigned(org, everything=False)
    org.crm.rights.denied.add("ObjectPermissions")
    probe = await org.connector().probe()
    assert probe.ok
    assert "could not be checked" in probe.advice
    said = {row.metric: row.status for row in probe.metrics}
    assert (said["opps_open"], said["tasks_overdue"]) == (PARTIAL, DENIED)


async def test_a_rehearsal_shows_what_is_asked_of_our_rights_and_everything_else() -> None:
    rehearsal = Rehearsal(blank)
    org = Org()
    await collected(org.connector(transport=rehearsal), Window(TODAY, TODAY), ALL)
    queries = [each.query.get("q", "") for each in rehearsal.asked]
    for words in (CHECKED, "FROM ObjectPermissions", "FROM Task", "FROM Opportunity "):
        assert any(words in each for each in queries), words


# --- fields of people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("FederationIdentifier", {"FederationIdentifier"}),
        ("ManagerId", {"ManagerId"}),
        ("TimeZoneSidKey", {"TimeZoneSidKey"}),
        ("LocaleSidKey", {"LocaleSidKey"}),
        ("Email", {"Email"}),
        ("CreatedDate", {"CreatedDate"}),
    ],
)
async def test_a_hidden_field_of_people_costs_that_field_only(org: Org, field: str, named: set[str]) -> None:
    people = people_of(org, 2)
    org.crm.rights.hidden.add(("User", field))
    connector = org.connector()
    users, faults = await connector.users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    assert {fault.field for fault in faults} == named
    assert not any(fault.dropped for fault in faults)
    before = asked(org, "FROM User ")
    _, again = await connector.users(TODAY)
    assert again == faults
    assert asked(org, "FROM User ") == before + 1, "what is hidden is not asked for again"


@pytest.mark.parametrize("field", ["Name", "IsActive"])
async def test_without_a_field_that_is_needed_nobody_is_read_and_the_field_is_named(
    org: Org, field: str
) -> None:
    people_of(org, 1)
    org.crm.rights.hidden.add(("User", field))
    with pytest.raises(FieldHidden, match=rf"User\.{field} .*read access"):
        await org.connector().users(TODAY)


@pytest.mark.parametrize(
    ("message", "gone"),
    [
        ("Didn't understand relationship 'UserRole' in field path.", {"UserRole.Name"}),
        (
            "Didn't understand relationship 'Profile' in field path.",
            {"Profile.Name", "Profile.UserLicense.Name"},
        ),
        ("No such column 'Name' on entity 'UserRole'.", {"UserRole.Name"}),
        ("No such column 'Title' on entity 'User'.", {"Title"}),
    ],
)
async def test_a_server_that_does_not_know_a_field_of_people_is_asked_without_it(
    org: Org, message: str, gone: set[str]
) -> None:
    people = people_of(org, 1)
    refusing(org, message, lambda query: any(each in query for each in gone))
    users, faults = await org.connector(together=1).users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    assert {fault.field for fault in faults} == gone


async def test_a_server_that_does_not_say_which_field_it_does_not_know_is_asked_for_the_bare_ones(
    org: Org,
) -> None:
    people = people_of(org, 1)
    refusing(org, "unknown field", lambda query: "LocaleSidKey" in query)
    users, faults = await org.connector(together=1).users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    assert {"LocaleSidKey", "ManagerId"} <= {fault.field for fault in faults}


def refusing(org: Org, message: str, is_refused: Callable[[str], bool]) -> None:
    """Queries of users like these are refused."""
    refusal = httpx.Response(400, json=[{"errorCode": "INVALID_FIELD", "message": message}])
    instead(org, lambda query: refusal if "FROM User " in query and is_refused(query) else None)


def instead(org: Org, answer: Callable[[str], httpx.Response | None]) -> None:
    """What is answered to a query or path in place of the org's own answer; None: its own."""
    inner = org.line.handle_async_request

    async def handle(request: httpx.Request) -> httpx.Response:
        response = await inner(request)
        given = answer(org.line.asked[-1])
        return response if given is None else httpx.Response(given.status_code, content=given.content)

    org.line.handle_async_request = handle  # type: ignore[method-assign]  # the line itself, of this org only


# --- frozen users --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["crm_503_html", "crm_denied", "crm_forbidden", "crm_timeout", "crm_truncated"]
)
async def test_frozen_users_that_cannot_be_read_cost_nothing_else(org: Org, kind: str) -> None:
    people = people_of(org, 2)
    org.trouble(kind, "UserLogin")
    users, faults = await org.connector().users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    assert ["frozen users are not known" in str(fault) for fault in faults] == [True]


async def test_throttling_is_not_taken_for_frozen_users_that_are_not_known(org: Org) -> None:
    people_of(org, 1)
    org.trouble("crm_request_limit", "UserLogin")
    with pytest.raises(Throttled):
        await org.connector().users(TODAY)


# --- licences ------------------------------------------------------------------------------------------------------------------


async def test_licences_that_are_left_out_are_named_with_how_many_have_them(org: Org) -> None:
    people = people_of(org, 1)
    for number in range(3):
        org.user(f"Platform {number}", LicenseName="Salesforce Platform")
    org.user("Gone", LicenseName="Salesforce Platform", IsActive=False)
    org.user("Sales", LicenseName="Sales Cloud")
    connector = org.connector()
    users, faults = await connector.users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    first, second = sorted(str(fault) for fault in faults)
    assert "1 active user has the licence 'Sales Cloud'" in first
    assert "3 active users have the licence 'Salesforce Platform'" in second
    assert "FULLSTEAM_SALESFORCE_LICENCES" in (await connector.probe()).advice
    (everybody, none) = await org.connector(licences="salesforce, Sales Cloud, Salesforce Platform").users(
        TODAY
    )
    assert (len(everybody), none) == (len(people) + 4, ())


async def test_an_org_without_the_licence_says_which_setting_to_change(org: Org) -> None:
    org.user("Jonas Weber", LicenseName="Sales Cloud")
    with pytest.raises(
        Permanent, match=r"FULLSTEAM_SALESFORCE_LICENCES \(Salesforce\).*set it to .*Sales Cloud"
    ):
        await org.connector().users(TODAY)
    probe = await org.connector(licences="Foo").probe()
    assert (probe.ok, "nobody is listed" in probe.advice) == (False, True)


# --- who we are ----------------------------------------------------------------------------------------------------------------


def without_id(org: Org) -> None:
    def rewrite(asked: str, body: bytes) -> bytes:
        if not asked.endswith("/oauth2/token"):
            return body
        return json.dumps({key: value for key, value in json.loads(body).items() if key != "id"}).encode()

    org.line.rewrite = rewrite


async def test_our_own_user_is_nobody_also_where_only_the_user_name_is_known(
    org: Org, tmp_path: Path
) -> None:
    people = people_of(org, 1)
    me = org.user("Bot", Username="Bot@Example.com")
    key_file = tmp_path / "app.key"
    key_file.write_bytes(pem(KEY))
    connector = by_key(org, key_file)
    without_id(org)
    users, _ = await connector.users(TODAY)
    assert {user.crm_id for user in users} == set(people)
    assert (await connector.people.known(TODAY)).me == me


async def test_our_own_user_is_nobody_also_where_only_userinfo_says_who_we_are(org: Org) -> None:
    people = people_of(org, 1)
    me = org.user("Bot")
    without_id(org)
    said = httpx.Response(200, json={"user_id": me})
    instead(org, lambda path: said if path.endswith("/oauth2/userinfo") else None)
    users, _ = await org.connector().users(TODAY)
    assert {user.crm_id for user in users} == set(people)


@pytest.mark.parametrize(
    ("status", "body", "user"),
    [
        (200, {"user_id": "005000000000007AAA"}, "005000000000007AAA"),
        (200, {"user_id": "' OR 1"}, ""),
        (200, ["nonsense"], ""),
        (404, None, ""),
        (403, {"error": "Bad_Id"}, ""),
        (None, None, ""),
    ],
)
async def test_a_login_that_does_not_say_who_we_are_is_asked_once(
    status: int | None, body: Any, user: str
) -> None:
    sent: list[tuple[str, str]] = []

    async def send(method: str, where: str, headers: Any, _content: bytes | None) -> Answer:
        sent.append((method, where))
        if method == "POST":
            return Answer(200, {}, {"access_token": "t0", "id": "nobody"})
        assert headers["Authorization"] == "Bearer t0"
        if status is None:
            raise Retryable("nobody there")
        return Answer(status, {}, body)

    session = await client_credentials("https://acme.my.salesforce.com", "id", "secret")(send)
    assert (session.token, session.user) == ("t0", user)
    assert sent[1:] == [("GET", "https://acme.my.salesforce.com/services/oauth2/userinfo")]


# --- an address that is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {"message": "blocked"}, "Forbidden", []])
def test_a_403_that_is_none_of_salesforces_own_is_no_missing_right(body: Any) -> None:
    error = judge(Answer(403, {}, body, is_json=body is not None))
    assert isinstance(error, Permanent)
    assert not isinstance(error, Denied | SessionRefused)
    assert "FULLSTEAM_SALESFORCE_URL" in str(error)
    assert "IP restrictions" in str(error)
    assert "\n" not in str(error)
