"""What can be computed of how well a page is seen and heard: names, contrast, structure, targets, width."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.windows import NARROW

CHECKS = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")
NAMED = frozenset(
    {"button", "link", "combobox", "textbox", "checkbox", "radio", "menuitem", "option", "tab", "searchbox"}
    | {
        "listbox",
        "menu",
        "dialog",
        "alertdialog",
        "radiogroup",
        "main",
        "navigation",
        "Date",
        "image",
        "region",
    }
)
UNNAMED_IS_FINE = frozenset({"main", "image", "region"})


def nameless(page: Page) -> list[str]:
    """Controls and landmarks that a screen reader could only call by their kind."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [
        str(node["role"]["value"])
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in NAMED - UNNAMED_IS_FINE
        and not node.get("name", {}).get("value", "").strip()
    ]


def faults(page: Page, where: str) -> list[str]:
    """Everything that is amiss on the page as it stands."""
    narrow = (page.viewport_size or {"width": 0})["width"] <= NARROW[0]
    found: list[str] = page.evaluate(CHECKS, narrow)
    return [f"{where}: {each}" for each in [*found, *(f"a {role} without a name" for role in nameless(page))]]
