"""A record of the CRM in a browser, for whoever follows a link of the bot's, and what its owner can mend there.

GET  /lightning/r/{object}/{id}/view   a deal or a task; the address is the one that Salesforce gives to its records
POST /sandbox/crm/{object}/{id}        save what was entered: `fields` (of a deal), `call` (log one) or `done` (of a task)

Nobody logs in: whoever looks mends as the owner of the record, and the history says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.admin import BadRequest, body_of, guarded, refuse
from sandbox.crm.objects import STEPS
from sandbox.crm.records import Crm, full_id
from sandbox.slack import Slack

Json = dict[str, Any]
Record = Mapping[str, Any]
#: The page loads nothing from elsewhere, runs nothing inline, and stands in nobody's frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LONGEST = 255
"""Characters of a next step or of a call's subject (Object Reference: Opportunity.NextStep, Task.Subject)."""
MOST_AMOUNT = 1e12
FIRST_YEAR, LAST_YEAR = 2000, 2099
MOST_NAMES = 300
"""Accounts that are offered while one types; any other may be typed as well."""
MOST_ACTIVITIES = 6
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+(\.\d{1,2})?|\d{1,13}(\.\d{1,2})?")
_NOTHING = '<span class="quiet">not given</span>'


class NotSaved(ValueError):
    """What was entered cannot be saved. `fields`: a sentence by the field that it stands beside."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("Nothing was saved: " + " ".join(fields.values()))
        self.fields = fields


class RecordPages:
    """The handlers. `crm`: the company's CRM, where there is one by then."""

    def __init__(self, slack: Slack, crm: Callable[[], Crm | None]) -> None:
        self.slack = slack
        self.crm = crm

    def routes(self) -> list[Route]:
        """Every address, on one page."""
        return [
            Route("/lightning/r/{kind}/{record}/view", self.show, methods=["GET"]),
            Route("/sandbox/crm/{kind}/{record}", guarded(self.save), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page of one record."""
        kind = request.path_params["kind"]
        crm, found = self._found(request)
        if crm is None or found is None:
            return _page("Not here", _not_here(kind, known=crm is not None), status=404)
        owner = _owner(crm, found)
        zone = _zone(owner)
        draw = _deal if kind == "Opportunity" else _task
        return _page(
            str(found["Name"] if kind == "Opportunity" else found["Subject"] or "Task"),
            draw(crm, found, owner, zone, crm.clock.now().astimezone(zone)),
        )

    async def save(self, request: Request) -> Response:
        """Save what was entered, as the record's owner, now: all of it or, where anything cannot be, nothing."""
        body = await body_of(request)
        # Not within an instant of a drive: nobody changes a record while the bot is in the middle of reading it.
        async with self.slack.turn:
            crm, found = self._found(request)
            if crm is None or found is None:
                return refuse("not_found", "there is no such record any more", 404)
            try:
                _save(crm, request.path_params["kind"], found, body)
            except NotSaved as no:
                told = {"ok": False, "error": "not_saved", "detail": str(no), "fields": no.fields}
                return JSONResponse(told, 422)
        return JSONResponse({"ok": True})

    def _found(self, request: Request) -> tuple[Crm | None, Record | None]:
        """The CRM as it is now, and the record."""
        crm, kind, record = self.crm(), request.path_params["kind"], request.path_params["record"]
        if crm is None or kind not in ("Opportunity", "Task"):
            return crm, None
        if crm.catch_up:
            crm.catch_up(crm.clock.now())
        if len(record) == 15 and record.isascii() and record.isalnum():
            record = full_id(record)
        rows = crm.rows(f'SELECT * FROM "{kind}" WHERE Id = ?', record)  # one of two names
        return crm, dict(rows[0]) if rows else None


# Saving


def _save(crm: Crm, kind: str, found: Record, body: Json) -> None:
    """Raises NotSaved and BadRequest."""
    now = crm.clock.now()
    owner, record = str(found["OwnerId"]), str(found["Id"])
    fields, call = body.get("fields"), body.get("call")
    if kind == "Task" and body.get("done") is True:
        crm.change("Task", record, owner, now, IsClosed=True)
        about = found["WhatId"]
    elif kind == "Opportunity" and isinstance(fields, dict):
        crm.change("Opportunity", record, owner, now, **_read(crm, found, fields))
        about = record
    elif kind == "Opportunity" and isinstance(call, str):
        _log_call(crm, found, call, now)
        about = record
    else:
        raise BadRequest("fields or call of a deal, or done of a task")
    if crm.by_hand and about:
        crm.by_hand(str(about))


def _log_call(crm: Crm, deal: Record, subject: str, now: datetime) -> None:
    """A call that has just been made: a closed task. Raises NotSaved."""
    subject = " ".join(subject.split()) or "Call"
    if len(subject) > LONGEST:
        raise NotSaved({"call": f"At most {LONGEST} characters."})
    today = now.astimezone(_zone(_owner(crm, deal))).date()
    crm.insert(
        "Task",
        [
            {
                "OwnerId": deal["OwnerId"],
                "WhatId": deal["Id"],
                "Subject": subject,
                "TaskSubtype": "Call",
                "ActivityDate": today,
                "IsClosed": True,
                "CompletedDateTime": now,
                "CreatedById": deal["OwnerId"],
                "CreatedDate": now,
            }
        ],
    )


def _read(crm: Crm, deal: Record, given: Json) -> dict[str, object]:
    """What was entered, as the record keeps it; what is not there stays. Raises NotSaved."""
    readers: dict[str, Callable[[str], object]] = {
        "StageName": _step,
        "Amount": _amount,
        "CloseDate": _day,
        "NextStep": _next_step,
        "AccountId": lambda name: _account(crm, deal, name),
    }
    found: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for name, value in given.items():
        if name not in readers or not isinstance(value, str):
            raise BadRequest(f"fields are text, of {', '.join(readers)}")
        try:
            found[name] = readers[name](value.strip())
        except ValueError as no:
            wrong[name] = str(no)
    if wrong:
        raise NotSaved(wrong)
    return found


def _step(text: str) -> str:
    if text not in STEPS:
        raise ValueError("Choose a step from the list.")
    return text


def _amount(text: str) -> float | None:
    plain = "".join(text.split())
    if not plain:
        return None
    if not _NUMBER.fullmatch(plain) or float(plain.replace(",", "")) > MOST_AMOUNT:
        raise ValueError("The amount is a number, as in 12000 or 12,000.50.")
    return float(plain.replace(",", ""))


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("A deal needs a close date, as in 2026-07-31.") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"The close date lies between {FIRST_YEAR} and {LAST_YEAR}.")
    return day


def _next_step(text: str) -> str | None:
    text = " ".join(text.split())
    if len(text) > LONGEST:
        raise ValueError(f"The next step has at most {LONGEST} characters.")
    return text or None


def _account(crm: Crm, deal: Record, name: str) -> str | None:
    """The account of this name: of several the one that the deal has, or else one of its owner's."""
    name = " ".join(name.split())
    if not name:
        return None
    rows = crm.rows(
        "SELECT Id FROM Account WHERE Name = ? COLLATE NOCASE ORDER BY Id = ? DESC, OwnerId = ? DESC, Id LIMIT 1",
        name,
        deal["AccountId"],
        deal["OwnerId"],
    )
    if not rows:
        raise ValueError("There is no account of this name: choose one that exists.")
    return str(rows[0]["Id"])


# Drawing


def _owner(crm: Crm, found: Record) -> Record:
    rows = crm.rows("SELECT Name, TimeZoneSidKey FROM User WHERE Id = ?", found["OwnerId"])
    return dict(rows[0]) if rows else {"Name": None, "TimeZoneSidKey": None}


def _zone(owner: Record) -> ZoneInfo:
    return ZoneInfo(str(owner["TimeZoneSidKey"] or "UTC"))


def _shown_day(text: object) -> str:
    if not text:
        return _NOTHING
    day = date.fromisoformat(str(text)[:10])
    return f'<time datetime="{day.isoformat()}">{day:%a} {day.day} {day:%b %Y}</time>'


def _shown_instant(text: object, zone: ZoneInfo) -> str:
    if not text:
        return _NOTHING
    when = datetime.fromisoformat(str(text)).astimezone(zone)
    return f'<time datetime="{when.isoformat()}">{when:%a} {when.day} {when:%b %Y, %H:%M}</time>'


def _text(value: object) -> str:
    return f'<span dir="auto">{escape(str(value))}</span>' if value else _NOTHING


def _number(value: object) -> str:
    return f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else _NOTHING


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{shown}</dd></div>" for name, shown in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _field(name: str, label: str, control: str, hint: str = "") -> str:
    told = f'<p class="quiet field-hint" id="hint-{name}">{escape(hint)}</p>' if hint else ""
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label>{control}{told}'
        f'<p class="trouble" id="trouble-{name}"></p></div>'
    )


