"""What the answers of Dataverse and of Microsoft Entra mean: refusals, limits, logins, pages (docs/connectors/dynamics.md).

Sources: Microsoft Learn: "Compose HTTP requests and handle errors", "Service protection API limits", "Web service error
codes", "Use change tracking to synchronize data with external systems", "OAuth 2.0 client credentials flow on the Microsoft
identity platform", "Microsoft identity platform application authentication certificate credentials", "Microsoft Entra
authentication and authorization error codes".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import ParseError

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bot.connectors.dynamics.queries import Row
from bot.connectors.http import Answer, LogIn, Send, Session, SessionRefused, elsewhere
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.domain.errors import FullsteamError, Permanent, Retryable

_NO_PROPERTY = re.compile(r"Could not find a property named '(?P<field>[^']+)' on type '(?P<entity>[^']+)'")
_NO_ATTRIBUTE = re.compile(
    r"'(?P<entity>[^']+)' entity doesn't contain attribute with Name = '(?P<field>[^']+)'"
)
_AADSTS = re.compile(r"AADSTS(\d+)")
_ADVICE: Mapping[str, str] = {
    "7000222": "the client secret has expired: create a new one in the app registration and set"
    " FULLSTEAM_DYNAMICS_CLIENT_SECRET",
    "7000215": "the client secret is wrong: FULLSTEAM_DYNAMICS_CLIENT_SECRET takes the secret's value, not its id",
    "700016": "there is no such app in this tenant: check FULLSTEAM_DYNAMICS_CLIENT_ID and FULLSTEAM_DYNAMICS_TENANT",
    "90002": "there is no such tenant: check FULLSTEAM_DYNAMICS_TENANT and FULLSTEAM_DYNAMICS_AUTHORITY",
    "900023": "that is no id or domain of a tenant: check FULLSTEAM_DYNAMICS_TENANT",
    "700027": "the certificate is not the app registration's: upload its public part there, or set"
    " FULLSTEAM_DYNAMICS_CERTIFICATE to the right file",
    "700024": "the clock of this machine is wrong, or the certificate is not valid now",
    "500011": "there is no Dataverse at this address in the tenant: check FULLSTEAM_DYNAMICS_URL, or set"
    " FULLSTEAM_DYNAMICS_SCOPE",
    "70011": "the scope is not valid: check FULLSTEAM_DYNAMICS_URL and FULLSTEAM_DYNAMICS_SCOPE",
    "7000112": "the app is disabled in this tenant: enable it among the enterprise applications",
    "53003": "a conditional access policy blocks the app: exempt it, or allow this machine's address",
}
"""Numbers of Microsoft Entra's errors -> what to do (Microsoft Learn, "Microsoft Entra authentication error codes")."""
_TOO_MANY = "0x8004e023"
_EXPIRED = "0x80044352"
_NOT_A_MEMBER = "0x80072560"
_DISABLED_USER = "0x80040225"
_TIMED_OUT = "0x80044151"
_NO_COLUMN = "0x80041103"
_DENIED = frozenset({"0x80040220", "0x80048306", "0x80042f09", "0x80048405"})
CLOCK_SLACK = timedelta(minutes=5)


class TooMany(TooSlow):
    """More rows than may be counted at once: the same for a shorter span may work."""


class NotUnderstood(Permanent):
    """The server does not know this way of asking: another way may work."""


class TokenExpired(Permanent):
    """What has changed since our last look is no longer known: everything has to be read again."""


# -- refusals ---------------------------------------------------------------------------------------------------------------


def judge(answer: Answer) -> FullsteamError | None:
    """What a refusal means. The texts are ours: Dataverse's repeat ids and names."""
    error = answer.body.get("error") if isinstance(answer.body, Mapping) else None
    said = error if isinstance(error, Mapping) else {}
    code, message = str(said.get("code") or "").lower(), str(said.get("message") or "")
    if answer.status in {401, 429} or answer.status in {500, 502, 503, 504}:
        return _of_code(code, message) if answer.status == 500 else None
    found = _of_code(code, message)
    if found is not None:
        return found
    if answer.status == 403 and answer.is_json:
        if code == _NOT_A_MEMBER or "not a member of the organization" in message:
            return SessionRefused(
                "the app is no user of this environment: add it as an application user in the Power Platform admin center",
                code="no-application-user",
            )
        return Denied("", code="denied")
    if answer.status == 410:
        return TokenExpired(
            "Dataverse no longer knows what has changed since our last look", code="token-expired"
        )
    if answer.status in {400, 404, 405, 406, 422, 501}:
        return NotUnderstood(
            f"Dataverse does not understand a query ({answer.status}): check FULLSTEAM_DYNAMICS_URL and"
            " FULLSTEAM_DYNAMICS_API_VERSION",
            code=f"http-{answer.status}",
        )
    return None


