"""What an app asks about itself: api.test, auth.test, apps.connections.open, and blocks.validate for what it would show."""

from __future__ import annotations

from sandbox.blocks import Fault, check_attachments, check_blocks, check_view
from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError


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
    "blocks.validate": Method(
        validate_blocks, public=True, errors=frozenset({"invalid_blocks", "invalid_view", "invalid_message"})
    ),
}
