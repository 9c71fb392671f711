"""JSON as it comes from outside, held to what can be kept, shown and sent on again.

Python's own reader takes more than JSON has (NaN), numbers that become infinite, halves of surrogate pairs that no
encoding can write, and nesting that only just fits on its stack. Whatever passes here passes everywhere.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100
"""Lists and objects in one another; Slack gives no figure."""
_PAIR = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number out of range: {text[:20]}")
    return number


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


# Made once, as json.loads does for itself when nothing is asked of it.
_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_no_number).decode


def read_json(given: bytes | str) -> Any:
    """What a JSON text says. Raises ValueError for what is none, or cannot be kept: see above."""
    text = given.decode() if isinstance(given, bytes) else given
    try:
        found = _decode(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _deeper(found, MAX_DEPTH):
        raise ValueError(f"more than {MAX_DEPTH} levels")
    if _SURROGATE.search(text) and _SURROGATE.search(_PAIR.sub("", text)):
        json.dumps(found, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    return found


def _deeper(thing: Any, most: int) -> bool:
    """Whether lists and objects stand more than `most` deep in one another."""
    level = [thing]
    for _ in range(most):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)
