"""One call of the Web API: its arguments, whoever makes it, and typed ways to read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.blocks import Fault
from sandbox.errors import SlackError, invalid_arguments
from sandbox.foreign_json import read_json
from sandbox.state import Channel, Token, User, Workspace

if TYPE_CHECKING:
    from sandbox.slack import Slack

Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """What was asked. `args` are strings (forms) or JSON values (JSON bodies); `size` is the body's length in bytes."""

    slack: Slack
    method: str
    args: Json
    token: Token | None = None
    size: int = 0

    @property
    def workspace(self) -> Workspace:
        """The workspace that is called."""
        return self.slack.workspace

    def text(self, name: str) -> str | None:
        """A string, or None where it was not given. Numbers become strings, as in a form."""
        value = self.args.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise invalid_arguments(f"must be a string [json-pointer:/{name}]")

    def flag(self, name: str) -> bool:
        """A boolean; forms say 1, true or True."""
        return self.args.get(name) in (True, 1, "1", "true", "True")

    def whole(self, name: str, default: int, error: str = "invalid_arguments") -> int:
        """A whole number above 0. `error` is what the method calls anything else."""
        value = self.args.get(name)
        if value in (None, ""):
            return default
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise SlackError(error) from None
        if number < 1:
            raise SlackError(error)
        return number

    def structure(self, name: str, error: str) -> Any:
        """A JSON value; a string is read as JSON. `error` is what the method calls text that is none."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return read_json(value)
        except ValueError:
            raise SlackError(error) from None

    def needs(self, *any_of: str) -> None:
        """Raise missing_scope unless the token has one of these scopes."""
        if self.token and self.token.scopes.isdisjoint(any_of):
            raise SlackError(
                "missing_scope", needed=",".join(any_of), provided=",".join(sorted(self.token.scopes))
            )

    def channel(self, *, open_dm: bool = False, member: bool = False) -> Channel:
        """The channel named by `channel`: an id, `#name`, or (with `open_dm`) a user's id."""
        given = self.text("channel")
        if not given:
            raise SlackError("channel_not_found")
        workspace = self.workspace
        channel = workspace.channels.get(given)
        if channel is None and open_dm and given in workspace.users:
            user = workspace.users[given]
            if user.deleted or user.is_bot or user.id == "USLACKBOT":
                raise SlackError("channel_not_found")
            if not workspace.messages_tab_enabled:
                raise SlackError("messages_tab_disabled")
            channel = workspace.open_dm(user)[0]
        if channel is None:
            name = given.removeprefix("#")
            channel = next((c for c in workspace.channels.values() if c.name and c.name == name), None)
        if channel is None or (
            channel.kind in {"group", "mpim"} and workspace.bot_user_id not in channel.members
        ):
            raise SlackError("channel_not_found")
        if member and channel.kind == "im" and workspace.users[channel.user or ""].deleted:
            # Slack has no code of its own for a conversation with somebody who has left.
            raise SlackError("channel_not_found")
        if member and workspace.bot_user_id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def user(self, name: str = "user", error: str = "user_not_found") -> User:
        """The user named by an argument."""
        given = self.text(name)
        user = self.workspace.users.get(given) if given else None
        if user is None:
            raise SlackError(error)
        return user


@dataclass(frozen=True, slots=True)
class Method:
    """How a method is served: by what, with which scopes (any of them), with which arguments given.

    `errors` are the codes of its own, beside those that every method has (`sandbox.errors.ANY_METHOD`).
    """

    run: Callable[[Call], Json]
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    public: bool = False
    errors: frozenset[str] = frozenset()


def named_blocks(call: Call, blocks: list[Json] | None) -> list[Json] | None:
    """The blocks with an id each, as Slack gives one to those that come without."""
    if not blocks:
        return None
    return [
        block if block.get("block_id") else {**block, "block_id": f"b{call.workspace.count('block'):x}"}
        for block in blocks
    ]


def refused_blocks(faults: list[Fault], code: str = "invalid_blocks") -> SlackError:
    """`invalid_blocks`, with the reasons where Slack puts them."""
    reasons = [f"{fault.message} [json-pointer:{fault.pointer}]" for fault in faults]
    messages = [f"[ERROR] {reason}" for reason in reasons]
    return SlackError(code, errors=reasons, response_metadata={"messages": messages})
