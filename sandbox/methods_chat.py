"""chat.* and reactions.*: docs.slack.dev/reference/methods/chat.postMessage and its neighbours."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.blocks import MESSAGE, check_attachments, check_blocks
from sandbox.calls import Call, Json, Method, refused_blocks
from sandbox.errors import SlackError
from sandbox.state import Channel, Message

MAX_TEXT = 40_000  # a longer one is cut, with a warning
MAX_UPDATED_TEXT = 4_000
MAX_ATTACHMENTS = 100
#: Slack publishes no number; reports from the field say about 13 KB pass and 15 KB do not.
MAX_BLOCKS_BYTES = 13 * 1024
#: Slack publishes no number either.
MAX_METADATA_BYTES = 8 * 1024
_TS = re.compile(r"\d{1,12}\.\d{6}")


def content(call: Call, *, too_long: str, cut: int | None = None, surface: str = MESSAGE) -> Json:
    """Text, blocks and attachments of a message, checked. Raises SlackError; an empty message is `no_text`."""
    text, markdown = call.text("text"), call.text("markdown_text")
    blocks = call.structure("blocks", "invalid_blocks_format")
    attachments = call.structure("attachments", "invalid_blocks_format")
    if markdown is not None:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > 12_000:
            raise SlackError("no_text" if not markdown else "invalid_arguments")
        text = markdown
    if blocks is not None:
        if not isinstance(blocks, list):
            raise SlackError("invalid_blocks_format")
        faults = check_blocks(blocks, surface)
        if faults:
            raise refused_blocks(faults)
        if (
            call.size > MAX_BLOCKS_BYTES
            and len(json.dumps(blocks, ensure_ascii=False).encode()) > MAX_BLOCKS_BYTES
        ):
            raise SlackError(too_long)
    if attachments is not None:
        if not isinstance(attachments, list):
            raise SlackError("invalid_blocks_format")
        if len(attachments) > MAX_ATTACHMENTS:
            raise SlackError("too_many_attachments")
        faults = check_attachments(attachments, surface)
        if faults:
            raise refused_blocks(faults)
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    out: Json = {"text": text or "", "blocks": blocks, "attachments": attachments}
    if cut and len(out["text"]) > cut:
        out["text"] = out["text"][:cut]
        out["warning"] = "message_truncated"
    return out


def named_blocks(call: Call, blocks: list[Json] | None) -> list[Json] | None:
    """The blocks with an id each, as Slack gives one to those that come without."""
    if not blocks:
        return None
    named: list[Json] = []
    for block in blocks:
        missing = not block.get("block_id")
        named.append({**block, "block_id": f"b{call.workspace.count('block'):x}"} if missing else block)
    return named


def _metadata(call: Call) -> Json | None:
    given = call.args.get("metadata")
    if given in (None, ""):
        return None
    metadata = call.structure("metadata", "invalid_metadata_format")
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if call.size > MAX_METADATA_BYTES and len(json.dumps(metadata).encode()) > MAX_METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def _found(call: Call, channel: Channel, name: str, missing: str = "message_not_found") -> Message:
    ts = call.text(name)
    message = channel.by_ts.get(ts) if ts else None
    if message is None:
        raise SlackError(missing)
    return message


def _may_write(call: Call, channel: Channel) -> None:
    if channel.is_archived:
        raise SlackError("is_archived")
    if channel.kind == "im" and not call.workspace.messages_tab_enabled:
        raise SlackError("messages_tab_disabled")


def _thread(call: Call, channel: Channel) -> str | None:
    thread_ts = call.text("thread_ts")
    if not thread_ts:
        return None
    parent = channel.by_ts.get(thread_ts)
    if parent is None:
        raise SlackError("cannot_reply_to_message")
    return parent.thread_ts or thread_ts


def _paced(call: Call, channel: Channel) -> None:
    wait = call.slack.limits.message(channel.id, call.workspace.clock.seconds())
    if wait:
        raise SlackError("ratelimited", status=429, headers={"Retry-After": str(wait)})


def post_message(call: Call) -> Json:
    """Write a message; a user's id as channel opens the direct message and answers with its D... id."""
    workspace = call.workspace
    channel = call.channel(open_dm=True, member=True)
    _may_write(call, channel)
    made = content(call, too_long="msg_blocks_too_long", cut=MAX_TEXT)
    metadata = _metadata(call)
    thread_ts = _thread(call, channel)
    _paced(call, channel)
    message = Message(
        ts=workspace.next_ts(),
        channel=channel.id,
        user=workspace.bot_user_id,
        text=made["text"],
        bot=True,
        blocks=named_blocks(call, made["blocks"]),
        attachments=made["attachments"],
        metadata=metadata,
        thread_ts=thread_ts,
    )
    workspace.keep(message)
    out: Json = {"channel": channel.id, "ts": message.ts}
    out["message"] = workspace.message_object(message, metadata=True)
    if "warning" in made:
        out["warning"] = made["warning"]
        out["response_metadata"] = {"warnings": [made["warning"]]}
    return out