def _of_code(code: str, message: str) -> FullsteamError | None:
    if code == _TOO_MANY or "AggregateQueryRecordLimit" in message:
        return TooMany("Dataverse counts no more than 50,000 rows at once", code="too-many-rows")
    if code == _EXPIRED or "ExpiredVersionStamp" in message:
        return TokenExpired(
            "Dataverse no longer knows what has changed since our last look", code="token-expired"
        )
    if code == _TIMED_OUT:
        return TooSlow(
            "Dataverse gave up on a query that took too long: it is tried again at the next poll",
            code="query-timeout",
        )
    if code == _DISABLED_USER:
        return SessionRefused(
            "the application user is disabled in this environment: enable it in the Power Platform admin center",
            code="user-disabled",
        )
    if code in _DENIED:
        return Denied("", code="denied")
    column = _NO_PROPERTY.search(message) or _NO_ATTRIBUTE.search(message)
    if column is not None:
        entity = column["entity"].rpartition(".")[2]
        return FieldHidden(column["field"], entity, f"{entity} has no column {column['field']} here")
    if code == _NO_COLUMN:
        return FieldHidden("a column", "a table", "Dataverse does not know a column that was asked for")
    if "Resource not found for the segment" in message:
        return NotOffered("this CRM has no such table", code="no-table")
    return None


# -- pages ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and where the next are. ``more``: whether there are more groups, None: it does not say; ``cookie``: by which
    they are found. ``delta``: where to ask what has changed later.
    """

    rows: list[Row]
    link: str = ""
    more: bool | None = None
    cookie: str = ""
    delta: str = ""


def page_of(answer: Answer) -> Page:
    """A page of rows. Raises Retryable when it is none."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        raise Retryable(
            "Dataverse's answer has no rows: if that stays, check FULLSTEAM_DYNAMICS_URL and FULLSTEAM_DYNAMICS_PREFIX",
            code="bad-answer",
        )
    rows: list[Row] = [row for row in body["value"] if isinstance(row, dict)]
    if len(rows) != len(body["value"]):
        raise Retryable("the CRM's answer has rows that are none", code="bad-answer")
    more = body.get("@Microsoft.Dynamics.CRM.morerecords")
    if isinstance(more, str):  # Microsoft's own client expects text here as well
        more = more.lower() == "true"
    return Page(
        rows,
        _text(body, "@odata.nextLink", "@nextLink"),
        more if isinstance(more, bool) else None,
        _cookie(_text(body, "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie")),
        _text(body, "@odata.deltaLink", "@deltaLink"),
    )


def _text(body: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := body.get(name), str)), "")


def _cookie(said: str) -> str:
    """The cookie in the annotation, which is an XML element that holds it encoded twice."""
    if not said:
        return ""
    try:
        inside = fromstring(said, forbid_dtd=True).get("pagingcookie", "")
    except (ParseError, DefusedXmlException) as error:
        raise Retryable("the CRM's paging cookie cannot be read", code="bad-answer") from error
    return unquote(unquote(inside))


def is_gone(row: Row) -> str:
    """The id of a row that says that a record was deleted; "" for any other row."""
    if str(row.get("@odata.context") or "").endswith("$deletedEntity") or "@removed" in row:
        return (
            str(row.get("id") or row.get("@id") or row.get("@odata.id") or "").rpartition("(")[2].rstrip(")")
        )
    return ""


# -- logging in -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credentials:
    """An app registration's. ``secret``, or ``certificate``: a PEM file with the private key and the certificate.

    ``setting``: the variable that ``token_url`` comes from.
    """

    client_id: str
    token_url: str
    scope: str
    secret: str = field(default="", repr=False)
    certificate: Path | None = None
    password: str = field(default="", repr=False)
    setting: str = "FULLSTEAM_DYNAMICS_AUTHORITY"


