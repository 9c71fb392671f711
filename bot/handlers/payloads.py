"""Slack's payloads -> envelopes: the few fields that the work needs, cleaned, and nothing else.

Nothing here raises: an envelope that Slack sent is kept, whatever is in it. Fields that are missing are left out.
Sources: docs.slack.dev/reference/interaction-payloads, docs.slack.dev/reference/events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bot.delivery.ids import MENU, read_option
from bot.domain.people import is_away
from bot.domain.ports import Envelope

EVENT, ACTION, SUBMISSION, CLOSED = "event", "action", "submission", "closed"
COMMAND, SHORTCUT = "command", "shortcut"
UNKNOWN = "unknown"
"""A kind of request that nothing here reads: kept with its type and who sent it, so that it is seen and counted."""
NOT_KEPT = frozenset({"url_verification", "block_suggestion"})
LONGEST_TEXT = 40_000
"""Characters of one message that Slack keeps (docs.slack.dev, chat.postMessage)."""
_SUBTYPES_WITH_WORDS = frozenset({None, "file_share", "thread_broadcast", "me_message"})


def clean(value: Any) -> Any:
    """JSON without what a database refuses: NUL characters and halves of surrogate pairs become U+FFFD."""
    if isinstance(value, str):
        whole = value.replace("\x00", "\ufffd")
        return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    return value


def is_our_own(body: Mapping[str, Any]) -> bool:
    """Whether an event is about something that this app, or another bot, did itself: a message it posted or changed."""
    event = _map(body.get("event"))
    if event.get("type") != "message":
        return False
    inner = _map(event.get("message")) or _map(event.get("previous_message")) or event
    bots = {_map(one).get("user_id") for one in _list(body.get("authorizations")) if _map(one).get("is_bot")}
    return bool(event.get("bot_id") or inner.get("bot_id") or inner.get("user") in bots - {None})


def is_slacks(body: Mapping[str, Any]) -> bool:
    """Whether this can be a request of Slack's at all: it names its type, its command, or is a check of the certificate."""
    return isinstance(body.get("type"), str) or "command" in body or "ssl_check" in body


def envelope(body: Mapping[str, Any]) -> Envelope | None:
    """What the door keeps of a request; None for what is answered and not kept: url_verification, ssl_check, suggestions."""
    kind = body.get("type")
    if kind == "event_callback":
        return _event(body)
    if "command" in body:
        return _command(body)
    if kind == "block_actions":
        return _action(body)
    if kind in ("view_submission", "view_closed"):
        return _view(body, str(kind))
    if kind in ("shortcut", "message_action"):
        message = _map(body.get("message"))
        rest = {"text": _text(message.get("text")), "channel": _id(body, "channel"), "ts": message.get("ts")}
        return _made(
            body, SHORTCUT, body.get("callback_id"), {**rest, "response_url": body.get("response_url")}
        )
    if kind in NOT_KEPT or not isinstance(kind, str):
        return None
    return _made(body, UNKNOWN, kind, {"callback_id": body.get("callback_id")})


def _event(body: Mapping[str, Any]) -> Envelope:
    event = _map(body.get("event"))
    name = str(event.get("type") or "unknown")
    rest: dict[str, Any] = {}
    user = event.get("user")
    if name == "message":
        subtype = event.get("subtype")
        name = "message" if subtype in _SUBTYPES_WITH_WORDS else str(subtype)
        inner = _map(event.get("message"))
        rest = {
            "channel": event.get("channel"),
            "in_dm": event.get("channel_type") == "im",
            "ts": event.get("deleted_ts") or inner.get("ts") or event.get("ts"),
            "thread_ts": inner.get("thread_ts") or event.get("thread_ts"),
            "text": _text(inner.get("text") if inner else event.get("text")),
            "files": len(_list(event.get("files"))),
        }
        user = inner.get("user") or _map(event.get("previous_message")).get("user") or user
    elif name in ("user_change", "team_join"):
        profile = _map(user)
        rest, user = {"profile": _profile(profile)}, profile.get("id")
    elif name in ("dnd_updated_user", "dnd_updated"):
        status = _map(event.get("dnd_status"))
        keys = ("dnd_enabled", "next_dnd_start_ts", "next_dnd_end_ts", "snooze_enabled", "snooze_endtime")
        rest = {key: status.get(key) for key in keys}
    elif name == "app_home_opened":
        rest = {"tab": event.get("tab")}
    made = _made(body, EVENT, name, rest, key=body.get("event_id"))
    return Envelope(made.key, EVENT, made.name, _string(user), made.body)


