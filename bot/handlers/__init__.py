"""Slack in. :func:`register` lists every listener; each only answers, and the work is done from the inbox row.

door        every envelope, before it is acknowledged; events end there
tip_buttons tip:* remind:* blocked:* why:* pause:* resume
goal        goal:*
feedback    mode:* feedback:* me:*
commands    /fullsteam
catch_all   everything else: 200
"""

from __future__ import annotations

from slack_bolt.async_app import AsyncApp

from bot.handlers import catch_all, commands, errors, feedback, goal, tip_buttons


def register(app: AsyncApp, answer_command: commands.Answer) -> None:
    """Put every listener in its place. The order matters: the catch-alls come last."""
    errors.catch_errors(app)
    tip_buttons.register(app)
    goal.register(app)
    feedback.register(app)
    commands.register(app, answer_command)
    catch_all.register(app)