def _input(name: str, value: object, more: str = "", *, hinted: bool = False) -> str:
    described = f"{f'hint-{name} ' if hinted else ''}trouble-{name}"
    shown = "" if value is None else escape(str(value))
    return f'<input id="{name}" name="{name}" value="{shown}" autocomplete="off" aria-describedby="{described}" {more}>'


def _deal(crm: Crm, deal: Record, owner: Record, zone: ZoneInfo, now: datetime) -> str:
    account = next(
        (str(row["Name"]) for row in crm.rows("SELECT Name FROM Account WHERE Id = ?", deal["AccountId"])), ""
    )
    facts = {
        "Account": _text(account),
        "Owner": _text(owner["Name"]),
        "Step": _text(deal["StageName"]),
        "Amount": _number(deal["Amount"]),
        "Close date": _shown_day(deal["CloseDate"]),
        "Next step": _text(deal["NextStep"]),
        "Last activity": _shown_day(deal["LastActivityDate"]),
        "Created": _shown_instant(deal["CreatedDate"], zone),
    }
    return (
        f"{_head('Deal', deal['Name'], now)}{_facts(facts)}{_deal_form(crm, deal, account)}"
        '<section aria-labelledby="activities"><h2 id="activities">Activities</h2>'
        '<form class="call" data-save="call" novalidate>'
        f"{_field('call', 'What was it about?', _input('call', '', f'maxlength={LONGEST}'))}"
        f'<button class="btn">Log a call</button></form>{_activities(crm, deal)}</section>'
    )