def _profile(user: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Slack user that the directory keeps (docs.slack.dev/reference/objects/user-object)."""
    profile = _map(user.get("profile"))
    return {
        "id": user.get("id"),
        "name": profile.get("real_name") or user.get("real_name") or user.get("name"),
        "email": profile.get("email"),
        "zone": user.get("tz"),
        "language": user.get("locale"),
        "is_bot": bool(user.get("is_bot")),
        "is_guest": bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        "deleted": bool(user.get("deleted")),
        "away": is_away(_text(profile.get("status_text")), _text(profile.get("status_emoji"))),
        "status_expiration": profile.get("status_expiration") or 0,
    }


def _command(body: Mapping[str, Any]) -> Envelope:
    rest = {
        "text": _text(body.get("text")),
        "channel": body.get("channel_id"),
        "response_url": body.get("response_url"),
    }
    made = _made(body, COMMAND, body.get("command"), rest)
    return Envelope(made.key, COMMAND, made.name, _string(body.get("user_id")), made.body)


def _action(body: Mapping[str, Any]) -> Envelope:
    actions = _list(body.get("actions"))
    action = _map(actions[0]) if actions else {}
    name, value = str(action.get("action_id") or ""), action.get("value")
    if name.partition(":")[0] == MENU:
        name, value = read_option(str(_map(action.get("selected_option")).get("value") or ""))
    message, container = _map(body.get("message")), _map(body.get("container"))
    rest = {
        "value": _string(value) or "",
        "channel": _id(body, "channel") or container.get("channel_id"),
        "ts": container.get("message_ts") or message.get("ts"),
        "thread_ts": message.get("thread_ts") or container.get("thread_ts"),
        "ephemeral": bool(container.get("is_ephemeral")),
        "response_url": body.get("response_url"),
    }
    return _made(body, ACTION, name, rest)


def _view(body: Mapping[str, Any], kind: str) -> Envelope:
    view = _map(body.get("view"))
    rest = {
        "private_metadata": view.get("private_metadata"),
        "values": _map(_map(view.get("state")).get("values")),
    }
    if kind == "view_submission":
        return _made(body, SUBMISSION, view.get("callback_id"), rest)
    key = f"{view.get('id')}:{view.get('hash')}" if view.get("id") else None
    rest = {"private_metadata": view.get("private_metadata")}
    return _made(body, CLOSED, view.get("callback_id"), rest, key=key)


def _made(
    body: Mapping[str, Any], kind: str, name: Any, rest: Mapping[str, Any], *, key: Any = None
) -> Envelope:
    user = _map(body.get("user")).get("id")
    key = key or body.get("trigger_id") or _fingerprint(body)
    present = {field: value for field, value in rest.items() if value is not None}
    return Envelope(str(clean(key)), kind, str(clean(name or "")), _string(user), clean(present))


def _fingerprint(body: Mapping[str, Any]) -> str:
    """A key for an envelope without one: the same body gives the same key."""
    return (
        "h" + hashlib.sha256(json.dumps(clean(body), sort_keys=True, default=str).encode()).hexdigest()[:40]
    )


def _text(value: Any) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _string(value: Any) -> str | None:
    return str(clean(value)) if isinstance(value, (str, int)) and value != "" else None


def _id(body: Mapping[str, Any], key: str) -> Any:
    return _map(body.get(key)).get("id")


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
