"""The command line: ``fullsteam --help``. Exit codes: 0 done, 1 a check failed, 2 wrong use or settings, 3 try later."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Refused, Retryable
from bot.domain.ports import Probe
from bot.domain.usage import METRICS, PERCENT, Coverage, CoverageStatus

if TYPE_CHECKING:
    from bot.commands import Amiss, Matched, Polled, Question, Rehearsed
    from bot.connectors.settings import Wanted
    from bot.services.poll_crm import PollReport

app = typer.Typer(
    name="fullsteam",
    help="Fullsteam gets a CRM used: tips at the right moment, an ear for what is in the way, proof of what helps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
export_app = typer.Typer(
    help="Export what people said. Every export leaves a row in the audit log.", no_args_is_help=True
)
app.add_typer(export_app, name="export")
inbox_app = typer.Typer(help="What came in from Slack and could not be worked.", no_args_is_help=True)
app.add_typer(inbox_app, name="inbox")
keys_app = typer.Typer(help="The keys that seal what is kept of CRMs.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
audit_app = typer.Typer(help="The audit log: who looked at, exported or changed what.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

out = Console()
err = Console(stderr=True)


def _in_a_folder(target: Path | None) -> Path | None:
    """Where a result can be put: said before the work is done, not after."""
    if target is not None and str(target) != "-" and (target.is_dir() or not target.parent.is_dir()):
        raise typer.BadParameter(f"{target} cannot be written: it has to be a file in a folder that is there")
    return target


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=_in_a_folder,
        help="Write the result as JSON to FILE (- for standard output).",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder with the files; default: the mapping's own."),
]
MappingFile = Annotated[
    Path, typer.Argument(metavar="MAPPING", help="Mapping file (TOML), or a folder with mapping.toml.")
]


def _day(said: str) -> date:
    """A day as it is written on the command line."""
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise typer.BadParameter(f"{said!r} is no day: write it as 2026-11-01") from None


def _version(shown: bool) -> None:
    if shown:
        out.print(f"fullsteam {version('fullsteam')}")
        raise typer.Exit


@app.callback()
def fullsteam(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Fullsteam gets a CRM used: tips at the right moment, an ear for what is in the way, proof of what helps."""
    _say_it_here(
        "dotenv", "bot.connectors", *(() if context.invoked_subcommand in _LOG else ("bot", "store"))
    )


_LOG = frozenset({"run", "web", "worker", "clock", "replay", "demo"})
"""Commands that take their time: their log is theirs to read."""


