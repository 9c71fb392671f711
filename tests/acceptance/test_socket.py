"""Socket Mode, live: the installed program on sockets of the sandbox's, through a refresh and through sockets that are cut."""

from __future__ import annotations

from typing import Any

from store.database import open_database
from store.tables import inbox
from tests.acceptance.test_run import Office, office
from tests.installation import eventually

__all__ = ["office"]


def links(office: Office) -> list[int]:
    """The sockets that are open and not asked to leave."""
    return [
        each["link"] for each in office.installation.slack.sees("sockets")["links"] if not each["leaving"]
    ]


def says(office: Office, text: str) -> tuple[str, bool]:
    """Ada writes; the event's id, and whether it was acknowledged."""
    slack = office.installation.slack
    before = slack.sees("health")["totals"]["deliveries"]
    answer = slack.do("say", user=office.ada, text=text)
    entries = slack.sees("record?kind=delivery")["entries"]
    return entries[before]["key"], answer["acked"]


def deliveries(office: Office, key: str) -> list[dict[str, Any]]:
    entries = office.installation.slack.sees("record?kind=delivery")["entries"]
    return [each for each in entries if each["key"] == key]


def kept(office: Office) -> list[str]:
    """The keys of the rows in the inbox."""
    database = open_database(office.installation.database_url)
    try:
        return database.read_now(lambda uow: [str(row.key) for row in uow.rows(inbox.select())])
    finally:
        database.close()


def test_a_reply_and_a_click_go_through_a_socket_a_refresh_and_a_socket_that_is_cut(office: Office) -> None:
    installation, slack, ada = office.installation, office.installation.slack, office.ada
    slack.do("sockets", on=True)
    installation.more |= {"FULLSTEAM_SLACK_APP_TOKEN": "xapp-sandbox"}
    office.drops_files()
    with installation.running("run") as (run,):
        (first,) = eventually(lambda: links(office), "a socket")
        welcome = slack.wait_for(ada, "What would make Compass worth it")
        slack.press(ada, welcome, "goal:productivity")
        tip = slack.wait_for(ada, '"tip:do"')
        keys = [says(office, "The date is locked for me")]

        slack.do("sockets", disconnect="refresh_requested")
        (second,) = eventually(lambda: [link for link in links(office) if link != first], "a new socket")
        keys.append(says(office, "And it was yesterday"))

        # Acknowledged by the bot, but Slack never got to know: it comes again, and is one row all the same.
        slack.do("faults", kind="socket_killed", where="message", count=1, seconds=2)
        lost, acked = says(office, "And the day before")
        assert not acked
        again = eventually(
            lambda: [each for each in deliveries(office, lost) if each["acked"]], "the event to come again"
        )
        assert again[0]["attempt"] >= 1
        assert second not in links(office)

        # A click whose socket dies under the acknowledgement: Slack shows a warning, and it has counted.
        eventually(lambda: links(office), "a socket again")
        slack.do("faults", kind="socket_killed", where="block_actions", count=1, seconds=2)
        click = slack.do("press", user=ada, message_ts=tip["ts"], action_id="tip:do")
        assert not click["acked"]
        slack.wait_for(ada, "Opened on")
        eventually(lambda: links(office), "a socket at the end")

        rows = kept(office)
        assert all(acked for _, acked in keys)
        for key in [*(key for key, _ in keys), lost]:
            assert sum(key in row for row in rows) == 1, "one reply, one row"
        assert [each for each in run.lines() if each["level"] == "error"] == []
        assert run.stops() < 5
    assert links(office) == []
