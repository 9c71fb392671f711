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


def lively(url: str, people: list[Json]) -> tuple[str, str]:
    """Two reps: whose newest tip still waits for an answer, and who said last what is in the way, in a thread."""
    waiting: list[tuple[float, str]] = []
    talkative: list[tuple[bool, float, str]] = []
    for person in people:
        if person["role"] != "rep" or person["gone"] or not person["locale"].startswith("en"):
            continue
        user = person["id"]
        messages = ask(url, "messages", user=user, channel="D" + user[1:])["messages"]
        if messages and '"tip:remind"' in json.dumps(messages[-1].get("blocks")):
            waiting.append((float(messages[-1]["ts"]), user))
        for each in messages[-1:]:
            hindered = "feedback:change" in json.dumps(each.get("blocks")) and "reply_count" in each
            talkative.append((hindered, float(each["ts"]), user))
    if not waiting or not talkative:
        raise SystemExit("in this demo nobody has a tip to answer, or nobody speaks English")
    return max(waiting)[1], max(talkative)[2]


def window(browser: Browser, *, size: tuple[int, int] = WIDE, dark: bool = False) -> Page:
    """A window of its own."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    return context.new_page()


def take(page: Page, name: str) -> None:
    """Photograph the window as it stands."""
    page.mouse.move(0, 0)
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
    tipped, talkative = lively(url, people)
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
    page.goto(f"{url}/#/as/{talkative}")
    page.get_by_role("button", name=re.compile(r"\d+ repl")).last.click()
    page.get_by_role("list", name="Replies").wait_for()
    take(page, "thread")
    page.get_by_role("button", name="Inspect").click()
    page.get_by_role("heading", name="Decisions").wait_for()
    decided = page.locator("details").filter(has_text="Decided to send").first
    decided.locator("summary").click()
    decided.evaluate("(node) => node.scrollIntoView({block: 'end'})")
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
