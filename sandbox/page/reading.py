"""What a person sees of the workspace: conversations, messages, threads, modals, what they have read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from sandbox.reacting import offers
from sandbox.record import delivery_of
from sandbox.slack import Slack
from sandbox.state import Channel, Message, User

Json = dict[str, Any]
NEW = timedelta(days=2)
TIP = "tip:"
"""How the actions of a tip begin."""


class Unseen(Exception):
    """There is no such person, or this person sees no such thing."""


class Reading:
    """Reads for one person at a time. What they have read is kept as long as the sandbox runs."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.workspace = slack.workspace
        self._read: dict[tuple[str, str], str] = {}
        self._put_back: set[tuple[str, str]] = set()

    # Who is there

    def person(self, user_id: str) -> User:
        """Somebody whom one can be. Raises Unseen."""
        user = self.workspace.users.get(user_id)
        if user is None or user.is_bot or user.id == "USLACKBOT":
            raise Unseen(f"there is nobody by the id {user_id!r}")
        return user

    def people(self) -> list[Json]:
        """Everybody, with what a colleague would see of them."""
        return [
            {
                "id": user.id,
                "name": user.real_name or user.name,
                "handle": user.name,
                "title": user.title,
                "role": user.role,
                "team": user.team,
                "zone": user.tz or "UTC",
                "locale": user.locale,
                "status": self._status(user),
                "gone": user.deleted,
                "bot": user.is_bot,
                "messages": self._with_app(user),
                "waiting": self._waiting(user),
            }
            for user in self.workspace.users.values()
            if user.id != "USLACKBOT"
        ]

    def _with_app(self, user: User) -> int:
        channel = self.workspace.channels.get("D" + user.id[1:])
        return len(channel.messages) if channel else 0

    def _waiting(self, user: User) -> str:
        """The ts of the newest message with the app, where it is a tip of the last two days that nobody has answered."""
        channel = self.workspace.channels.get("D" + user.id[1:])
        last = channel.messages[-1] if channel and channel.messages else None
        if last is None or not last.bot or last.edited or last.thread_ts:
            return ""
        if float(last.ts) < self.slack.clock.seconds() - NEW.total_seconds():
            return ""
        asks = any(action.startswith(TIP) for action in offers(last.blocks))
        return last.ts if asks else ""

    def _status(self, user: User) -> str:
        expired = bool(user.status_expiration) and user.status_expiration <= self.slack.clock.seconds()
        return "" if expired else f"{user.status_emoji} {user.status_text}".strip()

    def app(self) -> Json:
        """The app: what it is, what it offers, which of its tabs are there."""
        features = self.slack.manifest.get("features", {})
        about = self.slack.manifest.get("display_information", {})
        workspace = self.workspace
        return {
            "user": workspace.bot_user_id,
            "name": about.get("name") or workspace.users[workspace.bot_user_id].real_name,
            "description": about.get("description", ""),
            "commands": [
                {
                    "command": each.get("command", ""),
                    "description": each.get("description", ""),
                    "hint": each.get("usage_hint", ""),
                }
                for each in features.get("slash_commands", [])
            ],
            "shortcuts": [
                {
                    "callback_id": each.get("callback_id", ""),
                    "name": each.get("name", ""),
                    "description": each.get("description", ""),
                    "type": each.get("type", "global"),
                }
                for each in features.get("shortcuts", [])
            ],
            "home_tab": workspace.home_tab_enabled,
            "messages_tab": workspace.messages_tab_enabled,
            "read_only": workspace.messages_tab_read_only,
            "scopes": sorted({scope for token in workspace.tokens.values() for scope in token.scopes}),
        }

    # Conversations

    def conversations(self, user: User) -> list[Json]:
        """The conversations that somebody is in; the one with the app also when nobody has written yet."""
        dm = "D" + user.id[1:]
        found = [
            self._conversation(channel, user)
            for channel in self.workspace.channels.values()
            if user.id in channel.members
        ]
        if dm not in self.workspace.channels:
            found.append(
                {"id": dm, "kind": "im", "name": "", "members": [], "unread": 0, "read": "", "latest": ""}
            )
        return found

    def _conversation(self, channel: Channel, user: User) -> Json:
        return {
            "id": channel.id,
            "kind": channel.kind,
            "name": channel.name,
            "members": channel.members,
            "archived": channel.is_archived,
            "unread": self._unread(channel, user),
            "read": self.read_to(channel, user),
            "latest": channel.messages[-1].ts if channel.messages else "",
        }

    def channel(self, channel_id: str, user: User) -> Channel | None:
        """A conversation that somebody is in; None for one with the app in which nobody has written. Raises Unseen."""
        channel = self.workspace.channels.get(channel_id)
        if channel is None and channel_id == "D" + user.id[1:]:
            return None
        if channel is None or user.id not in channel.members:
            raise Unseen(f"{user.id} is in no conversation {channel_id!r}")
        return channel

    def read_to(self, channel: Channel, user: User) -> str:
        """The ts up to which somebody has read: what they looked at, or what they wrote themselves."""
        read = self._read.get((user.id, channel.id), "")
        if (user.id, channel.id) in self._put_back:
            return read
        own = next((m.ts for m in reversed(channel.messages) if m.user == user.id or m.ts <= read), "")
        return max(read, own)

    def mark(self, channel: Channel, user: User, ts: str) -> str:
        """Somebody has read a conversation up to `ts`; returns up to where it is read now."""
        self._put_back.discard((user.id, channel.id))
        self._read[user.id, channel.id] = max(ts, self._read.get((user.id, channel.id), ""))
        return self._read[user.id, channel.id]

    def put_back(self, channel: Channel, user: User, ts: str) -> str:
        """Somebody wants to see the message `ts`, and all after it, as unread again."""
        before = next((m.ts for m in reversed(channel.messages) if m.ts < ts), "0")
        self._put_back.add((user.id, channel.id))
        self._read[user.id, channel.id] = before
        return before

    def _unread(self, channel: Channel, user: User) -> int:
        read = self.read_to(channel, user)
        unread = 0
        for message in reversed(channel.messages):
            if message.ts <= read:
                break
            unread += message.user != user.id
        return unread

    # Messages

    def message(self, message: Message) -> Json:
        """A message as the page draws it."""
        return {
            **self.workspace.message_object(message),
            "bot": message.bot,
            "ephemeral": message.ephemeral_for is not None,
            "delivery": delivery_of(message.metadata),
        }

    def parent(self, channel: Channel, message: Message) -> Json | None:
        """The message that a reply belongs to."""
        if not message.thread_ts or message.thread_ts == message.ts:
            return None
        parent = channel.by_ts.get(message.thread_ts)
        return self.message(parent) if parent else None

    def history(self, channel: Channel, user: User, before: str, limit: int) -> Json:
        """The newest `limit` messages before `before` ('' for all), oldest first, without replies in threads."""
        found = list(islice(self._upwards(channel, before), limit + 1))
        more = len(found) > limit
        shown = list(reversed(found[:limit]))
        oldest = shown[0].ts if more else ""
        shown.extend(
            each
            for each in channel.ephemeral.values()
            if each.ephemeral_for == user.id
            and not each.thread_ts
            and each.ts > oldest
            and (not before or each.ts < before)
        )
        shown.sort(key=lambda each: float(each.ts))
        return {"messages": [self.message(each) for each in shown], "more": more}

    @staticmethod
    def _upwards(channel: Channel, before: str) -> Iterator[Message]:
        for message in reversed(channel.messages):
            in_thread = message.thread_ts and message.thread_ts != message.ts
            if not in_thread and (not before or message.ts < before):
                yield message

    def thread(self, channel: Channel, user: User, ts: str) -> list[Json]:
        """A message and the replies to it. Raises Unseen."""
        parent = channel.by_ts.get(ts)
        if parent is None:
            raise Unseen(f"there is no message {ts!r} in {channel.id}")
        hushed = [m for m in channel.ephemeral.values() if m.thread_ts == ts and m.ephemeral_for == user.id]
        replies = sorted([*parent.replies, *hushed], key=lambda each: float(each.ts))
        return [self.message(each) for each in (parent, *replies)]

    # Views

    def modals(self, user_id: str) -> list[Json]:
        """The modals before a person, from the bottom up."""
        return [self.workspace.view_object(view) for view in self.workspace.modals.get(user_id, [])]

    def home(self, user_id: str) -> Json | None:
        """A person's Home tab."""
        view = self.workspace.homes.get(user_id)
        return self.workspace.view_object(view) if view else None
