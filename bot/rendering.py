"""Templates to text for Slack: Jinja2, sandboxed, strict about names, with ``& < >`` of every value escaped.

Slack decodes only ``&amp; &lt; &gt;``, so nothing else is escaped: a CRM field with ``<!channel>`` in it is shown as it
is and wakes nobody. Links are made here and nowhere else. The sandbox does not stop endless loops or huge strings: a
template is checked against an allow-list of syntax (:func:`check`) when content is loaded.
Source: https://docs.slack.dev/messaging/formatting-message-text (escaping), docs/decisions/0004.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import jinja2
from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal
from jinja2 import nodes, pass_context
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.domain.errors import Skippable

Schema = Mapping[str, frozenset[str] | None]
"""Names that a template may use. None: one value; a set: a list of records, and the fields that each record has."""

ALWAYS: Schema = {"language": None, "today": None}
"""Names that every template may use: the language of the text, and the day it is written for."""
MAX_URL = 3000
MAX_SOURCE = 4000
"""Characters of one template."""
_NOT_IN_URL = re.compile(r'[\x00-\x20<>|"\\`]')
_MAX_DIGITS = 15
_MAX_DEPTH = 20
_TOO_DEEP = "has too many brackets inside one another; write it simpler"
_LOOP_FIELDS = frozenset({"first", "last", "index"})


class MissingField(Skippable):
    """A template names a value that is not there: what it belongs to is not sent."""


class Mrkdwn(str):
    """Text that is escaped for Slack already. Only this module makes it; it passes through templates as it is."""

    __slots__ = ()


def escape(text: str) -> str:
    """``& < >`` as Slack asks; :func:`unescape` is the inverse."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """The plain text that Slack shows for escaped text without links."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def safe_url(url: object) -> str | None:
    """The address if it can stand in a Slack link or button (http or https, 3,000 characters), else None."""
    text = str(url).strip() if url else ""
    if not text or len(text) > MAX_URL or _NOT_IN_URL.search(text):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in {"http", "https"} and parts.hostname else None


