"""No secret of any CRM is ever shown: not in a repr, a log line, an error with its traceback, a coverage row or a rehearsal.

Each kind of CRM is opened in each of its ways to log in, with secrets that are easy to find, against hosts that fail in every
way; the worst of them send back what they were sent.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import bot.connectors
from bot.commands import _without
from bot.config import NamedCrm
from bot.connectors.rehearsal import Rehearsal
from bot.connectors.settings import read_settings, secrets_of, wanted
from bot.connectors.wire import whole_address
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable
from bot.domain.ports import Asked, Connector, ConnectorKind
from bot.domain.usage import METRICS, MetricKind, Window
from bot.plugins import discover
from bot.vault import Vault, new_key
from tests.fakes import FakeClock, SleeplessLoop

KINDS = {kind.name: kind for kind in discover(bot.connectors, ConnectorKind) if kind.settings is not None}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
CANARY = "c4nary-"
"""Every secret here begins with it."""
URL = "https://crm.example.com"


@cache
def pem() -> bytes:
    """A private key and its certificate, made once."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fullsteam")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=4000))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _file(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def _ionapi(folder: Path) -> str:
    content = {
        "ti": "ACME_PRD",
        "cn": "fullsteam",
        "ci": "ACME_PRD~client",
        "cs": CANARY + "client",
        "iu": URL,
        "pu": URL + "/ACME_PRD/as/",
        "oa": "authorization.oauth2",
        "ot": "token.oauth2",
        "or": "revoke_token.oauth2",
        "saak": "ACME_PRD#account",
        "sask": CANARY + "account",
    }
    return _file(folder, "fullsteam.ionapi", json.dumps(content).encode())


WAYS: dict[str, tuple[str, Callable[[Path], dict[str, str]]]] = {
    "salesforce, client credentials": (
        "salesforce",
        lambda _: {"client_id": "3MVG9", "client_secret": CANARY + "client"},
    ),
    "salesforce, JWT": (
        "salesforce",
        lambda folder: {
            "client_id": "3MVG9",
            "username": "bot@example.com",
            "private_key_file": _file(folder, "key.pem", pem()),
        },
    ),
    "dynamics, secret": (
        "dynamics",
        lambda _: {"tenant": "acme.example", "client_id": "app", "client_secret": CANARY + "client"},
    ),
    "dynamics, certificate": (
        "dynamics",
        lambda folder: {
            "tenant": "acme.example",
            "client_id": "app",
            "certificate": _file(folder, "app.pem", pem()),
        },
    ),
    "infor, Basic": ("infor", lambda _: {"username": "fullsteam", "password": CANARY + "password"}),
    "infor, ION API": ("infor", lambda folder: {"ionapi_file": _ionapi(folder)}),
    "odoo, JSON-2": ("odoo", lambda _: {"api_key": CANARY + "key", "api": "json2"}),
    "odoo, JSON-RPC": (
        "odoo",
        lambda _: {"api_key": CANARY + "key", "api": "jsonrpc", "login": "bot", "database": "acme"},
    ),
}
"""Every way to log in: kind, and its settings beside the address."""


def _needles() -> Iterator[str]:
    """What a secret may look like on its way."""
    yield CANARY
    for offset in range(3):  # base64 of anything that has it inside
        text = base64.b64encode(b"\0" * offset + CANARY.encode()).decode()
        yield text[4 if offset else 0 : -4]
    lines = pem().decode().splitlines()
    yield from lines[1 : lines.index("-----END PRIVATE KEY-----")]


def found_in(text: str) -> list[str]:
    """The secrets in a text."""
    return [needle for needle in _needles() if needle in text]


def test_a_secret_would_be_found() -> None:
    for text in (
        f"password={CANARY}x",
        base64.b64encode(f"user:{CANARY}x".encode()).decode(),
        base64.b64encode(f"admin:{CANARY}x".encode()).decode(),
        pem().decode(),
    ):
        assert found_in(text), text
    assert not found_in("nothing of the kind")


def test_every_kind_is_opened_in_every_way() -> None:
    assert {kind for kind, _ in WAYS.values()} == KINDS.keys()
    for name, kind in KINDS.items():
        ways = [settings for of, settings in WAYS.values() if of == name]
        assert ways
        secrets = {each.field for each in wanted(kind.settings) if each.secret}
        assert secrets, "each kind says which of its settings are secret"


# --- hosts that fail ---------------------------------------------------------------------------------------------------


@dataclass
class Host(httpx.AsyncBaseTransport):
    """Answers the first requests as an empty CRM would, then fails in its way. ``status`` 0: the connection breaks."""

    kind: ConnectorKind
    good: int
    status: int
    shape: str

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        echo = "\n".join(
            [
                whole_address(request),
                *(f"{key}: {value}" for key, value in request.headers.items()),
                request.content.decode(errors="replace"),
            ]
        )
        if self.good > 0:
            self.good -= 1
            assert self.kind.blank is not None
            rehearsal = Rehearsal(self.kind.blank)
            return await rehearsal.handle_async_request(request)
        if self.status == 0:
            raise httpx.ConnectError(f"no connection to {whole_address(request)}")
        if self.shape == "html":
            return httpx.Response(self.status, html=f"<html>{echo}</html>")
        body: dict[str, Any] = {
            "error": {"code": echo, "message": echo} if self.shape == "odata" else echo,
            "error_description": echo,
            "message": echo,
            "errorCode": echo,
            "name": echo,
            "debug": echo,
            "$diagnoses": [
                {"severity": "error", "sdataCode": echo, "applicationCode": echo, "message": echo}
            ],
        }
        return httpx.Response(self.status, json=[body] if self.shape == "list" else body)


FAILURES = [
    (0, 0, "plain"),
    *((0, status, "plain") for status in (200, 401, 403, 500)),
    *((0, 400, shape) for shape in ("plain", "odata", "list", "html")),
    *((1, status, shape) for status in (200, 400) for shape in ("odata", "list")),
    *((4, 400, shape) for shape in ("plain", "odata", "list")),
]
"""After how many good answers, with which status and in which shape a host fails."""


@pytest.mark.parametrize("way", sorted(WAYS))
def test_whatever_a_host_does_no_secret_is_shown(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, settings = WAYS[way]
    kind, given = KINDS[name], {"url": URL, "name": name, **settings(tmp_path)}
    caplog.set_level(logging.DEBUG)

    async def all_hosts() -> list[str]:
        shown: list[str] = []
        for good, status, shape in FAILURES:
            host = Host(kind, good, status, shape)
            connector = kind.open({**given, "transport": host, "clock": FakeClock(NOW)}, None)
            shown += [text async for text in _said(connector, kind.owner)]
        return shown

    with asyncio.Runner(loop_factory=SleeplessLoop) as runner:
        shown = runner.run(all_hosts())
    assert len(shown) > 3 * len(FAILURES)
    assert any("Traceback" in text for text in shown)
    for text in shown:
        assert not found_in(text), text[:2000]
    for record in caplog.records:
        assert not found_in(repr(record.__dict__)), record.getMessage()


async def _said(connector: Connector, owner: str) -> Any:
    """Everything that a connector says of itself while it fails."""
    yield repr(connector)
    probe = await connector.probe()
    yield repr(probe)
    for ask in (
        lambda: connector.users(TODAY),
        lambda: _collected(connector),
        lambda: connector.evidence("opps_open", [owner], 5, TODAY),
    ):
        try:
            yield repr(await ask())
        except FullsteamError as error:
            yield "".join(traceback.format_exception(error))
            yield repr(error)


async def _collected(connector: Connector) -> list[Any]:
    window = Window(TODAY - timedelta(days=1), TODAY)
    return [part async for part in connector.collect(window, frozenset(METRICS))]


# --- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", sorted(WAYS))
def test_settings_show_no_secret_also_when_they_are_wrong(way: str, tmp_path: Path) -> None:
    name, settings = WAYS[way]
    kind, given = KINDS[name], {"url": URL, "name": name, **settings(tmp_path)}
    read = read_settings(kind.settings, given)
    assert not found_in(repr(read) + str(read) + repr(NamedCrm(name, given)))
    for wrong in ({"url": "http://crm.example.com"}, {"time_out": CANARY}, {"nonsense": CANARY}, {"name": 1}):
        with pytest.raises(ConfigurationError) as caught:
            read_settings(kind.settings, {**given, **wrong})
        assert not found_in("".join(traceback.format_exception(caught.value)))
    sealed = Vault([new_key()]).seal(name, given)
    assert not found_in(json.dumps(sealed))


# --- rehearsals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_rehearsal_shows_what_would_be_asked_for_everybody_and_no_secret(way: str, tmp_path: Path) -> None:
    name, settings = WAYS[way]
    kind, given = KINDS[name], {"url": URL, "name": name, **settings(tmp_path)}
    assert kind.blank is not None
    rehearsal = Rehearsal(kind.blank)
    connector = kind.open({**given, "transport": rehearsal, "clock": FakeClock(NOW)}, None)
    asyncio.run(_ask_everything(connector, kind.owner))
    secrets = secrets_of(read_settings(kind.settings, given))
    shown = [_without(asked, secrets) for asked in rehearsal.asked]
    assert not found_in(repr(shown))
    assert quote(CANARY) == CANARY
    assert len(shown) > 10
    assert kind.owner
    assert any(kind.owner in text(asked) for asked in shown), (
        "the records behind a number are asked for as well"
    )


def text(asked: Asked) -> str:
    return repr((asked.path, asked.query, asked.body))


async def _ask_everything(connector: Connector, owner: str, day: date = TODAY) -> None:
    await connector.users(day)
    async for _ in connector.collect(Window(day - timedelta(days=1), day), frozenset(METRICS)):
        pass
    for metric in METRICS.values():
        if metric.kind is MetricKind.SNAPSHOT:
            with contextlib.suppress(Retryable, Permanent):  # an empty CRM may not have what it needs
                await connector.evidence(metric.key, [owner], 5, day)