def entra(credentials: Credentials, now: Callable[[], datetime]) -> LogIn:
    """OAuth 2.0 client credentials flow, with a secret or with an assertion that the certificate's key signs.

    ``now``: by which clock the assertion is dated.
    """

    async def log_in(send: Send) -> Session:
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "scope": credentials.scope,
        }
        if credentials.certificate is None:
            form["client_secret"] = credentials.secret
        else:
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = await asyncio.to_thread(assertion, credentials, now())
        answer = await send(
            "POST",
            credentials.token_url,
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode(form).encode(),
        )
        said = answer.body if isinstance(answer.body, dict) else {}
        token = said.get("access_token")
        if answer.status == 200 and isinstance(token, str) and token:
            return Session(token, lasts=_lasts(said.get("expires_in")))
        if 300 <= answer.status < 400:
            raise SessionRefused(elsewhere(answer, credentials.setting), code="redirected")
        if not answer.is_json or answer.status == 404 or (answer.status < 300 and not said.get("error")):
            tenant = (
                " and FULLSTEAM_DYNAMICS_TENANT"
                if credentials.setting != "FULLSTEAM_DYNAMICS_TOKEN_URL"
                else ""
            )
            raise SessionRefused(
                f"there is no login at this address (it answered {answer.status}): check {credentials.setting}{tenant}",
                code="wrong-address",
            )
        raise _rejected(answer.status, said)

    return log_in


def _lasts(said: object) -> timedelta | None:
    """``expires_in``: seconds, as a number or as text; None when it does not say."""
    try:
        seconds = int(str(said))
    except ValueError:
        return None
    return timedelta(seconds=seconds) if seconds > 0 else None


def _rejected(status: int, said: Mapping[str, Any]) -> SessionRefused:
    numbers = [str(each) for each in said.get("error_codes") or [] if isinstance(each, int)]
    if not numbers:
        numbers = _AADSTS.findall(str(said.get("error_description") or ""))
    advice = next((_ADVICE[number] for number in numbers if number in _ADVICE), "")
    code = re.sub(r"[^a-z_]", "", str(said.get("error") or ""))[:40]
    what = f"AADSTS{numbers[0]}" if numbers else code or str(status)
    return SessionRefused(
        f"Microsoft Entra rejects the login ({what}): "
        + (advice or "check the app registration, its secret or certificate, and FULLSTEAM_DYNAMICS_TENANT"),
        code="login-rejected",
    )


def assertion(credentials: Credentials, now: datetime) -> str:
    """A JSON Web Token by which the app proves who it is, good for ten minutes. Raises SessionRefused.

    ``jti`` follows from the app and the moment: nothing here is random.
    """
    if credentials.certificate is None:
        raise SessionRefused(
            "there is no certificate to log in with: set FULLSTEAM_DYNAMICS_CERTIFICATE",
            code="no-certificate",
        )
    key, certificate = read_certificate(credentials.certificate, credentials.password)
    thumbprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    claims = {
        "aud": credentials.token_url,
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "jti": str(uuid5(NAMESPACE_URL, f"{credentials.client_id}\x1f{now.isoformat()}")),
        "nbf": int((now - CLOCK_SLACK).timestamp()),
        "iat": int(now.timestamp()),
        "exp": int((now + CLOCK_SLACK).timestamp()),
    }
    header = {"x5t#S256": base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()}
    return jwt.encode(claims, key, algorithm="PS256", headers=header)


def read_certificate(file: Path, password: str) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """The private key and the certificate in a PEM file. Raises SessionRefused in one line."""
    try:
        pem = file.read_bytes()
        key = serialization.load_pem_private_key(pem, password.encode() or None)
        certificate = x509.load_pem_x509_certificate(pem[max(pem.find(b"-----BEGIN CERTIFICATE-----"), 0) :])
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SessionRefused(
            "FULLSTEAM_DYNAMICS_CERTIFICATE cannot be read: set it to a PEM file with the private key and the certificate"
            " (FULLSTEAM_DYNAMICS_CERTIFICATE_PASSWORD opens the key)",
            code="bad-certificate",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SessionRefused(
            "FULLSTEAM_DYNAMICS_CERTIFICATE has to have an RSA key: Microsoft Entra takes no other",
            code="bad-certificate",
        )
    return key, certificate
