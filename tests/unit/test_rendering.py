"""Templates: nothing that a CRM says can act in Slack, and nothing that an author writes can act in us."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rendering import (
    MissingField,
    Mrkdwn,
    check,
    escape,
    linked,
    mrkdwn,
    plain,
    plain_text,
    safe_url,
    unescape,
)

SCHEMA = {"x": None, "count": None, "records": frozenset({"name", "link", "days"})}
TEXT = st.text(max_size=200) | st.sampled_from(
    [
        "<!channel>",
        "<@U012345>",
        "<https://evil.example|bank>",
        "&lt;!here&gt;",
        "{{ x }}",
        "{% for %}",
        "\u202eabc",
        "a|b>",
    ]
)
SHAPES = [
    "{{ x }}",
    "{% if x %}{{ x }}{% else %}{{ x }}{% endif %}",
    "{% for r in records %}{{ r.name }}{% endfor %}",
    "{{ records[0].name }}",
    "{{ x if x else x }}",
    "{{ records|names(1) }}",
    "{{ 1|plural(x, x) }}",
]


@given(TEXT, st.sampled_from(SHAPES))
def test_no_text_of_a_crm_ever_becomes_markup(text: str, shape: str) -> None:
    shown = mrkdwn(f"a[{shape}]b", {"x": text, "records": [{"name": text}]})
    assert "<" not in shown
    assert ">" not in shown
    if "plural" not in shape:
        assert unescape(shown) == f"a[{text}]b"
        assert plain_text(shown) == f"a[{text}]b"


@given(TEXT)
def test_escaping_is_undone_by_unescaping(text: str) -> None:
    assert unescape(escape(text)) == text


@given(TEXT, TEXT)
def test_a_link_is_one_link_or_none(text: str, url: str) -> None:
    shown = linked(text, url)
    assert shown.count("<") == shown.count(">") <= 1
    assert shown.count("|") <= 1


def test_the_words_of_a_template_are_escaped_too() -> None:
    assert mrkdwn("Q&A: 1 < 2", {}) == "Q&amp;A: 1 &lt; 2"
    assert plain("Q&A: 1 < 2", {}) == "Q&A: 1 < 2"


def test_what_is_escaped_already_passes_as_it_is_and_reads_as_words_in_plain_text() -> None:
    link = mrkdwn("{{ x|link('https://help.example/a?b=1&c=2') }}", {"x": "A & B"})
    assert link == "<https://help.example/a?b=1&amp;c=2|A &amp; B>"
    assert mrkdwn("{{ x }}.", {"x": link}) == link + "."
    assert plain("{{ x }}.", {"x": link}) == "A & B."


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://a b",
        "http://",
        "//x.example",
        "https://x.example/|y",
        "https://x.example/>",
        "",
        None,
    ],
)
def test_only_a_web_address_is_linked(url: str | None) -> None:
    assert safe_url(url) is None
    assert linked("name", url) == "name"


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{{ wrong }}", "unknown name wrong"),
        ("{{ x.upper() }}", "Call"),
        ("{{ x() }}", "Call"),
        ("{{ x.y }}", "no parts"),
        ("{{ x.__class__ }}", "no parts"),
        ("{{ records[0].__class__ }}", "unknown field __class__"),
        ("{{ records[0].wrong }}", "unknown field wrong"),
        ("{{ records[0] }}", "no parts"),
        ("{{ records[x].name }}", "no parts"),
        ("{{ 'a' * 1000000000 }}", "Mul"),
        ("{{ 9 ** 9 ** 9 }}", "Pow"),
        ("{{ x ~ x }}", "Concat"),
        ("{{ x|safe }}", "unknown filter safe"),
        ("{{ x|tojson }}", "unknown filter tojson"),
        ("{{ x|day(1) }}", "wrong number of arguments"),
        ("{% set y = x %}", "Assign"),
        ("{% set y %}z{% endset %}", "AssignBlock"),
        ("{% macro m() %}{% endmacro %}", "Macro"),
        ("{% include 'x' %}", "Include"),
        ("{% filter upper %}x{% endfilter %}", "FilterBlock"),
        ("{% if x is defined %}{% endif %}", "Test"),
        ("{% for r in x %}{% endfor %}", "something else than records"),
        ("{% for r in [1, 2] %}{% endfor %}", "something else than records"),
        ("{% for r in records recursive %}{% endfor %}", "something else than records"),
        ("{% for r in records %}{% for s in records %}{% endfor %}{% endfor %}", "loop inside a loop"),
        ("{% for r in records %}{{ r }}{% endfor %}", "whole record"),
        ("{% for r in records %}{{ loop.cycle }}{% endfor %}", "loop.cycle"),
        ("{{ x", "bracket that is not closed"),
        ("wake <!channel>", "mentions"),
        ("{{ " + "(" * 900 + "x" + ")" * 900 + " }}", "brackets inside"),
        ("{{ " + "not " * 700 + "x }}", "brackets inside"),
        ("x" * 5000, "longer than"),
    ],
)
def test_a_template_may_only_name_choose_and_list(template: str, word: str) -> None:
    faults = check(template, SCHEMA)
    assert any(word in fault for fault in faults), faults


@pytest.mark.parametrize(
    "template", [*SHAPES, "{% for r in records %}{{ loop.index }} {{ r.days|number }}{% endfor %}"]
)
def test_what_authors_need_is_allowed(template: str) -> None:
    assert check(template, SCHEMA) == []


@given(st.text(alphabet="{}%|()[]x.r 'in forecdsif1#", max_size=60))
def test_any_template_is_refused_or_renders_or_says_what_is_missing(template: str) -> None:
    if check(template, SCHEMA):
        return
    try:
        shown = mrkdwn(
            template, {"x": "<&>", "count": 2, "records": [{"name": "<n>", "link": "l", "days": 1}]}
        )
    except MissingField:
        return
    assert "<" not in shown


def test_a_name_without_a_value_is_never_silently_empty() -> None:
    for values in ({}, {"x": None}):
        with pytest.raises(MissingField):
            mrkdwn("Hello {{ x }}", values)
    for filtered in ("day", "number", "money", "names", "plural('a', 'b')", "link('https://x.example')"):
        with pytest.raises(MissingField):
            mrkdwn("{{ x|" + filtered + " }}", {})
        with pytest.raises(MissingField):
            mrkdwn("{{ x|" + filtered + " }}", {"x": None})


@pytest.mark.parametrize("value", ["nan", "inf", "1e999999999", "many", "9" * 40])
def test_a_number_that_is_none_is_not_shown(value: str) -> None:
    for filtered in ("number", "money", "plural('a', '#')"):
        with pytest.raises(MissingField):
            mrkdwn("{{ x|" + filtered + " }}", {"x": value})


def test_objects_with_methods_do_not_enter_a_template() -> None:
    with pytest.raises(TypeError, match="not object"):
        mrkdwn("{{ x }}", {"x": object()})


def test_keys_of_a_record_win_over_methods_of_a_mapping() -> None:
    assert mrkdwn("{{ records[0].items }}", {"records": [{"items": "three"}]}) == "three"
    with pytest.raises(MissingField):
        mrkdwn("{{ records[0].keys }}", {"records": [{"items": "three"}]})


def test_days_numbers_and_money_follow_the_language() -> None:
    values = {"d": date(2026, 11, 3), "iso": "2025-11-09", "n": 12345.6, "today": date(2026, 11, 21)}
    template = "{{ d|day }} {{ iso|day }} {{ n|number }} {{ n|money('EUR') }} {{ n|money }}"
    assert mrkdwn(template, values, "en") == "3 Nov 9 Nov 2025 12,345.6 €12,346 12,346"
    assert mrkdwn("{{ d|day }} {{ n|number }}", values, "de") == "3. Nov. 12.345,6"
    assert mrkdwn("{{ d|day }}", values, "en-US") == "Nov 3"
    assert (
        mrkdwn("{{ d|day }}", {"d": datetime(2026, 11, 3, 9, tzinfo=UTC), "today": date(2026, 1, 1)}, "xx")
        == "3 Nov"
    )


def test_plural_has_a_form_for_one_and_a_form_for_all_other_numbers() -> None:
    template = "{{ n|plural('One deal', '# deals') }}"
    assert [mrkdwn(template, {"n": n}) for n in (0, 1, 2, 1200)] == [
        "0 deals",
        "One deal",
        "2 deals",
        "1,200 deals",
    ]


def test_names_end_with_an_ellipsis_beyond_the_most() -> None:
    values = {"names": ["A", "B", "C", "D"]}
    assert mrkdwn("{{ names|names }}", values) == "A, B, C and …"
    assert mrkdwn("{{ names|names(9) }}", values, "de") == "A, B, C und D"


def test_plain_text_of_escaped_text_with_links_is_what_a_reader_sees() -> None:
    assert plain_text(Mrkdwn("1 &lt; 2 <https://x.example|here &amp; there>!")) == "1 < 2 here & there!"
