"""What a person can do in Slack: write, press, submit, close, command, use a shortcut, open the Home tab, react.

Each function does it in the workspace, tells the bot as Slack does, and lets the bot's answer take effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox import payloads
from sandbox.blocks import MODAL, WEBHOOK, check_options
from sandbox.calls import Call, named_blocks
from sandbox.errors import SlackError
from sandbox.events import Outbound
from sandbox.methods_chat import MAX_TEXT, change, content
from sandbox.methods_views import MAX_STACK, checked_view, claim_external_id, keep_view, replace
from sandbox.parcels import Answer
from sandbox.slack import Slack
from sandbox.state import Channel, Message, User, View

Json = dict[str, Any]
RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60


class Impossible(Exception):
    """A person cannot do that here: no such button, no modal open, a required field left empty."""


@dataclass(frozen=True, slots=True)
class Element:
    """An interactive element and the block it stands in."""

    block_id: str
    element: Json


def elements(blocks: list[Json] | None) -> Iterator[Element]:
    """Every interactive element of some blocks, in order."""
    for block in blocks or []:
        inner = (
            block.get("accessory"),
            block.get("element"),
            *(block.get("elements") or ()),
            *(block.get("actions") or ()),
        )
        for element in inner:
            if isinstance(element, dict) and element.get("action_id"):
                yield Element(str(block.get("block_id") or ""), element)
        # A container holds blocks, and a carousel cards.
        if block.get("child_blocks"):
            yield from elements(block["child_blocks"])
        if block.get("type") == "carousel":
            yield from elements(block.get("elements"))


def options(element: Json) -> list[Json]:
    """The options of a select, an overflow, checkboxes or radio buttons."""
    grouped = [
        option for group in element.get("option_groups") or [] for option in group.get("options") or []
    ]
    return list(element.get("options") or []) + grouped


#: Elements that keep what was chosen or typed in them; a button and an overflow menu do not.
_FLEETING = frozenset({"button", "overflow", "workflow_button", "icon_button", "feedback_buttons", "image"})
_EXTERNAL = frozenset({"external_select", "multi_external_select"})
MAX_OPTIONS = 100
MIN_QUERY = 3


_LISTS = frozenset({"checkboxes", "file_input"})
_OBJECTS = _EXTERNAL | {"rich_text_input"}


def chosen(element: Json, value: Any) -> Json:
    """What an element says when `value` was chosen or typed.

    Raises Impossible for an option that it has not, and for what can neither be chosen nor typed there.
    """
    kind = element["type"]
    picked = value if isinstance(value, list) else [value]
    several = kind.startswith("multi_") or kind in _LISTS or kind in _OBJECTS
    plain = (str, int, float, dict) if kind in _OBJECTS else (str, int, float)
    if (picked is value and not several) or not all(v is None or isinstance(v, plain) for v in picked):
        raise Impossible(f"{element['action_id']} takes no {type(value).__name__} like this")
    if kind in _EXTERNAL:
        return _from_outside(element, picked)
    if kind in ("static_select", "radio_buttons", "overflow", "multi_static_select", "checkboxes"):
        by_value = {option["value"]: option for option in options(element)}
        if any(v not in by_value for v in picked if v is not None):
            raise Impossible(f"{element['action_id']} has no option {value!r}; it has {', '.join(by_value)}")
        if kind in ("multi_static_select", "checkboxes"):
            return {"selected_options": [by_value[v] for v in picked if v is not None]}
        return {"selected_option": by_value[value] if value is not None else None}
    single = {
        "datepicker": "selected_date",
        "timepicker": "selected_time",
        "datetimepicker": "selected_date_time",
        "users_select": "selected_user",
        "channels_select": "selected_channel",
        "conversations_select": "selected_conversation",
    }
    if kind in single:
        return {single[kind]: value}
    many = {
        "multi_users_select": "selected_users",
        "multi_channels_select": "selected_channels",
        "multi_conversations_select": "selected_conversations",
    }
    if kind in many:
        return {many[kind]: [v for v in picked if v is not None]}
    if kind == "rich_text_input":
        written = payloads.rich_text(value)[0] if isinstance(value, str) and value else value
        return {"rich_text_value": written}
    if kind == "feedback_buttons":
        sides = (element["positive_button"], element["negative_button"])
        side = next((each for each in sides if each.get("value") == value), None)
        if side is None:
            raise Impossible(f"{element['action_id']} has no button {value!r}")
        return {"text": side["text"], "value": value}
    if kind in ("button", "icon_button"):
        pressed = {"text": element["text"]}
        if element.get("value") is not None:
            pressed["value"] = element["value"]
        return pressed
    return {"value": value}


def _from_outside(element: Json, picked: list[Any]) -> Json:
    """A choice in a menu whose options the app gave: option objects, or the values of options that were offered."""
    by_value = {option["value"]: option for option in options(element)}
    found = []
    for value in picked:
        option = value if isinstance(value, dict) else by_value.get(value)
        if isinstance(value, dict) and check_options({"options": [value]}):
            raise Impossible(f"{element['action_id']} takes no such option")
        if value is not None and option is None:
            raise Impossible(
                f"{element['action_id']} was not offered {value!r}; it was offered {', '.join(by_value)}"
            )
        if option is not None:
            found.append(option)
    if element["type"] == "multi_external_select":
        return {"selected_options": found}
    return {"selected_option": found[0] if found else None}


def _blocks_of(where: Message | View) -> list[Json]:
    """Every block that stands there, those of a message's attachments too."""
    if isinstance(where, View):
        blocks: list[Json] = where.content["blocks"]
        return blocks
    attached = [block for each in where.attachments or [] for block in each.get("blocks") or []]
    return [*(where.blocks or []), *attached]


