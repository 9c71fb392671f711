"""The other side of bench.replies: a process of its own that sends signed requests, so many at once, and times each.

    python -m bench.load PORT click|event FIRST REQUESTS AT_ONCE SECRET     prints one line of JSON

Bodies and signatures are made before the clock starts: what is measured is the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier


def requests(kind: str, numbers: range, secret: str) -> Iterator[bytes]:
    """Whole HTTP requests, each an envelope of its own, as Slack sends them."""
    signer, stamp = SignatureVerifier(secret), str(int(time.time()))
    for number in numbers:
        user = f"U{number % 500:08d}"
        if kind == "click":
            body = urlencode({"payload": json.dumps(_click(number, user))})
        else:
            body = json.dumps(_event(number, user))
        form = "application/x-www-form-urlencoded" if kind == "click" else "application/json"
        head = (
            "POST /slack/events HTTP/1.1\r\nHost: bench\r\n"
            f"Content-Type: {form}\r\nContent-Length: {len(body)}\r\nX-Slack-Request-Timestamp: {stamp}\r\n"
            f"X-Slack-Signature: {signer.generate_signature(timestamp=stamp, body=body)}\r\n\r\n"
        )
        yield (head + body).encode()


def _click(number: int, user: str) -> dict[str, object]:
    return {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": user},
        "trigger_id": f"click.{number}",
        "response_url": f"https://hooks.example/{number}",
        "channel": {"id": f"D{number % 500:08d}"},
        "container": {"type": "message", "message_ts": f"{number}.000001", "channel_id": "D1"},
        "actions": [{"action_id": "tip:do", "type": "button", "value": f"m{number:023d}"}],
    }


def _event(number: int, user: str) -> dict[str, object]:
    event = {
        "type": "message",
        "channel": f"D{number % 500:08d}",
        "channel_type": "im",
        "user": user,
        "text": "The account is not in the list, so I cannot fill it in.",
        "ts": f"{number}.000002",
    }
    return {
        "type": "event_callback",
        "team_id": "T1",
        "event_id": f"Ev{number}",
        "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
        "event": event,
    }


async def send_all(port: int, made: list[bytes], at_once: int) -> tuple[float, list[float], dict[str, int]]:
    """Seconds over all, seconds of each, and how often which status came back."""
    waiting = iter(made)
    took: list[float] = []
    statuses: dict[str, int] = {}

    async def one_after_the_other() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = next(
                (
                    int(line.partition(":")[2])
                    for line in head.split("\r\n")
                    if line.startswith("content-length")
                ),
                0,
            )
            await reader.readexactly(length)
            took.append(time.perf_counter() - began)
            status = head.split(" ", 2)[1]
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return time.perf_counter() - began, sorted(took), statuses


def main() -> None:
    port, kind, first, count, at_once, secret = sys.argv[1:]
    made = list(requests(kind, range(int(first), int(first) + int(count)), secret))
    seconds, took, statuses = asyncio.run(send_all(int(port), made, int(at_once)))
    print(
        json.dumps(
            {
                "rate": len(took) / seconds,
                "median": took[len(took) // 2],
                "p99": took[int(len(took) * 0.99)],
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    main()
