"""views.*: docs.slack.dev/surfaces/modals and docs.slack.dev/surfaces/app-home."""

from __future__ import annotations

import json
from typing import Any

from sandbox.blocks import HOME, MODAL, check_view
from sandbox.calls import Call, Json, Method, named_blocks
from sandbox.errors import SlackError, invalid_arguments
from sandbox.state import Trigger, View

MAX_VIEW_BYTES = 250 * 1024
MAX_STACK = 3
#: A trigger lives three seconds, counted on the workspace clock.
TRIGGER_SECONDS = 3.0


def checked_view(call: Call, kind: str, given: Any = None) -> Json:
    """The `view` argument, checked. Raises SlackError."""
    view = call.structure("view", "invalid_arguments") if given is None else given
    if call.size > MAX_VIEW_BYTES and len(json.dumps(view, ensure_ascii=False).encode()) > MAX_VIEW_BYTES:
        raise SlackError("view_too_large")
    faults = check_view(view)
    if not faults and view["type"] != kind:
        raise invalid_arguments(f"unsupported type: {view['type']} [json-pointer:/view/type]")
    if faults:
        raise invalid_arguments(*(f"{f.message} [json-pointer:{f.pointer}]" for f in faults))
    return {**view, "blocks": named_blocks(call, view["blocks"])}


def _trigger(call: Call) -> Trigger:
    given = call.text("trigger_id")
    if not given:
        raise invalid_arguments("missing required field: trigger_id")
    trigger = call.workspace.triggers.get(given)
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if call.workspace.clock.seconds() - trigger.at > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    return trigger


def claim_external_id(call: Call, content: Json, view_id: str | None = None) -> None:
    """Raise duplicate_external_id where another view than `view_id` has the one in `content`."""
    external = content.get("external_id")
    if external and call.workspace.external_ids.get(external) not in (None, view_id):
        raise SlackError("duplicate_external_id")


def keep_view(call: Call, view: View) -> Json:
    """Let everybody who looks see it; returns what the method answers."""
    external = view.content.get("external_id")
    if external:
        call.workspace.external_ids[external] = view.id
    for look in call.workspace.views_seen_by:
        look(call.method, view)
    return {"view": call.workspace.view_object(view)}


def open_view(call: Call) -> Json:
    """Open a modal before the person whose click gave the trigger."""
    trigger = _trigger(call)
    content = checked_view(call, MODAL)
    claim_external_id(call, content)
    trigger.used = True
    view = call.workspace.new_view(trigger.user, content)
    call.workspace.modals[trigger.user] = [view]
    return keep_view(call, view)


def push(call: Call) -> Json:
    """Put a modal on top of the one in which the click was made; three are the most."""
    trigger = _trigger(call)
    if not trigger.in_modal:
        raise SlackError("invalid_trigger_id")
    stack = call.workspace.modals.get(trigger.user)
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    content = checked_view(call, MODAL)
    claim_external_id(call, content)
    trigger.used = True
    view = call.workspace.new_view(trigger.user, content, root=stack[0].id, previous=stack[-1].id)
    stack.append(view)
    return keep_view(call, view)


def update(call: Call) -> Json:
    """Change a modal or Home tab that is open."""
    workspace = call.workspace
    view_id, external = call.text("view_id"), call.text("external_id")
    if not view_id and not external:
        raise invalid_arguments("missing required field: view_id or external_id")
    view = workspace.views.get(view_id or workspace.external_ids.get(external or "", ""))
    if view is None or (view.content["type"] == MODAL and view not in workspace.modals.get(view.user, [])):
        raise SlackError("not_found")
    content = checked_view(call, str(view.content["type"]))
    if call.text("hash") and call.text("hash") != view.hash:
        raise SlackError("hash_conflict")
    claim_external_id(call, content, view.id)
    replace(call, view, content)
    return keep_view(call, view)


def replace(call: Call, view: View, content: Json) -> None:
    """Give a view new content and a new hash; what was typed stays where the block is the same."""
    view.content = content
    view.hash = call.workspace.view_hash()
    kept = {block["block_id"] for block in content["blocks"]}
    view.state = {block_id: values for block_id, values in view.state.items() if block_id in kept}


def publish(call: Call) -> Json:
    """Set a person's Home tab."""
    workspace = call.workspace
    if not workspace.home_tab_enabled:
        raise SlackError("not_enabled")
    if call.text("user_id") not in workspace.users:
        raise invalid_arguments("invalid `user_id`")
    user = call.user("user_id")
    content = checked_view(call, HOME)
    view = workspace.homes.get(user.id)
    if view and call.text("hash") and call.text("hash") != view.hash:
        raise SlackError("hash_conflict")
    claim_external_id(call, content, view.id if view else None)
    if view is None:
        view = workspace.homes[user.id] = workspace.new_view(user.id, content)
    else:
        replace(call, view, content)
    return keep_view(call, view)


_TRIGGER = frozenset({"invalid_trigger_id", "exchanged_trigger_id", "expired_trigger_id"})
_CONTENT = frozenset({"view_too_large", "duplicate_external_id"})

METHODS = {
    "views.open": Method(open_view, (), ("view",), errors=_TRIGGER | _CONTENT),
    "views.push": Method(
        push, (), ("view",), errors=_TRIGGER | _CONTENT | {"not_found", "push_limit_reached"}
    ),
    "views.update": Method(update, (), ("view",), errors=_CONTENT | {"not_found", "hash_conflict"}),
    "views.publish": Method(
        publish, (), ("view", "user_id"), errors=_CONTENT | {"not_enabled", "hash_conflict"}
    ),
}
