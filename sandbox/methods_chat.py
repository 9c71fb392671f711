"""chat.* and reactions.*: docs.slack.dev/reference/methods/chat.postMessage and its neighbours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sandbox.blocks import MESSAGE, Fault, check_attachments, check_blocks
from sandbox.calls import Call, Json, Method, named_blocks, refused_blocks
from sandbox.errors import SlackError, invalid_arguments
from sandbox.state import Channel, Message

MAX_TEXT = 40_000  # a longer one is cut, with a warning
MAX_UPDATED_TEXT = 4_000
MAX_ATTACHMENTS = 100
#: Slack publishes no number; reports from the field say about 13 KB pass and 15 KB do not.
MAX_BLOCKS_BYTES = 13 * 1024
#: Slack publishes no number either.
MAX_METADATA_BYTES = 8 * 1024
#: Different emoji on one message.
MAX_EMOJI = 23
_TS = re.compile(r"\d{1,12}\.\d{6}")
_AT_NAME = re.compile(r"(?<![<\w])@([a-z0-9][a-z0-9._-]*)")


def content(call: Call, *, too_long: str, cut: int | None = None, surface: str = MESSAGE) -> Json:
    """Text, blocks and attachments of a message, checked. Raises SlackError; an empty message is `no_text`."""
    text, markdown = call.text("text"), call.text("markdown_text")
    blocks = call.structure("blocks", "invalid_blocks_format")
    attachments = call.structure("attachments", "invalid_blocks_format")
    if markdown is not None:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > 12_000:
            raise invalid_arguments("must be less than 12001 characters [json-pointer:/markdown_text]")
        text = markdown
    if blocks is not None:
        if not isinstance(blocks, list):
            raise SlackError("invalid_blocks_format")
        faults = check_blocks(blocks, surface) or missing_files(call, blocks)
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
    if text and (call.flag("link_names") or call.text("parse") == "full"):
        text = _linked(call, text)
    out: Json = {"text": text or "", "blocks": blocks, "attachments": attachments}
    if cut and len(out["text"]) > cut:
        out["text"] = out["text"][:cut]
        out["warning"] = "message_truncated"
    return out


def _linked(call: Call, text: str) -> str:
    """The text with `@name` of a member turned into a mention, as `link_names` asks."""
    by_name = {user.name: user.id for user in call.workspace.users.values() if not user.deleted}

    def mention(found: re.Match[str]) -> str:
        user_id = by_name.get(found[1])
        return f"<@{user_id}>" if user_id else found[0]

    return _AT_NAME.sub(mention, text)


def _pictures(blocks: list[Json]) -> Iterator[tuple[str, Json]]:
    """Everything in some blocks that could show a file of Slack's, with its place."""
    for number, block in enumerate(blocks):
        at = f"/blocks/{number}"
        yield at, block
        for key in ("accessory", "hero_image", "icon"):
            if isinstance(block.get(key), dict):
                yield f"{at}/{key}", block[key]
        if block["type"] == "context":
            yield from ((f"{at}/elements/{i}", element) for i, element in enumerate(block["elements"]))


def missing_files(call: Call, blocks: list[Json]) -> list[Fault]:
    """Pictures that name a file which the workspace has not."""
    files = call.workspace.files
    missing = []
    for at, thing in _pictures(blocks):
        shown = thing.get("slack_file")
        if shown is None:
            continue
        found = files.get(shown.get("id") or "") if isinstance(shown, dict) else None
        if found is None and isinstance(shown, dict):
            urls = (
                file
                for file in files.values()
                if call.workspace.file_object(file)["url_private"] == shown.get("url")
            )
            found = next(urls, None)
        if found is None or not found.completed:
            missing.append(Fault(f"{at}/slack_file", "invalid slack file"))
    return missing


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


def may_write(
    call: Call, channel: Channel, *, archived: str = "is_archived", closed: str = "messages_tab_disabled"
) -> None:
    """Raise what the method calls a channel that takes no messages."""
    if channel.is_archived:
        raise SlackError(archived)
    if channel.kind == "im" and not call.workspace.messages_tab_enabled:
        raise SlackError(closed)


