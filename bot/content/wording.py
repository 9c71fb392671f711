"""Words for a decision or an answer: content + values -> Message, frozen as it was decided."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import get_day_names

from bot.content.fields import TRIGGERS, typed
from bot.content.load import RECORD_DETAIL, ButtonText, Content, PartText
from bot.domain.messages import (
    BACK_OFF,
    TIP,
    WELCOME,
    Button,
    Buttons,
    Heading,
    Message,
    Note,
    Paragraph,
    Part,
    Quote,
    RecordLine,
    Records,
)
from bot.domain.nudging import Candidate
from bot.domain.people import Person
from bot.domain.programme import Programme
from bot.domain.tips import Tip
from bot.domain.usage import METRICS, RecordRef
from bot.rendering import (
    MissingField,
    Mrkdwn,
    Needs,
    checked,
    mrkdwn,
    needs,
    plain,
    plain_text,
    safe_url,
)

MAX_NAME = 150
"""Characters of a record's name that are shown; a longer one ends with an ellipsis."""
MAX_LABEL = 75
MAX_FIRST_NAME = 40
_ALWAYS = frozenset({"count", "crm", "first_name", "today", "language"})
"""Names that the words of every tip have (:func:`tip_values`)."""
_READ = "what_is_read_"
_READ_ORDER = (
    "opportunity",
    "results",
    "lead",
    "account",
    "contact",
    "case",
    "activities_completed",
    "tasks_overdue",
    "field_completeness",
    "feature_use",
    "active_day",
)


def tip_message(
    content: Content,
    tip: str,
    candidate: Candidate,
    *,
    person: Person,
    programme: Programme,
    language: str,
    delivery: str,
    now: datetime,
    live: bool = False,
) -> Message:
    """A tip for one person about their own records.

    ``delivery``: outbox id, the value of every button. ``live``: the named records are read again just before sending;
    otherwise the message says as of when they are. Raises MissingField when the tip names records and there are none, or
    when its words name a value that is not there: then it is not sent. Raises KeyError for an unknown tip.
    """
    chosen = content.tips[tip]
    found, words = chosen.text(language.replace("_", "-"))
    used = _regional(language, found)
    evidence = candidate.evidence
    records = evidence.records if evidence else ()
    if chosen.names_records and not records:
        raise MissingField(f"tip {tip} names records, and there are none")
    zone = _zone(person)
    values = tip_values(chosen, candidate, person=person, programme=programme, now=now)
    lines = tuple(
        _line(content, chosen.trigger, record, programme, used, values["today"]) for record in records
    )
    count = evidence.count if evidence else 0
    as_of = evidence.as_of.astimezone(zone) if evidence and records and not live else None
    link = next((line.link for line in lines if line.link), None)
    made = message(
        content,
        TIP,
        {
            "about": mrkdwn(words.about, values, used),
            "records": lines if chosen.names_records else (),
            "more": max(0, count - len(lines)) if chosen.names_records else 0,
            "gain": mrkdwn(words.gain, values, used),
            "effort": mrkdwn(words.effort, values, used),
            "how": mrkdwn(words.how, values, used),
            "action": plain(words.action, values, used) if link else "",
            "link": link or "",
            "as_of_day": as_of.date() if as_of else None,
            "as_of_time": as_of.strftime("%H:%M") if as_of else "",
            "today": values["today"],
        },
        language=used,
        value=delivery,
    )
    return replace(made, template=tip, version=chosen.version)


def tip_values(
    tip: Tip, candidate: Candidate, *, person: Person, programme: Programme, now: datetime
) -> dict[str, object]:
    """What the words of a tip may name (content/fields.py), from its evidence."""
    evidence, proposal = candidate.evidence, candidate.proposal
    values: dict[str, object] = {
        "count": evidence.count if evidence else proposal.count if proposal else 0,
        "crm": programme.crm_name,
        "first_name": first_name(person),
        "today": now.astimezone(_zone(person)).date(),
    }
    if evidence and evidence.records:
        values["records"] = [_record_values(tip.trigger, record, programme) for record in evidence.records]
    return checked(values)