def post_ephemeral(call: Call) -> Json:
    """Write what only one member sees, and only now."""
    workspace = call.workspace
    channel = call.channel(member=True)
    _may_write(call, channel)
    user = call.user("user", "user_not_in_channel")
    if user.id not in channel.members:
        raise SlackError("user_not_in_channel")
    made = content(call, too_long="msg_too_long", cut=MAX_TEXT)
    message = Message(
        ts=workspace.next_ts(),
        channel=channel.id,
        user=workspace.bot_user_id,
        text=made["text"],
        bot=True,
        blocks=named_blocks(call, made["blocks"]),
        attachments=made["attachments"],
        thread_ts=call.text("thread_ts"),
        ephemeral_for=user.id,
    )
    workspace.keep(message, "ephemeral")
    return {"message_ts": message.ts}


def update(call: Call) -> Json:
    """Change one of the app's own messages. Text without blocks takes the blocks away."""
    workspace = call.workspace
    channel = call.channel()
    message = _found(call, channel, "ts")
    if not message.bot:
        raise SlackError("cant_update_message")
    made = content(call, too_long="msg_too_long")
    if len(made["text"]) > MAX_UPDATED_TEXT:
        raise SlackError("msg_too_long")
    metadata = _metadata(call)
    change(call, message, made, metadata)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": workspace.message_object(message, metadata=True),
    }


def change(call: Call, message: Message, made: Json, metadata: Json | None = None) -> None:
    """Put new content into a message and show it."""
    workspace = call.workspace
    message.text = made["text"]
    message.blocks = named_blocks(call, made["blocks"])
    if made["attachments"] is not None:
        message.attachments = made["attachments"]
    if metadata is not None:
        message.metadata = metadata
    message.edited = {"user": workspace.bot_user_id, "ts": workspace.next_ts()}
    workspace.show("updated", message)


def delete(call: Call) -> Json:
    """Delete one of the app's own messages."""
    channel = call.channel()
    message = _found(call, channel, "ts")
    if not message.bot:
        raise SlackError("cant_delete_message")
    call.workspace.drop(message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(call: Call) -> Json:
    """The link to a message."""
    channel = call.channel()
    message = _found(call, channel, "message_ts")
    return {"channel": channel.id, "permalink": call.workspace.permalink(message)}


def _item(call: Call) -> tuple[Channel, Message]:
    if not call.text("channel") or not call.text("timestamp"):
        raise SlackError("no_item_specified")
    if not _TS.fullmatch(call.text("timestamp") or ""):
        raise SlackError("bad_timestamp")
    channel = call.channel()
    return channel, _found(call, channel, "timestamp")


def add_reaction(call: Call) -> Json:
    """Put an emoji of the app's on a message."""
    _channel, message = _item(call)
    name = (call.text("name") or "").strip(":")
    if not re.fullmatch(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?", name):
        raise SlackError("invalid_name")
    users = message.reactions.setdefault(name, [])
    if call.workspace.bot_user_id in users:
        raise SlackError("already_reacted")
    if len(message.reactions) > 23:
        raise SlackError("too_many_emoji")
    users.append(call.workspace.bot_user_id)
    call.workspace.reacted(message)
    return {}


def get_reactions(call: Call) -> Json:
    """A message with its reactions."""
    channel, message = _item(call)
    shown: dict[str, Any] = call.workspace.message_object(message)
    shown["permalink"] = call.workspace.permalink(message)
    return {"type": "message", "channel": channel.id, "message": shown}


METHODS = {
    "chat.postMessage": Method(post_message, ("chat:write",), ("channel",)),
    "chat.postEphemeral": Method(post_ephemeral, ("chat:write",), ("channel", "user")),
    "chat.update": Method(update, ("chat:write",), ("channel", "ts")),
    "chat.delete": Method(delete, ("chat:write",), ("channel", "ts")),
    "chat.getPermalink": Method(get_permalink, (), ("channel", "message_ts")),
    "reactions.add": Method(add_reaction, ("reactions:write",), ("name",)),
    "reactions.get": Method(get_reactions, ("reactions:read",)),
}
