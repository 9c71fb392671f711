"""What an SData server's answers mean: log-in, refusals in JSON, XML and HTML, pages (reference: docs/connectors/infor.md).

Sources: SData 1.1 (diagnoses); Saleslogix/argos-sdk (headers of Basic authentication) and argos-saleslogix (getCurrentUser);
Infor OS documentation (.ionapi files).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bot.connectors.http import Answer, LogIn, Send, Session, SessionRefused, check_base_url
from bot.connectors.infor.rows import Row, key_of, number_of
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable

KEYS = ("ci", "cs", "pu", "ot")
"""What an .ionapi file must have: client id and secret, where to log in."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_TOO_SLOW = re.compile(r"time-?\s?out|timed out", re.IGNORECASE)
_NO_RIGHT = re.compile(r"access (is )?denied|not authori[sz]ed|permission|insufficient rights", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_MOST_XML = 1024 * 1024


class NotUnderstood(Permanent):
    """The server does not understand a query: a field that it does not have, an order that it cannot give.

    ``words``: which of our words its message has, to find the field by. The message itself is kept nowhere.
    """

    def __init__(self, code: str, words: frozenset[str] = frozenset()) -> None:
        super().__init__(
            "Infor CRM does not understand a query: a field has another name here, or is not there", code=code
        )
        self.words = words


class Moved(Retryable):
    """Rows came or went while a list was read that has no order: it is read again."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an SData server says is wrong. ``code``: one of the standard's, in small letters."""

    code: str
    message: str
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and of how many by the server's own word; None where it does not say."""

    rows: list[Row]
    total: int | None


# -- refusals ---------------------------------------------------------------------------------------------------------


def diagnoses_of(answer: Answer) -> list[Diagnosis]:
    """What an answer says is wrong: a list in JSON, alone or under ``$diagnoses``, or elements in XML."""
    if answer.is_json:
        said = answer.body
        if isinstance(said, Mapping):
            said = said.get("$diagnoses", said if "sdataCode" in said else None)
        if isinstance(said, Mapping):
            said = [said]
        if not isinstance(said, list):
            return []
        return [_from_json(each) for each in said if isinstance(each, Mapping) and _is_one(each)]
    if not answer.raw.lstrip().startswith(b"<") or len(answer.raw) > _MOST_XML:
        return []
    try:
        root = fromstring(answer.raw, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return []  # a page of HTML, as IIS writes them, or worse
    return [
        _from_json({_local(part.tag): (part.text or "").strip() for part in each})
        for each in root.iter()
        if _local(each.tag) == "diagnosis"
    ]


def _is_one(said: Mapping[Any, Any]) -> bool:
    return "severity" in said or "sdataCode" in said


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _from_json(said: Mapping[Any, Any]) -> Diagnosis:
    severity = str(said.get("severity") or "error").casefold()
    return Diagnosis(
        str(said.get("sdataCode") or "").casefold(),
        str(said.get("message") or said.get("applicationCode") or ""),
        severity in ("error", "fatal"),
    )


def judge(advice: Callable[[str], str]) -> Callable[[Answer], FullsteamError | None]:
    """What a refusal means. ``advice``: a setting's name -> its variable. The texts are ours: the server's repeat the query."""

    def decide(answer: Answer) -> FullsteamError | None:
        if answer.status == 401:
            return None
        said = [each for each in diagnoses_of(answer) if each.is_error]
        first = said[0] if said else Diagnosis("", "")
        error = _by_code(first, advice)
        if error is not None:
            return error
        if answer.status == 403:
            return Denied("", code="denied")
        if answer.status in (408, 504) or (answer.status >= 500 and _TOO_SLOW.search(first.message)):
            return TooSlow(
                "Infor CRM gave up on a query that took too long: it is tried again at the next poll",
                code="query-timeout",
            )
        if answer.status in (404, 410):
            return NotOffered("Infor CRM has no such resource here", code="not-found")
        if said and _NO_RIGHT.search(first.message):
            return Denied("", code="denied")
        if answer.status == 400:
            return NotUnderstood("bad-request", _words(first.message))
        return None

    return decide


def _by_code(said: Diagnosis, advice: Callable[[str], str]) -> FullsteamError | None:
    match said.code:
        case "badurlsyntax" | "badqueryparameter" | "badwheresyntax":
            return NotUnderstood(said.code, _words(said.message))
        case "resourcekindnotfound":
            return NotOffered("Infor CRM has no such resource here", code=said.code)
        case "applicationnotfound" | "contractnotfound" | "datasetnotfound":
            return Permanent(
                f"there is no such SData path: check {advice('path')}, {advice('dynamic')}, {advice('system')} and"
                f" {advice('dataset')}",
                code=said.code,
            )
        case "applicationunavailable" | "datasetunavailable":
            return Retryable("Infor CRM is not available now", code=said.code)
    return None


def _words(message: str) -> frozenset[str]:
    return frozenset(_WORD.findall(message))


def page_of(answer: Answer, decide: Callable[[Answer], FullsteamError | None]) -> Page:
    """Rows of a feed. Raises what the answer says is wrong: an error may come with 200 as well, alone or in a list."""
    body = answer.body
    rows = body.get("$resources") if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        raise refusal_of(answer, decide)
    total = body.get("$totalResults") if isinstance(body, Mapping) else None
    return Page(
        [row for row in rows if isinstance(row, Mapping)],
        total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None,
    )


def refusal_of(answer: Answer, decide: Callable[[Answer], FullsteamError | None]) -> FullsteamError:
    """What an answer without rows means."""
    if any(each.is_error for each in diagnoses_of(answer)):
        found = decide(answer)
        return found or Retryable("Infor CRM answers with an error of its own", code="application-diagnosis")
    return Retryable(
        "Infor CRM's answer has no rows: if that stays, check FULLSTEAM_INFOR_URL", code="bad-answer"
    )


def metric_of(rows: list[Row]) -> Iterator[tuple[str, float]]:
    """(id of a user, number) of the rows of ``$queries/executeMetric``. Raises ValueError."""
    for row in rows:
        value = row.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{value!r} is no number"[:80])  # noqa: TRY004 - a row that is bad, whatever its type
        number = number_of(value)
        if number is not None:
            yield key_of(row.get("name")), number


# -- logging in -------------------------------------------------------------------------------------------------------


def basic(user: str, password: str, who: str, advice: Callable[[str], str]) -> LogIn:
    """Name and password with every request, twice, as the CRM's own client sends them; no log-in by itself.

    ``who``: the address that says who we are (an operation of the contract "system").
    """
    token = b64encode(f"{user}:{password}".encode()).decode("ascii")
    headers = {"X-Authorization": f"Basic {token}", "X-Authorization-Mode": "no-challenge"}

    async def log_in(send: Send) -> Session:
        me = await _whoami(send, who, {"Authorization": f"Basic {token}", **headers})
        if me is None:
            raise SessionRefused(
                f"Infor CRM rejects the user name or its password: check {advice('username')} and {advice('password')}",
                code="login-rejected",
            )
        return Session(token, user=me, scheme="Basic", headers=headers)

    return log_in


def ion(file: Path, token_url: str, grant: str, who: str, advice: Callable[[str], str]) -> LogIn:
    """A token of Infor's ION API gateway, by an .ionapi file that is read at each log-in. ``grant``: "" for what it has keys for."""

    async def log_in(send: Send) -> Session:
        keys = read_ionapi(file)
        where = token_url or f"{keys['pu'].rstrip('/')}/{keys['ot'].lstrip('/')}"
        try:
            check_base_url(where, "the address of the log-in")
        except ConfigurationError as error:
            raise SessionRefused(
                f"the .ionapi file names no https:// address to log in: set {advice('token_url')}",
                code="wrong-address",
            ) from error
        said, answer = await _token(send, where, keys, grant)
        token = said.get("access_token")
        if not isinstance(token, str) or not token:
            raise SessionRefused(
                _rejected(answer, said, advice), code="login-rejected" if answer.is_json else "wrong-address"
            )
        proof = {"Authorization": f"Bearer {token}"}
        return Session(
            token,
            user=await _whoami(send, who, proof) or "",
            lasts=_seconds(said.get("expires_in")),
        )

    return log_in


async def _token(
    send: Send, where: str, keys: Mapping[str, str], grant: str
) -> tuple[Mapping[str, Any], Answer]:
    """The token's answer. The client proves itself in a header, and where that is not taken, in the body."""
    form = {"grant_type": "client_credentials"}
    if grant != "client_credentials" and (grant or keys.get("saak")):
        form = {
            "grant_type": "password",
            "username": keys.get("saak", ""),
            "password": keys.get("sask", ""),
        }
    proof = "Basic " + b64encode(f"{keys['ci']}:{keys['cs']}".encode()).decode("ascii")
    answer = await send("POST", where, {**_FORM, "Authorization": proof}, urlencode(form).encode())
    said = answer.body if isinstance(answer.body, Mapping) else {}
    if answer.status in (400, 401) and said.get("error") not in ("invalid_grant", "unsupported_grant_type"):
        form |= {"client_id": keys["ci"], "client_secret": keys["cs"]}
        answer = await send("POST", where, _FORM, urlencode(form).encode())
        said = answer.body if isinstance(answer.body, Mapping) else {}
    return (said if answer.status == 200 else {"error": said.get("error")}), answer


def _rejected(answer: Answer, said: Mapping[str, Any], advice: Callable[[str], str]) -> str:
    code = re.sub(r"[^a-z_]", "", str(said.get("error") or ""))[:40]
    if not answer.is_json:
        return f"there is no log-in at the address in the .ionapi file (it answered {answer.status}): set {advice('token_url')}"
    what = {
        "invalid_client": "the client id or its secret is not valid: download the .ionapi file anew",
        "invalid_grant": "the service account is not valid: create its keys anew and download the .ionapi file",
        "unsupported_grant_type": f"this kind of log-in is not enabled: set {advice('grant')}",
    }.get(code, "check the authorised app and its service account in Infor OS")
    return f"Infor OS rejects the log-in ({code or answer.status}): {what}"


def _seconds(value: object) -> timedelta | None:
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds < 10**8 else None


async def _whoami(send: Send, who: str, proof: Mapping[str, str]) -> str | None:
    """Our own id; "" where the server does not say; None where it refuses us."""
    answer = await send("POST", who, {"Content-Type": "application/json", **proof}, b"{}")
    if answer.status == 401:
        return None
    said = answer.body.get("response") if isinstance(answer.body, Mapping) else None
    return key_of(said.get("userId")) if answer.status < 300 and isinstance(said, Mapping) else ""


def has_service_account(keys: Mapping[str, str]) -> bool:
    """Whether the keys of an .ionapi file have those of a service account."""
    return bool(keys.get("saak") and keys.get("sask"))


def read_ionapi(file: Path) -> Mapping[str, str]:
    """The keys of an .ionapi file. Raises SessionRefused, which says what is missing and nothing of what is there."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        raise SessionRefused(
            "the .ionapi file cannot be read, or is no JSON: download it anew from Infor OS", code="ionapi"
        ) from None
    keys = (
        {key: value for key, value in said.items() if isinstance(value, str)}
        if isinstance(said, dict)
        else {}
    )
    missing = [key for key in KEYS if not keys.get(key)]
    if missing:
        raise SessionRefused(
            f"the .ionapi file has no {', '.join(missing)}: it must be that of a backend service",
            code="ionapi",
        )
    return keys
