"""What is said: it loads, it is complete, it fits into Slack, and every fault of a file comes at once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import nudges
from bot.content.fields import TRIGGERS, typed
from bot.content.lint import lint_paths
from bot.content.load import RECORD_DETAIL, Content, gather, load
from bot.content.preview import NOW, PROGRAMME, example_candidate, example_person, preview, preview_message
from bot.content.wording import (
    back_off_message,
    can_be_said,
    message,
    tip_message,
    welcome_message,
    what_is_read,
)
from bot.domain.behaviours import check as check_behaviour
from bot.domain.errors import ConfigurationError, Refused
from bot.domain.messages import Button, Buttons, Heading, Message, Note, Paragraph, Quote, RecordLine, Records
from bot.domain.nudging import Trigger
from bot.domain.people import GOALS, ROLES
from bot.domain.programme import MAX_BEHAVIOURS_PER_ROLE
from bot.domain.usage import METRICS, RecordRef
from bot.plugins import discover
from bot.rendering import MissingField

CONTENT = load()
TIP = "past_close_date_seller_performance"
SHIPPED = [
    (tip.id, language, role)
    for tip in CONTENT.tips.values()
    for language in tip.texts
    for role in sorted(tip.roles)
]
MESSAGES = [
    (m.key, language)
    for m in CONTENT.messages.values()
    if not m.key.startswith(RECORD_DETAIL)
    for language in m.bodies
]


def write(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return root


def fits_slack(shown: Message) -> None:
    """Limits of Block Kit (docs.slack.dev/reference/block-kit) and of one readable message."""
    assert shown.text.strip()
    assert len(shown.text) <= 4000
    assert len(shown.parts) <= 20
    for part in shown.parts:
        if isinstance(part, (Heading, Paragraph, Note)):
            assert 0 < len(part.text) <= (150 if isinstance(part, Heading) else 3000)
        if isinstance(part, Buttons):
            assert part.buttons or part.menu
            assert len(part.buttons) <= 5
            assert len(part.menu) <= 5
            for button in (*part.buttons, *part.menu):
                assert 0 < len(button.label) <= 75
                assert len(button.action) <= 255
                assert len(button.value) <= 2000
                assert button.url is None or len(button.url) <= 3000
    assert Message.from_json(json.loads(json.dumps(shown.to_json()))) == shown


@pytest.mark.parametrize(("tip", "language", "role"), SHIPPED)
def test_every_tip_is_shown_in_each_of_its_languages_to_each_of_its_roles(
    tip: str, language: str, role: str
) -> None:
    shown = preview(CONTENT, tip, language, role)
    fits_slack(shown)
    assert (shown.template, shown.language, shown.kind) == (tip, language, "tip")
    actions = [b.action for p in shown.parts if isinstance(p, Buttons) for b in p.buttons]
    assert actions == ["tip:do", "tip:remind", "tip:blocked"]
    if CONTENT.tips[tip].names_records:
        assert "Northwind renewal" in shown.text


MANY_WORDS = (
    *(
        "which of",
        "one of them",
        "one of these",
        " a deal.",
        "for the first",
        "first talk",
        "first call",
        "and more",
    ),
    *("davon", "pro Deal", "den ersten brauchst", "Das erste Gespräch", "noch einer", "weitere"),
)
"""Words that speak of a list: none of them stands in a tip about one record."""


@pytest.mark.parametrize("tip", sorted(CONTENT.tips))
def test_every_tip_reads_well_for_one_record_for_two_and_for_seven(tip: str) -> None:
    for language in ("en", "de"):
        one, two, seven = (preview(CONTENT, tip, language, records=count) for count in (1, 2, 7))
        for shown in (one, two, seven):
            fits_slack(shown)
        if not CONTENT.tips[tip].names_records:
            continue
        heading = [next(p.text for p in m.parts if isinstance(p, Heading)) for m in (one, two, seven)]
        plural = "7 of your" if language == "en" else "7 deiner"
        assert "7" not in heading[0]
        assert "2" in heading[1]
        assert plural in heading[2]
        assert heading[1].replace("2", "7") == heading[2]
        for of_many in MANY_WORDS:
            assert of_many not in one.text, tip
        more = "and 5 more" if language == "en" else "und 5 weitere"
        assert more in seven.text
        assert more not in two.text


def test_every_tip_and_message_is_german_too_and_a_message_is_no_notiz() -> None:
    assert [tip.id for tip in CONTENT.tips.values() if "de" not in tip.texts] == []
    assert CONTENT.untranslated("de") == ()
    for key, text in CONTENT.messages.items():
        german = " ".join(template for _, template in text.bodies["de"].templates())
        assert "Notiz" not in german, key


@pytest.mark.parametrize(("key", "language"), MESSAGES)
def test_every_message_is_shown_in_each_of_its_languages(key: str, language: str) -> None:
    shown = preview_message(CONTENT, key, language)
    fits_slack(shown)
    assert (shown.template, shown.language) == (key, language)


def test_every_text_has_english() -> None:
    assert [t.id for t in CONTENT.tips.values() if "en" not in t.texts] == []
    assert [m.key for m in CONTENT.messages.values() if "en" not in m.bodies] == []
    assert [b.id for b in CONTENT.behaviours.values() if not b.name] == []


def test_there_is_a_tip_for_every_goal_of_every_role_on_every_trigger_that_the_role_meets() -> None:
    offered = {(role, tip.trigger, tip.goal) for tip in CONTENT.tips.values() for role in tip.roles}
    wanted = {
        (role, trigger, goal)
        for role in ROLES
        for trigger, fields in TRIGGERS.items()
        for goal in GOALS
        if not fields.behaviour or role in CONTENT.behaviours[fields.behaviour].roles
    }
    assert wanted - offered == set()
    assert {trigger for role, trigger, _ in wanted if role == "seller"} == set(TRIGGERS)
    assert len(CONTENT.tips) >= 36


def test_the_behaviours_are_observable_and_at_most_twelve_for_a_role() -> None:
    for behaviour in CONTENT.behaviours.values():
        assert check_behaviour(behaviour) == []
    for role in ROLES:
        assert 1 <= sum(role in b.roles for b in CONTENT.behaviours.values()) <= MAX_BEHAVIOURS_PER_ROLE


def test_every_trigger_with_records_says_which_state_behaviour_it_is_about() -> None:
    for name, fields in TRIGGERS.items():
        if fields.metric is not None:
            assert CONTENT.behaviours[fields.behaviour].metrics == (fields.metric,), name
            assert RECORD_DETAIL + name in CONTENT.messages


def test_the_contract_with_the_triggers_is_what_the_triggers_say() -> None:
    triggers = {trigger.name: trigger for trigger in discover(nudges, Trigger)}
    assert set(triggers) == set(TRIGGERS)
    for name, fields in TRIGGERS.items():
        assert triggers[name].behaviour == fields.behaviour
        assert triggers[name].own_records == fields.records
        assert fields.metric is None or fields.metric in triggers[name].reads


def test_a_tip_is_about_its_own_records_then_gain_then_effort_then_buttons() -> None:
    shown = preview(CONTENT, TIP)
    assert shown.parts == (
        Heading("2 of your deals have a close date in the past"),
        Records(
            (
                RecordLine("Northwind renewal", "was due 3 Nov", "https://crm.example.com/deals/001"),
                RecordLine("Isdom upgrade", "was due 9 Nov", "https://crm.example.com/deals/002"),
            )
        ),
        Paragraph(
            "With a true date they count in your forecast, and you commit to a number that you believe in. "
            "It takes a minute a deal."
        ),
        Note("As of 10 Nov, 09:12."),
        Buttons(
            (
                Button(
                    "tip:do",
                    "Update in Salesforce",
                    "preview",
                    "https://crm.example.com/deals/001",
                    "primary",
                ),
                Button("tip:remind", "Remind me", "preview"),
                Button("tip:blocked", "Something's in the way", "preview"),
            ),
            (
                Button("tip:not_for_me", "Not for me", "preview"),
                Button("tip:why", "Why this?", "preview"),
                Button("tip:pause", "Pause", "preview"),
            ),
        ),
    )


def tip_with(
    *records: RecordRef, count: int | None = None, live: bool = False, language: str = "en"
) -> Message:
    candidate = example_candidate(CONTENT.tips[TIP])
    assert candidate.evidence is not None
    evidence = replace(candidate.evidence, records=records, count=len(records) if count is None else count)
    return tip_message(
        CONTENT,
        TIP,
        replace(candidate, evidence=evidence),
        person=example_person("seller"),
        programme=PROGRAMME,
        language=language,
        delivery="m1",
        now=NOW,
        live=live,
    )


def test_records_beyond_those_named_are_counted() -> None:
    record = RecordRef("1", "Northwind", None, {"close_date": "2026-11-03"})
    assert "5 of your deals" in tip_with(record, count=5).text
    assert "and 4 more" in tip_with(record, count=5).text
    assert "more" not in tip_with(record).text
    assert "One of your deals has" in tip_with(record).text


def test_a_tip_that_is_read_again_before_sending_has_no_as_of() -> None:
    record = RecordRef("1", "Northwind", None, {})
    assert "As of 10 Nov, 09:12" in tip_with(record).text
    assert "As of" not in tip_with(record, live=True).text


def test_a_tip_that_names_records_is_not_worded_without_any() -> None:
    with pytest.raises(MissingField):
        tip_with()


def test_a_detail_that_the_crm_does_not_know_only_shortens_the_line() -> None:
    shown = tip_with(RecordRef("1", "Northwind", None, {"close_date": "soon", "other": "x"}))
    assert shown.parts[1] == Records((RecordLine("Northwind", "", "https://crm.example.com/deals/1"),))


def test_without_any_link_the_button_says_done() -> None:
    candidate = example_candidate(CONTENT.tips[TIP])
    shown = tip_message(
        CONTENT,
        TIP,
        candidate,
        person=example_person("seller"),
        programme=replace(PROGRAMME, record_link=None),
        language="en",
        delivery="m1",
        now=NOW,
    )
    (buttons,) = (p for p in shown.parts if isinstance(p, Buttons))
    assert buttons.buttons[0] == Button("tip:do", "Done", "m1", None, "primary")


def test_a_link_of_the_crm_goes_before_the_pattern_of_the_programme_and_a_bad_one_is_not_used() -> None:
    shown = tip_with(
        RecordRef("a/b", "One", "javascript:alert(1)"), RecordRef("2", "Two", "https://own.example/2?a=1&b=2")
    )
    records = shown.parts[1]
    assert isinstance(records, Records)
    assert [line.link for line in records.lines] == [
        "https://crm.example.com/deals/a%2Fb",
        "https://own.example/2?a=1&b=2",
    ]


@given(st.text(max_size=400), st.text(max_size=100), st.text(max_size=40), st.text(max_size=60))
def test_any_record_fits_and_stays_text(name: str, link: str, close: str, record_id: str) -> None:
    shown = tip_with(RecordRef(record_id or "1", name, link, {"close_date": close}))
    fits_slack(shown)
    for part in shown.parts:
        if isinstance(part, (Heading, Paragraph, Note)):
            assert "<" not in part.text


@given(st.text(max_size=200))
def test_any_first_name_is_only_a_name(name: str) -> None:
    person = replace(example_person("seller"), name=name)
    shown = welcome_message(
        CONTENT, person=person, programme=PROGRAMME, language="en", delivery="m1", now=NOW
    )
    fits_slack(shown)
    for part in shown.parts:
        if isinstance(part, (Heading, Paragraph, Note)):
            assert "<" not in part.text


def test_the_welcome_names_who_what_how_often_and_what_happens_with_words() -> None:
    shown = welcome_message(
        CONTENT,
        person=example_person("seller"),
        programme=PROGRAMME,
        language="en",
        delivery="m7",
        now=NOW,
        metrics=["opps_open", "won_count", "opps_missing_account"],
    )
    for said in (
        "Ada",
        "Dana Reyes",
        "Salesforce (your deals and how deals end)",
        "Only you see",
        "At most 2 notes a week",
        "you can delete it",
    ):
        assert said in shown.text
    (buttons,) = (p for p in shown.parts if isinstance(p, Buttons))
    assert [b.action for b in buttons.buttons] == [
        "goal:performance",
        "goal:productivity",
        "goal:personal",
        "goal:later",
    ]
    assert {b.value for b in buttons.buttons} == {"m7"}


def test_every_metric_that_is_read_has_a_plain_name_in_the_welcome() -> None:
    for metric in METRICS:
        assert len(what_is_read(CONTENT, [metric], "en")) == 1, metric


def test_the_language_path_falls_back_from_country_to_language_to_english() -> None:
    assert tip_with(RecordRef("1", "N"), language="de-AT").language == "de"
    assert tip_with(RecordRef("1", "N"), language="fr").language == "en"
    assert "deiner Deals" in tip_with(RecordRef("1", "N"), count=2, language="de").text
    german = back_off_message(CONTENT, person=example_person("seller"), language="de", delivery="m1")
    assert "Soll ich dir weiter schreiben?" in german.text
    assert f"tips/{TIP}" not in CONTENT.untranslated("de")
    assert f"tips/{TIP}" in CONTENT.untranslated("fr")
    assert CONTENT.untranslated("en") == ()


def test_dates_follow_the_region_of_the_reader_and_words_the_language() -> None:
    record = RecordRef("1", "N", None, {"close_date": "2026-11-03"})
    american = tip_with(record, language="en-US")
    assert "was due Nov 3" in american.text
    assert "As of Nov 10" in american.text
    assert american.language == "en"
    assert "was due 3 Nov" in tip_with(record, language="en-XX").text
    assert "was due 3 Nov" in tip_with(record, language="fr-CA").text
    assert "war fällig am 3. Nov." in tip_with(record, language="de_AT").text


def test_a_tip_that_is_not_translated_is_english_in_all_its_parts() -> None:
    tip = CONTENT.tips["open_long_manager"]
    english_only = replace(CONTENT, tips={tip.id: replace(tip, texts={"en": tip.texts["en"]})})
    shown = preview(english_only, tip.id, "de")
    assert shown.language == "en"
    assert "Why this?" in [b.label for p in shown.parts if isinstance(p, Buttons) for b in p.menu]


def test_preview_says_which_tips_and_roles_there_are() -> None:
    with pytest.raises(Refused, match=TIP):
        preview(CONTENT, "nothing")
    with pytest.raises(Refused, match="is for seller"):
        preview(CONTENT, TIP, role="manager")
    with pytest.raises(Refused, match="welcome"):
        preview_message(CONTENT, "nothing")


def own_message(tmp_path: Path, body: str, fields: str = "") -> Content:
    return load(write(tmp_path, "messages/own.toml", f'[own]\nkind = "answer"\n{fields}\n[own.en]\n{body}\n'))


def test_a_message_of_every_part_keeps_words_of_people_plain(tmp_path: Path) -> None:
    content = own_message(
        tmp_path,
        'parts = [{ heading = "{{ x }}" }, { quote = "{{ x }}" }, { records = "rows" }, { note = "{% if y %}y{% endif %}" },'
        ' { buttons = [{ action = "a", label = "{{ x }}" }, { action = "b", label = "{% if y %}y{% endif %}" }] }]',
        'fields = { x = "<b>", y = false, rows = [{ name = "N", detail = "d", link = "https://x.example" }] }',
    )
    rows = [RecordLine("<N>"), RecordRef("1", "M", None, {"a": "1"}), {"name": "O", "link": "ftp://x"}]
    shown = message(content, "own", {"x": "<b>", "y": False, "rows": iter(rows)}, language="de", value="v")
    assert shown.parts == (
        Heading("&lt;b&gt;"),
        Quote("<b>"),
        Records((RecordLine("<N>"), RecordLine("M", "1"), RecordLine("O"))),
        Buttons((Button("a", "<b>", "v"),)),
    )
    assert shown.text == "<b>\n“<b>”\n<N>\nM · 1\nO"
    with pytest.raises(MissingField, match="rows"):
        message(content, "own", {"x": "", "y": False}, language="en")
    with pytest.raises(MissingField, match="y"):
        message(content, "own", {"x": "", "rows": []}, language="en")


def test_a_message_of_buttons_alone_still_has_words_and_given_words_win(tmp_path: Path) -> None:
    buttons = 'parts = [{ buttons = [{ action = "a", label = "Yes" }, { action = "b", label = "No" }] }]'
    assert preview_message(own_message(tmp_path, buttons), "own").text == "Yes · No"
    assert preview_message(own_message(tmp_path, buttons + '\ntext = "Well?"'), "own").text == "Well?"


def test_a_folder_of_ones_own_changes_adds_and_takes_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        "tips/ours.toml",
        f'[{TIP}]\nversion = 2\n[{TIP}.en]\ngain = "Ours."\n[open_long_manager]\noff = true\n',
    )
    write(
        tmp_path, "messages/ours.toml", '[hello]\nkind = "answer"\nen = { parts = [{ paragraph = "Hi" }] }\n'
    )
    content = load(tmp_path)
    tip = content.tips[TIP]
    assert (tip.version, tip.texts["en"].gain) == (2, "Ours.")
    assert tip.texts["en"].effort == CONTENT.tips[TIP].texts["en"].effort
    assert tip.texts["de"] == CONTENT.tips[TIP].texts["de"]
    assert set(CONTENT.tips) - set(content.tips) == {"open_long_manager"}
    assert message(content, "hello", {}, language="en").text == "Hi"
    assert content.file_of("tips", TIP) == str(tmp_path / "tips" / "ours.toml")


def test_faults_of_all_files_come_at_once_with_file_and_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        "tips/a.toml",
        '[one]\ntrigger = "wrong"\nroles = ["boss"]\nmoles = 3\n[one.english]\nabout = "x"\n',
    )
    write(tmp_path, "tips/b.toml", f'[{TIP}.en]\ngain = ""\neffort = "{{{{ wrong }}}}"\n')
    write(tmp_path, "tips/c.toml", "[broken\n")
    write(tmp_path, "tips/d.toml", f"loose = 1\n[{TIP}]\nversion = 3\n")
    write(
        tmp_path, "messages/m.toml", '[m]\nkind = "shout"\nde = { parts = [{ heading = "x", note = "y" }] }\n'
    )
    write(tmp_path, "messages/n.toml", '[n]\nkind = "answer"\nde = { parts = [{ records = "rows" }] }\n')
    write(
        tmp_path,
        "behaviours/b.toml",
        '[log_in]\nname = { de = "x" }\nroles = ["seller"]\nkind = "count"\nmetrics = ["active_day"]\ntarget = 1\n',
    )
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    said = "\n".join(caught.value.faults)
    for file, key, word in (
        ("tips/a.toml", "one.moles", "nothing reads"),
        ("tips/a.toml", "one.behaviour", "is missing"),
        ("tips/a.toml", "one.english", "pattern"),
        ("tips/b.toml", f"{TIP}.en.gain", "is missing or empty"),
        ("tips/b.toml", f"{TIP}.en.effort", "unknown name wrong"),
        ("tips/c.toml", "is no valid TOML", "no valid TOML"),
        ("tips/d.toml", "loose", "outside of a table"),
        ("tips/d.toml", TIP, "is also in"),
        ("messages/m.toml", "m.de.parts.0", "exactly one of"),
        ("messages/n.toml", "n.en", "is missing"),
        ("messages/n.toml", "n.de.parts[0].records", "unknown list"),
        ("behaviours/b.toml", "log_in", "never a behaviour"),
        ("behaviours/b.toml", "log_in.name.en", "is missing"),
    ):
        assert any(f"{tmp_path / file}: {key}" in fault and word in fault for fault in caught.value.faults), (
            key,
            said,
        )


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    _, faults = gather(tmp_path / "nowhere")
    assert ["is no folder" in fault.message for fault in faults] == [True]


def test_details_are_read_by_type_and_what_does_not_fit_is_left_out() -> None:
    assert typed("past_close_date", {"close_date": "2026-11-03T10:00:00Z", "x": "y"}) == {
        "close_date": date(2026, 11, 3)
    }
    assert typed("open_long", {"days_open": "112", "step": " "}) == {"days_open": 112}
    assert typed("open_long", {"days_open": "12.34"}) == {"days_open": 12.3}
    assert typed("open_long", {"days_open": "nan"}) == {}
    assert typed("first_weeks", {"days_open": "1"}) == {}


def test_the_shipped_content_has_no_fault_today_nor_in_a_year() -> None:
    for today in (datetime(2026, 11, 21, tzinfo=UTC).date(), date(2027, 11, 21)):
        assert [str(fault) for fault in lint_paths(today=today).faults] == []


PROBE = "{% if records[1].step %}{{ records[1].step }}{% endif %}{% for r in records %}{{ r.days_in_step|number }}{% endfor %}"


@given(st.sampled_from(sorted(CONTENT.tips)), st.lists(st.sets(st.sampled_from(["step", "days_in_step", "close_date", "days_open", "days_quiet"])), max_size=3), st.sampled_from(["", "{{ records[0].step }}", PROBE]))  # fmt: skip
def test_what_is_known_to_be_sayable_without_a_try_is_said(
    tip: str, given_details: list[set[str]], how: str
) -> None:
    known = {"step": "Proposal", "days_in_step": "70", "close_date": "2026-11-03", "days_open": "9"}
    records = tuple(
        RecordRef(str(number), f"Deal {number}", None, {key: known.get(key, "x") for key in details})
        for number, details in enumerate(given_details)
    )
    shipped = CONTENT.tips[tip]
    texts = {language: replace(words, how=words.how + how) for language, words in shipped.texts.items()}
    content = replace(CONTENT, tips={**CONTENT.tips, tip: replace(shipped, texts=texts)})
    candidate = example_candidate(shipped)
    if candidate.evidence is not None:
        candidate = replace(
            candidate, evidence=replace(candidate.evidence, records=records, count=len(records))
        )
    certain = can_be_said(content, tip, candidate, PROGRAMME, "en")
    try:
        tip_message(
            content,
            tip,
            candidate,
            person=example_person("seller"),
            programme=PROGRAMME,
            language="en",
            delivery="m1",
            now=NOW,
        )
    except MissingField:
        assert not certain
    if not how and all(known.keys() <= details for details in given_details) and given_details:
        assert certain, "the shipped words are put off, or planning is slow"
