"""SOQL, the part that is served: read strictly, and turned into SQL over the tables of records.py.

    SELECT fields, paths, COUNT COUNT_DISTINCT SUM AVG MIN MAX, DAY_ONLY, with aliases where Salesforce allows them
    FROM one object  WHERE = != < <= > >= LIKE IN NOT IN, AND or OR (mixed only with parentheses)
    GROUP BY  ORDER BY ASC|DESC NULLS FIRST|LAST  LIMIT

Source: SOQL and SOSL Reference (SELECT, Condition Expression Syntax, Aggregate Functions, Date Functions, GROUP BY,
ORDER BY). What Salesforce accepts beyond this (HAVING, date literals such as TODAY, subqueries, OFFSET) is refused
as malformed: nothing here answers a query it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import NamedTuple, NoReturn

from sandbox.crm.errors import Refused, no_such_column, no_such_relationship, unsupported_type
from sandbox.crm.objects import OBJECTS, Field, SObject, object_named
from sandbox.crm.records import Rights, full_id
from sandbox.crm.shape import MOST_FIELDS, Column, group, record

_TOKENS = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:?\d\d))
    | (?P<day>\d{4}-\d\d-\d\d)(?![\w:])
    | (?P<number>[+-]?\d+(?:\.\d+)?)(?![\w:])
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?!:)
    | (?P<sign><=|>=|!=|<>|[=<>(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)
#: Values that differ from one query to the next of the same form, by the mark that stands for each kind.
_VALUES = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*')
    | (?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:?\d\d))
    | (?P<day>\d{4}-\d\d-\d\d)""",
    re.VERBOSE | re.ASCII,
)
_MARKS = {"text": "\x01", "instant": "\x02", "day": "\x03"}
#: More conditions, or deeper parentheses, are too complicated; no LIMIT is longer than this many digits.
_CONDITIONS, _DEPTH, _DIGITS = 500, 50, 9
#: How many forms of queries are remembered.
_FORMS = 1_000
_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "'": "'", '"': '"', "\\": "\\"}
_COMPARE = {"=": "=", "!=": "IS NOT", "<>": "IS NOT", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_AGGREGATES = ("COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX")
_NUMBERS = ("int", "currency")
#: Words that are no alias (SOQL and SOSL Reference, "Reserved Keywords").
_RESERVED = frozenset(
    [
        "AND",
        "ASC",
        "DESC",
        "EXCLUDES",
        "FIRST",
        "FROM",
        "GROUP",
        "HAVING",
        "IN",
        "INCLUDES",
        "LAST",
        "LIKE",
        "LIMIT",
        "NOT",
        "NULL",
        "NULLS",
        "OR",
        "SELECT",
        "USING",
        "WHERE",
        "WITH",
    ]
)
#: What each type is called when a value of another one is compared with it, and whether its values stand in quotes.
_SPOKEN = {
    "boolean": ("boolean", False),
    "int": ("int", False),
    "currency": ("double", False),
    "date": ("date", False),
    "datetime": ("dateTime", False),
}
#: The literal that each type is compared with.
_LITERAL = {"boolean": "name", "int": "number", "currency": "number", "date": "day", "datetime": "instant"}
_FIFTEEN, _EIGHTEEN = 15, 18


class Token(NamedTuple):
    """One word of a query; `at` is where it starts, `word` a name in capitals, for keywords."""

    kind: str
    text: str
    at: int
    word: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may be run: its rows are JSON, but for `SELECT COUNT()` (`counts`), whose only row is a number.

    The parameters of a plain query begin with the address of the object's records, before `args`.
    """

    thing: SObject
    sql: str
    args: tuple[object, ...]
    grouped: bool
    counts: bool = False


@dataclass(frozen=True, slots=True)
class _Operand:
    """A field, or a function of one, in the SELECT, GROUP BY or ORDER BY."""

    sql: str
    type: str
    name: str
    field: Field | None
    aggregate: bool
    function: str
    at: int
    keys: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """What a SELECT names, before the object is known."""

    token: Token
    function: str
    inner: Token | None
    alias: Token | None


def read(soql: str, rights: Rights, api_user: str) -> Query:
    """The query that this text asks for, for a user of these rights. Raises Refused."""
    return _Reader(soql, rights, api_user).query()


class Queries:
    """Reads queries, and remembers their form: a connector asks the same thousand times with other days and owners."""

    def __init__(self) -> None:
        self._forms: dict[object, tuple[Query, tuple[Field | None, ...]]] = {}

    def read(self, soql: str, rights: Rights, api_user: str) -> Query:
        """What `read` gives, sooner."""
        values: list[Token] = []

        def mark(match: re.Match[str]) -> str:
            kind = match.lastgroup
            assert kind is not None
            values.append(Token(kind, match[0], match.start()))
            return _MARKS[kind]

        form = _VALUES.sub(mark, soql)
        key = (form, frozenset(rights.denied), frozenset(rights.hidden), rights.login_history, api_user)
        known = self._forms.get(key)
        reader = _Reader(soql, rights, api_user)
        if known is None or any(mark in soql for mark in _MARKS.values()):
            query = reader.query()
            if len(self._forms) >= _FORMS:
                self._forms.clear()
            self._forms[key] = (query, tuple(reader.slots))
            return query
        query, slots = known
        given = iter(values)
        try:
            args = tuple(
                reader.literal(field, next(given)) if field else kept
                for field, kept in zip(slots, query.args, strict=True)
            )
        except Refused:
            # Read in full, it says where the fault lies.
            return reader.query()
        return replace(query, args=args)


def _tokens(soql: str) -> list[Token]:
    found = []
    at = 0
    for match in _TOKENS.finditer(soql):
        if match.start() != at:
            break
        kind = match.lastgroup
        assert kind is not None
        text, start = match[kind], match.start(kind)
        found.append(Token(kind, text, start, text.upper() if kind == "name" else ""))
        if kind == "end":
            return found
        at = match.end()
    start = at + len(soql[at:]) - len(soql[at:].lstrip())
    raise _fault(soql, start, f"unexpected token: '{soql[start]}'")


def _context(soql: str, at: int) -> str:
    """Where in the query the fault lies, as Salesforce shows it."""
    start = max(0, at - 40)
    return f"\n{soql[start : at + 40]}\n{' ' * (at - start)}^\nERROR at Row:1:Column:{at + 1}\n"


def _fault(soql: str, at: int, why: str) -> Refused:
    return Refused("MALFORMED_QUERY", f"{_context(soql, at)}{why}")


def _malformed(soql: str, at: int, why: str) -> NoReturn:
    raise _fault(soql, at, why)


def _too_complicated() -> Refused:
    return Refused(
        "QUERY_TOO_COMPLICATED",
        "Query is either selecting too many fields or the filter conditions are too complicated.",
    )


class _Reader:
    """Reads one query from left to right."""

    def __init__(self, soql: str, rights: Rights, api_user: str) -> None:
        self.soql = soql
        self.rights = rights
        self.api_user = api_user
        self.tokens: list[Token] = []
        self.place = 0
        self.thing = OBJECTS["User"]
        self.args: list[object] = []
        #: For each argument the field that a value of the text is compared with; None for any other argument.
        self.slots: list[Field | None] = []
        self.asked = 0
        self.depth = 0

    # Words

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.tokens[self.place]
        if token.kind != "end":
            self.place += 1
        return token

    def given(self, *words: str) -> bool:
        """Take these words when they come next."""
        place = self.place
        for word in words:
            token = self.tokens[place]
            if (token.word or token.text) != word:
                return False
            place += 1
        self.place = place
        return True

    def needs(self, *words: str) -> None:
        for word in words:
            if not self.given(word):
                self.unexpected(self.next)

    def unexpected(self, token: Token) -> NoReturn:
        what = token.text if token.kind != "end" else "<EOF>"
        _malformed(self.soql, token.at, f"unexpected token: '{what}'")

    def name(self) -> Token:
        token = self.take()
        if token.kind != "name" or token.word in _RESERVED:
            self.unexpected(token)
        return token

    def refuse_field(self, token: Token, what: str) -> NoReturn:
        raise Refused("INVALID_FIELD", f"{_context(self.soql, token.at)}{what}")

    # The query

    def query(self) -> Query:
        """SELECT items FROM object WHERE ... GROUP BY ... ORDER BY ... LIMIT n."""
        self.tokens = _tokens(self.soql)
        self.needs("SELECT")
        items = [self.item()]
        while self.given(","):
            items.append(self.item())
        self.needs("FROM")
        self.from_object()
        bare = items[0].function == "COUNT" and items[0].inner is None
        if bare and len(items) > 1:
            self.unexpected(items[1].token)
        shown = [] if bare else [self.operand(item.token, item.function, item.inner) for item in items]
        where = [self.conditions()] if self.given("WHERE") else []
        if self.thing.name == "LoginHistory" and not self.rights.login_history:
            where.append("UserId = ?")
            self.args.append(self.api_user)
            self.slots.append(None)
        groups = self.operands("GROUP", "BY")
        for by in groups:
            if by.aggregate or (by.field and not by.function and not by.field.groupable):
                self.refuse_field(
                    Token("name", by.name, by.at),
                    f"field '{by.name}' can not be grouped in a query call",
                )
        grouped = bool(groups) or any(operand.aggregate for operand in shown)
        order = self.order([by.sql for by in groups] if grouped else None)
        limit = self.limit()
        if self.next.kind != "end":
            self.unexpected(self.next)
        columns = [] if bare else self.columns(items, shown, groups if grouped else None)
        if len(columns) > MOST_FIELDS:
            raise _too_complicated()
        picked = "COUNT(*)" if bare else group(columns) if grouped else record(self.thing, columns)
        sql = f'SELECT {picked} FROM "{self.thing.name}"'
        if where:
            sql += f" WHERE {' AND '.join(where)}"
        if groups:
            sql += f" GROUP BY {', '.join(by.sql for by in groups)}"
        sql += order
        if limit is not None:
            sql += f" LIMIT {limit}"
        return Query(self.thing, sql, tuple(self.args), grouped, bare)

    def item(self) -> _Item:
        token = self.name()
        function, inner = "", None
        if self.given("("):
            function = token.word
            if function not in (*_AGGREGATES, "DAY_ONLY"):
                self.unexpected(token)
            if function != "COUNT" or self.next.text != ")":
                inner = self.name()
            self.needs(")")
        ahead = self.next
        alias = (
            self.take() if ahead.kind == "name" and ahead.word != "FROM" and "." not in ahead.text else None
        )
        if alias and alias.word in _RESERVED:
            self.unexpected(alias)
        return _Item(token, function, inner, alias)

    def from_object(self) -> None:
        token = self.name()
        thing = object_named(token.text)
        if thing is None or thing.name in self.rights.denied:
            raise unsupported_type(token.text, _context(self.soql, token.at))
        self.thing = thing

    def operand(self, token: Token, function: str, inner: Token | None) -> _Operand:
        """A field or a function of one, checked against what the object has and what the field allows."""
        of = inner or token
        if function and inner is None:
            self.unexpected(token)
        field, sql, keys, entities = self.field(of)
        if not function:
            return _Operand(sql, field.type, of.text, field, aggregate=False, function="", at=of.at, keys=keys, entities=entities)  # fmt: skip
        if function == "DAY_ONLY":
            if field.type != "datetime":
                self.refuse_field(of, f"field {of.text} does not support date function DAY_ONLY")
            return _Operand(f"substr({sql}, 1, 10)", "date", of.text, field, aggregate=False, function=function, at=token.at)  # fmt: skip
        if not field.aggregatable or (function in ("SUM", "AVG") and field.type not in _NUMBERS):
            _malformed(
                self.soql, token.at, f"field {field.name} does not support aggregate operator {function}"
            )
        counts = function in ("COUNT", "COUNT_DISTINCT")
        inside = f"DISTINCT {sql}" if function == "COUNT_DISTINCT" else sql
        name = "COUNT" if counts else function
        return _Operand(
            f"{name}({inside})", "int" if counts else field.type, of.text, field, aggregate=True, function=function, at=token.at
        )  # fmt: skip

    def field(self, token: Token) -> tuple[Field, str, tuple[str, ...], tuple[str, ...]]:
        """A field or path: the field, its SQL, the keys that lead to it in an answer, and the objects on the way."""
        thing = self.thing
        if "." not in token.text:
            field = thing.field(token.text)
            if field is None or (thing.name, field.name) in self.rights.hidden:
                raise no_such_column(token.text, thing.name, _context(self.soql, token.at))
            return field, field.name, (field.name,), ()
        field = thing.path(token.text)
        if field is None:
            relation, _, rest = token.text.rpartition(".")
            known = next(
                (path for path in thing.paths if path.lower().startswith(relation.lower() + ".")), None
            )
            if known is None or known.count(".") != token.text.count("."):
                raise no_such_relationship(relation.rpartition(".")[2], _context(self.soql, token.at))
            raise no_such_column(rest, known.split(".")[-2], _context(self.soql, token.at))
        keys = tuple(field.name.split("."))
        if not field.refers:
            return field, field.column, keys, keys[:-1]
        if field.refers in self.rights.denied or (thing.name, field.column) in self.rights.hidden:
            raise no_such_relationship(keys[0], _context(self.soql, token.at))
        if (field.refers, keys[-1]) in self.rights.hidden:
            raise no_such_column(keys[-1], field.refers, _context(self.soql, token.at))
        there = f'(SELECT there.{keys[-1]} FROM "{field.refers}" there WHERE there.Id = "{thing.name}".{field.column})'
        return field, there, keys, (field.refers,)

    def columns(
        self, items: Sequence[_Item], shown: Sequence[_Operand], groups: Sequence[_Operand] | None
    ) -> list[Column]:
        """Where each selected value goes in an answer. Raises Refused for what is neither grouped nor aggregated."""
        found: list[Column] = []
        unnamed = 0
        for item, operand in zip(items, shown, strict=True):
            if groups is not None and not operand.aggregate and operand.sql not in {g.sql for g in groups}:
                _malformed(self.soql, operand.at, f"Field must be grouped or aggregated: {operand.name}")
            if groups is None:
                if item.alias:
                    self.unexpected(item.alias)
                if operand.function:
                    _malformed(self.soql, operand.at, f"Date function must be grouped: {operand.name}")
                there = operand.field.column if operand.field else ""
                found.append(Column(operand.keys, operand.sql, operand.type, operand.entities, there))
                continue
            if item.alias:
                key = item.alias.text
            elif operand.function:
                key = f"expr{unnamed}"
                unnamed += 1
            else:
                key = operand.keys[-1]
            found.append(Column((key,), operand.sql, operand.type))
        taken: set[tuple[str, ...]] = set()
        for item, column in zip(items, found, strict=True):
            if column.keys in taken:
                why = "duplicate alias" if groups is not None else "duplicate field selected"
                code = "MALFORMED_QUERY" if groups is not None else "INVALID_FIELD"
                raise Refused(code, f"{_context(self.soql, item.token.at)}{why}: {'.'.join(column.keys)}")
            taken.add(column.keys)
        return found

    def operands(self, *words: str) -> list[_Operand]:
        """GROUP BY a, DAY_ONLY(b), ..."""
        if not self.given(*words):
            return []
        found = []
        while True:
            found.append(self.spelled())
            if not self.given(","):
                return found

    def spelled(self) -> _Operand:
        item_at = self.name()
        function, inner = "", None
        if self.given("("):
            function = item_at.word
            if function not in (*_AGGREGATES, "DAY_ONLY"):
                self.unexpected(item_at)
            inner = self.name()
            self.needs(")")
        return self.operand(item_at, function, inner)

    def order(self, groups: Sequence[str] | None) -> str:
        """ORDER BY; nulls come first unless the query says otherwise, whatever the direction."""
        if not self.given("ORDER", "BY"):
            return ""
        parts = []
        while True:
            operand = self.spelled()
            if groups is not None and not operand.aggregate and operand.sql not in groups:
                _malformed(
                    self.soql, operand.at, f"Ordered field must be grouped or aggregated: {operand.name}"
                )
            if groups is None and operand.function:
                _malformed(self.soql, operand.at, f"Date function must be grouped: {operand.name}")
            if operand.field and not operand.field.sortable:
                self.refuse_field(
                    Token("name", operand.name, operand.at),
                    f"field '{operand.name}' can not be sorted in a query call",
                )
            letters = " COLLATE NOCASE" if operand.field and operand.field.is_text else ""
            way = "DESC" if self.given("DESC") else "ASC"
            if way == "ASC":
                self.given("ASC")
            last = self.given("NULLS", "LAST")
            if not last:
                self.given("NULLS", "FIRST")
            # Going up, SQLite puts nulls first by itself; told so, it sorts again what the groups have sorted.
            nulls = " NULLS LAST" if last else " NULLS FIRST" if way == "DESC" else ""
            parts.append(f"{operand.sql}{letters} {way}{nulls}")
            if not self.given(","):
                return " ORDER BY " + ", ".join(parts)

    def limit(self) -> int | None:
        if not self.given("LIMIT"):
            return None
        token = self.take()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > _DIGITS:
            self.unexpected(token)
        return int(token.text)

    # Conditions

    def conditions(self) -> str:
        """Conditions joined by AND alone, or by OR alone: Salesforce wants parentheses where they mix."""
        parts = [self.condition()]
        joint = ""
        while self.next.word in ("AND", "OR"):
            token = self.take()
            if joint and token.word != joint:
                self.unexpected(token)
            joint = token.word
            parts.append(self.condition())
        text = f" {joint} ".join(parts)
        return f"({text})" if joint == "OR" else text

    def condition(self) -> str:
        self.asked += 1
        if self.asked > _CONDITIONS or self.depth > _DEPTH:
            raise _too_complicated()
        if self.given("("):
            self.depth += 1
            inside = self.conditions()
            self.depth -= 1
            self.needs(")")
            return f"({inside})"
        token = self.name()
        field, sql, _, _ = self.field(token)
        if not field.filterable:
            self.refuse_field(token, f"field '{token.text}' can not be filtered in a query call")
        letters = " COLLATE NOCASE" if field.is_text else ""
        among = "NOT IN" if self.given("NOT", "IN") else "IN" if self.given("IN") else ""
        if among:
            self.needs("(")
            values = [self.value(field, token)]
            while self.given(","):
                values.append(self.value(field, token))
            self.needs(")")
            return f"{sql}{letters} {among} ({', '.join(values)})"
        if self.given("LIKE"):
            if not field.is_text:
                self.refuse_field(token, "invalid operator on non-text field: LIKE")
            return f"{sql} LIKE {self.value(field, token)} ESCAPE '\\'"
        sign = self.take()
        if sign.text not in _COMPARE:
            self.unexpected(sign)
        if self.given("NULL"):
            if sign.text not in ("=", "!=", "<>"):
                self.refuse_field(token, f"null can not be compared with {sign.text}")
            return f"{sql} IS {'' if sign.text == '=' else 'NOT '}NULL"
        if field.type == "boolean" and sign.text not in ("=", "!=", "<>"):
            self.refuse_field(token, f"invalid operator on boolean field: {sign.text}")
        value = self.value(field, token)
        return f"{sql}{letters} {_COMPARE[sign.text]} {value}"

    def value(self, field: Field, named: Token) -> str:
        """A literal of the field's type, as SQL. True and false are spelled out: partial indexes need to see them."""
        token = self.take()
        kind = _LITERAL.get(field.type, "text")
        if token.kind not in ("text", "instant", "day", "number") and token.word not in ("TRUE", "FALSE"):
            self.unexpected(token)
        if token.kind != kind:
            spoken, quoted = _SPOKEN.get(field.type, ("string", True))
            self.refuse_field(
                token,
                f"value of filter criterion for field '{named.text}' must be of type {spoken}"
                f" and should {'' if quoted else 'not '}be enclosed in quotes",
            )
        if kind == "name":
            return "1" if token.word == "TRUE" else "0"
        self.args.append(self.literal(field, token))
        self.slots.append(field if token.kind in _MARKS else None)
        return "?"

    def literal(self, field: Field, token: Token) -> object:
        """The value that a literal stands for, as records.py keeps it."""
        if token.kind == "number":
            return float(token.text)
        try:
            if token.kind == "instant":
                when = datetime.fromisoformat(token.text).astimezone(UTC)
                return when.isoformat(timespec="milliseconds")[:23] + "+0000"
            if token.kind == "day":
                return date.fromisoformat(token.text).isoformat()
        except (ValueError, OverflowError):
            _malformed(self.soql, token.at, f"Invalid {_SPOKEN[field.type][0]}: {token.text}")
        text = re.sub(r"\\(.)", lambda match: self.escape(token, match[1]), token.text[1:-1], flags=re.DOTALL)
        if field.type not in ("id", "reference"):
            return text
        if len(text) not in (_FIFTEEN, _EIGHTEEN) or not (text.isascii() and text.isalnum()):
            raise Refused(
                "INVALID_QUERY_FILTER_OPERATOR", f"{_context(self.soql, token.at)}invalid ID field: {text}"
            )
        return full_id(text) if len(text) == _FIFTEEN else text

    def escape(self, token: Token, letter: str) -> str:
        if letter not in _ESCAPES:
            _malformed(self.soql, token.at, f"Illegal character sequence '\\{letter}' in string literal")
        return _ESCAPES[letter]
