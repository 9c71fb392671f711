"""Somebody who looks at the page: finds things by what they are called, as a reader or a screen reader does."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


class Visitor:
    """One window on the page at ``url``."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.goto(url)

    def becomes(self, name: str) -> None:
        """Choose somebody by name, and land in their conversation with the app."""
        self.page.goto(f"{self.url}/#/")
        self.page.get_by_role("searchbox").fill(name)
        self.page.get_by_role("link", name=name).last.click()
        expect(self.composer).to_be_visible()

    @property
    def composer(self) -> Locator:
        """Where one writes."""
        return self.page.get_by_role("main").get_by_label("Message to")

    @property
    def conversation(self) -> Locator:
        """The messages in the middle."""
        return self.page.get_by_role("list", name="Messages in")

    def message(self, words: str) -> Locator:
        """The newest message that has these words."""
        return (
            self.conversation.get_by_role("listitem")
            .filter(has=self.page.locator(".content"))
            .filter(has_text=words)
            .last
        )

    @property
    def clock(self) -> Locator:
        """The workspace's time, as it is shown."""
        return self.page.get_by_test_id("clock")

    def moves(self, by: str) -> None:
        """Press a button of the clock and wait until time stands again."""
        button = self.page.get_by_role("group", name="Move time").get_by_role("button", name=by)
        button.click()
        expect(button).to_be_enabled(timeout=60_000)

    def waits_for(self, words: str, *, by: str = "Tomorrow 09:00", most: int = 8) -> Locator:
        """Move the clock until a message has these words."""
        for _ in range(most):
            if self.message(words).count():
                break
            self.moves(by)
        expect(self.message(words)).to_be_visible()
        return self.message(words)

    def presses(self, label: str, *, on: Locator) -> None:
        """Press a button of a message."""
        on.get_by_role("button", name=label, exact=True).click()

    def chooses(self, entry: str, *, on: Locator) -> None:
        """Open the dots of a message and choose."""
        on.locator(".content").get_by_role("button", name="More choices").click()
        self.page.get_by_role("menuitem", name=entry).click()

    @property
    def thread(self) -> Locator:
        """The pane at the side with a message and its replies."""
        return self.page.get_by_role("list", name="Replies")

    def thread_of(self, message: Locator) -> Locator:
        """Open a message's thread."""
        message.get_by_role("button", name=re.compile(r"\d+ repl")).click()
        expect(self.thread).to_be_visible()
        return self.thread

    def writes(self, words: str, *, under: bool = False) -> None:
        """Write into the conversation, or into the open thread."""
        field = self.page.get_by_label("Reply", exact=True) if under else self.composer
        field.fill(words)
        field.press("Enter")
