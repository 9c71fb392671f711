"""The workspace: users, channels, messages, views, and the numbers Slack gives them.

All of it lives in memory. Identifiers are counted, never random, so that the same run gives the same names.
The shapes of objects follow docs.slack.dev/reference/objects.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from typing import Any, Generic, TypeVar, overload
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.shelf import Shelf

Json = dict[str, Any]

ALL_SCOPES = frozenset(
    {
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "dnd:read",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "im:history",
        "im:read",
        "im:write",
        "mpim:history",
        "mpim:read",
        "mpim:write",
        "reactions:read",
        "reactions:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)


@dataclass(slots=True)
class Quiet:
    """Do not disturb: local times of day (HH:MM, every day) or two instants."""

    start: wall_time | datetime
    end: wall_time | datetime

    def window(self, now: datetime, tz: str) -> tuple[int, int] | None:
        """The window that holds `now`, or the next one, as epoch seconds; None when it lies behind us."""
        if isinstance(self.start, datetime):
            end = self.end
            assert isinstance(end, datetime)
            return (int(self.start.timestamp()), int(end.timestamp())) if end > now else None
        assert isinstance(self.end, wall_time)
        zone = ZoneInfo(tz)
        local_day = now.astimezone(zone).date()
        for offset in (-1, 0, 1):
            day = local_day + timedelta(days=offset)
            begins = datetime.combine(day, self.start, zone)
            ends = datetime.combine(day if self.end > self.start else day + timedelta(days=1), self.end, zone)
            if ends > now:
                return int(begins.timestamp()), int(ends.timestamp())
        return None


@dataclass(slots=True)
class User:
    """A member of the workspace."""

    id: str
    name: str
    real_name: str
    email: str | None = None
    tz: str = "UTC"
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    deleted: bool = False
    title: str = ""
    status_text: str = ""
    status_emoji: str = ""
    status_expiration: int = 0
    dnd: Quiet | None = None
    locale: str = "en-US"
    role: str = ""
    team: str = ""
    updated: int = 0


@dataclass(slots=True)
class File:
    """A file: `content` is None until it was uploaded; `shares` are the ts of the messages with it, by channel."""

    id: str
    name: str
    size: int
    created: int
    mimetype: str
    title: str
    alt: str = ""
    content: bytes | None = None
    completed: bool = False
    shares: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Usergroup:
    """A group of users that can be mentioned by its handle."""

    id: str
    handle: str
    name: str
    created: int
    description: str = ""
    users: list[str] = field(default_factory=list)
    disabled: bool = False


Content = TypeVar("Content")
Lying = list[Any] | tuple[Shelf, bytes]
"""Blocks, attachments and metadata of a message, at hand or on the shelf."""
AT_HAND = 500
"""Messages whose content lies at hand; that of older ones is on the shelf."""
_NOTHING: Lying = [None, None, None]


class Shelved(Generic[Content]):
    """A field of a message that is on the shelf once the message is old. What is read from there is a copy."""

    def __init__(self, place: int) -> None:
        self._place = place

    @overload
    def __get__(self, message: None, owner: type[Message]) -> None: ...
    @overload
    def __get__(self, message: Message, owner: type[Message]) -> Content | None: ...
    def __get__(self, message: Message | None, owner: type[Message]) -> Content | None:
        """The content; asked of the class, None: what a message has that is given none."""
        found: Content | None = None if message is None else message.content()[self._place]
        return found

    def __set__(self, message: Message, value: Content | None) -> None:
        """Other content: everything lies at hand again."""
        content = [*message.content()]
        content[self._place] = value
        message.lying = content


@dataclass(eq=False)
class Message:
    """One message. `user` is who wrote it; `bot` is True when it was the app."""

    lying = _NOTHING

    ts: str
    channel: str
    user: str
    text: str
    bot: bool = False
    blocks: Shelved[list[Json]] = Shelved(0)
    attachments: Shelved[list[Json]] = Shelved(1)
    metadata: Shelved[Json] = Shelved(2)
    thread_ts: str | None = None
    edited: Json | None = None
    ephemeral_for: str | None = None
    client_msg_id: str | None = None
    #: `thread_broadcast` for a reply that is shown in the channel too.
    subtype: str = ""
    files: list[File] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[Message] = field(default_factory=list)

    def content(self) -> list[Any]:
        """Blocks, attachments and metadata."""
        lying = self.lying
        if isinstance(lying, list):
            return lying
        shelf, packed = lying
        found: list[Any] = shelf.unpack(packed)
        return found

    def put_away(self, shelf: Shelf) -> None:
        """Put the content on the shelf, unless it is there."""
        if isinstance(self.lying, list):
            self.lying = shelf, shelf.pack(self.lying)


@dataclass(slots=True)
class Channel:
    """A channel, private channel or direct message with the app."""

    id: str
    kind: str  # channel, group, im, mpim
    created: int
    name: str = ""
    user: str | None = None
    members: list[str] = field(default_factory=list)
    is_archived: bool = False
    messages: list[Message] = field(default_factory=list)
    by_ts: dict[str, Message] = field(default_factory=dict)
    ephemeral: dict[str, Message] = field(default_factory=dict)

    def find(self, ts: str) -> Message | None:
        """A message by its ts, ephemeral ones included."""
        return self.by_ts.get(ts) or self.ephemeral.get(ts)


@dataclass(slots=True)
class View:
    """A modal or a Home tab as it stands."""

    id: str
    user: str
    content: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    state: Json = field(default_factory=dict)


@dataclass(slots=True)
class Token:
    """A token and what it may do; `app_level` tokens open sockets and nothing else."""

    text: str
    scopes: frozenset[str]
    app_level: bool = False
    revoked: bool = False


@dataclass(slots=True)
class Trigger:
    """The right to open one modal, three seconds long."""

    user: str
    at: float
    #: Whether the click was made in a modal: only then may another be put on top of it.
    in_modal: bool = False
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """The right to answer an interaction five times in thirty minutes."""

    channel: str
    user: str
    at: float
    message_ts: str | None = None
    ephemeral: bool = False
    uses: int = 0


class Workspace:
    """Everything Slack knows. Methods change it; nothing here speaks HTTP."""

    team_id = "T0SANDBOX"
    team_name = "Sandbox"
    domain = "sandbox"
    app_id = "A0SANDBOX"
    bot_id = "B0SANDBOX"
    bot_user_id = "U0SANDBOXBOT"
    verification_token = "sandbox-verification"  # noqa: S105

    def __init__(
        self, clock: Clock, *, bot_name: str = "fullsteam", scopes: frozenset[str] = ALL_SCOPES
    ) -> None:
        self.clock = clock
        #: Where the sandbox itself is reached.
        self.url = ""
        self.bot_name = bot_name
        self.messages_tab_enabled = True
        self.messages_tab_read_only = False
        self.home_tab_enabled = True
        self.users: dict[str, User] = {}
        self.emails: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.views: dict[str, View] = {}
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.external_ids: dict[str, str] = {}
        self.files: dict[str, File] = {}
        self.uploads: dict[str, File] = {}
        self.usergroups: dict[str, Usergroup] = {}
        #: What a person has chosen and typed in the elements of a message, by (user, channel, ts).
        self.chosen: dict[tuple[str, str, str], Json] = {}
        #: The options that the bot offered to a person in a menu of its own, by (user, action_id) and value.
        self.offered: dict[tuple[str, str], dict[str, Json]] = {}
        self.tokens: dict[str, Token] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.seen_by: list[Callable[[str, Message], None]] = []
        self.views_seen_by: list[Callable[[str, View], None]] = []
        self.reactions_seen_by: list[Callable[[Message], None]] = []
        #: How often somebody, or a channel, came or changed.
        self.changes = 0
        self._shelf = Shelf()
        self._at_hand: deque[Message] = deque()
        self._last_micros = 0
        self._counts: dict[str, int] = {}
        self._bot_scopes = scopes
        bot = User(
            self.bot_user_id, bot_name, bot_name.capitalize(), is_bot=True, updated=int(clock.seconds())
        )
        self.users[bot.id] = bot
        # Every workspace has it, and Slack says of it that it is no bot.
        self.users["USLACKBOT"] = User("USLACKBOT", "slackbot", "Slackbot")

    # Names and numbers

    def grant(self, text: str, *, app_level: bool = False) -> Token:
        """Make a token valid; a bot token gets the app's scopes."""
        scopes = frozenset({"connections:write"}) if app_level else self._bot_scopes
        token = self.tokens[text] = Token(text, scopes, app_level)
        return token

    def count(self, what: str) -> int:
        """1, 2, 3 ... for each kind of thing."""
        number = self._counts[what] = self._counts.get(what, 0) + 1
        return number

    def next_ts(self) -> str:
        """A timestamp that no other message has: seconds, a point, six digits (workspace clock)."""
        micros = max(self._last_micros + 1, int(self.clock.seconds() * 1_000_000))
        self._last_micros = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def next_event_id(self) -> str:
        """A new event id."""
        return f"Ev{self.count('event'):09d}"

    def trigger_for(self, user: str, *, in_modal: bool = False) -> str:
        """A new trigger id for `user`."""
        number = self.count("trigger")
        trigger_id = f"{number}.{int(self.clock.seconds())}.{number:032x}"
        self.triggers[trigger_id] = Trigger(user, self.clock.seconds(), in_modal)
        if len(self.triggers) > 10_000:
            for old in list(self.triggers)[:5_000]:
                del self.triggers[old]
        return trigger_id

    def response_path_for(
        self, channel: str, user: str, *, message_ts: str | None = None, ephemeral: bool = False
    ) -> str:
        """A new path for a response_url."""
        path = f"/actions/{self.team_id}/{self.count('response_url')}/sandbox"
        self.response_urls[path] = ResponseUrl(channel, user, self.clock.seconds(), message_ts, ephemeral)
        if len(self.response_urls) > 10_000:
            for old in list(self.response_urls)[:5_000]:
                del self.response_urls[old]
        return path

    # Users

    def add_user(self, user: User) -> bool:
        """Add a user, or replace one of the same id. True when the user is new."""
        self.changes += 1
        before = self.users.get(user.id)
        if before and before.email:
            self.emails.pop(before.email.lower(), None)
        user.updated = int(self.clock.seconds())
        self.users[user.id] = user
        if user.email:
            self.emails[user.email.lower()] = user
        return before is None

    def new_user_id(self) -> str:
        """The next free user id."""
        while True:
            candidate = f"U{self.count('user'):08d}"
            if candidate not in self.users:
                return candidate

    def user_object(self, user: User, *, email: bool = True) -> Json:
        """A user as `users.info` gives it; the e-mail only with the scope for it."""
        now = self.clock.now()
        # Slack knows no zone of some accounts, and then says null.
        local = now.astimezone(ZoneInfo(user.tz or "UTC"))
        offset = local.utcoffset()
        expired = bool(user.status_expiration) and user.status_expiration <= now.timestamp()
        picture = f"https://avatars.invalid/{user.id}"
        profile: Json = {
            "avatar_hash": f"g{user.id.lower()}",
            "status_text": "" if expired else user.status_text,
            "status_emoji": "" if expired else user.status_emoji,
            "status_expiration": 0 if expired else user.status_expiration,
            "real_name": user.real_name,
            "display_name": user.name,
            "real_name_normalized": user.real_name,
            "display_name_normalized": user.name,
            "title": user.title,
            "team": self.team_id,
            **{f"image_{size}": f"{picture}_{size}.png" for size in (24, 32, 48, 72, 192, 512)},
        }
        if email and user.email:
            profile["email"] = user.email
        return {
            "id": user.id,
            "team_id": self.team_id,
            "name": user.name,
            "deleted": user.deleted,
            "color": "9f69e7",
            "real_name": user.real_name,
            "tz": user.tz or None,
            "tz_label": (local.tzname() or user.tz) if user.tz else None,
            "tz_offset": int(offset.total_seconds()) if offset else 0,
            "profile": profile,
            "is_admin": False,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": user.is_restricted,
            "is_ultra_restricted": user.is_ultra_restricted,
            "is_bot": user.is_bot,
            "is_app_user": False,
            "updated": user.updated,
            "has_2fa": False,
        }

    def dnd_status(self, user: User) -> Json:
        """`dnd_enabled` and the current or next window; 1 and 1 where there is none, as Slack says it."""
        window = user.dnd.window(self.clock.now(), user.tz) if user.dnd else None
        start, end = window or (1, 1)
        return {"dnd_enabled": window is not None, "next_dnd_start_ts": start, "next_dnd_end_ts": end}

    # Channels and messages

    def open_dm(self, user: User) -> tuple[Channel, bool]:
        """The direct message between the app and `user`, and whether it had to be made."""
        channel_id = "D" + user.id[1:]
        channel = self.channels.get(channel_id)
        if channel:
            return channel, False
        members = [self.bot_user_id, user.id]
        channel = Channel(channel_id, "im", int(self.clock.seconds()), user=user.id, members=members)
        self.channels[channel_id] = channel
        return channel, True

    def open_group(self, users: list[User]) -> tuple[Channel, bool]:
        """The group direct message of the app with these users, and whether it had to be made."""
        members = [self.bot_user_id, *sorted(user.id for user in users)]
        for channel in self.channels.values():
            if channel.kind == "mpim" and channel.members == members:
                return channel, False
        names = "--".join(sorted(user.name for user in users))
        self.changes += 1
        channel_id = f"C{self.count('channel'):08d}"
        name = f"mpdm-{names}--{self.bot_name}-1"
        channel = Channel(channel_id, "mpim", int(self.clock.seconds()), name=name, members=members)
        self.channels[channel_id] = channel
        return channel, True

    def upload_path(self, file: File) -> str:
        """A new path that takes the bytes of a file."""
        path = f"/upload/v1/{self.count('upload'):08x}-{file.id}"
        self.uploads[path] = file
        return path

    def file_object(self, file: File) -> Json:
        """A file as `files.info` gives it."""
        place = f"{self.url}/files/{file.id}/{quote(file.name, safe='')}"
        extension = file.name.rpartition(".")[2].lower() if "." in file.name else ""
        shares: Json = {}
        kinds: dict[str, list[str]] = {"channels": [], "groups": [], "ims": []}
        for channel_id, stamps in file.shares.items():
            channel = self.channels[channel_id]
            kinds[{"channel": "channels", "im": "ims"}.get(channel.kind, "groups")].append(channel_id)
            side = shares.setdefault("public" if channel.kind == "channel" else "private", {})
            side[channel_id] = [{"ts": ts, "team_id": self.team_id} for ts in stamps]
        out: Json = {
            "id": file.id,
            "created": file.created,
            "timestamp": file.created,
            "name": file.name,
            "title": file.title,
            "mimetype": file.mimetype,
            "filetype": extension or "binary",
            "pretty_type": extension.upper() or "Binary",
            "user": self.bot_user_id,
            "user_team": self.team_id,
            "editable": False,
            "size": file.size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": bool(kinds["channels"]),
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": place,
            "url_private_download": place,
            "permalink": f"https://{self.domain}.slack.com/files/{self.bot_user_id}/{file.id}/",
            "permalink_public": f"https://slack-files.com/{self.team_id}-{file.id}-sandbox",
            "comments_count": 0,
            "is_starred": False,
            "shares": shares,
            **kinds,
            "has_rich_preview": False,
        }
        if file.alt:
            out["alt_txt"] = file.alt
        return out

    def add_channel(self, name: str, *, private: bool = False, members: list[str] | None = None) -> Channel:
        """A new channel; the app is a member when it stands in `members`."""
        self.changes += 1
        channel_id = f"C{self.count('channel'):08d}"
        kind = "group" if private else "channel"
        channel = Channel(channel_id, kind, int(self.clock.seconds()), name=name, members=list(members or []))
        self.channels[channel_id] = channel
        return channel

    def keep(self, message: Message, kind: str = "posted") -> None:
        """Put a new message in its channel and let everybody who looks see it."""
        channel = self.channels[message.channel]
        if message.ephemeral_for:
            channel.ephemeral[message.ts] = message
            if len(channel.ephemeral) > 50:
                del channel.ephemeral[next(iter(channel.ephemeral))]
        else:
            channel.messages.append(message)
            channel.by_ts[message.ts] = message
            parent = channel.by_ts.get(message.thread_ts) if message.thread_ts else None
            if parent and parent is not message:
                parent.replies.append(message)
        self.show(kind, message)

    def show(self, kind: str, message: Message) -> None:
        """Tell everybody who looks: kind is posted, ephemeral, updated or deleted."""
        for look in self.seen_by:
            look(kind, message)
        self._at_hand.append(message)
        if len(self._at_hand) > AT_HAND:
            self._at_hand.popleft().put_away(self._shelf)

    def reacted(self, message: Message) -> None:
        """Tell everybody who looks that the reactions to a message changed."""
        for look in self.reactions_seen_by:
            look(message)

    def drop(self, message: Message) -> None:
        """Delete a message."""
        channel = self.channels[message.channel]
        if channel.ephemeral.pop(message.ts, None) is None:
            channel.messages.remove(message)
            del channel.by_ts[message.ts]
            parent = channel.by_ts.get(message.thread_ts) if message.thread_ts else None
            if parent:
                parent.replies.remove(message)
        self.show("deleted", message)

    def message_object(self, message: Message, *, metadata: bool = False) -> Json:
        """A message as history gives it; metadata only when it was asked for."""
        out: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts}
        if message.bot:
            out["bot_id"] = self.bot_id
            out["app_id"] = self.app_id
            out["team"] = self.team_id
        if message.client_msg_id:
            out["client_msg_id"] = message.client_msg_id
            out["team"] = self.team_id
        if message.blocks:
            out["blocks"] = message.blocks
        if message.attachments:
            out["attachments"] = message.attachments
        if message.subtype:
            out["subtype"] = message.subtype
            parent = self.channels[message.channel].by_ts.get(message.thread_ts or "")
            if parent:
                out["root"] = self.message_object(parent)
        if message.files:
            out["files"] = [self.file_object(file) for file in message.files]
            out["upload"] = False
        if message.edited:
            out["edited"] = message.edited
        if message.reactions:
            out["reactions"] = [
                {"name": name, "users": users, "count": len(users)}
                for name, users in message.reactions.items()
            ]
        if message.thread_ts:
            out["thread_ts"] = message.thread_ts
            parent = self.channels[message.channel].by_ts.get(message.thread_ts)
            if parent and parent is not message:
                out["parent_user_id"] = parent.user
        if message.replies:
            out["thread_ts"] = message.ts
            out["reply_count"] = len(message.replies)
            out["reply_users"] = sorted({reply.user for reply in message.replies})
            out["reply_users_count"] = len(out["reply_users"])
            out["latest_reply"] = message.replies[-1].ts
        if metadata and message.metadata:
            out["metadata"] = message.metadata
        return out

    def permalink(self, message: Message) -> str:
        """Where a message could be read in a browser."""
        link = f"https://{self.domain}.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
        if message.thread_ts and message.thread_ts != message.ts:
            link += f"?thread_ts={message.thread_ts}&cid={message.channel}"
        return link

    def channel_object(self, channel: Channel, *, count: bool = False) -> Json:
        """A conversation as `conversations.info` gives it."""
        if channel.kind == "im":
            latest = channel.messages[-1] if channel.messages else None
            out: Json = {
                "id": channel.id,
                "created": channel.created,
                "is_im": True,
                "is_org_shared": False,
                "user": channel.user,
                "last_read": latest.ts if latest else "0000000000.000000",
                "latest": self.message_object(latest) if latest else None,
                "unread_count": 0,
                "unread_count_display": 0,
                "is_open": True,
                "priority": 0,
            }
        else:
            out = {
                "id": channel.id,
                "name": channel.name,
                "is_channel": channel.kind == "channel",
                "is_group": channel.kind in {"group", "mpim"},
                "is_im": False,
                "is_mpim": channel.kind == "mpim",
                "is_private": channel.kind != "channel",
                "created": channel.created,
                "creator": self.bot_user_id,
                "is_archived": channel.is_archived,
                "is_general": channel.name == "general",
                "unlinked": 0,
                "name_normalized": channel.name,
                "is_shared": False,
                "is_ext_shared": False,
                "is_org_shared": False,
                "is_pending_ext_shared": False,
                "is_frozen": False,
                "parent_conversation": None,
                "pending_shared": [],
                "pending_connected_team_ids": [],
                "shared_team_ids": [self.team_id],
                "properties": {},
                "context_team_id": self.team_id,
                "updated": channel.created * 1000,
                "is_member": self.bot_user_id in channel.members,
                "topic": {"value": "", "creator": "", "last_set": 0},
                "purpose": {"value": "", "creator": "", "last_set": 0},
                "previous_names": [],
            }
        if count:
            out["num_members"] = len(channel.members)
        return out

    # Views

    def new_view(
        self, user: str, content: Json, *, root: str | None = None, previous: str | None = None
    ) -> View:
        """A view with a name of its own; a root of its own unless one is given."""
        view_id = f"V{self.count('view'):08d}"
        view = View(view_id, user, content, self.view_hash(), root or view_id, previous)
        self.views[view_id] = view
        return view

    def view_hash(self) -> str:
        """A hash that no other version of a view has."""
        return f"{int(self.clock.seconds())}.{self.count('hash'):08x}"

    def view_object(self, view: View) -> Json:
        """A view as Slack sends and returns it."""
        content = view.content
        return {
            "id": view.id,
            "team_id": self.team_id,
            "type": content["type"],
            "title": content.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
            "submit": content.get("submit"),
            "close": content.get("close"),
            "blocks": content["blocks"],
            "private_metadata": content.get("private_metadata") or "",
            "callback_id": content.get("callback_id") or "",
            "external_id": content.get("external_id") or "",
            "state": {"values": view.state},
            "hash": view.hash,
            "clear_on_close": bool(content.get("clear_on_close")),
            "notify_on_close": bool(content.get("notify_on_close")),
            "root_view_id": view.root_id,
            "previous_view_id": view.previous_id,
            "app_id": self.app_id,
            "app_installed_team_id": self.team_id,
            "bot_id": self.bot_id,
        }


def cursor_after(position: int) -> str:
    """An opaque cursor, as Slack's: base64 of `next:<position>`."""
    return base64.b64encode(f"next:{position}".encode()).decode()


def position_of(cursor: str) -> int:
    """Where a cursor points. Raises ValueError for one that the sandbox did not give."""
    try:
        text = base64.b64decode(cursor.encode(), validate=True).decode()
    except (binascii.Error, UnicodeError) as exc:
        raise ValueError("not a cursor") from exc
    if not text.startswith("next:") or not text[5:].isdecimal():
        raise ValueError("not a cursor")
    return int(text[5:])


def epoch(when: datetime) -> float:
    """Seconds since 1970-01-01 UTC."""
    return when.astimezone(UTC).timestamp()