def thread_of(call: Call, channel: Channel) -> str | None:
    """The ts of the thread that `thread_ts` names; a reply's stands for its thread."""
    thread_ts = call.text("thread_ts")
    if not thread_ts:
        return None
    parent = channel.by_ts.get(thread_ts)
    if parent is None:
        raise SlackError("cannot_reply_to_message")
    return parent.thread_ts or thread_ts


def paced(call: Call, channel: Channel) -> None:
    """Count one message into the channel, or raise `ratelimited`."""
    wait = call.slack.limits.message(channel.id, call.workspace.clock.seconds())
    if wait:
        raise SlackError("ratelimited", status=429, headers={"Retry-After": str(wait)})


def post_message(call: Call) -> Json:
    """Write a message; a user's id as channel opens the direct message and answers with its D... id."""
    workspace = call.workspace
    channel = call.channel(open_dm=True, member=True)
    may_write(call, channel)
    made = content(call, too_long="msg_blocks_too_long", cut=MAX_TEXT)
    metadata = _metadata(call)
    thread_ts = thread_of(call, channel)
    paced(call, channel)
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
        subtype="thread_broadcast" if thread_ts and call.flag("reply_broadcast") else "",
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
    may_write(call, channel)
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
        thread_ts=thread_of(call, channel),
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
    if call.workspace.bot_user_id in message.reactions.get(name, ()):
        raise SlackError("already_reacted")
    if name not in message.reactions and len(message.reactions) >= MAX_EMOJI:
        raise SlackError("too_many_emoji")
    message.reactions.setdefault(name, []).append(call.workspace.bot_user_id)
    call.workspace.reacted(message)
    return {}


def get_reactions(call: Call) -> Json:
    """A message with its reactions."""
    channel, message = _item(call)
    shown: dict[str, Any] = call.workspace.message_object(message)
    shown["permalink"] = call.workspace.permalink(message)
    return {"type": "message", "channel": channel.id, "message": shown}


_WORDS = frozenset(
    {"no_text", "invalid_blocks", "invalid_blocks_format", "markdown_text_conflict", "too_many_attachments"}
)
_METADATA = frozenset({"invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large"})
_PLACE = frozenset({"channel_not_found", "is_archived", "messages_tab_disabled", "not_in_channel"})
_ITEM = frozenset({"bad_timestamp", "channel_not_found", "message_not_found", "no_item_specified"})

METHODS = {
    "chat.postMessage": Method(
        post_message,
        ("chat:write",),
        ("channel",),
        errors=_WORDS | _METADATA | _PLACE | {"cannot_reply_to_message", "msg_blocks_too_long"},
    ),
    "chat.postEphemeral": Method(
        post_ephemeral,
        ("chat:write",),
        ("channel", "user"),
        errors=_WORDS | _PLACE | {"cannot_reply_to_message", "msg_too_long", "user_not_in_channel"},
    ),
    "chat.update": Method(
        update,
        ("chat:write",),
        ("channel", "ts"),
        errors=_WORDS
        | _METADATA
        | {"cant_update_message", "channel_not_found", "message_not_found", "msg_too_long"},
    ),
    "chat.delete": Method(
        delete,
        ("chat:write",),
        ("channel", "ts"),
        errors=frozenset({"cant_delete_message", "channel_not_found", "message_not_found"}),
    ),
    "chat.getPermalink": Method(
        get_permalink,
        (),
        ("channel", "message_ts"),
        errors=frozenset({"channel_not_found", "message_not_found"}),
    ),
    "reactions.add": Method(
        add_reaction,
        ("reactions:write",),
        ("name",),
        errors=_ITEM | {"already_reacted", "invalid_name", "too_many_emoji"},
    ),
    "reactions.get": Method(get_reactions, ("reactions:read",), errors=_ITEM),
}
