"""Words of people and of records stay words: whatever stands in them, nothing runs, nothing is loaded, nothing is clicked."""

from __future__ import annotations

import time

from tests.browser.drawing import Bench, Json

HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "&lt;script&gt;window.hit = 1&lt;/script&gt;",
    "<javascript:window.hit=1|press me>",
    "<data:text/html,hit|press me>",
    "<JaVaScRiPt:window.hit=1>",
    "<vbscript:hit|press me>",
    "<file:///etc/passwd|press me>",
    "<!date^1^{date}^javascript:window.hit=1|a date>",
    "[press me](javascript:window.hit=1)",
    "<a href='javascript:window.hit=1'>press me</a>",
    "</textarea></title></style><svg onload=window.hit=1>",
    "{{constructor.constructor('window.hit=1')()}}",
    "\u202egnp.exe \u0000\ufeff",
    "<@U0<b>0000002>",
    ":constructor: :__proto__: :toString:",
]


def _places(text: str) -> list[Json]:
    """A text in every place that takes one."""
    plain, mrkdwn = {"type": "plain_text", "text": text}, {"type": "mrkdwn", "text": text}
    option = {"text": plain, "value": text, "description": plain}
    rich = [{"type": "text", "text": text}, {"type": "link", "url": text, "text": text}]
    rich += [
        {"type": "user", "user_id": text},
        {"type": "emoji", "name": text},
        {"type": "color", "value": text},
    ]
    return [
        {"type": "header", "text": plain},
        {"type": "section", "text": mrkdwn, "fields": [plain, mrkdwn]},
        {
            "type": "context",
            "elements": [plain, mrkdwn, {"type": "image", "image_url": text, "alt_text": text}],
        },
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "action_id": text,
                    "text": plain,
                    "url": text,
                    "accessibility_label": text,
                },
                {"type": "static_select", "action_id": "s", "options": [option], "placeholder": plain},
                {"type": "checkboxes", "action_id": "c", "options": [{**option, "text": mrkdwn}]},
            ],
        },
        {"type": "image", "image_url": text, "alt_text": text, "title": plain},
        {"type": "markdown", "text": text},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": rich}]},
        {"type": "table", "rows": [[{"type": "raw_text", "text": text}]]},
        {
            "type": "data_visualization",
            "title": text,
            "chart": {"type": "pie", "segments": [{"label": text, "value": 1}]},
        },
        {"type": "card", "title": mrkdwn, "slack_icon": {"type": "icon", "name": text}},
        {"type": "video", "alt_text": text, "title": plain, "video_url": text, "thumbnail_url": text},
        {
            "type": "input",
            "label": plain,
            "element": {"type": "plain_text_input", "initial_value": text, "placeholder": plain},
        },
    ]


def test_a_hostile_text_stays_text_wherever_it_stands(bench: Bench) -> None:
    for text in HOSTILE:
        _stays_text(bench, text)


def _stays_text(bench: Bench, text: str) -> None:
    place = bench.draw(_places(text))
    assert place.locator("script, iframe, object, embed, style, link, meta, base, svg[onload]").count() == 0
    assert place.locator("[onerror], [onload], [onclick]").count() == 0
    addresses = place.locator("[href], [src], [action], [formaction]").evaluate_all(
        "(all) => all.map((node) => node.href ?? node.src ?? '')"
    )
    assert [each for each in addresses if not each.startswith(("http:", "https:", "mailto:"))] == []
    bench.draw_attachments(
        [{"text": text, "title": text, "title_link": text, "color": text, "fallback": text}]
    )
    for link in place.locator("a").all():
        assert (link.get_attribute("href") or "").startswith(("http", "mailto:"))
    assert bench.page.evaluate("window.hit") is None


def test_what_is_no_markup_is_shown_as_it_was_written(bench: Bench) -> None:
    for text in ("<script>alert(1)</script>", "<javascript:alert(1)|press me>", "a <b> c", "2 < 3 > 1"):
        assert bench.draw_text(text).inner_text() == text


READ = [
    ("*bold* _it_ ~gone~ `code`", "<strong>bold</strong> <em>it</em> <s>gone</s> <code>code</code>"),
    ("*bold _both_*", "<strong>bold <em>both</em></strong>"),
    ("snake_case_name 2*3*4", "snake_case_name 2*3*4"),
    ("* not bold * and *open", "* not bold * and *open"),
    ("*a*b", "*a*b"),
    ("`*as it is*`", "<code>*as it is*</code>"),
    ("R&amp;D &lt;3", "R&amp;D &lt;3"),
    ("*over\nlines*", "*over\nlines*"),
]


def test_mrkdwn_is_read_as_slack_reads_it(bench: Bench) -> None:
    for text, shown in READ:
        html = bench.draw_text(text).locator(".bk-lines").inner_html()
        assert html.replace(' class="bk-code"', "") == shown, text


def test_links_mentions_dates_and_emoji_are_drawn(bench: Bench) -> None:
    place = bench.draw_text(
        "<https://x.example/?a=1&amp;b=2|the deal> <mailto:a@x.example> https://y.example. "
        "<@U00000002> <@U99999999|zoe> <#C00000001> <!channel> :tada: :no_such: "
        "<!date^1772355600^{date_short} at {time}|then> <!date^1773046800^{date_pretty}|then>"
    )
    links = place.get_by_role("link")
    assert links.evaluate_all("(all) => all.map((node) => node.href)") == [
        "https://x.example/?a=1&b=2",
        "mailto:a@x.example",
        "https://y.example/",
    ]
    assert links.nth(0).inner_text() == "the deal"
    assert links.nth(0).get_attribute("rel") == "noopener noreferrer"
    words = place.inner_text()
    assert "@Bo Lind @zoe #sales-emea @channel 🎉 :no_such:" in words
    # 1 March 2026, 09:00 UTC, read in Berlin by a browser in Auckland; the other is the day of reading.
    assert words.endswith("1 Mar 2026 at 10:00 yesterday")


def test_quotes_and_code_stand_apart(bench: Bench) -> None:
    place = bench.draw_text(
        "said:\n&gt; one\n&gt; two\nafter ```\nlet x = *1*;\n```\n&gt;&gt;&gt; all\nthe rest"
    )
    assert place.locator("blockquote").all_inner_texts() == ["one\ntwo", "all\nthe rest"]
    assert place.locator("pre").inner_text().strip() == "let x = *1*;"


def test_a_right_to_left_text_runs_from_the_right(bench: Bench) -> None:
    place = bench.draw_text("مرحبا *بكم* في الفريق")
    direction = place.locator(".bk-mrkdwn").evaluate("(node) => getComputedStyle(node).direction")
    assert direction == "rtl"
    assert place.locator("strong").inner_text() == "بكم"


HUGE = {
    "every sign": "*_~`<&:" * 6_000,
    "open bold": "*a " * 13_000,
    "open token": "<" * 40_000,
    "open link": "[" * 12_000,
    "long address": "https://x.example/" + "a)" * 19_000,
    "long word": "x" * 40_000,
}


def test_a_huge_text_is_drawn_at_once_and_widens_nothing(bench: Bench) -> None:
    bench.page.set_viewport_size({"width": 400, "height": 800})
    for name, text in HUGE.items():
        started = time.monotonic()
        bench.draw_text(text)
        mrkdwn = {"type": "mrkdwn", "text": text}
        bench.draw([{"type": "section", "text": mrkdwn}, {"type": "markdown", "text": text}])
        assert time.monotonic() - started < 5, name
        assert bench.page.evaluate("document.getElementById('place').scrollWidth") <= 400, name