def linked(text: str, url: object) -> Mrkdwn:
    """``<url|text>`` where the address is safe, else the text alone."""
    shown = escape(" ".join(text.split())).replace("|", "¦")
    address = safe_url(url)
    return Mrkdwn(f"<{address.replace('&', '&amp;')}|{shown}>" if address and shown else shown)


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    """English is written the British way ("3 Nov") unless a country is named; an unknown country is left out."""
    for name in (language, language.replace("_", "-").split("-", maxsplit=1)[0]):
        try:
            return Locale.parse("en_GB" if name == "en" else name.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en_GB")


def _number_of(value: object) -> Decimal:
    if isinstance(value, Undefined):
        str(value)  # raises, naming the value
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise MissingField(f"{str(value)[:40]!r} is not a number") from None
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS:
        raise MissingField("a number is too large to show")
    return number if number.adjusted() >= -_MAX_DIGITS else Decimal(0)


def _day_of(value: object) -> date:
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        raise MissingField(f"{str(value)[:40]!r} is not a day") from None


def _language(context: Context) -> str:
    return str(context.get("language") or "en")


@pass_context
def _day(context: Context, value: object) -> str:
    """``3 Nov``; with the year when it is not the year of ``today``."""
    day, today = _day_of(value), context.get("today")
    skeleton = "MMMd" if isinstance(today, date) and today.year == day.year else "yMMMd"
    return str(
        format_skeleton(
            skeleton, datetime(day.year, day.month, day.day, tzinfo=UTC), locale=_locale(_language(context))
        )
    )


@pass_context
def _number(context: Context, value: object) -> str:
    """A number with the language's separators, at most one decimal."""
    return str(format_decimal(_number_of(value), format="#,##0.#", locale=_locale(_language(context))))


@pass_context
def _money(context: Context, value: object, currency: object = "") -> str:
    """An amount without cents, with its currency (ISO 4217) where that is known."""
    amount, locale = _number_of(value).quantize(Decimal(1)), _locale(_language(context))
    if not currency:
        return str(format_decimal(amount, format="#,##0", locale=locale))
    return str(format_currency(amount, str(currency), locale=locale, currency_digits=False, format="¤#,##0"))


@pass_context
def _plural(context: Context, count: object, one: str, many: str) -> str:
    """The first form for exactly 1, the second for any other number; ``#`` in it is the number."""
    number = _number_of(count)
    return (one if number == 1 else many).replace("#", _number(context, number))


@pass_context
def _names(context: Context, values: object, most: int = 3) -> str:
    """``A, B and C`` of a list of names or records; beyond ``most`` it ends with an ellipsis."""
    if isinstance(values, Undefined):
        str(values)
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise MissingField("names takes a list")
    shown = [str(_shown(v.get("name") if isinstance(v, Mapping) else v)) for v in values]
    listed = shown[:most] + (["…"] if len(shown) > most else [])
    return str(format_list(listed, locale=_locale(_language(context)))) if listed else ""


def _link(text: object, url: object = None) -> Mrkdwn:
    if isinstance(text, Undefined):
        str(text)
    return linked(str(_shown(text)), None if isinstance(url, Undefined) else url)


FILTERS: Mapping[str, Any] = {
    "plural": _plural,
    "day": _day,
    "number": _number,
    "money": _money,
    "names": _names,
    "link": _link,
}
_FILTER_ARGUMENTS = {
    "plural": (2, 2),
    "day": (0, 0),
    "number": (0, 0),
    "money": (0, 1),
    "names": (0, 1),
    "link": (1, 1),
}


class _Environment(ImmutableSandboxedEnvironment):
    """Records are looked into by their keys only; no other object has attributes."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP_FIELDS:
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)


def _shown(value: object) -> object:
    if value is None:
        raise MissingField("a value is empty")
    return value


def _escaped(value: object) -> str:
    return value if isinstance(value, Mrkdwn) else escape(str(_shown(value)))


def _unescaped(value: object) -> str:
    return plain_text(value) if isinstance(value, Mrkdwn) else str(_shown(value))


def plain_text(text: Mrkdwn) -> str:
    """Escaped text as a reader sees it: links give way to their words."""
    pieces = []
    for piece in text.split("<"):
        inside, bracket, rest = piece.partition(">")
        pieces.append(inside.partition("|")[2] + rest if bracket else piece)
    return unescape("".join(pieces))


def _environment(*, escaping: bool) -> _Environment:
    made = _Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        finalize=_escaped if escaping else _unescaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.clear()
    made.filters.clear()
    made.filters.update(FILTERS)
    made.tests.clear()
    return made


_MRKDWN = _environment(escaping=True)
_PLAIN = _environment(escaping=False)
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.If,
    nodes.For,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
)


def check(source: str, schema: Schema) -> list[str]:
    """Faults of a template, each a sentence that says what to write instead; empty when it may be used.

    Allowed: text, ``{{ name }}``, ``{{ records[0].name }}``, the filters, ``if``, comparisons, and one level of ``for``
    over records. Not: calls, arithmetic, assignments, macros, includes, tests, attributes with ``_``.
    """
    return list(_faults(source, frozenset({**ALWAYS, **schema}.items())))


@lru_cache(maxsize=4096)
def _faults(source: str, names: frozenset[tuple[str, frozenset[str] | None]]) -> tuple[str, ...]:
    if len(source) > MAX_SOURCE:
        return (f"is longer than {MAX_SOURCE} characters; write less",)
    faults: list[str] = []
    try:
        tree = _MRKDWN.parse(source)
        if _depth(tree) > _MAX_DEPTH:
            return (_TOO_DEEP,)
        _check(tree, dict(names), frozenset(), faults)
    except RecursionError:
        return (_TOO_DEEP,)
    except jinja2.TemplateSyntaxError as error:
        return (f"is no valid template ({error.message}); look for a bracket that is not closed",)
    return tuple(dict.fromkeys(faults))


def _depth(node: nodes.Node) -> int:
    return 1 + max(map(_depth, node.iter_child_nodes()), default=0)


def _check(node: nodes.Node, schema: Schema, loop: frozenset[str], faults: list[str]) -> None:
    """``loop``: names of the record in hand; empty outside of a loop."""
    if not isinstance(node, _ALLOWED):
        faults.append(
            f"uses {type(node).__name__}, which templates may not: use names, filters, if and for only"
        )
        return
    if isinstance(node, nodes.TemplateData):
        if "<!" in node.data or "<@" in node.data or "<#" in node.data:
            faults.append("mentions a person or channel; write the words without <!…>, <@…> or <#…>")
    elif isinstance(node, nodes.Name):
        if node.name in loop:
            faults.append(f"shows the whole record {node.name}; write {node.name}.name")
        elif node.name not in schema:
            faults.append(f"uses the unknown name {node.name}; known: {', '.join(sorted(schema))}")
        return
    elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
        _check_access(node, schema, loop, faults)
        return
    elif isinstance(node, nodes.Filter):
        _check_filter(node, schema, loop, faults)
        return
    elif isinstance(node, nodes.For):
        _check_loop(node, schema, loop, faults)
        return
    for child in node.iter_child_nodes():
        _check(child, schema, loop, faults)


def _check_access(
    node: nodes.Getattr | nodes.Getitem, schema: Schema, loop: frozenset[str], faults: list[str]
) -> None:
    inner = node.node
    if isinstance(node, nodes.Getattr) and isinstance(inner, nodes.Name) and loop and inner.name == "loop":
        if node.attr not in _LOOP_FIELDS:
            faults.append(f"uses loop.{node.attr}; a loop has {', '.join(sorted(_LOOP_FIELDS))}")
        return
    fields: frozenset[str] | None = None
    if isinstance(node, nodes.Getattr) and isinstance(inner, nodes.Name) and inner.name in loop:
        fields = loop_fields(schema)
    elif (
        isinstance(node, nodes.Getattr)
        and isinstance(inner, nodes.Getitem)
        and isinstance(inner.node, nodes.Name)
        and isinstance(inner.arg, nodes.Const)
        and isinstance(inner.arg.value, int)
    ):
        fields = schema.get(inner.node.name)
    if fields is None or not isinstance(node, nodes.Getattr):
        faults.append("looks into a value that has no parts; write a name, or records[0].name")
    elif node.attr.startswith("_") or node.attr not in fields:
        faults.append(f"uses the unknown field {node.attr}; a record has {', '.join(sorted(fields))}")


def loop_fields(schema: Schema) -> frozenset[str]:
    """Fields of any record that a loop can go over."""
    return frozenset().union(*(fields for fields in schema.values() if fields))


def _check_filter(node: nodes.Filter, schema: Schema, loop: frozenset[str], faults: list[str]) -> None:
    if node.name not in FILTERS:
        faults.append(f"uses the unknown filter {node.name}; there are {', '.join(sorted(FILTERS))}")
        return
    least, most = _FILTER_ARGUMENTS[node.name]
    if node.kwargs or node.dyn_args or node.dyn_kwargs or not least <= len(node.args) <= most:
        faults.append(f"gives {node.name} the wrong number of arguments; see docs/writing-tips.md")
    if node.node is None:
        faults.append(f"uses {node.name} on nothing; write {{{{ value|{node.name} }}}}")
        return
    for child in (node.node, *node.args):
        _check(child, schema, loop, faults)


def _check_loop(node: nodes.For, schema: Schema, loop: frozenset[str], faults: list[str]) -> None:
    if loop:
        faults.append("has a loop inside a loop; one level is the most")
        return
    listed = isinstance(node.iter, nodes.Name) and bool(schema.get(node.iter.name))
    if not listed or not isinstance(node.target, nodes.Name) or node.recursive or node.test or node.else_:
        faults.append("has a loop over something else than records; write {% for r in records %}")
        return
    for child in node.body:
        _check(child, schema, frozenset({node.target.name}), faults)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a template may look at: ``names``; ``fields`` of records; how many ``records`` it counts on by number."""

    names: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    records: int = 0

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.names | other.names, self.fields | other.fields, max(self.records, other.records))