def _deal_form(crm: Crm, deal: Record, account: str) -> str:
    steps = "".join(
        f"<option{' selected' if step == deal['StageName'] else ''}>{escape(step)}</option>" for step in STEPS
    )
    names = crm.rows(
        "SELECT Name FROM Account GROUP BY Name ORDER BY MAX(OwnerId = ?) DESC, Name LIMIT ?",
        deal["OwnerId"],
        MOST_NAMES,
    )
    offered = "".join(f'<option value="{escape(str(row["Name"]))}"></option>' for row in names)
    amount = f"{deal['Amount']:.2f}".removesuffix(".00") if deal["Amount"] is not None else None
    next_step = _input("NextStep", deal["NextStep"], f'maxlength="{LONGEST}"')
    return (
        '<section aria-labelledby="mend"><h2 id="mend">Mend it</h2>'
        '<form data-save="fields" novalidate>'
        + _field(
            "StageName",
            "Step",
            f'<select id="StageName" name="StageName" aria-describedby="trouble-StageName">{steps}</select>',
        )
        + _field(
            "Amount",
            "Amount",
            _input("Amount", amount, 'inputmode="decimal"', hinted=True),
            "A number, without a currency.",
        )
        + _field("CloseDate", "Close date", _input("CloseDate", deal["CloseDate"], 'type="date" required'))
        + _field("NextStep", "Next step", next_step)
        + _field(
            "AccountId",
            "Account",
            _input("AccountId", account, 'list="accounts"', hinted=True),
            "The name of one that exists.",
        )
        + f'<datalist id="accounts">{offered}</datalist><button class="btn primary">Save</button></form></section>'
    )


