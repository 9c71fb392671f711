"""Logging in at Microsoft Entra: by secret and by certificate; the fake's token endpoint held against msal over HTTPS."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import msal  # type: ignore[import-untyped]  # it has no type hints
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from bot.connectors.dynamics.answers import Credentials, assertion
from bot.connectors.dynamics.connector import CONNECTOR
from bot.domain.errors import ConfigurationError
from tests.dataverse import CLIENT, FRIDAY, SECRET, TENANT, URL, Dataverse
from tests.serving import on_loopback

pytestmark = pytest.mark.anyio
PASSWORD = "open sesame"
Served = tuple[Dataverse, str, requests.Session]


@dataclass(frozen=True)
class Certificate:
    """``file``: private key and certificate; ``locked``: the same, its key behind PASSWORD."""

    file: Path
    key: Path
    public: Path
    locked: Path


def made(folder: Path, key: Any) -> Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(min(now, FRIDAY) - timedelta(days=1))
        .not_valid_after(max(now, FRIDAY) + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )

    def private(lock: Any) -> bytes:
        return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))

    locked = private(serialization.BestAvailableEncryption(PASSWORD.encode()))
    found = Certificate(folder / "app.pem", folder / "key.pem", folder / "public.pem", folder / "locked.pem")
    found.key.write_bytes(private(serialization.NoEncryption()))
    found.public.write_bytes(certificate)
    found.file.write_bytes(found.key.read_bytes() + certificate)
    found.locked.write_bytes(locked + certificate)
    return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made(tmp_path_factory.mktemp("entra"), key)


@pytest.fixture(scope="module")
def served(certificate: Certificate) -> Iterator[Served]:
    """The fake over HTTPS on loopback, as "localhost": msal takes no other scheme. With a session that trusts it."""
    session = requests.Session()
    session.trust_env = False  # a bundle that is named in the environment would be taken instead of ours
    session.verify = str(certificate.public)
    crm = Dataverse(certificate=certificate.file)
    with on_loopback(
        crm, ssl_keyfile=str(certificate.key), ssl_certfile=str(certificate.public), date_header=False
    ) as url:
        yield crm, url.replace("127.0.0.1", "localhost"), session
        session.close()


def application(url: str, session: requests.Session, credential: Any, client: str = CLIENT) -> Any:
    return msal.ConfidentialClientApplication(
        client,
        authority=f"{url}/{TENANT}",
        client_credential=credential,
        instance_discovery=False,
        http_client=session,
    )


def test_msal_logs_in_by_secret(served: Served) -> None:
    crm, url, session = served
    answer = application(url, session, SECRET).acquire_token_for_client([f"{URL}/.default"])
    assert answer["access_token"] in crm.tokens
    assert answer["expires_in"] == 3599


def test_msal_logs_in_by_certificate(served: Served, certificate: Certificate) -> None:
    crm, url, session = served
    credential = {
        "private_key": certificate.key.read_text(),
        "public_certificate": certificate.public.read_text(),
    }
    answer = application(url, session, credential).acquire_token_for_client([f"{URL}/.default"])
    assert answer.get("access_token") in crm.tokens, answer


def test_msal_reads_the_refusals_of_the_fake(served: Served) -> None:
    _, url, session = served
    wrong = application(url, session, "wrong").acquire_token_for_client([f"{URL}/.default"])
    assert (wrong["error"], wrong["error_codes"]) == ("invalid_client", [7000215])
    unknown = application(url, session, SECRET, client="another")
    assert unknown.acquire_token_for_client([f"{URL}/.default"])["error_codes"] == [700016]


@pytest.mark.parametrize("locked", [False, True])
async def test_the_connector_logs_in_by_certificate(certificate: Certificate, locked: bool) -> None:
    crm = Dataverse(certificate=certificate.file)
    crm.user("Ada Brandt")
    file = certificate.locked if locked else certificate.file
    connector = crm.connector(
        client_secret="", certificate=file, certificate_password=PASSWORD if locked else ""
    )
    assert len((await connector.users(crm.today))[0]) == 1
    assert crm.logins == 1


async def test_another_certificate_than_the_apps_is_refused_and_named(
    certificate: Certificate, tmp_path: Path
) -> None:
    other = made(tmp_path, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    crm = Dataverse(certificate=other.file)
    probe = await crm.connector(client_secret="", certificate=certificate.file).probe()
    assert (probe.ok, "AADSTS700027" in probe.advice) == (False, True)


async def test_a_file_that_holds_no_certificate_to_log_in_with_is_named_and_not_shown(
    certificate: Certificate, tmp_path: Path
) -> None:
    crm = Dataverse(certificate=certificate.file)
    elliptic = tmp_path / "elliptic"
    elliptic.mkdir()
    for file, word in (
        (certificate.public, "cannot be read"),
        (certificate.key, "cannot be read"),
        (certificate.locked, "CERTIFICATE_PASSWORD"),
        (made(elliptic, ec.generate_private_key(ec.SECP256R1())).file, "RSA"),
    ):
        settings = crm.settings(client_secret="", certificate=file)
        with pytest.raises(ConfigurationError) as refused:
            CONNECTOR.open(settings, None)
        (said,) = refused.value.faults
        assert said.startswith("FULLSTEAM_DYNAMICS_CERTIFICATE ")
        assert word in said, file
        assert "PRIVATE KEY" not in said
        there = tmp_path / "app.pem"
        there.write_bytes(certificate.file.read_bytes())
        connector = crm.connector(client_secret="", certificate=there)
        there.write_bytes(file.read_bytes())  # it was another one when we began
        probe = await connector.probe()
        assert (probe.ok, word in probe.advice) == (False, True)
        assert "PRIVATE KEY" not in probe.advice
    assert crm.logins == 0


def test_an_assertion_is_dated_by_the_clock_and_never_the_same_at_another_time(
    certificate: Certificate,
) -> None:
    given = Credentials(
        CLIENT, "https://login.example.com/t/token", "x/.default", certificate=certificate.file
    )
    public = x509.load_pem_x509_certificate(certificate.public.read_bytes()).public_key()
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    seen = []
    for moment in (FRIDAY, FRIDAY, FRIDAY + timedelta(seconds=1)):
        claims = jwt.decode(
            assertion(given, moment),
            public,  # type: ignore[arg-type]  # the certificate of this test has an RSA key
            algorithms=["PS256"],
            audience="https://login.example.com/t/token",
            options=options,
        )
        assert claims["nbf"] < claims["iat"] == int(moment.timestamp()) < claims["exp"]
        assert claims["exp"] - claims["nbf"] == 600
        seen.append(claims["jti"])
    assert seen[0] == seen[1] != seen[2]