@lru_cache(maxsize=4096)
def needs(source: str) -> Needs:
    """What a template that :func:`check` allows may look at: with all of it there, rendering misses nothing."""
    if "{" not in source:
        return Needs()
    tree = _PLAIN.parse(source)
    loops = {each.target.name for each in tree.find_all(nodes.For) if isinstance(each.target, nodes.Name)}
    names = {each.name for each in tree.find_all(nodes.Name)} - loops - {"loop"}
    fields = {
        each.attr
        for each in tree.find_all(nodes.Getattr)
        if not (isinstance(each.node, nodes.Name) and each.node.name == "loop")
    }
    numbers = (each.arg for each in tree.find_all(nodes.Getitem))
    known = [each.value if isinstance(each, nodes.Const) else MAX_SOURCE for each in numbers]
    records = max((number + 1 for number in known if isinstance(number, int)), default=0)
    return Needs(frozenset(names), frozenset(fields), records)


def example_schema(example: Mapping[str, object]) -> Schema:
    """The schema of a mapping of example values: a list of mappings is a list of records."""
    made: dict[str, frozenset[str] | None] = {}
    for name, value in example.items():
        rows = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
        keys = [frozenset(map(str, row)) for row in rows if isinstance(row, Mapping)]
        made[name] = frozenset().union(*keys) if keys else None
    return made


