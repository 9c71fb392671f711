"""users.* and dnd.*: who is there, and who is not to be disturbed (docs.slack.dev/reference/methods/users.list)."""

from __future__ import annotations

from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError, invalid_arguments
from sandbox.methods_conversations import page
from sandbox.state import User

#: Slack answers `limit_required` when a whole workspace does not fit in one answer.
MAX_UNPAGED_USERS = 1_000


def user_list(call: Call) -> Json:
    """All members, deactivated ones, guests, bots and Slackbot included."""
    workspace = call.workspace
    users = list(workspace.users.values())
    if not call.text("limit") and len(users) > MAX_UNPAGED_USERS:
        raise SlackError("limit_required")
    some, cursor = page(call, users, MAX_UNPAGED_USERS, 1000, "invalid_arguments")
    return {
        "members": [_shown(call, user) for user in some],
        "cache_ts": int(workspace.clock.seconds()),
        "response_metadata": {"next_cursor": cursor},
    }


def _shown(call: Call, found: User) -> Json:
    email = call.token is not None and "users:read.email" in call.token.scopes
    shown = call.workspace.user_object(found, email=email)
    if call.flag("include_locale"):
        shown["locale"] = found.locale
    return shown


def user(call: Call) -> Json:
    """One member."""
    return {"user": _shown(call, call.user())}


def user_by_email(call: Call) -> Json:
    """The active member with an e-mail address."""
    found = call.workspace.emails.get((call.text("email") or "").lower())
    if found is None or found.deleted:
        raise SlackError("users_not_found")
    return {"user": call.workspace.user_object(found)}


def dnd(call: Call) -> Json:
    """Do-not-disturb of one member."""
    found = call.user() if call.text("user") else call.workspace.users[call.workspace.bot_user_id]
    return {**call.workspace.dnd_status(found), "snooze_enabled": False}


def dnd_of_many(call: Call) -> Json:
    """Do-not-disturb of up to 50 members; those nobody knows are left out."""
    names = [name.strip() for name in (call.text("users") or "").split(",") if name.strip()]
    if not names:
        raise SlackError("no_users_provided")
    if len(names) > 50:
        raise invalid_arguments("no more than 50 users allowed [json-pointer:/users]")
    workspace = call.workspace
    known = [workspace.users[name] for name in names if name in workspace.users]
    return {"users": {found.id: workspace.dnd_status(found) for found in known}}


METHODS = {
    "users.list": Method(user_list, ("users:read",), errors=frozenset({"invalid_cursor", "limit_required"})),
    "users.info": Method(user, ("users:read",), ("user",), errors=frozenset({"user_not_found"})),
    "users.lookupByEmail": Method(
        user_by_email, ("users:read.email",), ("email",), errors=frozenset({"users_not_found"})
    ),
    "dnd.info": Method(dnd, ("dnd:read",), errors=frozenset({"user_not_found"})),
    "dnd.teamInfo": Method(dnd_of_many, ("dnd:read",), errors=frozenset({"no_users_provided"})),
}