def can_be_said(
    content: Content, tip: str, candidate: Candidate, programme: Programme, language: str
) -> bool:
    """Whether :func:`tip_message` will find everything it names, told from its templates without rendering them.

    False says only that it has to be tried. The line about a record is not looked at: what it lacks only shortens it.
    """
    chosen = content.tips[tip]
    _, words = chosen.text(language.replace("_", "-"))
    parts = (words.about, words.gain, words.effort, words.how, words.action)
    wanted = functools.reduce(Needs.__or__, map(needs, parts))
    records = candidate.evidence.records if candidate.evidence else ()
    if not records:
        return not chosen.names_records and wanted.names <= _ALWAYS
    if not wanted.names <= _ALWAYS | {"records"} or wanted.records > len(records):
        return False
    return all(
        wanted.fields <= _record_values(chosen.trigger, record, programme).keys() for record in records
    )


def weekday_names(days: Iterable[int], language: str) -> list[str]:
    """Short names of weekdays (0 = Monday), as in "Mon" or "Mo"."""
    locale = Locale.parse(language.replace("-", "_"))
    names = get_day_names("abbreviated", locale=locale)
    return [names[day].rstrip(".") for day in days]


def message(
    content: Content,
    key: str,
    values: Mapping[str, object],
    *,
    language: str,
    kind: str | None = None,
    value: str = "",
) -> Message:
    """A message from ``content/messages``. ``value`` is put on every button that has none of its own.

    A list that a ``records`` part names holds RecordLine or RecordRef, or mappings with name, detail and link.
    Raises MissingField when a name has no value, KeyError for an unknown key.
    """
    text = content.messages[key]
    found, body = text.body(language)
    used = _regional(language, found)
    listed = {part.text: _lines(key, part.text, values) for part in body.parts if part.part == "records"}
    given = {name: each for name, each in values.items() if name not in listed}
    given |= {name: [_mapping(line) for line in lines] for name, lines in listed.items()}
    given = checked(given)
    parts = tuple(part for raw in body.parts if (part := _part(raw, given, listed, used, value)) is not None)
    words = plain(body.text, given, used) if body.text else derived_text(parts)
    return Message(kind or text.kind, words, parts, key, text.version, found)


def welcome_message(
    content: Content,
    *,
    person: Person,
    programme: Programme,
    language: str,
    delivery: str,
    now: datetime,
    metrics: Iterable[str] | None = None,
) -> Message:
    """The first message: who runs it, what is read (``metrics``: those the CRM gives; None: all), who sees it."""
    names = what_is_read(content, METRICS if metrics is None else metrics, language)
    values = {
        "first_name": first_name(person),
        "sponsor": programme.sponsor_name,
        "crm": programme.crm_name,
        "reads": names,
        "cap": programme.rules.weekly_cap,
        "today": now.astimezone(_zone(person)).date(),
    }
    return message(content, WELCOME, values, language=language, value=delivery)


def back_off_message(content: Content, *, person: Person, language: str, delivery: str) -> Message:
    """Asks once, after six ignored messages, whether to go on."""
    return message(content, BACK_OFF, {"first_name": first_name(person)}, language=language, value=delivery)


def what_is_read(content: Content, metrics: Iterable[str], language: str) -> list[str]:
    """Plain names of what is read, each once, deals first and sign-in days last."""
    groups = {_group(metric) for metric in metrics}
    return [
        message(content, _READ + group, {}, language=language).text
        for group in _READ_ORDER
        if group in groups
    ]


def _group(metric: str) -> str:
    head, _, tail = metric.partition(".")
    if head in {"records_created", "records_updated"}:
        return tail
    if head in {"activities_completed", "feature_use"}:
        return head
    if head.startswith("opps_") or head in {"step_moves", "close_date_pushes", "pipeline_amount"}:
        return "opportunity"
    if head in {"won_count", "lost_count", "won_amount", "cycle_days", "quota_attainment"}:
        return "results"
    return head


def first_name(person: Person) -> str:
    """The first word of the name; a very long one ends with an ellipsis."""
    return _short(person.name.split()[0], MAX_FIRST_NAME) if person.name.split() else ""


def record_link(record: RecordRef, programme: Programme) -> str | None:
    """Deep link of a record: its own, else the programme's pattern with its id; None when there is neither."""
    if own := safe_url(record.link):
        return own
    if programme.record_link and record.id:
        return safe_url(programme.record_link.replace("{id}", quote(record.id, safe="")))
    return None