def _activities(crm: Crm, deal: Record) -> str:
    rows = crm.rows(
        "SELECT Id, Subject, TaskSubtype, ActivityDate, IsClosed FROM Task WHERE WhatId = ?"
        " ORDER BY CreatedDate DESC, Id DESC LIMIT ?",
        deal["Id"],
        MOST_ACTIVITIES,
    )
    if not rows:
        return '<p class="quiet">No calls, mails or tasks yet.</p>'
    lines = "".join(
        f'<li><a href="/lightning/r/Task/{escape(str(row["Id"]))}/view">{_text(row["Subject"] or "Task")}</a> '
        f'<span class="quiet">{escape(str(row["TaskSubtype"]))}, {"done" if row["IsClosed"] else "open"}, '
        f"{_shown_day(row['ActivityDate'])}</span></li>"
        for row in rows
    )
    return f'<ul class="activities">{lines}</ul>'


def _task(crm: Crm, task: Record, owner: Record, zone: ZoneInfo, now: datetime) -> str:
    about = next(iter(crm.rows("SELECT Id, Name FROM Opportunity WHERE Id = ?", task["WhatId"])), None)
    link = f"/lightning/r/Opportunity/{escape(str(about['Id']))}/view" if about else ""
    facts = {
        "Kind": _text(task["TaskSubtype"]),
        "About": f'<a href="{link}">{_text(about["Name"])}</a>' if about else _NOTHING,
        "Owner": _text(owner["Name"]),
        "Day": _shown_day(task["ActivityDate"]),
        "Done": _shown_instant(task["CompletedDateTime"], zone) if task["IsClosed"] else "not yet",
        "Created": _shown_instant(task["CreatedDate"], zone),
    }
    button = (
        ""
        if task["IsClosed"]
        else '<form data-save="done"><button class="btn primary">Mark as done</button></form>'
    )
    return f"{_head('Task', task['Subject'] or 'Task', now)}{_facts(facts)}{button}"


def _head(kind: str, name: object, now: datetime) -> str:
    return (
        '<p class="where">This is a record in the made-up company’s CRM. What you save here, its owner has done, '
        f"at {now:%H:%M} on {now:%A} {now.day} {now:%B %Y} where they are.</p>"
        f'<p class="quiet kind">{kind}</p><h1 dir="auto">{escape(str(name))}</h1>'
        '<p class="told" id="told" role="status"></p>'
    )


def _not_here(kind: str, *, known: bool) -> str:
    if not known:
        why = "This sandbox was started without a company, so there is no CRM."
    elif kind in ("Opportunity", "Task"):
        why = "The made-up company’s CRM has no record by this address. Perhaps the sandbox was started anew since."
    else:
        why = "Of the made-up company’s CRM only deals and tasks have a page."
    return f'<h1>Nothing is here</h1><p>{why}</p><p><a href="/">Go to the workspace</a></p>'


def _page(title: str, inside: str, status: int = 200) -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)} · CRM of the sandbox</title>'
        '<link rel="icon" href="/page/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/page/style.css"><link rel="stylesheet" href="/page/record.css">'
        '<script type="module" src="/page/record.js"></script></head>'
        '<body class="record"><main class="sheet">'
        f"{inside}<noscript>Saving needs JavaScript, which comes from this machine only.</noscript>"
        "</main></body></html>",
        status,
        headers=HEADERS,
    )
