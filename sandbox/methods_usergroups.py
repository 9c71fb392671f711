"""usergroups.list and usergroups.users.list (docs.slack.dev/reference/methods/usergroups.list)."""

from __future__ import annotations

from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError
from sandbox.state import Usergroup


def _shown(call: Call, group: Usergroup) -> Json:
    workspace = call.workspace
    shown: Json = {
        "id": group.id,
        "team_id": workspace.team_id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": group.description,
        "handle": group.handle,
        "is_external": False,
        "date_create": group.created,
        "date_update": group.created,
        "date_delete": group.created if group.disabled else 0,
        "auto_type": None,
        "created_by": "USLACKBOT",
        "updated_by": "USLACKBOT",
        "deleted_by": "USLACKBOT" if group.disabled else None,
        "prefs": {"channels": [], "groups": []},
        "user_count": len(group.users),
    }
    if call.flag("include_users"):
        shown["users"] = group.users
    return shown


def listing(call: Call) -> Json:
    """The user groups; disabled ones only with `include_disabled`."""
    groups = call.workspace.usergroups.values()
    wanted = [group for group in groups if call.flag("include_disabled") or not group.disabled]
    return {"usergroups": [_shown(call, group) for group in wanted]}


def members(call: Call) -> Json:
    """The users of one group."""
    group = call.workspace.usergroups.get(call.text("usergroup") or "")
    if group is None or (group.disabled and not call.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": group.users}


METHODS = {
    "usergroups.list": Method(listing, ("usergroups:read",)),
    "usergroups.users.list": Method(
        members, ("usergroups:read",), ("usergroup",), errors=frozenset({"no_such_subteam"})
    ),
}
