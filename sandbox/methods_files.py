"""files.*: an address to upload to, the upload, and its completion (docs.slack.dev/messaging/working-with-files)."""

from __future__ import annotations

import mimetypes
from email.parser import BytesParser
from email.policy import HTTP

from sandbox.blocks import check_blocks
from sandbox.calls import Call, Json, Method, named_blocks, refused_blocks
from sandbox.errors import SlackError
from sandbox.methods_chat import MAX_TEXT, may_write, paced, thread_of
from sandbox.slack import Slack
from sandbox.state import Channel, File, Message

MAX_SNIPPET = 1_000_000
MAX_ALT = 1_000
MAX_CHANNELS = 100
#: Slack takes files of 1 GB; a sandbox that keeps them in memory does not (bytes).
MAX_FILE = 20_000_000


def upload_url(call: Call) -> Json:
    """An address that takes the bytes of one file."""
    # A length of 0 is Slack's example of a missing argument.
    length = call.whole("length", 0, "missing_argument")
    name = call.text("filename") or ""
    if not length or not name:
        raise SlackError("missing_argument")
    if len(call.text("alt_txt") or "") > MAX_ALT:
        raise SlackError("alt_txt_too_large")
    if call.text("snippet_type") and length > MAX_SNIPPET:
        raise SlackError("snippet_too_large")
    if length > MAX_FILE:
        raise SlackError("file_upload_size_restricted")
    workspace = call.workspace
    file = File(
        id=f"F{workspace.count('file'):08d}",
        name=name,
        size=length,
        created=int(workspace.clock.seconds()),
        # The slash: a name that begins with `data:` would say itself what it is.
        mimetype=mimetypes.guess_type(f"/{name}")[0] or "application/octet-stream",
        title=name,
        alt=call.text("alt_txt") or "",
    )
    workspace.files[file.id] = file
    return {"upload_url": workspace.url + workspace.upload_path(file), "file_id": file.id}


def upload(slack: Slack, path: str, content_type: str, body: bytes) -> str:
    """Take the bytes at an upload address; returns Slack's line of text. Raises SlackError."""
    file = slack.workspace.uploads.get(path)
    if file is None:
        raise SlackError("file_not_found", status=404)
    content = _file_of_form(content_type, body) if content_type.startswith("multipart/") else body
    if len(content) != file.size:
        raise SlackError("invalid_length", status=400, expected=file.size, received=len(content))
    file.content = content
    return f"OK - {len(content)}"


def _file_of_form(content_type: str, body: bytes) -> bytes:
    """The file in a multipart form: its only part that has a name of a file. Raises SlackError."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in message.iter_parts() if message.is_multipart() else ():
        content = part.get_payload(decode=True)
        if part.get_filename() and isinstance(content, bytes):
            return content
    raise SlackError("no_file_data", status=400)


def _listed(call: Call) -> list[File]:
    """The files of the call, uploaded, with their titles."""
    given = call.structure("files", "invalid_arguments")
    if not isinstance(given, list) or not given:
        raise SlackError("invalid_arguments")
    found = []
    for item in given:
        name = item.get("id") if isinstance(item, dict) else None
        file = call.workspace.files.get(name) if isinstance(name, str) else None
        if file is None or file.content is None:
            raise SlackError("file_not_found")
        if file.completed:
            raise SlackError("file_update_failed")
        found.append(file)
    for file, item in zip(found, given, strict=True):
        if isinstance(item.get("title"), str) and item["title"]:
            file.title = item["title"]
    return found


def _channels(call: Call) -> list[Channel]:
    """Where the files are to be shared."""
    names = [name.strip() for name in (call.text("channels") or "").split(",") if name.strip()]
    if call.text("channel_id"):
        names.insert(0, call.text("channel_id") or "")
    if len(names) > MAX_CHANNELS:
        raise SlackError("channels_limit_exceeded")
    channels = []
    for name in dict.fromkeys(names):
        try:
            channel = Call(call.slack, call.method, {"channel": name}, call.token).channel(
                open_dm=True, member=True
            )
        except SlackError as no:
            raise SlackError(
                "not_in_channel" if no.code == "not_in_channel" else "channel_not_found"
            ) from None
        may_write(call, channel, archived="posting_to_channel_denied", closed="posting_to_channel_denied")
        channels.append(channel)
    return channels


def complete(call: Call) -> Json:
    """Finish uploads, and post them as one message into each channel or into a thread."""
    workspace = call.workspace
    files = _listed(call)
    channels = _channels(call)
    comment = (call.text("initial_comment") or "")[:MAX_TEXT]
    blocks = None if comment else call.structure("blocks", "invalid_blocks")
    if blocks is not None:
        faults = check_blocks(blocks)
        if faults:
            raise refused_blocks(faults)
    threads = []
    for channel in channels:
        try:
            threads.append(thread_of(call, channel))
        except SlackError:
            raise SlackError("invalid_channel") from None
        paced(call, channel)
    for file in files:
        file.completed = True
    for channel, thread_ts in zip(channels, threads, strict=True):
        message = Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=workspace.bot_user_id,
            text=comment,
            bot=True,
            blocks=named_blocks(call, blocks),
            thread_ts=thread_ts,
            files=files,
        )
        workspace.keep(message)
        for file in files:
            file.shares.setdefault(channel.id, []).append(message.ts)
    return {"files": [workspace.file_object(file) for file in files]}


def info(call: Call) -> Json:
    """One file, as the app may see it."""
    file = call.workspace.files.get(call.text("file") or "")
    if file is None or not file.completed:
        raise SlackError("file_not_found")
    return {
        "file": call.workspace.file_object(file),
        "comments": [],
        "response_metadata": {"next_cursor": ""},
    }


METHODS = {
    "files.getUploadURLExternal": Method(
        upload_url,
        ("files:write",),
        errors=frozenset(
            {"missing_argument", "alt_txt_too_large", "snippet_too_large", "file_upload_size_restricted"}
        ),
    ),
    "files.completeUploadExternal": Method(
        complete,
        ("files:write",),
        ("files",),
        errors=frozenset(
            {
                "file_not_found",
                "file_update_failed",
                "channel_not_found",
                "not_in_channel",
                "invalid_channel",
                "invalid_blocks",
                "channels_limit_exceeded",
                "posting_to_channel_denied",
            }
        ),
    ),
    "files.info": Method(info, ("files:read",), ("file",), errors=frozenset({"file_not_found"})),
}
