"""users.*, dnd.*, auth.test, api.test, apps.connections.open and blocks.validate."""

from __future__ import annotations

from sandbox.blocks import Fault, check_attachments, check_blocks, check_view
from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError, invalid_arguments
from sandbox.methods_conversations import page
from sandbox.state import User

#: Slack answers `limit_required` when a whole workspace does not fit in one answer.
MAX_UNPAGED_USERS = 1_000


def api_test(call: Call) -> Json:
    """Say back what was said; with `error`, fail by that name."""
    args = {key: value for key, value in call.args.items() if key != "token"}
    if call.text("error"):
        raise SlackError(str(call.text("error")), args=args)
    return {"args": args} if args else {}


def auth_test(call: Call) -> Json:
    """Who the token belongs to."""
    workspace = call.workspace
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.team_name,
        "user": workspace.bot_name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot_user_id,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }


def open_connection(call: Call) -> Json:
    """An address for one socket; only an app-level token may ask for it."""
    if call.token is None or not call.token.app_level:
        raise SlackError("not_allowed_token_type")
    call.needs("connections:write")
    return {"url": call.slack.sockets.address()}


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


def validate_blocks(call: Call) -> Json:
    """Say what Slack would refuse in exactly one of blocks, a message or a view."""
    given = [name for name in ("blocks", "message", "view") if call.args.get(name) not in (None, "")]
    if len(given) != 1:
        raise SlackError(
            "invalid_arguments",
            response_metadata={"messages": ["must provide exactly one of `blocks`, `view`, or `message`"]},
        )
    name = given[0]
    value = call.structure(name, f"invalid_{name}")
    faults: list[Fault] = []
    if name == "blocks":
        faults = check_blocks(value, root="")
    elif name == "view":
        faults = check_view(value)
    elif not isinstance(value, dict):
        raise SlackError("invalid_message")
    else:
        if value.get("blocks") is not None:
            faults = check_blocks(value["blocks"])
        attachments = value.get("attachments")
        if isinstance(attachments, list):
            faults.extend(check_attachments(attachments))
        if not value.get("blocks") and not value.get("attachments") and not value.get("text"):
            faults.append(Fault("", "must have text, blocks or attachments", "missing_field"))
    if faults:
        shown = [
            {"code": f.code, "message": f.message, "pointer": f.pointer, "constraint": {}} for f in faults
        ]
        raise SlackError(f"invalid_{name}", errors=shown)
    return {}


METHODS = {
    # api.test fails by any name that the caller gives.
    "api.test": Method(api_test, public=True),
    "auth.test": Method(auth_test),
    "apps.connections.open": Method(open_connection),
    "users.list": Method(user_list, ("users:read",), errors=frozenset({"invalid_cursor", "limit_required"})),
    "users.info": Method(user, ("users:read",), ("user",), errors=frozenset({"user_not_found"})),
    "users.lookupByEmail": Method(
        user_by_email, ("users:read.email",), ("email",), errors=frozenset({"users_not_found"})
    ),
    "dnd.info": Method(dnd, ("dnd:read",), errors=frozenset({"user_not_found"})),
    "dnd.teamInfo": Method(dnd_of_many, ("dnd:read",), errors=frozenset({"no_users_provided"})),
    "blocks.validate": Method(
        validate_blocks, public=True, errors=frozenset({"invalid_blocks", "invalid_view", "invalid_message"})
    ),
}