@lru_cache(maxsize=4096)
def _compiled(source: str, *, escaping: bool) -> jinja2.Template:
    environment = _MRKDWN if escaping else _PLAIN
    tree = environment.parse(source)
    if escaping:
        for data in tree.find_all(nodes.TemplateData):
            data.data = escape(data.data)
    return environment.from_string(tree)


def _value(name: str, value: object) -> object:
    """Only plain values enter a template: an object with methods could be made to act."""
    if value is None or isinstance(value, (str, int, float, date)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _value(name, inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_value(name, inner) for inner in value]
    raise TypeError(
        f"{name}: a template takes text, numbers, days, lists and mappings, not {type(value).__name__}"
    )


class Checked(dict[str, object]):
    """Values that :func:`checked` has seen."""


def checked(values: Mapping[str, object]) -> Checked:
    """Values for several templates, looked through once. Raises TypeError for what may not enter a template."""
    return Checked((name, _value(name, value)) for name, value in values.items())


def _render(source: str, values: Mapping[str, object], language: str, *, escaping: bool) -> str:
    if "{" not in source:
        words = source.strip()
        return escape(words) if escaping else words
    given = dict(values if isinstance(values, Checked) else checked(values))
    given["language"] = language
    given.setdefault("today", None)
    try:
        return _compiled(source, escaping=escaping).render(given).strip()
    except jinja2.UndefinedError as error:
        raise MissingField(str(error.message)) from error
    except TypeError as error:
        raise MissingField(f"a template compares what cannot be compared ({error})") from error


def mrkdwn(source: str, values: Mapping[str, object], language: str = "en") -> Mrkdwn:
    """A template as escaped text for Slack. Raises MissingField when a value that it names is not there."""
    return Mrkdwn(_render(source, values, language, escaping=True))


def plain(source: str, values: Mapping[str, object], language: str = "en") -> str:
    """A template as plain text (labels, quotes, addresses), never parsed by Slack. Raises MissingField."""
    return _render(source, values, language, escaping=False)
