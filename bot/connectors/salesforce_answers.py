"""What Salesforce's answers mean: refusals, limits, logins, pages (reference: docs/connectors/salesforce.md).

Sources: REST API Developer Guide (Status Codes and Error Responses, Limit Info Header, Query); Salesforce Help (OAuth 2.0
Client Credentials Flow).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bot.connectors.http import Answer, Budget, LogIn, Send, Session, SessionRefused
from bot.connectors.refusals import Denied, FieldHidden, TooSlow
from bot.connectors.salesforce_queries import Row
from bot.domain.errors import FullsteamError, Permanent, Retryable, Throttled

_LIMIT_INFO = re.compile(r"\bapi-usage\s*=\s*(\d+)\s*/\s*(\d+)")
_NO_COLUMN = re.compile(r"No such column '(?P<field>[^']+)' on entity '(?P<entity>[^']+)'")
_NO_RELATION = re.compile(r"Didn't understand relationship '(?P<field>[^']+)' in field path")
_STALE_SESSIONS = ("not valid for use with the REST API", "Connected app is not attached to Agent")
"""401s that a new login does not heal (jsforce, src/http-api.ts)."""
_GRANTS = {
    "LoginHistory": 'give the integration user the permission "Monitor Login History"',
    "OpportunityFieldHistory": "turn on field history tracking for opportunities (Stage, Close Date, Next Step, Amount), and"
    ' give the integration user "View All" on Opportunity',
    "UserLogin": 'give the integration user the permission "Manage Users", or live with frozen users being taken for active',
}


def grant(entity: str) -> str:
    """What an admin has to change so that an object can be read."""
    return _GRANTS.get(entity, f'give the integration user "View All" on {entity}')


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
            return TooSlow("Salesforce gave up on a query that took too long", code="query-timeout")
        case "REQUEST_LIMIT_EXCEEDED" if "Concurrent" not in message:  # of those, one waits a moment
            return Throttled("Salesforce's API calls of the last 24 hours are used up", code="throttled")
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
                "Salesforce does not understand a query: check the API version", code="malformed"
            )
    if code.startswith("INSUFFICIENT_ACCESS") or (answer.status == 403 and code != "REQUEST_LIMIT_EXCEEDED"):
        return Denied("", code="denied")
    if "security evaluation for non-admin users" in message:
        return Denied("", code="denied")
    return None


def client_credentials(url: str, client_id: str, client_secret: str, token_url: str = "") -> LogIn:
    """OAuth 2.0 client credentials flow (Salesforce Help, "OAuth 2.0 Client Credentials Flow")."""
    where = token_url or f"{url.rstrip('/')}/services/oauth2/token"
    body = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
    ).encode()

    async def log_in(send: Send) -> Session:
        answer = await send("POST", where, {"Content-Type": "application/x-www-form-urlencoded"}, body)
        said = answer.body if isinstance(answer.body, dict) else {}
        token = said.get("access_token")
        if answer.status == 200 and isinstance(token, str) and token:
            link = str(said.get("instance_url") or url).rstrip("/")
            return Session(token, str(said.get("id") or "").rpartition("/")[2], link)
        if not answer.is_json:
            raise SessionRefused(
                f"there is no login at this address (it answered {answer.status}): check FULLSTEAM_SALESFORCE_URL",
                code="wrong-address",
            )
        code = re.sub(r"[^a-z_]", "", str(said.get("error") or ""))[:40]
        raise SessionRefused(
            f"Salesforce rejects the login ({code or answer.status}): {_login_advice(code, said)}",
            code="login-rejected",
        )

    return log_in


def _login_advice(code: str, said: Mapping[str, Any]) -> str:
    described = str(said.get("error_description") or "").casefold()
    if "no client credentials user" in described:
        return 'choose a "Run As" user in the client credentials policy of the external client app'
    if code in ("invalid_client_id", "invalid_client"):
        return "check FULLSTEAM_SALESFORCE_CLIENT_ID and FULLSTEAM_SALESFORCE_CLIENT_SECRET"
    if code == "unsupported_grant_type":
        return "enable the client credentials flow in the external client app, and use the My Domain address"
    return "check the external client app: client credentials flow enabled, a Run As user chosen, API access granted"


def records_of(answer: Answer) -> tuple[list[Row], str]:
    """Rows of a page and where the next one is, "" when there is none."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("records"), list):
        raise Retryable("Salesforce's answer has no records", code="bad-answer")
    rows: list[Row] = [row for row in body["records"] if isinstance(row, dict)]
    more = body.get("nextRecordsUrl")
    if body.get("done") is False and not isinstance(more, str):
        raise Retryable("Salesforce's answer names no next page", code="bad-answer")
    return rows, more if isinstance(more, str) and body.get("done") is not True else ""


def size_of(answer: Answer) -> int:
    """How many rows a query has, over all its pages; 0 when the answer does not say."""
    total = answer.body.get("totalSize") if isinstance(answer.body, dict) else None
    return total if isinstance(total, int) else 0
