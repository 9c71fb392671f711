"""Names that travel through Slack and back: metadata, block ids, what stands behind the dots."""

from __future__ import annotations

import uuid

DELIVERY_EVENT = "fullsteam_delivery"
"""``event_type`` of the metadata of every message; its payload is ``{"id": <outbox id>}`` and nothing else, because any
app of the workspace can read it (docs.slack.dev/messaging/message-metadata)."""
MENU = "menu"
"""``action_id`` of the dots. What was chosen is in ``selected_option.value``: see :func:`read_option`. A second one in
the same message is ``menu:2``."""
OPTION_VALUE = 150
"""Longest value of an option (docs.slack.dev/reference/block-kit/composition-objects/option-object)."""
_BLOCK_ID = 255


def option_value(action: str, value: str) -> str | None:
    """One entry behind the dots as ``action|value``, or None when that is longer than Slack takes."""
    packed = f"{action}|{value}"
    return packed if len(packed) <= OPTION_VALUE else None


def read_option(packed: str) -> tuple[str, str]:
    """Inverse of :func:`option_value`: (action, value)."""
    action, _, value = packed.partition("|")
    return action, value


def block_id(delivery: str, number: int, mark: str) -> str:
    """Id of a block: ``mark`` changes with its content, because Slack wants a new id for what changed."""
    return f"{delivery[: _BLOCK_ID - 16]}.{number}.{mark}"


def client_msg_id(delivery: str) -> str:
    """The same UUID for every attempt at a delivery.

    Slack does not document that it refuses a repeated one, so it is a belt and never the promise
    (slackapi/slack-api-specs#10).
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"fullsteam:{delivery}"))
