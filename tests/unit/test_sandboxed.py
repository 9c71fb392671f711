"""The keys of a sandbox that a replay or a demo starts."""

from __future__ import annotations

from bot.sandboxed import new_keys


def test_each_run_has_keys_that_nobody_knew_before() -> None:
    made = [new_keys() for _ in range(100)]
    assert len({keys.bot_token for keys in made} | {keys.signing_secret for keys in made}) == 200
    assert all(keys.bot_token.startswith("xoxb-") and len(keys.signing_secret) >= 32 for keys in made)


def test_keys_are_not_shown_by_accident() -> None:
    keys = new_keys()
    assert keys.bot_token not in repr(keys)
    assert keys.signing_secret not in repr(keys)