def derived_text(parts: Sequence[Part]) -> str:
    """The whole message in plain words: what a screen reader speaks. Never empty unless a message has no words at all."""
    lines: list[str] = []
    for part in parts:
        if isinstance(part, (Heading, Paragraph, Note)):
            lines.append(plain_text(Mrkdwn(part.text)))
        elif isinstance(part, Quote):
            lines.append(f"“{part.text}”")
        elif isinstance(part, Records):
            lines += [f"{line.name} · {line.detail}" if line.detail else line.name for line in part.lines]
    if not lines:
        labels = [b.label for part in parts if isinstance(part, Buttons) for b in (*part.buttons, *part.menu)]
        lines = [" · ".join(labels)]
    return "\n".join(lines)


def _regional(wanted: str, found: str) -> str:
    """The language that dates and numbers are written in: the reader's own region of the language of the words."""
    return wanted if wanted.replace("_", "-").split("-", maxsplit=1)[0].lower() == found else found


def _zone(person: Person) -> ZoneInfo:
    try:
        return ZoneInfo(person.zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def _record_values(trigger: str, record: RecordRef, programme: Programme) -> dict[str, object]:
    link = record_link(record, programme)
    own = {"name": _short(record.name, MAX_NAME), **({"link": link} if link else {})}
    return {**typed(trigger, record.details), **own}


def _line(
    content: Content, trigger: str, record: RecordRef, programme: Programme, language: str, today: object
) -> RecordLine:
    name = _short(record.name, MAX_NAME) or record.id
    link = record_link(record, programme)
    key = RECORD_DETAIL + trigger
    if key not in content.messages:
        return RecordLine(name, "", link)
    values = {**dict.fromkeys(TRIGGERS[trigger].details), **typed(trigger, record.details), "today": today}
    found, body = content.messages[key].body(language)
    detail = plain(body.parts[0].text, values, _regional(language, found))
    return RecordLine(name, _short(detail, MAX_NAME), link)


def _lines(key: str, name: str, values: Mapping[str, object]) -> tuple[RecordLine, ...]:
    if name not in values:
        raise MissingField(f"message {key} lists {name}, and it is not there")
    listed = values[name]
    if not isinstance(listed, Iterable):
        raise TypeError(f"{name} is a list of records")
    return tuple(map(_as_line, listed))


def _as_line(listed: object) -> RecordLine:
    if isinstance(listed, RecordLine):
        return listed
    if isinstance(listed, RecordRef):
        return RecordLine(
            _short(listed.name, MAX_NAME), " · ".join(listed.details.values()), safe_url(listed.link)
        )
    if isinstance(listed, Mapping):
        return RecordLine(
            str(listed.get("name") or ""), str(listed.get("detail") or ""), safe_url(listed.get("link"))
        )
    raise TypeError(f"a record is a RecordLine, a RecordRef or a mapping, not {type(listed).__name__}")


def _mapping(line: RecordLine) -> dict[str, object]:
    return {"name": line.name, "detail": line.detail, "link": line.link}


def _part(
    raw: PartText,
    given: Mapping[str, object],
    listed: Mapping[str, tuple[RecordLine, ...]],
    language: str,
    value: str,
) -> Part | None:
    if raw.part == "buttons":
        buttons = _button_row(raw.buttons, given, language, value)
        menu = _button_row(raw.menu, given, language, value)
        return Buttons(buttons, menu) if buttons or menu else None
    if raw.part == "records":
        return Records(listed[raw.text]) if listed[raw.text] else None
    if raw.part == "quote":
        words = plain(raw.text, given, language)
        return Quote(words) if words else None
    text = str(mrkdwn(raw.text, given, language))
    if not text:
        return None
    if raw.part == "heading":
        return Heading(" ".join(text.split()))
    return Paragraph(text) if raw.part == "paragraph" else Note(text)


def _button_row(
    buttons: Sequence[ButtonText], values: Mapping[str, object], language: str, value: str
) -> tuple[Button, ...]:
    row = []
    for button in buttons:
        label = _short(plain(button.label, values, language), MAX_LABEL)
        if label:
            row.append(
                Button(
                    button.action,
                    label,
                    plain(button.value, values, language) or value,
                    safe_url(plain(button.url, values, language)),
                    button.style,
                    plain(button.confirm, values, language) or None,
                )
            )
    return tuple(row)
