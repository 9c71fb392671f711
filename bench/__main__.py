"""python -m bench [replies] [planning] [importing] [living] [connectors] [replaying] [demo] [--database SQLite|PostgreSQL]

Prints each figure beside a reference measured in the same run, and names the machine. Measure on a quiet one.
"""

from __future__ import annotations

import argparse
import datetime as dt

from bench import connectors, demo, importing, living, planning, replaying, replies
from bench.databases import KINDS, SQLITE, available
from bench.report import machine

BENCHMARKS = {
    "replies": (replies.measure, KINDS),
    "planning": (planning.measure, KINDS),
    "importing": (importing.measure, KINDS),
    "living": (living.measure, (SQLITE,)),
    "connectors": (connectors.measure, (SQLITE,)),
    "replaying": (replaying.measure, (SQLITE,)),
    "demo": (demo.measure, (SQLITE,)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[2])
    parser.add_argument("names", nargs="*", metavar="name", help=f"all by default: {', '.join(BENCHMARKS)}")
    parser.add_argument("--database", choices=KINDS, help="only on this one")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    kinds = [given.database] if given.database else list(KINDS)
    print(f"{dt.datetime.now(dt.UTC).date().isoformat()}  {machine()}")
    missing = {kind: why for kind in kinds if (why := available(kind)) is not None}
    for kind, why in missing.items():
        print(f"  not on {kind}: {why}")
    for name in given.names or BENCHMARKS:
        measure, on = BENCHMARKS[name]
        print(f"\n{name}")
        for kind in kinds:
            if kind in on and kind not in missing:
                for figure in measure(kind):
                    print(figure, flush=True)


if __name__ == "__main__":
    main()