class Acts:
    """People's hands. Functions return the bot's answer and raise Impossible or BotAway."""

    def __init__(self, slack: Slack, outbound: Outbound) -> None:
        self.slack = slack
        self.outbound = outbound

    def person(self, user_id: str) -> User:
        """A member who can act. Raises Impossible."""
        user = self.slack.workspace.users.get(user_id)
        if user is None or user.deleted or user.is_bot or user.id == "USLACKBOT":
            raise Impossible(f"there is no active member {user_id!r}")
        return user

    def message(self, channel_id: str, ts: str, user: User) -> Message:
        """A message that `user` can see. Raises Impossible."""
        channel = self.slack.workspace.channels.get(channel_id)
        message = channel.find(ts) if channel else None
        if channel is None or message is None or user.id not in channel.members:
            raise Impossible(f"{user.id} sees no message {ts!r} in {channel_id!r}")
        return message

    # Writing

    async def say(
        self, user_id: str, text: str, *, channel_id: str = "", thread_ts: str | None = None
    ) -> Answer:
        """Write to the bot, in the thread of one of its messages or without; or into a channel."""
        message = self.write(user_id, text, channel_id=channel_id, thread_ts=thread_ts)
        return await self.outbound.event(payloads.message_event(self.slack.workspace, message))

    def write(
        self, user_id: str, text: str, *, channel_id: str = "", thread_ts: str | None = None
    ) -> Message:
        """Put a person's message into the workspace without telling the bot yet."""
        workspace = self.slack.workspace
        user = self.person(user_id)
        channel = workspace.channels.get(channel_id) if channel_id else workspace.open_dm(user)[0]
        if channel is None or user.id not in channel.members:
            raise Impossible(f"{user_id} is not in {channel_id!r}")
        if channel.kind == "im" and (not workspace.messages_tab_enabled or workspace.messages_tab_read_only):
            raise Impossible("the Messages tab of the app takes no messages")
        if not text.strip():
            raise Impossible("an empty message cannot be sent")
        if thread_ts:
            parent = channel.by_ts.get(thread_ts)
            if parent is None:
                raise Impossible(f"there is no message {thread_ts!r} to reply to")
            thread_ts = parent.thread_ts or parent.ts
        number = workspace.count("client_msg_id")
        message = Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=user.id,
            text=text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
            blocks=payloads.rich_text(text),
            thread_ts=thread_ts,
            client_msg_id=f"00000000-0000-4000-8000-{number:012x}",
        )
        self.slack.via = "person"
        workspace.keep(message, "said")
        return message

    async def react(self, user_id: str, channel_id: str, ts: str, name: str) -> Answer:
        """Put an emoji on a message."""
        user = self.person(user_id)
        message = self.message(channel_id, ts, user)
        users = message.reactions.setdefault(name, [])
        if user.id in users:
            raise Impossible(f"{user_id} has already reacted with {name}")
        users.append(user.id)
        self.slack.workspace.reacted(message)
        return await self.outbound.event(payloads.reaction_event(self.slack.workspace, user, message, name))

    async def unreact(self, user_id: str, channel_id: str, ts: str, name: str) -> Answer:
        """Take an emoji of one's own back."""
        user = self.person(user_id)
        message = self.message(channel_id, ts, user)
        users = message.reactions.get(name, [])
        if user.id not in users:
            raise Impossible(f"{user_id} has not reacted with {name}")
        users.remove(user.id)
        if not users:
            del message.reactions[name]
        workspace = self.slack.workspace
        workspace.reacted(message)
        return await self.outbound.event(
            payloads.reaction_event(workspace, user, message, name, "reaction_removed")
        )

    # Pressing

    def _seen(self, user: User, channel_id: str, message_ts: str, view_id: str) -> Message | View:
        """The message or view in which something is pressed. Raises Impossible."""
        if not view_id:
            return self.message(channel_id, message_ts, user)
        view = self.slack.workspace.views.get(view_id)
        if view is None or view.user != user.id:
            raise Impossible(f"{user.id} sees no view {view_id!r}")
        return view

    def _found(self, user: User, where: Message | View, action_id: str, block_id: str = "") -> Element:
        """The element `action_id` there (in `block_id` when given), with the options that the bot has offered.

        Raises Impossible.
        """
        fitting = (e for e in elements(_blocks_of(where)) if not block_id or e.block_id == block_id)
        found = next((e for e in fitting if e.element["action_id"] == action_id), None)
        if found is None:
            raise Impossible(f"there is no {action_id!r} to press")
        if found.element["type"] not in _EXTERNAL:
            return found
        return Element(found.block_id, self._with_offers(user.id, found.element))

    def _named(self, user: User, where: Message | View, name: str) -> Element:
        """The element of that action_id, or the one in the input block of that block_id. Raises Impossible."""
        block = next(
            (b for b in _blocks_of(where) if b["type"] == "input" and b.get("block_id") == name), None
        )
        if block is None or not block["element"].get("action_id"):
            return self._found(user, where, name)
        return self._found(user, where, block["element"]["action_id"], name)

    def _with_offers(self, user_id: str, element: Json) -> Json:
        offered = self.slack.workspace.offered.get((user_id, element["action_id"]), {})
        initial = [element["initial_option"]] if element.get("initial_option") else []
        return {**element, "options": [*initial, *(element.get("initial_options") or []), *offered.values()]}

    def _held(self, user: User, where: Message | View) -> Json:
        """What the elements of a message or view hold for a person, by block and action: theirs, else the initial."""
        if isinstance(where, View):
            blocks, held = where.content["blocks"], where.state
        else:
            key = (user.id, where.channel, where.ts)
            blocks, held = where.blocks, self.slack.workspace.chosen.get(key, {})
        fresh: Json = {}
        for found in elements(blocks):
            element = found.element
            if element["type"] not in _FLEETING:
                action_id = element["action_id"]
                mine = held.get(found.block_id, {}).get(action_id)
                initial = (
                    {"type": element["type"], **chosen(element, _initial(element))} if mine is None else mine
                )
                fresh.setdefault(found.block_id, {})[action_id] = initial
        return fresh

    def _hold(self, user: User, where: Message | View, held: Json) -> None:
        if isinstance(where, View):
            where.state = held
        elif held:
            self.slack.workspace.chosen[user.id, where.channel, where.ts] = held

    async def press(
        self,
        user_id: str,
        action_id: str,
        *,
        channel_id: str = "",
        message_ts: str = "",
        view_id: str = "",
        block_id: str = "",
        value: Any = None,
        inputs: Json | None = None,
    ) -> Answer:
        """Press a button or choose in a menu, in a message or a view; `block_id` tells two of one name apart.

        `inputs`: what stands in the other fields by then, values by action_id or block_id; the app gets it as `state`.
        """
        workspace = self.slack.workspace
        user = self.person(user_id)
        where = self._seen(user, channel_id, message_ts, view_id)
        found = self._found(user, where, action_id, block_id)
        element = found.element
        said = chosen(element, value)
        held = self._held(user, where)
        for name, typed in (inputs or {}).items():
            other = self._named(user, where, name)
            content = {"type": other.element["type"], **chosen(other.element, typed)}
            held.setdefault(other.block_id, {})[other.element["action_id"]] = content
        if element["type"] not in _FLEETING:
            held.setdefault(found.block_id, {})[action_id] = {"type": element["type"], **said}
        self._hold(user, where, held)

        def make() -> Json:
            action = {
                "type": element["type"],
                "action_id": action_id,
                "block_id": found.block_id,
                "action_ts": workspace.next_ts(),
                **said,
            }
            url = ""
            if isinstance(where, Message):
                ephemeral = where.ephemeral_for is not None
                url = self.slack.url + workspace.response_path_for(
                    where.channel, user.id, message_ts=where.ts, ephemeral=ephemeral
                )
            in_modal = isinstance(where, View) and where.content["type"] == MODAL
            trigger = workspace.trigger_for(user.id, in_modal=in_modal)
            return payloads.block_actions(workspace, user, where, action, trigger, url)

        about = {
            "user": user.id,
            "action_id": action_id,
            "channel": channel_id,
            "ts": message_ts,
            "view_id": view_id,
        }
        self.slack.record.add("pressed", **about, value=value if value is not None else element.get("value"))
        return await self.outbound.interaction(make, about)

    async def suggest(
        self,
        user_id: str,
        action_id: str,
        typed: str,
        *,
        channel_id: str = "",
        message_ts: str = "",
        view_id: str = "",
        block_id: str = "",
    ) -> Json:
        """Type into a menu whose options the app gives; returns its `options` (or `option_groups`).

        Raises Impossible for a menu of another kind, for less than `min_query_length` characters, and when the app
        gives nothing that Slack would show.
        """
        workspace = self.slack.workspace
        user = self.person(user_id)
        where = self._seen(user, channel_id, message_ts, view_id)
        found = self._found(user, where, action_id, block_id)
        if found.element["type"] not in _EXTERNAL:
            raise Impossible(f"{action_id} has options of its own")
        least = found.element.get("min_query_length", MIN_QUERY)
        if len(typed) < least:
            raise Impossible(f"{action_id} looks nothing up for less than {least} characters")
        about = {"user": user.id, "action_id": action_id, "channel": channel_id, "ts": message_ts}
        self.slack.record.add("typed", **about, view_id=view_id)
        answer = await self.outbound.interaction(
            lambda: payloads.block_suggestion(workspace, user, where, found.block_id, action_id, typed), about
        )
        said = answer.content() or {}
        given = {key: said[key] for key in ("options", "option_groups") if isinstance(said.get(key), list)}
        if not answer.acked or len(given) != 1 or check_options(given):
            raise Impossible(f"the bot gave no options that Slack would show for {action_id}")
        offered = workspace.offered.setdefault((user.id, action_id), {})
        offered.update((option["value"], option) for option in options(given))
        return given

    def _offered_blocks(self, user_id: str, view: View) -> list[Json]:
        """The blocks of a view, its external menus with the options that the bot has offered."""
        return [
            {**block, "element": self._with_offers(user_id, block["element"])}
            if block["type"] == "input" and block["element"]["type"] in _EXTERNAL
            else block
            for block in view.content["blocks"]
        ]

    # Modals

    def open_modal(self, user_id: str, view_id: str = "") -> View:
        """The modal on top before a person. Raises Impossible."""
        stack = self.slack.workspace.modals.get(user_id) or []
        if not stack or (view_id and stack[-1].id != view_id):
            raise Impossible(f"{user_id} has no such modal open")
        return stack[-1]

    async def submit(self, user_id: str, inputs: Json, *, view_id: str = "") -> Answer:
        """Fill in the open modal and submit it. `inputs` are values by action_id (or block_id)."""
        workspace = self.slack.workspace
        user = self.person(user_id)
        view = self.open_modal(user.id, view_id)
        view.state = fill_in(self._offered_blocks(user.id, view), inputs, view.state)

        def make() -> Json:
            urls = self._response_urls(user, view)
            trigger = workspace.trigger_for(user.id, in_modal=True)
            return payloads.view_submission(workspace, user, view, trigger, urls)

        callback_id = view.content.get("callback_id") or ""
        about = {"user": user.id, "view_id": view.id, "callback_id": callback_id}
        self.slack.record.add("submitted", **about, values=view.state)
        answer = await self.outbound.interaction(make, about)
        if answer.acked:
            try:
                self._answered_submission(user, view, answer)
            except SlackError as no:  # the person is told that it went wrong, and the modal stays
                self.slack.record.add("rejected", method="view_submission answer", error=no.code)
        return answer

    def _response_urls(self, user: User, view: View) -> list[Json]:
        """One for each conversation chosen in a menu with `response_url_enabled`."""
        urls: list[Json] = []
        for found in elements(view.content["blocks"]):
            if not found.element.get("response_url_enabled"):
                continue
            action_id = found.element["action_id"]
            held = view.state.get(found.block_id, {}).get(action_id, {})
            channel = held.get("selected_conversation") or held.get("selected_channel")
            if channel in self.slack.workspace.channels:
                url = self.slack.url + self.slack.workspace.response_path_for(channel, user.id)
                place = {"block_id": found.block_id, "action_id": action_id, "channel_id": channel}
                urls.append({**place, "response_url": url})
        return urls

    def _answered_submission(self, user: User, view: View, answer: Answer) -> None:
        workspace = self.slack.workspace
        said = answer.content() or {}
        stack = workspace.modals.get(user.id, [])
        what = said.get("response_action")
        if what == "errors":
            return
        if what == "clear":
            workspace.modals[user.id] = []
        elif what in ("update", "push"):
            call = Call(self.slack, f"response_action.{what}", {}, size=len(answer.body))
            made = checked_view(call, MODAL, said.get("view") or {})
            if view not in stack:  # closed while the bot was thinking
                raise SlackError("not_found")
            if what == "push" and len(stack) >= MAX_STACK:
                raise SlackError("push_limit_reached")
            claim_external_id(call, made, view.id if what == "update" else None)
            if what == "update":
                replace(call, view, made)
                shown = view
            else:
                shown = workspace.new_view(user.id, made, root=stack[0].id, previous=view.id)
                stack.append(shown)
            keep_view(call, shown)
        elif view in stack:
            stack.remove(view)

    async def close(self, user_id: str, *, view_id: str = "") -> Answer:
        """Close the open modal; the bot hears of it only where it asked to."""
        workspace = self.slack.workspace
        user = self.person(user_id)
        view = self.open_modal(user.id, view_id)
        self.slack.record.add("closed", user=user.id, view_id=view.id)
        cleared = bool(view.content.get("clear_on_close"))
        stack = workspace.modals[user.id]
        workspace.modals[user.id] = [] if cleared else stack[:-1]
        if not view.content.get("notify_on_close"):
            return Answer(200, reason="nobody asked")
        about = {"user": user.id, "view_id": view.id}
        return await self.outbound.interaction(
            lambda: payloads.view_closed(workspace, user, view, cleared=cleared), about
        )

    # Commands, shortcuts, Home

    async def command(self, user_id: str, command: str, text: str = "", *, channel_id: str = "") -> Answer:
        """Type a slash command; the bot's answer in the body is shown, to one or to all."""
        workspace = self.slack.workspace
        user = self.person(user_id)
        channel = workspace.channels.get(channel_id) if channel_id else workspace.open_dm(user)[0]
        if channel is None or user.id not in channel.members:
            raise Impossible(f"{user_id} is not in {channel_id!r}")

        def make() -> dict[str, str]:
            url = self.slack.url + workspace.response_path_for(channel.id, user.id)
            return payloads.slash_command(
                workspace, user, channel, command, text, workspace.trigger_for(user.id), url
            )

        about = {"user": user.id, "command": command, "text": text, "channel": channel.id}
        self.slack.record.add("commanded", **about)
        answer = await self.outbound.command(make, about)
        if answer.acked and answer.body.strip():
            said = answer.content() or {"text": answer.body.decode("utf-8", "replace")}
            if said.get("text") or said.get("blocks"):
                self._speak(channel, user.id, said)
        return answer

    async def shortcut(
        self, user_id: str, callback_id: str, channel_id: str = "", message_ts: str = ""
    ) -> Answer:
        """Use a shortcut: of a message, or without one a global shortcut."""
        workspace = self.slack.workspace
        user = self.person(user_id)
        message = self.message(channel_id, message_ts, user) if message_ts else None

        def make() -> Json:
            if message is None:
                return payloads.global_shortcut(workspace, user, callback_id, workspace.trigger_for(user.id))
            url = self.slack.url + workspace.response_path_for(channel_id, user.id, message_ts=message_ts)
            trigger = workspace.trigger_for(user.id)
            return payloads.message_shortcut(workspace, user, message, callback_id, trigger, url)

        about = {"user": user.id, "callback_id": callback_id, "channel": channel_id, "ts": message_ts}
        self.slack.record.add("shortcut", **about)
        return await self.outbound.interaction(make, about)

    async def open_home(self, user_id: str, tab: str = "home") -> Answer:
        """Open the app's Home or Messages tab."""
        user = self.person(user_id)
        self.slack.record.add("opened_home", user=user.id, tab=tab)
        return await self.outbound.event(payloads.home_event(self.slack.workspace, user, tab))

    # Coming and going

    async def join(self, user_id: str, channel_id: str) -> Answer:
        """Join a channel, or have the bot join it. The bot hears of it in the channels that it is in."""
        workspace = self.slack.workspace
        user = workspace.users[user_id] if user_id == workspace.bot_user_id else self.person(user_id)
        channel = workspace.channels.get(channel_id)
        if channel is None or channel.kind not in {"channel", "group"} or channel.is_archived:
            raise Impossible(f"there is no channel {channel_id!r} to join")
        if user.id in channel.members:
            raise Impossible(f"{user_id} is in {channel_id} already")
        channel.members.append(user.id)
        workspace.changes += 1
        if workspace.bot_user_id not in channel.members:
            return Answer(200, reason="nobody asked")
        return await self.outbound.event(payloads.joined_event(workspace, user, channel))

    async def uninstall(self) -> Answer:
        """Take the app out of the workspace: its tokens are revoked, and it is told both."""
        workspace = self.slack.workspace
        for token in workspace.tokens.values():
            token.revoked = True
        await self.outbound.event(payloads.tokens_revoked_event(workspace))
        return await self.outbound.event(payloads.uninstalled_event())

    # Response URLs

    def respond(self, path: str, args: Json, size: int) -> Json:
        """The bot answers an interaction through its response_url. Raises SlackError.

        Five uses in thirty minutes (workspace clock); then `used_url` and `expired_url`.
        """
        workspace = self.slack.workspace
        given = workspace.response_urls.get(path)
        if given is None:
            raise SlackError("invalid_token", status=404)
        if workspace.clock.seconds() - given.at > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url", status=404)
        if given.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url", status=404)
        given.uses += 1
        channel = workspace.channels[given.channel]
        original = channel.find(given.message_ts) if given.message_ts else None
        call = Call(self.slack, "response_url", args, size=size)
        self.slack.via = "response_url"
        if args.get("delete_original"):
            if original is None:
                raise SlackError("message_not_found", status=404)
            workspace.drop(original)
            return {"ok": True}
        made = content(call, too_long="msg_too_long", cut=MAX_TEXT, surface=WEBHOOK)
        replaces = args.get("replace_original")
        if original is not None and replaces is True:
            change(call, original, made)
        else:
            self._put(channel, given.user, call, made)
        return {"ok": True}

    def _speak(self, channel: Channel, user_id: str, said: Json) -> None:
        call = Call(self.slack, "answer", said, size=len(str(said)))
        self.slack.via = "answer"
        try:
            made = content(call, too_long="msg_too_long", cut=MAX_TEXT, surface=WEBHOOK)
        except SlackError as no:
            self.slack.record.add("rejected", method="slash_command answer", error=no.code)
            return
        self._put(channel, user_id, call, made)

    def _put(self, channel: Channel, user_id: str, call: Call, made: Json) -> None:
        workspace = self.slack.workspace
        to_all = call.args.get("response_type") == "in_channel"
        message = Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=workspace.bot_user_id,
            text=made["text"],
            bot=True,
            blocks=named_blocks(call, made["blocks"]),
            attachments=made["attachments"],
            thread_ts=call.text("thread_ts"),
            ephemeral_for=None if to_all else user_id,
        )
        workspace.keep(message, "posted" if to_all else "ephemeral")


