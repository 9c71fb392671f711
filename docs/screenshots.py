"""The pictures in the README, taken of the demo as a visitor sees it: `make screenshots`.

Runs a small demo to its end, looks for people to whom something has happened, and photographs the page with Chromium.
The same seed gives the same company, so that a picture changes only when the page or the bot does.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
DEMO = ["demo", "--people", "60", "--weeks", "5", "--seed", "1", "--port", "0"]
LARGEST = 250_000
WIDE, NARROW = (1280, 800), (400, 800)
TALLEST = 1100
NOTABLE = 60
PIECE = 150

Json = dict[str, Any]


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run the demo to its end and leave its page up; yields where."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", *DEMO], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="")
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found.group()
                return
        raise SystemExit("the demo ended before its page was up")
    finally:
        process.terminate()
        process.wait(timeout=30)


def ask(url: str, what: str, **query: str) -> Json:
    """Ask the page's server what the page asks it."""
    with urllib.request.urlopen(f"{url}/sandbox/page/{what}?{urllib.parse.urlencode(query)}") as answer:
        found: Json = json.load(answer)
        return found


def complaints() -> re.Pattern[str]:
    """What people of the company write, in English, when something is in their way."""
    words = tomllib.loads((HERE.parent / "sandbox/company/words.toml").read_text(encoding="utf-8"))["en"]
    texts = [
        re.escape(text).replace(r"\{thing\}", ".+") for texts in words["blocked"].values() for text in texts
    ]
    return re.compile("|".join(texts), re.IGNORECASE)


def lively(url: str, people: list[Json]) -> tuple[str, str, str]:
    """Two reps, and a thread of the second.

    The first has a tip about two or three deals that waits for an answer; the second says briefly what is in the way.
    """
    complaint = complaints()
    waiting: list[tuple[bool, float, str]] = []
    talkative: list[tuple[int, str, str]] = []
    for person in people:
        if person["role"] != "rep" or person["gone"] or not person["locale"].startswith("en"):
            continue
        user, channel = person["id"], "D" + person["id"][1:]
        messages = ask(url, "messages", user=user, channel=channel)["messages"]
        if messages and '"tip:remind"' in (newest := json.dumps(messages[-1].get("blocks"))):
            records = newest.count('"rich_text_section"')
            waiting.append((records in {2, 3}, float(messages[-1]["ts"]), user))
        for each in messages:
            if "reply_count" not in each:
                continue
            said = ask(url, "thread", user=user, channel=channel, ts=each["ts"])["messages"]
            if any(reply["user"] == user and complaint.search(reply["text"]) for reply in said[1:]):
                length = sum(len(message["text"]) for message in said)
                talkative.append((-length, user, each["ts"]))
    if not waiting or not talkative:
        raise SystemExit(
            "in this demo nobody has a tip to answer, or nobody says in English what is in the way"
        )
    _, complains, thread = max(talkative)
    return max(waiting)[2], complains, thread


def window(browser: Browser, *, size: tuple[int, int] = WIDE, dark: bool = False) -> Page:
    """A window of its own."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    return context.new_page()


NOT_CUT = """(piece) => {
    const lines = 'h2, h3, h4, p, li, dt, dd, summary, caption, tr, button, a, img, span, div:not(:has(*))';
    const empty = [];
    for (const scroller of document.querySelectorAll('.scroller, .inspector-body')) {
        const {top, bottom} = scroller.getBoundingClientRect();
        const isCut = ({top: from, bottom: to}) => (from < top - 4 && to > top) || (from < bottom && to > bottom + 4);
        let first = null;
        for (const row of scroller.querySelectorAll(scroller.matches('.scroller') ? '.divider, .message' : lines)) {
            const box = row.getBoundingClientRect();
            if (!isCut(box)) {
                if (box.bottom > top) first ??= Math.max(0, box.top - top);
            } else if (Math.min(box.bottom, bottom) - Math.max(box.top, top) < piece) {
                row.style.visibility = 'hidden';
            } else {
                first ??= 0;
                for (const each of row.querySelectorAll(lines)) {
                    if (isCut(each.getBoundingClientRect())) each.style.visibility = 'hidden';
                }
            }
        }
        empty.push(scroller.scrollTop > 0 ? first ?? 0 : 0);
    }
    return Math.floor(Math.min(...empty));
}"""
"""Hides what an edge of a list would cut in two: a message of which little is seen, else only its line at the edge.

