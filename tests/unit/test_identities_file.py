"""The identity file: what it may say, and that every fault names its line and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.content.identities import load_identities, read_identities
from bot.domain.errors import ConfigurationError
from bot.domain.matching import Override


def test_a_line_a_person_by_address_or_id_to_an_account_or_nobody() -> None:
    text = """crm,slack
# comments and empty lines are left out

Ana@Example.com,U012345AB
0058d000001AbCdEFG,A.Sand@example.com
api@example.com,Nobody
"""
    assert read_identities(text) == (
        (
            Override(4, "ana@example.com", "U012345AB"),
            Override(5, "0058d000001AbCdEFG", "a.sand@example.com"),
            Override(6, "api@example.com", None),
        ),
        [],
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_source_and_a_note_may_stand_there_and_cells_be_parted_as_excel_does(separator: str) -> None:
    rows = (("note", "Source", "CRM", "Slack"), ('"maiden; name, here"', "odoo", " 42 ", "U012345AB"))
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    assert read_identities(text) == ((Override(2, "42", "U012345AB", "odoo"),), [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,slack\n", "line 1: the first line has no column crm; write source,crm,slack,note there"),
        ("crm,slack,role\n", "line 1: nothing reads the column 'role'"),
        ("crm,slack,crm\n", "line 1: a column is named twice"),
        ("crm,slack\n,U012345AB\n", "line 2: the column crm is empty; write the e-mail address or the id"),
        ("crm,slack\nana@,U012345AB\n", "line 2: 'ana@' is no e-mail address; write one, or the id"),
        ("crm,slack\nana,Ana Sand\n", "line 2: 'Ana Sand' is no Slack account; write a member id"),
        ("crm,slack\nana,\n", "line 2: the column slack is empty; write a member id"),
        ("crm,slack\nana,walter\n", "line 2: 'walter' is no Slack account; write a member id"),
        ("crm,slack\nana,U012345AB,x\n", "line 2: has 3 cells for 2 columns; put quotation marks"),
        ('crm,slack\n"ana"x,U012345AB\n', "mend the quotation marks"),
        (
            "crm,slack\nA@x.com,U012345AB\na@x.com,nobody\n",
            "line 3: a@x.com is in line 2 already; keep one",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_to_write(text: str, said: str) -> None:
    _, faults = read_identities(text)
    assert len(faults) == 1
    assert said in faults[0]


def test_every_fault_comes_at_once_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "who.csv"
    file.write_text("crm,slack\nana,\n,nobody\n")
    with pytest.raises(ConfigurationError) as raised:
        load_identities(file)
    assert [fault.partition(":")[0] for fault in raised.value.faults] == [
        "who.csv, line 2",
        "who.csv, line 3",
    ]


def test_a_file_that_is_not_there_or_not_utf8_is_a_readable_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FULLSTEAM_IDENTITIES names it"):
        load_identities(tmp_path / "who.csv")
    (tmp_path / "who.csv").write_bytes("crm,slack\nJörg,nobody\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="save it as CSV UTF-8"):
        load_identities(tmp_path / "who.csv")
    (tmp_path / "who.csv").write_bytes("crm,slack\nJörg,nobody\n".encode("utf-8-sig"))
    assert load_identities(tmp_path / "who.csv") == (Override(2, "Jörg", None),)


def test_without_a_file_there_are_no_overrides() -> None:
    assert load_identities(None) == ()
    assert read_identities("") == ((), [])


def test_a_member_id_may_be_written_in_small_letters() -> None:
    (override,), faults = read_identities("crm,slack\nana@example.com,u0123abcd\n")
    assert (override.slack, faults) == ("U0123ABCD", [])
