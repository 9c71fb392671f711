"""Simulated days a second: a small team of four weeks, and a month of Maven where it lies beside the repository.

Reference: the same days with messages printed instead of sent, without a sandbox and without HTTP; nobody answers there.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from bench.importing import maven
from bench.report import Figure, apart
from bot.replay import EXAMPLES, Replay, run_replay


def measure(_kind: str) -> Iterator[Figure]:
    """On SQLite, as ``fullsteam replay`` does it."""
    demo = json.loads((EXAMPLES / "demo" / "demo.json").read_text(encoding="utf-8"))
    first, last = date.fromisoformat(demo["from"]), date.fromisoformat(demo["to"])
    yield _figure(
        "replaying a small team", EXAMPLES / "demo" / "mapping.toml", None, first, last, demo["seed"]
    )
    folder = maven()
    if folder is not None:
        mapping = EXAMPLES / "maven" / "mapping.toml"
        month = date(2017, 3, 1), date(2017, 3, 31)
        yield _figure("replaying March 2017 of Maven", mapping, folder, *month, 1)


def _figure(name: str, mapping: Path, data: Path | None, first: date, last: date, seed: int) -> Figure:
    replay = Replay(mapping=mapping, data=data, first=first, last=last, seed=seed)
    alone = Replay(mapping=mapping, data=data, first=first, last=last, seed=seed, messenger="console")
    whole, printed = apart(_run, replay), apart(_run, alone)
    days = (last - first).days + 1
    return Figure(
        name,
        f"{days / whole['seconds']:.1f} days/s ({days} days in {whole['seconds']:.1f} s)",
        (
            (
                f"{whole['decisions']:,} decisions, {whole['sent']:,} sent, {whole['replies']:,} replies, "
                f"{whole['sandbox']['ticks']:,} instants"
            ),
            f"without sandbox and HTTP: {days / printed['seconds']:.1f} days/s, {printed['decisions']:,} decisions",
        ),
    )


def _run(replay: Replay) -> dict[str, Any]:
    with contextlib.redirect_stderr(io.StringIO()):  # where the console messenger prints
        return run_replay(replay)