Returns how many pixels that leaves empty above in every list.
"""


def take(page: Page, name: str) -> None:
    """Photograph the window as it stands, without what its edge cuts."""
    page.mouse.move(0, 0)
    empty = page.evaluate(NOT_CUT, PIECE)
    if NOTABLE < empty < WIDE[1] // 2 and (window_size := page.viewport_size):
        page.set_viewport_size(
            {"width": window_size["width"], "height": window_size["height"] - empty + NOTABLE // 2}
        )
    page.wait_for_timeout(500)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.relative_to(HERE.parent)}  {size // 1000} KB")
    if size > LARGEST:
        raise SystemExit(f"{path.name} is larger than {LARGEST // 1000} KB")


def photograph(url: str, browser: Browser) -> None:
    """Every picture."""
    people = ask(url, "workspace")["people"]
    tipped, talkative, thread = lively(url, people)
    lead = next(each["id"] for each in people if each["role"].replace(" ", "_") == "adoption_lead")

    page = window(browser)
    page.goto(url)
    page.get_by_role("searchbox").blur()
    take(page, "whom-to-be")

    page = window(browser)
    page.goto(f"{url}/#/as/{tipped}")
    page.get_by_role("button", name="Remind me").last.scroll_into_view_if_needed()
    take(page, "tip")

    page = window(browser)
    page.goto(f"{url}/#/as/{talkative}/D{talkative[1:]}/thread/{thread}")
    page.get_by_role("list", name="Replies").wait_for()
    more = page.evaluate(
        "(({scrollHeight, clientHeight}) => scrollHeight - clientHeight)(document.querySelector('#thread-scroller'))"
    )
    page.set_viewport_size({"width": WIDE[0], "height": min(WIDE[1] + more, TALLEST)})
    page.locator(f'#scroller [data-ts="{thread}"]').evaluate("(node) => node.scrollIntoView({block: 'end'})")
    take(page, "thread")

    page = window(browser)
    page.goto(f"{url}/#/as/{talkative}")
    page.get_by_role("button", name="Inspect").click()
    page.get_by_role("heading", name="Decisions").wait_for()
    decided = page.locator("details").filter(has_text="Decided to send").first
    decided.locator("summary").click()
    decided.evaluate("(node) => node.scrollIntoView({block: 'start'})")
    take(page, "inspector")

    page = window(browser)
    page.goto(f"{url}/#/as/{lead}")
    page.get_by_label("Message to").fill("/fullsteam desk")
    page.get_by_label("Message to").press("Enter")
    page.get_by_text("What people said").first.wait_for()
    take(page, "desk")

    page = window(browser, size=NARROW, dark=True)
    page.goto(f"{url}/#/as/{tipped}")
    page.get_by_role("button", name="Remind me").last.scroll_into_view_if_needed()
    take(page, "phone-dark")

    page = window(browser)
    page.goto(f"{url}/#/as/{tipped}")
    page.get_by_role("button", name="+1 week").click()
    page.get_by_role("progressbar").wait_for()
    take(page, "clock")


def main() -> None:
    """Take the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no Chromium: apt-get install -y chromium fonts-noto-color-emoji")
    IMAGES.mkdir(exist_ok=True)
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--disable-dev-shm-usage", "--no-sandbox"]
        )
        photograph(url, browser)
        browser.close()


if __name__ == "__main__":
    main()
