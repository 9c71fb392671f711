"""What Slack sends to an app: events, interactions and slash commands.

Keys and types: docs.slack.dev/apis/events-api and docs.slack.dev/reference/interaction-payloads.
"""

from __future__ import annotations

from typing import Any

from sandbox.state import Channel, Message, User, View, Workspace

Json = dict[str, Any]


def envelope(workspace: Workspace, event: Json) -> Json:
    """An event in the envelope that the Events API puts around it."""
    event_id = workspace.next_event_id()
    return {
        "token": workspace.verification_token,
        "team_id": workspace.team_id,
        "api_app_id": workspace.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(workspace.clock.seconds()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team_id,
                "user_id": workspace.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{event_id}",
    }


def rate_limited(workspace: Workspace, minute: int) -> Json:
    """`app_rate_limited`, which stands in no envelope; `minute` is when it began (epoch seconds)."""
    return {
        "token": workspace.verification_token,
        "type": "app_rate_limited",
        "team_id": workspace.team_id,
        "minute_rate_limited": minute,
        "api_app_id": workspace.app_id,
    }


def rich_text(text: str) -> list[Json]:
    """What Slack makes of typed text."""
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "typed", "elements": [section]}]


def message_event(workspace: Workspace, message: Message) -> Json:
    """`message`, in a direct message or a channel."""
    channel = workspace.channels[message.channel]
    event = {
        **workspace.message_object(message, metadata=True),
        "team": workspace.team_id,
        "channel": channel.id,
        "event_ts": message.ts,
        "channel_type": channel.kind,
    }
    for key in ("reply_count", "reply_users", "reply_users_count", "latest_reply", "reactions"):
        event.pop(key, None)
    if message.files and not message.subtype:
        event["subtype"] = "file_share"
    return event


def message_changed_event(workspace: Workspace, message: Message) -> Json:
    """`message` with subtype message_changed, which Slack sends after an edit."""
    channel = workspace.channels[message.channel]
    ts = workspace.next_ts()
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": workspace.message_object(message, metadata=True),
        "channel": channel.id,
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": channel.kind,
    }


def user_event(workspace: Workspace, kind: str, user: User) -> Json:
    """`user_change` or `team_join`."""
    event: Json = {"type": kind, "user": workspace.user_object(user)}
    if kind == "user_change":
        event["cache_ts"] = int(workspace.clock.seconds())
    return event


def dnd_event(workspace: Workspace, user: User) -> Json:
    """`dnd_updated_user`."""
    status = workspace.dnd_status(user)
    return {
        "type": "dnd_updated_user",
        "user": user.id,
        "dnd_status": status,
        "event_ts": workspace.next_ts(),
    }


def home_event(workspace: Workspace, user: User, tab: str) -> Json:
    """`app_home_opened`; the view only where one was published."""
    event: Json = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": workspace.open_dm(user)[0].id,
        "tab": tab,
        "event_ts": workspace.next_ts(),
    }
    home = workspace.homes.get(user.id)
    if home and tab == "home":
        event["view"] = workspace.view_object(home)
    return event


def reaction_event(
    workspace: Workspace, user: User, message: Message, name: str, kind: str = "reaction_added"
) -> Json:
    """`reaction_added` or `reaction_removed`."""
    return {
        "type": kind,
        "user": user.id,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "reaction": name,
        "item_user": message.user,
        "event_ts": workspace.next_ts(),
    }


def joined_event(workspace: Workspace, user: User, channel: Channel) -> Json:
    """`member_joined_channel`."""
    return {
        "type": "member_joined_channel",
        "user": user.id,
        "channel": channel.id,
        "channel_type": "G" if channel.kind == "group" else "C",
        "team": workspace.team_id,
        "event_ts": workspace.next_ts(),
    }


def uninstalled_event() -> Json:
    """`app_uninstalled`."""
    return {"type": "app_uninstalled"}


def tokens_revoked_event(workspace: Workspace) -> Json:
    """`tokens_revoked`."""
    return {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [workspace.bot_user_id]}}


