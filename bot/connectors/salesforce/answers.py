"""What Salesforce's answers mean: refusals, limits, logins, pages (reference: docs/connectors/salesforce.md).

Sources: REST API Developer Guide (Status Codes and Error Responses, Limit Info Header, Query); Salesforce Help (OAuth 2.0
Client Credentials Flow, OAuth 2.0 JWT Bearer Flow).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.connectors.http import Advice, Answer, Budget, LogIn, Send, Session, SessionRefused, elsewhere
from bot.connectors.refusals import Denied, FieldHidden, TooSlow
from bot.connectors.salesforce.queries import Row
from bot.connectors.salesforce.rows import is_id
from bot.domain.errors import FullsteamError, Permanent, Retryable, Throttled

_LIMIT_INFO = re.compile(r"\bapi-usage\s*=\s*(\d+)\s*/\s*(\d+)")
_NO_COLUMN = re.compile(r"No such column '(?P<field>[^']+)' on entity '(?P<entity>[^']+)'")
_NO_RELATION = re.compile(r"Didn't understand relationship '(?P<field>[^']+)' in field path")
_STALE_SESSIONS = ("not valid for use with the REST API", "Connected app is not attached to Agent")
"""401s that a new login does not heal (jsforce, src/http-api.ts)."""
_TRACK = (
    "turn on field history tracking for {0}, and give the integration user Read and View All Records on {1} and read access to"
    " the tracked fields"
)
_GRANTS = {
    "AccountHistory": _TRACK.format("accounts", "Account"),
    "ContactHistory": _TRACK.format("contacts", "Contact"),
    "LeadHistory": _TRACK.format("leads", "Lead"),
    "CaseHistory": _TRACK.format("cases", "Case"),
    "Task": 'give the integration user the permissions "Access Activities" and "View All Data" (to read Task)',
    "Event": 'give the integration user the permissions "Access Activities" and "View All Data" (to read Event)',
    "LoginHistory": 'give the integration user the permission "Monitor Login History"',
    "OpportunityFieldHistory": "turn on field history tracking for opportunities (Stage, Close Date, Next Step, Amount), and"
    ' give the integration user "View All Records" on Opportunity',
    "UserLogin": 'give the integration user the permission "Manage Users", or live with frozen users being taken for active',
}


NOT_HERE: Mapping[str, str] = {
    "ForecastingQuota": "the org has no forecasts with quotas, or the integration user may not see them:"
    ' enable quotas in the forecast settings and give it the permission "View All Forecasts"',
    "LightningUsageByPageMetrics": "the Lightning Usage App is not in this org: sandboxes have none",
    "LightningUsageByAppTypeMetrics": "the Lightning Usage App is not in this org: sandboxes have none",
}
"""Objects that many an org has not: the metrics that need them are ``unsupported`` there."""


def grant(entity: str) -> str:
    """What an admin has to change so that an object can be read."""
    return _GRANTS.get(entity, f'give the integration user "View All Records" on {entity}')


class LocatorGone(Retryable):
    """The cursor of a paged query was dropped: the query starts again."""


def api_used(headers: Mapping[str, str]) -> Budget | None:
    """What is used of the daily calls by ``Sforce-Limit-Info``, whatever parts stand beside it.

    ``api-usage=10018/100000; api-bursts=1/750``, ``api-usage=25/5000; per-app-api-usage=17/250(appName=x)``.
    """
    for part in re.split("[;,]", headers.get("sforce-limit-info", "")):
        if part.strip().startswith("api-usage") and (said := _LIMIT_INFO.search(part)):
            return Budget(int(said[1]), int(said[2])) if int(said[2]) else None
    return None


def judge(answer: Answer) -> FullsteamError | None:
    """What a refusal means. The texts are ours: Salesforce's repeat the query.

    Source: REST API Developer Guide, Status Codes and Error Responses.
    """
    errors = answer.body if isinstance(answer.body, list) else [answer.body]
    first = errors[0] if errors and isinstance(errors[0], Mapping) else {}
    code, message = str(first.get("errorCode") or ""), str(first.get("message") or "")
    if answer.status == 401:
        if any(said in message for said in _STALE_SESSIONS):
            return SessionRefused(
                "Salesforce refuses this kind of session for its REST API: check the OAuth policies of the external client app",
                code="unauthorised",
            )
        return None
    match code:
        case "QUERY_TIMEOUT":
            return TooSlow(
                "Salesforce gave up on a query that took too long: it is tried again at the next poll",
                code="query-timeout",
            )
        case "REQUEST_LIMIT_EXCEEDED" if "Concurrent" not in message:  # of those, one waits a moment
            return Throttled(
                "Salesforce's API calls of the last 24 hours are used up, by everything that asks this org:"
                " it is tried again from hour to hour",
                code="throttled",
                after=timedelta(hours=1),
            )
        case "INVALID_QUERY_LOCATOR":
            return LocatorGone("Salesforce dropped the cursor of a query", code="locator-gone")
        case "INVALID_FIELD":
            found = _NO_COLUMN.search(message) or _NO_RELATION.search(message)
            if found:
                entity = found.groupdict().get("entity") or "related object"
                return FieldHidden(found["field"], entity)
            return Permanent("Salesforce does not allow a field to be used like this", code="invalid-field")
        case "TXN_SECURITY_METERING_ERROR":
            return Denied(
                'give the integration user the permission "Exempt from Transaction Security"',
                code="transaction-security",
            )
        case "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED":
            return Denied(
                "the API is not enabled: enable it for the org, and for the integration user",
                code="api-disabled",
            )
        case "INVALID_TYPE" | "FUNCTIONALITY_NOT_ENABLED":
            return Denied("", code="denied")
        case "MALFORMED_QUERY":
            return Permanent(
                "Salesforce does not understand a query: check FULLSTEAM_SALESFORCE_API_VERSION",
                code="malformed",
            )
    if answer.status == 403 and not code:
        return Permanent(
            "this address is refused, and not by Salesforce's API: check FULLSTEAM_SALESFORCE_URL, what stands between, and"
            " the IP restrictions of the integration user's profile and of the external client app",
            code="address-refused",
        )
    if code.startswith("INSUFFICIENT_ACCESS") or (answer.status == 403 and code != "REQUEST_LIMIT_EXCEEDED"):
        return Denied("", code="denied")
    if "security evaluation for non-admin users" in message:
        return Denied("", code="denied")
    return None


def client_credentials(url: str, client_id: str, client_secret: str, token_url: str = "") -> LogIn:
    """OAuth 2.0 client credentials flow (Salesforce Help, "OAuth 2.0 Client Credentials Flow")."""
    where, setting = _login_at(url, token_url)
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }

    async def log_in(send: Send) -> Session:
        session = _session(await _post(send, where, body), url, setting, _advice_on_secret)
        return await _known(send, session, where)

    return log_in


ASSERTION_LIFE = timedelta(minutes=3)
"""Salesforce takes assertions that end within minutes (Salesforce Help, "OAuth 2.0 JWT Bearer Flow")."""


def jwt_bearer(
    url: str,
    client_id: str,
    username: str,
    key_file: Path,
    *,
    audience: str = "",
    token_url: str = "",
    now: Callable[[], datetime],
) -> LogIn:
    """OAuth 2.0 JWT bearer flow (Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration").

    ``now``: the server's time as far as it is known. The first login learns it: an assertion that is over by the server's
    clock is made once more.
    """
    where, setting = _login_at(url, token_url)
    meant_for = audience or (
        "https://test.salesforce.com" if ".sandbox." in url else "https://login.salesforce.com"
    )

    async def ask(send: Send, key: RSAPrivateKey) -> Answer:
        claims = {"iss": client_id, "sub": username, "aud": meant_for, "exp": now() + ASSERTION_LIFE}
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(claims, key, algorithm="RS256"),
        }
        return await _post(send, where, body)

    async def log_in(send: Send) -> Session:
        key = read_key(key_file)
        answer = await ask(send, key)
        if answer.status >= 400 and "expired" in _described(answer):
            answer = await ask(send, key)
        return await _known(send, _session(answer, url, setting, _advice_on_key), where)

    return log_in


def read_key(path: Path) -> RSAPrivateKey:
    """The private key in a file. Raises SessionRefused in one line."""
    name = "FULLSTEAM_SALESFORCE_PRIVATE_KEY_FILE"
    asked = "set it to the private RSA key (PEM) of the app's certificate"
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SessionRefused(f"{name} cannot be read: {asked}", code="key-file") from error
    except TypeError as error:  # a key with a password, and none given
        raise SessionRefused(
            f"{name} has a password: decrypt it (openssl rsa), and protect it by its rights",
            code="key-file",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SessionRefused(f"{name} holds no private key: {asked}", code="key-file") from error
    if not isinstance(key, RSAPrivateKey):
        raise SessionRefused(f"{name} holds no RSA key: {asked}", code="key-file")
    return key


def _login_at(url: str, token_url: str) -> tuple[str, str]:
    """Where to log in, and the variable that says so."""
    if token_url:
        return token_url, "FULLSTEAM_SALESFORCE_TOKEN_URL"
    return f"{url.rstrip('/')}/services/oauth2/token", "FULLSTEAM_SALESFORCE_URL"


def advice_of(url: str, token_url: str) -> Advice:
    """What to look at when something is wrong with an org."""
    where, setting = _login_at(url, token_url)
    return Advice(
        version="FULLSTEAM_SALESFORCE_API_VERSION",
        log_in=setting,
        log_in_at=where,
        refused="check the session and OAuth policies of the external client app, and FULLSTEAM_SALESFORCE_URL",
    )


async def _post(send: Send, where: str, body: Mapping[str, str]) -> Answer:
    return await send(
        "POST", where, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(body).encode()
    )


def _described(answer: Answer) -> str:
    said = answer.body if isinstance(answer.body, dict) else {}
    return str(said.get("error_description") or "").casefold()


def _session(answer: Answer, url: str, setting: str, advise: Callable[[str, str], str]) -> Session:
    """The session that a login gave. ``setting``: what says where to log in. Raises SessionRefused with what to do."""
    said = answer.body if isinstance(answer.body, dict) else {}
    token = said.get("access_token")
    if answer.status == 200 and isinstance(token, str) and token:
        link = str(said.get("instance_url") or url).rstrip("/")
        who = str(said.get("id") or "").rpartition("/")[2]
        return Session(token, who if is_id(who) else "", link)
    if 300 <= answer.status < 400:
        raise SessionRefused(elsewhere(answer, setting), code="redirected")
    if not answer.is_json or (answer.status < 300 and not said.get("error")):
        raise SessionRefused(
            f"there is no login at this address (it answered {answer.status}): check {setting}",
            code="wrong-address",
        )
    code = re.sub(r"[^a-z_]", "", str(said.get("error") or ""))[:40]
    raise SessionRefused(
        f"Salesforce rejects the login ({code or answer.status}): {advise(code, _described(answer))}",
        code="login-rejected",
    )


async def _known(send: Send, session: Session, where: str) -> Session:
    """The session with who we are, asked for where the login does not say so; not every server knows that question.

    Source: Salesforce Help, "The UserInfo Endpoint". ``where``: the address of the login, beside which it is.
    """
    if session.user or not where.endswith("/token"):
        return session
    try:
        answer = await send(
            "GET",
            f"{where.removesuffix('token')}userinfo",
            {"Authorization": f"Bearer {session.token}"},
            None,
        )
    except (Retryable, Permanent):
        return session
    who = answer.body.get("user_id") if isinstance(answer.body, dict) else None
    return replace(session, user=str(who)) if answer.status == 200 and is_id(who) else session


def _advice_on_secret(code: str, described: str) -> str:
    if "no client credentials user" in described:
        return 'choose a "Run As" user in the client credentials policy of the external client app'
    if code in ("invalid_client_id", "invalid_client") or "invalid client credentials" in described:
        return "check FULLSTEAM_SALESFORCE_CLIENT_ID and FULLSTEAM_SALESFORCE_CLIENT_SECRET"
    if code == "unsupported_grant_type":
        return "enable the client credentials flow in the external client app, and use the My Domain address"
    return (
        _advice_on_app(code, described)
        or "check the external client app: client credentials flow enabled, a Run As user chosen, API access granted"
    )


def _advice_on_key(code: str, described: str) -> str:
    if "audience" in described:
        return "set FULLSTEAM_SALESFORCE_AUDIENCE to https://login.salesforce.com, or https://test.salesforce.com for a sandbox"
    if "expired" in described:
        return "the clock of this machine is wrong: put it right (an assertion lives for three minutes)"
    if "assertion" in described or "certificate" in described or "signature" in described:
        return (
            "the key does not fit the app: FULLSTEAM_SALESFORCE_PRIVATE_KEY_FILE must belong to the certificate that was"
            " uploaded to the external client app"
        )
    if code in ("invalid_client_id", "invalid_client"):
        return "check FULLSTEAM_SALESFORCE_CLIENT_ID: it is the consumer key of the external client app"
    if code == "unsupported_grant_type":
        return "enable the JWT bearer flow in the external client app, and upload the certificate"
    return _advice_on_app(code, described) or (
        "check FULLSTEAM_SALESFORCE_USERNAME (an active user), the certificate in the external client app, and this"
        " machine's clock"
    )


def _advice_on_app(code: str, described: str) -> str:
    """What both flows may be told; "" for something else."""
    if (
        "approved this consumer" in described
        or "not admin approved" in described
        or code == "invalid_app_access"
    ):
        return (
            'choose "Admin approved users are pre-authorized" in the policies of the external client app, and give its'
            " permission set to the integration user"
        )
    if "inactive user" in described or "locked" in described or code == "inactive_user":
        return "the integration user is inactive or locked: activate it"
    if "inactive organization" in described or code == "inactive_org":
        return "the org is inactive: ask Salesforce"
    if "ip restricted" in described or "ip address" in described:
        return (
            "log-ins from this address are not allowed: relax the IP restrictions of the external client app"
        )
    return ""


def records_of(answer: Answer) -> tuple[list[Row], str]:
    """Rows of a page and where the next one is, "" when there is none."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("records"), list):
        raise Retryable(
            "Salesforce's answer has no records: if that stays, check FULLSTEAM_SALESFORCE_URL",
            code="bad-answer",
        )
    rows: list[Row] = []
    for row in body["records"]:
        if isinstance(row, dict):
            row.pop("attributes", None)  # type and address of each: a third of what a row takes in memory
            rows.append(row)
    more = body.get("nextRecordsUrl")
    if body.get("done") is False and not isinstance(more, str):
        raise Retryable("Salesforce's answer names no next page", code="bad-answer")
    return rows, more if isinstance(more, str) and body.get("done") is not True else ""


def size_of(answer: Answer) -> int:
    """How many rows a query has, over all its pages; 0 when the answer does not say."""
    total = answer.body.get("totalSize") if isinstance(answer.body, dict) else None
    return total if isinstance(total, int) else 0
