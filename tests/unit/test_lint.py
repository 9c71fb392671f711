"""Each rule of the voice refuses its sin: one tip that breaks one rule, and the fault that names it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from bot.content.lint import grade, lint, lint_paths, syllables
from bot.content.load import load

NONE: Mapping[str, str] = {}
TODAY = date(2026, 11, 21)
GOOD = {
    "about": "{{ count|plural('One deal has', '# deals have') }} no account",
    "gain": "With the account you see who bought before.",
    "effort": "It takes a minute a deal.",
    "how": "",
    "action": "Add in {{ crm }}",
}
FACTS = {
    "trigger": '"missing_account"',
    "behaviour": '"account_filled"',
    "roles": '["seller"]',
    "goal": '"performance"',
    "effort_minutes": "1",
    "evidence": '"Experience: it helps."',
    "owner": '"adoption_lead"',
    "expires": "2028-01-01",
}


def faults_of(
    tmp_path: Path, language: str = "en", facts: Mapping[str, str] = NONE, **texts: str
) -> list[str]:
    """Faults of the good tip with these texts or facts in place of its own; German is given beside the good English."""
    lines = ["[t]", *(f"{key} = {value}" for key, value in {**FACTS, **facts}.items())]
    for each, words in {"en": GOOD, language: {**GOOD, **texts}}.items():
        lines += [f"[t.{each}]", *(f"{key} = {value!r}" for key, value in words.items() if "'" not in value)]
        lines += [f'{key} = "{value}"' for key, value in words.items() if "'" in value]
    file = tmp_path / "tips" / "t.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")
    faults = lint_paths([tmp_path], today=TODAY).faults
    assert all(fault.file == str(file) and fault.key.startswith("t") and fault.message for fault in faults)
    return [str(fault) for fault in faults]


def test_a_single_file_is_linted_like_its_folder(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, gain="")
    assert (
        [str(fault) for fault in lint_paths([tmp_path / "tips" / "t.toml"], today=TODAY).faults]
        == faults
        != []
    )
    (fault,) = lint_paths([tmp_path / "tips" / "other"], today=TODAY).faults
    assert "is no folder" in fault.message


def test_the_good_tip_has_no_fault(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == []
    assert faults_of(tmp_path, "de") == []


@pytest.mark.parametrize("key", ["about", "gain", "effort"])
def test_a_tip_without_gain_effort_or_subject_is_refused(tmp_path: Path, key: str) -> None:
    for empty in ("", "   "):
        (fault,) = faults_of(tmp_path, "en", NONE, **{key: empty})
        assert f"t.en.{key}: is missing or empty" in fault


@pytest.mark.parametrize("key", ["gain", "effort"])
def test_a_translation_without_gain_or_effort_is_refused(tmp_path: Path, key: str) -> None:
    (fault,) = faults_of(tmp_path, "de", NONE, **{key: ""})
    assert f"t.de.{key}" in fault


@pytest.mark.parametrize(
    ("language", "words", "sin"),
    [
        ("en", "You still haven't done it.", "blames"),
        ("en", "You failed to fill it.", "blames"),
        ("en", "Resistance is normal.", "blames"),
        ("en", "It is for low adopters.", "blames"),
        ("en", "Do not be a laggard.", "blames"),
        ("en", "Lazy lists cost time.", "blames"),
        ("en", "You forgot the account.", "blames"),
        ("de", "Du hast immer noch keinen Kunden.", "blames"),
        ("de", "Faul sein ist teuer.", "blames"),
        ("de", "Widerstand ist normal.", "blames"),
        ("de", "Du hast versäumt, ihn zu nennen.", "blames"),
        ("en", "It is good for your bonus.", "threatens"),
        ("en", "Compensation may depend on it.", "threatens"),
        ("en", "It has consequences.", "threatens"),
        ("en", "It will be reported.", "threatens"),
        ("de", "Sonst hat das Konsequenzen.", "threatens"),
        ("de", "Dein Gehalt hängt daran.", "threatens"),
        ("en", "Most of your team does it.", "compares"),
        ("en", "Top performers do it.", "compares"),
        ("en", "See how you rank.", "compares"),
        ("en", "You are below average.", "compares"),
        ("de", "Die meisten in deinem Team tun es.", "compares"),
        ("de", "Du stehst oben auf der Rangliste.", "compares"),
        ("en", "It helps data hygiene.", "jargon"),
        ("en", "Better utilisation of fields.", "jargon"),
        ("en", "It lifts the adoption score.", "jargon"),
        ("en", "Leverage the account.", "jargon"),
        ("de", "Es hebt die Datenqualität.", "jargon"),
    ],
)
@pytest.mark.parametrize("key", ["about", "gain", "effort", "how"])
def test_words_that_hurt_are_refused_wherever_they_stand(
    tmp_path: Path, language: str, words: str, sin: str, key: str
) -> None:
    faults = faults_of(tmp_path, language, NONE, **{key: words})
    assert any(f"t.{language}.{key}" in fault and sin in fault for fault in faults), faults


def test_hurt_in_a_label_or_across_a_plural_form_is_found(tmp_path: Path) -> None:
    assert "blames" in "".join(faults_of(tmp_path, action="Fix your mistake"))
    assert "blames" in "".join(
        faults_of(tmp_path, gain="You {{ count|plural('did', 'forgot') }} it once more.")
    )


def test_a_word_inside_another_word_is_no_sin(tmp_path: Path) -> None:
    assert faults_of(tmp_path, gain="Frank, the franking and the blazing bonusless crank.") == []


def test_sixty_words_are_too_many_and_fifty_nine_are_not(tmp_path: Path) -> None:
    # The subject as shown has five words, the effort six.
    assert faults_of(tmp_path, gain="of it. " * 24) == []
    (fault,) = faults_of(tmp_path, gain="of it. " * 24 + "it.")
    assert "has 60 words" in fault


def test_one_ask_at_most(tmp_path: Path) -> None:
    assert faults_of(tmp_path, how="Who bought before?") == []
    assert "more than one thing" in "".join(faults_of(tmp_path, how="Who bought? And when?"))
    assert "more than one thing" in "".join(faults_of(tmp_path, how="Please add it. Could you call them?"))
    assert "more than one thing" in "".join(faults_of(tmp_path, how="While you are at it, fill the amount."))
    assert "more than one thing" in "".join(
        faults_of(tmp_path, "de", how="Und wenn du schon dabei bist, den Betrag.")
    )


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", {"gain": "Look at what moved it.", "how": "Set the day that the buyer would name."}),
        ("en", {"gain": "You see who bought before.", "how": "Write your guess now and look at it later."}),
        ("en", {"how": "If you did talk to them, log the call. Then close it."}),
        (
            "en",
            {"gain": "Closing it makes your list shorter.", "how": "If you did talk, log that call instead."},
        ),
        ("de", {"gain": "Schau, wer es war.", "how": "Trag den Kunden ein."}),
        ("de", {"how": "Trag den Kunden ein und prüf den Betrag."}),
        ("de", {"how": "Wenn ihr schon gesprochen habt, trag das ein. Schließ ihn dann."}),
    ],
)
def test_two_imperatives_are_two_asks(tmp_path: Path, language: str, texts: dict[str, str]) -> None:
    (fault,) = faults_of(tmp_path, language, NONE, **texts)
    assert f"t.{language}: asks for more than one thing" in fault


@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("en", "Start with the one that you would miss most."),
        ("en", "Name, account and date are enough."),
        ("en", "Close dates and links and calls follow by themselves."),
        ("de", "Fang mit dem an, der dir am meisten fehlen würde."),
        ("de", "Eine Zeile genügt: wer was macht, an welchem Tag und um wie viel Uhr."),
    ],
)
def test_one_imperative_or_none_is_one_ask(tmp_path: Path, language: str, how: str) -> None:
    assert faults_of(tmp_path, language, NONE, how=how) == []


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("effort", "said"),
    [
        ("It takes two minutes a deal.", "names 2 minutes, effort_minutes says 1"),
        ("Das dauert zwei Minuten pro Deal.", "names 2 minutes, effort_minutes says 1"),
        ("It takes 15 minutes a deal.", "names 15 minutes, effort_minutes says 1"),
        ("It is not long for each.", "names no minutes"),
        ("One minute for the first, two minutes for the next.", "names 1 and 2 minutes"),
        ("It takes about a minute.", "stands below a list of 7"),
        ("Das dauert eine Minute.", "stands below a list of 7"),
        ("{{ count|plural('a minute each', 'a minute') }}", "stands below a list of 7"),
        ("{{ count|plural('two minutes', 'a minute each') }}", "names 2 minutes"),
    ],
)
def test_the_effort_is_one_honest_number_of_minutes(
    tmp_path: Path, language: str, effort: str, said: str
) -> None:
    (fault,) = faults_of(tmp_path, language, NONE, effort=effort)
    assert f"t.{language}.effort" in fault
    assert said in fault


@pytest.mark.parametrize(
    "effort",
    [
        "It takes a minute each.",
        "The first one takes a minute.",
        "It takes {{ count|plural('a minute', 'a minute a deal') }}.",
        "Für den ersten brauchst du eine Minute.",
        "Das dauert 1 Minute pro Deal.",
    ],
)
def test_minutes_for_each_record_or_for_one_of_them_pass(tmp_path: Path, effort: str) -> None:
    assert faults_of(tmp_path, effort=effort) == []


def test_one_exclamation_mark_at_most(tmp_path: Path) -> None:
    assert faults_of(tmp_path, gain="You see who bought before!") == []
    assert "exclamation" in "".join(faults_of(tmp_path, gain="You see who bought before!", how="Great!"))


def test_nobody_is_shouted_at(tmp_path: Path) -> None:
    assert faults_of(tmp_path, gain="You see who bought before (CRM, ISO).") == []
    (fault,) = faults_of(tmp_path, gain="You see WHO BOUGHT before.")
    assert "t.en.gain" in fault
    assert "'BOUGHT'" in fault


def test_one_emoji_at_most(tmp_path: Path) -> None:
    assert faults_of(tmp_path, gain="You see who bought before 🎯") == []
    assert "emoji" in "".join(faults_of(tmp_path, gain="You see who 🎯 bought before :tada:"))


def test_words_that_nobody_reads_at_a_glance_are_refused_in_english_only(tmp_path: Path) -> None:
    hard = "Systematically consolidating organisational information facilitates unparalleled commercial intelligence."
    assert "school grade" in "".join(faults_of(tmp_path, gain=hard, about=hard, how=hard))
    assert faults_of(tmp_path, "de", gain=hard, about=hard, how=hard) == []


@pytest.mark.parametrize(
    ("facts", "key", "word"),
    [
        ({"behaviour": '"fly"'}, "t.behaviour", "no behaviour 'fly'"),
        ({"behaviour": '"next_step_set"'}, "t.behaviour", "is about account_filled"),
        ({"trigger": '"moon"'}, "t.trigger", "no trigger 'moon'"),
        ({"roles": '["king"]'}, "t.roles", "no role 'king'"),
        ({"goal": '"fame"'}, "t.goal", "no goal 'fame'"),
        ({"expires": "2026-11-21"}, "t.expires", "was 2026-11-21"),
        ({"owner": '"somebody"'}, "t.owner", "no role of the programme"),
        ({"evidence": '" "'}, "t.evidence", "names no source"),
        ({"evidence": '"Experience"'}, "t.evidence", "names no source"),
        ({"evidence": '"Studies show it."'}, "t.evidence", "names no source"),
        ({"effort_minutes": "2"}, "t.en.effort", "names 1 minutes, effort_minutes says 2"),
        ({"effort_minutes": "0"}, "t.effort_minutes", "greater than or equal to 1"),
        (
            {"trigger": '"missing_amount"', "behaviour": '"amount_filled"', "roles": '["service"]'},
            "t.roles",
            "not asked of service",
        ),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    tmp_path: Path, facts: dict[str, str], key: str, word: str
) -> None:
    faults = faults_of(tmp_path, facts=facts)
    assert any(f": {key}:" in fault and word in fault for fault in faults), faults


def test_an_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, gain="{{ amount }}")
    assert "t.en.gain" in fault
    assert "unknown name amount" in fault
    assert "count, crm, first_name" in fault
    (fault,) = faults_of(tmp_path, gain="{{ records[0].close_date }}")
    assert "unknown field close_date" in fault


def test_a_name_that_only_the_second_record_has_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, gain="{{ records[1].name }}")
    assert "cannot be shown" in fault


def test_a_tip_on_records_needs_a_short_label(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, action="")
    assert "t.en.action: is missing" in fault
    (fault,) = faults_of(tmp_path, action="x" * 41)
    assert "at most 40 characters" in fault
    (fault,) = faults_of(tmp_path, action="x" * 90)
    assert "too long" in fault


def test_a_tip_without_english_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tips" / "t.toml"
    file.parent.mkdir()
    facts = "\n".join(f"{key} = {value}" for key, value in FACTS.items())
    file.write_text(
        f'[t]\n{facts}\n[t.de]\nabout = "a"\ngain = "b"\neffort = "c"\naction = "d"\n', encoding="utf-8"
    )
    assert ["t.en: is missing" in str(fault) for fault in lint_paths([tmp_path], today=TODAY).faults] == [
        True
    ]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ('{ paragraph = "You failed to answer." }', "blames"),
        ('{ paragraph = "Hi!" }, { paragraph = "Ho!" }', "exclamation"),
        ('{ paragraph = "🎯 🎯" }', "emoji"),
        ('{ paragraph = "{{ name }}" }', "unknown name name"),
        ('{ heading = "{% if x == 2 %}x{% endif %}" }', "has no words"),
        ('{ paragraph = "{{ x|day }}" }', "cannot be shown"),
        ('{ paragraph = "x" }, { buttons = [{ action = "a", label = "' + "y" * 76 + '" }] }', "at most 75"),
        ('{ paragraph = "x" }, { buttons = [{ action = "a", label = "Fix your mistake" }] }', "blames"),
    ],
)
def test_messages_are_held_to_the_same_voice(tmp_path: Path, body: str, word: str) -> None:
    file = tmp_path / "messages" / "m.toml"
    file.parent.mkdir()
    file.write_text(
        f'[m]\nkind = "answer"\nfields = {{ x = 1 }}\n[m.en]\nparts = [{body}]\n', encoding="utf-8"
    )
    faults = [str(fault) for fault in lint_paths([tmp_path], today=TODAY).faults]
    assert len(faults) == 1, faults
    assert word in faults[0]
    assert "m.en" in faults[0]


def test_thirteen_behaviours_for_a_role_are_too_many(tmp_path: Path) -> None:
    file = tmp_path / "behaviours" / "b.toml"
    file.parent.mkdir()
    have = sum("seller" in b.roles for b in load().behaviours.values())
    one = '[b{0}]\nname = {{ en = "b" }}\nroles = ["seller"]\nkind = "count"\nmetrics = ["step_moves"]\ntarget = 1\n'
    file.write_text("".join(one.format(i) for i in range(13 - have)), encoding="utf-8")
    content = load(tmp_path)
    (fault,) = lint(content, today=TODAY)
    assert "seller has 13 behaviours; 12 are the most" in fault.message


def test_the_measure_of_reading_age_knows_plain_words_from_hard_ones() -> None:
    assert [syllables(w) for w in ("a", "date", "dates", "wanted", "called", "table", "information", "update")] == [
        1, 1, 1, 2, 1, 2, 4, 2,
    ]  # fmt: skip
    # Published grades: the cat text is below zero, the second sentence of the American declaration is beyond school.
    assert grade("The cat sat on the mat. The dog sat on the log. It was good.") < 1
    assert (
        grade(
            "We hold these truths to be self-evident, that all men are created equal, that they are endowed by their Creator "
            "with certain unalienable Rights, that among these are Life, Liberty and the pursuit of Happiness."
        )
        > 12
    )
    assert grade("Too short.") == 0


def test_a_file_on_its_own_is_known_by_its_keys(tmp_path: Path) -> None:
    faults_of(tmp_path, gain="")
    alone = (tmp_path / "tips" / "t.toml").rename(tmp_path / "mine.toml")
    found = lint_paths([alone], today=TODAY)
    assert found.read == {"behaviours": 0, "tips": 1, "messages": 0}
    assert [str(fault).partition(" ")[0] for fault in found.faults] == [f"{alone}:"] * len(found.faults)
    assert any("t.en.gain: is missing or empty" in str(fault) for fault in found.faults)


def test_a_folder_without_tips_and_texts_is_not_in_order(tmp_path: Path) -> None:
    (tmp_path / "tip").mkdir()
    found = lint_paths([tmp_path], today=TODAY)
    assert set(found.read.values()) == {0}
    assert [str(fault) for fault in found.faults] == [
        f"{tmp_path}: found nothing to check here, only tip/; tips and texts stand in behaviours/, tips/, messages/"
    ]


def test_what_nothing_reads_beside_good_tips_is_named(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == []
    (tmp_path / "hints").mkdir()
    (tmp_path / "loose.toml").touch()
    (fault,) = lint_paths([tmp_path], today=TODAY).faults
    assert "hints/, loose.toml: nothing reads this" in fault.message


def test_a_folder_of_tips_is_looked_at_by_itself(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == []
    found = lint_paths([tmp_path / "tips"], today=TODAY)
    assert (found.read["tips"], found.faults) == (1, ())


def test_a_quotation_mark_that_never_ends_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "tips").mkdir()
    file = tmp_path / "tips" / "t.toml"
    file.write_text('[t]\ntrigger = "no_next_step\nversion = 1\n', encoding="utf-8")
    (fault,) = lint_paths([tmp_path], today=TODAY).faults
    assert str(fault).startswith(f"{file}: is no valid TOML: ")
    assert "line 2" in str(fault)
