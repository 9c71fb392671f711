"""Where things lie that are seldom looked at again: half a year of messages as Python objects takes hundreds of megabytes.

The format is the interpreter's own (`marshal`), three times as quick as JSON; it never leaves this process.
"""

from __future__ import annotations

import marshal
import zlib
from typing import Any

_WINDOW, _MEMORY = 13, 6
"""Of zlib: how far it looks back (bits) and how much it works with. Most of its time goes into getting ready, and with
more of either nothing becomes smaller."""
_SAMPLES = 1 << _WINDOW
"""Bytes of the first things: of a message nearly everything stands in earlier ones too."""
_PLAIN, _PRESSED = b"p", b"z"


class Shelf:
    """Packs things made of dicts, lists, texts, numbers, booleans and None, and gives equal ones back."""

    def __init__(self) -> None:
        self._samples = b""

    def pack(self, thing: Any) -> bytes:
        """The thing as few bytes. The first ones stay plain: they are what the later ones are compared with."""
        raw = marshal.dumps(thing)
        if len(self._samples) < _SAMPLES:
            self._samples = (self._samples + raw)[:_SAMPLES]
            return _PLAIN + raw
        press = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=self._samples)
        return _PRESSED + press.compress(raw) + press.flush()

    def unpack(self, packed: bytes) -> Any:
        """What was packed."""
        raw = packed[1:]
        if packed[:1] == _PRESSED:
            raw = zlib.decompressobj(_WINDOW, zdict=self._samples).decompress(raw)
        return marshal.loads(raw)  # noqa: S302 # written by `pack` in this process
