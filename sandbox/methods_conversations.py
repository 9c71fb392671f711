"""conversations.*: docs.slack.dev/reference/methods/conversations.history and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError
from sandbox.state import Channel, Message, User, cursor_after, position_of

_KIND = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
_TS = re.compile(r"\d{1,12}(\.\d{1,6})?")

Thing = TypeVar("Thing")


def page(call: Call, items: Sequence[Thing], default: int, most: int, error: str) -> tuple[list[Thing], str]:
    """The page of `items` that cursor and limit ask for, and the cursor of the next ('' at the end)."""
    limit = min(call.whole("limit", default, error), most)
    cursor = call.text("cursor")
    try:
        start = position_of(cursor) if cursor else 0
    except ValueError:
        raise SlackError("invalid_cursor") from None
    if start > len(items):
        raise SlackError("invalid_cursor")
    end = start + limit
    return list(items[start:end]), cursor_after(end) if end < len(items) else ""


def _readable(call: Call, right: str) -> Channel:
    channel = call.channel()
    call.needs(f"{_KIND[channel.kind]}:{right}")
    return channel


def open_conversation(call: Call) -> Json:
    """Open the direct message with one user, or with up to eight."""
    workspace = call.workspace
    given = call.text("users")
    if call.text("channel"):
        channel, new = call.channel(), False
        if channel.kind not in {"im", "mpim"}:
            raise SlackError("method_not_supported_for_channel_type")
    elif not given:
        raise SlackError("users_list_not_supplied")
    else:
        names = [name.strip() for name in given.split(",") if name.strip()]
        if len(names) > 8:
            raise SlackError("too_many_users")
        users = [_contact(call, name) for name in dict.fromkeys(names)]
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) == 1:
            if call.flag("prevent_creation") and "D" + users[0].id[1:] not in workspace.channels:
                raise SlackError("channel_not_found")
            channel, new = workspace.open_dm(users[0])
        else:
            call.needs("mpim:write")
            channel, new = workspace.open_group(users)
    out: Json = {} if new else {"no_op": True, "already_open": True}
    full = call.flag("return_im")
    return {**out, "channel": workspace.channel_object(channel) if full else {"id": channel.id}}


def _contact(call: Call, name: str) -> User:
    """An active member with whom a conversation can be opened."""
    user = call.workspace.users.get(name)
    if user is None:
        raise SlackError("user_not_found")
    if user.deleted:
        raise SlackError("user_disabled")
    if user.is_bot or user.id == "USLACKBOT":
        raise SlackError("user_not_visible")
    return user


def listing(call: Call) -> Json:
    """The conversations of the workspace, by type."""
    workspace = call.workspace
    wanted = {part.strip() for part in (call.text("types") or "public_channel").split(",") if part.strip()}
    if not wanted <= _TYPES.keys():
        raise SlackError("invalid_types")
    for name in sorted(wanted):
        kind = _TYPES[name]
        call.needs(f"{_KIND.get(kind, kind)}:read")
    kinds = {_TYPES[name] for name in wanted}
    me = workspace.bot_user_id
    visible = [
        channel
        for channel in workspace.channels.values()
        if channel.kind in kinds
        and (channel.kind == "channel" or me in channel.members)
        and not (channel.is_archived and call.flag("exclude_archived"))
    ]
    some, cursor = page(call, visible, 100, 999, "invalid_limit")
    shown = [workspace.channel_object(channel, count=True) for channel in some]
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


def one(call: Call) -> Json:
    """One conversation."""
    channel = _readable(call, "read")
    return {"channel": call.workspace.channel_object(channel, count=call.flag("include_num_members"))}


def members(call: Call) -> Json:
    """Who is in a conversation."""
    channel = _readable(call, "read")
    some, cursor = page(call, channel.members, 100, 999, "invalid_limit")
    return {"members": some, "response_metadata": {"next_cursor": cursor}}


def _between(call: Call, messages: list[Message]) -> list[Message]:
    edges: dict[str, float | None] = {}
    for name in ("oldest", "latest"):
        given = call.text(name)
        if given and not _TS.fullmatch(given):
            raise SlackError(f"invalid_ts_{name}")
        edges[name] = float(given) if given else None
    oldest, latest = edges["oldest"], edges["latest"]
    if oldest is None and latest is None:
        return messages
    slack_room = 5e-7 if call.flag("inclusive") else -5e-7  # half of the last digit of a ts
    return [
        message
        for message in messages
        if (oldest is None or float(message.ts) > oldest - slack_room)
        and (latest is None or float(message.ts) < latest + slack_room)
    ]


def history(call: Call) -> Json:
    """The messages of a conversation, newest first, without the replies in threads."""
    channel = _readable(call, "history")
    if call.workspace.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    roots = [m for m in channel.messages if m.thread_ts is None or m.thread_ts == m.ts or m.subtype]
    roots = _between(call, roots)
    roots.reverse()
    some, cursor = page(call, roots, 100, 999, "invalid_cursor")
    metadata = call.flag("include_all_metadata")
    out: Json = {
        "messages": [call.workspace.message_object(message, metadata=metadata) for message in some],
        "has_more": bool(cursor),
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    if call.text("latest"):
        out["latest"] = call.text("latest")
    if cursor:
        out["response_metadata"] = {"next_cursor": cursor}
    return out


def replies(call: Call) -> Json:
    """A thread: its first message, then the replies, oldest first."""
    channel = _readable(call, "history")
    parent = channel.by_ts.get(call.text("ts") or "")
    if parent and parent.thread_ts and parent.thread_ts != parent.ts:
        parent = channel.by_ts.get(parent.thread_ts)
    if parent is None:
        raise SlackError("thread_not_found")
    some, cursor = page(call, _between(call, [parent, *parent.replies]), 1000, 1000, "invalid_cursor")
    metadata = call.flag("include_all_metadata")
    out: Json = {
        "messages": [call.workspace.message_object(message, metadata=metadata) for message in some],
        "has_more": bool(cursor),
    }
    if cursor:
        out["response_metadata"] = {"next_cursor": cursor}
    return out


_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")

_PAGED = frozenset({"channel_not_found", "invalid_cursor"})
_BETWEEN = frozenset({"invalid_ts_oldest", "invalid_ts_latest"})

METHODS = {
    "conversations.open": Method(
        open_conversation,
        ("im:write", "mpim:write", "channels:manage", "groups:write"),
        errors=frozenset(
            {
                "channel_not_found",
                "method_not_supported_for_channel_type",
                "too_many_users",
                "user_disabled",
                "user_not_found",
                "user_not_visible",
                "users_list_not_supplied",
            }
        ),
    ),
    "conversations.list": Method(
        listing, _READ, errors=frozenset({"invalid_cursor", "invalid_limit", "invalid_types"})
    ),
    "conversations.info": Method(one, _READ, ("channel",), errors=frozenset({"channel_not_found"})),
    "conversations.members": Method(members, _READ, ("channel",), errors=_PAGED | {"invalid_limit"}),
    "conversations.history": Method(
        history, _HISTORY, ("channel",), errors=_PAGED | _BETWEEN | {"not_in_channel"}
    ),
    "conversations.replies": Method(
        replies, _HISTORY, ("channel", "ts"), errors=_PAGED | _BETWEEN | {"thread_not_found"}
    ),
}
