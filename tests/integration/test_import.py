"""``fullsteam import``: what was not read is said, with why, and the exit code says it to a script."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.installation import Typed, typed

PEOPLE = "Name;E-Mail;Leitung\nAda Brandt;ada@example.com;\nJonas Weber;jonas@example.com;Ada Brandt\n"
DEALS = (
    "Nr;Besitzer;Angelegt;Phase;Ende;Firma;Wert\n"
    "1;Jonas Weber;03.08.2026;Gewonnen;17.11.2026;Müller;12.500,00\n"
    "2;Jonas Weber;21.09.2026;Gespräch;;;\n"
)
MAPPING = """
[source]
name = "chancen"
coverage = "complete"
[people]
file = "team.csv"
[people.columns]
name = "Name"
email = "E-Mail"
manager = "Leitung"
[opportunities]
file = "chancen*.csv"
date_format = "DD.MM.YYYY"
decimal = ","
[opportunities.columns]
id = "Nr"
owner = "Besitzer"
created = "Angelegt"
closed = "Ende"
step = "Phase"
account = "Firma"
won_amount = "Wert"
[opportunities.steps]
"Gespräch" = "open"
Gewonnen = "won"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A German export: semicolons, decimal commas, umlauts."""
    folder = tmp_path / "crm"
    folder.mkdir()
    (folder / "team.csv").write_text(PEOPLE, encoding="utf-8")
    (folder / "chancen.csv").write_text(DEALS, encoding="utf-8")
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    return folder


@pytest.fixture
def settings(repository: Path, sqlite_url: str) -> dict[str, str]:
    return {
        "COLUMNS": "200",
        "FULLSTEAM_DATABASE_URL": sqlite_url,
        "FULLSTEAM_PROGRAMME": str(repository / "examples/programme.toml"),
    }


def imports(folder: Path, settings: dict[str, str], *more: str) -> Typed:
    done = typed(("import", str(folder), *more), settings, folder)
    assert "Traceback" not in done.err
    return done


def test_a_folder_means_its_mapping_and_a_good_one_is_zero(folder: Path, settings: dict[str, str]) -> None:
    said = imports(folder, settings)
    assert (said.code, said.err) == (0, "")
    assert "2 people, " in said.out
    assert "won_amount" in said.out
    assert "12,500" in said.out
    assert "need a look" not in said.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            DEALS.replace("Besitzer", "Owner"),
            "chancen.csv was not read, line 1, column Besitzer: no such heading",
        ),
        (DEALS.replace(";", "~"), "chancen.csv was not read, line 1, column Nr, Besitzer"),
        ("", "chancen.csv was not read, line 1: the file is empty"),
        (None, "chancen*.csv was not read: no file is called chancen*.csv in "),
        (DEALS.splitlines()[0] + "\n", "chancen*.csv has headings and no rows: is the export broken?"),
        (
            DEALS.replace(".2026", ".26"),
            "none of the 2 rows can be read: chancen.csv, line 2, column Angelegt",
        ),
    ],
    ids=["heading", "delimiter", "empty", "missing", "headings only", "every row bad"],
)
def test_a_table_that_cannot_be_read_is_named_and_the_exit_code_is_one(
    folder: Path, settings: dict[str, str], content: str | None, says: str
) -> None:
    if content is None:
        (folder / "chancen.csv").unlink()
    else:
        (folder / "chancen.csv").write_text(content, encoding="utf-8")
    said = imports(folder, settings)
    assert said.code == 1
    assert says in said.out + said.err
    assert "the rest was read" not in said.out
    # What could not be read is no zero: it is not listed as read.
    listed = said.out.split("error, so nothing reads")[0]
    assert "opps_open" not in listed
    assert json.loads(imports(folder, settings, "--json", "-").out)["by_metric"] == {}


def test_a_workbook_that_is_none_is_named(folder: Path, settings: dict[str, str]) -> None:
    (folder / "mapping.toml").write_text(MAPPING.replace("chancen*.csv", "chancen.xlsx"), encoding="utf-8")
    (folder / "chancen.xlsx").write_text(DEALS, encoding="utf-8")
    said = imports(folder, settings)
    assert said.code == 1
    assert "chancen.xlsx was not read, line 1: it is no readable workbook" in said.err


def test_headings_of_another_encoding_lead_to_the_key_that_declares_it(
    folder: Path, settings: dict[str, str]
) -> None:
    (folder / "mapping.toml").write_text(MAPPING.replace('"Besitzer"', '"Verkäufer"'), encoding="utf-8")
    (folder / "chancen.csv").write_bytes(DEALS.replace("Besitzer", "Verkäufer").encode("cp1252"))
    said = imports(folder, settings)
    assert said.code == 1
    assert 'declare the encoding, most often encoding = "cp1252"' in said.err
    assert "\\udc" not in said.err
    (folder / "mapping.toml").write_text(
        MAPPING.replace('"Besitzer"', '"Verkäufer"').replace(
            'decimal = ","', 'decimal = ","\nencoding = "cp1252"'
        ),
        encoding="utf-8",
    )
    assert imports(folder, settings).code == 0


def test_an_empty_table_is_read_where_it_is_said_to_be_right(folder: Path, settings: dict[str, str]) -> None:
    (folder / "chancen.csv").write_text(DEALS.splitlines()[0] + "\n", encoding="utf-8")
    (folder / "mapping.toml").write_text(
        MAPPING.replace('decimal = ","', 'decimal = ","\nmay_be_empty = true'), encoding="utf-8"
    )
    assert imports(folder, settings).code == 0


def test_a_people_table_without_rows_is_nobody_gone(folder: Path, settings: dict[str, str]) -> None:
    assert imports(folder, settings).code == 0
    (folder / "team.csv").write_text(PEOPLE.splitlines()[0] + "\n", encoding="utf-8")
    said = imports(folder, settings)
    assert said.code == 1
    assert "team.csv has headings and no rows" in said.err
    (folder / "team.csv").write_text(PEOPLE, encoding="utf-8")
    assert imports(folder, settings).code == 0


def test_one_bad_row_is_one_row_and_says_why_its_table_is_not_read(
    folder: Path, settings: dict[str, str]
) -> None:
    (folder / "chancen.csv").write_text(DEALS + "3;Jonas Weber;gestern;Gespräch;;;\n", encoding="utf-8")
    said = imports(folder, settings)
    assert said.code == 0
    assert "1 row needs a look" in said.out
    assert "1 of 3 rows cannot be read: correct them" in said.out


def test_what_the_files_cannot_say_is_one_line_with_a_count(folder: Path, settings: dict[str, str]) -> None:
    said = imports(folder, settings)
    line = next(line for line in said.out.splitlines() if line.startswith("unsupported"))
    body = json.loads(imports(folder, settings, "--json", "-").out)
    assert f"{len(body['coverage']['unsupported'])} metrics" in line
    assert "tasks_overdue" not in said.out


def test_a_path_that_is_nothing_is_a_readable_line(folder: Path, settings: dict[str, str]) -> None:
    empty = folder / "empty"
    empty.mkdir()
    said = imports(empty, settings)
    assert said.code == 2
    assert f"there is no file {empty / 'mapping.toml'}" in said.err


def test_what_read_nothing_is_not_remembered_and_no_poll_fails_by_it(
    folder: Path, settings: dict[str, str]
) -> None:
    for name in ("team.csv", "chancen.csv"):
        (folder / name).rename(folder / f"away-{name}")
    (folder / "mapping.toml").write_text(MAPPING.replace("chancen*.csv", "chancen.csv"), encoding="utf-8")
    said = imports(folder, settings)
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("Nothing could be read: ")
    polled = typed(("poll",), settings, folder)
    assert (polled.code, "nothing to read" in polled.err) == (2, True)
    for name in ("team.csv", "chancen.csv"):
        (folder / f"away-{name}").rename(folder / name)
    assert imports(folder, settings).code == 0
    for name in ("team.csv", "chancen.csv"):
        os.utime(folder / name, (0, 0))  # nobody is writing it any more
    assert typed(("poll", "--json", "-"), settings, folder).code == 0


def test_doctor_says_which_address_was_looked_for(folder: Path, settings: dict[str, str]) -> None:
    template = 'email_template = "{first}.{last}@example.com"\nfold = "german"\n[people.columns]'
    mapping = MAPPING.replace("[people.columns]", template).replace('email = "E-Mail"\n', "")
    (folder / "mapping.toml").write_text(mapping, encoding="utf-8")
    for name in ("team.csv", "chancen.csv"):
        text = (folder / name).read_text(encoding="utf-8").replace("Jonas Weber", "Jürgen Weiß")
        (folder / name).write_text(text, encoding="utf-8")
    assert imports(folder, settings).code == 0
    said = typed(("doctor",), settings, folder)
    assert "Jürgen Weiß (juergen.weiss@example.com)" in said.out


def test_replay_falls_back_to_the_programme_of_every_other_command(
    folder: Path, settings: dict[str, str]
) -> None:
    words = ("replay", str(folder), "--from", "2026-11-16", "--to", "2026-11-17", "--messenger", "console")
    said = typed(words, settings, folder)
    assert (said.code, said.err) == (0, "")
    assert f"Programme: {settings['FULLSTEAM_PROGRAMME']}" in said.out
