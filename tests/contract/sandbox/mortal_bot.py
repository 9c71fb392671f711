"""A small bot that drops dead without answering, for the tests of steered time.

`python mortal_bot.py PORT FOLDER TOKEN N...`: it keeps what it heard and sent in FOLDER, posts to the sandbox whose
URL is in FOLDER/api, and ends itself in the middle of the N-th requests that it ever got, before the answer.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PORT, FOLDER, TOKEN = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
DEATHS = {int(number) for number in sys.argv[4:]}


def keep(name: str, line: str) -> int:
    """Append a line to a file, durably; returns how many there are."""
    path = FOLDER / name
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return len(path.read_text().splitlines())


def kept(name: str) -> set[str]:
    path = FOLDER / name
    return set(path.read_text().splitlines()) if path.exists() else set()


def post(user: str, key: str) -> None:
    names = ("tip:do", "tip:not_for_me") if kept("sent") else ("goal:performance", "goal:later")
    elements = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": name},
            "action_id": name,
            "value": f"v-{name}",
        }
        for name in names
    ]
    body = {
        "channel": user,
        "text": f"A tip for {key}",
        "blocks": [{"type": "actions", "elements": elements}],
        "metadata": {"event_type": "t", "event_payload": {"delivery_id": key}},
    }
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    url = f"{(FOLDER / 'api').read_text()}/api/chat.postMessage"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310
        if json.load(response)["ok"]:
            keep("sent", key)


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if keep("requests", self.path) in DEATHS:
            os._exit(1)
        if self.path == "/slack/events":
            keep("heard", body)
            self.reply(b"")
            return
        now = datetime.fromisoformat(json.loads(body)["now"])
        for user in ("U1", "U4"):
            key = f"{user}-{now.date()}"
            if now.hour == 9 and key not in kept("sent"):
                post(user, key)
        day = now if now.hour < 9 else now + timedelta(days=1)
        due = day.replace(hour=9, minute=0, second=0)
        self.reply(json.dumps({"next_due": due.isoformat()}).encode())

    def reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name for it
        """Say nothing."""


HTTPServer(("127.0.0.1", PORT), Door).serve_forever()
