"""What a benchmark says, the machine it ran on, and how it runs in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. ``references``: what the same machine did in the same run, to compare with."""

    name: str
    value: str
    references: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join((f"  {self.name:<44} {self.value}", *(f"      {each}" for each in self.references)))


def machine() -> str:
    """Cores, processor, memory, Python, SQLite, and how busy the machine is by others right now."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {model}, {memory:.0f} GiB; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; load {os.getloadavg()[0]:.1f} at the start"
    )


def apart(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run it in a fresh process: its memory is its own, and nothing is warm from what ran before."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(work, *args, **kwargs).result()


def peak_memory() -> float:
    """The most memory that this process ever had, in MiB."""
    try:
        told = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts in bytes
    # Not ru_maxrss: on Linux a process begins with the peak of the one that started it.
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")) / 2**10
