"""Windows of a browser: each on its own, as on somebody else's desk."""

from __future__ import annotations

from typing import Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect

PATIENCE = 15_000
"""Milliseconds to wait for what comes in a few hundred: the machine may be busy."""
WIDE = (1280, 800)
NARROW = (400, 800)


class Windows:
    """Opens windows and remembers every error that a page in one of them had."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        expect.set_options(timeout=PATIENCE)
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []
        """Uncaught exceptions, console errors and requests to anywhere but this machine."""

    def open(
        self,
        *,
        size: tuple[int, int] = WIDE,
        theme: Literal["light", "dark"] = "light",
        still: bool = True,
        touch: bool = False,
    ) -> Page:
        """A new window. ``still``: the reader prefers reduced motion."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            reduced_motion="reduce" if still else "no-preference",
            locale="en-GB",
            timezone_id="Pacific/Auckland",  # nobody's zone in the tests: a time that takes the machine's is found out
            has_touch=touch,
        )
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", self._broken)
        page.on("console", self._told)
        page.on("request", lambda request: self._asked(request.url))
        return page

    def close(self) -> list[str]:
        """Close every window; what went wrong in them."""
        for context in self._contexts:
            context.close()
        return self.faults

    def _broken(self, error: Error) -> None:
        self.faults.append(f"uncaught: {error}")

    def _told(self, message: ConsoleMessage) -> None:
        # A refusal of the sandbox's is an answer that the page deals with; Chromium puts it on the console all the same.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
            self.faults.append(f"asked elsewhere: {url}")
