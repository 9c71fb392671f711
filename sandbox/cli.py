"""`python -m sandbox serve` and `python -m sandbox drive`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop

from sandbox.app import Sandbox, keep_agenda, listen, loopback, serving
from sandbox.clock import Clock, RealClock, SteeredClock, moment
from sandbox.company.world import Company
from sandbox.crm.server import CrmServer
from sandbox.events import ACK_SECONDS, BotAway, Outbound
from sandbox.faults import Faults, read_fault
from sandbox.limits import Limits
from sandbox.people import People, read_script
from sandbox.promises import Promises, ask_the_bot
from sandbox.reacting import Reacting
from sandbox.roster import Roster, read_roster
from sandbox.slack import Slack
from sandbox.state import ALL_SCOPES
from sandbox.steering import Steering, SteeringFailed

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A Slack workspace on this machine: serve it, or drive a bot through time with it.",
)

BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 # opens nothing but this sandbox
APP_TOKEN = "xapp-sandbox"  # noqa: S105
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105
YOUNG = 20_000
"""New objects before Python's collector looks at them: nearly everything here goes by itself or stays."""
SERVED_WEEKS = 26
"""How far a company's life is planned that is served, not driven."""

Host = Annotated[str, typer.Option(help="Loopback address to listen on; any other is refused.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 is any free one.", min=0, max=65535)]
Bot = Annotated[str, typer.Option(help="Where the bot listens, as in http://127.0.0.1:3000.")]
Token = Annotated[str, typer.Option("--bot-token", help="The bot token that is valid.")]
Secret = Annotated[str, typer.Option("--signing-secret", help="The signing secret of the app.")]
Manifest = Annotated[
    Path | None, typer.Option(help="The app's manifest: the token gets its bot scopes; without it, all.")
]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fault", help="kind[:where][:count=N|rate=R][:seconds=S][:after=N]; may be given many times."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of scripted people and of faults by rate.")]
RecordFile = Annotated[Path | None, typer.Option(help="Write the record here, one JSON object a line.")]
AckSeconds = Annotated[
    float,
    typer.Option(
        help="How long the bot may take to acknowledge, in real seconds; Slack's figure is 3.", min=0.1
    ),
]
SocketMode = Annotated[
    bool, typer.Option("--socket", help="The app is in Socket Mode: nothing is delivered over HTTP.")
]
Echo = Annotated[bool, typer.Option(help="Send the bot its own messages as events, as Slack does.")]
CompanyOption = Annotated[
    int | None,
    typer.Option("--company", help="A company of so many people with a CRM lives here, instead of --people."),
]
TruthFile = Annotated[
    Path | None, typer.Option("--truth", help="Write what is hidden in the company here, as JSON lines.")
]


def stop_with(why: str, code: int = 2) -> NoReturn:
    """Say why, and end."""
    print(f"sandbox: {why}", file=sys.stderr)
    raise typer.Exit(code)


def say(line: dict[str, Any]) -> None:
    """One JSON object on a line of stdout, at once: a parent process reads it."""
    print(json.dumps(line), flush=True)


