"""What needs a person's eye is shown: by the health check, by ``fullsteam doctor`` and by ``fullsteam inbox``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from bot.cli import app
from bot.doctor import Finding, upkeep
from bot.services.check_health import check_health
from store import audit, outbox
from store.database import Database, UnitOfWork, migrate, open_database
from store.tables import audit as audit_table
from store.tables import inbox
from store.tables import outbox as outbox_table
from tests.sending import TUESDAY, add_person, new


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


def lose(uow: UnitOfWork) -> None:
    """An envelope that could not be worked."""
    values = {"key": "Ev1", "kind": "event", "name": "message", "user": "U1", "body": {"text": "my words"}}
    times = {"received_at": TUESDAY, "next_at": TUESDAY, "settled_at": TUESDAY}
    uow.execute(sa.insert(inbox).values(state="dead", reason="KeyError", attempts=8, **values, **times))


@pytest.mark.anyio
async def test_a_dead_envelope_is_a_warning_of_the_health_check(database: Database) -> None:
    assert (await check_health(database, TUESDAY))["warnings"] == []
    await database.write(lose)
    state = await check_health(database, TUESDAY)
    assert (state["ok"], state["warnings"], state["dead"]) == (True, ["dead"], 1)


def test_the_doctor_shows_messages_in_doubt_and_envelopes_that_were_not_worked(database: Database) -> None:
    def doubt(uow: UnitOfWork) -> None:
        add_person(uow, 1)
        (one,) = outbox.add_many(uow, [new(1)])
        uow.execute(sa.update(outbox_table).values(state="uncertain", reason="timeout", settled_at=TUESDAY))
        audit.append(uow, TUESDAY, "system", "looked", one, {})

    database.write_now(lose)
    database.write_now(doubt)
    message, envelopes, log = database.read_now(upkeep)
    assert (message.ok, "uncertain: timeout" in message.text) == (True, True)
    assert envelopes == Finding("inbox", False, "1 could not be worked: `fullsteam inbox list`")
    assert (log.about, log.ok) == ("audit log", True)


def test_a_forged_audit_row_is_a_finding(database: Database) -> None:
    forged = {"action": "y", "subject": "z", "detail": {}, "previous": audit.FIRST, "hash": "1" * 64}
    database.write_now(
        lambda uow: uow.execute(sa.insert(audit_table).values(at=TUESDAY, actor="x", **forged))
    )
    (log,) = database.read_now(upkeep)
    assert not log.ok


def test_dead_envelopes_are_listed_without_their_words_and_worked_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULLSTEAM_DATABASE_URL", sqlite_url)
    migrate(sqlite_url)
    opened = open_database(sqlite_url)
    opened.write_now(lose)
    opened.close()
    run = CliRunner().invoke
    listed = run(app, ["inbox", "list", "--json", "-"]).output
    assert "Ev1" in listed
    assert "KeyError" in listed
    assert "my words" not in listed
    assert "0 to be worked" in run(app, ["inbox", "revive", "Ev2"]).output
    assert "1 to be worked" in run(app, ["inbox", "revive"]).output
    assert '"dead": []' in run(app, ["inbox", "list", "--json", "-"]).output
    assert "0 rows" in run(app, ["audit", "verify"]).output