def main() -> None:
    """Entry point: every fault of ours is a readable line and an exit code, never a traceback."""
    try:
        app()
    except ConfigurationError as error:
        err.print(f"[bold]{error.title}:[/bold]", highlight=False)
        for fault in error.faults:
            err.print(f"  • {fault}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except Refused as error:
        err.print(str(error), highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except Retryable as error:
        err.print(f"{error} Try again later.", highlight=False, markup=False, soft_wrap=True)
        sys.exit(3)
    except (Permanent, FullsteamError) as error:
        err.print(str(error), highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


# --- running ------------------------------------------------------------------------------------------------------


@app.command()
def run() -> None:
    """Everything in one process, on SQLite: web, worker and clock. A second `run` on the same database is refused."""
    _serve("web", "worker", "clock", alone=True)


@app.command()
def web() -> None:
    """Only the door: receives from Slack and keeps it (PostgreSQL carries many of these)."""
    _serve("web")


@app.command()
def worker() -> None:
    """Only the work: answers what came in, sends what is due. Start as many as you like on PostgreSQL."""
    _serve("worker")


@app.command()
def clock() -> None:
    """Only the clock: polls the CRM, assesses, plans, measures. A second one does no harm."""
    _serve("clock")


def _serve(*parts: str, alone: bool = False) -> None:
    from bot import logs
    from bot.config import read_settings
    from bot.wiring import remembered_crms, serve

    settings = read_settings(
        "secret", "slack_bot_token", slack_in="web" in parts, programme=True, remembered=remembered_crms
    )
    logs.configure(settings.log_level)
    if not alone and settings.database_url.startswith("sqlite"):
        raise ConfigurationError(
            [
                "FULLSTEAM_DATABASE_URL names SQLite, which one process writes: run `fullsteam run`, or set postgresql://…"
            ]
        )
    serve(settings, parts, alone=alone)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema. Safe to repeat, also at the same time."""
    from bot.config import read_settings
    from store.database import migrate as upgrade

    settings = read_settings()
    upgrade(settings.database_url)
    out.print("The database is up to date.")


@app.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "stopped from the command line",
) -> None:
    """Hold everything that is to be sent, at once. What people write is still heard."""
    _switch(stopped=True, reason=reason)


@app.command()
def start() -> None:
    """Release what `stop` held. Each message is judged again before it goes."""
    _switch(stopped=False, reason="")


def _switch(*, stopped: bool, reason: str) -> None:
    from bot.commands import switch_sending

    changed, where = switch_sending(stopped=stopped, why=reason)
    if stopped:
        said = "Stopped: nothing is sent until `fullsteam start`" if changed else "It was stopped already"
    else:
        said = "Started: what waited is judged again before it goes" if changed else "It was not stopped"
    out.print(f"{said} ({where}).", soft_wrap=True, highlight=False)


@app.command()
def doctor(json_file: JsonFile = None) -> None:
    """Look at settings, programme, content, Slack, CRM and people; say what to mend. Sends and writes nothing.

    Each line begins with "ok", with "look" (it works, and somebody or something is left out) or with "mend" (exit code 1).
    """
    from bot.doctor import examine

    with out.status("Looking …"):
        examined = examine()
    findings = examined.findings
    rows = [{"about": each.about, "ok": each.ok, "mark": each.mark, "text": each.text} for each in findings]
    body = {"findings": rows, "crm": {probe.name: _probe_json(probe) for probe in examined.probes}}
    if not (_write_json(json_file, body) and str(json_file) == "-"):
        for each in findings:
            colour = _COLOURS[each.mark]
            out.print(
                f"[{colour}]{each.mark:<4}[/{colour}] [bold]{each.about}[/bold]: {escape(each.text)}",
                highlight=False,
                soft_wrap=True,
            )
        _print_capabilities([probe for probe in examined.probes if probe.metrics])
    if not all(each.ok for each in findings):
        raise typer.Exit(1)


_COLOURS = {"ok": "green", "look": "yellow", "mend": "red"}


def _probe_json(probe: Probe) -> dict[str, Any]:
    return {
        "ok": probe.ok,
        "version": probe.version,
        "advice": probe.advice,
        "metrics": {
            each.metric: {"status": str(each.status), "detail": each.detail} for each in probe.metrics
        },
    }


NOT_ASKED = "-"
"""What a table says of a metric that a source did not speak of."""


def _print_capabilities(probes: Sequence[Probe]) -> None:
    """What can be read where: a row a metric, a column a source; then once what each admin has to know.

    Where the table does not fit, the same as a list.
    """
    if not probes:
        return
    said = {probe.name: {each.metric: each for each in probe.metrics} for probe in probes}
    metrics = [metric for metric in METRICS if any(metric in each for each in said.values())]
    widths = [max(len(name), *(len(str(each.status)) for each in said[name].values())) for name in said]
    out.print("\n[bold]What can be read[/bold]")
    if max(map(len, metrics)) + sum(2 + width for width in widths) <= out.width:
        table = Table("Metric", *said, box=None, header_style="bold", pad_edge=False)
        for metric in metrics:
            words = (each.get(metric) for each in said.values())
            table.add_row(metric, *(str(word.status) if word else NOT_ASKED for word in words))
        out.print(table, highlight=False)
    else:
        for name, each in said.items():
            out.print(f"[bold]{escape(name)}[/bold]", highlight=False)
            for status in CoverageStatus:
                of_it = [metric for metric in metrics if metric in each and each[metric].status is status]
                if of_it:
                    out.print(f"  {status}: {', '.join(of_it)}", highlight=False, markup=False)
    for name, each in said.items():
        rows = [(word.status, word.detail, word.metric) for word in each.values()]
        _print_advice(name, rows)
        _print_unsupported(name, rows)


Reason = tuple[CoverageStatus, str, str]
"""(status, advice, metric)"""


def _print_advice(source: str, rows: Iterable[Reason]) -> None:
    """What an admin can change: each advice once, with the metrics that it concerns."""
    by_advice: dict[tuple[CoverageStatus, str], list[str]] = {}
    for status, advice, metric in rows:
        if status not in (CoverageStatus.OK, CoverageStatus.UNSUPPORTED):
            by_advice.setdefault((status, advice), []).append(metric)
    for (status, advice), metrics in sorted(by_advice.items()):
        out.print(
            f"[bold]{escape(source)}, {status}[/bold]: {escape(advice or 'no reason was given')}",
            highlight=False,
            soft_wrap=True,
        )
        out.print(f"  {', '.join(metrics)}", highlight=False, markup=False)


def _print_unsupported(source: str, rows: Iterable[Reason], *, reasons: bool = True) -> None:
    """What this CRM, or this installation of it, does not say, in one paragraph. ``reasons``: with why."""
    by_reason: dict[str, list[str]] = {}
    for status, reason, metric in rows:
        if status is CoverageStatus.UNSUPPORTED:
            by_reason.setdefault(reason or "no reason was given", []).append(metric)
    if not by_reason:
        return
    there = _many(sum(map(len, by_reason.values())), "metric")
    said = (
        "; ".join(f"{reason} ({', '.join(metrics)})" for reason, metrics in sorted(by_reason.items()))
        if reasons
        else f"{', '.join(chain.from_iterable(by_reason.values()))}; `fullsteam doctor` says why"
    )
    out.print(
        f"[bold]{escape(source)}, unsupported[/bold] ({there} that it does not offer here): {escape(said)}",
        highlight=False,
        soft_wrap=True,
    )


# --- CRM in -------------------------------------------------------------------------------------------------------


@app.command("import")
def import_(
    mapping: MappingFile,
    data: DataFolder = None,
    json_file: JsonFile = None,
) -> None:
    """Read CSV or XLSX files through a mapping into the database. Repeating it changes nothing.

    Exit code 1 when a whole file or table could not be read.
    """
    from bot.commands import import_once

    with out.status("Reading …"):
        report, matched = import_once(mapping, data)
    statuses: dict[str, dict[str, list[str]]] = {}
    for metric, covered in sorted(report.coverage.items()):
        statuses.setdefault(str(covered.status), {}).setdefault(covered.detail, []).append(metric)
    not_read = [fault for fault in report.faults if fault.whole]
    rows = [fault for fault in report.faults if not fault.whole]
    wrong = bool(not_read) or CoverageStatus.ERROR in statuses or report.failure is not None
    body = {
        "source": report.source,
        "since": report.since,
        "through": report.through,
        "people": _number_of_people(report.people),
        **matched.to_json(),
        "facts": report.facts,
        "by_metric": dict(report.by_metric),
        "totals": dict(report.totals),
        "coverage": {
            status: sorted(chain.from_iterable(by_reason.values())) for status, by_reason in statuses.items()
        },
        "reasons": {
            reason: metrics
            for by_reason in statuses.values()
            for reason, metrics in by_reason.items()
            if reason
        },
        "notes": dict(report.notes),
        "faults": [str(fault) for fault in report.faults],
        "failure": report.failure,
    }
    if _write_json(json_file, body) and str(json_file) == "-":
        raise typer.Exit(1 if wrong else 0)
    if report.failure is not None:
        some = report.facts or _number_of_people(report.people)
        raise Permanent(f"Nothing {'more ' if some else ''}could be read: {report.failure}")
    table = Table("Metric", "Person-days", "Sum", box=None, header_style="bold")
    for metric, count in sorted(report.by_metric.items()):
        total = report.totals.get(metric)
        table.add_row(metric, f"{count:,}", "" if total is None else f"{total:,.0f}")
    out.print(
        f"{_many(_number_of_people(report.people), 'person', 'people')}, {_many(report.facts, 'person-day')} of facts, "
        f"{report.since} to {report.through}"
    )
    out.print(table)
    for note, count in sorted(report.notes.items()):
        out.print(f"{note}: {count:,}")
    for status, by_reason in sorted(statuses.items()):
        if status == CoverageStatus.UNSUPPORTED:
            metrics_there = _many(sum(map(len, by_reason.values())), "metric")
            out.print(
                f"[bold]{status}[/bold]: {metrics_there} ({escape('; '.join(by_reason))}); --json FILE lists them",
                soft_wrap=True,
                highlight=False,
            )
        elif status != CoverageStatus.OK:
            for reason, metrics in sorted(by_reason.items()):
                out.print(
                    f"[bold]{status}[/bold], so nothing reads {', '.join(metrics)}: {escape(reason)}",
                    soft_wrap=True,
                    highlight=False,
                )
    _print_matched(matched)
    if rows:
        need = "row needs" if len(rows) == 1 else "rows need"
        out.print(f"\n[bold]{len(rows)} {need} a look[/bold]:")
        for fault in rows[:20]:
            out.print(f"  {fault}", markup=False, highlight=False, soft_wrap=True)
        if len(rows) > 20:
            out.print(f"  … and {len(rows) - 20} more; --json FILE lists all")
    for fault in not_read:
        err.print(str(fault), markup=False, highlight=False, soft_wrap=True, style="bold")
    if wrong:
        raise typer.Exit(1)


def _print_matched(matched: Matched) -> None:
    """Who was matched to Slack, by what, and who was not, with what to do."""
    from bot.domain.matching import STEP_NAMES

    if matched.names_nobody:
        _warn(f"{matched.identities} names nobody: write who is who, or take FULLSTEAM_IDENTITIES away")
    if matched.why_not is not None:
        out.print(f"\nPeople were not matched to Slack: {escape(matched.why_not)}", soft_wrap=True)
        return
    standing = matched.standing
    by = ", ".join(f"{count:,} by {STEP_NAMES[step]}" for step, count in standing.by.items())
    out.print(
        f"\n{_many(standing.matched, 'person', 'people')} matched to Slack{': ' + by if by else ''}.",
        highlight=False,
    )
    for group in standing.groups:
        out.print(
            f"[bold]{group.state}[/bold], never written to: {escape(', '.join(group.who))}\n  {escape(group.what_to_do)}",
            soft_wrap=True,
            highlight=False,
        )
    for fault in standing.faults:
        err.print(f"{matched.identities}, {fault}", markup=False, highlight=False, soft_wrap=True)


SourceName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Which source; without it every one there is."),
]


@app.command()
def poll(
    name: SourceName = None,
    since: Annotated[
        date | None,
        typer.Option(
            parser=_day,
            metavar="2026-11-01",
            help="Read again from this day on; default: what was not read yet, and the last few days again.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nobody: print every query that would be sent.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Poll one CRM, or each, once: facts and coverage by metric, calls used, limit left. Polling twice is polling once.

    Exit code 1 when a poll failed, 2 when a source could not be opened; what single metrics lack is said and is no failure.
    """
    from bot.commands import poll_once, rehearse_poll
    from bot.progress import call_counter

    if dry_run:
        rehearsed, amiss = rehearse_poll(name, since, warn=_warn)
        if not _write_each(json_file, {one.source: one.to_json() for one in rehearsed}, amiss):
            for one in rehearsed:
                if not one.nobody:
                    _print_rehearsal(one)
        _end(amiss, anything=bool(rehearsed))
        return
    warnings: list[str] = []
    with call_counter(sys.stderr.isatty()) as counter:
        polled, amiss = poll_once(name, since, tell=counter.tell, warn=warnings.append)
    for warning in warnings:
        _warn(warning)
    on_paper = _write_each(json_file, {each.report.source: each.to_json() for each in polled}, amiss)
    for each in polled:
        if each.report.failure is not None:
            _warn(_failed(each.report))
        if not on_paper:
            _print_poll(each)
    if any(each.report.failure is not None for each in polled):
        raise typer.Exit(1)
    _end(amiss, anything=bool(polled))


def _end(amiss: Amiss, *, anything: bool) -> None:
    """Exit code 2 where a source that was meant could not be opened. ``anything``: whether another one was read."""
    if amiss and not anything:
        raise amiss.error()
    if amiss:
        raise typer.Exit(2)


def _warn(line: str) -> None:
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _write_each(target: Path | None, bodies: Mapping[str, dict[str, Any]], amiss: Amiss) -> bool:
    """The body of one source, or of several by name. True when it went to standard output: nothing else belongs there."""
    return _write_json(target, amiss.to_json(bodies)) and str(target) == "-"


_ELSEWHERE = frozenset({"unreachable", "no-json", "wrong-address", "redirected"})
"""Failures that time alone mends least often: the address may be wrong."""


def _failed(report: PollReport) -> str:
    """Why a poll failed, after the source's name, and when to try again."""
    said = str(report.failure).rstrip(".")
    if not said.startswith((f"{report.source}:", f"{report.source} ")):
        said = f"{report.source}: {said}"
    if report.retry_after is None:
        return f"{said}."
    if report.code in _ELSEWHERE:
        return f"{said}. If all of that is right, it may be away for now: try again later."
    return f"{said}. Try again in {_duration(report.retry_after)}."


_SILENT = logging.NullHandler()


def _say_it_here(*loggers: str) -> None:
    """What goes wrong is said by the command itself; the log's lines are for those who run all day."""
    for each in loggers:
        logging.getLogger(each).addHandler(_SILENT)


def _print_poll(polled: Polled) -> None:
    report = polled.report
    people = _number_of_people(report.people)
    if report.failure is None or people or report.facts:
        kept = "" if report.failure is None else "kept until it failed: "
        out.print(
            f"{report.source}: {kept}{_many(people, 'person', 'people')}, "
            f"{_many(report.facts, 'person-day')} of facts, {report.since} to {report.through}",
            highlight=False,
            markup=False,
        )
    if report.coverage:
        table = Table(
            "Metric", "Person-days", "Sum", "Now", "Coverage", box=None, header_style="bold", pad_edge=False
        )
        for metric, covered in report.coverage.items():
            total = report.totals.get(metric)
            table.add_row(
                metric,
                f"{report.by_metric.get(metric, 0):,}",
                "" if total is None else f"{total:,.0f}",
                _as_of_today(metric, report.now),
                _covered(covered, report.gaps.get(metric, {})),
            )
        out.print(table, highlight=False)
        reasons = [(each.status, each.detail, metric) for metric, each in report.coverage.items()]
        _print_advice(report.source, reasons)
        _print_unsupported(report.source, reasons, reasons=False)
    if report.gap is not None:
        out.print(
            f"{report.gap.since} to {report.gap.through} is not read yet: the next poll without --since reads it",
            highlight=False,
        )
    for note, count in sorted(report.notes.items()):
        out.print(f"{note}: {count:,}", markup=False, highlight=False)
    if report.unknown:
        out.print(
            f"{_many(report.unknown, 'person-day')} of people who are not listed, left out", highlight=False
        )
    if report.faults:
        out.print(f"[bold]{_many(len(report.faults), 'row')} to look at[/bold]:")
        for fault in report.faults[:20]:
            out.print(f"  {fault}", markup=False, highlight=False, soft_wrap=True)
        if len(report.faults) > 20:
            out.print(f"  … and {len(report.faults) - 20} more; --json FILE lists all")
    meter = polled.meter
    if meter is not None:
        left = "" if meter.left is None else f"; {meter.left:,} of {meter.most or 0:,} calls left"
        out.print(
            f"{report.source}: {_many(meter.calls, 'call')}, {_many(meter.rows, 'row')}{left}",
            highlight=False,
            markup=False,
        )
    if polled.matched is not None:
        _print_matched(polled.matched)


def _as_of_today(metric: str, now: Mapping[str, float]) -> str:
    """The sum of a snapshot over people; of percentages the mean."""
    if metric not in now:
        return ""
    return f"{now[metric]:,.0f} %" if METRICS[metric].unit == PERCENT else f"{now[metric]:,.0f}"


def _covered(last: Coverage, gaps: Mapping[CoverageStatus, int]) -> str:
    """Coverage of the last day, and on how many days of the poll it was another."""
    others = ", ".join(
        f"{_many(days, 'day')} {status}" for status, days in sorted(gaps.items()) if status is not last.status
    )
    return f"{last.status}" + (f" ({others})" if others else "")


def _duration(wait: timedelta) -> str:
    seconds = max(int(wait.total_seconds()), 1)
    return _many(seconds, "second") if seconds < 120 else _many((seconds + 59) // 60, "minute")


def _print_rehearsal(rehearsed: Rehearsed) -> None:
    """Every request, readable: nothing was sent."""
    out.print(
        f"{rehearsed.source}: a poll of {rehearsed.since} to {rehearsed.through} would ask this. "
        "Nothing was sent, nothing was written; pages, halves of a span and repeats come with what is there.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    alike: dict[str, list[Question]] = {}
    for each in rehearsed.requests:
        alike.setdefault(_DAYS.sub("", "\n".join(each.lines())), []).append(each)
    for group in alike.values():
        for line in group[0].lines():
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        if len(group) > 1:
            out.print(
                f"    … and {_many(len(group) - 1, 'request')} more that differ in nothing but days",
                highlight=False,
            )
    out.print(
        f"{_many(sum(each.times for each in rehearsed.requests), 'request')}; --json FILE has each of them.",
        highlight=False,
    )


_DAYS = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


@app.command()
def connect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, e.g. salesforce.")],
    kind: Annotated[
        str | None, typer.Option(help="Kind of CRM; default: the one of that name.", metavar="KIND")
    ] = None,
) -> None:
    """Keep how to reach a CRM in the database, sealed, once it was tried. What is not set is asked for on a terminal."""
    from bot.commands import connect_source

    def ask(wanted: Wanted) -> str:
        said: str = typer.prompt(
            wanted.description[:1].upper()
            + wanted.description[1:]
            + ("" if wanted.required else "; Enter for none"),
            default=None if wanted.required else "",
            hide_input=wanted.secret,
            show_default=False,
            err=True,
        )
        return said.strip()

    connected = connect_source(name, kind, ask if sys.stdin.isatty() else None, warn=_warn)
    out.print(
        f"{name} ({connected.kind}) was tried and is kept, sealed. `fullsteam poll {name}` reads it; a running "
        "`fullsteam` does from its next poll on.",
        soft_wrap=True,
        highlight=False,
    )
    if connected.named:
        out.print(
            f"The environment names {name} as well, and its word counts: remove FULLSTEAM_{connected.variable}_… "
            "there to use what is kept.",
            soft_wrap=True,
            highlight=False,
        )


@app.command()
def disconnect(name: Annotated[str, typer.Argument(metavar="NAME", help="Which source.")]) -> None:
    """Forget how to reach a CRM. What was read from it stays."""
    from bot.commands import disconnect_source

    if disconnect_source(name):
        out.print(
            f"What was kept of {name} is forgotten. The environment still names {name}: it goes on being read.",
            soft_wrap=True,
        )
    else:
        out.print(
            f"{name} is forgotten; people, facts and coverage that were read from it stay.", soft_wrap=True
        )


@keys_app.command("new")
def new_key() -> None:
    """Print a new key, for FULLSTEAM_KEYS or a line of FULLSTEAM_KEYS_FILE. Nothing is written."""
    from bot.vault import new_key as make

    sys.stdout.write(make() + "\n")


@keys_app.command("rotate")
def rotate_keys() -> None:
    """Seal what is kept with the newest key; older keys can be removed then."""
    from bot.commands import rotate_keys as rotate

    renewed, failed = rotate(warn=_warn)
    out.print(f"{_many(renewed, 'source')} sealed with the newest key.", highlight=False)
    for fault in failed:
        err.print(fault, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _number_of_people(kept: Any) -> int:
    return len(kept.added) + len(kept.changed) + int(kept.unchanged)


# --- deciding and looking ahead -----------------------------------------------------------------------------------


@app.command()
def plan(
    days: Annotated[int, typer.Option(min=1, max=28, help="How many days ahead.")] = 7,
    json_file: JsonFile = None,
) -> None:
    """Who would get what in the next days, and why not, from what is known today. Sends nothing, writes nothing."""
    from bot.commands import plan_ahead

    rows = plan_ahead(days)
    if _write_json(json_file, {"days": days, "decisions": rows}):
        return
    if not rows:
        out.print(
            "Nobody has a decision point in this time: it is nobody's working day, or nobody is imported, matched and in "
            "a pilot team. `fullsteam doctor` says which."
        )
        return
    table = Table("Day", "Person", "Would get", "Why (not)", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["day"], row["name"], row["gets"], row["why"])
    out.print(table)
    out.print("\nWhat each reason means: docs/planning.md.", style="dim")
    out.print(
        "\nA coin keeps some tips back (hold-out); who these are is decided at the moment itself.",
        style="dim",
    )


# --- content ------------------------------------------------------------------------------------------------------


@app.command()
def lint(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of your own tips and texts, or one file; default: what ships.", exists=True
        ),
    ] = None,
) -> None:
    """Check tips and texts: gain and effort present, no blame, not too long, no undefined names."""
    from bot.clock import SystemClock
    from bot.content.lint import lint_paths

    found = lint_paths([path.absolute()] if path else [], today=SystemClock().now().date())
    read = found.read
    out.print(
        f"Read: {_many(read['tips'], 'tip')}, {_many(read['messages'], 'text')}, {_many(read['behaviours'], 'behaviour')}."
    )
    for fault in found.faults:
        err.print(str(fault), markup=False, highlight=False, soft_wrap=True)
    if found.faults:
        err.print(f"[bold]{_many(len(found.faults), 'thing')} to mend.[/bold]")
        raise typer.Exit(1)
    out.print("All of them are in order.")


@app.command()
def preview(
    tip: Annotated[str, typer.Argument(help="Id of a tip; `fullsteam preview list` lists them.")],
    language: Annotated[str, typer.Option(help="Language of the reader.")] = "en",
    role: Annotated[
        str | None, typer.Option(help="Role of the reader; default: the first of the tip's.")
    ] = None,
    blocks: Annotated[
        bool, typer.Option("--blocks", help="Print the Block Kit JSON that Slack gets.")
    ] = False,
) -> None:
    """Show exactly what Slack will show for a tip, with example records."""
    from bot.commands import preview_tip, tips_listed

    if tip == "list":
        for tip_id, trigger, goal, roles in tips_listed():
            out.print(f"{tip_id}  [dim]{trigger}, {goal}; {roles}[/dim]", soft_wrap=True, highlight=False)
        return
    body, drawn = preview_tip(tip, language=language, role=role)
    if blocks:
        out.print_json(json.dumps(body, ensure_ascii=False))
    else:
        out.print(drawn, markup=False, highlight=False, soft_wrap=True)


# --- what people said ---------------------------------------------------------------------------------------------


@export_app.command("feedback")
def export_feedback(
    actor: Annotated[
        str, typer.Option("--as", metavar="E-MAIL", help="Who reads it; rights come from the programme file.")
    ],
    fmt: Annotated[str, typer.Option("--format", help="csv or json.", metavar="FORMAT")] = "csv",
    stages: Annotated[
        bool, typer.Option("--stages", help="With stages; name and stage together need the privacy officer.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> None:
    """Feedback as its authors allowed: with names, or confidentially. Logged."""
    from bot.commands import export_feedback_text

    if fmt not in ("csv", "json"):
        raise ConfigurationError([f"--format {fmt}: write csv or json"], title="That format is not known")
    text, count = export_feedback_text(actor, fmt, stages=stages)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8", newline="")
        err.print(f"{count} items written to {output}.")


@audit_app.command("verify")
def verify_audit() -> None:
    """Check that no row of the audit log was changed or removed in between."""
    from bot.commands import audit_rows_verified

    out.print(f"{audit_rows_verified():,} rows follow from one another.")


# --- what could not be worked -------------------------------------------------------------------------------------


@inbox_app.command("list")
def list_inbox(json_file: JsonFile = None) -> None:
    """What failed as often as it may: when it came, what it was, why. Never what somebody wrote."""
    from bot.commands import dead_envelopes

    rows = dead_envelopes()
    if _write_json(json_file, {"dead": rows}) and str(json_file) == "-":
        return
    if not rows:
        out.print("Nothing is dead: everything that came in was worked.")
        return
    table = Table("Received", "Key", "What", "Why", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["received"], row["key"], row["what"], row["why"])
    out.print(table)
    out.print("Once its cause is mended: `fullsteam inbox revive`, or `fullsteam inbox revive KEY`.")


@inbox_app.command("revive")
def revive_inbox(
    key: Annotated[str | None, typer.Argument(help="Only this one; default: all of them.")] = None,
) -> None:
    """Work dead envelopes again, from the start."""
    from bot.commands import revive_envelopes

    out.print(f"{revive_envelopes(key):,} to be worked again.")


# --- trying it ----------------------------------------------------------------------------------------------------


@app.command()
def replay(
    mapping: MappingFile,
    first: Annotated[date, typer.Option("--from", parser=_day, metavar="2026-11-01", help="First day.")],
    last: Annotated[date, typer.Option("--to", parser=_day, metavar="2026-12-31", help="Last day.")],
    data: DataFolder = None,
    json_file: JsonFile = None,
    messenger: Annotated[
        str, typer.Option(help="sandbox (people answer) or console (messages are printed).")
    ] = "sandbox",
    script: Annotated[Path | None, typer.Option(help="How the people of the sandbox answer (TOML).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the people and of every draw.")] = 1,
    database: Annotated[
        str | None, typer.Option(help="A database of its own; default: a fresh file that is removed.")
    ] = None,
    programme: Annotated[
        Path | None,
        typer.Option(help="Default: programme.toml beside the mapping, else FULLSTEAM_PROGRAMME."),
    ] = None,
    transcript: Annotated[bool, typer.Option("--transcript", help="Print what was said.")] = False,
) -> None:
    """Drive the real planner and delivery day by day over a history, against a Slack workspace on this machine."""
    from bot.connectors.spreadsheet.mapping import mapping_file
    from bot.replay import Replay, run_replay

    report = run_replay(
        Replay(
            mapping=mapping_file(mapping),
            data=data,
            first=first,
            last=last,
            messenger=messenger,
            script=script,
            seed=seed,
            database=database,
            programme=programme,
            transcript=transcript,
        ),
        progress=sys.stderr.isatty() and not transcript,
    )
    if _write_json(json_file, report) and str(json_file) == "-":
        return
    out.print(f"Programme: {report['programme']}", soft_wrap=True, highlight=False)
    _print_weeks(report)


@app.command()
def demo(
    people: Annotated[int, typer.Option(help="How many people the company has.", min=12, max=3000)] = 500,
    weeks: Annotated[int, typer.Option(help="How many weeks to go through.", min=1, max=104)] = 26,
    seed: Annotated[int, typer.Option(help="Another seed, another company and other coins.")] = 1,
    once: Annotated[
        bool, typer.Option("--once", help="Stop at the end; without it the page is served.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port of the page, on this machine only; 0 is any free one.", min=0, max=65535)
    ] = 8686,
    json_file: JsonFile = None,
) -> None:
    """A company with a CRM and a Slack, on this machine: half a year in about six minutes, then a page to click through.

    Needs no account. The bot is the real one; only its clock is steered.
    """
    from bot.demo import Demo, run_demo
    from bot.progress import day_bar

    plan = Demo(people=people, weeks=weeks, seed=seed, page_port=0 if once else port, stay=not once)
    aside = json_file is not None and str(json_file) == "-"
    shown: list[str] = []
    with day_bar(sys.stderr.isatty()) as bar:

        def finished(report: dict[str, Any], url: str) -> None:
            bar.stop()
            shown.append(url)
            if not _write_json(json_file, report) or not aside:
                _print_demo(report)
            if not once:
                (err if aside else out).print(
                    f"\nLook around: [bold]{url}[/bold]   Ctrl-C ends it.", highlight=False
                )

        try:
            report = run_demo(plan, tell=bar.tell, finished=finished)
        except KeyboardInterrupt:
            bar.stop()
            err.print(
                "\nEnded. The company and what you did in it are gone; the same seed brings the company back."
            )
            raise typer.Exit(0 if shown else 130) from None
    if any(each["broken"] for each in report["broken_promises"].values() if "broken" in each):
        raise typer.Exit(1)


def _print_demo(report: dict[str, Any]) -> None:
    """What happened, in ten lines."""
    broken = {name: each for name, each in report["broken_promises"].items() if each.get("broken")}
    examined = sum(each.get("examined", 0) for each in report["broken_promises"].values())
    held = sorted(report["held"].items(), key=lambda item: (-item[1], item[0]))
    sent = sorted(report["sent_by_trigger"].items(), key=lambda item: (-item[1], item[0]))
    lines = [
        (
            "Company",
            f"{report['people']:,} people, {report['weeks_run']} week{'s' * (report['weeks_run'] > 1)}, seed {report['seed']}",
        ),
        ("Decisions", f"{report['decisions']:,} (one per person and working day, each with its reason)"),
        ("Sent", f"{report['sent']:,}: " + _most(sent, 5)),
        ("Not sent", f"{sum(report['held'].values()):,}: " + _most(held, 4)),
        (
            "Replies",
            f"{report['replies']:,} clicks, words and commands; {report['answers']:,} answered in words",
        ),
        ("Feedback", f"{report['feedback']:,} kept, each tied to its person, message and stage"),
        ("Stages", f"{report['adoption_stage_moves']:,} moves; now " + _most(report["stages"].items(), 4)),
        (
            "Promises",
            f"{sum(each['broken'] for each in broken.values()):,} broken in {examined:,} cases; what came is seen"
            " from outside, what did not come has the reason that the bot gives"
            + (": " + ", ".join(sorted(broken)) if broken else ""),
        ),
        (
            "Time",
            f"{report['seconds']:,} s for {report['people'] * report['weeks_run']:,} weeks of a person's work",
        ),
        (
            "Memory",
            f"at most {report['memory_mib']['bot']:,} MiB for the bot, {report['memory_mib']['sandbox']:,} MiB for the sandbox",
        ),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, words in lines:
        table.add_row(f"[bold]{label}[/bold]", escape(words))
    out.print(table)


def _most(counts: Iterable[tuple[str, int]], how_many: int) -> str:
    """The first few of counted things in words."""
    listed = [f"{name.replace('_', ' ').replace('-', ' ')} {count:,}" for name, count in counts]
    more = len(listed) - how_many
    return ", ".join(listed[:how_many]) + (f" and {more} more" if more > 0 else "")


def _print_weeks(report: dict[str, Any]) -> None:
    table = Table(
        "Week", "Facts", "Decisions", "Sent", "Held", "Replies", "Feedback", "Stage moves", box=None
    )
    for week in report["weeks"]:
        table.add_row(
            week["week"],
            str(week["facts"]),
            str(week["decisions"]),
            str(week["sent"]),
            str(sum(week["held"].values())),
            str(week["replies"]),
            str(week["feedback"]),
            str(week["adoption_stage_moves"]),
        )
    out.print(table)
    held = sorted(report["held"].items(), key=lambda item: (-item[1], item[0]))
    if held:
        out.print(
            "\nHeld, by reason: " + ", ".join(f"{reason} {count}" for reason, count in held), soft_wrap=True
        )
    stages = report.get("stages") or {}
    if stages:
        out.print(
            "Stages at the end: " + ", ".join(f"{name} {count}" for name, count in stages.items()),
            soft_wrap=True,
        )


def _write_json(target: Path | None, body: dict[str, Any]) -> bool:
    if target is None:
        return False
    text = json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True, default=str) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            _warn(f"{target} cannot be written: {error.strerror}")
            raise typer.Exit(2) from error
    return True


if __name__ == "__main__":
    main()