def fill_in(blocks: list[Json], inputs: Json, held: Json | None = None) -> Json:
    """The state of a modal with these values; what is not among them stays as it was `held`, else as it began.

    Raises Impossible when a required input stays empty.
    """
    state: Json = {}
    for block in blocks:
        if block["type"] != "input":
            for found in elements([block]):
                element = found.element
                if element["type"] not in _FLEETING:
                    here = _content(element, found.block_id, element["action_id"], inputs, held or {})
                    state.setdefault(found.block_id, {})[element["action_id"]] = here
            continue
        element = block["element"]
        action_id = element.get("action_id") or f"a{block['block_id']}"
        named = {action_id: inputs[block["block_id"]], **inputs} if block["block_id"] in inputs else inputs
        here = _content(element, block["block_id"], action_id, named, held or {})
        value = next((each for key, each in here.items() if key != "type"), None)
        if value in (None, "", []) and not block.get("optional"):
            raise Impossible(f"{action_id} must be filled in")
        longest = element.get("max_length")
        if isinstance(value, str) and longest and len(value) > longest:
            raise Impossible(f"{action_id} takes {longest} characters")
        state[block["block_id"]] = {action_id: here}
    return state


def _content(element: Json, block_id: str, action_id: str, inputs: Json, held: Json) -> Json:
    """What an element holds: the value given for it, else what it held, else its initial value."""
    if action_id not in inputs and action_id in held.get(block_id, {}):
        kept: Json = held[block_id][action_id]
        return kept
    value = inputs.get(action_id, _initial(element))
    typed = value or None if element["type"].endswith("_input") else value
    return {"type": element["type"], **chosen(element, typed)}


def _initial(element: Json) -> Any:
    if element["type"] in _EXTERNAL:
        return element.get("initial_option") or element.get("initial_options")
    if element.get("initial_option"):
        return element["initial_option"]["value"]
    if element.get("initial_options"):
        return [option["value"] for option in element["initial_options"]]
    return next((value for key, value in element.items() if key.startswith("initial_")), None)