def manifest_of(manifest: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """A manifest and the bot scopes that it asks for. Raises ValueError."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        return found, frozenset(found["oauth_config"]["scopes"]["bot"])
    except OSError as exc:
        raise ValueError(f"{manifest}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"{manifest}: no oauth_config.scopes.bot to read ({exc!r})") from exc


def span(start: str, until: str) -> tuple[datetime, datetime]:
    """The two ends of a drive. Raises ValueError."""
    begins, ends = moment(start), moment(until)
    if ends <= begins:
        raise ValueError(f"--until {until} is not after --from {start}")
    return begins, ends


def build(
    clock: Clock,
    *,
    token: str,
    manifest: Path | None,
    faults: list[str] | None,
    seed: int,
    record: Path | None,
    limits: bool,
) -> Slack:
    """A workspace from the options. Raises ValueError and OSError."""
    planned = Faults(seed)
    for text in faults or []:
        planned.plan(read_fault(text))
    read, scopes = manifest_of(manifest) if manifest else ({}, ALL_SCOPES)
    slack = Slack(clock, limits=Limits(on=limits), faults=planned, record_file=record, scopes=scopes)
    slack.manifest = read
    tabs = read.get("features", {}).get("app_home", {})
    slack.workspace.home_tab_enabled = bool(tabs.get("home_tab_enabled", True))
    slack.workspace.messages_tab_enabled = bool(tabs.get("messages_tab_enabled", True))
    slack.workspace.messages_tab_read_only = bool(tabs.get("messages_tab_read_only_enabled", False))
    slack.workspace.grant(token)
    slack.workspace.grant(APP_TOKEN, app_level=True)
    return slack


def run(work: Coroutine[Any, Any, None], *, led: bool = False) -> None:
    """`until_stopped` on a quick event loop; what exists so far is taken to stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
    uvloop.run(until_stopped(work, led=led))


async def until_stopped(work: Coroutine[Any, Any, None], *, led: bool = False) -> None:
    """Run `work` until it is done or somebody asks to stop (SIGINT, SIGTERM).

    `led`: or until standard input ends, because whoever started us is gone.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    if led:

        def wait_for_the_end() -> None:
            while os.read(0, 4096):  # not sys.stdin: its lock would be held when we end
                pass
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(task.cancel)

        threading.Thread(target=wait_for_the_end, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8686,
    bot: Bot = "http://127.0.0.1:3000",
    token: Token = BOT_TOKEN,
    secret: Secret = SIGNING_SECRET,
    manifest: Manifest = None,
    people: Annotated[Path | None, typer.Option(help="JSON or TOML file of users and channels.")] = None,
    company: CompanyOption = None,
    truth: TruthFile = None,
    clock: Annotated[
        str, typer.Option(help="`real`, or an ISO instant at which a steered clock starts.")
    ] = "real",
    fault: FaultOption = None,
    seed: Seed = 0,
    record: RecordFile = None,
    socket_mode: SocketMode = False,
    echo: Echo = True,
    limits: Annotated[bool, typer.Option(help="Enforce Slack's rate limits.")] = True,
    ack_seconds: AckSeconds = ACK_SECONDS,
) -> None:
    """Serve the workspace until stopped."""
    try:
        time_of = RealClock() if clock == "real" else SteeredClock(moment(clock))
        slack = build(
            time_of, token=token, manifest=manifest, faults=fault, seed=seed, record=record, limits=limits
        )
        if people:
            read_roster(people, slack.workspace)
        firm = Company(slack, company, seed, time_of.now(), SERVED_WEEKS, truth) if company else None
        sock = listen(loopback(host), port)
    except (ValueError, OSError) as exc:
        stop_with(str(exc))
    slack.sockets.on = socket_mode
    outbound = Outbound(slack, bot, secret, echo=echo, ack_seconds=ack_seconds)

    async def work() -> None:
        async with serving(slack, outbound, sock) as sandbox:
            told = move_in(sandbox, firm) if firm else {}
            say({"ready": True, "port": sock.getsockname()[1], "url": slack.url, **told})
            try:
                await keep_agenda(slack)
            finally:
                if firm:
                    firm.close()

    run(work())


@app.command()
def drive(
    bot: Bot,
    start: Annotated[str, typer.Option("--from", help="The instant (ISO) at which time starts.")],
    until: Annotated[str, typer.Option(help="The instant (ISO) at which it ends.")],
    people: Annotated[Path | None, typer.Option(help="JSON or TOML file of users and channels.")] = None,
    company: CompanyOption = None,
    truth: TruthFile = None,
    script: Annotated[
        Path | None, typer.Option(help="TOML script of what people do; without it they do nothing.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    token: Token = BOT_TOKEN,
    secret: Secret = SIGNING_SECRET,
    manifest: Manifest = None,
    fault: FaultOption = None,
    seed: Seed = 0,
    record: RecordFile = None,
    report: Annotated[Path | None, typer.Option(help="Write the totals here, as JSON.")] = None,
    socket_mode: SocketMode = False,
    echo: Echo = False,
    limits: Annotated[bool, typer.Option(help="Enforce Slack's rate limits.")] = True,
    ack_seconds: AckSeconds = ACK_SECONDS,
    days: Annotated[bool, typer.Option(help="Print one JSON line a simulated day.")] = True,
    stay: Annotated[
        bool, typer.Option(help="After the end, serve the page until stopped; its clock goes on from there.")
    ] = False,
    abreast: Annotated[
        int, typer.Option(help="How many people may act at the same instant.", min=1, max=64)
    ] = 1,
    led: Annotated[
        bool, typer.Option("--led", help="Stop when standard input ends: whoever started it is gone.")
    ] = False,
    promises: Annotated[
        bool, typer.Option("--promises", help="Check the bot's promises on what arrives; say how many broke.")
    ] = False,
) -> None:
    """Drive a bot through time: the sandbox steers the clock, its people answer what the bot writes."""
    if (people is None) == (company is None):
        stop_with("either --people or --company is needed")
    try:
        begins, ends = span(start, until)
        slack = build(
            SteeredClock(begins),
            token=token,
            manifest=manifest,
            faults=fault,
            seed=seed,
            record=record,
            limits=limits,
        )
        roster = read_roster(people, slack.workspace) if people else Roster()
        weeks = -(-(ends - begins).days // 7)
        firm = Company(slack, company, seed, begins, weeks, truth) if company else None
        read = read_script(script) if script and not firm else None
        sock = listen(loopback(host), port)
    except (ValueError, OSError) as exc:
        stop_with(str(exc))
    slack.sockets.on = socket_mode
    outbound = Outbound(slack, bot, secret, insist=True, echo=echo, ack_seconds=ack_seconds)
    failure: list[str] = []

    async def work() -> None:
        async with serving(slack, outbound, sock) as sandbox:
            told = move_in(sandbox, firm) if firm else {}
            say({"ready": True, "port": sock.getsockname()[1], "url": slack.url, **told})
            scripted: Reacting | None = firm.staff if firm else None
            if read:
                scripted = People(slack, sandbox.acts, read, _members(roster), seed)
            watched = Promises(slack, firm.surroundings() if firm else None) if promises else None
            steering = Steering(slack, outbound, scripted, abreast=abreast, on_day=say if days else None)
            sandbox.pilot.steering = steering
            started = time.monotonic()
            try:
                await steering.run(ends)
            except (BotAway, SteeringFailed) as exc:
                failure.append(str(exc))
            if firm:
                firm.live_until(slack.clock.now())
                firm.truth.flush()
            told = {**_totals(slack, steering, begins, started), "ok": not failure}
            if watched:
                await ask_the_bot(watched, outbound)
                told["broken_promises"] = watched.report()
            say({"done": True, **told})
            if report:
                report.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            try:
                if stay and not failure:
                    # Nobody may be reading days any more: the page shows them.
                    steering.on_day = None
                    await keep_agenda(slack)
            finally:
                if firm:
                    firm.close()

    run(work(), led=led)
    if failure:
        stop_with(failure[0], 1)


def move_in(sandbox: Sandbox, firm: Company) -> dict[str, Any]:
    """Open the company's CRM and let its people act; returns what the ready line says of them."""
    sandbox.crm = CrmServer(firm.crm, sandbox.slack)
    firm.employ(sandbox.acts)
    return {
        "crm": {
            "url": sandbox.slack.url,
            "client_id": sandbox.crm.client_id,
            "client_secret": sandbox.crm.client_secret,
        },
        "roles": firm.roles(),
        "go_live": firm.go_live().isoformat(),
        "channels": firm.channels(),
    }


def _members(roster: Roster) -> dict[str, Any]:
    """The people who act: no bots, nobody who has left."""
    return {user.id: roster.hours[user.id] for user in roster.users if not user.is_bot and not user.deleted}


def _totals(slack: Slack, steering: Steering, begins: datetime, started: float) -> dict[str, Any]:
    return {
        "from": begins.isoformat(),
        "until": slack.clock.now().isoformat(),
        "people": len(slack.workspace.users),
        **slack.record.totals(),
        "ticks": steering.ticks,
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(time.process_time(), 2),
        "memory_mib": _peak_memory(),
    }


def _peak_memory() -> int:
    """MiB of this process at its peak (Linux and macOS)."""
    try:
        told = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024)  # macOS counts in bytes
    # Not ru_maxrss: on Linux a process begins with the peak of the one that started it.
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")) // 1024


def main() -> None:
    """Entry point of `python -m sandbox`."""
    app()
