"""Single blocks, drawn by the page's own modules on a bare page of the sandbox's origin, under the page's policy."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, Route

Json = dict[str, Any]

POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"
BARE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Blocks</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page/style.css"><link rel="stylesheet" href="/page/blocks.css">
<link rel="icon" href="data:,"></head>
<body><main id="place"></main></body></html>"""
NAMES = {
    "users": {
        "U00000001": {"name": "Ada Marsh"},
        "U00000002": {"name": "Bo Lind"},
        "U00000003": {"name": "جمال خالد"},
        "U064B5H1309": {"name": "Cai Wu"},
        "U063JR973UP": {"name": "Dee Okafor"},
    },
    "channels": {
        "C00000001": {"name": "sales-emea", "kind": "channel"},
        "C00000002": {"name": "wins", "kind": "channel"},
    },
}

_DRAW = """async ([what, given, surface, names]) => {
  const blocks = await import('/page/blocks.js');
  window.actions ??= [];
  const context = {
    surface, names, zone: 'Europe/Berlin', me: 'U00000001', now: new Date('2026-03-10T09:00:00Z'),
    onAction: async (action) => { window.actions.push(action); },
    options: async ({query}) => ({options: ['north', 'south'].map((each) => (
      {text: {type: 'plain_text', text: `${query} ${each}`}, value: `${query}-${each}`}))}),
  };
  const place = document.getElementById('place');
  place.replaceChildren(what === 'text' ? blocks.drawText(given, context)
    : what === 'attachments' ? blocks.drawAttachments(given, context) : blocks.drawBlocks(given, context));
}"""

_READABLE = """() => {
  const seen = (node) => node.getClientRects().length > 0;
  const all = [...document.querySelectorAll('#place, dialog[open], [popover]:popover-open')];
  const words = all.map((each) => each.innerText);
  for (const root of all) {
    for (const node of root.querySelectorAll('*')) {
      if (!seen(node)) continue;
      for (const name of ['placeholder', 'aria-label', 'title', 'href', 'label', 'aria-valuetext']) {
        if (node.getAttribute(name)) words.push(node.getAttribute(name));
      }
      if (node.matches('option, text, input, textarea')) words.push(node.value ?? '', node.textContent);
      if (node.tagName === 'SELECT') words.push(...[...node.querySelectorAll('option, optgroup')].map((each) => each.label));
    }
  }
  return words.join('\\n');
}"""


class Bench:
    """Draws what it is given and tells what a reader gets of it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.place: Locator = page.locator("#place")
        page.route("**/bench", self._serve)
        page.goto(f"{url}/bench")

    @staticmethod
    def _serve(route: Route) -> None:
        route.fulfill(body=BARE, content_type="text/html", headers={"content-security-policy": POLICY})

    def draw(self, blocks: list[Json], surface: str = "message") -> Locator:
        """Draw blocks instead of what stood there."""
        self.page.evaluate(_DRAW, ["blocks", blocks, surface, NAMES])
        return self.place

    def draw_text(self, text: str) -> Locator:
        """Draw a message's text, as mrkdwn."""
        self.page.evaluate(_DRAW, ["text", text, "message", NAMES])
        return self.place

    def draw_attachments(self, attachments: list[Json]) -> Locator:
        """Draw a message's attachments."""
        self.page.evaluate(_DRAW, ["attachments", attachments, "message", NAMES])
        return self.place

    def open_modal(self, view: Json) -> Locator:
        """Open a modal; what is submitted, closed and pressed is kept in `window.told`."""
        self.page.evaluate(
            """async ([view, names]) => {
              const views = await import('/page/views.js');
              window.told ??= [];
              window.answers ??= [];
              window.handlers = {
                context: {names, zone: 'Europe/Berlin', me: 'U00000001'},
                submit: async (values) => {
                  window.told.push(['submit', values]);
                  await new Promise((resolve) => setTimeout(resolve, 50));
                  return window.answers.shift() ?? {ok: true, acked: true, body: ''};
                },
                close: async (cleared, view) => { window.told.push(['close', cleared, view.id ?? null]); },
                action: async (action) => { window.told.push(['action', action]); },
              };
              window.modal = views.openModal(view, window.handlers);
            }""",
            [view, NAMES],
        )
        return self.page.locator("dialog.bk-modal").last

    def answer_next(self, **answer: Any) -> None:
        """What the next submission is answered with."""
        self.page.evaluate("(answer) => { (window.answers ??= []).push(answer); }", answer)

    @property
    def told(self) -> list[list[Any]]:
        """What the modals have told so far."""
        found: list[list[Any]] = self.page.evaluate("window.told ?? []")
        return found

    @property
    def actions(self) -> list[Json]:
        """What was pressed and chosen so far."""
        found: list[Json] = self.page.evaluate("window.actions ?? []")
        return found

    def open_lists(self) -> None:
        """Open what opens a list, so that its entries are to be seen."""
        for opener in self.page.locator("input[role=combobox], [aria-haspopup=menu]").all():
            opener.click()

    def readable(self) -> str:
        """Every word that a reader gets: shown, as a placeholder, in a list that opens, or as a name for a screen reader."""
        found: str = self.page.evaluate(_READABLE)
        return found