def _interaction(workspace: Workspace, kind: str, user: User) -> Json:
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": workspace.team_id},
        "api_app_id": workspace.app_id,
        "token": workspace.verification_token,
        "team": {"id": workspace.team_id, "domain": workspace.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def global_shortcut(workspace: Workspace, user: User, callback_id: str, trigger_id: str) -> Json:
    """`shortcut`: one from the menu of the composer or the search; it belongs to no place."""
    payload = _interaction(workspace, "shortcut", user)
    del payload["api_app_id"], payload["user"]["name"]  # this payload never had those two
    return {
        **payload,
        "action_ts": workspace.next_ts(),
        "callback_id": callback_id,
        "trigger_id": trigger_id,
    }


def block_suggestion(
    workspace: Workspace, user: User, where: Message | View, block_id: str, action_id: str, typed: str
) -> Json:
    """`block_suggestion`: what a person has typed into a menu whose options the app gives."""
    payload = _interaction(workspace, "block_suggestion", user)
    payload |= {"action_id": action_id, "block_id": block_id, "value": typed}
    _put_where(workspace, payload, where)
    return payload


def _put_where(workspace: Workspace, payload: Json, where: Message | View) -> None:
    if isinstance(where, View):
        payload["container"] = {"type": "view", "view_id": where.id}
        payload["view"] = workspace.view_object(where)
        return
    container = {
        "type": "message",
        "message_ts": where.ts,
        "channel_id": where.channel,
        "is_ephemeral": where.ephemeral_for is not None,
    }
    if where.thread_ts:
        container["thread_ts"] = where.thread_ts
    payload["container"] = container
    payload["channel"] = _place(workspace.channels[where.channel])
    if where.ephemeral_for is None:
        payload["message"] = workspace.message_object(where, metadata=True)


def _place(channel: Channel) -> Json:
    return {"id": channel.id, "name": channel.name or "directmessage"}


def block_actions(
    workspace: Workspace, user: User, where: Message | View, action: Json, trigger_id: str, response_url: str
) -> Json:
    """`block_actions`, from a message or from a view."""
    payload = _interaction(workspace, "block_actions", user)
    payload["trigger_id"] = trigger_id
    _put_where(workspace, payload, where)
    if isinstance(where, Message):
        key = (user.id, where.channel, where.ts)
        payload["state"] = {"values": workspace.chosen.get(key, {})}
        payload["response_url"] = response_url
    payload["actions"] = [action]
    return payload


def view_submission(
    workspace: Workspace, user: User, view: View, trigger_id: str, response_urls: list[Json]
) -> Json:
    """`view_submission`; a response URL for each menu of conversations that asked for one."""
    payload = _interaction(workspace, "view_submission", user)
    return {
        **payload,
        "trigger_id": trigger_id,
        "view": workspace.view_object(view),
        "response_urls": response_urls,
    }


def view_closed(workspace: Workspace, user: User, view: View, *, cleared: bool) -> Json:
    """`view_closed`."""
    payload = _interaction(workspace, "view_closed", user)
    return {**payload, "view": workspace.view_object(view), "is_cleared": cleared}


def message_shortcut(
    workspace: Workspace, user: User, message: Message, callback_id: str, trigger_id: str, response_url: str
) -> Json:
    """`message_action`: a shortcut from the menu of a message."""
    payload = _interaction(workspace, "message_action", user)
    del payload["api_app_id"], payload["user"]["username"]  # this payload is older than those two
    return {
        **payload,
        "action_ts": workspace.next_ts(),
        "callback_id": callback_id,
        "trigger_id": trigger_id,
        "response_url": response_url,
        "message_ts": message.ts,
        "channel": _place(workspace.channels[message.channel]),
        "message": workspace.message_object(message, metadata=True),
    }


def slash_command(
    workspace: Workspace,
    user: User,
    channel: Channel,
    command: str,
    text: str,
    trigger_id: str,
    response_url: str,
) -> dict[str, str]:
    """A slash command, as form fields."""
    return {
        "token": workspace.verification_token,
        "team_id": workspace.team_id,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": channel.name or "directmessage",
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": workspace.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }
